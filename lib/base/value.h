/// @file
/// The scalar values that a register holds.
#pragma once

#include "base/assert.h"
#include "base/bytes.h"
#include "base/env.h"

#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

namespace joinery {

/// The type of a Value. The numbers are written on disk and on the wire: never change them.
enum class ValueType : std::uint8_t {
    null = 0,
    boolean = 1,
    integer = 2,  ///< 64-bit, signed.
    real = 3,     ///< IEEE 754 double; every bit pattern is kept, also of NaN and -0.
    string = 4,   ///< UTF-8; who makes the Value from outside bytes has checked it.
    bytes = 5,
    timestamp = 6,  ///< Milliseconds since 1970 UTC.
};

/// One scalar: 16 bytes, inline but for strings and byte strings longer than kInlineSizeMax.
/// Equality is of type and bits: 1 and 1.0 differ, 0.0 and -0.0 differ, a NaN equals itself.
///
/// @par Cost
/// Copying allocates only for content longer than kInlineSizeMax bytes; moving never does.
class Value {
  public:
    static constexpr std::size_t kInlineSizeMax = 14;

    Value() noexcept { std::memset(raw_, 0, sizeof raw_); }
    explicit Value(bool value) noexcept : Value(ValueType::boolean, value ? 1 : 0) {}
    explicit Value(std::int64_t value) noexcept
        : Value(ValueType::integer, static_cast<std::uint64_t>(value)) {}
    explicit Value(double value) noexcept : Value(ValueType::real, bits_of(value)) {}
    explicit Value(WallTime value) noexcept
        : Value(ValueType::timestamp, static_cast<std::uint64_t>(value.count())) {}
    /// @p text must be valid UTF-8 and at most 4 GiB - 1 long.
    explicit Value(std::string_view text) : Value(ValueType::string, as_bytes(text)) {}
    explicit Value(const char* text) : Value(std::string_view(text)) {}
    explicit Value(ByteView bytes) : Value(ValueType::bytes, bytes) {}
    /// A string or byte string of @p type.
    Value(ValueType type, ByteView content);

    Value(const Value& other) : Value() { copy_from(other); }
    Value(Value&& other) noexcept {
        std::memcpy(raw_, other.raw_, sizeof raw_);
        std::memset(other.raw_, 0, sizeof raw_);
    }
    Value& operator=(const Value& other) {
        if (this != &other) {
            Value copy(other);
            swap(copy);
        }
        return *this;
    }
    Value& operator=(Value&& other) noexcept {
        swap(other);
        return *this;
    }
    ~Value() {
        if (is_long()) release();
    }
    void swap(Value& other) noexcept {
        std::uint8_t spare[sizeof raw_];
        std::memcpy(spare, raw_, sizeof raw_);
        std::memcpy(raw_, other.raw_, sizeof raw_);
        std::memcpy(other.raw_, spare, sizeof raw_);
    }

    ValueType type() const noexcept { return static_cast<ValueType>(raw_[0]); }
    bool is_null() const noexcept { return type() == ValueType::null; }

    /// Each getter only for its own type.
    bool as_bool() const noexcept {
        JOINERY_ASSERT(type() == ValueType::boolean);
        return payload() != 0;
    }
    std::int64_t as_integer() const noexcept {
        JOINERY_ASSERT(type() == ValueType::integer);
        return static_cast<std::int64_t>(payload());
    }
    double as_real() const noexcept {
        JOINERY_ASSERT(type() == ValueType::real);
        double value = 0;
        std::memcpy(&value, raw_ + 8, sizeof value);
        return value;
    }
    WallTime as_timestamp() const noexcept {
        JOINERY_ASSERT(type() == ValueType::timestamp);
        return WallTime(static_cast<std::int64_t>(payload()));
    }
    /// Borrowed until this Value changes.
    std::string_view as_string() const noexcept {
        JOINERY_ASSERT(type() == ValueType::string);
        return as_text(content());
    }
    ByteView as_byte_string() const noexcept {
        JOINERY_ASSERT(type() == ValueType::bytes);
        return content();
    }
    /// The bytes of a string or byte string, borrowed.
    ByteView content() const noexcept {
        if (is_long()) return {long_data(), long_size()};
        return {raw_ + 2, raw_[1]};
    }
    /// The 64 bits of a boolean, integer, real or timestamp.
    std::uint64_t payload() const noexcept {
        std::uint64_t bits = 0;
        std::memcpy(&bits, raw_ + 8, sizeof bits);
        return bits;
    }
    /// A boolean, integer, real or timestamp of these 64 bits.
    static Value of_payload(ValueType type, std::uint64_t bits) noexcept { return {type, bits}; }

    friend bool operator==(const Value& a, const Value& b) noexcept {
        if (!a.is_long() && !b.is_long()) return std::memcmp(a.raw_, b.raw_, sizeof raw_) == 0;
        return a.equal_long(b);
    }

  private:
    // Layout: [0] type, [1] inline size or kLong; numbers at [8..16); inline content at [2..16);
    // long content: u32 size at [4..8), pointer at [8..16). Unused bytes are zero, so that equal
    // values are equal memory.
    static constexpr std::uint8_t kLong = 0xff;

    Value(ValueType type, std::uint64_t bits) noexcept {
        std::memset(raw_, 0, 8);
        raw_[0] = static_cast<std::uint8_t>(type);
        std::memcpy(raw_ + 8, &bits, sizeof bits);
    }
    static std::uint64_t bits_of(double value) noexcept {
        std::uint64_t bits = 0;
        std::memcpy(&bits, &value, sizeof bits);
        return bits;
    }
    bool is_long() const noexcept { return raw_[1] == kLong; }
    std::uint32_t long_size() const noexcept {
        std::uint32_t size = 0;
        std::memcpy(&size, raw_ + 4, sizeof size);
        return size;
    }
    std::uint8_t* long_data() const noexcept {
        std::uint8_t* data = nullptr;
        std::memcpy(&data, raw_ + 8, sizeof data);
        return data;
    }
    void copy_from(const Value& other);
    void release() noexcept;
    bool equal_long(const Value& other) const noexcept;

    alignas(8) std::uint8_t raw_[16];
};

/// Whether @p bytes are well-formed UTF-8 (no surrogates, no overlong forms, at most U+10FFFF).
bool is_utf8(ByteView bytes) noexcept;

}  // namespace joinery
