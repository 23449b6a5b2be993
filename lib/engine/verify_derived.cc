// The part of DocumentCheck that looks at what was made from the log: snapshot, index, seals.

#include "crdt/seed.h"
#include "crdt/snapshot.h"
#include "engine/verify_document.h"

#include <algorithm>

namespace joinery::detail {
namespace {

/// The last seq and hash of every actor.
bool have_equal_heads(const crdt::Document& a, const crdt::Document& b) {
    if (a.graph().change_count() != b.graph().change_count()) return false;
    for (crdt::ChainIndex chain = 0; chain < a.names().actor_count(); ++chain) {
        const std::uint64_t last = a.graph().last_seq(chain);
        const crdt::ChainIndex other = b.names().find_actor(a.names().actor(chain));
        const std::uint64_t other_last = other == crdt::kNone ? 0 : b.graph().last_seq(other);
        if (last != other_last) return false;
        if (last != 0 && a.graph().tip_hash(chain) != b.graph().tip_hash(other)) return false;
    }
    return true;
}

}  // namespace

// --- Snapshot ------------------------------------------------------------------------------------

void DocumentCheck::compare_snapshot() {
    const auto bytes =
        scope_.reader.get(Table::snapshots, snapshot_key(record_.number, record_.snapshot_count));
    if (!bytes || !*bytes) return;  // check_snapshots() says so.
    is_compared_ = true;
    const Bytes made = crdt::encode_snapshot(*document_);
    if (std::ranges::equal(made, **bytes)) {
        is_snapshot_sound_ = true;
        ++scope_.report.snapshot_count;
        return;
    }
    const auto loaded = crdt::decode_snapshot(**bytes);
    const bool is_newer = !loaded && loaded.error().code == Errc::unsupported;
    add("snapshots",
        arrival_name(record_.snapshot_count),
        snapshot_fault(loaded),
        loaded ? kRemedyIndex : (is_newer ? kRemedyUpdate : kRemedySnapshot));
}

std::string DocumentCheck::snapshot_fault(
    const Result<std::unique_ptr<crdt::Document>>& loaded) const {
    if (!loaded) return "it does not decode: " + std::string(loaded.error().what);
    if ((*loaded)->id() != id_) return "it is another document's";
    if (!have_equal_heads(*document_, **loaded)) return "its heads are not those of the log there";
    if ((*loaded)->digest() != document_->digest()) {
        return "its state is not what replaying the log gives";
    }
    return "it is not what replaying the log gives, though it shows the same";
}

Result<void> DocumentCheck::check_snapshots() {
    bool is_there = false;
    TableScan scan(scope_, Table::snapshots, prefix());
    while (true) {
        JOINERY_TRY(const auto item, scan.next());
        if (!item) break;
        const auto arrival = arrival_of(item->key, record_.number);
        if (!arrival || *arrival != record_.snapshot_count || *arrival == 0) {
            add("snapshots",
                arrival ? arrival_name(*arrival) : "",
                "the document does not use it",
                kRemedyLeftover);
            continue;
        }
        is_there = true;
        if (!item->value) {
            add("snapshots", arrival_name(*arrival), "it fails its checksum", kRemedySnapshot);
        } else if (!is_compared_) {
            // The log does not reach it; that it can be read is what is left to see.
            const auto loaded = crdt::decode_snapshot(*item->value);
            if (loaded) continue;
            add("snapshots",
                arrival_name(*arrival),
                "it does not decode: " + std::string(loaded.error().what),
                remedy_for(loaded.error()));
        }
    }
    if (!is_there && record_.snapshot_count != 0) {
        add("snapshots", arrival_name(record_.snapshot_count), "it is missing", kRemedySnapshot);
    }
    return {};
}

void DocumentCheck::check_opening() {
    if (!is_replaying_ || !is_snapshot_sound_) return;
    const auto opened =
        load_document(scope_.reader, id_, record_, [this](const ActorId& actor, std::uint64_t seq) {
            return hash_at(actor, seq);
        });
    const auto fault = opened ? opened->snapshot_fault : std::optional(opened.error());
    if (fault) {
        add("snapshots",
            arrival_name(record_.snapshot_count),
            "opening the document from it fails: " + std::string(fault->what),
            kRemedyIndex);
    } else if (opened->document->digest() != document_->digest()) {
        add("snapshots",
            arrival_name(record_.snapshot_count),
            "opening the document from it gives another digest than replaying the log",
            kRemedyIndex);
    }
}

// --- Index ---------------------------------------------------------------------------------------

Result<void> DocumentCheck::check_index() {
    std::vector<IndexEntry> wanted;
    for (crdt::ChainIndex index = 0; index < chains_.size(); ++index) {
        for (const Chain::Start& start : chains_[index].starts)
            wanted.push_back({{document_->names().actor(index), start.seq}, start.arrival});
    }
    std::ranges::sort(wanted);
    return detail::check_index(scope_, id_, record_.number, wanted, [this](std::uint64_t arrival) {
        return is_unreadable(arrival);
    });
}

// --- Seals ---------------------------------------------------------------------------------------

Result<void> DocumentCheck::check_seals() {
    std::optional<std::pair<ChainKey, crdt::Seal>> newest;
    TableScan scan(scope_, Table::seals, prefix());
    while (true) {
        JOINERY_TRY(const auto item, scan.next());
        if (!item) break;
        const auto at = chain_key(item->key, record_.number);
        if (!at) {
            add("seals", "", "a record's key is not of its form", kRemedyLeftover);
            continue;
        }
        if (newest && newest->first.chain != at->chain) verify_seal(newest->first, newest->second);
        newest.reset();
        ++scope_.report.seal_count;
        const auto seal = check_seal_record(*at, *item);
        if (!seal) continue;
        if (scope_.options.deep) {
            verify_seal(*at, *seal);
        } else {
            newest.emplace(*at, *seal);
        }
    }
    if (newest) verify_seal(newest->first, newest->second);
    for (crdt::ChainIndex index = 0; index < chains_.size(); ++index) {
        for (const Chain::End& end : chains_[index].ends) {
            if (end.has_seal) continue;
            add("seals",
                change_name(document_->names().actor(index), end.seq),
                "it is missing, so that peers refuse the changes up to it",
                kRemedyReplace);
        }
    }
    return {};
}

std::optional<crdt::Seal> DocumentCheck::check_seal_record(const ChainKey& at,
                                                           const TableScan::Item& item) {
    const std::string name = change_name(at.chain, at.seq);
    // What stands in a segment that cannot be read was reported there.
    if (!mark_sealed(at) && unreadable_.empty()) {
        const bool is_there = hash_at(at.chain, at.seq).has_value();
        add("seals",
            name,
            is_there ? "no flush of the log ends there" : "the log has no such change",
            is_there ? kRemedyLeftover : kRemedyReplace);
    }
    if (!item.value) {
        add("seals", name, "it fails its checksum", kRemedyReplace);
        return std::nullopt;
    }
    const auto seal = decode_seal(*item.value);
    if (!seal) {
        add("seals",
            name,
            "it does not decode: " + std::string(seal.error().what),
            remedy_for(seal.error()));
        return std::nullopt;
    }
    if (seal->seq != at.seq || crdt::actor_of(seal->proof) != at.chain) {
        add("seals", name, "it is another change's", kRemedyReplace);
        return std::nullopt;
    }
    return *seal;
}

bool DocumentCheck::mark_sealed(const ChainKey& at) {
    const crdt::ChainIndex index = document_->names().find_actor(at.chain);
    if (index >= chains_.size()) return false;
    auto& ends = chains_[index].ends;
    const auto end = std::ranges::lower_bound(ends, at.seq, {}, &Chain::End::seq);
    if (end == ends.end() || end->seq != at.seq) return false;
    end->has_seal = true;
    return true;
}

void DocumentCheck::verify_seal(const ChainKey& at, const crdt::Seal& seal) {
    const std::string name = change_name(at.chain, at.seq);
    const auto hash = hash_at(at.chain, at.seq);
    if (!hash) return;  // Reported already.
    ++scope_.report.verified_seal_count;
    if (!crdt::check_seal(seal, id_, *hash)) {
        return add("seals",
                   name,
                   "the signature is not its device's over the hash of that change",
                   kRemedyReplace);
    }
    if (!crdt::is_seed(seal.proof)) return;
    const Chain* chain = find_chain(at.chain);
    if (at.seq == 1 && chain != nullptr && chain->seed && *chain->seed) return;
    const bool is_known = at.seq == 1 && chain != nullptr && chain->seed.has_value();
    add("seals",
        name,
        is_known ? std::string(chain->seed->error().what)
                 : std::string("it is a seed's, but the change is not"),
        kRemedyReplace);
}

}  // namespace joinery::detail
