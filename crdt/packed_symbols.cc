#include "crdt/packed_symbols.h"

#include <algorithm>
#include <numeric>
#include <vector>

namespace joinery::crdt::detail {

Alphabet alphabet_of(ByteView text, unsigned enough) noexcept {
    constexpr std::size_t kBlock = 1024;
    Alphabet alphabet;
    for (std::size_t i = 0; i < text.size() && alphabet.count < enough;) {
        const std::size_t end = std::min(text.size(), i + kBlock);
        for (; i < end; ++i)
            alphabet.used[text[i]] = 1;
        alphabet.count = std::accumulate(
            alphabet.used.begin(), alphabet.used.end(), 0U, [](unsigned sum, std::uint8_t used) {
                return sum + used;
            });
    }
    std::uint8_t before = 0;
    for (const std::uint8_t used : alphabet.used) {
        if (used > before) ++alphabet.range_count;
        before = used;
    }
    return alphabet;
}

void write_alphabet(const Alphabet& alphabet, ByteWriter& out) {
    out.u8(static_cast<std::uint8_t>(alphabet.range_count));
    for (std::size_t symbol = 0; symbol < 256; ++symbol) {
        if (alphabet.used[symbol] == 0) continue;
        const std::size_t first = symbol;
        while (symbol < 255 && alphabet.used[symbol + 1] != 0)
            ++symbol;
        out.u8(static_cast<std::uint8_t>(first));
        out.u8(static_cast<std::uint8_t>(symbol));
    }
}

Alphabet read_alphabet(ByteReader& in) noexcept {
    const std::uint64_t at = in.offset();
    Alphabet alphabet;
    alphabet.range_count = in.u8();
    unsigned free_from = 0;
    for (unsigned range = 0; range < alphabet.range_count && in.ok(); ++range) {
        const unsigned first = in.u8();
        const unsigned last = in.u8();
        if (first < free_from || last < first || alphabet.count + last - first >= kRadixMax) {
            in.refuse(Errc::malformed, "alphabet of a column is not in order or too large", at);
            break;
        }
        for (unsigned symbol = first; symbol <= last; ++symbol) {
            alphabet.used[symbol] = 1;
            ++alphabet.count;
        }
        free_from = last + 2;
    }
    if (alphabet.count < 2) in.refuse(Errc::malformed, "alphabet of a column is too small", at);
    return alphabet;
}

void write_symbols(ByteView text, const Alphabet& alphabet, ByteWriter& out) {
    std::array<std::uint8_t, 256> ranks{};
    std::uint8_t rank = 0;
    for (std::size_t symbol = 0; symbol < 256; ++symbol) {
        ranks[symbol] = rank;
        rank = static_cast<std::uint8_t>(rank + alphabet.used[symbol]);
    }
    const SymbolCode code = symbol_code(alphabet.count);
    const std::size_t group_count = static_cast<std::size_t>(code.group_count(text.size()));
    pack_bits(out, group_count, code.bits, [&](std::size_t i) {
        std::uint64_t number = 0;
        const std::size_t from = i * code.group;
        const std::size_t to = std::min(text.size(), from + code.group);
        for (std::size_t j = from; j < to; ++j)
            number = number * code.radix + ranks[text[j]];
        for (std::size_t j = to; j < from + code.group; ++j)
            number *= code.radix;
        return number;
    });
}

namespace {

// The digits of each number come out of a fixed-point fraction of 57 bits, the most significant
// first, by multiplication: two at a time by radix^2 from a table of pairs, then the odd one. What
// unit and kBias add to the fraction and the pairs' shift takes away stays above 0 and below 2^27
// in 2^57 / limit, which is 2^31 or more, so no digit is wrong.
constexpr unsigned kPoint = 57;
constexpr unsigned kPairShift = 7;
constexpr std::uint64_t kBias = std::uint64_t{1} << 20;
constexpr std::uint64_t kFraction = low_bits(kPoint);

// unpack_groups() writes 8 bytes for each group, the last too.
constexpr std::size_t kSlack = 8;

// What unpack_groups() needs; indexed beyond the alphabet only by numbers that are refused.
struct SymbolTable {
    SymbolCode code;
    std::array<std::uint8_t, kRadixMax> symbols{};
    std::vector<std::uint16_t> pairs;  // radix^2, or none where the text is too short for them.

