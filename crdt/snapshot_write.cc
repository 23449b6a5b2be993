#include "crdt/document.h"
#include "crdt/snapshot_detail.h"
#include "crdt/snapshot_graph.h"

#include <algorithm>

namespace joinery::crdt {
namespace {

using detail::SnapshotField;
using detail::SnapshotFlag;

class StateWriter {
  public:
    /// @p loaded The graph as the snapshot's reader will have it.
    StateWriter(const Document& document, std::span<const ChainIndex> order, const Graph& loaded)
        : state_(document.state()),
          names_(document.names()),
          graph_(document.graph()),
          loaded_graph_(loaded),
          actor_numbers_(names_.actor_count(), kNone) {
        for (std::uint32_t i = 0; i < order.size(); ++i) {
            actor_numbers_[order[i]] = i;
            first_numbers_.push_back(operation_count_);
            operation_count_ += graph_.next_counter(order[i]) - 1;
        }
    }

    void write(ByteWriter& out) {
        number_keys();
        write_keys(out);
        detail::KeyOrder key_order(key_count());
        forms_.assign(key_count() + 1, kNone);
        first_places_.assign(names_.element_count(), kNone);
        queue_.assign(1, kRoot);
        for (std::size_t i = 0; i < queue_.size(); ++i) {
            const ContainerIndex container = queue_[i];
            switch (names_.container(container).kind) {
                case Kind::list: add_list(container); break;
                case Kind::counter: add_cells(container); break;
                default: add_map(container, key_order);
            }
        }
        sink_.write(out);
        write_stamps(out);
        groups_.write(key_count() + 2, out);
    }

  private:
    std::uint32_t key_count() const { return static_cast<std::uint32_t>(keys_.size()); }
    std::uint32_t element_group() const { return key_count(); }
    std::uint32_t element_key_group() const { return key_count() + 1; }

    void integer(SnapshotField field, std::uint64_t value) { sink_.integer(field, value); }
    void flag(SnapshotFlag field, bool value) { sink_.flag(field, value); }
    std::uint64_t last_counter(ChainIndex chain) const { return graph_.next_counter(chain) - 1; }

    // --- Keys ------------------------------------------------------------------------------------

    template <class Visit>
    void for_each_slot(ContainerIndex container, Visit&& visit) const {
        for (auto slot = state_.container(container).first_slot; slot != kNone;
             slot = state_.slot(slot).next) {
            visit(state_.slot(slot));
        }
    }
    /// Calls @p visit for the children of @p slot, smallest kind first.
    template <class Visit>
    void for_each_child(const State::Slot& slot, Visit&& visit) const {
        if (slot.first_child == kNone) return;
        for (std::uint8_t kind = 1; kind <= kKindMax; ++kind) {
            const auto child = state_.attached_child(slot, static_cast<Kind>(kind));
            if (child != kNone) visit(child);
        }
    }

    /// The keys that the state needs get their numbers: their places among each other.
    void number_keys() {
        key_numbers_.assign(names_.key_count(), kNone);
        const auto use = [&](KeyIndex key) {
            if (key_numbers_[key] != kNone) return;
            key_numbers_[key] = 0;
            keys_.push_back(key);
        };
        queue_.assign(1, kRoot);
        for (std::size_t i = 0; i < queue_.size(); ++i) {
            const ContainerIndex container = queue_[i];
            const bool is_map = names_.container(container).kind == Kind::map;
            for_each_slot(container, [&](const State::Slot& slot) {
                if (is_map) use(slot.key);
                for_each_child(slot, [&](ContainerIndex child) { queue_.push_back(child); });
            });
            if (const State::List* list = list_of(container)) {
                for (const ElementIndex element : list->element_of) {
                    if (names_.is_by_key(element)) use(names_.element_key(element).field);
                }
            }
        }
        std::ranges::sort(keys_, {}, [&](KeyIndex key) { return names_.key(key); });
        for (std::uint32_t i = 0; i < keys_.size(); ++i)
            key_numbers_[keys_[i]] = i;
    }

    const State::List* list_of(ContainerIndex container) const {
        return names_.container(container).kind == Kind::list ? state_.list(container) : nullptr;
    }

