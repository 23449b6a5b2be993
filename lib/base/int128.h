/// @file
/// 128-bit integers, which counters sum in. An extension of GCC and clang, on every 64-bit target
/// and on wasm32.
#pragma once

namespace joinery {

__extension__ typedef __int128 Int128;

}  // namespace joinery
