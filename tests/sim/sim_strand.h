/// @file
/// The engine's Strand on a virtual clock: a task runs when the simulator says so.
#pragma once

#include "engine/strand.h"

#include <deque>
#include <map>
#include <memory>
#include <optional>

namespace joinery::sim {

using Now = std::chrono::nanoseconds;

class SimStrand final : public detail::Strand {
  public:
    /// @param now  The virtual time. Must outlive the strand.
    explicit SimStrand(const Now& now) : now_(now) {}

    void post(Task task) override { tasks_.push_back(std::move(task)); }
    [[nodiscard]] Timer start_timer(Now delay, Task task) override {
        auto timer = std::make_shared<Task>(std::move(task));
        timers_.emplace(now_ + delay, timer);
        return timer;
    }

    bool is_due() {
        forget_cancelled();
        return !tasks_.empty() || (!timers_.empty() && timers_.begin()->first <= now_);
    }
    /// When the next timer is due.
    std::optional<Now> next_timer() {
        forget_cancelled();
        if (timers_.empty()) return std::nullopt;
        return timers_.begin()->first;
    }
    /// Only when is_due().
    void run_one() {
        if (!timers_.empty() && timers_.begin()->first <= now_) {
            const auto task = timers_.begin()->second.lock();
            timers_.erase(timers_.begin());
            (*task)();
            return;
        }
        const Task task = std::move(tasks_.front());
        tasks_.pop_front();
        task();
    }
    /// The process is gone.
    void clear() {
        tasks_.clear();
        timers_.clear();
    }

  private:
    void forget_cancelled() {
        while (!timers_.empty() && timers_.begin()->second.expired())
            timers_.erase(timers_.begin());
    }

    const Now& now_;
    std::deque<Task> tasks_;
    std::multimap<Now, std::weak_ptr<Task>> timers_;
};

}  // namespace joinery::sim
