/// @file
/// An open-addressing set of dense indices: 8 bytes an entry beside the load factor, no allocation
/// but for growth. The keys stay in the caller's arrays; it passes hashes and comparisons.
#pragma once

#include "base/assert.h"
#include "base/prefetch.h"

#include <cstdint>
#include <utility>
#include <vector>

namespace joinery::crdt {

inline constexpr std::uint32_t kNone = UINT32_MAX;

/// Mixes @p a and @p b into a well-spread hash (the finaliser of splitmix64).
inline std::uint64_t mix_hash(std::uint64_t a, std::uint64_t b) noexcept {
    std::uint64_t z = a * 0x9e3779b97f4a7c15U + b;
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31U);
}

/// A cell keeps half of its entry's hash, so that others are passed without a look at what they
/// name, and moving entries needs no hash again.
class FlatIndex {
  public:
    /// The entry of @p hash for which @p equals holds; kNone if there is none.
    template <class Equals>
    std::uint32_t find(std::uint64_t hash, Equals&& equals) const {
        if (table_.empty()) return kNone;
        const std::uint32_t tag = tag_of(hash);
        for (std::size_t at = tag & mask();; at = (at + 1) & mask()) {
            const Cell cell = table_[at];
            if (cell.entry == kNone || (cell.tag == tag && equals(cell.entry))) return cell.entry;
        }
    }

    /// Asks the memory for where the entry of @p hash is looked for first.
    JOINERY_PREFETCHES void prefetch(std::uint64_t hash) const noexcept {
        if (!table_.empty()) joinery::prefetch(&table_[tag_of(hash) & mask()]);
    }
    /// The entry that is most likely that of @p hash; kNone if there is none.
    std::uint32_t guess(std::uint64_t hash) const {
        return find(hash, [](std::uint32_t) { return true; });
    }

    /// Adds @p entry, which must not be there; @p hash_of gives the hash of any entry.
    template <class HashOf>
    void insert(std::uint32_t entry, HashOf&& hash_of) {
        if ((count_ + 1) * 8 > table_.size() * 5) resize(table_.empty() ? 16 : table_.size() * 2);
        place({entry, tag_of(hash_of(entry))});
        ++count_;
    }

    /// Removes @p entry, which must be there, moving later ones of its probe run back.
    template <class HashOf>
    void erase(std::uint32_t entry, HashOf&& hash_of) {
        std::size_t hole = tag_of(hash_of(entry)) & mask();
        while (table_[hole].entry != entry) {
            JOINERY_ASSERT(table_[hole].entry != kNone);
            hole = (hole + 1) & mask();
        }
        for (std::size_t at = (hole + 1) & mask(); table_[at].entry != kNone;
             at = (at + 1) & mask()) {
            const std::size_t home = table_[at].tag & mask();
            // The entry may move back unless its home lies cyclically within (hole, at].
            if (((at - home) & mask()) >= ((at - hole) & mask())) {
                table_[hole] = table_[at];
                hole = at;
            }
        }
        table_[hole] = Cell{};
        --count_;
    }

    /// Makes room for @p count entries at once.
    void reserve(std::size_t count) {
        std::size_t size = 16;
        while (count * 8 > size * 5)
            size *= 2;
        if (size > table_.size()) resize(size);
    }

    std::size_t size() const noexcept { return count_; }
    std::size_t memory_size() const noexcept { return table_.capacity() * sizeof(Cell); }

  private:
    struct Cell {
        std::uint32_t entry = kNone;
        std::uint32_t tag = 0;
    };

    static std::uint32_t tag_of(std::uint64_t hash) noexcept {
        return static_cast<std::uint32_t>(hash);
    }
    std::size_t mask() const noexcept { return table_.size() - 1; }

    void place(Cell cell) {
        std::size_t at = cell.tag & mask();
        while (table_[at].entry != kNone)
            at = (at + 1) & mask();
        table_[at] = cell;
    }
    void resize(std::size_t size) {
        JOINERY_ASSERT(size <= std::size_t{1} << 32U);
        std::vector<Cell> old(size);
        old.swap(table_);
        for (const Cell& cell : old) {
            if (cell.entry != kNone) place(cell);
        }
    }

    std::vector<Cell> table_;
    std::size_t count_ = 0;
};

}  // namespace joinery::crdt
