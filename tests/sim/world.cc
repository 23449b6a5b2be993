// The trouble: what happens, and when.

#include "sim/world.h"

#include "crdt/hash.h"
#include "support/random_tx.h"

#include <algorithm>
#include <iterator>

namespace joinery::sim {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

constexpr std::size_t kNotesMax = 60;
constexpr std::string_view kBroken = "the store failed earlier: close and reopen it";
constexpr std::string_view kRefused = "refused: the other side refused the document";

}  // namespace

void Trace::add(ByteView bytes) {
    Bytes all(digest_.bytes.begin(), digest_.bytes.end());
    all.insert(all.end(), bytes.begin(), bytes.end());
    digest_ = crdt::hash_as<Digest>(all);
}

World::Counts& World::Counts::operator+=(const Counts& more) {
    static constexpr std::size_t Counts::* kAll[] = {&Counts::edits,
                                                     &Counts::deliveries,
                                                     &Counts::crashes,
                                                     &Counts::cuts,
                                                     &Counts::checkpoints,
                                                     &Counts::changes,
                                                     &Counts::syncs,
                                                     &Counts::syncs_answered,
                                                     &Counts::put_backs,
                                                     &Counts::renewals,
                                                     &Counts::live_writes,
                                                     &Counts::live_shown,
                                                     &Counts::lies,
                                                     &Counts::forks,
                                                     &Counts::refused,
                                                     &Counts::rejected};
    static_assert(sizeof(Counts) == std::size(kAll) * sizeof(std::size_t), "each is added");
    for (const auto member : kAll)
        this->*member += more.*member;
    return *this;
}

// --- The world -----------------------------------------------------------------------------------

World::World(std::uint64_t seed, Options options)
    : seed_(seed), options_(options), dice_(seed), random_(seed + 1) {
    disks_lie_ = dice_.chance(15);
    transport::MemoryOptions network_options;
    network_options.clock = &network_clock_;
    if (dice_.chance(30)) network_options.queue_size_max = 300 + dice_.below(3000);
    network_ = std::make_unique<transport::MemoryNetwork>(network_options);
    make_disks();
    make_processes();
    if (options_.equivocates) equivocator_ = std::make_unique<Equivocator>(seed);
    for (std::size_t i = 0; i <= dice_.below(3); ++i)
        document_ids_.push_back("d" + std::to_string(i));
}

void World::make_disks() {
    const std::size_t count = 2 + dice_.below(4);
    for (std::size_t i = 0; i < count; ++i) {
        disks_.push_back({std::make_unique<persist::MemoryDisk>(
                              disks_lie_ ? persist::MemoryDisk::Durability::at_sync
                                         : persist::MemoryDisk::Durability::at_commit),
                          {},
                          false,
                          nullptr});
    }
}

void World::make_processes() {
    const std::size_t count = std::min<std::size_t>(disks_.size() + dice_.below(2), 6);
    const auto snapshot_intervals = std::vector<std::uint64_t>{3, 16, 2048};
    const auto flush_intervals = std::vector<std::chrono::milliseconds>{0ms, 4ms, 50ms};
    for (std::size_t i = 0; i < count; ++i) {
        ProcessSetup setup;
        setup.host = "p" + std::to_string(i);
        // One more process than disks: two share one.
        setup.disk = i % disks_.size();
        setup.skew = dice_.chance(50)
                         ? WallTime(0)
                         : WallTime(static_cast<std::int64_t>(dice_.below(200000)) - 100000);
        setup.flush_interval = dice_.pick(flush_intervals);
        setup.snapshot_interval = dice_.pick(snapshot_intervals);
        setup.random_seed = dice_.next();
        setup.may_be_put_back = options_.puts_back;
        setup.may_meet_forks = options_.equivocates;
        if (options_.has_authority && setup.disk == 0) {
            setup.judge = [](const Proposal& proposal) {
                return judge(proposal.change.actor, proposal.change.seq);
            };
        }
        // All hang together; a few links more make rings.
        if (i != 0) setup.dials.push_back("mem://p" + std::to_string(dice_.below(i)));
        if (i > 1 && dice_.chance(40)) {
            setup.dials.push_back("mem://p" + std::to_string(dice_.below(i)));
        }
        const std::string host = setup.host;
        const Disk& owner = disks_[setup.disk];
        persist::MemoryDisk& disk = *owner.disk;
        processes_.push_back(std::make_unique<Process>(
            std::move(setup), now_, disk, *network_, [this, host, &owner](const std::string& what) {
                // On a broken disk nothing works until it is mended.
                if (owner.is_broken && what.ends_with(kBroken)) return;
                if (some_disk_is_broken() && what.ends_with(kRefused)) {
                    return;
                }
                fail_with(host + ": " + what);
            }));
    }
}

