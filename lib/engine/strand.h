/// @file
/// Where the engine's parts run: the seam between what they do and the threads that a Peer, or the
/// virtual clock that the simulator, gives them.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

namespace joinery::detail {

/// Runs tasks one at a time: those posted in their order, timers when they are due.
class Strand {
  public:
    using Task = std::function<void()>;
    /// A task to come; it does not run once the last copy of this is gone.
    using Timer = std::shared_ptr<void>;

    Strand() = default;
    Strand(const Strand&) = delete;
    Strand& operator=(const Strand&) = delete;
    virtual ~Strand() = default;

    /// Runs @p task soon, never inside this call. From any thread.
    virtual void post(Task task) = 0;
    /// Runs @p task after @p delay. Only from a task of this strand, where the Timer is also let
    /// go of; or when the strand has ended.
    [[nodiscard]] virtual Timer start_timer(std::chrono::nanoseconds delay, Task task) = 0;
};

}  // namespace joinery::detail
