#include "crdt/snapshot_graph.h"
#include "crdt/snapshot_loader.h"

#include <algorithm>

namespace joinery::crdt {

Result<std::unique_ptr<Document>> decode_snapshot(ByteView in, const SnapshotLimits& limits) {
    return SnapshotLoader(in, limits).run();
}

Result<std::unique_ptr<Document>> SnapshotLoader::run() {
    const std::uint8_t version = in_.u8();
    if (ok() && version != kSnapshotFormatVersion) {
        return fail(Errc::unsupported, "snapshot of an unknown version");
    }
    const ByteView id = in_.sized(kKeySizeMax, "document id longer than 1 KiB");
    if (ok() && (id.empty() || !is_utf8(id))) refuse("impossible document id");
    if (!ok()) return in_.error();
    document_ = std::make_unique<Document>(std::string(as_text(id)));
    read_graph();
    if (ok()) read_keys();
    if (ok()) source_.read(budget_);
    if (ok()) read_stamps();
    if (ok()) groups_.read(budget_, key_count() + 2);
    JOINERY_TRY_VOID(in_.finish());
    read_containers();
    if (ok()) check_all_used();
    if (ok()) assign_stamps();
    if (ok()) choose_winners();
    if (ok()) count_present();
    for (std::size_t i = 0; i < lists_.size() && ok(); ++i)
        finish_list(lists_[i]);
    if (!ok()) return in_.error();
    finish_other_places();
    return std::move(document_);
}

void SnapshotLoader::read_graph() {
    Graph& graph = document_->graph_;
    SnapshotGraph::read(in_, budget_, graph, document_->names_);
    if (!ok()) return;
    std::uint64_t number = 0;
    for (ChainIndex chain = 0; chain < document_->names_.actor_count(); ++chain) {
        last_counters_.push_back(graph.next_counter(chain) - 1);
        first_numbers_.push_back(number);
        number += last_counters_.back();
        document_->remember_hash(chain, graph.last_seq(chain), graph.tip_hash(chain));
    }
}

void SnapshotLoader::read_keys() {
    const std::size_t count = budget_.count(in_);
    const auto shared = detail::read_integers(in_, count);
    StringColumn rests;
    if (!ok() || !budget_.spend(in_, count) ||
        !decode_strings(in_, count, budget_.limits(count), rests)) {
        return;
    }
    std::string key;
    for (std::size_t i = 0; i < count; ++i) {
        const std::string_view rest = as_text(rests.values[i]);
        const std::size_t same = key.size();
        const bool fits = shared[i] <= same && rest.size() <= kKeySizeMax - shared[i];
        // Sorted, and no more could be shared: the next character is greater, or there was none.
        const auto at = static_cast<std::size_t>(fits ? shared[i] : 0);
        const bool rises =
            i == 0 || (!rest.empty() && (at == same || static_cast<unsigned char>(rest[0]) >
                                                           static_cast<unsigned char>(key[at])));
        if (!fits || !rises) return void(refuse("keys are not in order"));
        key.resize(at);
        key.append(rest);
        if (!is_utf8(as_bytes(key))) return void(refuse("key is not UTF-8"));
        if (!budget_.spend_text(in_, key.size())) return;
        document_->names_.intern_key(key);
    }
    key_used_.resize(count);
}

void SnapshotLoader::read_stamps() {
    const std::size_t count = budget_.count(in_);
    if (ok() && !decode_signed(in_, count, {count, 0}, stamps_)) stamps_.clear();
}

void SnapshotLoader::read_containers() {
    State& state = document_->state_;
    const std::size_t slot_count = source_.size(Field::form_symbol);
    state.reserve_slots(slot_count);
    entry_slots_.reserve(slot_count);
    stamped_.reserve(slot_count);
    forms_.assign(key_count() + 1, kNone);
    detail::KeyOrder key_order(key_count());
    queue_.assign(1, {kRoot, kNone});
    for (std::size_t i = 0; i < queue_.size() && ok(); ++i) {
        const Visit visit = queue_[i];
        switch (document_->names_.container(visit.container).kind) {
            case Kind::list: read_list(visit); break;
            case Kind::counter: read_cells(visit.container); break;
            default: read_map(visit, key_order);
        }
    }
    state.ensure_container(static_cast<ContainerIndex>(document_->names_.container_count() - 1));
}

void SnapshotLoader::check_all_used() {
    source_.check_used_up();
    groups_.check_used_up();
    if (std::ranges::find(key_used_, 0) != key_used_.end()) refuse("key that nothing uses");
}

// --- Slots ---------------------------------------------------------------------------------------

void SnapshotLoader::read_map(const Visit& visit, detail::KeyOrder& key_order) {
    SlotIndex previous = kNone;
    std::uint32_t key = key_order.edge();
    for (;;) {
        key = next_key(key, key_order);
        if (!ok() || key == key_order.edge()) break;
        key_used_[key] = 1;
        previous = add_slot(visit.container, key, previous);
        read_slot(previous, key, Dot{});
    }
    if (previous == kNone && visit.container != kRoot) refuse("map of nothing");
}

std::uint32_t SnapshotLoader::next_key(std::uint32_t before, detail::KeyOrder& key_order) {
    const std::uint64_t symbol = source_.integer(Field::key_symbol);
    const std::uint32_t expected = key_order.predict(before);
    if (symbol == 0) return expected;
    const std::uint64_t key = symbol == 1 ? key_order.edge() : symbol - 2;
    const bool exists = symbol == 1 || key < key_count();
    const bool rises = symbol == 1 || before == key_order.edge() || key > before;
    if (!exists || !rises || key == expected) {
        refuse("keys of a map are not in order");
        return key_order.edge();
    }
    key_order.learn(before, static_cast<std::uint32_t>(key));
    return static_cast<std::uint32_t>(key);
}

SlotIndex SnapshotLoader::add_slot(ContainerIndex container,
                                   std::uint32_t key,
                                   SlotIndex previous) {
    State& state = document_->state_;
    const auto index = static_cast<SlotIndex>(state.slots_.size());
    State::Slot& slot = state.slots_.emplace_back();
    slot.container = container;
    slot.key = key;
    slot.previous = previous;
    if (previous != kNone) {
        state.slots_[previous].next = index;
    } else {
        state.containers_[container].first_slot = index;
    }
    if (has_elements(document_->names_.container(container).kind)) {
        state.ensure_element(key).slot = index;
    } else {
        state.slot_index_.insert(index, [&](std::uint32_t i) { return state.slot_hash(i); });
    }
    return index;
}

/// @p insert The dot that goes without saying for an only entry, if any.
void SnapshotLoader::read_slot(SlotIndex slot, std::uint32_t group, Dot insert) {
    const unsigned form = next_form(group);
    if (!ok()) return;
    const unsigned head = form & ((1U << detail::kHeadBits) - 1);
    if (head == detail::kHeadMany) {
        read_entries(slot, group);
    } else if (head != detail::kHeadNone) {
        read_only_entry(slot, head, group, insert);
    }
    if (ok()) read_children(slot, form >> detail::kHeadBits);
}

unsigned SnapshotLoader::next_form(std::uint32_t group) {
    const std::uint64_t symbol = source_.integer(Field::form_symbol);
    std::uint32_t& expected = forms_[group];
    if (symbol == 0 && expected != kNone) return expected;
    const std::uint64_t form = symbol - 1;
    if (symbol < 2 || form > detail::kFormMax || form == expected) {
        return static_cast<unsigned>(refuse("impossible form of a slot"));
    }
    expected = static_cast<std::uint32_t>(form);
    return expected;
}

void SnapshotLoader::read_only_entry(SlotIndex slot,
                                     unsigned head,
                                     std::uint32_t group,
                                     Dot insert) {
    const bool is_insert = insert.chain != kNone && source_.flag(Flag::entry_is_insert);
    const Dot dot = is_insert ? insert : read_dot(group, 0);
    if (!is_insert && dot == insert) refuse("dot that goes without saying");
    Entry entry = read_entry(slot, head, group, dot);
    document_->state_.slots_[slot].entry = std::move(entry);
}

void SnapshotLoader::read_entries(SlotIndex slot, std::uint32_t group) {
    State& state = document_->state_;
    const std::uint64_t more = source_.integer(Field::entry_count);
    // Each has a head of its own, which bounds them.
    if (more > source_.size(Field::entry_head)) return void(refuse("too many entries at a slot"));
    EntryPool::Block& block = state.slots_[slot].others;
    for (std::uint64_t i = 0; i < more + 2 && ok(); ++i) {
        const std::uint32_t head =
            below(Field::entry_head, detail::kHeadMany, "impossible entry of a slot");
        if (head == detail::kHeadNone) refuse("impossible entry of a slot");
        const std::span<const Entry> entries = state.entries_.entries(block);
        const Dot dot = read_dot(group, entries.empty() ? 0 : entries.back().chain);
        Entry entry = read_entry(slot, head, group, dot);
        if (!ok()) return;
        if (!entries.empty()) {
            const Entry& before = entries.back();
            const bool rises =
                std::pair(before.chain, before.counter) < std::pair(dot.chain, dot.counter);
            // An actor's later put or make has covered its earlier one.
            const bool repeats =
                before.chain == dot.chain &&
                ((before.made == Kind::none) == (entry.made == Kind::none) ||
                 (entries.size() > 1 && entries[entries.size() - 2].chain == dot.chain));
            if (!rises || repeats) return void(refuse("entries of a slot are not in order"));
        }
        state.entries_.push(block, std::move(entry));
    }
    contested_.push_back(slot);
}

/// @p actor_before Of the slot's entry before it, or 0.
Dot SnapshotLoader::read_dot(std::uint32_t group, std::uint32_t actor_before) {
    const auto chain =
        below(Field::entry_actor, last_counters_.size() - actor_before, "no such actor") +
        actor_before;
    const std::uint64_t age = groups_.age(group);
    if (!ok()) return {};
    if (age >= last_counters_[chain]) {
        refuse("operation that was never made");
        return {};
    }
    return {chain, last_counters_[chain] - age};
}

/// All but the stamp.
Entry SnapshotLoader::read_entry(SlotIndex slot, unsigned head, std::uint32_t group, Dot dot) {
    Entry entry;
    if (!ok()) return entry;
    entry.chain = dot.chain;
    entry.counter = dot.counter;
    if (head > detail::kHeadMake) {
        entry.made = static_cast<Kind>(head - detail::kHeadMake);
    } else {
        entry.value = groups_.value(group, static_cast<ValueType>(head - detail::kHeadPut));
    }
    stamped_.push_back({number_of(dot), static_cast<std::uint32_t>(entry_slots_.size())});
    entry_slots_.push_back(slot);
    return entry;
}

/// Names what is made at @p slot and attaches the children in @p mask, a bit for each kind.
void SnapshotLoader::read_children(SlotIndex slot, unsigned mask) {
    State& state = document_->state_;
    unsigned made = 0;
    const auto note = [&](const Entry& entry) {
        if (entry.made != Kind::none) made |= 1U << (static_cast<unsigned>(entry.made) - 1);
    };
    note(state.slots_[slot].entry);
    for (const Entry& entry : state.alternatives(state.slots_[slot]))
        note(entry);
    for (std::uint8_t kind = 1; kind <= kKindMax && ok(); ++kind) {
        const unsigned bit = 1U << (kind - 1U);
        if (((mask | made) & bit) == 0) continue;
        const ContainerIndex child = intern_child(slot, static_cast<Kind>(kind));
        if (!ok() || (mask & bit) == 0) continue;
        State::Container& container = state.ensure_container(child);
        container.attached = true;
        container.next_sibling = std::exchange(state.slots_[slot].first_child, child);
        queue_.push_back({child, slot});
    }
}

ContainerIndex SnapshotLoader::intern_child(SlotIndex slot, Kind kind) {
    Names& names = document_->names_;
    const State::Slot& parent = document_->state_.slots_[slot];
    if (kind != Kind::map && kind != Kind::list && kind != Kind::counter) {
        in_.refuse(Errc::unsupported, "unknown kind of container");
    } else if (names.container(parent.container).depth + 1 > kDepthMax) {
        in_.refuse(Errc::over_limit, "container nested too deeply");
    }
    return ok() ? names.intern_container(parent.container, parent.key, kind) : kRoot;
}

// --- Counters ------------------------------------------------------------------------------------

Int128 SnapshotLoader::read_total(Field low, Field high) {
    const detail::UInt128 lower = source_.integer(low);
    const detail::UInt128 upper = source_.integer(high);
    return detail::total_of_zigzag(lower | (upper << 64U));
}

void SnapshotLoader::read_cells(ContainerIndex counter) {
    State& state = document_->state_;
    const std::uint64_t more = source_.integer(Field::cell_count);
    if (more >= last_counters_.size()) return void(refuse("more cells than actors"));
    std::vector<Cell>& cells = state.counters_.emplace_back();
    cells.reserve(static_cast<std::size_t>(more) + 1);
    for (std::uint64_t i = 0; i <= more && ok(); ++i) {
        Cell cell;
        cell.chain = below(Field::cell_actor, last_counters_.size(), "no such actor");
        const std::uint64_t last_counter = last_counters_[cell.chain];
        const std::uint64_t age = source_.integer(Field::cell_age);
        const std::uint64_t span = source_.integer(Field::cell_span);
        cell.total = read_total(Field::cell_total_low, Field::cell_total_high);
        if (age >= last_counter || span >= last_counter - age) {
            return void(refuse("increment that was never made"));
        }
        cell.last = last_counter - age;
        cell.origin = cell.last - span;
        if (source_.flag(Flag::cell_cleared)) {
            const std::uint64_t distance = source_.integer(Field::cleared_distance);
            cell.cleared_last = cell.last - distance;
            cell.cleared_total = read_total(Field::cleared_total_low, Field::cleared_total_high);
            if (distance == 0 || distance > span) refuse("impossible run of increments");
        }
        if (!is_possible(cell)) refuse("impossible total of increments");
        if (!cells.empty() && cells.back().chain >= cell.chain) refuse("cells are not in order");
        cells.push_back(cell);
    }
    State::Container& container = state.containers_[counter];
    container.payload = static_cast<std::uint32_t>(state.counters_.size() - 1);
    container.present_count = static_cast<std::uint32_t>(cells.size());
}

}  // namespace joinery::crdt
