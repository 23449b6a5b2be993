/// @file
/// The strand that an io_context is.
#pragma once

#include "engine/strand.h"

#include <asio/io_context.hpp>

namespace joinery::detail {

/// Runs tasks on the one thread that runs @p io, which must outlive the strand. A Timer that is
/// held keeps io_context::run() from returning.
class AsioStrand final : public Strand {
  public:
    explicit AsioStrand(asio::io_context& io) noexcept : io_(io) {}

    void post(Task task) override;
    [[nodiscard]] Timer start_timer(std::chrono::nanoseconds delay, Task task) override;

  private:
    asio::io_context& io_;
};

}  // namespace joinery::detail
