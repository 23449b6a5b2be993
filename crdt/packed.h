/// @file
/// Column encodings: many values of one type in few bytes, for bulk changes and snapshots. Not for
/// single values: those are varints (crdt/cursor.h). Layouts and rules: docs/change-format.md 5.
///
/// Every column has exactly one encoding. The encoder takes the smallest of a fixed list, the first
/// of them if several are as small; the decoder works out the same choice from the values and
/// refuses any other, so that equal values are equal bytes and equal hashes. A column does not hold
/// its count: the format around it does. A column of no values is no bytes.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "crdt/cursor.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace joinery::crdt {

/// Most values of a column whatever the limits say; encoders assert it.
inline constexpr std::size_t kColumnCountMax = std::size_t{1} << 28;
/// Most bytes of a string column's values together, whatever the limits say; encoders assert it.
inline constexpr std::uint64_t kColumnSizeMax = std::uint64_t{1} << 40;

/// What a decoder may be made to hold. A few bytes can describe many equal values, so the bytes
/// that remain do not bound the count: the caller's format must, by a limit of its own.
struct ColumnLimits {
    std::size_t count_max = 0;  ///< Most values; above it `over_limit`.
    /// Strings only: most bytes of all values together, a repeated value counted each time; above
    /// it `over_limit`. Bounds what copying the values takes; a decoder itself holds at most 8
    /// bytes of text per byte of input.
    std::uint64_t size_max = 0;
};

/// Decoded strings: views into the decoder's input or into @p arena, so they live as long as both.
/// Moving keeps them valid; reuse keeps the memory.
struct StringColumn {
    StringColumn() = default;
    StringColumn(StringColumn&&) = default;
    StringColumn& operator=(StringColumn&&) = default;
    StringColumn(const StringColumn&) = delete;
    StringColumn& operator=(const StringColumn&) = delete;
    ~StringColumn() = default;

    std::vector<ByteView> values;
    Bytes arena;
    std::vector<std::uint64_t> lengths;  ///< Scratch of the decoder.
};

/// Encoders append the column of @p values to @p out.
///
/// @par Cost
/// Integers 1 to 5 ns a value, reals 15 ns, strings of 8 bytes 20 ns (EPYC, GCC 12 -O2); a few
/// scratch buffers in all, none per value.
void encode_integers(std::span<const std::uint64_t> values, ByteWriter& out);
void encode_signed(std::span<const std::int64_t> values, ByteWriter& out);
/// Keeps every bit pattern; small where the values are decimals of up to 9 places.
void encode_reals(std::span<const double> values, ByteWriter& out);
void encode_strings(std::span<const ByteView> values, ByteWriter& out);
/// Each value is 0 or 1.
void encode_booleans(std::span<const std::uint8_t> values, ByteWriter& out);

/// Decoders read a column of @p count values from the front of untrusted @p in into @p out, whose
/// former content is lost.
///
/// @return Nothing; or else `malformed` for bytes that no encoder writes (`at` = offset of the bad
///         byte, or of the column where its encoding is not the canonical one), or `over_limit`.
///         @p in is then failed and @p out empty.
/// @par Cost
/// With the check of the encoding: integers 1 to 4 ns a value, reals 4 ns (with exceptions 17),
/// strings of 8 bytes 9 ns. No allocation per value, and hardly any if @p out is used again.
Result<void> decode_integers(ByteReader& in,
                             std::size_t count,
                             const ColumnLimits& limits,
                             std::vector<std::uint64_t>& out);
Result<void> decode_signed(ByteReader& in,
                           std::size_t count,
                           const ColumnLimits& limits,
                           std::vector<std::int64_t>& out);
Result<void> decode_reals(ByteReader& in,
                          std::size_t count,
                          const ColumnLimits& limits,
                          std::vector<double>& out);
Result<void> decode_strings(ByteReader& in,
                            std::size_t count,
                            const ColumnLimits& limits,
                            StringColumn& out);
/// Each value is 0 or 1.
Result<void> decode_booleans(ByteReader& in,
                             std::size_t count,
                             const ColumnLimits& limits,
                             std::vector<std::uint8_t>& out);

}  // namespace joinery::crdt
