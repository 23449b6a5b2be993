#include "engine/verify_document.h"

#include "crdt/seed.h"

#include <algorithm>

namespace joinery::detail {
namespace {

constexpr const char* kWrongEntry =
    "the hash that its segment gives for a change before it is not that change's";

std::string missing_changes(std::uint64_t begin, std::uint64_t end) {
    if (end - begin == 1) return "the change is missing";
    return std::to_string(end - begin) + " changes are missing, to " + arrival_name(end);
}

}  // namespace

DocumentCheck::DocumentCheck(CheckScope& scope, std::string id, const DocumentRecord& record)
    : scope_(scope),
      id_(std::move(id)),
      record_(record),
      document_(std::make_unique<crdt::Document>(id_)) {
    document_->set_hash_source(
        [this](const ActorId& actor, std::uint64_t seq) { return hash_at(actor, seq); });
}

Result<void> DocumentCheck::run() {
    JOINERY_TRY_VOID(walk_log());
    check_counters();
    JOINERY_TRY_VOID(check_snapshots());
    JOINERY_TRY_VOID(check_index());
    JOINERY_TRY_VOID(check_seals());
    if (scope_.options.deep) check_opening();
    return {};
}

// --- The log -------------------------------------------------------------------------------------

Result<void> DocumentCheck::walk_log() {
    TableScan scan(scope_, Table::log, prefix());
    while (true) {
        JOINERY_TRY(const auto item, scan.next());
        if (!item) break;
        JOINERY_TRY_VOID(check_item(*item));
        if (scope_.options.progress) {
            scope_.options.progress({scope_.report.change_count, scope_.change_total, id_});
        }
    }
    close_flush();
    if (gap_begin_) {
        unreadable_.emplace_back(*gap_begin_, record_.change_count);
    } else if (next_ < record_.change_count) {
        add("log",
            arrival_name(next_ + 1),
            missing_changes(next_, record_.change_count),
            kRemedyReplace);
        unreadable_.emplace_back(next_, record_.change_count);
        is_replaying_ = false;
    }
    return {};
}

Result<void> DocumentCheck::check_item(const TableScan::Item& item) {
    const auto arrival = arrival_of(item.key, record_.number);
    if (!arrival) {
        add("log", "", "a record's key is no segment's", kRemedyLeftover);
        return {};
    }
    if (*arrival >= record_.change_count) {
        add("log",
            arrival_name(*arrival + 1),
            "a segment lies behind the last change that the document counts",
            kRemedyReplace);
        return {};
    }
    if (gap_begin_) {
        unreadable_.emplace_back(*gap_begin_, *arrival);
        gap_begin_.reset();
    } else if (*arrival > next_) {
        add("log", arrival_name(next_ + 1), missing_changes(next_, *arrival), kRemedyReplace);
        unreadable_.emplace_back(next_, *arrival);
        is_replaying_ = false;
    } else if (*arrival < next_) {
        add("log",
            arrival_name(*arrival + 1),
            "the segment overlaps the one before it",
            kRemedyReplace);
        is_replaying_ = false;
        return {};
    }
    next_ = *arrival;
    if (!item.value) {
        skip_segment(*arrival, "the segment fails its checksum", kRemedyReplace);
        return {};
    }
    size_ += item.value->size();
    auto segment =
        decode_stored_segment({item.key, *item.value}, record_.number, document_->names());
    if (!segment) {
        const Error& error = segment.error();
        skip_segment(*arrival, std::string(error.what), remedy_for(error));
        return {};
    }
    check_segment(*segment);
    return {};
}

void DocumentCheck::skip_segment(std::uint64_t arrival,
                                 const std::string& what,
                                 const char* remedy) {
    add("log", arrival_name(arrival + 1), what, remedy);
    gap_begin_ = arrival;
    is_replaying_ = false;
    // Whether it starts a flush is not known, so neither is where the chains before it are sealed.
    for (const crdt::ChainIndex index : in_flush_)
        chain_of(index).is_in_flush = false;
    in_flush_.clear();
}

void DocumentCheck::check_segment(DecodedSegment& segment) {
    auto stated = segment_hashes(document_->names(), segment);
    if (!stated) {
        return skip_segment(
            segment.arrival, std::string(stated.error().what), remedy_for(stated.error()));
    }
    if (segment.record.starts_flush) close_flush();
    const std::vector<ChangeHash> hashes = replay(segment, *std::move(stated));
    note_changes(segment, hashes);
    next_ += segment.record.change_count;
    scope_.report.change_count += segment.record.change_count;
}

std::vector<ChangeHash> DocumentCheck::replay(DecodedSegment& segment,
                                              std::vector<ChangeHash> stated) {
    if (!is_replaying_) return stated;
    // From the chains' own beginning, where `stated` begins with what the segment claims.
    const auto hashes = document_->check(segment.batch);
    if (!hashes) {
        stop_replay(segment, hashes.error());
        return stated;
    }
    for (std::size_t i = 0; i < hashes->size(); ++i) {
        if ((*hashes)[i].is_zero()) {  // Come before: note_changes() says so.
            is_replaying_ = false;
            return stated;
        }
    }
    for (std::size_t i = 0; i < hashes->size(); ++i) {
        if ((*hashes)[i] == stated[i]) continue;
        add("log", name_of(segment.batch.changes[i]), kWrongEntry, kRemedyReplace);
        // On with what the segment claims: one wrong hash would make all that follow it wrong.
        apply(segment, stated);
        return stated;
    }
    std::vector<ChangeHash> computed(hashes->begin(), hashes->end());
    apply(segment, computed);
    return computed;
}

void DocumentCheck::apply(DecodedSegment& segment, const std::vector<ChangeHash>& hashes) {
    const std::size_t count = segment.batch.changes.size();
    std::size_t middle = 0;
    // A snapshot in the middle is compared there.
    if (record_.snapshot_count > segment.arrival &&
        record_.snapshot_count < segment.arrival + count) {
        middle = static_cast<std::size_t>(record_.snapshot_count - segment.arrival);
    }
    if (middle != 0 && !apply_part(segment, hashes, 0, middle)) return;
    apply_part(segment, hashes, middle, count);
}

bool DocumentCheck::apply_part(const DecodedSegment& segment,
                               std::span<const ChangeHash> hashes,
                               std::size_t begin,
                               std::size_t end) {
    const bool is_all = begin == 0 && end == hashes.size();
    crdt::Batch part;
    for (std::size_t i = begin; i < end && !is_all; ++i)
        part.append(segment.batch, i);
    const auto done =
        document_->apply(is_all ? segment.batch : part, hashes.subspan(begin, end - begin));
    if (!done) {
        Error error = done.error();
        error.at += begin;
        stop_replay(segment, error);
        return false;
    }
    scope_.report.replayed_count += end - begin;
    if (document_->graph().change_count() == record_.snapshot_count) compare_snapshot();
    return true;
}

void DocumentCheck::stop_replay(const DecodedSegment& segment, const Error& error) {
    is_replaying_ = false;
    const auto& changes = segment.batch.changes;
    const std::string name = error.at < changes.size()
                                 ? name_of(changes[static_cast<std::size_t>(error.at)])
                                 : arrival_name(segment.arrival + 1);
    add("log", name, std::string(error.what) + ", so that replay ends here", remedy_for(error));
}

void DocumentCheck::note_changes(const DecodedSegment& segment,
                                 std::span<const ChangeHash> hashes) {
    bool is_told = false;
    for (std::size_t i = 0; i < hashes.size(); ++i) {
        const crdt::ChangeHeader& change = segment.batch.changes[i];
        Chain& chain = chain_of(change.chain);
        if (change.seq <= chain.last_seq) {
            if (!std::exchange(is_told, true)) {
                add("log",
                    name_of(change),
                    "the change comes behind a later one of its actor, or twice",
                    kRemedyReplace);
            }
            continue;
        }
        const bool is_new = chain.starts.empty() || chain.starts.back().arrival != segment.arrival;
        if (is_new) {
            if (!is_replaying_) check_entry(segment, change);
            chain.starts.push_back({change.seq, segment.arrival});
        }
        if (change.seq == 1) check_seed_at(segment, i);
        chain.last_seq = change.seq;
        chain.last_hash = hashes[i];
        if (!chain.is_in_flush) in_flush_.push_back(change.chain);
        chain.is_in_flush = true;
    }
}

/// Where replay has ended, the hash that leads into a chain is still known if no segment between is
/// missing.
void DocumentCheck::check_entry(const DecodedSegment& segment, const crdt::ChangeHeader& change) {
    const ActorId& actor = document_->names().actor(change.chain);
    const Chain& chain = chain_of(change.chain);
    if (change.seq != 1 && chain.last_seq + 1 != change.seq) return;
    const auto stated = std::ranges::find(segment.record.chains, actor, &Segment::Chain::actor);
    const ChangeHash before = change.seq == 1 ? crdt::chain_origin(id_, actor) : chain.last_hash;
    if (stated == segment.record.chains.end() || stated->previous == before) return;
    add("log", name_of(change), kWrongEntry, kRemedyReplace);
}

/// Only here are the change's operations at hand; the seal is checked with the others.
void DocumentCheck::check_seed_at(const DecodedSegment& segment, std::size_t index) {
    const crdt::ChangeHeader& change = segment.batch.changes[index];
    const ActorId& actor = document_->names().actor(change.chain);
    const auto bytes = scope_.reader.get(Table::seals, seal_key(record_.number, actor, 1));
    if (!bytes || !*bytes) return;
    const auto seal = decode_seal(**bytes);
    if (!seal || !crdt::is_seed(seal->proof)) return;
    chain_of(change.chain).seed =
        crdt::check_seed(document_->names(), segment.batch, index, seal->proof, id_);
}

void DocumentCheck::close_flush() {
    for (const crdt::ChainIndex index : in_flush_) {
        Chain& chain = chain_of(index);
        chain.ends.push_back({chain.last_seq, chain.last_hash, false});
        chain.is_in_flush = false;
    }
    in_flush_.clear();
}

void DocumentCheck::check_counters() {
    if (next_ > record_.change_count) {
        add("documents",
            "",
            "it counts " + std::to_string(record_.change_count) + " changes, but the log has " +
                std::to_string(next_),
            kRemedyReplace);
    }
    if (unreadable_.empty() && size_ != record_.stored_size) {
        add("documents",
            "",
            "it counts " + std::to_string(record_.stored_size) +
                " bytes of segments, but the log has " + std::to_string(size_),
            kRemedyReplace);
    }
    if (record_.snapshot_count > record_.change_count) {
        add("documents",
            "",
            "its snapshot is of " + std::to_string(record_.snapshot_count) +
                " changes, but it counts " + std::to_string(record_.change_count),
            kRemedyReplace);
    }
}

// --- Helpers -------------------------------------------------------------------------------------

Result<ChangeHash> DocumentCheck::hash_at(const ActorId& actor, std::uint64_t seq) const {
    const Chain* chain = find_chain(actor);
    const Error unknown = fail(Errc::not_found, "change that is not in the log", seq);
    if (chain == nullptr || seq > chain->last_seq) return unknown;
    if (seq == chain->last_seq) return chain->last_hash;
    const auto end = std::ranges::lower_bound(chain->ends, seq, {}, &Chain::End::seq);
    if (end != chain->ends.end() && end->seq == seq) return end->hash;
    const auto after = std::ranges::upper_bound(chain->starts, seq, {}, &Chain::Start::seq);
    if (after == chain->starts.begin()) return unknown;
    const std::uint64_t arrival = (after - 1)->arrival;
    // With names of their own: the document's may be in use.
    crdt::Names names;
    const Bytes key = segment_key(record_.number, arrival);
    JOINERY_TRY(const auto value, scope_.reader.get(Table::log, key));
    if (!value) return unknown;
    JOINERY_TRY(const DecodedSegment segment,
                decode_stored_segment({key, *value}, record_.number, names));
    JOINERY_TRY(const auto hashes, segment_hashes(names, segment));
    const crdt::ChainIndex index = names.find_actor(actor);
    for (std::size_t i = 0; i < hashes.size(); ++i) {
        const crdt::ChangeHeader& change = segment.batch.changes[i];
        if (change.chain == index && change.seq == seq) return hashes[i];
    }
    return unknown;
}

bool DocumentCheck::is_unreadable(std::uint64_t arrival) const {
    return std::ranges::any_of(unreadable_, [arrival](const auto& range) {
        return arrival >= range.first && arrival < range.second;
    });
}

DocumentCheck::Chain& DocumentCheck::chain_of(crdt::ChainIndex index) {
    if (index >= chains_.size()) chains_.resize(index + 1);
    return chains_[index];
}

const DocumentCheck::Chain* DocumentCheck::find_chain(const ActorId& actor) const {
    const crdt::ChainIndex index = document_->names().find_actor(actor);
    return index < chains_.size() ? &chains_[index] : nullptr;
}

Bytes DocumentCheck::prefix() const { return document_prefix(record_.number); }

void DocumentCheck::add(const char* where,
                        std::string change,
                        std::string what,
                        const char* remedy) {
    scope_.add({where, id_, std::move(change), std::move(what), remedy});
}

std::string DocumentCheck::name_of(const crdt::ChangeHeader& change) const {
    return change_name(document_->names().actor(change.chain), change.seq);
}

}  // namespace joinery::detail
