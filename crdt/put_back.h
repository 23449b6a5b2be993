/// @file
/// What stood where a change writes, and the steps that put it back: rule U4 of docs/semantics.md.
#pragma once

#include "crdt/document.h"

#include <cstdint>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace joinery::crdt {

/// One of the operations that put back; Transaction::put_back() makes it.
struct PutBackStep {
    OpKind kind = OpKind::erase;       ///< Any but insert.
    Kind made = Kind::none;            ///< Of a make.
    ContainerIndex container = kRoot;  ///< Of an increment the counter itself.
    std::uint32_t key = 0;
    Value value;             ///< Of a put.
    std::int64_t stamp = 0;  ///< Of a put, make or move: that of what stood.
    std::int64_t delta = 0;  ///< Of an increment.
    Dot place;               ///< Of a move: the place that the element had.
    std::size_t size = 0;    ///< Bytes of its canonical form, at most: well below kChangeSizeMax.
};

/// Made before a change is applied, asked after it.
class PutBack {
  public:
    /// Notes what @p document, which outlives this and does not have it yet, holds wherever change
    /// @p index of @p batch writes.
    /// @par Cost
    /// That of the change: of an erase, a walk over what it clears.
    PutBack(const Document& document, const Batch& batch, std::size_t index);

    /// What leads back to it from what the document holds now, in the order in which it must be
    /// done. Nothing else may have changed there meanwhile.
    std::vector<PutBackStep> steps() const;

  private:
    using SlotName = std::pair<ContainerIndex, std::uint32_t>;
    /// The puts, or the makes, of a slot.
    struct Entries {
        std::optional<Entry> greatest;
        std::vector<std::pair<ChainIndex, std::uint64_t>> dots;  ///< Of all, sorted.
    };
    struct Counter {
        ContainerIndex container = kNone;
        Int128 sum = 0;
        bool is_present = false;
    };
    struct Slot;
    /// A map or list beneath a slot.
    struct Child {
        ContainerIndex container = kNone;
        std::vector<Slot> slots;  ///< Those present.
    };
    struct Slot {
        SlotName name;
        bool is_present = false;
        Entries puts, makes;
        // Where an erase may have to clear it: what is beneath, too.
        std::vector<Counter> counters;
        std::vector<Child> children;
    };
    /// The winning place of an element.
    struct Place {
        ElementIndex element = 0;
        Dot dot;
        std::int64_t stamp = 0;
    };

    const State& state() const { return document_.state(); }
    bool is_counter(ContainerIndex container) const {
        return document_.names().container(container).kind == Kind::counter;
    }
    bool is_present(SlotName name) const;
    Slot note(SlotName name, bool is_deep) const;
    Entries entries_of(SlotName name, bool are_makes) const;
    Counter counter_of(ContainerIndex counter) const;
    std::optional<Place> place_of(ElementIndex element) const;
    std::vector<ContainerIndex> children_of(SlotName name) const;
    std::vector<SlotName> slots_of(ContainerIndex container) const;
    /// Whether all of @p name is among what was noted of a slot above it.
    bool is_covered(SlotName name) const;

    // What is to be done; @p is_cleared where nothing is there any more.
    void lead_back(const Slot& slot, bool is_cleared, std::vector<PutBackStep>& out) const;
    /// Erases all that is at @p name now: where the cells beneath are many, piece by piece.
    void erase(SlotName name, std::vector<PutBackStep>& out) const;
    /// Cells at and beneath @p name, or @p limit where there are as many.
    std::size_t count_cells(SlotName name, std::size_t limit) const;
    void push(PutBackStep step, std::vector<PutBackStep>& out) const;
    void lead_back_entries(const Slot& slot, bool is_cleared, std::vector<PutBackStep>& out) const;
    void lead_back(const Counter& was, bool is_cleared, std::vector<PutBackStep>& out) const;
    /// Whether something is there that nothing can take the place of.
    bool must_clear(const Slot& was) const;

    const Document& document_;
    std::vector<Slot> slots_;
    std::vector<Counter> counters_;
    std::vector<Place> places_;
    std::set<SlotName> covered_;  ///< Slots of which all is noted.
};

}  // namespace joinery::crdt
