/// @file
/// Which element of a list as it is becomes which element of the list as it should be.
#pragma once

#include "base/plain.h"

#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace joinery::detail {

/// For each element of the target, the index of the current element that becomes it, if any; each
/// current element is named once at most.
struct ListMatch {
    std::vector<std::optional<std::size_t>> current_of;
};

/// The first of @p fields that every element of @p target, objects all, has as a scalar, each with
/// a value of its own; empty if there is none, or no element.
std::string_view key_field(const PlainArray& target, std::span<const std::string> fields);

/// Elements with equal values at @p field match.
ListMatch match_by_key(const PlainArray& current, const PlainArray& target, std::string_view field);

/// Equal elements match along a longest common subsequence; between those match in order the
/// objects and arrays that share the most, at least half; between those again elements of one sort
/// (scalar, object, array), where as many are on both sides. So an element that was edited stays
/// the element that it was, and one that is new is new.
/// @par Cost
/// O(n m) after the common ends are cut off; past four million pairs equal elements match greedily.
ListMatch match_by_content(const PlainArray& current, const PlainArray& target);

/// The indices of a longest subsequence of @p values, those present, that increases.
std::set<std::size_t> longest_increasing(std::span<const std::optional<std::size_t>> values);

/// What names an element without a key field: a scalar itself, else a hash of the content.
Value content_key(const Plain& value);

}  // namespace joinery::detail
