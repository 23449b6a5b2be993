#include "crdt/entry_pool.h"

#include "base/assert.h"

#include <algorithm>

namespace joinery::crdt {

void EntryPool::grow(Block& block) {
    const unsigned size_class = block.empty() ? 1 : block.class_ + 1U;
    JOINERY_ASSERT(size_class < free_.size());
    const std::uint32_t first = allocate(size_class);
    const std::span<Entry> old = entries(block);
    std::ranges::move(old, at(first));
    if (!old.empty()) release(block.first_, block.class_);
    block.first_ = first;
    block.class_ = size_class & 31U;
}

Entry EntryPool::take(Block& block, std::size_t index) {
    const std::span<Entry> all = entries(block);
    Entry taken = std::move(all[index]);
    if (index + 1 != all.size()) all[index] = std::move(all.back());
    block.count_ = (block.count_ - 1U) & kCountMask;
    if (block.empty()) release(block.first_, block.class_);
    return taken;
}

std::uint32_t EntryPool::allocate(unsigned size_class) {
    if (const std::uint32_t first = free_[size_class]; first != kNone) {
        Entry& head = *at(first);
        free_[size_class] = static_cast<std::uint32_t>(head.counter);
        head = Entry{};
        return first;
    }
    const std::uint32_t size = 1U << size_class;
    const auto end = static_cast<std::uint32_t>(chunks_.size()) << kChunkBits;
    if (next_ + size <= end) {
        next_ += size;
        return next_ - size;
    }
    // What is left of the last chunk goes to the free lists, the largest pieces first.
    for (unsigned piece = kChunkBits; piece-- > 1;) {
        for (; end - next_ >= 1U << piece; next_ += 1U << piece)
            release(next_, piece);
    }
    const std::uint32_t chunk_size = std::max(size, kChunkSize);
    JOINERY_ASSERT(end <= UINT32_MAX - chunk_size);
    owned_.push_back(std::make_unique<Entry[]>(chunk_size));
    for (std::uint32_t i = 0; i < chunk_size; i += kChunkSize)
        chunks_.push_back(owned_.back().get() + i);
    next_ = end + size;
    return end;
}

void EntryPool::release(std::uint32_t first, unsigned size_class) {
    Entry& head = *at(first);
    head.counter = free_[size_class];
    free_[size_class] = first;
}

std::size_t EntryPool::memory_size() const noexcept {
    return chunks_.size() * kChunkSize * sizeof(Entry) + chunks_.capacity() * sizeof(Entry*) +
           owned_.capacity() * sizeof(owned_[0]);
}

}  // namespace joinery::crdt
