/// @file
/// What a document shows, as flat arrays: slots, containers, elements, counters. It holds what is
/// visible, the places that lists need, and nothing of what was overwritten or erased.
///
/// All changes of the state go through a few primitives, each of which notes its inverse in a
/// journal. So any sequence of operations can be undone exactly: a transaction that fails, or a
/// batch from the network whose last operation is malformed, leaves the state as it was.
#pragma once

#include "base/bytes.h"
#include "crdt/batch.h"
#include "crdt/digest_chunks.h"
#include "crdt/entry_pool.h"
#include "crdt/names.h"
#include "crdt/sequence.h"

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace joinery::crdt {

using SlotIndex = std::uint32_t;

/// The visible increments of one actor at one counter (rules N).
struct Cell {
    ChainIndex chain = kNone;
    std::uint64_t origin = 0;        ///< Counter of the run's first increment.
    std::uint64_t last = 0;          ///< Counter of the run's last increment.
    std::uint64_t cleared_last = 0;  ///< Counter of the run's last increment that was cleared.
    Int128 total = 0;                ///< Of the run.
    Int128 cleared_total = 0;        ///< Of the run's increments that were cleared.
    Int128 visible() const noexcept { return total - cleared_total; }
};

/// Whether increments of 64 bits each can make such a cell. It bounds the totals, so that a counter
/// of possible cells can be summed.
inline bool is_possible(const Cell& cell) noexcept {
    const auto fits = [&](Int128 total, std::uint64_t last) {
        const Int128 bound = static_cast<Int128>(last - cell.origin + 1) << 63;
        return -bound <= total && total <= bound;
    };
    if (cell.origin == 0 || cell.origin > cell.last || cell.cleared_last >= cell.last ||
        cell.last > kCounterMax || !fits(cell.total, cell.last)) {
        return false;
    }
    if (cell.cleared_last == 0) return cell.cleared_total == 0;
    return cell.cleared_last >= cell.origin && fits(cell.cleared_total, cell.cleared_last);
}

/// What a slot shows (rule M4).
struct Shown {
    Kind kind = Kind::none;  ///< none: a value, if `value`; else nothing.
    const Value* value = nullptr;
    ContainerIndex container = kNone;
    bool nothing() const noexcept { return kind == Kind::none && value == nullptr; }
};

class State {
  public:
    struct Slot {
        Entry entry;  ///< The greatest visible put or make; the others are in alternatives().
        ContainerIndex container = kNone;
        std::uint32_t key = 0;
        SlotIndex next = kNone, previous = kNone;  ///< Of the container's slots, in no set order.
        ContainerIndex first_child = kNone;        ///< Attached children, linked by next_sibling.
        std::uint32_t present_children = 0;
        EntryPool::Block others;  ///< Of alternatives().

        bool has_entry() const noexcept { return entry.chain != kNone; }
        bool is_present() const noexcept { return has_entry() || present_children != 0; }
    };
    struct Container {
        SlotIndex first_slot = kNone;
        ContainerIndex next_sibling = kNone;
        std::uint32_t present_count = 0;  ///< Present slots, or cells of a counter.
        std::uint32_t payload = kNone;    ///< Into lists or counters.
        std::uint32_t chunks = kNone;     ///< Of the digest, where they are kept.
        bool attached = false;            ///< Linked to its slot; the root always is.
        bool dirty = true;                ///< The cached digest is stale.
    };
    struct List {
        Sequence places;
        std::vector<ElementIndex> element_of;  ///< By item.
    };
    /// Rule L3: the winning place of an element; the others are in other_places().
    struct Element {
        std::uint32_t item = kNone;
        SlotIndex slot = kNone;  ///< Its slot, where it has one.
        std::int64_t stamp = 0;
    };
    /// A visible place of an element.
    struct Place {
        std::uint32_t item;
        std::int64_t stamp;
    };

    /// @p names Must outlive the state.
    explicit State(Names& names);

    // --- Reading -------------------------------------------------------------------------------
    SlotIndex find_slot(ContainerIndex container, std::uint32_t key) const;
    const Slot& slot(SlotIndex slot) const { return slots_[slot]; }
    const Container& container(ContainerIndex container) const;
    std::span<const Entry> alternatives(const Slot& slot) const;
    Shown shown(ContainerIndex container, std::uint32_t key) const;
    Shown shown(const Slot& slot) const;
    /// The child of @p kind where it is attached; kNone else.
    ContainerIndex attached_child(const Slot& slot, Kind kind) const;
    const List* list(ContainerIndex container) const;
    std::span<const Cell> cells(ContainerIndex counter) const;
    const Element& element(ElementIndex element) const;
    std::span<const Place> other_places(ElementIndex element) const;
    /// Whether @p seen holds for a place of @p element, of those now hidden as well. An element by
    /// key has no dot of its own: whoever saw one of its places saw it inserted.
    template <class Seen>
    bool any_place(ElementIndex element, Seen&& seen) const {
        for (auto i = first_place_of(element); i != kNone; i = first_places_[i].next) {
            if (seen(first_places_[i].dot)) return true;
        }
        return false;
    }
    /// Sum of the visible increments.
    Int128 counter_sum(ContainerIndex counter) const;
    const Names& names() const noexcept { return names_; }
    /// The greater of two entries by (stamp, actor, counter).
    bool greater(const Entry& a, const Entry& b) const;
    std::size_t slot_count() const noexcept { return slots_.size() - free_slots_.size(); }
    std::size_t memory_size() const noexcept;

    // --- Hints: a batch reaches into memory all over ---------------------------------------------
    /// Asks the memory for what an operation at (@p container, @p key) will need; what each asks
    /// for leads to what the next one reads. They change nothing.
    JOINERY_PREFETCHES void prefetch_index(ContainerIndex container,
                                           std::uint32_t key) const noexcept {
        slot_index_.prefetch(mix_hash(container, key));
    }
    /// The slot that is most likely that of (@p container, @p key); kNone where there is none.
    SlotIndex guess_slot(ContainerIndex container, std::uint32_t key) const {
        return slot_index_.guess(mix_hash(container, key));
    }
    JOINERY_PREFETCHES void prefetch_slot(SlotIndex guess) const noexcept {
        if (guess == kNone) return;
        prefetch(&slots_[guess]);
        prefetch(&slots_[guess].others);
    }
    JOINERY_PREFETCHES void prefetch_entries(SlotIndex guess) const noexcept {
        if (guess != kNone) entries_.prefetch(slots_[guess].others);
    }
    /// Whether @p guess is the slot of (@p container, @p key), a map, after all.
    bool is_at(SlotIndex guess, ContainerIndex container, std::uint32_t key) const noexcept {
        return slots_[guess].container == container && slots_[guess].key == key;
    }

    // --- Primitives: each notes its inverse in the journal ---------------------------------------
    void add_entry(ContainerIndex container, std::uint32_t key, Entry&& entry);
    /// The same, at a slot that is there.
    void add_entry(SlotIndex slot, Entry&& entry);
    /// Removes the entry of @p slot: 0 is the winner, n the alternative n - 1.
    void remove_entry(SlotIndex slot, std::size_t index);
    /// Replaces the only entry of a slot.
    void replace_entry(SlotIndex slot, Entry entry);
    /// Sets or removes the cell of @p chain.
    void set_cell(ContainerIndex counter, ChainIndex chain, const std::optional<Cell>& cell);
    /// Makes a place and returns its item.
    std::uint32_t add_place(ContainerIndex list,
                            ElementIndex element,
                            Dot dot,
                            std::uint32_t left_item,
                            std::uint32_t right_item);
    /// Sets the places of @p element: the winner and the others.
    void set_places(ElementIndex element, Place winner, std::vector<Place> others);

    // --- Journal -------------------------------------------------------------------------------
    /// Forgets the inverses: what was done stays done.
    void keep();
    /// Undoes all since the last keep().
    void undo();

    // --- Patches -------------------------------------------------------------------------------
    /// What a slot showed before it was first touched since start_recording().
    struct Before {
        ContainerIndex container;
        std::uint32_t key;
        Kind kind;
        bool has_value;
        Value value;
        std::uint32_t item;  ///< Of an element: where it stood and showed; kNone if it did not.
        Int128 sum;          ///< Of a counter shown.
    };
    void set_recording(bool on) noexcept { recording_ = on; }
    /// Notes a slot in which something else than the state changed: a live value beneath it.
    void note_touch(ContainerIndex container, std::uint32_t key) { touch(container, key); }
    /// Every slot touched, in order of first touch. What was undone is not among them.
    std::span<const Before> touched() const noexcept { return before_; }
    void clear_touched();

    // --- Digest cache and loading (crdt/digest.cc, crdt/snapshot.cc) -----------------------------
    Digest& cached_digest(ContainerIndex container);
    /// The chunks kept for @p container; nullptr where none are.
    DigestChunks* digest_chunks(ContainerIndex container);
    DigestChunks& keep_digest_chunks(ContainerIndex container, DigestChunks chunks);
    void drop_digest_chunks(ContainerIndex container);
    void mark_clean(ContainerIndex container) { containers_[container].dirty = false; }
    std::vector<List>& lists() noexcept { return lists_; }
    void reserve_slots(std::size_t count);
    /// After Names::truncate(): drops what was kept for names that are gone. Nothing is attached
    /// there.
    void forget_truncated_names();
    /// The list's state, made where it is missing; attaches nothing.
    List& ensure_list(ContainerIndex container);
    void attach(ContainerIndex container);
    /// Notes a place of an element by key; true if it is its chain's first.
    bool note_place(ElementIndex element, Dot dot);

  private:
    friend class SnapshotLoader;

    enum class Undo : std::uint8_t {
        remove_entry,
        add_entry,
        replace_entry,
        cell,
        first_place,
        place,
        places
    };
    /// The first place that a chain gave an element by key; linked through all its chains.
    struct FirstPlace {
        Dot dot;
        std::uint32_t next = kNone;
    };
    struct KeptChunks {
        ContainerIndex container = kNone;
        std::unique_ptr<DigestChunks> chunks;  ///< nullptr: none.
    };
    struct JournalRecord {
        Undo what;
        std::uint32_t container;
        std::uint32_t key;  ///< Or chain of a cell, or an index into undo_places_.
        Entry entry;
    };
    struct UndoPlaces {
        Place winner;
        std::vector<Place> others;
    };

    std::uint64_t slot_hash(SlotIndex slot) const {
        return mix_hash(slots_[slot].container, slots_[slot].key);
    }
    Container& ensure_container(ContainerIndex container);
    SlotIndex ensure_slot(ContainerIndex container, std::uint32_t key);
    void release_slot_if_empty(SlotIndex slot);
    void detach_if_empty(ContainerIndex container);
    void presence_changed(SlotIndex slot, bool was_present);
    void container_count_changed(ContainerIndex container, bool more);
    /// What hangs on @p key of @p container (its digest, those above) changed.
    void mark_dirty(ContainerIndex container, std::uint32_t key);
    void note_entry(const Container& container, std::uint32_t entry) {
        if (container.chunks != kNone && entry != kNone) {
            digest_chunks_[container.chunks].chunks->note(entry);
        }
    }
    void touch(ContainerIndex container, std::uint32_t key);
    void undo_one(JournalRecord& record);
    void add_entry_quietly(SlotIndex slot, Entry&& entry);
    Entry remove_entry_quietly(SlotIndex slot, std::size_t index);
    void set_cell_quietly(ContainerIndex counter,
                          ChainIndex chain,
                          const std::optional<Cell>& cell);
    void set_places_quietly(ElementIndex element, Place winner, std::vector<Place> others);
    Element& ensure_element(ElementIndex element);
    std::uint32_t first_place_of(ElementIndex element) const;

    Names& names_;
    std::vector<Slot> slots_;
    std::vector<SlotIndex> free_slots_;
    FlatIndex slot_index_;               // Of the slots of maps.
    std::vector<Container> containers_;  // Parallel to the names; may be shorter.
    std::vector<Digest> digests_;
    std::vector<KeptChunks> digest_chunks_;
    std::vector<std::uint32_t> free_digest_chunks_;
    std::vector<Element> elements_;  // Parallel to the names; may be shorter.
    std::vector<std::pair<ElementIndex, std::vector<Place>>> other_places_;  // By element.
    std::vector<FirstPlace> first_places_;
    std::vector<std::uint32_t> first_place_of_key_;  // By element key, the last one noted.
    EntryPool entries_;                              // The alternatives.
    std::vector<List> lists_;
    std::vector<std::vector<Cell>> counters_;

    std::vector<JournalRecord> journal_;
    std::vector<std::optional<Cell>> undo_cells_;
    std::vector<UndoPlaces> undo_places_;
    bool recording_ = false;
    std::vector<Before> before_;
    std::size_t before_kept_ = 0;  // Of those, how many keep() has seen.
    FlatIndex before_index_;
};

}  // namespace joinery::crdt
