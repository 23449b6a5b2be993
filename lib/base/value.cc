#include "base/value.h"

#include <algorithm>
#include <limits>

namespace joinery {

Value::Value(ValueType type, ByteView content) : Value() {
    JOINERY_ASSERT(type == ValueType::string || type == ValueType::bytes);
    JOINERY_ASSERT(content.size() <= std::numeric_limits<std::uint32_t>::max());
    raw_[0] = static_cast<std::uint8_t>(type);
    if (content.size() <= kInlineSizeMax) {
        raw_[1] = static_cast<std::uint8_t>(content.size());
        if (!content.empty()) std::memcpy(raw_ + 2, content.data(), content.size());
        return;
    }
    auto* data = new std::uint8_t[content.size()];
    std::memcpy(data, content.data(), content.size());
    const auto size = static_cast<std::uint32_t>(content.size());
    raw_[1] = kLong;
    std::memcpy(raw_ + 4, &size, sizeof size);
    std::memcpy(raw_ + 8, &data, sizeof data);
}

void Value::copy_from(const Value& other) {
    if (other.is_long()) {
        Value copy(other.type(), other.content());
        swap(copy);
    } else {
        std::memcpy(raw_, other.raw_, sizeof raw_);
    }
}

void Value::release() noexcept { delete[] long_data(); }

bool Value::equal_long(const Value& other) const noexcept {
    if (type() != other.type() || is_long() != other.is_long()) return false;
    return std::ranges::equal(content(), other.content());
}

namespace {

/// The length of the well-formed sequence at the front of @p bytes; 0 if there is none.
std::size_t utf8_sequence_size(ByteView bytes) noexcept {
    const auto tail = [&](std::size_t i, unsigned low, unsigned high) {
        return i < bytes.size() && bytes[i] >= low && bytes[i] <= high;
    };
    const unsigned lead = bytes[0];
    if (lead < 0x80) return 1;
    if (lead >= 0xC2 && lead <= 0xDF) return tail(1, 0x80, 0xBF) ? 2 : 0;
    if (lead >= 0xE0 && lead <= 0xEF) {
        const unsigned low = lead == 0xE0 ? 0xA0 : 0x80;
        const unsigned high = lead == 0xED ? 0x9F : 0xBF;
        return tail(1, low, high) && tail(2, 0x80, 0xBF) ? 3 : 0;
    }
    if (lead >= 0xF0 && lead <= 0xF4) {
        const unsigned low = lead == 0xF0 ? 0x90 : 0x80;
        const unsigned high = lead == 0xF4 ? 0x8F : 0xBF;
        return tail(1, low, high) && tail(2, 0x80, 0xBF) && tail(3, 0x80, 0xBF) ? 4 : 0;
    }
    return 0;
}

}  // namespace

bool is_utf8(ByteView bytes) noexcept {
    while (!bytes.empty()) {
        const std::size_t size = utf8_sequence_size(bytes);
        if (size == 0) return false;
        bytes = bytes.subspan(size);
    }
    return true;
}

}  // namespace joinery
