/// @file
/// JSON text to plain data and back, without loss: what print_json() writes, parse_json() reads
/// back equal to the last bit. Not a validator of documents: any root is accepted here, an object
/// or not.
#pragma once

#include "base/plain.h"
#include "base/result.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace joinery {

/// What parse_json() accepts at most; past any of these it answers `over_limit`.
struct JsonLimits {
    /// Containers inside one another, the root included. Plain is destroyed by recursion, so a
    /// limit of many thousands asks for a deep stack.
    std::size_t depth_max = 128;
    /// Bytes of one key in UTF-8, escapes resolved.
    std::size_t key_size_max = 1U << 10U;
    /// Bytes of one string in UTF-8, escapes resolved.
    std::size_t string_size_max = 1U << 20U;
};

/// Reads one JSON text (RFC 8259) with nothing but white space around it.
///
/// A number without point and exponent that fits 64 bits signed becomes an integer, any other a
/// double, so 1 and 1.0 stay apart; `-0` is the double -0.0; a fraction too small becomes a zero of
/// its sign. Where a key stands twice, the last one counts. A byte order mark in front is skipped,
/// since editors of Windows write one.
///
/// @param text  Untrusted bytes, borrowed for the call; should be UTF-8.
/// @return The value; else `malformed` (not JSON, not UTF-8, or half of a surrogate pair) or
///         `over_limit` (past @p limits, a number past a double's range, or an integer that is past
///         64 bits and that no double holds exactly). `at` is the offset of the byte where reading
///         stopped: inside what is wrong or, for a limit or a number, just past it.
/// @par Cost
/// O(n log n) in the size of the text, for sorting keys; O(n) where they are sorted already. Memory
/// is proportional to the text. Pure, so safe from any thread.
/// @see docs/semantics.md, rule J1
Result<Plain> parse_json(std::string_view text, const JsonLimits& limits = {});

/// What print_json() does with a value that JSON has no form for: a NaN or infinity, bytes, a
/// timestamp.
enum class JsonForeign : std::uint8_t {
    refuse,   ///< Answer `unsupported`: what is printed always reads back equal.
    as_text,  ///< Print a string that a person can read; it reads back as that string.
};

/// How print_json() writes.
struct JsonStyle {
    /// Spaces a level; 0 puts everything on one line without spaces.
    std::size_t indent = 0;
    JsonForeign foreign = JsonForeign::refuse;
};

/// Writes @p value as JSON in UTF-8, without a line end after it.
///
/// Equal values give equal text: keys stand in the order of their UTF-8 bytes; an integer is its
/// digits; a double is the shortest form that reads back to the same bits, with a point or an
/// exponent (`1.0`, `-0.0`, `1e+300`). Only `"`, `\` and control characters below U+0020 are
/// escaped. JsonForeign::as_text writes "NaN", "Infinity", "-Infinity"; bytes in base64 with
/// padding (RFC 4648, 4); a timestamp as "2024-05-01T12:00:00.000Z", or its milliseconds' digits
/// outside the years 0 to 9999.
///
/// @return The text; else `unsupported` for a value that JSON has no form for, where the style
///         refuses it.
/// @par Cost
/// O(n); recurses once per level of nesting. Pure, so safe from any thread.
Result<std::string> print_json(const Plain& value, const JsonStyle& style = {});

}  // namespace joinery
