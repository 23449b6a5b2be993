/// @file
/// The dashboard that the demo plays with unless it is given another one.
#pragma once

#include <string_view>

namespace joinery::tools {

/// The text of dashboard.json; NOTICE.md says whose it is.
std::string_view bundled_dashboard();

}  // namespace joinery::tools
