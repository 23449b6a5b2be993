/// @file
/// Changes as bytes: the compact form that is stored and sent. Layout: docs/change-format.md.
///
/// A batch names things by references into a dictionary and leaves out all that the reader can
/// predict: numbering, times near the last one, dependencies that are implied. Few operations are
/// written as a row of fields; many as columns. There is one encoding of a batch after what the
/// stream carried before; the decoder refuses any other.
#pragma once

#include "base/result.h"
#include "crdt/batch.h"
#include "crdt/dictionary.h"

namespace joinery::crdt {

/// Version of the change format, the first byte of every block on disk (not of a session's
/// messages: there the handshake settles it).
inline constexpr std::uint8_t kChangeFormatVersion = 1;

/// Batches of this many changes and operations together, or more, are written as columns.
inline constexpr std::size_t kColumnarMin = 64;
/// Changes of one batch.
inline constexpr std::size_t kBatchChangeMax = 65536;
/// Operations of one batch of more than one change: what bounds the memory of decoding one.
inline constexpr std::size_t kBatchOpMax = 65536;
/// Whether one batch may hold so much. One change alone may have any number of operations.
constexpr bool fits_batch(std::size_t change_count, std::size_t op_count) noexcept {
    return change_count <= 1 || (change_count <= kBatchChangeMax && op_count <= kBatchOpMax);
}

/// Appends changes [@p begin, @p end) of @p batch to @p out, and the names that they use and
/// @p dictionary lacks.
void encode_changes(const Names& names,
                    const Batch& batch,
                    std::size_t begin,
                    std::size_t end,
                    EncoderDictionary& dictionary,
                    Bytes& out);

/// Appends the changes in @p in to @p batch, interning the names that they bring.
///
/// @param in  Untrusted; all of it must be read.
/// @return `malformed` (`at` = offset), `over_limit`, or `unsupported` for a kind of operation or
///         container that this build does not know. Then @p batch and @p names are as before, but
///         for unused names, and @p dictionary may not be used again.
/// @par Cost
/// About 50 ns for a single small change, 30 ns an operation in columns.
Result<void> decode_changes(ByteView in, Names& names, DecoderDictionary& dictionary, Batch& batch);

}  // namespace joinery::crdt
