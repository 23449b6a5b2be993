/// @file
/// The chunks of one large container (docs/snapshot-format.md 1), kept from one digest to the next:
/// its present entries in order, and which of their hashes still hold. So a digest after one write
/// hashes one chunk and one group, whatever the container holds.
#pragma once

#include "base/bytes.h"

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

namespace joinery::crdt {

/// What the name of an entry ends: nothing, its chunk, or the group of chunks as well.
enum class ChunkEnd : std::uint8_t { none = 0, chunk = 1, group = 2 };

/// An entry is a number that the container's order understands: a map's key, a list's place. An
/// *order* has `bool before(entry, entry)`, for any two entries that are here or asked about, and
/// `ChunkEnd end(entry)`; the order of two entries never changes.
class DigestChunks {
  public:
    struct Chunk {
        std::vector<std::uint32_t> entries;  ///< In order; never empty.
        Digest digest;
        bool is_stale = true;
    };
    struct Group {
        std::vector<Chunk> chunks;  ///< In order; never empty.
        Digest digest;
        bool is_stale = true;
    };

    /// Notes that @p entry changed, came or went.
    void note(std::uint32_t entry) {
        if (noted_.empty() || noted_.back() != entry) noted_.push_back(entry);
        if (noted_.size() > noted_max_) settle_noted();
    }
    /// The entries noted since clear_noted(), rising, each once.
    std::span<const std::uint32_t> noted();
    void clear_noted() noexcept { noted_.clear(); }
    /// Whether so much was noted that making the chunks anew costs less.
    bool is_outdated() const noexcept { return is_outdated_; }

    /// Fills it with all @p entries, present and in order.
    template <class Order>
    void build(std::span<const std::uint32_t> entries, const Order& order);
    /// Settles one entry: its chunk's hash no longer holds.
    template <class Order>
    void set(std::uint32_t entry, bool is_present, const Order& order);

    std::vector<Group>& groups() noexcept { return groups_; }
    std::size_t entry_count() const noexcept { return entry_count_; }
    /// Whether no entry was ever as great as @p entry.
    bool is_below(std::uint32_t entry) const noexcept { return greatest_ < entry; }
    std::size_t chunk_count() const noexcept;
    std::size_t memory_size() const noexcept;

  private:
    static constexpr std::size_t kNotedMin = 64;

    static std::uint32_t last_of(const Chunk& chunk) { return chunk.entries.back(); }
    static std::uint32_t last_of(const Group& group) { return last_of(group.chunks.back()); }
    template <class Item, class Order>
    static std::size_t find(const std::vector<Item>& items,
                            std::uint32_t entry,
                            const Order& order);
    void settle_noted();
    void append(std::uint32_t entry, ChunkEnd end_before);
    void split(std::size_t group, std::size_t chunk, std::size_t at, ChunkEnd end);
    void erase(std::size_t group, std::size_t chunk, std::size_t at);
    void join_next(std::size_t group, std::size_t chunk);
    void stale(std::size_t group, std::size_t chunk) {
        groups_[group].is_stale = true;
        groups_[group].chunks[chunk].is_stale = true;
    }

    std::vector<Group> groups_;
    std::size_t entry_count_ = 0;
    std::uint32_t greatest_ = 0;
    std::vector<std::uint32_t> noted_;
    std::size_t noted_max_ = kNotedMin;
    bool is_outdated_ = false;
};

template <class Order>
void DigestChunks::build(std::span<const std::uint32_t> entries, const Order& order) {
    ChunkEnd end = ChunkEnd::none;
    for (const std::uint32_t entry : entries) {
        append(entry, end);
        end = order.end(entry);
    }
    noted_max_ = std::max(kNotedMin, entries.size() / 8);
}

/// The index of the first of @p items that ends at @p entry or after it; their count if none does.
template <class Item, class Order>
std::size_t DigestChunks::find(const std::vector<Item>& items,
                               std::uint32_t entry,
                               const Order& order) {
    const auto found = std::ranges::partition_point(
        items, [&](const Item& item) { return order.before(last_of(item), entry); });
    return static_cast<std::size_t>(found - items.begin());
}

template <class Order>
void DigestChunks::set(std::uint32_t entry, bool is_present, const Order& order) {
    const std::size_t group = find(groups_, entry, order);
    if (group == groups_.size()) {
        if (!is_present) return;
        const bool is_first = groups_.empty();
        return append(entry, is_first ? ChunkEnd::none : order.end(last_of(groups_.back())));
    }
    const std::size_t chunk = find(groups_[group].chunks, entry, order);
    auto& entries = groups_[group].chunks[chunk].entries;
    const auto place = std::ranges::partition_point(
        entries, [&](std::uint32_t other) { return order.before(other, entry); });
    const auto at = static_cast<std::size_t>(place - entries.begin());
    const bool is_here = *place == entry;
    if (!is_here && !is_present) return;
    stale(group, chunk);
    if (is_here && !is_present) return erase(group, chunk, at);
    if (is_here) return;
    entries.insert(place, entry);
    ++entry_count_;
    greatest_ = std::max(greatest_, entry);
    split(group, chunk, at + 1, order.end(entry));
}

}  // namespace joinery::crdt
