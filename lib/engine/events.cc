// The part of DocumentCore that tells those who watch.

#include "crdt/patch.h"
#include "engine/document_core.h"
#include "engine/plain_difference.h"
#include "engine/tx_core.h"

#include <algorithm>
#include <utility>

namespace joinery::detail {
namespace {

Patch::Kind kind_of(crdt::PatchKind kind) {
    switch (kind) {
        case crdt::PatchKind::add: return Patch::Kind::add;
        case crdt::PatchKind::remove: return Patch::Kind::remove;
        case crdt::PatchKind::replace: break;
    }
    return Patch::Kind::replace;
}

}  // namespace

Subscription DocumentCore::observe(std::string path, std::function<void(const Event&)> callback) {
    auto watch = std::make_shared<EventWatch>(std::move(path), std::move(callback));
    bool is_to_tell = false;
    {
        const std::lock_guard lock(mutex_);
        // Live values that are still to be told are in the view already: not for this one.
        is_to_tell = note_events(true);
        watches_.push_back(watch);
    }
    if (is_to_tell) tell();
    return subscription_of(
        weak_from_this(), std::move(watch), &DocumentCore::watches_, &DocumentCore::mutex_);
}

/// Leaves for tell() what was touched since the last time.
bool DocumentCore::note_events(bool local) {
    if (watches_.empty()) {
        view_before_.reset();
        document_->live().clear_touched();
        return false;
    }
    std::vector<crdt::PatchStep> steps;
    if (view_before_) {
        steps = difference(Plain{*std::exchange(view_before_, std::nullopt)},
                           Plain{document_->read_root()});
    } else {
        const std::vector<crdt::LiveTouch> live = document_->touch_live();
        steps = crdt::patches_of(*document_, live);
    }
    document_->mutable_state().clear_touched();
    document_->live().clear_touched();
    if (steps.empty()) return !to_tell_.empty();
    auto event = std::make_shared<Event>();
    event->local = local;
    for (crdt::PatchStep& step : steps) {
        event->patches.push_back({kind_of(step.kind), std::move(step.path), std::move(step.value)});
    }
    for (const auto& watch : watches_) {
        const auto whole = [&]() -> std::optional<Plain> {
            auto value = read_path(*document_, watch->path(), Lanes::all);
            return value ? std::optional(*std::move(value)) : std::nullopt;
        };
        if (watch->note(event, whole)) to_tell_.push_back(watch);
    }
    return !to_tell_.empty();
}

void DocumentCore::tell() {
    std::unique_lock lock(mutex_);
    // Of two threads that changed the document, the later one may come first to here. One hands
    // over for both; also for a callback that runs at once and makes a change itself.
    if (is_telling_) return;
    is_telling_ = true;
    while (!to_tell_.empty()) {
        const auto watches = std::exchange(to_tell_, {});
        lock.unlock();
        for (const auto& watch : watches)
            context_.run_callback([watch] { watch->deliver(); });
        lock.lock();
    }
    is_telling_ = false;
}

}  // namespace joinery::detail
