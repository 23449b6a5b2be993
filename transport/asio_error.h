/// @file
/// Where Asio's error codes end and ours begin. No other file of the library looks at their values,
/// but for the end of a stream and a cancelled operation.
#pragma once

#include "base/result.h"

#include <asio/error_code.hpp>

#include <cstdint>

namespace joinery::transport {

/// What was tried; the same code means different things to the caller of each.
enum class Action : std::uint8_t { resolve, listen, accept, connect, transfer };

/// The Error for @p code, met while doing @p action.
///
/// A code without a text of its own becomes `io` with the system's error number as `at`.
Error make_error(const asio::error_code& code, Action action) noexcept;

}  // namespace joinery::transport
