/// @file
/// A scalar value without its type, as live values and presence have it (docs/live-format.md 2).
#pragma once

#include "base/value.h"
#include "crdt/cursor.h"

#include <cstddef>
#include <string_view>

namespace joinery::crdt {

/// Nothing for null; one byte for a boolean; a zigzag for an integer or a timestamp; 8 bytes for a
/// real; else the content with its size before it.
void write_content(const Value& value, ByteWriter& out);

/// What write_content() wrote of a value of @p type. Refuses through @p in: `over_limit` for a
/// content of more than @p size_max bytes, with the text @p too_long, which must outlive the
/// cursor's error; `malformed` for a boolean that is none and a string that is not UTF-8.
Value read_content(ValueType type, ByteReader& in, std::size_t size_max, std::string_view too_long);

}  // namespace joinery::crdt
