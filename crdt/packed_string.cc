#include "base/assert.h"
#include "crdt/distinct.h"
#include "crdt/packed.h"
#include "crdt/packed_detail.h"
#include "crdt/packed_symbols.h"

#include <algorithm>
#include <array>
#include <bit>
#include <numeric>
#include <optional>

namespace joinery::crdt {

namespace {

using detail::Alphabet;
using detail::alphabet_of;
using detail::kRadixMax;

// First byte of a string column. Written on disk: never change them.
enum class StringHead : std::uint8_t { plain = 0, symbols = 1, dictionary = 2 };

// The layout of a column without dictionary.
struct TextPlan {
    StringHead head = StringHead::plain;
    std::uint64_t size = 0;
};

TextPlan plan_text(std::uint64_t lengths_size, std::uint64_t text_size, const Alphabet& alphabet) {
    const TextPlan plain{StringHead::plain, 1 + lengths_size + text_size};
    if (!alphabet.packs()) return plain;
    const detail::SymbolCode code = detail::symbol_code(alphabet.count);
    const std::uint64_t size = 1 + alphabet.size() + lengths_size + code.size(text_size);
    return size < plain.size ? TextPlan{StringHead::symbols, size} : plain;
}

std::uint64_t lengths_of(std::span<const ByteView> values, std::vector<std::uint64_t>& lengths) {
    lengths.resize(values.size());
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < values.size(); ++i)
        sum += lengths[i] = values[i].size();
    return sum;
}

// A dictionary may hold this many values of a column, so that a column of unlike values is known
// for one before all of it is looked at.
std::size_t dictionary_count_max(std::size_t count) noexcept {
    return std::min(count - 1, 64 + count / 8);
}

// Size of the column with @p distinct as dictionary; both use the same alphabet.
std::uint64_t dictionary_size(std::span<const ByteView> values,
                              const detail::Distinct& distinct,
                              const Alphabet& alphabet) {
    std::vector<std::uint64_t> lengths;
    std::uint64_t text_size = 0;
    for (const std::uint32_t first : distinct.firsts) {
        lengths.push_back(values[first].size());
        text_size += lengths.back();
    }
    return 1 + varint_size(distinct.firsts.size()) +
           plan_text(detail::plan_integers(lengths).size, text_size, alphabet).size +
           detail::plan_integers(distinct.ranks).size;
}

struct TextInput {
    std::vector<std::uint64_t> lengths;
    Bytes text;
    Alphabet alphabet;
    TextPlan plan;
};

TextInput gather_text(std::span<const ByteView> values) {
    TextInput input;
    const std::uint64_t text_size = lengths_of(values, input.lengths);
    JOINERY_ASSERT(text_size <= kColumnSizeMax);
    input.text.reserve(static_cast<std::size_t>(text_size));
    for (const ByteView value : values) {
        input.text.insert(input.text.end(), value.begin(), value.end());
    }
    input.alphabet = alphabet_of(input.text, kRadixMax + 1);
    input.plan = plan_text(detail::plan_integers(input.lengths).size, text_size, input.alphabet);
    return input;
}

void write_text(const TextInput& input, ByteWriter& out) {
    out.u8(static_cast<std::uint8_t>(input.plan.head));
    const bool symbols = input.plan.head == StringHead::symbols;
    if (symbols) detail::write_alphabet(input.alphabet, out);
    encode_integers(input.lengths, out);
    if (symbols) {
        detail::write_symbols(input.text, input.alphabet, out);
    } else {
        out.raw(input.text);
    }
}

// Reads a column without dictionary, after its head. Of its alphabet only what plan_text() needs
// is known afterwards.
Alphabet read_text(ByteReader& in,
                   StringHead head,
                   std::size_t count,
                   const ColumnLimits& limits,
                   StringColumn& out) {
    const std::uint64_t at = in.offset() - 1;
    Alphabet alphabet;
    const bool packed = head == StringHead::symbols;
    if (packed) alphabet = detail::read_alphabet(in);
    const std::uint64_t lengths_at = in.offset();
    if (!decode_integers(in, count, limits, out.lengths)) return alphabet;
    const std::uint64_t lengths_size = in.offset() - lengths_at;
    const std::uint64_t size_max = std::min(limits.size_max, kColumnSizeMax);
    std::uint64_t text_size = 0;
    for (const std::uint64_t length : out.lengths) {
        if (length > size_max - text_size) {
            in.refuse(Errc::over_limit, "strings of a column are too long together", lengths_at);
            return alphabet;
        }
        text_size += length;
    }
    ByteView text;
    if (packed) {
        detail::read_symbols(in, text_size, alphabet, out.arena);
        text = out.arena;
    } else {
        text = in.raw(text_size);
    }
    if (!in.ok()) return alphabet;
    const Alphabet used = alphabet_of(text, packed ? alphabet.count : kRadixMax + 1);
    if ((packed && used.used != alphabet.used) ||
        plan_text(lengths_size, text_size, used).head != head) {
        in.refuse(Errc::malformed, detail::kNotCanonical, at);
        return alphabet;
    }
    out.values.resize(count);
    std::size_t from = 0;
    for (std::size_t i = 0; i < count; ++i) {
        out.values[i] = text.subspan(from, static_cast<std::size_t>(out.lengths[i]));
        from += out.values[i].size();
    }
    return used;
}

StringHead read_head(ByteReader& in, StringHead greatest) noexcept {
    const std::uint64_t at = in.offset();
    const std::uint8_t byte = in.u8();
    if (byte > static_cast<std::uint8_t>(greatest)) {
        in.refuse(Errc::malformed, "unknown string column encoding", at);
    }
    return static_cast<StringHead>(byte);
}

// Turns ranks into values; fails the reader unless they first appear in rising order, all of them.
void look_up(ByteReader& in,
             std::uint64_t at,
             std::span<const ByteView> entries,
             const ColumnLimits& limits,
             StringColumn& out) {
    std::size_t seen = 0;
    std::uint64_t left = std::min(limits.size_max, kColumnSizeMax);
    out.values.resize(out.lengths.size());
    for (std::size_t i = 0; i < out.values.size(); ++i) {
        const std::uint64_t rank = out.lengths[i];
        if (rank > seen || rank >= entries.size()) {
            in.refuse(Errc::malformed, "dictionary of a column is not in order", at);
            return;
        }
        seen += static_cast<std::size_t>(rank == seen);
        const ByteView entry = entries[static_cast<std::size_t>(rank)];
        if (entry.size() > left) {
            in.refuse(Errc::over_limit, "strings of a column are too long together", at);
            return;
        }
        left -= entry.size();
        out.values[i] = entry;
    }
    if (seen != entries.size()) {
        in.refuse(Errc::malformed, "dictionary of a column has unused entries", at);
    }
}

void read_dictionary(ByteReader& in,
                     std::size_t count,
                     const ColumnLimits& limits,
                     StringColumn& out) {
    const std::uint64_t at = in.offset();
    const std::uint64_t entry_count = in.varint();
    if (entry_count == 0 || entry_count > dictionary_count_max(count)) {
        in.refuse(Errc::malformed, "dictionary of a column is empty or too large", at);
        return;
    }
    StringColumn entries;
    const StringHead head = read_head(in, StringHead::symbols);
    if (!in.ok()) return;
    const Alphabet alphabet =
        read_text(in, head, static_cast<std::size_t>(entry_count), limits, entries);
    if (!in.ok() || !decode_integers(in, count, limits, out.lengths)) return;
    look_up(in, at, entries.values, limits, out);
    if (!in.ok()) return;
    out.arena = std::move(entries.arena);
    const std::uint64_t text_size = lengths_of(out.values, out.lengths);
    const TextPlan text = plan_text(detail::plan_integers(out.lengths).size, text_size, alphabet);
    const bool unlike =
        detail::find_distinct(entries.values, entries.values.size() - 1) == std::nullopt;
    if (!unlike || in.offset() - at + 1 >= text.size) {
        in.refuse(Errc::malformed, detail::kNotCanonical, at - 1);
    }
}

void read_strings(ByteReader& in,
                  std::size_t count,
                  const ColumnLimits& limits,
                  StringColumn& out) {
    if (!detail::check_count(in, count, limits) || count == 0) return;
    const std::uint64_t at = in.offset();
    const StringHead head = read_head(in, StringHead::dictionary);
    if (!in.ok()) return;
    if (head == StringHead::dictionary) return read_dictionary(in, count, limits, out);
    const Alphabet alphabet = read_text(in, head, count, limits, out);
    if (!in.ok()) return;
    const auto distinct = detail::find_distinct(out.values, dictionary_count_max(count));
    if (distinct && dictionary_size(out.values, *distinct, alphabet) < in.offset() - at) {
        in.refuse(Errc::malformed, detail::kNotCanonical, at);
    }
}

}  // namespace

void encode_strings(std::span<const ByteView> values, ByteWriter& out) {
    JOINERY_ASSERT(values.size() <= kColumnCountMax);
    if (values.empty()) return;
    const TextInput input = gather_text(values);
    const auto distinct = detail::find_distinct(values, dictionary_count_max(values.size()));
    if (!distinct || dictionary_size(values, *distinct, input.alphabet) >= input.plan.size) {
        return write_text(input, out);
    }
    std::vector<ByteView> entries;
    entries.reserve(distinct->firsts.size());
    for (const std::uint32_t first : distinct->firsts)
        entries.push_back(values[first]);
    out.u8(static_cast<std::uint8_t>(StringHead::dictionary));
    out.varint(entries.size());
    write_text(gather_text(entries), out);
    encode_integers(distinct->ranks, out);
}

Result<void> decode_strings(ByteReader& in,
                            std::size_t count,
                            const ColumnLimits& limits,
                            StringColumn& out) {
    // Former values stay until overwritten: reuse then costs no clearing.
    if (count == 0) out.values.clear();
    read_strings(in, count, limits, out);
    if (in.ok()) return {};
    out.values.clear();
    return in.error();
}

}  // namespace joinery::crdt
