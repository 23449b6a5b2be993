/// @file
/// A world of processes, disks and a network that a seed decides: the real engine, session and
/// store code, on one thread and a virtual clock.
#pragma once

#include "base/bytes.h"
#include "persist/memory_store.h"
#include "sim/equivocator.h"
#include "sim/process.h"
#include "support/dice.h"
#include "transport/memory_transport.h"

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace joinery::sim {

/// A hash over everything that happened: messages delivered, edits, bytes in stores.
class Trace {
  public:
    void add(ByteView bytes);
    void add(std::string_view text) { add(as_bytes(text)); }
    const Digest& digest() const { return digest_; }

  private:
    Digest digest_;
};

class World {
  public:
    struct Options {
        /// Whether disks are put back, at checkpoints, to where they were when all their processes
        /// had ended, in a way that nothing on them tells.
        bool puts_back = false;
        /// Whether somebody tells peers several histories of one actor.
        bool equivocates = false;
        /// Whether one document has the device of the first disk for its authority.
        bool has_authority = false;
    };
    explicit World(std::uint64_t seed, Options options);
    explicit World(std::uint64_t seed) : World(seed, Options()) {}
    ~World() { processes_.clear(); }  // What ends with them is still noted.

    /// Runs the whole story of the seed: several rounds of trouble, each ending in a checkpoint.
    void run();

    /// What went wrong first, with the last things that happened; empty if nothing did.
    const std::string& fault() const { return fault_; }
    const Digest& trace() const { return trace_.digest(); }

    struct Counts {
        std::size_t edits = 0, deliveries = 0, crashes = 0, cuts = 0, checkpoints = 0, changes = 0;
        std::size_t syncs = 0, syncs_answered = 0;
        std::size_t put_backs = 0, renewals = 0;
        std::size_t live_writes = 0, live_shown = 0;
        std::size_t lies = 0, forks = 0;
        std::size_t refused = 0, rejected = 0;
        Counts& operator+=(const Counts& more);
    };
    const Counts& counts() const { return counts_; }

  private:
    struct Disk {
        std::unique_ptr<persist::MemoryDisk> disk;
        /// By document and actor: the last seq that was said to be durable.
        std::map<std::pair<std::string, ActorId>, std::uint64_t> durable;
        bool is_broken = false;  ///< A sync failed: its processes must start anew.
        /// What it held when all its processes had ended.
        std::unique_ptr<persist::MemoryDisk> image;
    };
    using ChangeName = std::tuple<std::string, ActorId, std::uint64_t>;

    void make_disks();
    void make_processes();
    bool some_disk_is_broken() const;

    // --- Trouble -------------------------------------------------------------------------------
    void step();
    /// Runs one random thing that may happen at this moment; false if there is none.
    bool run_something();
    void advance(Now by);
    void make_trouble();
    void edit();
    void write_live(Process& process, Process::Watched& document);
    void lie(Process::Watched& document);
    /// Why the authority does not let the change stand.
    static std::optional<std::string> judge(const ActorId& actor, std::uint64_t seq);
    /// Whether numbers of the actor name one change each.
    bool is_honest(const ActorId& actor) const;
    void crash(std::size_t disk);
    void start(Process& process);
    void stop(Process& process);
    void trouble_network();
    void sync_once();
    void trouble_disk();

    // --- Checks --------------------------------------------------------------------------------
    void checkpoint(bool is_last);
    void heal();
    void put_back(std::size_t disk);
    void forget_lost_receipts();
    bool is_quiet();
    void run_until_quiet();
    void note_frontiers(Process& process);
    void check_start(Process& process);
    void check_equal();
    void check_judged();
    void check_log(std::size_t disk);
    void reopen_all();
    void check_store(Process& process);
    void trace_disks();
    std::string differing() const;

    void note(std::string text);
    void fail_with(const std::string& text);
    bool has_failed() const { return !fault_.empty(); }
    std::vector<Process*> living();

    std::uint64_t seed_;
    Options options_;
    test::Dice dice_;
    Now now_{0};
    SkewedClock network_clock_{now_, WallTime(0)};
    bool disks_lie_ = false;
    std::unique_ptr<transport::MemoryNetwork> network_;
    test::SeededRandom random_;
    std::vector<Disk> disks_;
    std::vector<std::unique_ptr<Process>> processes_;
    std::vector<std::string> document_ids_;
    std::string judged_id_;                                  ///< Of the one with an authority.
    std::map<ActorId, std::size_t> disk_of_;                 ///< Of actors that made something.
    std::unique_ptr<Equivocator> equivocator_;               // None in an honest world.
    std::set<std::pair<std::string, std::string>> blocked_;  // Directions between hosts.

    std::set<ChangeName> receipts_;
    std::map<ChangeName, std::array<std::uint8_t, 16>> hashes_;
    Trace trace_;
    std::deque<std::string> notes_;
    std::string fault_;
    Counts counts_;
};

}  // namespace joinery::sim
