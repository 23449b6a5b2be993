/// @file
/// Reading the names that a batch brings. Private to crdt/decode.cc.
#pragma once

#include "crdt/cursor.h"
#include "crdt/dictionary.h"

namespace joinery::crdt::detail {

/// Reads the table of new names off the front of @p in into @p names and @p dictionary; fails @p in
/// where it is wrong.
void read_names(ByteReader& in, Names& names, DecoderDictionary& dictionary);

}  // namespace joinery::crdt::detail
