/// @file
/// The bound on an outbound queue, and when to tell the user that it has room again. One rule for
/// every transport, so that the simulator meets the same `busy` as a socket.
#pragma once

#include "base/assert.h"

#include <algorithm>
#include <cstddef>

namespace joinery::transport {

/// Default bound on what one Link queues for sending, in bytes.
inline constexpr std::size_t kQueueSizeMaxDefault = 4U << 20U;
/// What each message counts beyond its own bytes, so that empty messages are bounded as well.
inline constexpr std::size_t kMessageOverhead = 4;

/// Counts the bytes of an outbound queue against its limit.
class SendLimit {
  public:
    explicit SendLimit(std::size_t size_max) noexcept
        : size_max_(size_max), writable_at_(size_max / 2) {}

    /// Adds @p size bytes, or says no: the queue is not empty and would pass its limit. A message
    /// longer than the limit is therefore admitted alone.
    [[nodiscard]] bool admit(std::size_t size) noexcept {
        if (size_ != 0 && size_ + size > size_max_) {
            // Not before the refused message fits: else its sender would be told, refused again
            // while the queue is already below half, and never told again.
            writable_at_ = std::min(writable_at_, size_max_ - std::min(size, size_max_));
            is_awaited_ = true;
            return false;
        }
        size_ += size;
        return true;
    }
    void release(std::size_t size) noexcept {
        JOINERY_ASSERT(size <= size_);
        size_ -= size;
    }
    /// Whether the user is to be told now; true once for each run of refusals.
    [[nodiscard]] bool take_writable() noexcept {
        if (!is_awaited_ || size_ > writable_at_) return false;
        is_awaited_ = false;
        writable_at_ = size_max_ / 2;
        return true;
    }
    std::size_t size() const noexcept { return size_; }

  private:
    std::size_t size_max_;
    std::size_t writable_at_;
    std::size_t size_ = 0;
    bool is_awaited_ = false;
};

}  // namespace joinery::transport
