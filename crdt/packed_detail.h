/// @file
/// What the column encodings share: bit packing, and the plan of an integer column. Private.
#pragma once

#include "base/bytes.h"
#include "crdt/cursor.h"
#include "crdt/packed.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace joinery::crdt::detail {

inline constexpr std::string_view kNotCanonical = "column is not in its canonical encoding";

/// The @p width (0 to 64) low bits.
constexpr std::uint64_t low_bits(unsigned width) noexcept {
    return width == 0 ? 0 : ~std::uint64_t{0} >> (64 - width);
}

/// Bytes that @p count values of @p width bits take.
constexpr std::uint64_t bits_size(std::uint64_t count, unsigned width) noexcept {
    return (count * width + 7) / 8;
}

/// Appends get(0) to get(count - 1), each below 2^width, least significant bit first without gaps;
/// the last byte's unused high bits are zero.
template <class Get>
void pack_bits(ByteWriter& out, std::size_t count, unsigned width, Get get) {
    if (width == 0) return;
    std::uint8_t* pos = out.grow(static_cast<std::size_t>(bits_size(count, width)));
    std::uint64_t word = 0;
    unsigned fill = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint64_t value = get(i);
        word |= value << fill;
        fill += width;
        if (fill < 64) continue;
        store_u64(pos, word);
        pos += 8;
        fill -= 64;
        word = fill == 0 ? 0 : value >> (width - fill);
    }
    for (unsigned bit = 0; bit < fill; bit += 8)
        *pos++ = static_cast<std::uint8_t>(word >> bit);
}

/// Calls put(i, value) for @p count packed values, the first of which starts at bit @p skip of
/// @p in. Reads 8 bytes (kWide: 9, as widths above 57 need) from the first byte of each.
template <bool kWide, class Put>
void unpack_range(
    const std::uint8_t* in, std::size_t count, unsigned width, unsigned skip, Put put) {
    const std::uint64_t mask = low_bits(width);
    std::uint64_t bit = skip;
    for (std::size_t i = 0; i < count; ++i, bit += width) {
        const std::uint8_t* pos = in + (bit >> 3);
        std::uint64_t value = load_u64(pos) >> (bit & 7);
        if constexpr (kWide) value |= (std::uint64_t{pos[8]} << 1) << (63 - (bit & 7));
        put(i, value & mask);
    }
}

/// Calls put(i, value) for the @p count values that pack_bits() wrote as @p in, which is exactly
/// bits_size(count, width) bytes. False if unused bits are not zero.
template <class Put>
bool unpack_bits(ByteView in, std::size_t count, unsigned width, Put put) {
    if (width == 0) {
        for (std::size_t i = 0; i < count; ++i)
            put(i, std::uint64_t{0});
        return true;
    }
    if (count == 0) return true;
    // Whole words are read while they lie in the input; the last few values from a padded copy.
    const std::size_t reach = width <= 57 ? 8 : 9;
    std::size_t direct = 0;
    if (in.size() >= reach) {
        const std::uint64_t last = (std::uint64_t{in.size() - reach} * 8 + 7) / width;
        direct = static_cast<std::size_t>(std::min<std::uint64_t>(count, last + 1));
    }
    const std::uint64_t tail_bit = std::uint64_t{direct} * width;
    std::uint8_t tail[32] = {};
    std::copy(in.begin() + static_cast<std::ptrdiff_t>(tail_bit / 8), in.end(), tail);
    const auto put_tail = [&](std::size_t i, std::uint64_t value) { put(direct + i, value); };
    const unsigned skip = tail_bit % 8;
    if (width <= 57) {
        unpack_range<false>(in.data(), direct, width, 0, put);
        unpack_range<false>(tail, count - direct, width, skip, put_tail);
    } else {
        unpack_range<true>(in.data(), direct, width, 0, put);
        unpack_range<true>(tail, count - direct, width, skip, put_tail);
    }
    const std::uint64_t unused = std::uint64_t{in.size()} * 8 - std::uint64_t{count} * width;
    return (in.back() & ~low_bits(static_cast<unsigned>(8 - unused))) == 0;
}

/// Fails @p in with `over_limit` if a column may not have @p count values; then, or if @p in has
/// failed already, false.
bool check_count(ByteReader& in, std::size_t count, const ColumnLimits& limits) noexcept;

/// How an integer column is laid out, in the order in which equal sizes are resolved.
enum class IntegerKind : std::uint8_t { packed, patched, delta, delta_patched, runs };

/// All that stands in front of an integer column's bits. Base is the varint of the least value, of
/// the first where the kind is a delta; delta is the zigzag of the least difference.
struct IntegerHead {
    IntegerKind kind = IntegerKind::packed;
    unsigned width = 0;
    unsigned high_width = 0;
    std::uint64_t exception_count = 0;
    std::uint64_t base = 0;
    std::uint64_t delta = 0;

    friend bool operator==(const IntegerHead&, const IntegerHead&) = default;
};

struct IntegerPlan {
    IntegerHead head;
    std::uint64_t size = 0;  ///< Of the whole column.
};

/// The canonical layout of the column of @p values; size 0 if there are none.
IntegerPlan plan_integers(std::span<const std::uint64_t> values);
IntegerPlan plan_integers(std::span<const std::int64_t> values);

}  // namespace joinery::crdt::detail