    void write_keys(ByteWriter& out) const {
        std::vector<std::uint64_t> shared;
        std::vector<ByteView> rests;
        std::string_view before;
        for (const KeyIndex index : keys_) {
            const std::string_view key = names_.key(index);
            const auto same = std::ranges::mismatch(before, key).in2 - key.begin();
            shared.push_back(static_cast<std::uint64_t>(same));
            rests.push_back(as_bytes(key.substr(static_cast<std::size_t>(same))));
            before = key;
        }
        out.varint(keys_.size());
        encode_integers(shared, out);
        encode_strings(rests, out);
    }

    // --- Slots -----------------------------------------------------------------------------------

    void add_map(ContainerIndex container, detail::KeyOrder& key_order) {
        std::vector<const State::Slot*> slots;
        for_each_slot(container, [&](const State::Slot& slot) { slots.push_back(&slot); });
        std::ranges::sort(slots, {}, [&](const State::Slot* s) { return key_numbers_[s->key]; });
        std::uint32_t before = key_order.edge();
        const auto next = [&](std::uint32_t key) {
            const bool expected = key_order.predict(before) == key;
            const std::uint64_t symbol = key == key_order.edge() ? 1 : std::uint64_t{key} + 2;
            integer(SnapshotField::key_symbol, expected ? 0 : symbol);
            key_order.learn(before, key);
            before = key;
        };
        for (const State::Slot* slot : slots) {
            next(key_numbers_[slot->key]);
            add_slot(*slot, before, Dot{});
        }
        next(key_order.edge());
    }

    /// @p insert The dot that goes without saying for an only entry, if any.
    void add_slot(const State::Slot& slot, std::uint32_t group, Dot insert) {
        std::vector<const Entry*>& entries = entries_;
        entries.clear();
        if (slot.has_entry()) entries.push_back(&slot.entry);
        for (const Entry& entry : state_.alternatives(slot))
            entries.push_back(&entry);
        unsigned form = detail::kHeadNone;
        if (entries.size() == 1) form = detail::head_of(*entries[0]);
        if (entries.size() > 1) form = detail::kHeadMany;
        for_each_child(slot, [&](ContainerIndex child) {
            form |= detail::child_bit(names_.container(child).kind);
            queue_.push_back(child);
        });
        const bool expected = forms_[group] == form;
        integer(SnapshotField::form_symbol, expected ? 0 : form + 1);
        forms_[group] = form;
        if (entries.size() == 1) return add_only_entry(*entries[0], group, insert);
        if (entries.empty()) return;
        std::ranges::sort(entries, {}, [&](const Entry* entry) {
            return std::pair(actor_numbers_[entry->chain], entry->counter);
        });
        integer(SnapshotField::entry_count, entries.size() - 2);
        std::uint32_t actor = 0;
        for (const Entry* entry : entries) {
            integer(SnapshotField::entry_head, detail::head_of(*entry));
            add_entry(*entry, group, actor);
            actor = actor_numbers_[entry->chain];
        }
    }

    void add_only_entry(const Entry& entry, std::uint32_t group, Dot insert) {
        const bool is_insert = Dot{entry.chain, entry.counter} == insert;
        if (insert.chain != kNone) flag(SnapshotFlag::entry_is_insert, is_insert);
        if (!is_insert) return add_entry(entry, group, 0);
        add_stamp(insert, entry.stamp);
        if (entry.made == Kind::none) groups_.value(group, entry.value);
    }

    /// @p actor_before Of the slot's entry before it, or 0.
    void add_entry(const Entry& entry, std::uint32_t group, std::uint32_t actor_before) {
        integer(SnapshotField::entry_actor, actor_numbers_[entry.chain] - actor_before);
        groups_.age(group, last_counter(entry.chain) - entry.counter);
        add_stamp({entry.chain, entry.counter}, entry.stamp);
        if (entry.made == Kind::none) groups_.value(group, entry.value);
    }

    // --- Stamps ----------------------------------------------------------------------------------

    void add_stamp(Dot dot, std::int64_t stamp) {
        const std::uint64_t number = first_numbers_[actor_numbers_[dot.chain]] + dot.counter - 1;
        stamped_.push_back({number, static_cast<std::uint32_t>(stamps_.size())});
        stamps_.push_back(stamp);
    }

    /// In the order of operations, in which stamps mostly rise; what an insert put shares its
    /// stamp.
    void write_stamps(ByteWriter& out) {
        detail::sort_by_number(stamped_);
        std::vector<std::int64_t> column;
        column.reserve(stamped_.size());
        for (std::size_t i = 0; i < stamped_.size(); ++i) {
            if (i != 0 && stamped_[i].number == stamped_[i - 1].number) continue;
            column.push_back(stamps_[stamped_[i].index]);
        }
        out.varint(column.size());
        encode_signed(column, out);
    }

