/// @file
/// Time and randomness as interfaces, so that the simulator runs the real code.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>

namespace joinery {

/// Milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted. May be any value: never
/// trusted.
using WallTime = std::chrono::duration<std::int64_t, std::milli>;
/// Time since some fixed moment of this process; never goes back.
using MonotonicTime = std::chrono::nanoseconds;

/// Where the engine reads the time. The only source of time outside tools/.
class Clock {
  public:
    Clock() = default;
    Clock(const Clock&) = delete;
    Clock& operator=(const Clock&) = delete;
    virtual ~Clock() = default;

    /// @par Thread safety
    /// Both are safe from any thread.
    virtual WallTime wall_now() = 0;
    virtual MonotonicTime monotonic_now() = 0;
};

/// Where the engine takes random bytes for keys and incarnations.
class Random {
  public:
    Random() = default;
    Random(const Random&) = delete;
    Random& operator=(const Random&) = delete;
    virtual ~Random() = default;

    /// Fills @p out with bytes that nobody can guess. Safe from any thread.
    virtual void fill(std::span<std::uint8_t> out) = 0;
};

}  // namespace joinery
