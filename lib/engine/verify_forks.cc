#include "engine/verify_forks.h"

#include "crdt/seed.h"

#include <algorithm>
#include <set>
#include <vector>

namespace joinery::detail {
namespace {

using NodeIndex = ForkedLog::NodeIndex;

}  // namespace

ForkedCheck::ForkedCheck(CheckScope& scope, std::string id, const DocumentRecord& record)
    : scope_(scope), id_(std::move(id)), record_(record), log_(id_, crdt::Names()) {}

Result<void> ForkedCheck::run() {
    JOINERY_TRY_VOID(walk_log());
    check_counters();
    JOINERY_TRY_VOID(check_snapshots());
    if (is_whole_) {
        const auto shown = log_.document().show();
        if (shown) {
            scope_.report.replayed_count += log_.stored_count();
        } else {
            add("log",
                "",
                std::string(shown.error().what) + ", so that replay fails",
                remedy_for(shown.error()));
        }
    }
    JOINERY_TRY_VOID(check_index());
    JOINERY_TRY_VOID(check_seals());
    add_forks();
    return {};
}

// --- The log -------------------------------------------------------------------------------------

Result<void> ForkedCheck::walk_log() {
    TableScan scan(scope_, Table::log, document_prefix(record_.number));
    while (true) {
        JOINERY_TRY(const auto item, scan.next());
        if (!item) break;
        if (is_whole_) is_whole_ = check_item(*item);
        if (scope_.options.progress) {
            scope_.options.progress({scope_.report.change_count, scope_.change_total, id_});
        }
    }
    if (!is_whole_) return {};
    close_flush();
    if (log_.stored_count() < record_.change_count) {
        add("log",
            arrival_name(log_.stored_count() + 1),
            "changes are missing, to " + arrival_name(record_.change_count),
            kRemedyReplace);
        is_whole_ = false;
    }
    return {};
}

bool ForkedCheck::check_item(const TableScan::Item& item) {
    const auto refuse = [&](const std::string& what, const char* remedy) {
        add("log", arrival_name(log_.stored_count() + 1), what, remedy);
        return false;
    };
    const auto arrival = arrival_of(item.key, record_.number);
    if (!arrival) {
        add("log", "", "a record's key is no segment's", kRemedyLeftover);
        return true;
    }
    if (*arrival >= record_.change_count) {
        add("log",
            arrival_name(*arrival + 1),
            "a segment lies behind the last change that the document counts",
            kRemedyReplace);
        return true;
    }
    if (*arrival > log_.stored_count()) {
        return refuse("changes are missing, to " + arrival_name(*arrival), kRemedyReplace);
    }
    if (*arrival < log_.stored_count()) {
        return refuse("a segment overlaps the one before it", kRemedyReplace);
    }
    if (!item.value) return refuse("the segment fails its checksum", kRemedyReplace);
    size_ += item.value->size();
    const auto segment =
        decode_stored_segment({item.key, *item.value}, record_.number, log_.document().names());
    if (!segment) return refuse(std::string(segment.error().what), remedy_for(segment.error()));
    return take_segment(*segment);
}

bool ForkedCheck::take_segment(const DecodedSegment& segment) {
    const auto links = segment_links(log_.document().names(), segment);
    const std::uint64_t before = log_.stored_count();
    const auto taken = links ? log_.take(segment, *links) : Result<void>(links.error());
    if (!taken) {
        add("log",
            arrival_name(segment.arrival + 1),
            std::string(taken.error().what) + ", so that the check of the log ends here",
            remedy_for(taken.error()));
        return false;
    }
    if (segment.record.starts_flush) close_flush();
    std::set<ActorId> begun;
    for (std::uint64_t arrival = before + 1; arrival <= log_.stored_count(); ++arrival) {
        const NodeIndex index = log_.stored_at(arrival);
        const ActorId& key = log_.key_of(index);
        if (begun.insert(key).second) {
            starts_[{key, log_.node(index).seq}] = segment.arrival;
        }
        in_flush_[key] = index;
    }
    scope_.report.change_count += segment.record.change_count;
    return true;
}

void ForkedCheck::close_flush() {
    for (const auto& [key, index] : in_flush_)
        sealed_[{key, log_.node(index).seq}] = index;
    in_flush_.clear();
}

void ForkedCheck::check_counters() {
    if (record_.snapshot_count != 0) {
        add("documents",
            "",
            "it names a snapshot, but a document with forks has none",
            kRemedyReplace);
    }
    if (!is_whole_) return;
    const auto check = [&](std::uint64_t counted, std::uint64_t found, const std::string& of) {
        if (counted == found) return;
        add("documents",
            "",
            "it counts " + std::to_string(counted) + " " + of + ", but the log has " +
                std::to_string(found),
            kRemedyReplace);
    };
    check(record_.stored_size, size_, "bytes of segments");
    check(record_.branch_count, log_.branch_count(), "branches");
}

Result<void> ForkedCheck::check_snapshots() {
    TableScan scan(scope_, Table::snapshots, document_prefix(record_.number));
    while (true) {
        JOINERY_TRY(const auto item, scan.next());
        if (!item) return {};
        const auto arrival = arrival_of(item->key, record_.number);
        add("snapshots",
            arrival ? arrival_name(*arrival) : "",
            "a document with forks does not use it",
            kRemedyLeftover);
    }
}

// --- Index and seals -----------------------------------------------------------------------------

Result<void> ForkedCheck::check_index() {
    const std::vector<IndexEntry> wanted(starts_.begin(), starts_.end());
    return detail::check_index(
        scope_, id_, record_.number, wanted, [this](std::uint64_t) { return !is_whole_; });
}

Result<void> ForkedCheck::check_seals() {
    std::set<ChainKey> found;
    std::map<ActorId, std::uint64_t> newest;
    for (const auto& [key, index] : sealed_)
        newest[key.chain] = std::max(newest[key.chain], key.seq);
    TableScan scan(scope_, Table::seals, document_prefix(record_.number));
    while (true) {
        JOINERY_TRY(const auto item, scan.next());
        if (!item) break;
        const auto at = chain_key(item->key, record_.number);
        if (!at) {
            add("seals", "", "a record's key is not of its form", kRemedyLeftover);
            continue;
        }
        found.insert(*at);
        ++scope_.report.seal_count;
        check_seal(*at, *item, newest[at->chain] == at->seq);
    }
    for (const auto& [key, index] : sealed_) {
        if (found.contains(key)) continue;
        add("seals",
            change_name(key.chain, key.seq),
            "it is missing, so that peers refuse the changes up to it",
            kRemedyReplace);
    }
    return {};
}

void ForkedCheck::check_seal(const ChainKey& at, const TableScan::Item& item, bool is_newest) {
    const std::string name = change_name(at.chain, at.seq);
    const auto refuse = [&](const std::string& what, const char* remedy) {
        add("seals", name, what, remedy);
    };
    if (!item.value) return refuse("it fails its checksum", kRemedyReplace);
    const auto seal = decode_seal(*item.value);
    if (!seal) {
        return refuse("it does not decode: " + std::string(seal.error().what),
                      remedy_for(seal.error()));
    }
    const auto sealed = sealed_.find(at);
    if (sealed == sealed_.end()) {
        if (is_whole_) refuse("no flush of the log ends there", kRemedyReplace);
        return;
    }
    const auto& change = log_.node(sealed->second);
    const crdt::ForkedDocument& document = log_.document();
    const ActorId& actor = document.names().actor(change.actor);
    if (seal->seq != at.seq || crdt::actor_of(seal->proof) != actor) {
        return refuse("it is another change's", kRemedyReplace);
    }
    // Those before it are vouched for by the newest; but of a fork each branch's first is proof.
    const bool is_proof = document.is_forked(change.actor);
    if (!is_newest && !is_proof && !scope_.options.deep) return;
    ++scope_.report.verified_seal_count;
    if (!crdt::check_seal(*seal, id_, change.hash)) {
        return refuse("the signature is not its device's over the hash of that change",
                      kRemedyReplace);
    }
    if (crdt::is_seed(seal->proof)) {
        const auto seed =
            crdt::check_seed(document.names(), document.history(), change.change, seal->proof, id_);
        if (!seed) return refuse(std::string(seed.error().what), kRemedyReplace);
    }
    sound_seals_.emplace(sealed->second, *seal);
}

void ForkedCheck::add_forks() {
    const auto seal_of = [&](NodeIndex index) -> std::optional<crdt::Seal> {
        const auto seal = sound_seals_.find(index);
        if (seal == sound_seals_.end()) return std::nullopt;
        return seal->second;
    };
    for (Fork& fork : log_.forks(seal_of))
        scope_.report.forks.push_back({id_, std::move(fork)});
}

// --- Helpers -------------------------------------------------------------------------------------

void ForkedCheck::add(const char* where, std::string change, std::string what, const char* remedy) {
    scope_.add({where, id_, std::move(change), std::move(what), remedy});
}

}  // namespace joinery::detail
