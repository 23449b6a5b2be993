/// @file
/// How much of one plain value is in another: what tells an element that was edited from another
/// element.
#pragma once

#include "base/plain.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace joinery::detail {

/// Equal scalars at equal paths, of all scalars and empty containers that either has; elements of
/// arrays by their index.
struct Overlap {
    std::uint64_t same_count = 0;
    std::uint64_t count = 0;
    /// In thousandths, for comparing.
    std::uint64_t share() const noexcept { return count == 0 ? 1000 : same_count * 1000 / count; }
};
Overlap overlap(const Plain& a, const Plain& b);

/// Pairs of an index in one array and an index in another.
using IndexPairs = std::vector<std::pair<std::size_t, std::size_t>>;

/// Pairs of containers of one sort from @p current and @p target, each index once and in both
/// orders, that share at least @p share_min thousandths each and the most in sum. Past 4,096 pairs
/// to compare: none.
/// @par Cost
/// O(n m) comparisons of two elements.
IndexPairs similar_pairs_in_order(std::span<const Plain> current,
                                  std::span<const Plain> target,
                                  std::uint64_t share_min);

}  // namespace joinery::detail
