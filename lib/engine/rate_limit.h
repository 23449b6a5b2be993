/// @file
/// How much may come in a second, in all and from one host.
#pragma once

#include "base/env.h"

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace joinery::detail {

/// Never admits more than its limits within any second: it remembers what it admitted in the last
/// one, so what came evenly is not refused for what came long ago.
///
/// @par Memory
/// A time and a host for each that was admitted within the last second.
class RateLimit {
  public:
    struct Options {
        std::size_t in_all = 0;   ///< Within a second.
        std::size_t of_host = 0;  ///< Of these.
    };

    explicit RateLimit(const Options& options) : options_(options) {}

    /// Whether one more may come from @p host at @p now, which never goes back; it is counted then.
    /// A host without a name counts in all alone.
    bool admits(MonotonicTime now, std::string_view host);

  private:
    void forget_before(MonotonicTime then);

    struct Admitted {
        MonotonicTime at;
        std::string host;
    };
    Options options_;
    std::deque<Admitted> admitted_;  // Oldest first.
    std::map<std::string, std::size_t, std::less<>> of_host_;
};

}  // namespace joinery::detail
