#include "crdt/patch.h"

#include <algorithm>
#include <map>

namespace joinery::crdt {
namespace {

using Before = State::Before;

class PatchMaker {
  public:
    PatchMaker(const Document& document, std::span<const LiveTouch> live)
        : document_(document), state_(document.state()), names_(document.names()) {
        for (const Before& before : state_.touched())
            touched_[before.container].push_back(&before);
        // Of a register that was let go of and came again the first one counts.
        for (const LiveTouch& touch : live)
            live_[touch.map].try_emplace(touch.before->key, touch.before);
    }

    std::vector<PatchStep> run() {
        container(kRoot, "");
        return std::move(steps_);
    }

  private:
    /// The steps within a container that showed before and shows now.
    void container(ContainerIndex index, const std::string& path) {
        if (!has_elements(names_.container(index).kind)) return members(index, path);
        const auto found = touched_.find(index);
        if (found != touched_.end()) elements(index, found->second, path);
    }

    /// A member that may have changed: in the state, in its live register, or both.
    struct Member {
        const Before* logged = nullptr;
        const Live::Before* live = nullptr;
    };

    std::map<std::string_view, Member> touched_members(ContainerIndex index) const {
        std::map<std::string_view, Member> out;
        if (const auto found = touched_.find(index); found != touched_.end()) {
            for (const Before* before : found->second)
                out[names_.key(before->key)].logged = before;
        }
        if (const auto found = live_.find(index); found != live_.end()) {
            for (const auto& [key, before] : found->second)
                out[key].live = before;
        }
        return out;
    }

    /// What a member showed, a live value included (rule I3).
    Before member_before(ContainerIndex index, std::string_view key, const Member& member) const {
        Before before{index, 0, Kind::none, false, {}, kNone, 0};
        if (member.logged != nullptr) before = *member.logged;
        if (before.kind != Kind::none || before.has_value) return before;
        if (member.live != nullptr) {
            before.has_value = member.live->value.has_value();
            if (before.has_value) before.value = *member.live->value;
        } else if (const Value* value = document_.live().find(names_.container_id(index), key)) {
            before.has_value = true;
            before.value = *value;
        }
        return before;
    }

    void members(ContainerIndex index, const std::string& path) {
        for (const auto& [key, member] : touched_members(index)) {
            const bool is_hidden = member.logged == nullptr &&
                                   !document_.shown_at(index, key, Lanes::logged).nothing();
            if (is_hidden) continue;
            std::string member_path = path;
            append_path_token(member_path, key);
            const Before before = member_before(index, key, member);
            const Shown now = document_.shown_at(index, key);
            const bool was = before.kind != Kind::none || before.has_value;
            if (was && now.nothing()) {
                steps_.push_back({PatchKind::remove, member_path, {}});
            } else if (!was && !now.nothing()) {
                steps_.push_back({PatchKind::add, member_path, document_.read(now)});
            } else if (was) {
                content(before, now, member_path);
            }
        }
    }

    /// The steps for a slot that showed something before and shows something now.
    void content(const Before& before, const Shown& now, const std::string& path) {
        const bool same_kind = before.kind == now.kind;
        if (same_kind && (now.kind == Kind::map || now.kind == Kind::list)) {
            return container(now.container, path);
        }
        if (same_kind && now.kind == Kind::none && *now.value == before.value) return;
        if (same_kind && now.kind == Kind::counter &&
            state_.counter_sum(now.container) == before.sum) {
            return;
        }
        steps_.push_back({PatchKind::replace, path, document_.read(now)});
    }

    /// A place that showed an element before, or shows one now, or both.
    struct PlaceEvent {
        Item item;
        bool was, is;
        const Before* before;
    };

    /// In order of place: left of the one at hand all is as now, so that its index now is its index
    /// in the step, whatever stands to its right.
    void elements(ContainerIndex index,
                  const std::vector<const Before*>& touched,
                  const std::string& path) {
        const State::List* list = state_.list(index);
        if (list == nullptr) return;
        const Sequence& places = list->places;
        std::vector<PlaceEvent> events;
        for (const Before* before : touched) {
            const Item place = state_.element(before->key).item;
            const Item now = place != kNoItem && places.is_visible(place) ? place : kNoItem;
            if (now == before->item) {
                if (now != kNoItem) events.push_back({now, true, true, before});
                continue;
            }
            // A place that was undone again is past the end; nothing showed there.
            if (before->item != kNoItem) events.push_back({before->item, true, false, before});
            if (now != kNoItem) events.push_back({now, false, true, before});
        }
        std::ranges::sort(events, [&](const PlaceEvent& a, const PlaceEvent& b) {
            return a.item != b.item && places.precedes(a.item, b.item);
        });
        for (const PlaceEvent& event : events) {
            std::string element_path = path;
            append_path_token(element_path, std::to_string(places.visible_index_of(event.item)));
            const Shown now = state_.shown(index, event.before->key);
            if (event.was && event.is) {
                content(*event.before, now, element_path);
            } else if (event.is) {
                steps_.push_back({PatchKind::add, element_path, document_.read(now)});
            } else {
                steps_.push_back({PatchKind::remove, element_path, {}});
            }
        }
    }

    const Document& document_;
    const State& state_;
    const Names& names_;
    std::map<ContainerIndex, std::vector<const Before*>> touched_;
    std::map<ContainerIndex, std::map<std::string_view, const Live::Before*>> live_;
    std::vector<PatchStep> steps_;
};

}  // namespace

void append_path_token(std::string& path, std::string_view token) {
    path.push_back('/');
    for (const char c : token) {
        if (c == '~') {
            path += "~0";
        } else if (c == '/') {
            path += "~1";
        } else {
            path.push_back(c);
        }
    }
}

std::vector<PatchStep> patches_of(const Document& document, std::span<const LiveTouch> live) {
    return PatchMaker(document, live).run();
}

}  // namespace joinery::crdt
