#include "crdt/cursor.h"
#include "crdt/digest_chunks.h"
#include "crdt/document.h"
#include "crdt/hash.h"

#include <algorithm>
#include <numeric>

// A container's digest is a Merkle tree over its entries in order: map keys by their bytes, list
// elements by place, counter cells by actor. An entry ends a chunk where its own name says so, so
// that the chunks are the same whatever order the entries arrived in. Layout:
// docs/snapshot-format.md 1.

namespace joinery::crdt {
namespace {

/// One entry in kChunkMean ends a chunk; one chunk in kChunkMean ends a group.
constexpr std::uint64_t kChunkMean = 32;
/// A container of more chunks is hashed by groups.
constexpr std::size_t kChunkMax = 64;
constexpr std::uint8_t kGroupedBit = 0x80;
/// A container of as many entries keeps its chunks until the next digest.
constexpr std::size_t kKeptMin = 64;

/// FNV-1a, which decides nothing but where chunks end.
ChunkEnd end_of(ByteView name) noexcept {
    std::uint64_t hash = 0xcbf29ce484222325U;
    for (const std::uint8_t byte : name)
        hash = (hash ^ byte) * 0x100000001b3U;
    hash ^= hash >> 32U;
    if (hash % kChunkMean != 0) return ChunkEnd::none;
    return hash % (kChunkMean * kChunkMean) != 0 ? ChunkEnd::chunk : ChunkEnd::group;
}

/// Present keys of a map, by their bytes.
class KeyEntries {
  public:
    KeyEntries(const State& state, ContainerIndex container)
        : state_(state), container_(container) {}

    bool before(KeyIndex a, KeyIndex b) const {
        return state_.names().key(a) < state_.names().key(b);
    }
    ChunkEnd end(KeyIndex key) const { return end_of(as_bytes(state_.names().key(key))); }
    bool exists(KeyIndex key) const { return key < state_.names().key_count(); }
    SlotIndex slot(KeyIndex key) const { return state_.find_slot(container_, key); }
    void write_name(ByteWriter& out, KeyIndex key) const {
        out.sized(as_bytes(state_.names().key(key)));
    }
    std::vector<std::uint32_t> all() const {
        std::vector<std::uint32_t> keys;
        for (auto slot = state_.container(container_).first_slot; slot != kNone;
             slot = state_.slot(slot).next) {
            if (state_.slot(slot).is_present()) keys.push_back(state_.slot(slot).key);
        }
        std::ranges::sort(keys, [&](KeyIndex a, KeyIndex b) { return before(a, b); });
        return keys;
    }

  private:
    const State& state_;
    ContainerIndex container_;
};

/// Visible places of a list, in its order.
class PlaceEntries {
  public:
    PlaceEntries(const State& state, ContainerIndex container)
        : state_(state), container_(container), list_(state.list(container)) {}

    bool before(Item a, Item b) const { return a != b && list_->places.precedes(a, b); }
    ChunkEnd end(Item item) const { return end_of(id(item).view()); }
    bool exists(Item item) const { return list_ != nullptr && item < list_->places.item_count(); }
    /// That of the element; kNone where it stands at another place.
    SlotIndex slot(Item item) const {
        if (!list_->places.is_visible(item)) return kNone;
        return state_.find_slot(container_, list_->element_of[item]);
    }
    void write_name(ByteWriter& out, Item item) const { out.raw(id(item).view()); }
    std::vector<std::uint32_t> all() const {
        std::vector<std::uint32_t> items;
        if (list_ == nullptr) return items;
        items.reserve(list_->places.visible_count());
        list_->places.for_each_visible([&](Item item) { items.push_back(item); });
        return items;
    }

  private:
    PathId id(Item item) const { return state_.names().element_id(list_->element_of[item]); }

