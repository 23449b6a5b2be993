/// @file
/// A thread for the app's callbacks that runs what waits once a frame.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace joinery::detail {

class FrameThread {
  public:
    using Task = std::function<void()>;

    /// @param frame  From the start of one run to that of the next, at least; 0: none waits.
    explicit FrameThread(std::chrono::milliseconds frame);
    FrameThread(const FrameThread&) = delete;
    FrameThread& operator=(const FrameThread&) = delete;
    /// Runs what was posted, then ends the thread. Not from the thread itself.
    ~FrameThread();

    /// Runs @p task with the next frame, after those that were posted before. From any thread.
    void post(Task task);

  private:
    void run();

    const std::chrono::milliseconds frame_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<Task> tasks_;
    bool stopping_ = false;
    std::thread thread_;  // Last: it uses all of the above.
};

}  // namespace joinery::detail
