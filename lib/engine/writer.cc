#include "engine/writer.h"

namespace joinery::detail {

Writer::Writer(Core& core, Options options)
    : core_(core), options_(std::move(options)), thread_([this] { run(); }) {}

Writer::~Writer() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
}

void Writer::wake() {
    {
        const std::lock_guard lock(mutex_);
        if (pending_) return;
        pending_ = true;
    }
    wake_.notify_one();
}

Result<void> Writer::flush() {
    std::unique_lock lock(mutex_);
    const std::uint64_t ticket = ++asked_;
    wake_.notify_one();
    done_.wait(lock, [&] { return answered_ >= ticket; });
    if (error_) return *error_;
    return {};
}

/// Returns when there is something to commit, when it is time to look for others' commits, or at
/// the end.
void Writer::wait_for_work(std::unique_lock<std::mutex>& lock) {
    const auto urgent = [&] { return stopping_ || asked_ != answered_; };
    wake_.wait_for(lock, options_.poll_interval, [&] { return urgent() || pending_; });
    // Others may join the group until the interval is over, unless somebody waits for it.
    if (pending_) wake_.wait_for(lock, options_.flush_interval, urgent);
}

void Writer::run() {
    std::unique_lock lock(mutex_);
    while (true) {
        wait_for_work(lock);
        const bool last = stopping_;
        const bool work = pending_ || asked_ != answered_ || last;
        const std::uint64_t ticket = asked_;
        pending_ = false;
        lock.unlock();
        std::optional<Error> error;
        if (work ? core_.has_pending() || core_.others_wrote() : core_.others_wrote()) {
            const auto changed = core_.commit();
            if (changed) {
                options_.on_changed(*changed);
            } else {
                error = changed.error();
                options_.on_error(*error);
            }
        }
        lock.lock();
        error_ = error;
        answered_ = ticket;
        done_.notify_all();
        if (last) return;
        if (error) {
            pending_ = true;
            // A full disk does not empty by asking at once.
            wake_.wait_for(lock, std::chrono::milliseconds(200), [&] { return stopping_; });
        }
    }
}

}  // namespace joinery::detail
