/// @file
/// The workloads of the peers' harness, metric for metric, and what only this engine has: a store.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace joinery::bench {

/// One line of the table; the fields are those of the harness's protocol.
struct Metric {
    std::string name;
    std::string unit;  ///< ops/s, ms, us, bytes, MB, messages or %.
    double value = 0;
    std::size_t count = 0;  ///< Operations that `value` is of.
};

struct Size {
    std::size_t divisor = 1;  ///< 20 with --quick.
    std::size_t of(std::size_t full) const { return (full + divisor - 1) / divisor; }
};

/// W1 to W16, "store" and "live"; throws std::runtime_error where a result is wrong. Empty for a
/// workload that has no data type here yet (W8).
std::vector<Metric> run_workload(std::string_view name, const Size& size);

/// The parts, by name.
std::vector<Metric> run_maps(std::string_view name, const Size& size);    // W1 to W6.
std::vector<Metric> run_others(std::string_view name, const Size& size);  // W7, W9.
std::vector<Metric> run_stores(std::string_view name, const Size& size);  // W10, store.
std::vector<Metric> run_live(const Size& size);
std::vector<Metric> run_links(std::string_view name, const Size& size);  // W11, W12.
std::vector<Metric> run_crowd(std::string_view name, const Size& size);  // W14, W15.
std::vector<Metric> run_w16(const Size& size);

}  // namespace joinery::bench
