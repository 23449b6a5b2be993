/// @file
/// What turns one value into another, where nothing is known of how it came about.
#pragma once

#include "base/plain.h"
#include "crdt/patch.h"

#include <vector>

namespace joinery::detail {

/// The steps that turn @p before into @p after: member by member; of an array what lies between
/// equal beginnings and ends, element by element. Not the fewest.
std::vector<crdt::PatchStep> difference(const Plain& before, const Plain& after);

}  // namespace joinery::detail
