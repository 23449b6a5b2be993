/// @file
/// BLAKE2b and Ed25519, by libsodium. The one place in crdt/ that knows the library.
#pragma once

#include "base/bytes.h"

#include <cstdint>
#include <span>

namespace joinery::crdt {

/// BLAKE2b of @p input, without key, into @p out (16 to 64 bytes).
void hash_into(ByteView input, std::span<std::uint8_t> out) noexcept;

/// BLAKE2b-256 of @p input as the fixed byte string T.
template <class T>
T hash_as(ByteView input) noexcept {
    T out;
    hash_into(input, out.bytes);
    return out;
}

/// An Ed25519 key pair; the secret part is wiped on destruction.
class SigningKey {
  public:
    /// Derives the pair from 32 secret random bytes.
    explicit SigningKey(std::span<const std::uint8_t, 32> seed) noexcept;
    SigningKey(const SigningKey&) = delete;
    SigningKey& operator=(const SigningKey&) = delete;
    ~SigningKey();

    const DeviceKey& public_key() const noexcept { return public_key_; }
    Signature sign(ByteView message) const noexcept;

  private:
    DeviceKey public_key_;
    std::array<std::uint8_t, 64> secret_{};
};

/// Whether @p signature of @p message is @p key's.
bool verify(const DeviceKey& key, ByteView message, const Signature& signature) noexcept;

}  // namespace joinery::crdt
