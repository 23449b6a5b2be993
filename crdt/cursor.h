/// @file
/// Writing and reading bytes: the integers, byte strings and counts that every format is made of.
/// Not for columns of many values: that is crdt/packed.h. Layouts: docs/change-format.md.
///
/// A ByteReader never reads past its bytes and has sticky errors: a read that fails returns zero or
/// an empty view and empties the reader, so that a decoder may read a whole structure and ask ok()
/// once. It must ask before it acts on what it read, and use count() for every count.
#pragma once

#include "base/assert.h"
#include "base/bytes.h"
#include "base/result.h"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace joinery::crdt {

/// Most bytes that a varint takes.
inline constexpr std::size_t kVarintSizeMax = 10;

/// Maps 0, -1, 1, -2, ... to 0, 1, 2, 3, ..., so that small magnitudes are small varints.
constexpr std::uint64_t zigzag_of(std::int64_t value) noexcept {
    return (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
}

/// Inverse of zigzag_of().
constexpr std::int64_t zigzag_inverse(std::uint64_t value) noexcept {
    return static_cast<std::int64_t>((value >> 1) ^ (0 - (value & 1)));
}

/// Bytes that ByteWriter::varint() writes for @p value: 1 to kVarintSizeMax.
constexpr std::size_t varint_size(std::uint64_t value) noexcept {
    return (static_cast<std::size_t>(std::bit_width(value | 1)) + 6) / 7;
}

/// Writes @p value at @p out, least significant byte first, on any machine.
inline void store_u64(std::uint8_t* out, std::uint64_t value) noexcept {
    if constexpr (std::endian::native == std::endian::big) value = __builtin_bswap64(value);
    std::memcpy(out, &value, sizeof value);
}

/// Reads 8 bytes at @p in, least significant first.
inline std::uint64_t load_u64(const std::uint8_t* in) noexcept {
    std::uint64_t value = 0;
    std::memcpy(&value, in, sizeof value);
    if constexpr (std::endian::native == std::endian::big) value = __builtin_bswap64(value);
    return value;
}

/// Appends to a buffer of the caller's.
class ByteWriter {
  public:
    /// @p out Must outlive the writer; what it holds is kept.
    explicit ByteWriter(Bytes& out) noexcept : out_(out) {}

    void u8(std::uint8_t value) { out_.push_back(value); }
    /// 4 bytes, least significant first.
    void u32(std::uint32_t value) {
        std::uint8_t* out = grow(4);
        for (int i = 0; i < 4; ++i)
            out[i] = static_cast<std::uint8_t>(value >> (8 * i));
    }
    /// 8 bytes, least significant first.
    void u64(std::uint64_t value) { store_u64(grow(8), value); }
    /// Unsigned LEB128, the shortest form: 1 to kVarintSizeMax bytes.
    void varint(std::uint64_t value) {
        if (value < 0x80) return u8(static_cast<std::uint8_t>(value));
        varint_long(value);
    }
    /// zigzag_of(value) as a varint.
    void zigzag(std::int64_t value) { varint(zigzag_of(value)); }
    /// The bytes, nothing else.
    void raw(ByteView bytes) {
        // Not insert(): GCC 12 takes its growth for an overflow.
        if (!bytes.empty()) std::memcpy(grow(bytes.size()), bytes.data(), bytes.size());
    }
    /// The size as a varint, then the bytes.
    void sized(ByteView bytes) {
        varint(bytes.size());
        raw(bytes);
    }
    /// Appends @p size zero bytes for the caller to fill; valid until the next write.
    std::uint8_t* grow(std::size_t size) {
        out_.resize(out_.size() + size);
        return out_.data() + (out_.size() - size);
    }

    /// Bytes in the buffer, with those that it held before.
    std::size_t size() const noexcept { return out_.size(); }

  private:
    void varint_long(std::uint64_t value);

    Bytes& out_;
};

/// Reads untrusted bytes, borrowed for the reader's life. Cheap to copy: a copy reads on alone.
class ByteReader {
  public:
    /// @p offset is where @p in starts in the whole input, so that errors name the place there.
    explicit ByteReader(ByteView in, std::uint64_t offset = 0) noexcept
        : begin_(in.data()), pos_(in.data()), end_(in.data() + in.size()), base_(offset) {}

    std::uint8_t u8() noexcept {
        if (pos_ == end_) return static_cast<std::uint8_t>(ended_early());
        return *pos_++;
    }
    std::uint32_t u32() noexcept {
        if (remaining() < 4) return static_cast<std::uint32_t>(ended_early());
        std::uint32_t value = 0;
        for (int i = 0; i < 4; ++i)
            value |= static_cast<std::uint32_t>(pos_[i]) << (8 * i);
        pos_ += 4;
        return value;
    }
    std::uint64_t u64() noexcept {
        if (remaining() < 8) return ended_early();
        const std::uint64_t value = load_u64(pos_);
        pos_ += 8;
        return value;
    }
    /// `malformed` if the input ends, the value passes 64 bits, or a shorter form exists.
    std::uint64_t varint() noexcept {
        if (pos_ != end_ && *pos_ < 0x80) return *pos_++;
        return varint_long();
    }
    std::int64_t zigzag() noexcept { return zigzag_inverse(varint()); }
    /// A varint that is at most @p max; else `over_limit` with @p what (static text).
    std::uint64_t varint_at_most(std::uint64_t max, std::string_view what) noexcept {
        const std::uint64_t at = offset();
        const std::uint64_t value = varint();
        return value <= max ? value : refuse(Errc::over_limit, what, at);
    }
    /// The next @p size bytes, borrowed from the input; empty if there are fewer.
    ByteView raw(std::uint64_t size) noexcept {
        if (size > remaining()) {
            ended_early();
            return {};
        }
        const ByteView bytes(pos_, static_cast<std::size_t>(size));
        pos_ += bytes.size();
        return bytes;
    }
    /// What ByteWriter::sized() wrote.
    ByteView sized() noexcept { return raw(varint()); }
    /// What ByteWriter::sized() wrote, at most @p size_max bytes; else `over_limit`.
    ByteView sized(std::uint64_t size_max, std::string_view what) noexcept {
        return raw(varint_at_most(size_max, what));
    }
    /// A FixedBytes such as ActorId.
    template <class T>
    T fixed() noexcept {
        T value;
        const ByteView bytes = raw(T::kSize);
        if (!bytes.empty()) std::memcpy(value.bytes.data(), bytes.data(), T::kSize);
        return value;
    }
    /// A count of elements of at least @p element_size_min (1 or more) bytes each that follow.
    /// `malformed` if they cannot all be in the bytes that remain, so that a count that passes
    /// justifies a reservation of its size.
    std::size_t count(std::size_t element_size_min) noexcept {
        JOINERY_ASSERT(element_size_min > 0);
        const std::uint64_t at = offset();
        const std::uint64_t value = varint();
        if (value <= remaining() / element_size_min) return static_cast<std::size_t>(value);
        return static_cast<std::size_t>(
            refuse(Errc::malformed, "count exceeds the bytes that follow", at));
    }
    /// A reader over the next @p size bytes, which this one skips; failed if this one has failed.
    ByteReader slice(std::uint64_t size) noexcept {
        const std::uint64_t at = offset();
        ByteReader inner(raw(size), at);
        if (failed_) inner.refuse(error_.code, error_.what, error_.at);
        return inner;
    }
    /// All that remains, which is then read.
    ByteView rest() noexcept { return raw(remaining()); }

    /// Fails the reader with an error found in what was read; the first error stays. Returns 0.
    std::uint64_t refuse(Errc code, std::string_view what, std::uint64_t at) noexcept;
    /// The same, at offset().
    std::uint64_t refuse(Errc code, std::string_view what) noexcept {
        return refuse(code, what, offset());
    }
    /// Success if nothing failed and nothing remains; else the error, or `malformed` at the first
    /// byte too many.
    Result<void> finish() const noexcept;

    bool ok() const noexcept { return !failed_; }
    /// The first error; only where !ok().
    const Error& error() const noexcept {
        JOINERY_ASSERT(failed_);
        return error_;
    }
    /// Where the next byte stands in the whole input; the end once the reader failed.
    std::uint64_t offset() const noexcept {
        return base_ + static_cast<std::uint64_t>(pos_ - begin_);
    }
    /// Bytes left; 0 once the reader failed.
    std::size_t remaining() const noexcept { return static_cast<std::size_t>(end_ - pos_); }

  private:
    std::uint64_t ended_early() noexcept;
    std::uint64_t varint_long() noexcept;

    const std::uint8_t* begin_;
    const std::uint8_t* pos_;
    const std::uint8_t* end_;
    std::uint64_t base_;
    bool failed_ = false;
    Error error_{};
};

}  // namespace joinery::crdt
