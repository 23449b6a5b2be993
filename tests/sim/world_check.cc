// What must hold: at every start, after every commit, and whenever the world has come to rest.

#include "engine/history.h"
#include "joinery/verify.h"
#include "sim/world.h"

#include <algorithm>

namespace joinery::sim {
namespace {

/// After the end of all trouble, so long at most until nothing moves any more.
constexpr std::chrono::minutes kSettleTime{10};

std::array<std::uint8_t, 16> prefix_of(const ChangeHash& hash) {
    std::array<std::uint8_t, 16> prefix{};
    std::ranges::copy(std::span(hash.bytes).first(prefix.size()), prefix.begin());
    return prefix;
}

}  // namespace

/// What a process says of itself after a commit: no (actor, seq) has two hashes, ever.
void World::note_frontiers(Process& process) {
    Disk& disk = disks_[process.setup().disk];
    for (const auto& [id, watched] : process.documents()) {
        for (const session::FrontierEntry& entry : watched.core->durable_frontier()) {
            const auto [at, is_new] =
                hashes_.emplace(ChangeName{id, entry.actor, entry.seq}, entry.hash_prefix);
            if (is_honest(entry.actor) && !is_new && at->second != entry.hash_prefix) {
                fail_with(process.setup().host + ": one seq of an actor has two hashes in " + id);
            }
            std::uint64_t& durable = disk.durable[{id, entry.actor}];
            durable = std::max(durable, entry.seq);
        }
    }
}

/// What was said to be durable is still there when a process starts.
void World::check_start(Process& process) {
    Disk& disk = disks_[process.setup().disk];
    if (disks_lie_) {
        disk.durable.clear();
        return note_frontiers(process);
    }
    for (const auto& [name, seq] : disk.durable) {
        const auto document = process.documents().find(name.first);
        bool is_there = document != process.documents().end();
        if (is_there) {
            const auto frontier = document->second.core->durable_frontier();
            is_there = std::ranges::any_of(frontier, [&](const session::FrontierEntry& entry) {
                return entry.actor == name.second && entry.seq >= seq;
            });
        }
        if (!is_there) {
            return fail_with(process.setup().host + ": what was durable is gone from " +
                             name.first);
        }
    }
    note_frontiers(process);
}

void World::checkpoint(bool is_last) {
    if (has_failed()) return;
    note("checkpoint");
    ++counts_.checkpoints;
    heal();
    run_until_quiet();
    for (std::size_t i = 0; i < disks_.size() && !has_failed(); ++i)
        put_back(i);
    if (has_failed()) return;
    check_equal();
    check_judged();
    for (std::size_t i = 0; i < disks_.size() && !has_failed(); ++i)
        check_log(i);
    if (is_last && !has_failed()) reopen_all();
    trace_disks();
}

void World::heal() {
    blocked_.clear();
    for (Disk& disk : disks_) {
        disk.disk->fail_put(0);
        disk.disk->fail_commit(0);
        disk.disk->fail_syncs(false);
    }
    for (const auto& process : processes_) {
        const bool is_broken = disks_[process->setup().disk].is_broken;
        if (is_broken && process->is_alive()) process->kill();
    }
    for (Disk& disk : disks_)
        disk.is_broken = false;
    for (const auto& process : processes_) {
        if (!process->is_alive()) start(*process);
    }
}

/// What ended with its process before it was stored never was anywhere: a process that is put back
/// may give its number again.
void World::forget_lost_receipts() {
    std::map<std::pair<std::string, ActorId>, std::uint64_t> known;
    for (const auto& process : processes_) {
        for (const auto& [id, watched] : process->documents()) {
            for (const session::FrontierEntry& entry : watched.core->frontier()) {
                std::uint64_t& seq = known[{id, entry.actor}];
                seq = std::max(seq, entry.seq);
            }
        }
    }
    const auto is_lost = [&](const ChangeName& name) {
        const auto& [id, actor, seq] = name;
        const auto at = known.find({id, actor});
        return at == known.end() || at->second < seq;
    };
    std::erase_if(receipts_, is_lost);
    // A disk that lied lost it; the actor was retired for that, and is not where it is put back.
    std::erase_if(hashes_, [&](const auto& entry) { return is_lost(entry.first); });
}

/// All peers have everything, so what a disk forgets now comes back from others: its own changes
/// too, whose numbers must not be given twice.
void World::put_back(std::size_t index) {
    Disk& disk = disks_[index];
    if (disk.image == nullptr) return;
    note("put back disk " + std::to_string(index));
    ++counts_.put_backs;
    forget_lost_receipts();
    std::vector<Process*> users;
    std::size_t incarnation_count = 0;
    for (const auto& process : processes_) {
        if (process->setup().disk != index) continue;
        process->close();
        users.push_back(process.get());
    }
    disk.disk->put_back(*disk.image);
    disk.image.reset();
    disk.durable.clear();
    for (Process* const process : users) {
        start(*process);
        if (has_failed()) return;
        incarnation_count = process->core().store().incarnation_changes()->size();
    }
    run_until_quiet();
    if (has_failed()) return;
    counts_.renewals +=
        users.front()->core().store().incarnation_changes()->size() - incarnation_count;
}

bool World::is_quiet() {
    if (!network_->pending().empty()) return false;
    for (const auto& process : processes_) {
        for (SimStrand& strand : process->strands()) {
            if (strand.is_due()) return false;
        }
        if (process->core().has_pending() || process->core().others_wrote()) return false;
        const auto links = process->engine().links().status();
        const auto is_done = [](const LinkStatus& link) {
            return link.state == LinkState::online && link.in_step;
        };
        if (!std::ranges::all_of(links, is_done)) return false;
    }
    return counts_.syncs == counts_.syncs_answered;
}

void World::run_until_quiet() {
    const Now deadline = now_ + kSettleTime;
    while (!has_failed()) {
        if (run_something()) continue;
        if (is_quiet()) return;
        if (now_ > deadline) return fail_with("the world does not come to rest: " + differing());
        std::optional<Now> next;
        for (const auto& process : processes_) {
            for (SimStrand& strand : process->strands()) {
                const auto timer = strand.next_timer();
                if (timer && (!next || *timer < *next)) next = timer;
            }
        }
        if (!next) return fail_with("nothing is to happen any more: " + differing());
        now_ = std::max(now_, *next);
    }
}

std::string World::differing() const {
    std::string out;
    for (const auto& process : processes_) {
        out += "\n  " + process->setup().host + ":";
        if (process->core().has_pending()) out += " changes are pending;";
        for (const LinkStatus& link : process->engine().links().status()) {
            out += " " + link.url + " " + std::string(link_state_name(link.state)) +
                   (link.in_step ? " in step" : " not in step") + " " + link.error + ";";
        }
        for (const auto& [id, watched] : process->documents()) {
            const auto status = watched.core->status();
            out += " " + id + " " + std::to_string(status->change_count) + " changes " +
                   to_hex(status->digest.view()).substr(0, 8) + ";";
        }
    }
    return out;
}

void World::check_equal() {
    if (counts_.syncs != counts_.syncs_answered) fail_with("a sync was answered twice");
    for (const auto& process : processes_) {
        process->open_all();
        const auto alarms = process->engine().links().divergence_count();
        if (alarms != 0) fail_with(process->setup().host + ": divergence alarm");
    }
    for (const std::string& id : document_ids_) {
        std::optional<Digest> digest;
        std::optional<Plain> view;
        std::optional<crdt::LiveHash> live;
        for (const auto& process : processes_) {
            const auto at = process->documents().find(id);
            if (at == process->documents().end()) continue;
            const auto status = at->second.core->status();
            const auto read = at->second.core->read("");
            if (!status || !read) return fail_with("a document cannot be read");
            if (status->pending_count != 0) fail_with(process->setup().host + ": pending changes");
            if (!digest) {
                digest = status->digest;
                view = *read;
                live = at->second.core->live_state().hash;
                counts_.live_shown += status->live_count;
                counts_.changes += status->change_count;
                counts_.forks += status->forks.size();
                trace_.add(digest->view());
            }
            if (status->digest != *digest) fail_with(id + ": digests differ" + differing());
            if (at->second.core->live_state().hash != *live) {
                fail_with(id + ": live values differ" + differing());
            }
            if (*read != *view) fail_with(id + ": equal digests, unequal views");
            if (at->second.copy != *read) {
                fail_with(process->setup().host + ": who follows the patches of " + id +
                          " sees something else");
            }
        }
    }
}

/// Whatever happened to it, the authority let stand what it is to let stand and nothing else, and
/// authors know it (rules U2, U3 and U7).
void World::check_judged() {
    if (judged_id_.empty() || has_failed()) return;
    Process& first = *processes_.front();
    // A disk that lied may have lost the device's key with the rest.
    if (authority_of(judged_id_) != first.core().device()) return;
    const auto judged = first.documents().find(judged_id_);
    if (judged == first.documents().end()) return;
    const auto log = judged->second.core->log(SIZE_MAX, Version::none());
    if (!log) return fail_with("the log cannot be read: " + std::string(log.error().what));
    std::set<std::pair<ActorId, std::uint64_t>> refused;
    for (const ChangeInfo& change : *log) {
        if (change.refused) refused.emplace(change.refused->actor, change.refused->seq);
    }
    counts_.refused += refused.size();
    for (const ChangeInfo& change : *log) {
        const auto disk = disk_of_.find(change.actor);
        const bool is_own = disk != disk_of_.end() ? disk->second == 0 : is_honest(change.actor);
        const bool is_refused =
            refused.contains({change.branch.value_or(change.actor), change.seq});
        if (is_refused != (!is_own && judge(change.actor, change.seq).has_value())) {
            return fail_with("change " + std::to_string(change.seq) + " of " +
                             to_hex(change.actor.view()).substr(0, 8) +
                             (is_refused ? " was refused" : " was let stand"));
        }
    }
    if (options_.equivocates) return;
    for (const auto& process : processes_) {
        const auto document = process->documents().find(judged_id_);
        if (document == process->documents().end()) continue;
        for (const auto& [id, actor, seq] : receipts_) {
            if (id != judged_id_ || disk_of_[actor] != process->setup().disk) continue;
            const auto status = document->second.core->change_status({actor, seq});
            if (!status) continue;  // A disk that lied lost it.
            const bool is_rejected = status->state == ChangeState::rejected;
            if (is_rejected) ++counts_.rejected;
            if (is_rejected != refused.contains({actor, seq})) {
                return fail_with(process->setup().host + ": a receipt says " +
                                 std::string(change_state_name(status->state)));
            }
        }
    }
}

/// Every change in a disk's log has the hash that it has in all others, and had before.
void World::check_log(std::size_t index) {
    const auto process =
        std::ranges::find(processes_, index, [](const auto& one) { return one->setup().disk; });
    if (process == processes_.end()) return;
    const auto reader = (*process)->core().store().read();
    if (!reader) return fail_with("a store cannot be read");
    for (const auto& [id, watched] : (*process)->documents()) {
        const auto bytes = (*reader)->get(Table::documents, detail::document_key(id));
        if (!bytes || !*bytes) continue;
        const auto record = detail::decode_document_record(**bytes);
        if (!record) return fail_with("a document's record is damaged");
        crdt::Names names;
        detail::History history(**reader, record->number, names);
        const auto done = history.for_each(
            0, record->change_count, [&](detail::DecodedSegment& segment) -> Result<bool> {
                JOINERY_TRY(const auto hashes, detail::segment_hashes(names, segment));
                for (std::size_t i = 0; i < hashes.size(); ++i) {
                    const crdt::ChangeHeader& change = segment.batch.changes[i];
                    const auto [at, is_new] =
                        hashes_.emplace(ChangeName{id, names.actor(change.chain), change.seq},
                                        prefix_of(hashes[i]));
                    if (is_honest(names.actor(change.chain)) &&
                        at->second != prefix_of(hashes[i])) {
                        fail_with("the log of " + id + " has a change with another hash");
                    }
                }
                return true;
            });
        if (!done) fail_with("the log of " + id + ": " + std::string(done.error().what));
    }
}

/// Closed and opened again, every document is what it was.
void World::reopen_all() {
    for (const auto& process : processes_) {
        std::map<std::string, Digest> before;
        std::map<std::string, crdt::LiveHash> live_before;
        for (const auto& [id, watched] : process->documents()) {
            before[id] = watched.core->status()->digest;
            live_before[id] = watched.core->live_state().hash;
        }
        process->close();
        start(*process);
        if (has_failed()) return;
        check_store(*process);
        for (const auto& [id, watched] : process->documents()) {
            const auto status = watched.core->status();
            if (status->digest != before[id]) {
                return fail_with(process->setup().host + ": " + id + " opens as something else");
            }
            if (watched.core->live_state().hash != live_before[id]) {
                return fail_with(process->setup().host + ": " + id +
                                 " opens with other live values");
            }
            Version all;
            all.form = Version::Form::arrival;
            all.arrival = status->change_count;
            const auto replayed = watched.core->read_at(all, "");
            if (!replayed || *replayed != *watched.core->read("", Lanes::logged)) {
                return fail_with(process->setup().host + ": " + id + " replays as something else");
            }
        }
    }
}

/// Whatever happened to it, a store holds nothing that contradicts itself.
void World::check_store(Process& process) {
    VerifyOptions options;
    options.deep = true;
    const auto report = verify_store(process.core().store(), options);
    if (!report) return fail_with(process.setup().host + ": " + std::string(report.error().what));
    if (!report->is_sound()) {
        fail_with(process.setup().host + ": " + describe(report->damages.front()));
    }
}

void World::trace_disks() {
    for (const auto& process : processes_) {
        if (!process->is_alive()) continue;
        const auto reader = process->core().store().read();
        if (!reader) return fail_with("a store cannot be read");
        for (std::size_t table = 0; table < kTableCount; ++table) {
            Bytes key;
            while (true) {
                const auto found = (*reader)->first_at_or_after(static_cast<Table>(table), key);
                if (!found || !*found) break;
                trace_.add((*found)->key);
                trace_.add((*found)->value);
                key.assign((*found)->key.begin(), (*found)->key.end());
                key.push_back(0);
            }
        }
    }
}

}  // namespace joinery::sim