    const State& state_;
    ContainerIndex container_;
    const State::List* list_;
};

/// Cells of a counter, by actor; an entry is an index among them.
class CellEntries {
  public:
    CellEntries(const State& state, ContainerIndex container) : names_(state.names()) {
        const auto current = state.cells(container);
        cells_.assign(current.begin(), current.end());
        std::ranges::sort(cells_, [&](const Cell& a, const Cell& b) {
            return names_.actor_less(a.chain, b.chain);
        });
    }
    bool before(std::uint32_t a, std::uint32_t b) const { return a < b; }
    ChunkEnd end(std::uint32_t index) const { return end_of(actor(index)); }
    ByteView actor(std::uint32_t index) const { return names_.actor(cells_[index].chain).view(); }
    const Cell& cell(std::uint32_t index) const { return cells_[index]; }
    std::vector<std::uint32_t> all() const {
        std::vector<std::uint32_t> indices(cells_.size());
        std::iota(indices.begin(), indices.end(), 0U);
        return indices;
    }

  private:
    const Names& names_;
    std::vector<Cell> cells_;
};

/// Hashes the entries of one container.
class ContainerHasher {
  public:
    ContainerHasher(State& state, Bytes& buffer) : state_(state), buffer_(buffer) {}

    Digest run(ContainerIndex container) {
        const Kind kind = state_.names().container(container).kind;
        if (kind == Kind::counter) {
            const CellEntries cells(state_, container);
            DigestChunks chunks;
            chunks.build(cells.all(), cells);
            return root(kind, chunks, [&](std::uint32_t index) { write_cell(cells, index); });
        }
        return has_elements(kind) ? hash_slots(container, PlaceEntries(state_, container))
                                  : hash_slots(container, KeyEntries(state_, container));
    }

  private:
    template <class Entries>
    Digest hash_slots(ContainerIndex container, const Entries& entries) {
        const Kind kind = state_.names().container(container).kind;
        const auto write = [&](std::uint32_t entry) {
            ByteWriter out(buffer_);
            entries.write_name(out, entry);
            write_slot(out, state_.slot(entries.slot(entry)));
        };
        DigestChunks* kept = state_.digest_chunks(container);
        if (kept != nullptr) {
            for (const std::uint32_t entry : kept->noted()) {
                if (!entries.exists(entry)) continue;
                const SlotIndex slot = entries.slot(entry);
                kept->set(entry, slot != kNone && state_.slot(slot).is_present(), entries);
            }
            kept->clear_noted();
        } else {
            DigestChunks fresh;
            fresh.build(entries.all(), entries);
            if (fresh.entry_count() < kKeptMin) return root(kind, fresh, write);
            kept = &state_.keep_digest_chunks(container, std::move(fresh));
        }
        return root(kind, *kept, write);
    }

    /// @p write appends an entry to the buffer.
    template <class Write>
    Digest root(Kind kind, DigestChunks& chunks, const Write& write) {
        const bool is_grouped = chunks.chunk_count() > kChunkMax;
        Bytes top;
        ByteWriter out(top);
        out.u8(static_cast<std::uint8_t>(static_cast<unsigned>(kind) |
                                         (is_grouped ? kGroupedBit : 0U)));
        out.varint(chunks.entry_count());
        for (DigestChunks::Group& group : chunks.groups()) {
            if (is_grouped && !group.is_stale) {
                out.raw(group.digest.view());
                continue;
            }
            for (DigestChunks::Chunk& chunk : group.chunks)
                refresh(chunk, write);
            if (is_grouped) refresh(group);
            if (is_grouped) out.raw(group.digest.view());
            for (std::size_t i = 0; !is_grouped && i < group.chunks.size(); ++i)
                out.raw(group.chunks[i].digest.view());
        }
        return hash_as<Digest>(top);
    }
    template <class Write>
    void refresh(DigestChunks::Chunk& chunk, const Write& write) {
        if (!chunk.is_stale) return;
        buffer_.clear();
        for (const std::uint32_t entry : chunk.entries)
            write(entry);
        chunk.digest = hash_as<Digest>(buffer_);
        chunk.is_stale = false;
    }
    void refresh(DigestChunks::Group& group) {
        buffer_.clear();
        ByteWriter out(buffer_);
        for (const DigestChunks::Chunk& chunk : group.chunks)
            out.raw(chunk.digest.view());
        group.digest = hash_as<Digest>(buffer_);
        group.is_stale = false;
    }

