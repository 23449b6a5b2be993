/// @file
/// Somebody who watches, from subscribing until the Subscription is gone.
#pragma once

#include "joinery/document.h"

#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace joinery::detail {

/// @par Thread safety
/// callback and alive are guarded by the mutex; callback is set before the watch is known to
/// others.
template <class Told>
struct Watch {
    std::function<void(const Told&)> callback;
    std::recursive_mutex mutex;  ///< Held while the callback runs, which may end the watch.
    bool alive = true;

    /// Tells who watches, unless the watch has ended.
    void tell(const Told& told) {
        const std::lock_guard lock(mutex);
        if (alive) callback(told);
    }
};

/// What ends @p watch when it is destroyed: no callback runs after that, and @p owner, where it is
/// still there, forgets the watch.
///
/// @param list   Where the owner keeps its watches.
/// @param mutex  What guards them. Not held by the caller.
template <class Owner, class W>
Subscription subscription_of(std::weak_ptr<Owner> owner,
                             std::shared_ptr<W> watch,
                             std::vector<std::shared_ptr<W>> Owner::* list,
                             std::mutex Owner::* mutex) {
    const auto end = [owner = std::move(owner), watch = std::move(watch), list, mutex](void*) {
        {
            const std::lock_guard lock(watch->mutex);
            watch->alive = false;
        }
        if (const auto there = owner.lock()) {
            const std::lock_guard lock((*there).*mutex);
            std::erase((*there).*list, watch);
        }
    };
    return Subscription(std::shared_ptr<void>(nullptr, end));
}

}  // namespace joinery::detail
