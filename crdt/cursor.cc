#include "crdt/cursor.h"

namespace joinery::crdt {

void ByteWriter::varint_long(std::uint64_t value) {
    std::uint8_t* out = grow(varint_size(value));
    for (; value >= 0x80; value >>= 7)
        *out++ = static_cast<std::uint8_t>(value | 0x80);
    *out = static_cast<std::uint8_t>(value);
}

std::uint64_t ByteReader::varint_long() noexcept {
    std::uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
        if (pos_ == end_) return ended_early();
        const std::uint64_t at = offset();
        const std::uint8_t byte = *pos_++;
        if (shift == 63 && byte > 1) {
            return refuse(Errc::malformed, "varint passes 64 bits", at);
        }
        value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
        if (byte >= 0x80) continue;
        if (byte == 0 && shift > 0) {
            return refuse(Errc::malformed, "varint is not in its shortest form", at);
        }
        return value;
    }
}

std::uint64_t ByteReader::ended_early() noexcept {
    const std::uint64_t end = base_ + static_cast<std::uint64_t>(end_ - begin_);
    return refuse(Errc::malformed, "input ended early", end);
}

std::uint64_t ByteReader::refuse(Errc code, std::string_view what, std::uint64_t at) noexcept {
    if (!failed_) error_ = fail(code, what, at);
    failed_ = true;
    pos_ = end_;
    return 0;
}

Result<void> ByteReader::finish() const noexcept {
    if (failed_) return error_;
    if (pos_ != end_) return fail(Errc::malformed, "bytes after the end", offset());
    return {};
}

}  // namespace joinery::crdt
