/// @file
/// The links of a peer and the sessions that run over them.
#pragma once

#include "base/env.h"
#include "base/link.h"
#include "engine/metrics.h"
#include "engine/rate_limit.h"
#include "engine/secure_link.h"
#include "engine/strand.h"
#include "joinery/peer.h"
#include "session/session.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace joinery::detail {

/// @par Thread safety
/// Every call on the strand, but for construction, and destruction once the strand has ended.
class Links {
  private:
    struct LinkMetrics {
        std::uint64_t arrived_count = 0;      ///< Links that others dialled.
        std::uint64_t turned_away_count = 0;  ///< Whose key is not let in, or not any more.
        ErrorCounts not_made;                 ///< Connections that came and made no link.
        ErrorCounts ended;
        Durations round_trips;
    };

  public:
    struct Options {
        std::string name;
        LinkOptions patience;
        /// What who is at the other end of a link may read and write here; none where it may not
        /// come in at all, an Error where that cannot be known now.
        std::function<Result<std::optional<Access>>(const LinkRequest&)> admits;
        std::function<void(const LogEntry&)> log;
        /// The device has so much of the document durable.
        std::function<void(std::string_view, const DeviceKey&, const session::Frontier&)>
            on_acknowledged;
    };
    using OnSynced = std::function<void(Result<SyncReport>)>;

    /// What links are made with; all must outlive them.
    struct Surroundings {
        Strand& strand;  ///< The transports run on it, too.
        session::Host& host;
        const crdt::SigningKey& identity;
        Clock& clock;
        Random& random;
        PeerInstance instance;  ///< Names this run of the peer.
    };

    Links(const Surroundings& surroundings,
          Options options,
          std::vector<std::unique_ptr<Transport>> transports);
    Links(const Links&) = delete;
    Links& operator=(const Links&) = delete;
    ~Links();

    Result<std::string> listen(std::string_view url);
    /// Dials one peer at each of @p urls in turn, and again when the link breaks; `unsupported`
    /// where no transport knows a scheme, `malformed` for a key at the end that is none, or that is
    /// not that of the others, `over_limit` for more than kUrlsMax.
    Result<void> keep_connected(std::vector<std::string> urls);
    Result<void> keep_connected(std::string url);
    /// Ends the link to @p url, or with it among others, that keep_connected() keeps, and dials it
    /// no more.
    Result<void> drop(std::string_view url);
    /// Keeps a link to @p device, which was found at @p urls, and at no others than these; with
    /// none, it is not dialled any more, and a link that is up lasts until it breaks.
    void keep_found(const DeviceKey& device, std::vector<std::string> urls);
    /// Whether there is a transport for @p url.
    bool can_dial(std::string_view url) { return transport_for(url) != nullptr; }
    /// The URLs that listen() bound.
    std::vector<std::string> listening() const;
    /// What names this run in handshakes.
    const PeerInstance& instance() const noexcept { return instance_; }
    /// Dials once; @p done is called once.
    void sync(std::string url,
              std::vector<std::string> patterns,
              std::chrono::milliseconds timeout,
              OnSynced done);
    /// A document's frontier, durable frontier or digest may have changed.
    void document_changed(std::string_view id);
    /// Whether anybody would be told. Any thread.
    bool has_sessions() const noexcept { return session_count_ != 0; }
    /// Somebody's presence in a document changed.
    void presence_changed(const std::string& id);
    /// Ends all sessions and links; nothing is called afterwards.
    void close();

    std::vector<LinkStatus> status() const;
    void add_metrics(std::vector<Metric>& out) const;
    std::uint64_t divergence_count() const noexcept { return divergence_count_; }
    /// Links that arrived and were cut, for too many did.
    std::uint64_t cut_count() const noexcept { return cut_count_; }
    /// Bytes over all links, those that ended too.
    std::uint64_t received_size() const;
    std::uint64_t sent_size() const;

  private:
    /// How much presence waits in a link's queue: what waits there grows old.
    struct PresencePace {
        std::uint64_t sent_count = 0;  ///< Entries, as the session counts them.
        std::uint64_t mark = 0;        ///< Once so many bytes were taken, none waits any more.
        std::uint64_t size = 0;        ///< What was given up to there, at most.
    };
    /// Where a peer may be found.
    struct Target {
        std::string url;      ///< As it was given.
        std::string address;  ///< The same without a key.
        std::optional<DeviceKey> expected;
        std::string error;  ///< Why it did not work the last time.
    };
    /// One link with its session, or the wish for one.
    struct Connection {
        /// Of who is dialled, the one that worked last first; a round goes over all.
        std::vector<Target> targets;
        std::size_t target_index = 0;
        /// Those of the target that is being dialled, or answered.
        std::string url;
        std::string address;
        std::chrono::milliseconds retry_delay{0};
        std::optional<DeviceKey> expected;
        /// Who answered at one of several targets: nobody else may at the others.
        std::optional<DeviceKey> met;
        bool has_worked = false;  ///< Since it was dialled.
        bool is_dialled = false;  ///< By this side.
        bool is_found = false;    ///< By its beacon; `expected` is it.
        bool keep = false;        ///< Dial again when it ends.
        std::unique_ptr<SecureLink> link;
        /// Once the other side is known and let in.
        std::unique_ptr<session::Session> session;
        std::optional<PeerRun> other_side;  ///< Once it has proved who it is.
        Access access;                      ///< What it may do here, once it was let in.
        bool is_kept = false;               ///< By whoever dialled it.
        /// To whom another link is kept instead of this one, while that is so.
        std::optional<PeerRun> twin;
        Bytes held;  ///< A message that the link had no room for.
        bool has_held = false;
        bool closing = false;
        bool is_ending = false;  ///< ended() was called, the rest is to follow.
        LinkState state = LinkState::connecting;
        std::string error;
        OnSynced on_synced;
        Strand::Timer timer;  ///< To dial again, or of a sync's time limit.
        Strand::Timer handshake_timer;
        std::vector<std::string> patterns;
        bool is_once = false;
        PresencePace presence;
    };
    /// Callbacks keep a weak one: the connection may go before its dial or link does.
    using Handle = std::shared_ptr<Connection>;

