#include "engine/metrics.h"

#include <string>

namespace joinery::detail {

void Durations::note(MonotonicTime duration) noexcept {
    const std::int64_t ns = duration.count() < 0 ? 0 : duration.count();
    std::size_t at = 0;
    while (at < kBucketCount && ns > kFirstBoundNs << at)
        ++at;
    if (at < kBucketCount) counts_[at].fetch_add(1, std::memory_order_relaxed);
    sum_ns_.fetch_add(static_cast<std::uint64_t>(ns), std::memory_order_relaxed);
    count_.fetch_add(1, std::memory_order_relaxed);
}

Metric Durations::metric(std::string_view name, std::string_view help) const {
    Metric out{name, help, Metric::Kind::histogram};
    std::uint64_t so_far = 0;
    for (std::size_t at = 0; at < kBucketCount; ++at) {
        so_far += counts_[at].load(std::memory_order_relaxed);
        out.buckets.push_back({static_cast<double>(kFirstBoundNs << at) * 1e-9, so_far});
    }
    out.sum = static_cast<double>(sum_ns_.load(std::memory_order_relaxed)) * 1e-9;
    out.count = count_.load(std::memory_order_relaxed);
    return out;
}

void ErrorCounts::note(Errc code) noexcept {
    counts_[static_cast<std::size_t>(code)].fetch_add(1, std::memory_order_relaxed);
}

void ErrorCounts::add_to(std::vector<Metric>& out,
                         std::string_view name,
                         std::string_view help) const {
    for (std::size_t code = 0; code < counts_.size(); ++code) {
        const std::uint64_t count = counts_[code].load(std::memory_order_relaxed);
        if (count == 0) continue;
        Metric metric = counter_metric(name, help, count);
        metric.label_name = "error";
        metric.label = errc_name(static_cast<Errc>(code));
        out.push_back(std::move(metric));
    }
}

void WriteMetrics::add_to(std::vector<Metric>& out) const {
    out.push_back(
        commits.metric("joinery_commit_seconds", "How long durable commits of changes took."));
    failures.add_to(
        out, "joinery_commit_failures_total", "Commits that failed, and were tried again.");
}

Metric counter_metric(std::string_view name, std::string_view help, std::uint64_t value) {
    Metric out{name, help, Metric::Kind::counter};
    out.value = static_cast<double>(value);
    return out;
}

Metric gauge_metric(std::string_view name, std::string_view help, double value) {
    Metric out{name, help, Metric::Kind::gauge};
    out.value = value;
    return out;
}

}  // namespace joinery::detail
