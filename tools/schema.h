/// @file
/// A JSON Schema as the judge of other people's changes.
#pragma once

#include "joinery/peer.h"

#include <optional>
#include <string>

namespace joinery::tools {

/// Reads the JSON Schema (draft 7) in file @p name, by which a document has to be with every
/// change: the reason is the first thing that is not. None where it cannot be had, which has been
/// printed then.
///
/// Keywords of which a stranger's document decides how long they take are not taken: pattern,
/// patternProperties, format, uniqueItems; nor is a $ref out of the file.
/// @par Cost
/// Each change judged costs a walk over its document.
std::optional<Judge> read_schema(const std::string& name);

/// The same for @p options; an empty name: nothing to do. False as read_schema() has none.
bool judge_by(const std::string& name, Options& options);

}  // namespace joinery::tools
