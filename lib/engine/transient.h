/// @file
/// Writes that the next one to the same path may take the place of (docs/semantics.md E4).
#pragma once

#include "base/env.h"
#include "base/plain.h"

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace joinery::detail {

/// @par Memory
/// At most kPathsMax paths, each with one value: further ones do not wait.
/// @par Thread safety
/// None.
class TransientWrites {
  public:
    static constexpr std::size_t kPathsMax = 4096;
    using Writes = std::vector<std::pair<std::string, Plain>>;

    /// Takes a write, for the next take; false if it is to be made at once: no window of the path
    /// is open, and one opens.
    bool put_off(std::string_view path,
                 const Plain& value,
                 MonotonicTime now,
                 std::chrono::milliseconds window);
    /// Closes the window of @p path: its write could not be made.
    void forget(std::string_view path);
    /// All that waits, by path. Windows stay open.
    Writes take_all();
    /// What waits in windows that are over; another begins for each.
    Writes take_due(MonotonicTime now);
    /// When the next window is over; none is open: nothing.
    std::optional<MonotonicTime> next_due() const;

  private:
    struct Window {
        MonotonicTime end{};
        std::chrono::milliseconds length{};
        std::optional<Plain> waiting;
    };
    std::map<std::string, Window, std::less<>> windows_;
};

}  // namespace joinery::detail