    // --- Counters --------------------------------------------------------------------------------

    void add_cells(ContainerIndex counter) {
        const auto current = state_.cells(counter);
        std::vector<Cell> cells(current.begin(), current.end());
        std::ranges::sort(cells, {}, [&](const Cell& c) { return actor_numbers_[c.chain]; });
        integer(SnapshotField::cell_count, cells.size() - 1);
        for (const Cell& cell : cells) {
            integer(SnapshotField::cell_actor, actor_numbers_[cell.chain]);
            integer(SnapshotField::cell_age, last_counter(cell.chain) - cell.last);
            integer(SnapshotField::cell_span, cell.last - cell.origin);
            add_total(cell.total, SnapshotField::cell_total_low, SnapshotField::cell_total_high);
            const bool is_cleared = cell.cleared_last != 0;
            flag(SnapshotFlag::cell_cleared, is_cleared);
            if (!is_cleared) continue;
            integer(SnapshotField::cleared_distance, cell.last - cell.cleared_last);
            add_total(cell.cleared_total,
                      SnapshotField::cleared_total_low,
                      SnapshotField::cleared_total_high);
        }
    }

    void add_total(Int128 total, SnapshotField low, SnapshotField high) {
        const detail::UInt128 number = detail::zigzag_of_total(total);
        integer(low, static_cast<std::uint64_t>(number));
        integer(high, static_cast<std::uint64_t>(number >> 64U));
    }

    // --- Lists -----------------------------------------------------------------------------------

    struct Place {
        LoadedPlace place;
        ElementIndex element;
        Dot dot() const { return place.dot; }
    };

    std::vector<Place> places_of(const State::List& list) const {
        std::vector<Item> items;
        items.reserve(list.places.item_count());
        list.places.for_each([&](Item item, bool) { items.push_back(item); });
        std::vector<std::uint32_t> at(items.size());
        for (std::uint32_t i = 0; i < items.size(); ++i)
            at[items[i]] = i;
        const auto position = [&](Item item) { return item == kNoItem ? kNoItem : at[item]; };
        std::vector<Place> places;
        places.reserve(items.size());
        for (const Item item : items) {
            places.push_back({{list.places.id_of(item),
                               position(list.places.left_of(item)),
                               position(list.places.right_of(item)),
                               false},
                              list.element_of[item]});
        }
        return places;
    }

    void add_list(ContainerIndex container) {
        const State::List* list = state_.list(container);
        const std::vector<Place> places = list != nullptr ? places_of(*list) : std::vector<Place>{};
        integer(SnapshotField::place_count, places.size() - 1);
        add_runs(places);
        // Backwards, so that of an element by key the first place stays.
        for (auto i = static_cast<std::uint32_t>(places.size()); i-- > 0;) {
            const Names::Element& name = names_.element(places[i].element);
            const bool by_key = names_.is_by_key(places[i].element);
            if (by_key || Dot{name.chain, name.counter} == places[i].dot()) {
                first_places_[places[i].element] = i;
            }
        }
        for (std::uint32_t i = 0; i < places.size(); ++i)
            add_place(*list, places[i], i);
        for (std::uint32_t i = 0; i < places.size(); ++i) {
            const ElementIndex element = places[i].element;
            if (first_places_[element] != i) continue;
            const SlotIndex slot = state_.find_slot(container, element);
            flag(SnapshotFlag::element_live, slot != kNone);
            if (slot != kNone) add_slot(state_.slot(slot), element_group(), places[i].dot());
        }
    }

