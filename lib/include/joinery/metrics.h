/// @file
/// What a peer counts of itself, by name: for monitoring, not for an app's own decisions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace joinery {

/// One number, or one distribution, with its name. docs/metrics.md lists all.
struct Metric {
    enum class Kind : std::uint8_t {
        counter,    ///< Only ever grows while the peer is open.
        gauge,      ///< As it is now.
        histogram,  ///< How many of what was measured were at most so long.
    };
    /// How many of what was measured were at most `upper_bound`; smaller buckets are counted in.
    struct Bucket {
        double upper_bound = 0;  ///< Seconds.
        std::uint64_t count = 0;
    };

    std::string_view name;  ///< As "joinery_commits_total"; static.
    std::string_view help;  ///< One sentence; static.
    Kind kind = Kind::counter;
    /// What tells this one from others of its name, as ("error", "malformed"); empty where there is
    /// one of the name.
    std::string_view label_name{};
    std::string label{};
    double value = 0;  ///< Of a counter and a gauge.
    std::vector<Bucket>
        buckets{};            ///< Of a histogram, ascending; what is longer is in `count` alone.
    double sum = 0;           ///< Of all that a histogram measured, in seconds.
    std::uint64_t count = 0;  ///< How often it did.
};

/// @p metrics as Prometheus reads them (text format 0.0.4).
std::string metrics_text(const std::vector<Metric>& metrics);

}  // namespace joinery
