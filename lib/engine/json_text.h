/// @file
/// Pieces of the JSON printer that other output of ours needs too.
#pragma once

#include "base/bytes.h"
#include "base/env.h"

#include <string>
#include <string_view>

namespace joinery::detail {

/// Appends @p text, valid UTF-8, as a JSON string with its quotes.
void append_json_string(std::string& out, std::string_view text);

/// Appends the shortest decimal form of @p value, finite, that reads back to the same bits; always
/// with a point or an exponent.
void append_json_real(std::string& out, double value);

/// @p bytes in base64 with padding (RFC 4648, 4).
std::string to_base64(ByteView bytes);

/// "2024-05-01T12:00:00.000Z" (RFC 3339); the digits of the milliseconds outside the years 0 to
/// 9999.
std::string format_timestamp(WallTime time);

}  // namespace joinery::detail
