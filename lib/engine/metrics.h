/// @file
/// How a peer's metrics are counted and named. Names are fixed here and listed in docs/metrics.md.
#pragma once

#include "base/env.h"
#include "base/result.h"
#include "joinery/metrics.h"

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>
#include <vector>

namespace joinery::detail {

/// How long something took, counted in buckets that double.
///
/// @par Thread safety
/// Any thread; what is read while others note may be of different moments.
class Durations {
  public:
    void note(MonotonicTime duration) noexcept;
    /// As a histogram named @p name.
    Metric metric(std::string_view name, std::string_view help) const;

  private:
    /// From 62.5 us to 8.192 s.
    static constexpr std::size_t kBucketCount = 18;
    static constexpr std::int64_t kFirstBoundNs = 62'500;

    std::array<std::atomic<std::uint64_t>, kBucketCount> counts_{};
    std::atomic<std::uint64_t> count_{0};
    std::atomic<std::uint64_t> sum_ns_{0};
};

/// How often something failed, by the kind of Error.
///
/// @par Thread safety
/// As Durations.
class ErrorCounts {
  public:
    void note(Errc code) noexcept;
    /// Adds a counter named @p name for each kind that occurred.
    void add_to(std::vector<Metric>& out, std::string_view name, std::string_view help) const;

  private:
    std::array<std::atomic<std::uint64_t>, 1 + static_cast<std::size_t>(Errc::untrusted)> counts_{};
};

/// What the writer counts.
struct WriteMetrics {
    Durations commits;
    ErrorCounts failures;
    void add_to(std::vector<Metric>& out) const;
};

Metric counter_metric(std::string_view name, std::string_view help, std::uint64_t value);
Metric gauge_metric(std::string_view name, std::string_view help, double value);

}  // namespace joinery::detail
