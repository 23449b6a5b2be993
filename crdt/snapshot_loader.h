/// @file
/// Reading a snapshot: makes a document's names and state directly, without the journaled
/// primitives of State. Private to crdt/snapshot*.cc.
#pragma once

#include "crdt/document.h"
#include "crdt/snapshot_detail.h"

#include <memory>

namespace joinery::crdt {

/// Reads one snapshot. Whatever the bytes, it stops at the first that encode_snapshot() would not
/// have written; the document is then thrown away.
class SnapshotLoader {
  public:
    SnapshotLoader(ByteView in, const SnapshotLimits& limits)
        : in_(in), budget_(limits), source_(in_), groups_(in_) {}

    Result<std::unique_ptr<Document>> run();

  private:
    using Field = detail::SnapshotField;
    using Flag = detail::SnapshotFlag;

    /// A container to be read, with the slot that it is attached to.
    struct Visit {
        ContainerIndex container;
        SlotIndex slot;
    };
    /// The places of one list, in places_.
    struct ListPlaces {
        ContainerIndex container;
        std::size_t begin;
        std::size_t count;
    };
    /// What the places of a list need beside their LoadedPlace.
    struct PlaceInfo {
        ElementIndex element = kNone;
        bool is_current = false;
        std::int64_t stamp = 0;
    };

    std::uint64_t refuse(std::string_view what) { return in_.refuse(Errc::malformed, what); }
    bool ok() const { return in_.ok(); }
    /// A value of @p field below @p limit; 0 after refusing.
    std::uint32_t below(Field field, std::size_t limit, std::string_view what) {
        const std::uint64_t value = source_.integer(field);
        if (value < limit) return static_cast<std::uint32_t>(value);
        return static_cast<std::uint32_t>(refuse(what));
    }
    std::uint32_t key_count() const { return static_cast<std::uint32_t>(key_used_.size()); }
    std::uint32_t element_group() const { return key_count(); }
    std::uint32_t element_key_group() const { return key_count() + 1; }

    // snapshot_read.cc: the parts, and slots.
    void read_graph();
    void read_keys();
    void read_stamps();
    void read_containers();
    void check_all_used();
    void read_map(const Visit& visit, detail::KeyOrder& key_order);
    std::uint32_t next_key(std::uint32_t before, detail::KeyOrder& key_order);
    SlotIndex add_slot(ContainerIndex container, std::uint32_t key, SlotIndex previous);
    void read_slot(SlotIndex slot, std::uint32_t group, Dot insert);
    unsigned next_form(std::uint32_t group);
    void read_only_entry(SlotIndex slot, unsigned head, std::uint32_t group, Dot insert);
    void read_entries(SlotIndex slot, std::uint32_t group);
    void read_children(SlotIndex slot, unsigned mask);
    Entry read_entry(SlotIndex slot, unsigned head, std::uint32_t group, Dot dot);
    Dot read_dot(std::uint32_t group, std::uint32_t actor_before);
    ContainerIndex intern_child(SlotIndex slot, Kind kind);
    void read_cells(ContainerIndex counter);
    Int128 read_total(Field low, Field high);

    // snapshot_places.cc: lists, stamps and what hangs on them.
    void read_list(const Visit& visit);
    void read_runs(const ListPlaces& list);
    void read_neighbours(const ListPlaces& list,
                         const detail::PlaceRun& run,
                         const detail::Neighbours& predicted);
    void read_elements(const ListPlaces& list);
    ElementIndex read_element(const ListPlaces& list, std::size_t at);
    void resolve_references(const ListPlaces& list);
    ElementIndex read_element_key(ContainerIndex list);
    void assign_stamps();
    bool check_shared(const detail::NumberedDot& first, const detail::NumberedDot& second);
    void write_entry_stamps();
    void choose_winners();
    void count_present();
    void finish_list(const ListPlaces& list);
    void choose_places(const ListPlaces& list);
    void finish_other_places();

    std::uint64_t number_of(Dot dot) const { return first_numbers_[dot.chain] + dot.counter - 1; }

    ByteReader in_;
    detail::SnapshotBudget budget_;
    detail::SnapshotSource source_;
    detail::GroupSource groups_;
    std::unique_ptr<Document> document_;
    std::vector<std::uint64_t> last_counters_;  // By chain.
    std::vector<std::uint64_t> first_numbers_;  // By chain: of its first operation.
    std::vector<std::uint8_t> key_used_;
    std::vector<std::uint32_t> forms_;    // By group: the last one.
    std::vector<Visit> queue_;            // Containers, breadth first.
    std::vector<std::int64_t> stamps_;    // By operation, of those that have one.
    std::vector<SlotIndex> entry_slots_;  // Of the entries in the order in which they were read.
    std::vector<std::int64_t> entry_stamps_;    // Of the same.
    std::vector<SlotIndex> contested_;          // Slots of several entries.
    std::vector<detail::NumberedDot> stamped_;  // Entries by their index, current places by theirs
                                                // plus kPlaceBit.
    std::vector<ListPlaces> lists_;
    std::vector<LoadedPlace> places_;     // Of all lists.
    std::vector<PlaceInfo> place_infos_;  // Of the same.
    std::vector<std::pair<ElementIndex, State::Place>> other_places_;
};

}  // namespace joinery::crdt
