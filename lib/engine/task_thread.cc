#include "engine/task_thread.h"

namespace joinery::detail {

TaskThread::TaskThread() : thread_([this] { run(); }) {}

TaskThread::~TaskThread() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
}

void TaskThread::post(Task task) {
    {
        const std::lock_guard lock(mutex_);
        tasks_.push_back(std::move(task));
    }
    wake_.notify_one();
}

Strand::Timer TaskThread::start_timer(std::chrono::nanoseconds delay, Task task) {
    auto timer = std::make_shared<Task>(std::move(task));
    timers_.emplace(std::chrono::steady_clock::now() + delay, timer);
    return timer;
}

Strand::Task TaskThread::next_task() {
    if (!timers_.empty() && timers_.begin()->first <= std::chrono::steady_clock::now()) {
        const std::shared_ptr<Task> due = timers_.begin()->second.lock();
        timers_.erase(timers_.begin());
        return due ? *due : Task();
    }
    if (tasks_.empty()) return {};
    Task task = std::move(tasks_.front());
    tasks_.pop_front();
    return task;
}

void TaskThread::run() {
    std::unique_lock lock(mutex_);
    const auto has_work = [this] { return stopping_ || !tasks_.empty(); };
    while (true) {
        if (timers_.empty()) {
            wake_.wait(lock, has_work);
        } else {
            wake_.wait_until(lock, timers_.begin()->first, has_work);
        }
        if (stopping_ && tasks_.empty()) return;
        const Task task = next_task();
        if (!task) continue;
        lock.unlock();
        task();
        lock.lock();
    }
}

}  // namespace joinery::detail
