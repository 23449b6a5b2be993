/// @file
/// Hints to the memory, for loops that know early what they will read.
#pragma once

/// Of a function that does nothing but prefetch: GCC 12 takes it for one without effect and drops
/// the calls, unless they are gone before it looks.
#define JOINERY_PREFETCHES [[gnu::always_inline]] inline

namespace joinery {

/// Asks the memory for the line of @p address, which need not be readable.
JOINERY_PREFETCHES void prefetch(const void* address) noexcept { __builtin_prefetch(address); }

}  // namespace joinery
