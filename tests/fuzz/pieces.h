/// @file
/// Cuts a fuzzer's input into pieces: each a length of two bytes, little-endian, then so many bytes
/// or what is left.
#pragma once

#include "base/bytes.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace joinery::fuzz {

class Pieces {
  public:
    Pieces(const std::uint8_t* data, std::size_t size) : rest_(data, size) {}

    bool is_empty() const { return rest_.size() < 2; }
    /// Only while not empty.
    ByteView next() {
        const std::size_t length = rest_[0] + std::size_t{rest_[1]} * 256;
        rest_ = rest_.subspan(2);
        const ByteView piece = rest_.first(std::min(length, rest_.size()));
        rest_ = rest_.subspan(piece.size());
        return piece;
    }

  private:
    ByteView rest_;
};

}  // namespace joinery::fuzz
