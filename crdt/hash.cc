#include "crdt/hash.h"

#include "base/assert.h"

#include <sodium.h>

namespace joinery::crdt {
namespace {

/// libsodium picks its implementations once a process; sodium_init may be called from any thread.
void ensure_initialised() noexcept {
    static const bool ready = sodium_init() >= 0;
    JOINERY_ASSERT(ready);
}

}  // namespace

void hash_into(ByteView input, std::span<std::uint8_t> out) noexcept {
    ensure_initialised();
    const int failed =
        crypto_generichash(out.data(), out.size(), input.data(), input.size(), nullptr, 0);
    JOINERY_ASSERT(failed == 0);
}

SigningKey::SigningKey(std::span<const std::uint8_t, 32> seed) noexcept {
    ensure_initialised();
    crypto_sign_seed_keypair(public_key_.bytes.data(), secret_.data(), seed.data());
}

SigningKey::~SigningKey() { sodium_memzero(secret_.data(), secret_.size()); }

Signature SigningKey::sign(ByteView message) const noexcept {
    Signature signature;
    crypto_sign_detached(
        signature.bytes.data(), nullptr, message.data(), message.size(), secret_.data());
    return signature;
}

bool verify(const DeviceKey& key, ByteView message, const Signature& signature) noexcept {
    ensure_initialised();
    return crypto_sign_verify_detached(
               signature.bytes.data(), message.data(), message.size(), key.bytes.data()) == 0;
}

}  // namespace joinery::crdt