    void write_cell(const CellEntries& cells, std::uint32_t index) {
        const Cell& cell = cells.cell(index);
        const Int128 visible = cell.visible();
        ByteWriter out(buffer_);
        out.raw(cells.actor(index));
        // Which of the run's increments are visible: those after the last one cleared (D1).
        out.varint(cell.cleared_last);
        out.varint(cell.last);
        out.u64(static_cast<std::uint64_t>(visible));
        out.u64(static_cast<std::uint64_t>(visible >> 64));
    }

    void write_slot(ByteWriter& out, const State::Slot& slot) {
        entries_.clear();
        if (slot.has_entry()) entries_.push_back(&slot.entry);
        for (const Entry& entry : state_.alternatives(slot))
            entries_.push_back(&entry);
        const Names& names = state_.names();
        std::ranges::sort(entries_, [&](const Entry* a, const Entry* b) {
            if (a->chain != b->chain) return names.actor_less(a->chain, b->chain);
            return a->counter < b->counter;
        });
        out.varint(entries_.size());
        for (const Entry* entry : entries_)
            write_entry(out, *entry);
        for (std::uint8_t kind = 1; kind <= kKindMax; ++kind) {
            const auto child = state_.attached_child(slot, static_cast<Kind>(kind));
            if (child == kNone || state_.container(child).present_count == 0) continue;
            out.u8(kind);
            out.raw(state_.cached_digest(child).view());
        }
        out.u8(0);
    }

    void write_entry(ByteWriter& out, const Entry& entry) {
        out.raw(state_.names().actor(entry.chain).view());
        out.varint(entry.counter);
        out.u8(static_cast<std::uint8_t>(entry.made));
        if (entry.made != Kind::none) return;
        out.u8(static_cast<std::uint8_t>(entry.value.type()));
        if (entry.value.type() == ValueType::string || entry.value.type() == ValueType::bytes) {
            out.sized(entry.value.content());
        } else {
            out.u64(entry.value.payload());
        }
    }

    State& state_;
    Bytes& buffer_;
    std::vector<const Entry*> entries_;  // Scratch of write_slot().
};

}  // namespace

void Document::refresh_digests_beneath(SlotIndex slot) {
    for (auto child = state_.slot(slot).first_child; child != kNone;
         child = state_.container(child).next_sibling) {
        if (state_.container(child).dirty) container_digest(child);
    }
}

/// Children first, so that the buffer serves one container at a time. Where chunks are kept, a
/// child that changed was noted.
void Document::refresh_digests_in(ContainerIndex container) {
    DigestChunks* const chunks = state_.digest_chunks(container);
    if (chunks != nullptr && chunks->is_outdated()) state_.drop_digest_chunks(container);
    if (chunks == nullptr || state_.digest_chunks(container) == nullptr) {
        for (auto slot = state_.container(container).first_slot; slot != kNone;
             slot = state_.slot(slot).next) {
            refresh_digests_beneath(slot);
        }
        return;
    }
    const bool in_list = has_elements(names_.container(container).kind);
    const State::List* const list = state_.list(container);
    for (const std::uint32_t entry : chunks->noted()) {
        if (in_list && entry >= list->places.item_count()) continue;
        const std::uint32_t key = in_list ? list->element_of[entry] : entry;
        const SlotIndex slot = state_.find_slot(container, key);
        if (slot != kNone) refresh_digests_beneath(slot);
    }
}

const Digest& Document::container_digest(ContainerIndex container) {
    if (state_.container(container).dirty) {
        refresh_digests_in(container);
        const Digest digest = ContainerHasher(state_, digest_input_).run(container);
        state_.mark_clean(container);
        state_.cached_digest(container) = digest;
    }
    return state_.cached_digest(container);
}

Digest Document::digest() { return container_digest(kRoot); }

}  // namespace joinery::crdt
