/// @file
/// A strand that is a thread of its own.
#pragma once

#include "engine/strand.h"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

namespace joinery::detail {

class TaskThread final : public Strand {
  public:
    TaskThread();
    /// Runs what was posted, but no timer, then ends the thread. Not from the thread itself.
    ~TaskThread() override;

    void post(Task task) override;
    [[nodiscard]] Timer start_timer(std::chrono::nanoseconds delay, Task task) override;

  private:
    using Moment = std::chrono::steady_clock::time_point;

    void run();
    /// What is to run now; may be empty.
    Task next_task();

    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<Task> tasks_;
    bool stopping_ = false;
    std::multimap<Moment, std::weak_ptr<Task>> timers_;  // Of the thread alone.
    std::thread thread_;                                 // Last: it uses all of the above.
};

}  // namespace joinery::detail
