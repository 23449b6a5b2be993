#include "crdt/put_back.h"

#include "crdt/transaction.h"

#include <algorithm>
#include <limits>
#include <map>

namespace joinery::crdt {
namespace {

/// Bytes of an operation's canonical form beside its key, value and cells, and of a cell.
constexpr std::size_t kStepSizeMax = 160;
constexpr std::size_t kCellSizeMax = 80;
/// Cells that one erase may carry.
constexpr std::size_t kCellCountMax = 16384;

}  // namespace

// --- Before --------------------------------------------------------------------------------------

PutBack::PutBack(const Document& document, const Batch& batch, std::size_t index)
    : document_(document) {
    const Names& names = document.names();
    std::map<SlotName, bool> written;  // Whether what is beneath has to be noted, too.
    std::set<ContainerIndex> counters;
    std::set<ElementIndex> placed;
    for (const Op& op : batch.ops_of(batch.changes[index])) {
        const SlotName name{op.container, op.key};
        switch (op.kind) {
            case OpKind::put:
            case OpKind::make: {
                // What takes the place of nothing of its sort can only be erased.
                const bool is_first = entries_of(name, op.kind == OpKind::make).dots.empty();
                bool& is_deep = written[name];
                is_deep = is_deep || is_first;
                break;
            }
            case OpKind::erase: written[name] = true; break;
            case OpKind::insert:
                written[name] = true;
                placed.insert(op.key);
                break;
            case OpKind::move: placed.insert(op.key); break;
            case OpKind::increment: {
                const Names::Container& counter = names.container(op.container);
                written.try_emplace({counter.parent, counter.key}, false);
                counters.insert(op.container);
                break;
            }
        }
    }
    // Containers stand behind those above them.
    for (const auto& [name, is_deep] : written) {
        if (is_covered(name)) continue;
        slots_.push_back(note(name, is_deep));
        if (is_deep || !slots_.back().is_present) covered_.insert(name);
    }
    for (const ContainerIndex counter : counters) {
        const Names::Container& name = names.container(counter);
        if (!is_covered({name.parent, name.key})) counters_.push_back(counter_of(counter));
    }
    for (const ElementIndex element : placed) {
        if (const auto place = place_of(element)) places_.push_back(*place);
    }
}

bool PutBack::is_covered(SlotName name) const {
    while (!covered_.contains(name)) {
        if (name.first == kRoot) return false;
        const Names::Container& container = document_.names().container(name.first);
        name = {container.parent, container.key};
    }
    return true;
}

bool PutBack::is_present(SlotName name) const {
    const SlotIndex index = state().find_slot(name.first, name.second);
    return index != kNone && state().slot(index).is_present();
}

PutBack::Entries PutBack::entries_of(SlotName name, bool are_makes) const {
    Entries out;
    const SlotIndex index = state().find_slot(name.first, name.second);
    if (index == kNone) return out;
    const State::Slot& slot = state().slot(index);
    const auto take = [&](const Entry& entry) {
        if ((entry.made != Kind::none) != are_makes) return;
        out.dots.emplace_back(entry.chain, entry.counter);
        if (!out.greatest || state().greater(entry, *out.greatest)) out.greatest = entry;
    };
    if (slot.has_entry()) take(slot.entry);
    for (const Entry& entry : state().alternatives(slot))
        take(entry);
    std::ranges::sort(out.dots);
    return out;
}

PutBack::Counter PutBack::counter_of(ContainerIndex counter) const {
    return {counter, state().counter_sum(counter), !state().cells(counter).empty()};
}

std::optional<PutBack::Place> PutBack::place_of(ElementIndex element) const {
    const State::Element& found = state().element(element);
    if (found.item == kNone) return std::nullopt;
    const State::List* list = state().list(document_.names().element(element).list);
    return Place{element, list->places.id_of(found.item), found.stamp};
}

std::vector<ContainerIndex> PutBack::children_of(SlotName name) const {
    std::vector<ContainerIndex> out;
    const SlotIndex index = state().find_slot(name.first, name.second);
    if (index == kNone) return out;
    for (auto child = state().slot(index).first_child; child != kNone;
         child = state().container(child).next_sibling) {
        out.push_back(child);
    }
    return out;
}

std::vector<PutBack::SlotName> PutBack::slots_of(ContainerIndex container) const {
    std::vector<SlotName> out;
    for (auto slot = state().container(container).first_slot; slot != kNone;
         slot = state().slot(slot).next) {
        if (state().slot(slot).is_present()) out.emplace_back(container, state().slot(slot).key);
    }
    return out;
}

PutBack::Slot PutBack::note(SlotName name, bool is_deep) const {
    Slot out;
    out.name = name;
    out.is_present = is_present(name);
    if (!out.is_present) return out;
    out.puts = entries_of(name, false);
    out.makes = entries_of(name, true);
    if (!is_deep) return out;
    for (const ContainerIndex child : children_of(name)) {
        if (is_counter(child)) {
            out.counters.push_back(counter_of(child));
            continue;
        }
        Child& noted = out.children.emplace_back();
        noted.container = child;
        for (const SlotName& inner : slots_of(child))
            noted.slots.push_back(note(inner, true));
    }
    return out;
}

// --- After ---------------------------------------------------------------------------------------

std::vector<PutBackStep> PutBack::steps() const {
    std::vector<PutBackStep> out;
    for (const Slot& slot : slots_)
        lead_back(slot, false, out);
    for (const Counter& counter : counters_)
        lead_back(counter, false, out);
    for (const Place& was : places_) {
        if (place_of(was.element)->dot == was.dot) continue;
        PutBackStep step;
        step.kind = OpKind::move;
        step.container = document_.names().element(was.element).list;
        step.key = was.element;
        step.stamp = was.stamp;
        step.place = was.dot;
        push(step, out);
    }
    return out;
}

void PutBack::push(PutBackStep step, std::vector<PutBackStep>& out) const {
    step.size += kStepSizeMax + step.value.content().size();
    const Names& names = document_.names();
    const bool has_key =
        step.kind != OpKind::increment && !has_elements(names.container(step.container).kind);
    if (has_key) step.size += names.key(step.key).size();
    out.push_back(std::move(step));
}

std::size_t PutBack::count_cells(SlotName name, std::size_t limit) const {
    std::size_t count = 0;
    for (const ContainerIndex child : children_of(name)) {
        if (is_counter(child)) count += state().cells(child).size();
        for (auto slot = state().container(child).first_slot; slot != kNone && count < limit;
             slot = state().slot(slot).next) {
            count += count_cells({child, state().slot(slot).key}, limit - count);
        }
        if (count >= limit) return limit;
    }
    return count;
}

void PutBack::erase(SlotName name, std::vector<PutBackStep>& out) const {
    std::size_t cells = count_cells(name, kCellCountMax);
    bool is_left = true;
    if (cells == kCellCountMax) {
        const SlotIndex index = state().find_slot(name.first, name.second);
        cells = 0;
        for (const ContainerIndex child : children_of(name)) {
            if (is_counter(child)) cells += state().cells(child).size();
            for (const SlotName& inner : slots_of(child))
                erase(inner, out);
        }
        is_left = cells != 0 || state().slot(index).has_entry();
    }
    if (!is_left) return;
    PutBackStep step;
    step.container = name.first;
    step.key = name.second;
    step.size = cells * kCellSizeMax;
    push(std::move(step), out);
}

bool PutBack::must_clear(const Slot& was) const {
    const auto is_new = [&](const Entries& entries, bool are_makes) {
        return entries.dots.empty() && !entries_of(was.name, are_makes).dots.empty();
    };
    if (is_new(was.puts, false) || is_new(was.makes, true)) return true;
    if (!is_covered(was.name)) return false;  // Nothing beneath it was noted.
    return std::ranges::any_of(children_of(was.name), [&](ContainerIndex child) {
        return is_counter(child) && counter_of(child).is_present &&
               std::ranges::find(was.counters, child, &Counter::container) == was.counters.end();
    });
}

void PutBack::lead_back(const Slot& slot, bool is_cleared, std::vector<PutBackStep>& out) const {
    if (!is_cleared && (!slot.is_present || must_clear(slot))) {
        if (is_present(slot.name)) erase(slot.name, out);
        is_cleared = true;
    }
    lead_back_entries(slot, is_cleared, out);
    for (const Counter& counter : slot.counters)
        lead_back(counter, is_cleared, out);
    std::set<SlotName> known;
    for (const Child& child : slot.children) {
        for (const Slot& inner : child.slots) {
            known.insert(inner.name);
            lead_back(inner, is_cleared, out);
        }
    }
    if (is_cleared || !is_covered(slot.name)) return;
    for (const ContainerIndex child : children_of(slot.name)) {
        for (const SlotName& inner : slots_of(child)) {
            if (!known.contains(inner)) erase(inner, out);
        }
    }
}

void PutBack::lead_back_entries(const Slot& slot,
                                bool is_cleared,
                                std::vector<PutBackStep>& out) const {
    const auto is_gone = [&](const Entries& was, bool are_makes) {
        return was.greatest && (is_cleared || entries_of(slot.name, are_makes).dots != was.dots);
    };
    const auto put_back = [&](const Entry& was) {
        PutBackStep step;
        step.kind = was.made != Kind::none ? OpKind::make : OpKind::put;
        step.made = was.made;
        step.container = slot.name.first;
        step.key = slot.name.second;
        step.value = was.value;
        step.stamp = was.stamp;
        push(std::move(step), out);
    };
    const std::optional<Entry>& put = slot.puts.greatest;
    const std::optional<Entry>& make = slot.makes.greatest;
    const bool is_put_gone = is_gone(slot.puts, false);
    const bool is_make_gone = is_gone(slot.makes, true);
    if (!put || !make || put->stamp != make->stamp || (!is_put_gone && !is_make_gone)) {
        if (is_make_gone) put_back(*make);
        if (is_put_gone) put_back(*put);
        return;
    }
    // Dots decide what shows (rule M4): the later one has the greater.
    const bool is_put_greater = state().greater(*put, *make);
    put_back(is_put_greater ? *make : *put);
    put_back(is_put_greater ? *put : *make);
}

void PutBack::lead_back(const Counter& was, bool is_cleared, std::vector<PutBackStep>& out) const {
    const Counter now = is_cleared ? Counter{} : counter_of(was.container);
    // Concurrent increments may have left 64 bits (rule N1).
    constexpr Int128 kMost = std::numeric_limits<std::int64_t>::max();
    Int128 rest = was.sum - now.sum;
    bool is_lacking = was.is_present && !now.is_present;
    while (rest != 0 || is_lacking) {
        const Int128 delta = std::clamp(rest, -kMost, kMost);
        PutBackStep step;
        step.kind = OpKind::increment;
        step.container = was.container;
        step.delta = static_cast<std::int64_t>(delta);
        push(std::move(step), out);
        rest -= delta;
        is_lacking = false;
    }
}

// --- Doing it ------------------------------------------------------------------------------------

void Transaction::refuse(const Dependency& change) {
    const auto dependencies = document_.outgoing_.batch.dependencies_of(header_);
    const auto found = std::ranges::find(dependencies, change);
    JOINERY_ASSERT(found != dependencies.end());
    header_.refused = static_cast<std::uint32_t>(found - dependencies.begin());
}

Result<void> Transaction::put_back(const PutBackStep& step) {
    if (step.kind == OpKind::erase) return erase(step.container, step.key);
    if (step.kind == OpKind::increment) return add_increment(step.container, step.delta);
    const State& state = document_.state_;
    Op op;
    op.kind = step.kind;
    op.made = step.made;
    op.container = step.container;
    op.key = step.key;
    op.value = step.value;
    if (header_.refused != kNone) {
        // The stamp of one number cannot be written; the one after it does as well.
        const std::int64_t stamp = std::max(step.stamp, kNoStamp + 1);
        op.stamp = stamp == header_.time_ms ? kNoStamp : stamp;
    } else if (step.kind != OpKind::move) {
        op.stamp = stamp_for(state.find_slot(step.container, step.key));
    } else {
        op.stamp = stamp_after(state.element(step.key).stamp);
    }
    if (step.kind == OpKind::move) {
        const Sequence& places = state.list(step.container)->places;
        const auto item = places.find(step.place.chain, step.place.counter);
        JOINERY_ASSERT(item.has_value());
        op.extra = static_cast<std::uint32_t>(document_.outgoing_.batch.places.size());
        document_.outgoing_.batch.places.push_back(place_after(places, *item));
    }
    return run(std::move(op));
}

}  // namespace joinery::crdt
