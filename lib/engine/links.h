/// @file
/// The links of a peer and the sessions that run over them.
#pragma once

#include "base/env.h"
#include "base/link.h"
#include "engine/strand.h"
#include "joinery/peer.h"
#include "session/session.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace joinery::detail {

/// @par Thread safety
/// Every call on the strand, but for construction, and destruction once the strand has ended.
class Links {
  public:
    struct Options {
        std::string name;
        DeviceKey device;
        std::function<void(LogLevel, std::string)> log;
    };
    using OnSynced = std::function<void(Result<SyncReport>)>;

    /// @p strand, @p host and @p clock Must outlive the links. The transports run on @p strand.
    Links(Strand& strand,
          session::Host& host,
          Clock& clock,
          Options options,
          std::vector<std::unique_ptr<Transport>> transports);
    Links(const Links&) = delete;
    Links& operator=(const Links&) = delete;
    ~Links();

    Result<std::string> listen(std::string_view url);
    /// Dials, and dials again when the link breaks.
    void keep_connected(std::string url);
    /// Dials once; @p done is called once.
    void sync(std::string url,
              std::vector<std::string> patterns,
              std::chrono::milliseconds timeout,
              OnSynced done);
    /// A document's frontier, durable frontier or digest may have changed.
    void document_changed(std::string_view id);
    /// Ends all sessions and links; nothing is called afterwards.
    void close();

    std::vector<LinkStatus> status() const;
    std::uint64_t divergence_count() const noexcept { return divergence_count_; }

  private:
    /// One link with its session, or the wish for one.
    struct Connection {
        std::string url;
        bool keep = false;  ///< Dial again when it ends.
        std::chrono::milliseconds retry_delay{0};
        std::unique_ptr<Link> link;
        std::unique_ptr<session::Session> session;
        Bytes held;  ///< A message that the link had no room for.
        bool has_held = false;
        bool closing = false;
        std::string error;
        OnSynced on_synced;
        Strand::Timer timer;  ///< To dial again, or of a sync's time limit.
        std::vector<std::string> patterns;
        bool is_once = false;
    };
    using Handle = std::list<Connection>::iterator;

    void dial(Handle connection);
    void attach(Handle connection, std::unique_ptr<Link> link);
    void pump(Handle connection);
    void take_events(Handle connection);
    void ended(Handle connection, const Result<void>& how);
    void finish_sync(Handle connection, Result<SyncReport> report);
    SyncReport report_of(const Connection& connection) const;
    void tick();
    Transport* transport_for(std::string_view url);
    void log(LogLevel level, std::string text);

    Strand& strand_;
    session::Host& host_;
    Clock& clock_;
    Options options_;
    std::vector<std::unique_ptr<Transport>> transports_;
    std::vector<std::unique_ptr<Listener>> listeners_;
    std::list<Connection> connections_;
    Strand::Timer ticker_;
    std::uint64_t divergence_count_ = 0;
    bool closed_ = false;
};

}  // namespace joinery::detail
