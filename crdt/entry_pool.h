/// @file
/// The concurrent entries of a document's slots, each slot's in one block of a pool: reading them
/// costs one jump, and a slot that gains or loses one allocates nothing once the pool is warm.
#pragma once

#include "base/prefetch.h"
#include "base/value.h"
#include "crdt/names.h"

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace joinery::crdt {

/// A visible put (made == none) or make.
struct Entry {
    std::uint64_t counter = 0;
    std::int64_t stamp = 0;
    Value value;
    ChainIndex chain = kNone;  ///< kNone: no entry.
    Kind made = Kind::none;
};

/// Blocks of 2, 4, 8... entries within chunks that never move. A freed block waits in a list of its
/// size for the next that needs one.
class EntryPool {
  public:
    /// A block and how many entries are in it; none at first. Whoever holds it gives it back by
    /// popping them all.
    class Block {
      public:
        bool empty() const noexcept { return count_ == 0; }
        std::uint32_t size() const noexcept { return count_; }

      private:
        friend class EntryPool;
        std::uint32_t first_ = 0;
        std::uint32_t count_ : 27 = 0;
        std::uint32_t class_ : 5 = 0;  // The block has room for 1 << class_.
    };
    static_assert(sizeof(Block) == 8);

    EntryPool() { free_.fill(kNone); }

    std::span<Entry> entries(const Block& block) noexcept {
        return {block.empty() ? nullptr : at(block.first_), block.count_};
    }
    std::span<const Entry> entries(const Block& block) const noexcept {
        return {block.empty() ? nullptr : at(block.first_), block.count_};
    }
    void push(Block& block, Entry&& entry) {
        if (block.count_ == 0 || block.count_ == 1U << block.class_) grow(block);
        at(block.first_)[block.count_] = std::move(entry);
        block.count_ = (block.count_ + 1) & kCountMask;
    }
    /// Takes out the entry at @p index; the last one takes its place.
    Entry take(Block& block, std::size_t index);

    /// Asks the memory for what entries() is about to read.
    JOINERY_PREFETCHES void prefetch(const Block& block) const noexcept {
        if (block.empty()) return;
        const Entry* first = at(block.first_);
        const std::uint32_t count = block.count_ < kPrefetchMax ? block.count_ : kPrefetchMax;
        for (std::uint32_t i = 0; i <= count; ++i)
            joinery::prefetch(first + i);
    }
    std::size_t memory_size() const noexcept;

  private:
    static constexpr std::uint32_t kChunkBits = 10;
    static constexpr std::uint32_t kChunkSize = 1U << kChunkBits;
    static constexpr std::uint32_t kCountMask = (1U << 27U) - 1;
    static constexpr std::uint32_t kPrefetchMax = 12;

    Entry* at(std::uint32_t index) const noexcept {
        return chunks_[index >> kChunkBits] + (index & (kChunkSize - 1));
    }
    void grow(Block& block);
    std::uint32_t allocate(unsigned size_class);
    void release(std::uint32_t first, unsigned size_class);

    // A chunk for each kChunkSize indices; a larger block takes several that stand together.
    std::vector<Entry*> chunks_;
    std::vector<std::unique_ptr<Entry[]>> owned_;
    std::array<std::uint32_t, 28> free_;  // By class: the first free block; `counter` has the next.
    std::uint32_t next_ = 0;              // The first index never given out.
};

}  // namespace joinery::crdt
