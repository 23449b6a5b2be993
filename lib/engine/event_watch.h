/// @file
/// What waits for somebody who watches a document until his callback runs (docs/semantics.md E).
#pragma once

#include "engine/watch.h"
#include "joinery/document.h"

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace joinery::detail {

/// Makes one event of several that follow one another.
///
/// What it gives turns the same view into the same view as all that was appended, and is never
/// longer; a scalar that was put at one path several times is there once, if no element of a list
/// came or went meanwhile.
class EventMerger {
  public:
    void append(const Patch& patch);
    std::vector<Patch> take();

  private:
    std::vector<Patch> patches_;
    /// Where a scalar was put that another may take the place of: nothing that came later moves its
    /// path or looks into it.
    std::unordered_map<std::string, std::size_t> scalars_;
};

/// @par Memory
/// At most kPatchesMax patches wait: beyond, one patch puts the whole in the place of all.
/// @par Thread safety
/// All calls are safe from any thread.
class EventWatch final : public Watch<Event> {
  public:
    static constexpr std::size_t kPatchesMax = 16384;
    /// Events after which what waits is merged already.
    static constexpr std::size_t kEventsMax = 256;

    EventWatch(std::string path, std::function<void(const Event&)> callback);

    const std::string& path() const noexcept { return path_; }
    /// Leaves @p event for the next deliver(), in order of the calls.
    ///
    /// @param whole  What is at the path now, with the event; none: nothing. Called where too much
    ///               waits.
    /// @return Whether a deliver() has to be seen to: none is on its way.
    bool note(const std::shared_ptr<const Event>& event,
              const std::function<std::optional<Plain>()>& whole);
    /// Tells what waits. May be called while another thread is at it.
    void deliver();

  private:
    using Events = std::vector<std::shared_ptr<const Event>>;

    bool concerns(const Patch& patch) const;
    void make_less(const std::function<std::optional<Plain>()>& whole);
    /// @p events with the patches that concern this watch: neighbours of one origin as one.
    Events merge(const Events& events) const;

    const std::string path_;
    std::mutex waiting_mutex_;  ///< Never held while the callback runs.
    Events waiting_;
    std::size_t patch_count_ = 0;  ///< In waiting_.
    bool is_posted_ = false;
};

}  // namespace joinery::detail
