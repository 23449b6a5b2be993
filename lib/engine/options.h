/// @file
/// The limits of the fields of Options.
#pragma once

#include "joinery/peer.h"

namespace joinery::detail {

/// `over_limit`, with the field's name, for the first field that is not within its limits;
/// `malformed` for addresses that are none.
Result<void> check_options(const Options& options);

}  // namespace joinery::detail
