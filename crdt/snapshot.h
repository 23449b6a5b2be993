/// @file
/// A document as bytes, without the operations that made it: the causal graph, whole, and the
/// state. From it a peer goes on as if it had applied every change. Layout:
/// docs/snapshot-format.md 2.
///
/// The bytes are canonical: documents with the same changes have the same snapshot, whatever order,
/// batches or snapshots the changes came by; and there are no other bytes for them.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <cstddef>
#include <cstdint>
#include <memory>

namespace joinery::crdt {

class Document;

/// The first byte of a snapshot.
inline constexpr std::uint8_t kSnapshotFormatVersion = 1;

/// What a snapshot may make its reader hold. Equal values take next to no bytes, so the size of a
/// snapshot does not bound what is in it.
struct SnapshotLimits {
    /// Values of all columns together, at most 2^28; each takes up to 8 bytes while reading, and a
    /// slot, which has three or more, about 100 bytes after it.
    std::size_t value_count_max = std::size_t{1} << 26U;
    /// Bytes of all keys, strings and byte strings together.
    std::uint64_t text_size_max = std::uint64_t{1} << 30U;
};

/// The snapshot of @p document, in which no transaction may be open.
///
/// @par Cost
/// O(what is visible, list places and causal graph): about 150 ns a slot.
Bytes encode_snapshot(const Document& document);

/// The document whose snapshot @p in is. It remembers the hashes of the last changes only: older
/// ones are asked of the hash source, which the caller sets.
///
/// @param in  Untrusted; all of it must be read.
/// @return `unsupported` for another version, or a kind of container that this build does not know;
///         `over_limit` past @p limits or crdt/limits.h; `malformed` (`at` = offset) for all that
///         encode_snapshot() does not write. Nothing says that the state is what the changes made:
///         who signed the snapshot vouches for that.
/// @par Cost
/// About 100 ns a slot; linear in the values read, but for sorting.
Result<std::unique_ptr<Document>> decode_snapshot(ByteView in, const SnapshotLimits& limits = {});

}  // namespace joinery::crdt
