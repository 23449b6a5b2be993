/// @file
/// Group commit: makes changes durable, many in one transaction, on a strand of its own.
#pragma once

#include "engine/core.h"
#include "engine/metrics.h"
#include "engine/strand.h"

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <vector>

namespace joinery::detail {

class Writer {
  public:
    struct Options {
        Clock* clock = nullptr;           ///< Must outlive the writer, as the metrics.
        WriteMetrics* metrics = nullptr;  ///< Where commits are counted.
        std::chrono::milliseconds flush_interval;
        std::chrono::milliseconds poll_interval;
        /// Documents that a commit changed. On the strand.
        std::function<void(const Core::Changed&)> on_changed;
        /// A commit failed; it is tried again. On the strand.
        std::function<void(const Error&)> on_error;
    };
    using OnFlushed = std::function<void(Result<void>)>;

    /// @p core and @p strand Must outlive the writer's last task.
    Writer(Core& core, Strand& strand, Options options);
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;
    /// When the strand has ended. What is pending then is lost: flush() before.
    ~Writer() = default;

    /// Something is pending: commit within the flush interval. Any thread.
    void wake();
    /// Calls @p done, on the strand, when all that was pending at the call is durable, or with the
    /// Error of the commit that failed. Any thread.
    void flush(OnFlushed done);

  private:
    void commit();
    void poll();

    Core& core_;
    Strand& strand_;
    Options options_;
    std::atomic<bool> pending_{false};  // Whether a commit is on its way.
    std::mutex mutex_;
    std::vector<OnFlushed> waiting_;  // Guarded by mutex_.
    Strand::Timer commit_timer_, poll_timer_;
};

}  // namespace joinery::detail
