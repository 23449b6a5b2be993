#include "crdt/digest_chunks.h"

#include <iterator>

namespace joinery::crdt {
namespace {

/// Moves what stands in @p from at @p at and after it to the end of @p to.
template <class T>
void move_tail(std::vector<T>& from, std::size_t at, std::vector<T>& to) {
    const auto begin = from.begin() + static_cast<std::ptrdiff_t>(at);
    to.insert(to.end(), std::make_move_iterator(begin), std::make_move_iterator(from.end()));
    from.erase(begin, from.end());
}

template <class T>
auto place(std::vector<T>& items, std::size_t at) {
    return items.begin() + static_cast<std::ptrdiff_t>(at);
}

}  // namespace

std::span<const std::uint32_t> DigestChunks::noted() {
    std::ranges::sort(noted_);
    const auto repeated = std::ranges::unique(noted_);
    noted_.erase(repeated.begin(), repeated.end());
    return noted_;
}

/// Many notes may be of few entries.
void DigestChunks::settle_noted() {
    if (noted().size() > noted_max_ / 2) {
        is_outdated_ = true;
        noted_.clear();
    }
}

/// @p end_before What the entry before it ends.
void DigestChunks::append(std::uint32_t entry, ChunkEnd end_before) {
    if (groups_.empty() || end_before == ChunkEnd::group) groups_.emplace_back();
    Group& group = groups_.back();
    if (group.chunks.empty() || end_before != ChunkEnd::none) group.chunks.emplace_back();
    group.chunks.back().entries.push_back(entry);
    ++entry_count_;
    greatest_ = std::max(greatest_, entry);
    stale(groups_.size() - 1, group.chunks.size() - 1);
}

/// What stands at @p at and after it in a chunk becomes a chunk of its own, and with @p end group
/// the chunks from it on a group. Something does stand there.
void DigestChunks::split(std::size_t group, std::size_t chunk, std::size_t at, ChunkEnd end) {
    if (end == ChunkEnd::none) return;
    auto& chunks = groups_[group].chunks;
    Chunk rest;
    move_tail(chunks[chunk].entries, at, rest.entries);
    chunks.insert(place(chunks, chunk + 1), std::move(rest));
    if (end != ChunkEnd::group) return;
    Group next;
    move_tail(chunks, chunk + 1, next.chunks);
    groups_.insert(place(groups_, group + 1), std::move(next));
}

void DigestChunks::erase(std::size_t group, std::size_t chunk, std::size_t at) {
    auto& entries = groups_[group].chunks[chunk].entries;
    entries.erase(place(entries, at));
    --entry_count_;
    // The last one ended the chunk, or was the last of all.
    if (at == entries.size()) join_next(group, chunk);
}

/// Joins a chunk that nothing ends any more with the one after it; without one after it, it goes if
/// it is empty.
void DigestChunks::join_next(std::size_t group, std::size_t chunk) {
    if (chunk + 1 == groups_[group].chunks.size() && group + 1 != groups_.size()) {
        move_tail(groups_[group + 1].chunks, 0, groups_[group].chunks);
        groups_.erase(place(groups_, group + 1));
    }
    auto& chunks = groups_[group].chunks;
    if (chunk + 1 != chunks.size()) {
        move_tail(chunks[chunk + 1].entries, 0, chunks[chunk].entries);
        chunks.erase(place(chunks, chunk + 1));
    } else if (chunks[chunk].entries.empty()) {
        chunks.pop_back();
        if (chunks.empty()) groups_.erase(place(groups_, group));
    }
}

std::size_t DigestChunks::chunk_count() const noexcept {
    std::size_t count = 0;
    for (const Group& group : groups_)
        count += group.chunks.size();
    return count;
}

std::size_t DigestChunks::memory_size() const noexcept {
    std::size_t size = groups_.capacity() * sizeof(Group) + noted_.capacity() * 4;
    for (const Group& group : groups_) {
        size += group.chunks.capacity() * sizeof(Chunk);
        for (const Chunk& chunk : group.chunks)
            size += chunk.entries.capacity() * 4;
    }
    return size;
}

}  // namespace joinery::crdt
