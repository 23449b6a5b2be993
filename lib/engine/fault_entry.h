/// @file
/// Entries of the log for what went wrong.
#pragma once

#include "joinery/peer.h"

#include <string>
#include <string_view>

namespace joinery::detail {

/// "@p what: " and what @p error says.
inline LogEntry fault_entry(LogLevel level,
                            std::string_view event,
                            const std::string& what,
                            const Error& error) {
    LogEntry entry{level, event, what + ": " + std::string(error.what)};
    entry.error = error.code;
    return entry;
}

}  // namespace joinery::detail
