/// @file
/// Letters of ASCII without regard to case: URLs and HTTP depend on no locale. Private to
/// transport/.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace joinery::transport::detail {

constexpr char to_lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

inline std::string lower(std::string_view text) {
    std::string result(text);
    std::ranges::transform(result, result.begin(), to_lower);
    return result;
}

inline bool is_equal_in_any_case(std::string_view a, std::string_view b) noexcept {
    return std::ranges::equal(a, b, {}, to_lower, to_lower);
}

}  // namespace joinery::transport::detail
