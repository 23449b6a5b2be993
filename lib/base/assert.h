/// @file
/// Assertion of our own invariants, on in every build. Outside input never reaches it: that is an
/// Error.
#pragma once

namespace joinery {

/// Called with the failed condition's text and place; must not return.
using AssertHandler = void (*)(const char* condition, const char* file, int line);

/// Replaces the handler for the whole process; nullptr restores the default, which writes one line
/// to standard error and aborts.
///
/// @par Thread safety
/// Safe from any thread; call it before the first Peer is made.
void set_assert_handler(AssertHandler handler) noexcept;

namespace detail {
[[noreturn]] void assert_failed(const char* condition, const char* file, int line) noexcept;
}  // namespace detail

}  // namespace joinery

#define JOINERY_ASSERT(condition) \
    (static_cast<bool>(condition) \
         ? static_cast<void>(0)   \
         : ::joinery::detail::assert_failed(#condition, __FILE__, __LINE__))
