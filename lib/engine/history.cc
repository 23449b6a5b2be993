#include "engine/history.h"

#include "crdt/snapshot.h"

#include <algorithm>
#include <map>

namespace joinery::detail {

Error damaged(const Error& error, std::string_view what) {
    if (error.code == Errc::unsupported || error.code == Errc::io) return error;
    return fail(Errc::damaged, what, error.at);
}

Result<DecodedSegment> decode_stored_segment(const StoreReader::Record& record,
                                             DocumentNumber document,
                                             crdt::Names& names) {
    const auto arrival = arrival_of(record.key, document);
    if (!arrival) return fail(Errc::damaged, "segment of the log is missing");
    auto segment = decode_segment(record.value);
    if (!segment) return damaged(segment.error(), "segment of the log is damaged");
    DecodedSegment decoded{*arrival, *std::move(segment), {}};
    crdt::DecoderDictionary dictionary;
    const auto done =
        crdt::decode_changes(decoded.record.changes, names, dictionary, decoded.batch);
    if (!done) return damaged(done.error(), "changes of the log are damaged");
    if (decoded.batch.changes.size() != decoded.record.change_count) {
        return fail(Errc::damaged, "segment of the log has another number of changes");
    }
    return decoded;
}

Result<void> History::for_each(std::uint64_t arrival,
                               std::uint64_t end,
                               const std::function<Result<bool>(DecodedSegment&)>& visit) {
    if (arrival >= end) return {};
    // The segment that holds the change starts at or before it.
    JOINERY_TRY(auto first, reader_.last_before(Table::log, segment_key(document_, arrival + 1)));
    std::uint64_t next = arrival;
    if (first) {
        if (const auto at = arrival_of(first->key, document_)) next = *at;
    }
    while (next < end) {
        JOINERY_TRY(const auto value, reader_.get(Table::log, segment_key(document_, next)));
        if (!value) return fail(Errc::damaged, "segment of the log is missing", next);
        const Bytes key = segment_key(document_, next);
        JOINERY_TRY(DecodedSegment segment,
                    decode_stored_segment({key, *value}, document_, names_));
        next += segment.record.change_count;
        JOINERY_TRY(const bool go_on, visit(segment));
        if (!go_on) break;
    }
    return {};
}

Result<std::uint64_t> History::find(const ActorId& actor, std::uint64_t seq) {
    JOINERY_TRY(const auto record,
                reader_.last_before(Table::index, index_key(document_, actor, seq + 1)));
    if (!record || !seq_of(record->key, document_, actor)) {
        return fail(Errc::not_found, "change that is not in the log", seq);
    }
    return decode_arrival(record->value);
}

Result<crdt::Seal> History::seal_of(const ActorId& actor, std::uint64_t seq) {
    JOINERY_TRY(const auto bytes, reader_.get(Table::seals, seal_key(document_, actor, seq)));
    if (!bytes) return fail(Errc::not_found, "no seal of that change", seq);
    return decode_seal(*bytes);
}

Result<std::optional<crdt::Seal>> History::last_seal_of(const ActorId& actor) {
    JOINERY_TRY(const auto record,
                reader_.last_before(Table::seals, seal_key(document_, actor, UINT64_MAX)));
    if (!record || !seq_of(record->key, document_, actor)) return std::optional<crdt::Seal>();
    JOINERY_TRY(const crdt::Seal seal, decode_seal(record->value));
    return std::optional<crdt::Seal>(seal);
}

Result<ChangeHash> History::hash_of(std::string_view document_id,
                                    const ActorId& actor,
                                    std::uint64_t seq) {
    if (seq == 0) return crdt::chain_origin(document_id, actor);
    JOINERY_TRY(const std::uint64_t arrival, find(actor, seq));
    JOINERY_TRY(const auto value, reader_.get(Table::log, segment_key(document_, arrival)));
    if (!value) return fail(Errc::damaged, "segment of the log is missing", arrival);
    const Bytes key = segment_key(document_, arrival);
    JOINERY_TRY(const DecodedSegment segment,
                decode_stored_segment({key, *value}, document_, names_));
    JOINERY_TRY(const auto hashes, segment_hashes(names_, segment));
    const crdt::ChainIndex chain = names_.find_actor(actor);
    for (std::size_t i = 0; i < hashes.size(); ++i) {
        const crdt::ChangeHeader& change = segment.batch.changes[i];
        if (change.chain == chain && change.seq == seq) return hashes[i];
    }
    return fail(Errc::not_found, "change that is not in the log", seq);
}

Result<std::vector<crdt::ForkedDocument::Resolved>> segment_links(const crdt::Names& names,
                                                                  const DecodedSegment& segment) {
    using Key = std::pair<crdt::ChainIndex, std::uint64_t>;
    // A segment has one branch of an actor at most, so numbers tell its changes apart.
    std::map<Key, ChangeHash> known;
    for (const Segment::Chain& chain : segment.record.chains) {
        known[{names.find_actor(chain.actor), chain.first_seq - 1}] = chain.previous;
    }
    std::map<Key, bool> inside;
    crdt::ChangeHasher hasher;
    std::vector<crdt::ForkedDocument::Resolved> out;
    std::size_t outer = 0;
    std::size_t chain_count = 0;
    for (std::size_t i = 0; i < segment.batch.changes.size(); ++i) {
        const crdt::ChangeHeader& change = segment.batch.changes[i];
        const crdt::ChangeLinks* const links = segment.batch.links_of(i);
        const bool has_hashes = links != nullptr && !links->dependencies.empty();
        crdt::ForkedDocument::Resolved resolved;
        std::size_t at = 0;
        for (const crdt::Dependency& dep : segment.batch.dependencies_of(change)) {
            const Key key{dep.chain, dep.seq};
            const auto is_meant = [&, index = at++](const ChangeHash& hash) {
                return !has_hashes || links->dependencies[index] == crdt::prefix_of(hash);
            };
            if (inside.contains(key) && is_meant(known[key])) {
                resolved.dependencies.push_back(known[key]);
            } else if (outer < segment.record.outer_hashes.size() &&
                       is_meant(segment.record.outer_hashes[outer])) {
                resolved.dependencies.push_back(segment.record.outer_hashes[outer++]);
            } else {
                return fail(Errc::damaged, "segment of the log lacks a hash");
            }
        }
        const auto previous = known.find({change.chain, change.seq - 1});
        if (previous == known.end()) return fail(Errc::damaged, "segment of the log lacks a hash");
        if (!inside.contains({change.chain, change.seq - 1})) ++chain_count;
        resolved.previous = previous->second;
        resolved.hash =
            hasher.hash(names, segment.batch, change, resolved.previous, resolved.dependencies);
        known[{change.chain, change.seq}] = resolved.hash;
        inside[{change.chain, change.seq}] = true;
        out.push_back(std::move(resolved));
    }
    if (outer != segment.record.outer_hashes.size() ||
        chain_count != segment.record.chains.size()) {
        return fail(Errc::damaged, "segment of the log has hashes that none of its changes needs");
    }
    return out;
}

Result<std::vector<ChangeHash>> segment_hashes(const crdt::Names& names,
                                               const DecodedSegment& segment) {
    JOINERY_TRY(const auto links, segment_links(names, segment));
    std::vector<ChangeHash> hashes;
    hashes.reserve(links.size());
    for (const crdt::ForkedDocument::Resolved& change : links)
        hashes.push_back(change.hash);
    return hashes;
}

Result<void> apply_segment(crdt::Document& document, const DecodedSegment& segment) {
    const auto hashes = document.check(segment.batch);
    if (!hashes) return damaged(hashes.error(), "changes of the log do not fit their chains");
    const auto report = document.apply(segment.batch, *hashes);
    if (!report) return damaged(report.error(), "changes of the log cannot be applied");
    return {};
}

namespace {

Result<std::unique_ptr<crdt::Document>> load_snapshot(StoreReader& reader,
                                                      const std::string& id,
                                                      const DocumentRecord& record) {
    JOINERY_TRY(const auto bytes,
                reader.get(Table::snapshots, snapshot_key(record.number, record.snapshot_count)));
    if (!bytes) return fail(Errc::damaged, "snapshot is missing");
    auto loaded = crdt::decode_snapshot(*bytes);
    if (!loaded) return damaged(loaded.error(), "snapshot is damaged");
    if ((*loaded)->id() != id || (*loaded)->graph().change_count() != record.snapshot_count) {
        return fail(Errc::damaged, "snapshot is another one than the record says");
    }
    return loaded;
}

}  // namespace

Result<LoadedDocument> load_document(StoreReader& reader,
                                     const std::string& id,
                                     const DocumentRecord& record,
                                     crdt::Document::HashSource hash_source) {
    LoadedDocument out;
    std::uint64_t arrival = 0;
    if (record.snapshot_count != 0) {
        auto loaded = load_snapshot(reader, id, record);
        if (loaded) {
            out.document = *std::move(loaded);
            arrival = record.snapshot_count;
        } else if (loaded.error().code == Errc::damaged) {
            out.snapshot_fault = loaded.error();
        } else {
            return loaded.error();
        }
    }
    if (!out.document) out.document = std::make_unique<crdt::Document>(id);
    out.document->set_hash_source(std::move(hash_source));
    History history(reader, record.number, out.document->names());
    JOINERY_TRY_VOID(history.for_each(
        arrival, record.change_count, [&](DecodedSegment& segment) -> Result<bool> {
            JOINERY_TRY_VOID(apply_segment(*out.document, segment));
            return true;
        }));
    return out;
}

Result<std::unique_ptr<crdt::Document>> replay_document(
    StoreReader& reader,
    const std::string& id,
    const DocumentRecord& record,
    std::uint64_t end,
    const std::function<bool(const crdt::Names&, const crdt::Batch&, const crdt::ChangeHeader&)>&
        include) {
    auto document = std::make_unique<crdt::Document>(id);
    // A dependency may be older than what the document remembers of hashes: then the log has it. It
    // is read with names of its own, for the document's are in use.
    document->set_hash_source([&](const ActorId& actor, std::uint64_t seq) -> Result<ChangeHash> {
        crdt::Names names;
        return History(reader, record.number, names).hash_of(id, actor, seq);
    });
    History history(reader, record.number, document->names());
    JOINERY_TRY_VOID(history.for_each(0, end, [&](DecodedSegment& segment) -> Result<bool> {
        DecodedSegment part{segment.arrival, segment.record, {}};
        std::uint64_t arrival = segment.arrival;
        for (std::size_t i = 0; i < segment.batch.changes.size() && arrival < end; ++i) {
            const crdt::ChangeHeader& change = segment.batch.changes[i];
            ++arrival;
            if (include(document->names(), segment.batch, change)) {
                part.batch.append(segment.batch, i);
            }
        }
        JOINERY_TRY_VOID(apply_segment(*document, part));
        return true;
    }));
    document->set_hash_source({});
    return document;
}

}  // namespace joinery::detail
