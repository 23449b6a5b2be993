#include "engine/event_watch.h"

#include <algorithm>
#include <utility>

namespace joinery::detail {
namespace {

/// Whether @p path is @p above or lies beneath it.
bool is_beneath(std::string_view path, std::string_view above) {
    return path.starts_with(above) && (path.size() == above.size() || path[above.size()] == '/');
}

/// Whether the last step of @p path may be an index: to add or remove there moves what follows.
bool may_be_element(std::string_view path) {
    const std::string_view step = path.substr(path.rfind('/') + 1);
    return step == "-" || std::ranges::all_of(step, [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

void EventMerger::append(const Patch& patch) {
    const bool is_scalar = patch.kind != Patch::Kind::remove && patch.value.is_scalar();
    if (patch.kind == Patch::Kind::replace && is_scalar) {
        const auto known = scalars_.find(patch.path);
        if (known != scalars_.end()) {
            patches_[known->second].value = patch.value;
            return;
        }
    }
    const bool is_in_place = patch.kind == Patch::Kind::replace || !may_be_element(patch.path);
    if (!is_scalar || !is_in_place) scalars_.clear();
    if (is_scalar) scalars_[patch.path] = patches_.size();
    patches_.push_back(patch);
}

std::vector<Patch> EventMerger::take() {
    scalars_.clear();
    return std::exchange(patches_, {});
}

EventWatch::EventWatch(std::string path, std::function<void(const Event&)> told)
    : path_(std::move(path)) {
    callback = std::move(told);
}

bool EventWatch::concerns(const Patch& patch) const {
    return is_beneath(patch.path, path_) || is_beneath(path_, patch.path);
}

bool EventWatch::note(const std::shared_ptr<const Event>& event,
                      const std::function<std::optional<Plain>()>& whole) {
    const auto count = static_cast<std::size_t>(
        std::ranges::count_if(event->patches, [&](const Patch& it) { return concerns(it); }));
    if (count == 0) return false;
    const std::lock_guard lock(waiting_mutex_);
    waiting_.push_back(event);
    patch_count_ += count;
    if (waiting_.size() > kEventsMax || (waiting_.size() > 1 && patch_count_ > kPatchesMax)) {
        make_less(whole);
    }
    return !std::exchange(is_posted_, true);
}

/// To at most half of what may wait, so that it is not due again at once.
void EventWatch::make_less(const std::function<std::optional<Plain>()>& whole) {
    waiting_ = merge(waiting_);
    patch_count_ = 0;
    for (const auto& event : waiting_)
        patch_count_ += event->patches.size();
    if (waiting_.size() <= kEventsMax / 2 && patch_count_ <= kPatchesMax / 2) return;
    auto event = std::make_shared<Event>();
    if (auto value = whole()) {
        event->patches.push_back({Patch::Kind::replace, path_, *std::move(value)});
    } else {
        event->patches.push_back({Patch::Kind::remove, path_, {}});
    }
    waiting_.assign(1, std::move(event));
    patch_count_ = 1;
}

EventWatch::Events EventWatch::merge(const Events& events) const {
    Events merged;
    EventMerger merger;
    for (std::size_t i = 0; i < events.size(); ++i) {
        for (const Patch& patch : events[i]->patches) {
            if (concerns(patch)) merger.append(patch);
        }
        const bool is_last = i + 1 == events.size() || events[i + 1]->local != events[i]->local;
        if (is_last) merged.push_back(std::make_shared<Event>(events[i]->local, merger.take()));
    }
    return merged;
}

void EventWatch::deliver() {
    // Before what waits is taken: of two threads, the one that takes first also tells first.
    const std::lock_guard telling(mutex);
    Events taken;
    {
        const std::lock_guard lock(waiting_mutex_);
        taken = std::exchange(waiting_, {});
        patch_count_ = 0;
        is_posted_ = false;
    }
    for (const auto& event : merge(taken))
        tell(*event);
}

}  // namespace joinery::detail
