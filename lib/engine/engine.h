/// @file
/// A peer's parts wired together, without a thread, socket or clock of its own: Peer gives it
/// threads, the simulator a virtual clock.
#pragma once

#include "base/datagram.h"
#include "engine/core.h"
#include "engine/lan.h"
#include "engine/links.h"
#include "engine/strand.h"
#include "engine/writer.h"
#include "joinery/peer.h"

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <vector>

namespace joinery::detail {

class Engine {
  public:
    /// Where what runs. All may be one. Must outlive the engine's last task; the engine is
    /// destroyed when they have ended.
    struct Strands {
        Strand& links;
        Strand& writer;
        Strand& snapshots;
        /// Runs the app's callbacks, in order.
        std::function<void(std::function<void()>)> run_callback;
    };

    /// @param options  With a clock and a random source; its executor is not used.
    /// @param group  Where peers are found, if they are to be; else null.
    static Result<std::unique_ptr<Engine>> open(std::unique_ptr<Store> store,
                                                joinery::Options options,
                                                Strands strands,
                                                std::vector<std::unique_ptr<Transport>> transports,
                                                std::unique_ptr<DatagramGroup> group = nullptr);
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    Core& core() noexcept { return *core_; }
    Writer& writer() noexcept { return *writer_; }
    /// On its strand only.
    Links& links() noexcept { return *links_; }
    /// What the peer counts. On the links' strand only.
    std::vector<Metric> metrics() const;
    /// Null without a group. On the links' strand only.
    const Lan* lan() const noexcept { return lan_.get(); }
    /// Finds nobody any more, and ends all links; on the links' strand.
    void close();

  private:
    Engine(joinery::Options options, Strands strands)
        : options_(std::move(options)), strands_(std::move(strands)) {}

    void log(const LogEntry& entry) const;
    /// On the links' strand.
    Result<std::optional<Access>> admits(LinkRequest request);
    /// Whether to dial @p device, whose beacon was heard.
    bool admits_found(const DeviceKey& device, std::string_view url);
    void start_lan(std::unique_ptr<DatagramGroup> group);
    /// Who answers where this peer dialled.
    struct Meeting {
        bool is_first = false;           ///< That anybody does.
        std::optional<DeviceKey> known;  ///< Who did at first, where it was another.
    };
    Result<Meeting> meet(const LinkRequest& request) const;
    void note_answer(const LinkRequest& request);
    /// Something is to be stored. Any thread, under no lock.
    void wake_writer();
    /// Any thread, under no lock.
    void send_soon(DocumentCore& document);
    /// On the links' strand.
    void send(const std::shared_ptr<DocumentCore>& document);
    void send_due();
    /// On the links' strand.
    void acknowledged(std::string_view document,
                      const DeviceKey& device,
                      const session::Frontier& durable);
    /// On the links' strand.
    void run_after(MonotonicTime delay, std::function<void()> task);
    /// On the writer's strand.
    void committed(const Core::Changed& changed);

    joinery::Options options_;
    Strands strands_;
    WriteMetrics write_metrics_;
    std::unique_ptr<Core> core_;
    std::unique_ptr<Links> links_;
    std::unique_ptr<Lan> lan_;
    std::unique_ptr<Writer> writer_;
    std::atomic<bool> is_waking_writer_{false};
    std::atomic<bool> snapshotting_{false};
    std::vector<std::shared_ptr<DocumentCore>> to_send_;  ///< On the links' strand.
    MonotonicTime next_send_{0};
    Strand::Timer send_timer_;
    std::map<std::uint64_t, Strand::Timer> tasks_;  ///< That too: of run_after().
    std::uint64_t last_task_ = 0;
    std::atomic<bool> is_storing_acknowledged_{false};
    Strand::Timer acknowledged_timer_;
};

}  // namespace joinery::detail
