/// @file
/// What an Access means for one document.
#pragma once

#include "base/access.h"
#include "base/result.h"

#include <string_view>

namespace joinery::session {

bool is_everything(const Access& access);
/// Whether the other side may learn of the document @p id.
bool shows(const Access& access, std::string_view id) noexcept;
/// Whether changes of it are taken from the other side.
bool takes(const Access& access, std::string_view id) noexcept;

/// `over_limit` for a list that is too long, `malformed` for a pattern that is empty or not UTF-8.
Result<void> check_access(const Access& access);

/// Which way the changes of a document go. At least one way is open.
struct Flow {
    bool takes = true;  ///< Changes of the other side's are taken.
    bool gives = true;  ///< The other side takes ours.
};

}  // namespace joinery::session
