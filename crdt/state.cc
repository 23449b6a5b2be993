#include "crdt/state.h"

#include <algorithm>

namespace joinery::crdt {
namespace {

const State::Container kNoContainer{};
const State::Element kNoElement{};

}  // namespace

State::State(Names& names) : names_(names) {
    containers_.resize(1);
    containers_[kRoot].attached = true;
}

// --- Reading -------------------------------------------------------------------------------------

SlotIndex State::find_slot(ContainerIndex container, std::uint32_t key) const {
    if (has_elements(names_.container(container).kind)) {
        const SlotIndex slot = element(key).slot;
        return slot != kNone && slots_[slot].container == container ? slot : kNone;
    }
    return slot_index_.find(mix_hash(container, key), [&](std::uint32_t i) {
        return slots_[i].container == container && slots_[i].key == key;
    });
}

const State::Container& State::container(ContainerIndex container) const {
    return container < containers_.size() ? containers_[container] : kNoContainer;
}

const State::Element& State::element(ElementIndex element) const {
    return element < elements_.size() ? elements_[element] : kNoElement;
}

std::span<const Entry> State::alternatives(const Slot& slot) const {
    return entries_.entries(slot.others);
}

const State::List* State::list(ContainerIndex index) const {
    const Container& c = container(index);
    return c.payload == kNone ? nullptr : &lists_[c.payload];
}

std::span<const Cell> State::cells(ContainerIndex counter) const {
    const Container& c = container(counter);
    if (c.payload == kNone) return {};
    return counters_[c.payload];
}

Int128 State::counter_sum(ContainerIndex counter) const {
    Int128 sum = 0;
    for (const Cell& cell : cells(counter))
        sum += cell.visible();
    return sum;
}

std::span<const State::Place> State::other_places(ElementIndex element) const {
    const auto at = std::ranges::lower_bound(
        other_places_, element, {}, [](const auto& pair) { return pair.first; });
    if (at == other_places_.end() || at->first != element) return {};
    return at->second;
}

bool State::greater(const Entry& a, const Entry& b) const {
    if (a.stamp != b.stamp) return a.stamp > b.stamp;
    if (a.chain != b.chain) return names_.actor_less(b.chain, a.chain);
    return a.counter > b.counter;
}

ContainerIndex State::attached_child(const Slot& slot, Kind kind) const {
    for (auto child = slot.first_child; child != kNone; child = containers_[child].next_sibling) {
        if (names_.container(child).kind == kind) return child;
    }
    return kNone;
}

Shown State::shown(const Slot& slot) const {
    if (slot.has_entry()) {
        if (slot.entry.made == Kind::none) return {Kind::none, &slot.entry.value, kNone};
        const Kind kind = slot.entry.made;
        return {kind, nullptr, names_.find_container(slot.container, slot.key, kind)};
    }
    Shown best;
    for (auto child = slot.first_child; child != kNone; child = containers_[child].next_sibling) {
        if (containers_[child].present_count == 0) continue;
        const Kind kind = names_.container(child).kind;
        static constexpr std::array<std::uint8_t, 6> kOrder{9, 0, 1, 2, 3, 4};  // Rule M4.
        if (best.kind == Kind::none ||
            kOrder[static_cast<std::size_t>(kind)] < kOrder[static_cast<std::size_t>(best.kind)]) {
            best = {kind, nullptr, child};
        }
    }
    return best;
}

Shown State::shown(ContainerIndex container, std::uint32_t key) const {
    const SlotIndex found = find_slot(container, key);
    return found == kNone ? Shown{} : shown(slots_[found]);
}

std::size_t State::memory_size() const noexcept {
    std::size_t size = slots_.capacity() * sizeof(Slot) + slot_index_.memory_size() +
                       containers_.capacity() * sizeof(Container) + digests_.capacity() * 32 +
                       elements_.capacity() * sizeof(Element) +
                       first_places_.capacity() * sizeof(FirstPlace) +
                       first_place_of_key_.capacity() * 4 +
                       journal_.capacity() * sizeof(JournalRecord) + entries_.memory_size();
    for (const List& list : lists_) {
        size += list.places.memory_size() + list.element_of.capacity() * 4;
    }
    for (const KeptChunks& kept : digest_chunks_)
        size += kept.chunks ? kept.chunks->memory_size() : 0;
    for (const auto& cells : counters_)
        size += cells.capacity() * sizeof(Cell);
    for (const Slot& slot : slots_) {
        const auto type = slot.entry.value.type();
        if ((type == ValueType::string || type == ValueType::bytes) &&
            slot.entry.value.content().size() > Value::kInlineSizeMax) {
            size += slot.entry.value.content().size();
        }
    }
    return size;
}

// --- Attaching and presence ----------------------------------------------------------------------

State::Container& State::ensure_container(ContainerIndex container) {
    if (container >= containers_.size()) {
        containers_.resize(std::max<std::size_t>(container + 1, names_.container_count()));
    }
    return containers_[container];
}

void State::attach(ContainerIndex container) {
    if (ensure_container(container).attached) return;
    const Names::Container& name = names_.container(container);
    attach(name.parent);
    const SlotIndex slot = ensure_slot(name.parent, name.key);
    Container& c = containers_[container];
    c.attached = true;
    c.next_sibling = slots_[slot].first_child;
    slots_[slot].first_child = container;
    // A dirty container's ancestors are dirty: start clean, so that marking walks up to the root.
    c.dirty = false;
    mark_dirty(container, kNone);
}

SlotIndex State::ensure_slot(ContainerIndex container, std::uint32_t key) {
    if (const SlotIndex found = find_slot(container, key); found != kNone) return found;
    attach(container);
    SlotIndex slot = kNone;
    if (free_slots_.empty()) {
        slot = static_cast<SlotIndex>(slots_.size());
        slots_.emplace_back();
    } else {
        slot = free_slots_.back();
        free_slots_.pop_back();
    }
    Slot& s = slots_[slot];
    Container& c = containers_[container];
    s.container = container;
    s.key = key;
    s.next = c.first_slot;
    if (s.next != kNone) slots_[s.next].previous = slot;
    c.first_slot = slot;
    if (has_elements(names_.container(container).kind)) {
        ensure_element(key).slot = slot;
    } else {
        slot_index_.insert(slot, [&](std::uint32_t i) { return slot_hash(i); });
    }
    return slot;
}

void State::release_slot_if_empty(SlotIndex slot) {
    Slot& s = slots_[slot];
    if (s.has_entry() || s.first_child != kNone) return;
    const ContainerIndex container = s.container;
    if (has_elements(names_.container(container).kind)) {
        elements_[s.key].slot = kNone;
    } else {
        slot_index_.erase(slot, [&](std::uint32_t i) { return slot_hash(i); });
    }
    if (s.previous != kNone) {
        slots_[s.previous].next = s.next;
    } else {
        containers_[container].first_slot = s.next;
    }
    if (s.next != kNone) slots_[s.next].previous = s.previous;
    s = Slot{};
    free_slots_.push_back(slot);
    detach_if_empty(container);
}

/// A container without slots, places and cells is nothing but a name.
void State::detach_if_empty(ContainerIndex container) {
    Container& c = containers_[container];
    if (container == kRoot || !c.attached || c.first_slot != kNone) return;
    if (c.payload != kNone) {
        const bool is_counter = names_.container(container).kind == Kind::counter;
        if (is_counter ? !counters_[c.payload].empty()
                       : lists_[c.payload].places.item_count() != 0) {
            return;
        }
    }
    const Names::Container& name = names_.container(container);
    const SlotIndex slot = find_slot(name.parent, name.key);
    JOINERY_ASSERT(slot != kNone);
    std::uint32_t* link = &slots_[slot].first_child;
    while (*link != container)
        link = &containers_[*link].next_sibling;
    *link = c.next_sibling;
    c.next_sibling = kNone;
    c.attached = false;
    drop_digest_chunks(container);
    release_slot_if_empty(slot);
}

void State::mark_dirty(ContainerIndex container, std::uint32_t key) {
    for (;;) {
        Container& c = containers_[container];
        if (c.chunks != kNone && key != kNone) {
            const bool in_list = has_elements(names_.container(container).kind);
            note_entry(c, in_list ? element(key).item : key);
        }
        // What is above was told when it became dirty.
        if (c.dirty) return;
        c.dirty = true;
        if (container == kRoot) return;
        const Names::Container& name = names_.container(container);
        container = name.parent;
        key = name.key;
    }
}

void State::presence_changed(SlotIndex slot, bool was_present) {
    const Slot& s = slots_[slot];
    const bool present = s.is_present();
    if (present == was_present) return;
    if (has_elements(names_.container(s.container).kind)) {
        const Element& e = element(s.key);
        if (e.item != kNone) ensure_list(s.container).places.set_visible(e.item, present);
    }
    container_count_changed(s.container, present);
}

void State::container_count_changed(ContainerIndex container, bool more) {
    Container& c = containers_[container];
    c.present_count += more ? 1U : UINT32_MAX;
    if (container == kRoot || c.present_count != (more ? 1U : 0U)) return;
    const Names::Container& name = names_.container(container);
    const SlotIndex parent = find_slot(name.parent, name.key);
    const bool was_present = slots_[parent].is_present();
    slots_[parent].present_children += more ? 1U : UINT32_MAX;
    presence_changed(parent, was_present);
}

// --- Entries -------------------------------------------------------------------------------------

void State::add_entry_quietly(SlotIndex slot, Entry&& entry) {
    Slot& s = slots_[slot];
    const bool was_present = s.is_present();
    if (!s.has_entry()) {
        s.entry = std::move(entry);
    } else {
        if (greater(entry, s.entry)) std::swap(entry, s.entry);
        entries_.push(s.others, std::move(entry));
    }
    mark_dirty(s.container, s.key);
    presence_changed(slot, was_present);
}

Entry State::remove_entry_quietly(SlotIndex slot, std::size_t index) {
    Slot& s = slots_[slot];
    const ContainerIndex container = s.container;
    Entry removed;
    if (index != 0) {
        removed = entries_.take(s.others, index - 1);
    } else {
        removed = std::exchange(s.entry, Entry{});
        if (!s.others.empty()) {
            const auto others = entries_.entries(s.others);
            const auto best = std::ranges::max_element(
                others, [&](const Entry& a, const Entry& b) { return greater(b, a); });
            s.entry = entries_.take(s.others, static_cast<std::size_t>(best - others.begin()));
        }
    }
    mark_dirty(container, s.key);
    if (!s.has_entry()) {
        presence_changed(slot, true);
        release_slot_if_empty(slot);
    }
    return removed;
}

void State::add_entry(ContainerIndex container, std::uint32_t key, Entry&& entry) {
    // Before the slot is there: what is touched first is what its ancestors showed.
    touch(container, key);
    add_entry(ensure_slot(container, key), std::move(entry));
}

void State::add_entry(SlotIndex slot, Entry&& entry) {
    const ContainerIndex container = slots_[slot].container;
    const std::uint32_t key = slots_[slot].key;
    touch(container, key);
    // Made where it stays: this is done for every put that comes.
    JournalRecord& undo = journal_.emplace_back(Undo::remove_entry, container, key);
    undo.entry.chain = entry.chain;
    undo.entry.counter = entry.counter;
    add_entry_quietly(slot, std::move(entry));
}

void State::remove_entry(SlotIndex slot, std::size_t index) {
    const ContainerIndex container = slots_[slot].container;
    const std::uint32_t key = slots_[slot].key;
    touch(container, key);
    journal_.push_back({Undo::add_entry, container, key, remove_entry_quietly(slot, index)});
}

void State::replace_entry(SlotIndex slot, Entry entry) {
    Slot& s = slots_[slot];
    JOINERY_ASSERT(s.has_entry() && s.others.empty());
    touch(s.container, s.key);
    std::swap(s.entry, entry);
    journal_.push_back({Undo::replace_entry, s.container, s.key, std::move(entry)});
    mark_dirty(s.container, s.key);
}

// --- Counters ------------------------------------------------------------------------------------

void State::set_cell_quietly(ContainerIndex counter,
                             ChainIndex chain,
                             const std::optional<Cell>& cell) {
    attach(counter);
    Container& c = containers_[counter];
    if (c.payload == kNone) {
        c.payload = static_cast<std::uint32_t>(counters_.size());
        counters_.emplace_back();
    }
    auto& cells = counters_[c.payload];
    const auto at = std::ranges::find(cells, chain, &Cell::chain);
    mark_dirty(counter, kNone);
    if (cell && at != cells.end()) {
        *at = *cell;
    } else if (cell) {
        cells.push_back(*cell);
        container_count_changed(counter, true);
    } else if (at != cells.end()) {
        *at = cells.back();
        cells.pop_back();
        container_count_changed(counter, false);
        detach_if_empty(counter);
    } else {
        detach_if_empty(counter);
    }
}

void State::set_cell(ContainerIndex counter, ChainIndex chain, const std::optional<Cell>& cell) {
    const Names::Container& name = names_.container(counter);
    touch(name.parent, name.key);
    std::optional<Cell> old;
    for (const Cell& c : cells(counter)) {
        if (c.chain == chain) old = c;
    }
    journal_.push_back({Undo::cell, counter, chain, {}});
    undo_cells_.push_back(old);
    set_cell_quietly(counter, chain, cell);
}

// --- Lists ---------------------------------------------------------------------------------------

State::List& State::ensure_list(ContainerIndex container) {
    Container& c = ensure_container(container);
    if (c.payload == kNone) {
        c.payload = static_cast<std::uint32_t>(lists_.size());
        lists_.emplace_back();
    }
    return lists_[c.payload];
}

std::uint32_t State::add_place(ContainerIndex container,
                               ElementIndex element,
                               Dot dot,
                               std::uint32_t left_item,
                               std::uint32_t right_item) {
    attach(container);
    List& list = ensure_list(container);
    const auto item = list.places.insert(
        dot.chain, dot.counter, left_item, right_item, [&](ChainIndex a, ChainIndex b) {
            return names_.actor_less(a, b);
        });
    JOINERY_ASSERT(item == list.element_of.size());
    list.element_of.push_back(element);
    if (names_.is_by_key(element) && note_place(element, dot)) {
        journal_.push_back({Undo::first_place, container, element, {}});
    }
    journal_.push_back({Undo::place, container, element, {}});
    return item;
}

std::uint32_t State::first_place_of(ElementIndex element) const {
    const auto key = static_cast<std::size_t>(names_.element(element).counter);
    return key < first_place_of_key_.size() ? first_place_of_key_[key] : kNone;
}

bool State::note_place(ElementIndex element, Dot dot) {
    for (auto i = first_place_of(element); i != kNone; i = first_places_[i].next) {
        if (first_places_[i].dot.chain != dot.chain) continue;
        // A chain's operations arrive in order, but a snapshot has them in the list's.
        first_places_[i].dot.counter = std::min(first_places_[i].dot.counter, dot.counter);
        return false;
    }
    const auto key = static_cast<std::size_t>(names_.element(element).counter);
    if (key >= first_place_of_key_.size()) first_place_of_key_.resize(key + 1, kNone);
    first_places_.push_back({dot, first_place_of_key_[key]});
    first_place_of_key_[key] = static_cast<std::uint32_t>(first_places_.size() - 1);
    return true;
}

State::Element& State::ensure_element(ElementIndex element) {
    if (element >= elements_.size()) {
        elements_.resize(std::max<std::size_t>(element + 1, names_.element_count()));
    }
    return elements_[element];
}

void State::set_places_quietly(ElementIndex element, Place winner, std::vector<Place> others) {
    const ContainerIndex container = names_.element(element).list;
    Element& e = ensure_element(element);
    if (e.item != winner.item) {
        Sequence& places = ensure_list(container).places;
        const SlotIndex slot = find_slot(container, element);
        const bool present = slot != kNone && slots_[slot].is_present();
        if (e.item != kNone) places.set_visible(e.item, false);
        if (winner.item != kNone) places.set_visible(winner.item, present);
        note_entry(containers_[container], e.item);
        note_entry(containers_[container], winner.item);
        mark_dirty(container, kNone);
    }
    e.item = winner.item;
    e.stamp = winner.stamp;
    const auto at = std::ranges::lower_bound(
        other_places_, element, {}, [](const auto& pair) { return pair.first; });
    const bool found = at != other_places_.end() && at->first == element;
    if (others.empty()) {
        if (found) other_places_.erase(at);
    } else if (found) {
        at->second = std::move(others);
    } else {
        other_places_.insert(at, {element, std::move(others)});
    }
}

void State::set_places(ElementIndex element, Place winner, std::vector<Place> others) {
    touch(names_.element(element).list, element);
    const auto old_others = other_places(element);
    journal_.push_back({Undo::places, kNone, element, {}});
    const Element& old = this->element(element);
    undo_places_.push_back({{old.item, old.stamp}, {old_others.begin(), old_others.end()}});
    set_places_quietly(element, winner, std::move(others));
}

// --- Loading
// ----------------------------------------------------------------------------------------

void State::reserve_slots(std::size_t count) {
    slots_.reserve(count);
    slot_index_.reserve(count);
}

}  // namespace joinery::crdt
