/// @file
/// What one side of a session lets the other read and write.
#pragma once

#include "base/result.h"

#include <string>
#include <string_view>
#include <vector>

namespace joinery::session {

/// Patterns over document ids, of at most kPatternSizeMax bytes each list; "*" is everything, an
/// empty list nothing.
struct Access {
    /// Documents whose existence the other side may learn of, and whose changes it is sent.
    std::vector<std::string> reads{"*"};
    /// Those of them of which changes are taken from it, whoever made them.
    std::vector<std::string> writes{"*"};

    bool is_all() const { return *this == Access(); }
    bool shows(std::string_view id) const noexcept;
    bool takes(std::string_view id) const noexcept;
    friend bool operator==(const Access&, const Access&) = default;
};

/// `over_limit` for a list that is too long, `malformed` for a pattern that is empty or not UTF-8.
Result<void> check_access(const Access& access);

/// Which way the changes of a document go. At least one way is open.
struct Flow {
    bool takes = true;  ///< Changes of the other side's are taken.
    bool gives = true;  ///< The other side takes ours.
};

}  // namespace joinery::session
