#include "crdt/distinct.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>

namespace joinery::crdt::detail {

namespace {

bool equal(ByteView a, ByteView b) noexcept {
    return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

// Native byte order: the hash never leaves find_distinct().
template <class Word>
std::uint64_t load(const std::uint8_t* in) noexcept {
    Word word = 0;
    std::memcpy(&word, in, sizeof word);
    return word;
}

std::uint64_t mix(std::uint64_t hash, std::uint64_t word) noexcept {
    hash = (hash ^ word) * 0x9e3779b97f4a7c15U;
    return hash ^ (hash >> 32);
}

// The last word of a string overlaps the one before, so that no string needs single bytes.
std::uint64_t hash_of(ByteView value) noexcept {
    const std::uint8_t* data = value.data();
    const std::size_t size = value.size();
    std::uint64_t hash = size;
    if (size >= 8) {
        for (std::size_t i = 0; i + 8 < size; i += 8) {
            hash = mix(hash, load<std::uint64_t>(data + i));
        }
        hash = mix(hash, load<std::uint64_t>(data + size - 8));
    } else if (size >= 4) {
        hash = mix(hash, load<std::uint32_t>(data) << 32 | load<std::uint32_t>(data + size - 4));
    } else if (size > 0) {
        hash =
            mix(hash,
                std::uint64_t{data[0]} << 16 | std::uint64_t{data[size / 2]} << 8 | data[size - 1]);
    }
    return hash * 0x9e3779b97f4a7c15U;
}

// Open addressing; a slot holds the hash's high half and rank + 1. Chosen values can make probing
// quadratic, so probes are counted and too many give up.
class ProbeTable {
  public:
    explicit ProbeTable(std::size_t count_max)
        : bits_(static_cast<unsigned>(std::bit_width(2 * count_max + 1))),
          slots_(std::size_t{1} << bits_) {}

    enum class Outcome { found_all, passed_max, gave_up };

    Outcome fill(std::span<const ByteView> values, std::size_t count_max, Distinct& distinct) {
        constexpr std::uint64_t kHigh = ~std::uint64_t{0xffffffff};
        std::size_t probes_left = 8 * values.size() + 64;
        const std::size_t mask = slots_.size() - 1;
        for (std::size_t i = 0; i < values.size(); ++i) {
            const std::uint64_t hash = hash_of(values[i]);
            auto at = static_cast<std::size_t>(hash >> (64 - bits_));
            for (;; at = (at + 1) & mask) {
                std::uint64_t& slot = slots_[at];
                if (slot == 0) {
                    if (distinct.firsts.size() == count_max) return Outcome::passed_max;
                    distinct.ranks.push_back(distinct.firsts.size());
                    distinct.firsts.push_back(static_cast<std::uint32_t>(i));
                    slot = (hash & kHigh) | distinct.firsts.size();
                    break;
                }
                const auto rank = static_cast<std::size_t>((slot & ~kHigh) - 1);
                if (((slot ^ hash) & kHigh) == 0 &&
                    equal(values[distinct.firsts[rank]], values[i])) {
                    distinct.ranks.push_back(rank);
                    break;
                }
                if (--probes_left == 0) return Outcome::gave_up;
            }
        }
        return Outcome::found_all;
    }

  private:
    unsigned bits_;
    std::vector<std::uint64_t> slots_;
};

// The same answer by sorting: slower, but not for anybody's choice of values.
std::optional<Distinct> sort_distinct(std::span<const ByteView> values, std::size_t count_max) {
    std::vector<std::uint32_t> order(values.size());
    std::iota(order.begin(), order.end(), 0U);
    std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
        const int compared = as_text(values[a]).compare(as_text(values[b]));
        return compared < 0 || (compared == 0 && a < b);
    });
    std::vector<std::uint32_t> first_of(values.size());
    for (std::size_t i = 0; i < order.size(); ++i) {
        const bool repeats = i > 0 && equal(values[order[i]], values[order[i - 1]]);
        first_of[order[i]] = repeats ? first_of[order[i - 1]] : order[i];
    }
    Distinct distinct;
    distinct.ranks.resize(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (first_of[i] != i) {
            distinct.ranks[i] = distinct.ranks[first_of[i]];
            continue;
        }
        if (distinct.firsts.size() == count_max) return std::nullopt;
        distinct.ranks[i] = distinct.firsts.size();
        distinct.firsts.push_back(static_cast<std::uint32_t>(i));
    }
    return distinct;
}

}  // namespace

std::optional<Distinct> find_distinct(std::span<const ByteView> values, std::size_t count_max) {
    ProbeTable table(count_max);
    Distinct distinct;
    switch (table.fill(values, count_max, distinct)) {
        case ProbeTable::Outcome::found_all: return distinct;
        case ProbeTable::Outcome::passed_max: return std::nullopt;
        case ProbeTable::Outcome::gave_up: break;
    }
    return sort_distinct(values, count_max);
}

}  // namespace joinery::crdt::detail
