#include "engine/frame_thread.h"

#include <utility>

namespace joinery::detail {

FrameThread::FrameThread(std::chrono::milliseconds frame)
    : frame_(frame), thread_([this] { run(); }) {}

FrameThread::~FrameThread() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
}

void FrameThread::post(Task task) {
    {
        const std::lock_guard lock(mutex_);
        tasks_.push_back(std::move(task));
    }
    wake_.notify_one();
}

void FrameThread::run() {
    std::unique_lock lock(mutex_);
    while (true) {
        wake_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
        if (tasks_.empty()) return;
        const auto next_frame = std::chrono::steady_clock::now() + frame_;
        std::deque<Task> due = std::exchange(tasks_, {});
        lock.unlock();
        for (Task& task : due)
            std::exchange(task, {})();
        lock.lock();
        // What comes meanwhile goes with the next frame, also what these callbacks led to.
        wake_.wait_until(lock, next_frame, [this] { return stopping_; });
    }
}

}  // namespace joinery::detail
