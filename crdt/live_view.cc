#include "crdt/live_view.h"

#include "crdt/document.h"

namespace joinery::crdt {

ContainerIndex ContainerFinder::find(const Names& names, const PathId& id) {
    const auto hash_of = [&](const PathId& of) { return load_u64(of.bytes.data()); };
    if (truncation_count_ != names.truncation_count()) {
        index_ = FlatIndex{};
        seen_ = 0;
        truncation_count_ = names.truncation_count();
    }
    for (; seen_ < names.container_count(); ++seen_) {
        index_.insert(seen_, [&](std::uint32_t i) { return hash_of(names.container_id(i)); });
    }
    return index_.find(hash_of(id), [&](std::uint32_t i) { return names.container_id(i) == id; });
}

std::vector<LiveTouch> Document::touch_live() {
    std::vector<LiveTouch> touches;
    for (const Live::Before& before : live_.touched()) {
        const ContainerIndex map = finder_.find(names_, before.map);
        if (map == kNone || names_.container(map).kind != Kind::map) continue;
        const Names::Container& name = names_.container(map);
        if (map != kRoot) state_.note_touch(name.parent, name.key);
        touches.push_back({map, &before});
    }
    return touches;
}

Shown Document::shown_at(ContainerIndex map, std::string_view key, Lanes lanes) const {
    const KeyIndex index = names_.find_key(key);
    if (index != kNone) {
        const Shown shown = state_.shown(map, index);
        if (!shown.nothing()) return shown;
    }
    if (lanes == Lanes::logged || live_.empty()) return {};
    return {Kind::none, live_.find(names_.container_id(map), key), kNone};
}

}  // namespace joinery::crdt
