#include "crdt/document.h"

#include <algorithm>
#include <limits>

namespace joinery::crdt {
namespace {

std::int64_t clamp_sum(Int128 sum) noexcept {
    constexpr Int128 kMax = std::numeric_limits<std::int64_t>::max();
    constexpr Int128 kMin = std::numeric_limits<std::int64_t>::min();
    return static_cast<std::int64_t>(std::clamp(sum, kMin, kMax));
}

/// Rule I3: the live values of a map, where nothing logged shows.
void add_live(const Document& document, ContainerIndex map, PlainObject& object) {
    const Names& names = document.names();
    if (document.live().empty()) return;
    document.live().for_each(names.container_id(map),
                             [&](const std::string& key, const Value& value) {
                                 if (document.shown_at(map, key, Lanes::logged).nothing()) {
                                     object.push_back({key, Plain{value}});
                                 }
                             });
}

PlainObject read_map(const Document& document, ContainerIndex container, Lanes lanes) {
    const State& state = document.state();
    PlainObject object;
    object.reserve(state.container(container).present_count);
    for (auto index = state.container(container).first_slot; index != kNone;) {
        const State::Slot& slot = state.slot(index);
        index = slot.next;
        if (!slot.is_present()) continue;
        object.push_back(
            {std::string(document.names().key(slot.key)), document.read(state.shown(slot), lanes)});
    }
    if (lanes == Lanes::all && !document.live().empty()) add_live(document, container, object);
    std::ranges::sort(
        object, {}, [](const auto& member) -> const std::string& { return member.first; });
    return object;
}

PlainArray read_list(const Document& document, ContainerIndex container, Lanes lanes) {
    const State& state = document.state();
    PlainArray array;
    const State::List* list = state.list(container);
    if (list == nullptr) return array;
    array.reserve(list->places.visible_count());
    list->places.for_each_visible([&](std::uint32_t item) {
        array.push_back(document.read(state.shown(container, list->element_of[item]), lanes));
    });
    return array;
}

}  // namespace

Plain Document::read(const Shown& shown, Lanes lanes) const {
    switch (shown.kind) {
        case Kind::map: return {read_map(*this, shown.container, lanes)};
        case Kind::list: return {read_list(*this, shown.container, lanes)};
        case Kind::counter: return {Value(clamp_sum(state_.counter_sum(shown.container)))};
        case Kind::none:
        case Kind::text:
        case Kind::tree: break;
    }
    return {shown.value != nullptr ? *shown.value : Value()};
}

PlainObject Document::read_root(Lanes lanes) const { return read_map(*this, kRoot, lanes); }

}  // namespace joinery::crdt
