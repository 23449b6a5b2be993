#include "engine/asio_strand.h"

#include <asio/post.hpp>
#include <asio/steady_timer.hpp>

namespace joinery::detail {
namespace {

struct AsioTimer {
    asio::steady_timer timer;
    Strand::Task task;
};

}  // namespace

void AsioStrand::post(Task task) { asio::post(io_, std::move(task)); }

Strand::Timer AsioStrand::start_timer(std::chrono::nanoseconds delay, Task task) {
    const auto timer =
        std::make_shared<AsioTimer>(AsioTimer{asio::steady_timer(io_, delay), std::move(task)});
    // Cancelling is not enough: the handler may stand in the queue already.
    timer->timer.async_wait([weak = std::weak_ptr(timer)](const std::error_code& error) {
        const auto due = weak.lock();
        if (due && !error) due->task();
    });
    return timer;
}

}  // namespace joinery::detail