bool World::some_disk_is_broken() const {
    return std::ranges::any_of(disks_, [](const Disk& disk) { return disk.is_broken; });
}

std::vector<Process*> World::living() {
    std::vector<Process*> out;
    for (const auto& process : processes_) {
        if (process->is_alive()) out.push_back(process.get());
    }
    return out;
}

void World::note(std::string text) {
    trace_.add(text);
    notes_.push_back(std::to_string(now_.count() / 1000) + " us: " + std::move(text));
    if (notes_.size() > kNotesMax) notes_.pop_front();
}

void World::fail_with(const std::string& text) {
    if (has_failed()) return;
    fault_ = text + "\nthe last that happened:\n";
    for (const std::string& line : notes_)
        fault_ += "  " + line + "\n";
}

std::optional<std::string> World::judge(const ActorId& actor, std::uint64_t seq) {
    const bool is_bad = (actor.bytes[0] + seq) % 3 == 0;
    return is_bad ? std::optional<std::string>("no") : std::nullopt;
}

// --- Trouble -------------------------------------------------------------------------------------

void World::run() {
    for (const auto& process : processes_)
        start(*process);
    if (options_.has_authority && !has_failed()) {
        judged_id_ = authority_id("judged", processes_.front()->core().device());
        document_ids_.push_back(judged_id_);
    }
    const std::size_t rounds = 2 + dice_.below(3);
    for (std::size_t round = 0; round < rounds && !has_failed(); ++round) {
        const std::size_t steps = 200 + dice_.below(800);
        for (std::size_t i = 0; i < steps && !has_failed(); ++i)
            step();
        checkpoint(round + 1 == rounds);
    }
}

void World::step() {
    const std::size_t what = dice_.below(1000);
    if (what < 140) return edit();
    if (what < 240) return advance(Now(dice_.below(20'000'000)));
    if (what < 265) return make_trouble();
    if (what < 267) return advance(std::chrono::seconds(dice_.below(40)));
    if (!run_something()) advance(Now(dice_.below(5'000'000)));
}

bool World::run_something() {
    // What a host hears, or one of its threads: all that may come next.
    std::vector<std::pair<Process*, SimStrand*>> due;
    for (const auto& process : processes_) {
        for (SimStrand& strand : process->strands()) {
            if (strand.is_due()) due.emplace_back(process.get(), &strand);
        }
    }
    const auto pending = network_->pending();
    std::vector<std::size_t> arriving;
    for (std::size_t i = 0; i < pending.size(); ++i) {
        if (!blocked_.contains({std::string(pending[i].from), std::string(pending[i].to)})) {
            arriving.push_back(i);
        }
    }
    if (due.empty() && arriving.empty()) return false;
    const std::size_t chosen = dice_.below(due.size() + arriving.size());
    if (chosen < due.size()) {
        const auto [process, strand] = due[chosen];
        strand->run_one();
        if (process->is_alive() && strand == &process->writer_strand()) note_frontiers(*process);
        return true;
    }
    const std::size_t index = arriving[chosen - due.size()];
    const transport::Delivery& delivery = pending[index];
    ++counts_.deliveries;
    trace_.add(delivery.message);
    note("deliver kind " + std::to_string(static_cast<int>(delivery.kind)) + " link " +
         std::to_string(static_cast<std::uint64_t>(delivery.link)) + " " +
         std::string(delivery.from) + " > " + std::string(delivery.to) + ", " +
         std::to_string(delivery.size) + " bytes");
    network_->deliver(index);
    return true;
}

