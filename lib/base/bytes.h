/// @file
/// Byte buffers and the fixed-size byte strings that name things: actors, digests, keys.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace joinery {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;

/// The bytes of @p text, borrowed.
inline ByteView as_bytes(std::string_view text) noexcept {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

/// The characters of @p bytes, borrowed; no encoding is checked.
inline std::string_view as_text(ByteView bytes) noexcept {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Lower-case hexadecimal of @p bytes.
std::string to_hex(ByteView bytes);

/// A byte string of N bytes, compared as bytes. Tag makes unlike names unlike types.
template <std::size_t N, class Tag>
struct FixedBytes {
    std::array<std::uint8_t, N> bytes{};

    static constexpr std::size_t kSize = N;
    ByteView view() const noexcept { return bytes; }
    bool is_zero() const noexcept {
        // By words: it is asked for every change's hash and every container's.
        std::uint64_t any = 0;
        std::size_t at = 0;
        for (; at + sizeof any <= N; at += sizeof any) {
            std::uint64_t word = 0;
            std::memcpy(&word, bytes.data() + at, sizeof word);
            any |= word;
        }
        for (; at < N; ++at)
            any |= bytes[at];
        return any == 0;
    }

    friend bool operator==(const FixedBytes&, const FixedBytes&) = default;
    friend std::strong_ordering operator<=>(const FixedBytes& a, const FixedBytes& b) noexcept {
        return std::memcmp(a.bytes.data(), b.bytes.data(), N) <=> 0;
    }
};

/// One linear writer: BLAKE2b-128 of device key, store incarnation and writer slot.
using ActorId = FixedBytes<16, struct ActorTag>;
/// Hash of one change and, through its predecessors, of all its chain before it.
using ChangeHash = FixedBytes<32, struct ChangeHashTag>;
/// Hash of what a document shows; see docs/semantics.md, rules D.
using Digest = FixedBytes<32, struct DigestTag>;
/// An Ed25519 public key.
using DeviceKey = FixedBytes<32, struct DeviceKeyTag>;
/// An Ed25519 signature.
using Signature = FixedBytes<64, struct SignatureTag>;

/// Parses exactly 2 * T::kSize hexadecimal digits; false if @p hex is anything else.
bool parse_hex(std::string_view hex, std::span<std::uint8_t> out) noexcept;

}  // namespace joinery
