/// @file
/// Chance from a seed: the same numbers on every machine.
#pragma once

#include "base/env.h"

#include <cstdint>
#include <vector>

namespace joinery::test {

/// Splitmix64.
class Dice {
  public:
    explicit Dice(std::uint64_t seed) : state_(seed) {}

    std::uint64_t next() {
        std::uint64_t z = (state_ += 0x9e3779b97f4a7c15U);
        z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
        z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
        return z ^ (z >> 31U);
    }
    /// A number below @p limit, which is at least 1.
    std::size_t below(std::size_t limit) { return static_cast<std::size_t>(next() % limit); }
    bool chance(std::size_t percent) { return below(100) < percent; }
    template <class T>
    const T& pick(const std::vector<T>& items) {
        return items[below(items.size())];
    }

  private:
    std::uint64_t state_;
};

/// Bytes that anybody can guess.
class SeededRandom final : public Random {
  public:
    explicit SeededRandom(std::uint64_t seed) : dice_(seed) {}
    void fill(std::span<std::uint8_t> out) override {
        for (std::uint8_t& byte : out)
            byte = static_cast<std::uint8_t>(dice_.next() >> 56U);
    }

  private:
    Dice dice_;
};

}  // namespace joinery::test