    explicit SymbolTable(const Alphabet& alphabet) : code(symbol_code(alphabet.count)) {
        std::size_t rank = 0;
        for (std::size_t symbol = 0; symbol < 256; ++symbol) {
            if (alphabet.used[symbol] != 0) symbols[rank++] = static_cast<std::uint8_t>(symbol);
        }
    }

    void make_pairs() {
        pairs.reserve(std::size_t{code.radix} * code.radix);
        for (unsigned first = 0; first < code.radix; ++first) {
            for (unsigned second = 0; second < code.radix; ++second) {
                pairs.push_back(static_cast<std::uint16_t>(symbols[first] | symbols[second] << 8));
            }
        }
    }
};

// Writes 8 bytes from the start of each group, of which the next overwrites those not its own.
template <unsigned kGroup, bool kPairs>
bool unpack_groups(ByteView packed,
                   std::size_t group_count,
                   const SymbolTable& table,
                   std::uint8_t* out) {
    const std::uint64_t radix = table.code.radix;
    const std::uint64_t unit = (kFraction + table.code.limit) / table.code.limit;
    const unsigned group = kGroup == 0 ? table.code.group : kGroup;
    const std::uint8_t* symbols = table.symbols.data();
    const std::uint16_t* pairs = table.pairs.data();
    std::uint64_t most = 0;
    const auto put = [=, &most](std::size_t i, std::uint64_t number) {
        most = std::max(most, number);
        std::uint64_t fraction = (number * unit + kBias) & kFraction;
        std::uint64_t word = 0;
        unsigned digit = 0;
#pragma GCC unroll 4
        for (; kPairs && digit + 1 < group; digit += 2) {
            const std::uint64_t product = (fraction >> kPairShift) * (radix * radix);
            word |= std::uint64_t{pairs[product >> (kPoint - kPairShift)]} << (8 * digit);
            fraction = (product << kPairShift) & kFraction;
        }
#pragma GCC unroll 8
        for (; digit < group; ++digit) {
            fraction *= radix;
            word |= std::uint64_t{symbols[fraction >> kPoint]} << (8 * digit);
            fraction &= kFraction;
        }
        store_u64(out + i * group, word);
    };
    return unpack_bits(packed, group_count, table.code.bits, put) && most < table.code.limit;
}

bool unpack_symbols(ByteView packed,
                    std::size_t group_count,
                    SymbolTable& table,
                    std::uint8_t* out) {
    const unsigned group = table.code.group;
    if (group == 1) return unpack_groups<1, false>(packed, group_count, table, out);
    if (group_count < std::size_t{table.code.radix} * table.code.radix) {
        return unpack_groups<0, false>(packed, group_count, table, out);
    }
    table.make_pairs();
    if (group == 3) return unpack_groups<3, true>(packed, group_count, table, out);
    if (group == 4) return unpack_groups<4, true>(packed, group_count, table, out);
    if (group == 5) return unpack_groups<5, true>(packed, group_count, table, out);
    return unpack_groups<0, true>(packed, group_count, table, out);
}

}  // namespace

void read_symbols(ByteReader& in, std::uint64_t text_size, const Alphabet& alphabet, Bytes& text) {
    SymbolTable table(alphabet);
    const SymbolCode& code = table.code;
    // A symbol takes a bit or more, so what passes here justifies 8 times its size.
    if (text_size > 8 * std::uint64_t{in.remaining()}) {
        in.refuse(Errc::malformed, "column is longer than the input");
        return;
    }
    const ByteView packed = in.raw(code.size(text_size));
    if (!in.ok()) return;
    const auto size = static_cast<std::size_t>(text_size);
    const auto group_count = static_cast<std::size_t>(code.group_count(size));
    text.resize(group_count * code.group + kSlack);
    const bool clean = unpack_symbols(packed, group_count, table, text.data());
    text.resize(group_count * code.group);
    const bool padded = std::all_of(text.begin() + static_cast<std::ptrdiff_t>(size),
                                    text.end(),
                                    [&](auto symbol) { return symbol == table.symbols[0]; });
    text.resize(size);
    if (!clean || !padded) {
        in.refuse(Errc::malformed, "unused symbols or bits of a column are not zero");
    }
}

}  // namespace joinery::crdt::detail
