// The part of DocumentCore that tells those who watch.

#include "crdt/patch.h"
#include "engine/document_core.h"

#include <algorithm>

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

/// Whether @p path is @p above or lies beneath it.
bool is_beneath(std::string_view path, std::string_view above) {
    return path.starts_with(above) && (path.size() == above.size() || path[above.size()] == '/');
}

}  // namespace

Subscription DocumentCore::observe(std::string path, std::function<void(const Event&)> callback) {
    auto watch = std::make_shared<Watch>();
    watch->path = std::move(path);
    watch->callback = std::move(callback);
    const std::lock_guard lock(mutex_);
    watches_.push_back(watch);
    const std::weak_ptr<DocumentCore> weak_core = weak_from_this();
    return Subscription(std::shared_ptr<void>(nullptr, [weak_core, watch](void*) {
        {
            const std::lock_guard watch_lock(watch->mutex);
            watch->alive = false;
        }
        if (const auto core = weak_core.lock()) {
            const std::lock_guard core_lock(core->mutex_);
            std::erase(core->watches_, watch);
        }
    }));
}

/// What to call, without the lock, to deliver what was touched since the last time; may be empty.
std::function<void()> DocumentCore::events_since_touch(bool local) {
    if (watches_.empty()) return {};
    std::vector<crdt::PatchStep> steps = crdt::patches_of(*document_);
    document_->mutable_state().clear_touched();
    if (steps.empty()) return {};
    auto event = std::make_shared<Event>();
    event->local = local;
    for (crdt::PatchStep& step : steps) {
        event->patches.push_back({kind_of(step.kind), std::move(step.path), std::move(step.value)});
    }
    return [watches = watches_, event, run = context_.run_callback] {
        for (const auto& watch : watches) {
            run([watch, event] {
                Event part{event->local, {}};
                for (const Patch& patch : event->patches) {
                    if (is_beneath(patch.path, watch->path) ||
                        is_beneath(watch->path, patch.path)) {
                        part.patches.push_back(patch);
                    }
                }
                if (part.patches.empty()) return;
                const std::lock_guard lock(watch->mutex);
                if (watch->alive) watch->callback(part);
            });
        }
    };
}

}  // namespace joinery::detail
