/// @file
/// An open-addressing set of dense indices: 4 bytes an entry beside the load factor, no allocation
/// but for growth. The keys stay in the caller's arrays; it passes hashes and comparisons.
#pragma once

#include "base/assert.h"

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

class FlatIndex {
  public:
    /// The entry of @p hash for which @p equals holds; kNone if there is none.
    template <class Equals>
    std::uint32_t find(std::uint64_t hash, Equals&& equals) const {
        if (table_.empty()) return kNone;
        for (std::size_t at = hash & mask();; at = (at + 1) & mask()) {
            const std::uint32_t entry = table_[at];
            if (entry == kNone || equals(entry)) return entry;
        }
    }

    /// Adds @p entry, which must not be there; @p hash_of gives the hash of any entry.
    template <class HashOf>
    void insert(std::uint32_t entry, HashOf&& hash_of) {
        if ((count_ + 1) * 8 > table_.size() * 5) grow(hash_of);
        place(entry, hash_of(entry));
        ++count_;
    }

    /// Removes @p entry, which must be there, moving later ones of its probe run back.
    template <class HashOf>
    void erase(std::uint32_t entry, HashOf&& hash_of) {
        std::size_t hole = hash_of(entry) & mask();
        while (table_[hole] != entry) {
            JOINERY_ASSERT(table_[hole] != kNone);
            hole = (hole + 1) & mask();
        }
        for (std::size_t at = (hole + 1) & mask(); table_[at] != kNone; at = (at + 1) & mask()) {
            const std::size_t home = hash_of(table_[at]) & mask();
            // The entry may move back unless its home lies cyclically within (hole, at].
            if (((at - home) & mask()) >= ((at - hole) & mask())) {
                table_[hole] = table_[at];
                hole = at;
            }
        }
        table_[hole] = kNone;
        --count_;
    }

    /// Makes room for @p count entries at once.
    template <class HashOf>
    void reserve(std::size_t count, HashOf&& hash_of) {
        std::size_t size = 16;
        while (count * 8 > size * 5)
            size *= 2;
        if (size > table_.size()) resize(size, hash_of);
    }

    std::size_t size() const noexcept { return count_; }
    std::size_t memory_size() const noexcept { return table_.capacity() * sizeof(std::uint32_t); }

  private:
    std::size_t mask() const noexcept { return table_.size() - 1; }

    void place(std::uint32_t entry, std::uint64_t hash) {
        std::size_t at = hash & mask();
        while (table_[at] != kNone)
            at = (at + 1) & mask();
        table_[at] = entry;
    }
    template <class HashOf>
    void grow(HashOf&& hash_of) {
        resize(table_.empty() ? 16 : table_.size() * 2, hash_of);
    }
    template <class HashOf>
    void resize(std::size_t size, HashOf&& hash_of) {
        std::vector<std::uint32_t> old(size, kNone);
        old.swap(table_);
        for (const std::uint32_t entry : old) {
            if (entry != kNone) place(entry, hash_of(entry));
        }
    }

    std::vector<std::uint32_t> table_;
    std::size_t count_ = 0;
};

}  // namespace joinery::crdt
