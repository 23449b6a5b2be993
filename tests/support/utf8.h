/// @file
/// UTF-8 made number by number, also of numbers that UTF-8 forbids, to test those who must refuse
/// them.
#pragma once

#include <cstdint>
#include <string>

namespace joinery::testing {

/// @p code, below 2^21, in the shortest sequence of bytes that holds it; not UTF-8 for a surrogate
/// or past U+10FFFF.
inline std::string encode_utf8(std::uint32_t code) {
    const auto tail = [&](unsigned shift) {
        return static_cast<char>(0x80U | (code >> shift & 0x3fU));
    };
    if (code < 0x80) return {static_cast<char>(code)};
    if (code < 0x800) return {static_cast<char>(0xc0U | code >> 6U), tail(0)};
    if (code < 0x10000) return {static_cast<char>(0xe0U | code >> 12U), tail(6), tail(0)};
    return {static_cast<char>(0xf0U | code >> 18U), tail(12), tail(6), tail(0)};
}

}  // namespace joinery::testing
