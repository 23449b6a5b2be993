/// @file
/// What the engine keeps in the tables of a store: keys and records. Layout:
/// docs/storage-format.md 2.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "base/store.h"
#include "crdt/batch.h"
#include "crdt/live_batch.h"
#include "crdt/seal.h"

#include <functional>
#include <optional>
#include <string_view>
#include <vector>

namespace joinery::detail {

/// A document's number in its store: what its keys start with.
using DocumentNumber = std::uint32_t;

/// Keys of the table meta: the device's secret seed, and the number that the next document gets.
inline constexpr std::string_view kDeviceSeedKey = "device";
inline constexpr std::size_t kDeviceSeedSize = 32;
inline constexpr std::string_view kNextDocumentKey = "nextdoc";

/// Calls @p visit with every record of @p table whose key begins with @p prefix, in order. What
/// fails its checksum is left out: for records that others give again, or that can be had
/// otherwise. Errors are the reader's.
Result<void> for_each_sound(StoreReader& reader,
                            Table table,
                            ByteView prefix,
                            const std::function<void(ByteView key, ByteView value)>& visit);

/// `malformed` unless @p id is 1 to 255 bytes of UTF-8 without control characters.
Result<void> check_document_id(std::string_view id);

/// The record of a document.
struct DocumentRecord {
    DocumentNumber number = 0;
    std::uint64_t change_count = 0;    ///< Changes in the log: the N of its newest `#N`.
    std::uint64_t snapshot_count = 0;  ///< `#N` of the newest snapshot; 0 if there is none.
    std::uint64_t stored_size = 0;     ///< Bytes of its segments, ever appended.
    /// Changes of the log that open a branch: an actor has forked (semantics F). Then there is no
    /// snapshot.
    std::uint64_t branch_count = 0;
    bool is_forked() const noexcept { return branch_count != 0; }
};

Bytes document_key(std::string_view id);
/// What the keys of a document's records begin with, in all tables but meta and documents.
Bytes document_prefix(DocumentNumber document);
/// Segments: by the `#N` before their first change.
Bytes segment_key(DocumentNumber document, std::uint64_t arrival);
Bytes snapshot_key(DocumentNumber document, std::uint64_t arrival);
/// Which segment has (actor, seq): the greatest key that is not above it. Of a change on a branch
/// that the log opens, here and for seals the branch's name takes the actor's place.
Bytes index_key(DocumentNumber document, const ActorId& actor, std::uint64_t seq);
/// One seal for each flush that a chain took part in.
Bytes seal_key(DocumentNumber document, const ActorId& actor, std::uint64_t seq);

/// The arrival number that ends a segment's or snapshot's key, if the key is @p document's.
std::optional<std::uint64_t> arrival_of(ByteView key, DocumentNumber document);
/// The seq that ends an index or seal key, if the key is (@p document, @p actor)'s.
std::optional<std::uint64_t> seq_of(ByteView key, DocumentNumber document, const ActorId& actor);

/// How often the document's live values were written to this store.
Bytes live_count_key(DocumentNumber document);
/// A batch of live values, by its name.
Bytes live_batch_key(DocumentNumber document, const crdt::LiveHash& name);
/// The name that ends a live batch's key, if the key is @p document's.
std::optional<crdt::LiveHash> live_name_of(ByteView key, DocumentNumber document);

Bytes encode_record(const DocumentRecord& record);
Result<DocumentRecord> decode_document_record(ByteView bytes);
Bytes encode_arrival(std::uint64_t arrival);
Result<std::uint64_t> decode_arrival(ByteView bytes);
Bytes encode_seal(const crdt::Seal& seal);
Result<crdt::Seal> decode_seal(ByteView bytes);
Bytes encode_live_record(const crdt::LiveBatch& batch);
Result<crdt::LiveBatch> decode_live_record(ByteView bytes);

/// Consecutive changes of the log. Self-contained: with the hashes that lead into it, its own
/// changes' hashes follow.
struct Segment {
    /// Where one actor's changes in the segment start.
    struct Chain {
        ActorId actor;
        std::uint64_t first_seq = 0;
        ChangeHash previous;
    };
    std::uint64_t change_count = 0;
    /// Whether it is the first of its flush: before it, every chain ends at a seal.
    bool starts_flush = true;
    std::vector<Chain> chains;  ///< In order of appearance.
    std::vector<ChangeHash>
        outer_hashes;  ///< Of dependencies outside the segment, in order of use.
    ByteView changes;  ///< As crdt::encode_changes makes them, fresh dictionary.
};
Bytes encode_segment(const Segment& segment);
/// Borrows @p bytes. `unsupported` for a newer version.
Result<Segment> decode_segment(ByteView bytes);

}  // namespace joinery::detail
