#include "session/pattern.h"

#include "base/value.h"

#include <algorithm>

namespace joinery::session {

bool matches(std::string_view pattern, std::string_view id) noexcept {
    std::size_t p = 0;
    std::size_t i = 0;
    // Where to go on when what follows the last `*` did not fit: one byte further.
    std::size_t star = std::string_view::npos;
    std::size_t star_id = 0;
    while (i < id.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            star_id = i;
        } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == id[i])) {
            ++p;
            ++i;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            i = ++star_id;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*')
        ++p;
    return p == pattern.size();
}

bool matches_any(const std::vector<std::string>& patterns, std::string_view id) noexcept {
    return std::ranges::any_of(patterns,
                               [&](const std::string& pattern) { return matches(pattern, id); });
}

Result<Patterns> Patterns::of(std::vector<std::string> patterns) {
    std::size_t size = 0;
    for (const std::string& pattern : patterns) {
        if (pattern.empty() || !is_utf8(joinery::as_bytes(pattern))) {
            return fail(Errc::malformed, "pattern that is empty or not UTF-8");
        }
        size += pattern.size();
        if (size > kPatternSizeMax) return fail(Errc::over_limit, "patterns longer than 1 KiB");
    }
    Patterns made;
    made.patterns_ = std::move(patterns);
    return made;
}

bool Patterns::wants(std::string_view id) const noexcept {
    return patterns_.empty() || matches_any(patterns_, id);
}

}  // namespace joinery::session
