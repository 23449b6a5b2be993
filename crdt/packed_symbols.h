/// @file
/// Packing text of few different symbols, for string columns. Private to the column encodings.
#pragma once

#include "base/bytes.h"
#include "crdt/cursor.h"
#include "crdt/packed_detail.h"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace joinery::crdt::detail {

/// Most symbols of an alphabet that is worth packing.
inline constexpr unsigned kRadixMax = 128;
/// Most bits of a group of symbols.
inline constexpr unsigned kGroupBitsMax = 26;

/// Symbols of an alphabet of @p radix are digits of numbers of @p group digits, the first the most
/// significant, each number in @p bits bits.
struct SymbolCode {
    unsigned radix = 0;
    unsigned group = 1;
    unsigned bits = 64;
    std::uint64_t limit = 0;  ///< radix ^ group

    std::uint64_t group_count(std::uint64_t symbol_count) const noexcept {
        return (symbol_count + group - 1) / group;
    }
    /// Bytes that @p symbol_count symbols take.
    std::uint64_t size(std::uint64_t symbol_count) const noexcept {
        return bits_size(group_count(symbol_count), bits);
    }
};

/// Of all groups that fit kGroupBitsMax the one with the fewest bits a symbol, then the smallest.
constexpr SymbolCode symbol_code(unsigned radix) noexcept {
    SymbolCode best;
    std::uint64_t limit = radix;
    for (unsigned group = 1; std::bit_width(limit - 1) <= int{kGroupBitsMax}; ++group) {
        const auto bits = static_cast<unsigned>(std::bit_width(limit - 1));
        if (bits * best.group < best.bits * group) best = {radix, group, bits, limit};
        limit *= radix;
    }
    return best;
}

/// The bytes that a text uses.
struct Alphabet {
    std::array<std::uint8_t, 256> used{};  ///< 1 for each that is.
    unsigned count = 0;
    unsigned range_count = 0;

    bool packs() const noexcept { return count >= 2 && count <= kRadixMax; }
    /// Bytes that write_alphabet() writes.
    std::uint64_t size() const noexcept { return 1 + 2 * std::uint64_t{range_count}; }
};

/// The alphabet of @p text; of at least @p enough bytes if there are so many, as then the rest does
/// not matter.
Alphabet alphabet_of(ByteView text, unsigned enough) noexcept;

/// Writes the count of ranges of used bytes, then first and last of each.
void write_alphabet(const Alphabet& alphabet, ByteWriter& out);

/// Fails @p in unless the ranges rise, do not touch, and hold 2 to kRadixMax bytes.
Alphabet read_alphabet(ByteReader& in) noexcept;

/// Writes @p text, which uses @p alphabet only; the last group is filled with the first symbol.
void write_symbols(ByteView text, const Alphabet& alphabet, ByteWriter& out);

/// Reads @p text_size symbols of @p alphabet into @p text, whose former content is lost.
void read_symbols(ByteReader& in, std::uint64_t text_size, const Alphabet& alphabet, Bytes& text);

}  // namespace joinery::crdt::detail