void World::advance(Now by) { now_ += by; }

void World::edit() {
    const auto alive = living();
    if (alive.empty()) return;
    Process& process = *dice_.pick(alive);
    Process::Watched* const document = process.open(dice_.pick(document_ids_), true);
    if (document == nullptr) return;
    if (dice_.chance(30)) return write_live(process, *document);
    if (equivocator_ != nullptr && dice_.chance(15)) return lie(*document);
    test::Dice edit_dice(dice_.next());
    const auto receipt =
        document->core->transact([&](Tx& tx) { return test::edit_randomly(edit_dice, tx); },
                                 dice_.chance(10) ? "message" : "");
    if (!receipt) {
        if (receipt.error().code == Errc::conflict) return;
        return fail_with(process.setup().host +
                         ": an edit failed: " + std::string(receipt.error().what));
    }
    if (!receipt->changed) return;
    ++counts_.edits;
    disk_of_[receipt->actor] = process.setup().disk;
    note("edit at " + process.setup().host + " of " + document->core->id() + ": " +
         to_hex(receipt->actor.view()).substr(0, 8) + "@" + std::to_string(receipt->seq));
    if (!receipts_.insert({document->core->id(), receipt->actor, receipt->seq}).second) {
        fail_with("an actor gave one seq twice");
    }
}

void World::write_live(Process& process, Process::Watched& document) {
    static const std::vector<std::string> kPaths{"/m", "/n", "/a", "/map/m", "/list/0/m"};
    const std::string& path = dice_.pick(kPaths);
    const Value value(static_cast<std::int64_t>(dice_.below(1000)));
    const bool clears = dice_.chance(10);
    Result<void> done;
    if (const auto slot = document.core->live_slot(path)) {
        done = document.core->write_live(slot->map, slot->key, clears ? nullptr : &value);
    } else {
        done = slot.error();
    }
    if (done) {
        ++counts_.live_writes;
        return note("live value at " + process.setup().host + " of " + document.core->id() + path);
    }
    // Other edits left no such map there, or put something over it.
    const Errc code = done.error().code;
    if (code == Errc::not_found || code == Errc::conflict || code == Errc::malformed) return;
    fail_with("a live value was refused: " + std::string(done.error().what));
}

bool World::is_honest(const ActorId& actor) const {
    return equivocator_ == nullptr || equivocator_->actor() != actor;
}

void World::lie(Process::Watched& document) {
    test::Dice lie_dice(dice_.next());
    const auto told = equivocator_->lie_to(
        *document.core, lie_dice, WallTime(1'700'000'000'000 + now_.count() / 1'000'000));
    note("lie about " + document.core->id());
    ++counts_.lies;
    // To see what it builds on, the victim may have to read its disk.
    if (!told && told.error().code != Errc::io)
        fail_with("a lie was refused: " + std::string(told.error().what));
}

void World::make_trouble() {
    const std::size_t what = dice_.below(100);
    if (what < 45) return trouble_network();
    if (what < 65) return trouble_disk();
    Process& process = *processes_[dice_.below(processes_.size())];
    if (!process.is_alive()) return start(process);
    if (what < 75) return crash(process.setup().disk);
    if (what < 83) {
        note("kill " + process.setup().host);
        ++counts_.crashes;
        return process.kill();
    }
    if (what < 90) return stop(process);
    note("set the clock of " + process.setup().host);
    process.clock().set_skew(
        WallTime(static_cast<std::int64_t>(dice_.below(10'000'000)) - 5'000'000));
}

