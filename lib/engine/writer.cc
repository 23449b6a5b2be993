#include "engine/writer.h"

namespace joinery::detail {
namespace {

/// A full disk does not empty by asking at once.
constexpr std::chrono::milliseconds kRetryDelay{200};

}  // namespace

Writer::Writer(Core& core, Strand& strand, Options options)
    : core_(core), strand_(strand), options_(std::move(options)) {
    strand_.post([this] { poll(); });
}

void Writer::wake() {
    if (pending_.exchange(true)) return;
    strand_.post([this] {
        // Others may join the group until the interval is over.
        if (commit_timer_) return;
        commit_timer_ = strand_.start_timer(options_.flush_interval, [this] { commit(); });
    });
}

void Writer::flush(OnFlushed done) {
    {
        const std::lock_guard lock(mutex_);
        waiting_.push_back(std::move(done));
        if (waiting_.size() > 1) return;
    }
    strand_.post([this] { commit(); });
}

void Writer::commit() {
    commit_timer_.reset();
    std::vector<OnFlushed> waiting;
    {
        const std::lock_guard lock(mutex_);
        waiting.swap(waiting_);
    }
    pending_ = false;
    Result<void> result;
    if (core_.has_pending() || core_.others_wrote()) {
        const MonotonicTime begun = options_.clock->monotonic_now();
        const auto changed = core_.commit();
        if (changed) {
            options_.metrics->commits.note(options_.clock->monotonic_now() - begun);
            options_.on_changed(*changed);
        } else {
            result = changed.error();
            options_.metrics->failures.note(changed.error().code);
            options_.on_error(changed.error());
            pending_ = true;
            commit_timer_ = strand_.start_timer(kRetryDelay, [this] { commit(); });
        }
    }
    for (const OnFlushed& done : waiting)
        done(result);
}

/// Looks for what other processes committed.
void Writer::poll() {
    poll_timer_ = strand_.start_timer(options_.poll_interval, [this] { poll(); });
    if (core_.others_wrote()) commit();
}

}  // namespace joinery::detail
