/// @file
/// Which documents a side wants: patterns over document ids.
#pragma once

#include "base/result.h"

#include <string>
#include <string_view>
#include <vector>

namespace joinery::session {

/// Bytes of all patterns of one side together. With it, a match costs at most that many times the
/// id's length, whoever chose the patterns.
inline constexpr std::size_t kPatternSizeMax = 1024;

/// Whether @p id as a whole matches @p pattern: `*` stands for any run of bytes, `/` too, `?` for
/// any one byte, everything else for itself.
bool matches(std::string_view pattern, std::string_view id) noexcept;

/// Whether @p id matches one of @p patterns.
bool matches_any(const std::vector<std::string>& patterns, std::string_view id) noexcept;

/// A set of patterns; an empty set wants every document.
class Patterns {
  public:
    Patterns() = default;
    /// `over_limit` if they are longer than kPatternSizeMax together, `malformed` for an empty one
    /// or one that is not UTF-8.
    static Result<Patterns> of(std::vector<std::string> patterns);

    bool wants(std::string_view id) const noexcept;
    const std::vector<std::string>& list() const noexcept { return patterns_; }

  private:
    std::vector<std::string> patterns_;
};

}  // namespace joinery::session
