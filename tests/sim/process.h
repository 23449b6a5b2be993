/// @file
/// One simulated process: the real engine over a memory disk, on strands of a virtual clock.
#pragma once

#include "base/env.h"
#include "engine/engine.h"
#include "persist/memory_store.h"
#include "sim/fake_lan.h"
#include "sim/sim_strand.h"
#include "support/dice.h"
#include "transport/memory_transport.h"

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace joinery::sim {

/// The virtual time as a machine's clock shows it.
class SkewedClock final : public Clock {
  public:
    SkewedClock(const Now& now, WallTime skew) : now_(now), skew_(skew) {}
    WallTime wall_now() override {
        return WallTime(1'700'000'000'000) + skew_ + std::chrono::duration_cast<WallTime>(now_);
    }
    MonotonicTime monotonic_now() override { return now_; }
    /// Somebody sets the clock.
    void set_skew(WallTime skew) { skew_ = skew; }

  private:
    const Now& now_;
    WallTime skew_;
};

struct ProcessSetup {
    std::string host;
    std::size_t disk = 0;            ///< Index of its disk.
    std::vector<std::string> dials;  ///< URLs that it keeps connected.
    WallTime skew{0};
    std::chrono::milliseconds flush_interval{4};
    std::uint64_t snapshot_interval = 8;
    std::uint64_t random_seed = 0;
    LinkOptions links;
    bool may_meet_forks = false;  ///< Somebody may sign two histories.
    bool may_turn_away = false;   ///< Strangers come.
    std::function<std::optional<Access>(const LinkRequest&)> authorize = let_everybody_in;
    Judge judge;                   ///< Options::judge.
    FakeLan* lan = nullptr;        ///< Where it finds others, if it is to.
    bool may_be_put_back = false;  ///< Its disk may be, so it may find others ahead of it.
};

class Process {
  public:
    using OnFault = std::function<void(std::string)>;

    /// All arguments must outlive the process. @p on_fault hears what must not be.
    Process(ProcessSetup setup,
            const Now& now,
            persist::MemoryDisk& disk,
            transport::MemoryNetwork& network,
            OnFault on_fault);

    bool is_alive() const { return engine_ != nullptr; }
    void start();
    /// Everything in memory is gone. What becomes of the disk is said before.
    void drop();
    /// kill -9: what it committed stays.
    void kill();
    /// Closes the store as an app that ends in order; only when nothing is pending.
    void close() { drop(); }

    detail::Engine& engine() { return *engine_; }
    detail::Core& core() { return engine_->core(); }
    SkewedClock& clock() { return clock_; }
    const ProcessSetup& setup() const { return setup_; }
    /// Links, writer, snapshots, callbacks: each is a thread in a Peer.
    std::array<SimStrand, 4>& strands() { return strands_; }
    SimStrand& writer_strand() { return strands_[1]; }
    SimStrand& callback_strand() { return strands_[3]; }

    /// A document with what an app that follows its patches thinks that it shows.
    struct Watched {
        std::shared_ptr<detail::DocumentCore> core;
        Plain copy;
        Subscription subscription;
    };
    /// Opens @p id, making it where @p create says so, and watches it.
    Watched* open(const std::string& id, bool create);
    /// Opens and watches all documents there are.
    void open_all();
    std::map<std::string, Watched>& documents() { return documents_; }

  private:
    void log(LogLevel level, std::string_view text);
    void follow(Watched& watched, const Event& event);

    ProcessSetup setup_;
    persist::MemoryDisk& disk_;
    transport::MemoryNetwork& network_;
    OnFault on_fault_;
    test::SeededRandom random_;
    SkewedClock clock_;
    std::array<SimStrand, 4> strands_;
    std::unique_ptr<detail::Engine> engine_;
    std::map<std::string, Watched> documents_;
};

}  // namespace joinery::sim
