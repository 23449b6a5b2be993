#include "engine/document_presence.h"

#include "engine/document_core.h"

#include <utility>

namespace joinery::detail {

DocumentPresence::DocumentPresence(CoreContext& context, std::string id)
    : context_(context), id_(std::move(id)), board_({context.key.public_key(), context.run}) {}

MonotonicTime DocumentPresence::now() const { return context_.clock.monotonic_now(); }

template <class Verb>
auto DocumentPresence::change(const Verb& verb) {
    std::unique_lock lock(mutex_);
    const std::uint64_t shown_before = board_.shown_version();
    const std::uint64_t version_before = board_.version();
    auto result = verb();
    const bool is_shown = board_.shown_version() != shown_before;
    const bool is_news = board_.version() != version_before;
    lock.unlock();
    if (is_news && context_.on_presence && !is_noted_.exchange(true)) context_.on_presence(id_);
    if (is_shown) tell_watches();
    return result;
}

// --- For apps ------------------------------------------------------------------------------------

Result<void> DocumentPresence::set(std::string_view key,
                                   Value value,
                                   std::chrono::milliseconds time_to_live) {
    JOINERY_TRY_VOID(
        change([&] { return board_.set(key, std::move(value), time_to_live, now()); }));
    return {};
}

void DocumentPresence::clear(std::string_view key) {
    change([&] { return board_.clear(key, now()); });
}

std::vector<PresenceEntry> DocumentPresence::list() const {
    const std::lock_guard lock(mutex_);
    return board_.list();
}

Subscription DocumentPresence::observe(std::function<void(const PresenceEvent&)> callback) {
    auto watch = std::make_shared<PresenceWatch>();
    watch->callback = std::move(callback);
    {
        const std::lock_guard lock(mutex_);
        board_.tell(watch->told);
        watches_.push_back(watch);
    }
    return subscription_of(
        weak_from_this(), std::move(watch), &DocumentPresence::watches_, &DocumentPresence::mutex_);
}

/// What is told is what is there when the callback runs: however much changed before, at most one
/// callback of a watch waits.
void DocumentPresence::tell_watches() {
    std::vector<std::shared_ptr<PresenceWatch>> to_post;
    {
        const std::lock_guard lock(mutex_);
        for (const auto& watch : watches_) {
            if (!std::exchange(watch->is_posted, true)) to_post.push_back(watch);
        }
    }
    for (const auto& watch : to_post) {
        context_.run_callback([weak = weak_from_this(), watch] {
            if (const auto presence = weak.lock()) presence->deliver(*watch);
        });
    }
}

void DocumentPresence::deliver(PresenceWatch& watch) {
    // Before the board's: of two that come at once, the one that looks first also tells first.
    const std::lock_guard watch_lock(watch.mutex);
    PresenceEvent event;
    {
        const std::lock_guard lock(mutex_);
        watch.is_posted = false;
        event = board_.tell(watch.told);
    }
    if (!watch.alive || (event.set.empty() && event.left.empty())) return;
    watch.callback(event);
}

// --- session::PresencePort -----------------------------------------------------------------------

std::uint32_t DocumentPresence::join(const PeerRun& run, std::string_view name) {
    const std::lock_guard lock(mutex_);
    return board_.join(run, name);
}

void DocumentPresence::leave(std::uint32_t link) {
    change([&] {
        board_.leave(link, now());
        return true;
    });
}

session::PresenceReceived DocumentPresence::receive(std::span<const session::PresenceItem> items,
                                                    std::uint32_t link) {
    return change([&] { return board_.receive(items, link, now()); });
}

bool DocumentPresence::has_news(std::uint64_t version) const {
    const std::lock_guard lock(mutex_);
    return board_.has_news(version);
}

std::vector<session::PresenceItem> DocumentPresence::collect(session::PresenceCursor& cursor,
                                                             std::size_t size_max) {
    const std::lock_guard lock(mutex_);
    return board_.collect(cursor, size_max, now());
}

std::optional<MonotonicTime> DocumentPresence::tend() {
    is_noted_ = false;
    return change([&] {
        board_.expire(now());
        return board_.next_due();
    });
}

}  // namespace joinery::detail
