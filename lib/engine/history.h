/// @file
/// Reading a document's log from the store: segment by segment, by arrival or by (actor, seq).
#pragma once

#include "base/store.h"
#include "crdt/codec.h"
#include "crdt/document.h"
#include "crdt/forks.h"
#include "engine/records.h"

#include <functional>
#include <memory>
#include <string>

namespace joinery::detail {

/// What was stored and does not fit is damage, whatever the reader of bytes called it.
Error damaged(const Error& error, std::string_view what);

/// One segment, decoded: its changes, and the arrival number before its first one.
struct DecodedSegment {
    std::uint64_t arrival = 0;
    Segment record;  ///< Borrows from the reader until its next use.
    crdt::Batch batch;
};

/// The segment in @p record of table log, decoded with @p names; `damaged`, `unsupported`.
Result<DecodedSegment> decode_stored_segment(const StoreReader::Record& record,
                                             DocumentNumber document,
                                             crdt::Names& names);

/// The log of one document. @p reader and @p names must outlive it.
class History {
  public:
    History(StoreReader& reader, DocumentNumber document, crdt::Names& names)
        : reader_(reader), document_(document), names_(names) {}

    /// Calls @p visit for each segment from the one that holds change @p arrival + 1 on, until it
    /// answers false. `damaged` where a segment is missing or does not decode.
    Result<void> for_each(std::uint64_t arrival,
                          std::uint64_t end,
                          const std::function<Result<bool>(DecodedSegment&)>& visit);
    /// The arrival number at which the segment with (actor, seq) starts; `not_found`.
    Result<std::uint64_t> find(const ActorId& actor, std::uint64_t seq);
    /// The seal at exactly (actor, seq); `not_found`.
    Result<crdt::Seal> seal_of(const ActorId& actor, std::uint64_t seq);
    /// The newest seal of @p actor, if there is one.
    Result<std::optional<crdt::Seal>> last_seal_of(const ActorId& actor);
    /// The hash of (actor, seq), computed from its segment alone.
    Result<ChangeHash> hash_of(std::string_view document_id,
                               const ActorId& actor,
                               std::uint64_t seq);

  private:
    StoreReader& reader_;
    DocumentNumber document_;
    crdt::Names& names_;
};

/// What the changes of a segment build on, and their hashes, from the hashes that lead into it;
/// `damaged` if there are more or fewer than its changes need.
Result<std::vector<crdt::ForkedDocument::Resolved>> segment_links(const crdt::Names& names,
                                                                  const DecodedSegment& segment);

/// The hashes of all changes of a segment, from the hashes that lead into it; `damaged` if there
/// are more or fewer than its changes need.
Result<std::vector<ChangeHash>> segment_hashes(const crdt::Names& names,
                                               const DecodedSegment& segment);

struct LoadedDocument {
    std::unique_ptr<crdt::Document> document;
    /// What is wrong with the snapshot: then the document is what the whole log gives.
    std::optional<Error> snapshot_fault;
};

/// Loads a document as of the log's change @p record.change_count: newest snapshot, then what
/// follows; the whole log where the snapshot is damaged.
Result<LoadedDocument> load_document(StoreReader& reader,
                                     const std::string& id,
                                     const DocumentRecord& record,
                                     crdt::Document::HashSource hash_source);

/// Makes the document that the changes of the log give for which @p include holds: a set closed
/// under dependencies.
Result<std::unique_ptr<crdt::Document>> replay_document(
    StoreReader& reader,
    const std::string& id,
    const DocumentRecord& record,
    std::uint64_t end,
    const std::function<bool(const crdt::Names&, const crdt::Batch&, const crdt::ChangeHeader&)>&
        include);

/// Decodes, checks and applies one segment's changes; `damaged` if they do not fit.
Result<void> apply_segment(crdt::Document& document, const DecodedSegment& segment);

}  // namespace joinery::detail
