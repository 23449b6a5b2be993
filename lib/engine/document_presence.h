/// @file
/// The presence in one open document: the board behind a lock of its own, and who watches it.
#pragma once

#include "base/env.h"
#include "engine/watch.h"
#include "joinery/document.h"
#include "session/presence.h"

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace joinery::detail {

struct CoreContext;

/// @par Thread safety
/// All calls are safe from any thread. The lock is never held together with the document's.
class DocumentPresence final : public session::PresencePort,
                               public std::enable_shared_from_this<DocumentPresence> {
  public:
    /// @param context  Must outlive it.
    DocumentPresence(CoreContext& context, std::string id);

    // --- For apps ------------------------------------------------------------------------------
    Result<void> set(std::string_view key, Value value, std::chrono::milliseconds time_to_live);
    void clear(std::string_view key);
    std::vector<PresenceEntry> list() const;
    Subscription observe(std::function<void(const PresenceEvent&)> callback);

    // --- session::PresencePort -----------------------------------------------------------------
    std::uint32_t join(const PeerRun& run, std::string_view name) override;
    void leave(std::uint32_t link) override;
    session::PresenceReceived receive(std::span<const session::PresenceItem> items,
                                      std::uint32_t link) override;
    bool has_news(std::uint64_t version) const override;
    std::vector<session::PresenceItem> collect(session::PresenceCursor& cursor,
                                               std::size_t size_max) override;
    std::optional<MonotonicTime> tend() override;

  private:
    struct PresenceWatch : Watch<PresenceEvent> {
        session::PresenceBoard::Told told;  ///< Guarded by the lock of the board.
        bool is_posted = false;             ///< That too.
    };

    MonotonicTime now() const;
    /// Runs @p verb on the board, then tells whom it concerns.
    template <class Verb>
    auto change(const Verb& verb);
    void tell_watches();
    void deliver(PresenceWatch& watch);

    CoreContext& context_;
    const std::string id_;
    mutable std::mutex mutex_;
    session::PresenceBoard board_;
    std::vector<std::shared_ptr<PresenceWatch>> watches_;
    /// Whether the links were told of news and have not come for them yet: so a drag tells them as
    /// often as they come, not as often as it moves.
    std::atomic<bool> is_noted_{false};
};

}  // namespace joinery::detail