void World::trouble_network() {
    const std::string& a = dice_.pick(processes_)->setup().host;
    const std::string& b = dice_.pick(processes_)->setup().host;
    switch (dice_.below(7)) {
        case 6: return sync_once();
        case 0:
            note("cut " + a + " - " + b);
            counts_.cuts += network_->cut_between(a, b);
            break;
        case 1: {
            const auto pending = network_->pending();
            if (pending.empty()) return;
            const std::size_t index = dice_.below(pending.size());
            note("lose " + std::to_string(pending[index].sequence));
            if (network_->drop(index)) ++counts_.cuts;
            break;
        }
        case 2:
        case 3:
            if (a == b) return;
            note("part " + a + " - " + b);
            blocked_.insert({a, b});
            blocked_.insert({b, a});
            break;
        case 4:
            if (a == b) return;
            note("nothing goes from " + a + " to " + b);
            blocked_.insert({a, b});
            break;
        default:
            note("heal");
            blocked_.clear();
            break;
    }
}

/// An app asks for one exchange, with a time limit that is often too short.
void World::sync_once() {
    const auto alive = living();
    if (alive.empty()) return;
    Process& process = *dice_.pick(alive);
    const std::string url = "mem://" + dice_.pick(processes_)->setup().host;
    const std::chrono::milliseconds limit(1 + dice_.below(dice_.chance(50) ? 30 : 5000));
    note("sync " + process.setup().host + " with " + url);
    ++counts_.syncs;
    process.engine().links().sync(url, {}, limit, [this](const Result<SyncReport>& report) {
        ++counts_.syncs_answered;
        note(report ? "synced" : "not synced: " + std::string(report.error().what));
    });
}

void World::trouble_disk() {
    Disk& disk = disks_[dice_.below(disks_.size())];
    switch (dice_.below(disks_lie_ ? 6 : 3)) {
        case 0:
            note("fail a put");
            disk.disk->fail_put(1 + dice_.below(6));
            break;
        case 1:
            note("fail a commit");
            disk.disk->fail_commit(1 + dice_.below(2));
            break;
        case 2:
            note("fail to sync");
            disk.disk->fail_syncs(true);
            disk.is_broken = true;
            break;
        default:
            note("sync");
            disk.disk->sync();
            break;
    }
}

void World::crash(std::size_t disk) {
    note("crash disk " + std::to_string(disk));
    disks_[disk].disk->crash();
    for (const auto& process : processes_) {
        if (process->setup().disk != disk || !process->is_alive()) continue;
        ++counts_.crashes;
        process->drop();
    }
}

void World::start(Process& process) {
    Disk& disk = disks_[process.setup().disk];
    // A disk that was mended; what it broke stays broken until it is opened again.
    disk.disk->fail_put(0);
    disk.disk->fail_commit(0);
    disk.disk->fail_syncs(false);
    note("start " + process.setup().host);
    process.start();
    if (process.is_alive()) check_start(process);
}

/// Ends a process in order: it stores what is pending, then closes.
void World::stop(Process& process) {
    note("stop " + process.setup().host);
    bool is_stored = false;
    process.engine().writer().flush(
        [&](const Result<void>& result) { is_stored = result.has_value(); });
    while (process.writer_strand().is_due())
        process.writer_strand().run_one();
    note_frontiers(process);
    if (is_stored) {
        process.close();
        Disk& disk = disks_[process.setup().disk];
        const auto uses_it = [&](const Process* one) {
            return one->setup().disk == process.setup().disk;
        };
        if (options_.puts_back && std::ranges::none_of(living(), uses_it)) {
            disk.image = disk.disk->clone();
        }
    } else {
        process.kill();
    }
}

}  // namespace joinery::sim