    Handle add(std::string url, bool is_dialled);
    /// As add(), for what is to be dialled.
    Result<Handle> add_dialled(std::vector<std::string> urls);
    Result<std::vector<Target>> read_targets(std::vector<std::string> urls);
    /// Gives what was found other targets, and goes on with the one in use where that is among
    /// them.
    static void aim_anew(Connection& connection, std::vector<Target> targets);
    /// Dials soon, at a random moment: all who heard the same beacon would come at once.
    void dial_soon(const Handle& connection);
    static void aim(Connection& connection, std::size_t index);
    /// Whether a round goes on, with the next target; else the next one begins.
    static bool has_next_target(Connection& connection);
    void arrived(std::unique_ptr<Link> link);
    /// @p verb with @p connection, if that is still there when it is called.
    template <class Verb>
    auto with(const Handle& connection, Verb verb);
    /// Dials it when those that wait already were, and not too soon after the last one.
    void dial_in_turn(const Handle& connection);
    void dial_those_whose_turn_it_is();
    void wait_for_turn(MonotonicTime delay);
    void dial(const Handle& connection);
    /// Too many links arrive: counts it, and says so once a second at most.
    void cut_arrival(const std::string& what, const std::string& remote);
    /// Somebody came and did not get as far as a link.
    void not_made(const Error& error);
    void attach(const Handle& connection, std::unique_ptr<Link> link);
    void admit(const Handle& connection, const session::ChannelPeer& peer);
    /// The link to @p run that is up and kept; another one than @p except.
    Handle find_kept(const PeerRun& run, const Connection& except) const;
    LinkRequest request_of(const Connection& connection) const;
    /// Ends this link or another where there are two to one peer.
    void keep_one(const Handle& connection);
    void end_twin(const Handle& connection);
    /// Ends the links of those who are no longer let in, or may do something else than before.
    void turn_out();
    void turn_away(const Handle& connection, const Error& why);
    void pump(const Handle& connection);
    void take_events(const Handle& connection);
    void ended(const Handle& connection, const Result<void>& how);
    void finish_sync(Connection& connection, Result<SyncReport> report);
    /// What is left to do once no callback of the link's is on the stack.
    void let_go(const Handle& connection);
    SyncReport report_of(const Connection& connection) const;
    /// Does what is due of the presence in a document.
    void tend_presence(const std::string& id);
    void tend_due_presence();
    void start_presence_timer(MonotonicTime due);
    /// Has the session keep its presence back, or not, before it is asked for a message.
    void pace_presence(const Connection& connection);
    /// After a message was sent.
    void note_presence(Connection& connection) const;
    void tick();
    void come_back(MonotonicTime now);
    std::chrono::milliseconds up_to(std::chrono::milliseconds delay);
    Transport* transport_for(std::string_view url);
    static Error no_transport();
    void log(const LogEntry& entry) const;
    /// Of @p connection, with what is known of its other side.
    static LogEntry entry_of(const Connection& connection,
                             LogLevel level,
                             std::string_view event,
                             const std::string& text);

    Strand& strand_;
    session::Host& host_;
    const crdt::SigningKey& identity_;
    Clock& clock_;
    Random& random_;
    Options options_;
    std::vector<std::unique_ptr<Transport>> transports_;
    std::vector<std::unique_ptr<Listener>> listeners_;
    std::vector<Handle> connections_;
    std::deque<std::weak_ptr<Connection>> waiting_;  // For their turn to be dialled.
    std::optional<MonotonicTime> last_dial_;
    Strand::Timer turn_timer_;
    RateLimit arrivals_;
    void log_document(const Connection& connection,
                      const session::Event& event,
                      LogLevel level,
                      std::string_view name,
                      const std::string& what) const;
    /// Says so at most once a second: anybody may bring it about as often as he likes.
    void log_at_times(std::optional<MonotonicTime>& last, const LogEntry& entry);
    std::optional<MonotonicTime> last_not_made_log_;
    std::optional<MonotonicTime> last_cut_log_;
    std::uint64_t cut_count_ = 0;
    Strand::Timer ticker_;
    struct Tick {
        MonotonicTime now;
        WallTime wall;
    };
    std::optional<Tick> last_tick_;
    PeerInstance instance_;  // Of this run.
    std::map<std::string, MonotonicTime> presence_due_;
    Strand::Timer presence_timer_, presence_retry_;
    MonotonicTime presence_timer_due_{0};
    std::uint64_t divergence_count_ = 0;
    std::uint64_t ended_received_size_ = 0;  // By sessions that ended.
    std::uint64_t ended_sent_size_ = 0;
    session::Counters ended_counters_;
    LinkMetrics metrics_;
    bool closed_ = false;
    std::atomic<std::size_t> session_count_{0};
};

template <class Verb>
auto Links::with(const Handle& connection, Verb verb) {
    return [weak = std::weak_ptr(connection), verb = std::move(verb)](auto&&... arguments) {
        if (const Handle there = weak.lock()) {
            verb(there, std::forward<decltype(arguments)>(arguments)...);
        }
    };
}

}  // namespace joinery::detail
