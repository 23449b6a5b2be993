/// @file
/// Group commit: the thread that makes changes durable, many in one transaction.
#pragma once

#include "engine/core.h"

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

namespace joinery::detail {

class Writer {
  public:
    struct Options {
        std::chrono::milliseconds flush_interval;
        std::chrono::milliseconds poll_interval;
        /// Documents that a commit changed. On the writer's thread.
        std::function<void(const Core::Changed&)> on_changed;
        /// A commit failed; it is tried again. On the writer's thread.
        std::function<void(const Error&)> on_error;
    };

    /// @p core Must outlive the writer.
    Writer(Core& core, Options options);
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;
    /// Tries once more to store what is pending, then ends the thread.
    ~Writer();

    /// Something is pending: commit within the flush interval. Any thread.
    void wake();
    /// Waits until all that was pending at the call is durable; the Error of the commit that
    /// failed.
    Result<void> flush();

  private:
    void run();
    void wait_for_work(std::unique_lock<std::mutex>& lock);

    Core& core_;
    Options options_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::condition_variable done_;
    bool pending_ = false;
    bool stopping_ = false;
    std::uint64_t asked_ = 0;     // Flushes asked for.
    std::uint64_t answered_ = 0;  // Flushes that a commit since then has answered.
    std::optional<Error> error_;  // Of the last commit.
    std::thread thread_;          // Last: it uses all of the above.
};

}  // namespace joinery::detail
