#include "crdt/cursor.h"
#include "crdt/document.h"
#include "crdt/hash.h"

#include <algorithm>

// A container's digest is a two-level Merkle tree over its entries in order: map keys by their
// bytes, list elements by place, counter cells by actor. An entry ends a chunk where its own name
// says so, so that the chunks are the same whatever order the entries arrived in. Layout:
// docs/snapshot-format.md 1.

namespace joinery::crdt {
namespace {

/// One entry in kChunkMean ends a chunk.
constexpr std::uint64_t kChunkMean = 32;

/// FNV-1a, which decides nothing but where chunks end.
std::uint64_t chunk_hash(ByteView name) noexcept {
    std::uint64_t hash = 0xcbf29ce484222325U;
    for (const std::uint8_t byte : name)
        hash = (hash ^ byte) * 0x100000001b3U;
    return hash ^ (hash >> 32U);
}

class ContainerHasher {
  public:
    using DigestOf = std::function<const Digest&(ContainerIndex)>;

    ContainerHasher(const State& state, Bytes& buffer, DigestOf digest_of)
        : state_(state), names_(state.names()), chunk_(buffer), digest_of_(std::move(digest_of)) {}

    Digest run(ContainerIndex container) {
        chunk_.clear();
        const Kind kind = names_.container(container).kind;
        if (kind == Kind::counter) {
            hash_cells(container);
        } else if (has_elements(kind)) {
            hash_elements(container);
        } else {
            hash_keys(container);
        }
        end_chunk();
        Bytes top;
        ByteWriter out(top);
        out.u8(static_cast<std::uint8_t>(kind));
        out.varint(count_);
        out.raw(chunks_);
        return hash_as<Digest>(top);
    }

  private:
    void end_chunk() {
        if (chunk_.empty()) return;
        const auto digest = hash_as<Digest>(chunk_);
        chunks_.insert(chunks_.end(), digest.bytes.begin(), digest.bytes.end());
        chunk_.clear();
    }
    void entry_done(ByteView name) {
        ++count_;
        if (chunk_hash(name) % kChunkMean == 0) end_chunk();
    }

    void hash_keys(ContainerIndex container) {
        std::vector<SlotIndex> order;
        for (auto slot = state_.container(container).first_slot; slot != kNone;
             slot = state_.slot(slot).next) {
            if (state_.slot(slot).is_present()) order.push_back(slot);
        }
        std::ranges::sort(order, {}, [&](SlotIndex s) { return names_.key(state_.slot(s).key); });
        for (const SlotIndex slot : order) {
            const ByteView key = as_bytes(names_.key(state_.slot(slot).key));
            ByteWriter(chunk_).sized(key);
            hash_slot(state_.slot(slot));
            entry_done(key);
        }
    }

    void hash_elements(ContainerIndex container) {
        const State::List* list = state_.list(container);
        if (list == nullptr) return;
        list->places.for_each_visible([&](std::uint32_t item) {
            const ElementIndex element = list->element_of[item];
            const PathId id = names_.element_id(element);
            ByteWriter(chunk_).raw(id.view());
            hash_slot(state_.slot(state_.find_slot(container, element)));
            entry_done(id.view());
        });
    }

    void hash_cells(ContainerIndex container) {
        const auto current = state_.cells(container);
        std::vector<Cell> cells(current.begin(), current.end());
        std::ranges::sort(cells, [&](const Cell& a, const Cell& b) {
            return names_.actor_less(a.chain, b.chain);
        });
        ByteWriter out(chunk_);
        for (const Cell& cell : cells) {
            const ByteView actor = names_.actor(cell.chain).view();
            const Int128 visible = cell.visible();
            out.raw(actor);
            // Which of the run's increments are visible: those after the last one cleared (D1).
            out.varint(cell.cleared_last);
            out.varint(cell.last);
            out.u64(static_cast<std::uint64_t>(visible));
            out.u64(static_cast<std::uint64_t>(visible >> 64));
            entry_done(actor);
        }
    }

    void hash_slot(const State::Slot& slot) {
        std::vector<const Entry*> entries;
        if (slot.has_entry()) entries.push_back(&slot.entry);
        for (const Entry& entry : state_.alternatives(slot))
            entries.push_back(&entry);
        std::ranges::sort(entries, [&](const Entry* a, const Entry* b) {
            if (a->chain != b->chain) return names_.actor_less(a->chain, b->chain);
            return a->counter < b->counter;
        });
        ByteWriter out(chunk_);
        out.varint(entries.size());
        for (const Entry* entry : entries)
            hash_entry(out, *entry);
        for (std::uint8_t kind = 1; kind <= kKindMax; ++kind) {
            const auto child = state_.attached_child(slot, static_cast<Kind>(kind));
            if (child == kNone || state_.container(child).present_count == 0) continue;
            out.u8(kind);
            out.raw(digest_of_(child).view());
        }
        out.u8(0);
    }

    void hash_entry(ByteWriter& out, const Entry& entry) {
        out.raw(names_.actor(entry.chain).view());
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

    const State& state_;
    const Names& names_;
    Bytes& chunk_;
    DigestOf digest_of_;
    Bytes chunks_;
    std::uint64_t count_ = 0;
};

}  // namespace

const Digest& Document::container_digest(ContainerIndex container) {
    Digest& cached = state_.cached_digest(container);
    if (!state_.container(container).dirty) return cached;
    // Children first, so that the buffer serves one container at a time.
    for (auto slot = state_.container(container).first_slot; slot != kNone;
         slot = state_.slot(slot).next) {
        for (auto child = state_.slot(slot).first_child; child != kNone;
             child = state_.container(child).next_sibling) {
            if (state_.container(child).dirty) container_digest(child);
        }
    }
    const auto digest_of = [&](ContainerIndex child) -> const Digest& {
        return state_.cached_digest(child);
    };
    const Digest digest = ContainerHasher(state_, digest_input_, digest_of).run(container);
    state_.mark_clean(container);
    return state_.cached_digest(container) = digest;
}

Digest Document::digest() { return container_digest(kRoot); }

}  // namespace joinery::crdt
