// Reading a snapshot: lists, and what can only be told when the stamps are known.
#include "crdt/snapshot_loader.h"

#include <algorithm>

namespace joinery::crdt {
namespace {

constexpr std::uint32_t kPlaceBit = 1U << 31U;

}  // namespace

// --- Lists ---------------------------------------------------------------------------------------

void SnapshotLoader::read_list(const Visit& visit) {
    const std::uint64_t more = source_.integer(Field::place_count);
    // Each place has a head of its own, which bounds them.
    if (more >= source_.size(Field::place_head) -
                    std::min(places_.size(), source_.size(Field::place_head))) {
        return void(refuse("more places than there are"));
    }
    const ListPlaces list{visit.container, places_.size(), static_cast<std::size_t>(more) + 1};
    places_.resize(list.begin + list.count);
    place_infos_.resize(places_.size());
    lists_.push_back(list);
    read_runs(list);
    if (ok()) read_elements(list);
}

void SnapshotLoader::read_runs(const ListPlaces& list) {
    LoadedPlace* const places = &places_[list.begin];
    std::vector<detail::PlaceRun> runs;
    for (std::size_t at = 0; at < list.count && ok();) {
        const std::uint64_t more = source_.integer(Field::run_length);
        const auto chain = below(Field::run_actor, last_counters_.size(), "no such actor");
        const std::uint64_t counter = source_.integer(Field::run_counter);
        if (!ok()) return;
        if (more >= list.count - at) return void(refuse("impossible run of places"));
        if (counter == 0 || counter > last_counters_[chain] ||
            more > last_counters_[chain] - counter) {
            return void(refuse("operation that was never made"));
        }
        const std::size_t end = at + static_cast<std::size_t>(more) + 1;
        const Dot first{chain, counter};
        runs.push_back({static_cast<Item>(at),
                        static_cast<Item>(end),
                        detail::rank_of(document_->graph_, first)});
        for (std::size_t i = at; i < end; ++i)
            places[i].dot = {chain, counter + (i - at)};
        at = end;
    }
    const auto predicted = detail::predict_neighbours(runs);
    for (std::size_t i = 0; i < runs.size() && ok(); ++i)
        read_neighbours(list, runs[i], predicted[i]);
}

void SnapshotLoader::read_neighbours(const ListPlaces& list,
                                     const detail::PlaceRun& run,
                                     const detail::Neighbours& predicted) {
    const std::uint64_t left = source_.integer(Field::run_left);
    const std::uint64_t right = source_.integer(Field::run_right);
    LoadedPlace* const places = &places_[list.begin];
    LoadedPlace place = places[run.begin];
    place.left = predicted.left;
    place.right = predicted.right;
    if (left > run.begin + std::uint64_t{1} || right > list.count - run.end + 1) {
        return void(refuse("impossible neighbour of a place"));
    }
    if (left != 0) {
        place.left = left > run.begin ? kNoItem : static_cast<Item>(run.begin - left);
        if (place.left == predicted.left) refuse("neighbour that goes without saying");
    }
    if (right != 0) {
        const std::size_t at = run.end + static_cast<std::size_t>(right) - 1;
        place.right = at == list.count ? kNoItem : static_cast<Item>(at);
        if (place.right == predicted.right) refuse("neighbour that goes without saying");
    }
    if (run.begin > 0 && detail::continues_run(places[run.begin - 1], run.begin - 1, place)) {
        return void(refuse("run of places that is not whole"));
    }
    for (Item i = run.begin; i < run.end; ++i) {
        places[i].left = i == run.begin ? place.left : i - 1;
        places[i].right = place.right;
    }
}

void SnapshotLoader::read_elements(const ListPlaces& list) {
    bool has_references = false;
    for (std::size_t i = 0; i < list.count && ok(); ++i) {
        PlaceInfo& info = place_infos_[list.begin + i];
        const std::uint64_t head = source_.integer(Field::place_head);
        info.element = kNone;
        if (head == detail::kPlaceOwnElement) {
            const Dot dot = places_[list.begin + i].dot;
            info.element = document_->names_.intern_element(list.container, dot);
        } else if (head == detail::kPlaceByKey) {
            info.element = read_element_key(list.container);
        } else if (head == detail::kPlaceReference) {
            has_references = true;
        } else {
            refuse("unknown name of an element");
        }
        info.is_current = source_.flag(Flag::place_current);
        if (!info.is_current) continue;
        const auto index = static_cast<std::uint32_t>(list.begin + i);
        stamped_.push_back({number_of(places_[index].dot), index | kPlaceBit});
    }
    SlotIndex previous = kNone;
    for (std::size_t i = 0; i < list.count && ok(); ++i) {
        const ElementIndex element = place_infos_[list.begin + i].element;
        if (element == kNone || !source_.flag(Flag::element_live)) continue;
        previous = add_slot(list.container, element, previous);
        read_slot(previous, element_group(), places_[list.begin + i].dot);
        if (document_->state_.slots_[previous].entry.chain == kNone &&
            document_->state_.slots_[previous].others.empty() &&
            document_->state_.slots_[previous].first_child == kNone) {
            refuse("slot of nothing");
        }
    }
    if (ok() && has_references) resolve_references(list);
}

ElementIndex SnapshotLoader::read_element_key(ContainerIndex list) {
    Names& names = document_->names_;
    Names::ElementKey key;
    key.field = below(Field::by_key_field, key_count(), "no such key field");
    const std::uint64_t occurrence = source_.integer(Field::by_key_occurrence);
    const std::uint64_t type = source_.integer(Field::by_key_type);
    if (occurrence > kNameCountMax) refuse("occurrence too great");
    if (type > static_cast<std::uint64_t>(ValueType::timestamp)) refuse("unknown type of value");
    if (!ok()) return kNone;
    key_used_[key.field] = 1;
    key.occurrence = static_cast<std::uint32_t>(occurrence);
    key.value = groups_.value(element_key_group(), static_cast<ValueType>(type));
    if (!ok()) return kNone;
    const std::size_t before = names.element_count();
    const ElementIndex element = names.intern_element(list, key);
    if (element < before) refuse("element named twice");
    return element;
}

/// Places that a move made, or the insert by another peer of an element by key: their elements are
/// named where the first insert stands.
void SnapshotLoader::resolve_references(const ListPlaces& list) {
    const std::vector<PlaceInfo> named(
        place_infos_.begin() + static_cast<std::ptrdiff_t>(list.begin), place_infos_.end());
    for (std::size_t i = 0; i < list.count; ++i) {
        if (named[i].element != kNone) continue;
        const std::int64_t distance = zigzag_inverse(source_.integer(Field::place_reference));
        const std::uint64_t target = i + static_cast<std::uint64_t>(distance);
        if (!ok()) return;
        if (target >= list.count || named[static_cast<std::size_t>(target)].element == kNone) {
            return void(refuse("element that is named nowhere"));
        }
        const ElementIndex element = named[static_cast<std::size_t>(target)].element;
        if (document_->names_.is_by_key(element) && target > i) {
            return void(refuse("element by key that is not named at its first place"));
        }
        place_infos_[list.begin + i].element = element;
    }
}

// --- Stamps --------------------------------------------------------------------------------------

/// An entry and a place share a dot if one insert made both; nothing else does.
bool SnapshotLoader::check_shared(const detail::NumberedDot& first,
                                  const detail::NumberedDot& second) {
    if ((first.index & kPlaceBit) == (second.index & kPlaceBit)) return false;
    const std::uint32_t entry = std::min(first.index, second.index);
    const std::uint32_t place = std::max(first.index, second.index) & ~kPlaceBit;
    return document_->state_.element(place_infos_[place].element).slot == entry_slots_[entry];
}

void SnapshotLoader::assign_stamps() {
    detail::sort_by_number(stamped_);
    entry_stamps_.resize(entry_slots_.size());
    std::size_t count = 0;
    for (std::size_t i = 0; i < stamped_.size(); ++i) {
        const detail::NumberedDot& dot = stamped_[i];
        const bool shared = i != 0 && stamped_[i - 1].number == dot.number;
        if (shared && !check_shared(stamped_[i - 1], dot)) {
            return void(refuse("operation that stands in two places"));
        }
        if (!shared && ++count > stamps_.size()) break;
        const std::int64_t stamp = stamps_[count - 1];
        if ((dot.index & kPlaceBit) != 0) {
            place_infos_[dot.index & ~kPlaceBit].stamp = stamp;
        } else {
            entry_stamps_[dot.index] = stamp;
        }
    }
    if (count != stamps_.size()) return void(refuse("not a stamp for each operation"));
    write_entry_stamps();
}

void SnapshotLoader::write_entry_stamps() {
    State& state = document_->state_;
    for (std::size_t i = 0; i < entry_slots_.size();) {
        State::Slot& slot = state.slots_[entry_slots_[i]];
        if (slot.others.empty()) {
            slot.entry.stamp = entry_stamps_[i++];
            continue;
        }
        for (Entry& entry : state.entries_.entries(slot.others))
            entry.stamp = entry_stamps_[i++];
    }
}

/// Rule R2; until now all entries of such a slot were among the alternatives.
void SnapshotLoader::choose_winners() {
    State& state = document_->state_;
    for (const SlotIndex index : contested_) {
        State::Slot& slot = state.slots_[index];
        const std::span<const Entry> entries = state.entries_.entries(slot.others);
        const auto best = std::ranges::max_element(
            entries, [&](const Entry& a, const Entry& b) { return state.greater(b, a); });
        slot.entry =
            state.entries_.take(slot.others, static_cast<std::size_t>(best - entries.begin()));
    }
}

/// From the deepest containers up: children come after their parents in the queue.
void SnapshotLoader::count_present() {
    State& state = document_->state_;
    for (std::size_t i = queue_.size(); i-- > 0;) {
        State::Container& container = state.containers_[queue_[i].container];
        for (SlotIndex slot = container.first_slot; slot != kNone; slot = state.slots_[slot].next) {
            if (state.slots_[slot].is_present()) ++container.present_count;
        }
        if (container.present_count != 0 && queue_[i].slot != kNone) {
            ++state.slots_[queue_[i].slot].present_children;
        }
    }
    state.elements_.resize(document_->names_.element_count());
}

// --- Places --------------------------------------------------------------------------------------

/// Rule L3.
void SnapshotLoader::choose_places(const ListPlaces& list) {
    State& state = document_->state_;
    const LoadedPlace* const places = &places_[list.begin];
    for (std::size_t i = 0; i < list.count; ++i) {
        const PlaceInfo& info = place_infos_[list.begin + i];
        if (!info.is_current) continue;
        State::Element& winner = state.elements_[info.element];
        State::Place place{static_cast<std::uint32_t>(i), info.stamp};
        const auto rank = [&](const State::Place& p) {
            const Dot dot = places[p.item].dot;  // Chains are numbered in the order of actors.
            return std::tuple(p.stamp, dot.chain, dot.counter);
        };
        const State::Place before{winner.item, winner.stamp};
        const bool is_first = before.item == kNone;
        const bool wins = is_first || rank(place) > rank(before);
        if (wins) {
            winner.item = place.item;
            winner.stamp = place.stamp;
        }
        if (!is_first) other_places_.push_back({info.element, wins ? before : place});
    }
}

void SnapshotLoader::finish_list(const ListPlaces& list) {
    State& state = document_->state_;
    choose_places(list);
    State::List& loaded = state.ensure_list(list.container);
    loaded.element_of.reserve(list.count);
    for (std::size_t i = 0; i < list.count; ++i) {
        const ElementIndex element = place_infos_[list.begin + i].element;
        const std::uint32_t winner = state.elements_[element].item;
        if (winner == kNone) return void(refuse("element without a place"));
        const SlotIndex slot = state.elements_[element].slot;
        places_[list.begin + i].visible =
            winner == i && slot != kNone && state.slots_[slot].is_present();
        loaded.element_of.push_back(element);
        if (document_->names_.is_by_key(element)) {
            state.note_place(element, places_[list.begin + i].dot);
        }
    }
    // Chains are numbered in the order of actors.
    const auto less = [](ChainIndex a, ChainIndex b) { return a < b; };
    const std::span places(places_.data() + list.begin, list.count);
    if (!loaded.places.load(places, less)) refuse("places that are not in the order of the list");
}

void SnapshotLoader::finish_other_places() {
    State& state = document_->state_;
    std::ranges::sort(other_places_, {}, [](const auto& other) {
        return std::pair(other.first, other.second.item);
    });
    for (const auto& [element, place] : other_places_) {
        if (state.other_places_.empty() || state.other_places_.back().first != element) {
            state.other_places_.push_back({element, {}});
        }
        state.other_places_.back().second.push_back(place);
    }
}

}  // namespace joinery::crdt