    /// Consecutive places whose dots are consecutive too, each inserted right after the one before.
    void add_runs(const std::vector<Place>& places) {
        std::vector<detail::PlaceRun> runs;
        for (std::size_t i = 0; i < places.size(); ++i) {
            const bool continues =
                i != 0 && detail::continues_run(places[i - 1].place, i - 1, places[i].place);
            if (!continues) {
                const Dot dot{actor_numbers_[places[i].dot().chain], places[i].dot().counter};
                runs.push_back({static_cast<Item>(i), 0, detail::rank_of(loaded_graph_, dot)});
            }
            runs.back().end = static_cast<Item>(i + 1);
        }
        const auto predicted = detail::predict_neighbours(runs);
        for (std::size_t i = 0; i < runs.size(); ++i) {
            const auto [begin, end, rank] = runs[i];
            const LoadedPlace& first = places[begin].place;
            const std::uint32_t left = first.left == kNoItem ? 0 : first.left + 1;
            const auto right =
                first.right == kNoItem ? static_cast<std::uint32_t>(places.size()) : first.right;
            integer(SnapshotField::run_length, end - begin - 1);
            integer(SnapshotField::run_actor, actor_numbers_[first.dot.chain]);
            integer(SnapshotField::run_counter, first.dot.counter);
            integer(SnapshotField::run_left,
                    first.left == predicted[i].left ? 0 : begin - left + 1);
            integer(SnapshotField::run_right,
                    first.right == predicted[i].right ? 0 : right - end + 1);
        }
    }

    void add_place(const State::List& list, const Place& place, std::uint32_t at) {
        const ElementIndex element = place.element;
        const std::uint32_t first = first_places_[element];
        const bool by_key = names_.is_by_key(element);
        if (first != at) {
            integer(SnapshotField::place_head, detail::kPlaceReference);
            integer(SnapshotField::place_reference, zigzag_of(std::int64_t{first} - at));
        } else if (!by_key) {
            integer(SnapshotField::place_head, detail::kPlaceOwnElement);
        } else {
            const Names::ElementKey& key = names_.element_key(element);
            integer(SnapshotField::place_head, detail::kPlaceByKey);
            integer(SnapshotField::by_key_field, key_numbers_[key.field]);
            integer(SnapshotField::by_key_occurrence, key.occurrence);
            integer(SnapshotField::by_key_type, static_cast<std::uint64_t>(key.value.type()));
            groups_.value(element_key_group(), key.value);
        }
        const Item item = *list.places.find(place.dot().chain, place.dot().counter);
        const State::Element& winner = state_.element(element);
        bool is_current = winner.item == item;
        std::int64_t stamp = winner.stamp;
        if (!is_current) {
            for (const State::Place& other : state_.other_places(element)) {
                if (other.item != item) continue;
                is_current = true;
                stamp = other.stamp;
            }
        }
        flag(SnapshotFlag::place_current, is_current);
        if (is_current) add_stamp(place.dot(), stamp);
    }

    const State& state_;
    const Names& names_;
    const Graph& graph_;
    const Graph& loaded_graph_;
    std::vector<std::uint32_t> actor_numbers_;  // By chain.
    std::vector<std::uint64_t> first_numbers_;  // By actor number: of its first operation.
    std::uint64_t operation_count_ = 0;
    std::vector<KeyIndex> keys_;               // Sorted.
    std::vector<std::uint32_t> key_numbers_;   // By key.
    std::vector<std::uint32_t> forms_;         // By group: the last one.
    std::vector<std::uint32_t> first_places_;  // By element: the place that names it.
    std::vector<ContainerIndex> queue_;        // Containers, breadth first.
    std::vector<const Entry*> entries_;        // Scratch.
    std::vector<detail::NumberedDot> stamped_;
    std::vector<std::int64_t> stamps_;
    detail::SnapshotSink sink_;
    detail::GroupSink groups_;
};

bool has_lists(const Document& document) {
    for (ContainerIndex i = 0; i < document.names().container_count(); ++i) {
        if (document.names().container(i).kind == Kind::list && document.state().list(i))
            return true;
    }
    return false;
}

}  // namespace

Bytes encode_snapshot(const Document& document) {
    Bytes bytes;
    ByteWriter out(bytes);
    out.u8(kSnapshotFormatVersion);
    out.sized(as_bytes(document.id()));
    const auto order = SnapshotGraph::chains_of(document.graph(), document.names());
    const std::size_t begin = bytes.size();
    SnapshotGraph::write(document.graph(), document.names(), order, out);
    Graph loaded;
    if (has_lists(document)) {
        Names names;
        ByteReader in(ByteView(bytes).subspan(begin));
        detail::SnapshotBudget budget({kColumnCountMax, 0});
        SnapshotGraph::read(in, budget, loaded, names);
        JOINERY_ASSERT(in.finish().has_value());
    }
    StateWriter(document, order, loaded).write(out);
    return bytes;
}

}  // namespace joinery::crdt
