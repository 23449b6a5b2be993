/// @file
/// Merges two people's edits of a dashboard as Joinery does, and compares the outcome with what the
/// people made of them, path by path.
#pragma once

#include "tests/data/shared_sets.h"

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace joinery::testing {

/// Why the merged value of a path is not the people's.
enum class Reason : std::uint8_t {
    other_side,    ///< Both sides wrote it, and the people took the side that lost here.
    new_value,     ///< The people wrote what neither side had.
    side_dropped,  ///< One side alone wrote it, and the people went back to the base.
    erase_edit,    ///< One side erased what the other edited.
    both_added,  ///< Both sides added an element of the same key, or a member, with other content.
    no_key,      ///< In an array whose elements have no key that all five documents share.
    order,       ///< The same elements, in another order.
    lost,        ///< What one side alone wrote is not there: a fault of the engine.
};
inline constexpr std::size_t kReasonCount = 8;

struct Difference {
    Reason reason = Reason::lost;
    std::string path;
    /// As JSON, cut short; empty where nothing is there.
    std::string base, ours, theirs, people, joinery;
};

struct MergeOutcome {
    bool is_converged = false;    ///< Whether all peers had one digest.
    bool is_compared = false;     ///< Whether the people's merge is there and is JSON.
    bool is_equal = false;        ///< Whether the whole documents are equal.
    std::size_t path_count = 0;   ///< Paths at which the two sides or the two merges differ.
    std::size_t equal_count = 0;  ///< Of those, at which the two merges are equal.
    std::vector<Difference> differences;
};

/// Imports both sides concurrently on the common base, on two peers; they then exchange, each in
/// its order, and a third gets all at once.
MergeOutcome run_merge(const DashboardMerge& merge);

/// The differences alone: what is at each path of the five documents.
MergeOutcome compare_merge(const DashboardMerge& merge, const Plain& joinery);

}  // namespace joinery::testing
