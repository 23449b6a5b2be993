#include "session/envelope.h"

#include "base/value.h"

#include <msgpack.hpp>

namespace joinery::session {
namespace {

/// What msgpack's packer writes to.
struct Sink {
    Bytes& out;
    void write(const char* data, std::size_t size) {
        crdt::ByteWriter(out).raw(as_bytes(std::string_view(data, size)));
    }
};

}  // namespace

void EnvelopeWriter::array(std::size_t count) {
    Sink sink{out_};
    msgpack::packer<Sink>(sink).pack_array(static_cast<std::uint32_t>(count));
}

void EnvelopeWriter::integer(std::uint64_t value) {
    Sink sink{out_};
    msgpack::packer<Sink>(sink).pack_uint64(value);
}

void EnvelopeWriter::text(std::string_view value) {
    Sink sink{out_};
    msgpack::packer<Sink> packer(sink);
    packer.pack_str(static_cast<std::uint32_t>(value.size()));
    packer.pack_str_body(value.data(), static_cast<std::uint32_t>(value.size()));
}

void EnvelopeWriter::bytes(ByteView value) {
    Sink sink{out_};
    msgpack::packer<Sink> packer(sink);
    packer.pack_bin(static_cast<std::uint32_t>(value.size()));
    crdt::ByteWriter(out_).raw(value);
}

std::uint64_t EnvelopeReader::big_endian(unsigned size) noexcept {
    std::uint64_t value = 0;
    for (const std::uint8_t byte : in_.raw(size))
        value = value << 8 | byte;
    return value;
}

std::uint64_t EnvelopeReader::number(unsigned size, std::uint64_t above) noexcept {
    const std::uint64_t at = in_.offset();
    const std::uint64_t value = big_endian(size);
    if (in_.ok() && value <= above) {
        return in_.refuse(Errc::malformed, "number longer than it need be", at);
    }
    return value;
}

std::size_t EnvelopeReader::array() noexcept {
    const std::uint64_t at = in_.offset();
    const std::uint8_t head = in_.u8();
    std::uint64_t count = 0;
    if (in_.ok() && (head & 0xf0U) == 0x90) {
        count = head & 0x0fU;
    } else if (head == 0xdc) {
        count = number(2, 15);
    } else if (head == 0xdd) {
        count = number(4, 0xffff);
    } else {
        in_.refuse(Errc::malformed, "no array where one must be", at);
    }
    if (count > in_.remaining()) {
        in_.refuse(Errc::malformed, "count exceeds the bytes that follow", at);
    }
    return in_.ok() ? static_cast<std::size_t>(count) : 0;
}

std::uint64_t EnvelopeReader::integer() noexcept {
    const std::uint64_t at = in_.offset();
    const std::uint8_t head = in_.u8();
    if (head < 0x80) return head;
    switch (head) {
        case 0xcc: return number(1, 0x7f);
        case 0xcd: return number(2, 0xff);
        case 0xce: return number(4, 0xffff);
        case 0xcf: return number(8, 0xffffffff);
        default: return in_.refuse(Errc::malformed, "no unsigned integer where one must be", at);
    }
}

std::uint64_t EnvelopeReader::integer_at_most(std::uint64_t max) noexcept {
    const std::uint64_t at = in_.offset();
    const std::uint64_t value = integer();
    return value <= max ? value : in_.refuse(Errc::malformed, "number out of range", at);
}

std::string_view EnvelopeReader::text(std::size_t size_max) noexcept {
    const std::uint64_t at = in_.offset();
    const std::uint8_t head = in_.u8();
    std::uint64_t size = 0;
    if (in_.ok() && (head & 0xe0U) == 0xa0) {
        size = head & 0x1fU;
    } else if (head == 0xd9) {
        size = number(1, 31);
    } else if (head == 0xda) {
        size = number(2, 0xff);
    } else {
        in_.refuse(Errc::malformed, "no text where it must be", at);
    }
    if (size > size_max) in_.refuse(Errc::over_limit, "text too long", at);
    const ByteView view = in_.raw(size);
    if (in_.ok() && !is_utf8(view)) in_.refuse(Errc::malformed, "text is not UTF-8", at);
    return in_.ok() ? as_text(view) : std::string_view();
}

ByteView EnvelopeReader::bytes(std::size_t size_max) noexcept {
    const std::uint64_t at = in_.offset();
    const std::uint8_t head = in_.u8();
    std::uint64_t size = 0;
    if (head == 0xc4) {
        size = big_endian(1);
    } else if (head == 0xc5) {
        size = number(2, 0xff);
    } else if (head == 0xc6) {
        size = number(4, 0xffff);
    } else {
        in_.refuse(Errc::malformed, "no bytes where they must be", at);
    }
    if (size > size_max) in_.refuse(Errc::over_limit, "byte string too long", at);
    return in_.raw(size);
}

bool EnvelopeReader::is_text() const noexcept {
    crdt::ByteReader copy = in_;
    const std::uint8_t head = copy.u8();
    return copy.ok() && ((head & 0xe0U) == 0xa0 || head == 0xd9 || head == 0xda);
}

}  // namespace joinery::session
