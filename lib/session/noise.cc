#include "session/noise.h"

#include "base/assert.h"

#include <sodium.h>

#include <algorithm>
#include <limits>
#include <string_view>

namespace joinery::session {
namespace {

constexpr std::string_view kProtocolName = "Noise_XX_25519_ChaChaPoly_BLAKE2b";
/// Of BLAKE2b, for HMAC.
constexpr std::size_t kBlockSize = 128;
/// Kept for rekey().
constexpr std::uint64_t kLastNonce = std::numeric_limits<std::uint64_t>::max();

static_assert(kNoiseKeySize == crypto_scalarmult_BYTES);
static_assert(kNoiseTagSize == crypto_aead_chacha20poly1305_ietf_ABYTES);

/// libsodium picks its implementations once a process; sodium_init may be called from any thread.
void use_sodium() noexcept {
    static const bool ready = sodium_init() >= 0;
    JOINERY_ASSERT(ready);
}

void blake2b(ByteView first, ByteView second, std::span<std::uint8_t, 64> out) noexcept {
    crypto_generichash_state state;
    crypto_generichash_init(&state, nullptr, 0, out.size());
    crypto_generichash_update(&state, first.data(), first.size());
    crypto_generichash_update(&state, second.data(), second.size());
    crypto_generichash_final(&state, out.data(), out.size());
}

/// HMAC (RFC 2104) with BLAKE2b-512 of @p first and @p second, one after the other.
NoiseHash hmac(const NoiseHash& key, ByteView first, ByteView second) noexcept {
    std::array<std::uint8_t, kBlockSize> inner{};
    std::array<std::uint8_t, kBlockSize> outer{};
    std::ranges::copy(key, inner.begin());
    std::ranges::copy(key, outer.begin());
    for (std::size_t i = 0; i < kBlockSize; ++i) {
        inner[i] ^= 0x36U;
        outer[i] ^= 0x5cU;
    }
    crypto_generichash_state state;
    crypto_generichash_init(&state, nullptr, 0, sizeof(NoiseHash));
    crypto_generichash_update(&state, inner.data(), inner.size());
    crypto_generichash_update(&state, first.data(), first.size());
    crypto_generichash_update(&state, second.data(), second.size());
    NoiseHash within;
    crypto_generichash_final(&state, within.data(), within.size());
    NoiseHash out;
    blake2b(outer, within, out);
    sodium_memzero(inner.data(), inner.size());
    sodium_memzero(outer.data(), outer.size());
    sodium_memzero(&state, sizeof state);
    return out;
}

struct Derived {
    NoiseHash first;
    NoiseHash second;
};

/// Noise's HKDF with two outputs.
Derived derive(const NoiseHash& chaining, ByteView input) noexcept {
    constexpr std::uint8_t kOne = 1;
    constexpr std::uint8_t kTwo = 2;
    NoiseHash key = hmac(chaining, input, {});
    Derived out;
    out.first = hmac(key, ByteView(&kOne, 1), {});
    out.second = hmac(key, out.first, ByteView(&kTwo, 1));
    sodium_memzero(key.data(), key.size());
    return out;
}

/// Noise's keys are the front of its hashes.
NoiseKey front_of(const NoiseHash& hash) noexcept {
    NoiseKey key;
    std::copy_n(hash.begin(), key.size(), key.begin());
    return key;
}

/// Four zero bytes, then the number, least significant byte first.
std::array<std::uint8_t, 12> nonce_bytes(std::uint64_t nonce) noexcept {
    std::array<std::uint8_t, 12> out{};
    for (std::size_t i = 4; i < out.size(); ++i) {
        out[i] = static_cast<std::uint8_t>(nonce);
        nonce >>= 8U;
    }
    return out;
}

/// Encrypts @p inout but for its last kNoiseTagSize bytes, where the tag goes.
void encrypt_with(const NoiseKey& key,
                  std::uint64_t nonce,
                  ByteView associated,
                  std::span<std::uint8_t> inout) noexcept {
    const auto number = nonce_bytes(nonce);
    crypto_aead_chacha20poly1305_ietf_encrypt(inout.data(),
                                              nullptr,
                                              inout.data(),
                                              inout.size() - kNoiseTagSize,
                                              associated.data(),
                                              associated.size(),
                                              nullptr,
                                              number.data(),
                                              key.data());
}

}  // namespace

// --- Keys ----------------------------------------------------------------------------------------

NoiseKeyPair::NoiseKeyPair(const NoiseKey& secret) noexcept : secret_(secret) {
    use_sodium();
    crypto_scalarmult_base(public_.data(), secret_.data());
}

NoiseKeyPair::~NoiseKeyPair() { sodium_memzero(secret_.data(), secret_.size()); }

Result<NoiseKey> NoiseKeyPair::agree(const NoiseKey& theirs) const noexcept {
    NoiseKey shared;
    if (crypto_scalarmult(shared.data(), secret_.data(), theirs.data()) != 0) {
        return fail(Errc::untrusted, "a handshake key of low order");
    }
    return shared;
}

// --- Cipher --------------------------------------------------------------------------------------

NoiseCipher::~NoiseCipher() { sodium_memzero(key_.data(), key_.size()); }

Result<void> NoiseCipher::encrypt(ByteView associated, Bytes& inout, std::size_t begin) {
    if (nonce_ == kLastNonce) return fail(Errc::over_limit, "too many records under one key");
    inout.resize(inout.size() + kNoiseTagSize);
    encrypt_with(key_, nonce_, associated, std::span(inout).subspan(begin));
    ++nonce_;
    return {};
}

Result<void> NoiseCipher::decrypt(ByteView associated, ByteView message, Bytes& out) {
    if (nonce_ == kLastNonce) return fail(Errc::over_limit, "too many records under one key");
    if (message.size() < kNoiseTagSize) return fail(Errc::malformed, "a record without its tag");
    const std::size_t begin = out.size();
    out.resize(begin + message.size() - kNoiseTagSize);
    const auto number = nonce_bytes(nonce_);
    if (crypto_aead_chacha20poly1305_ietf_decrypt(out.data() + begin,
                                                  nullptr,
                                                  nullptr,
                                                  message.data(),
                                                  message.size(),
                                                  associated.data(),
                                                  associated.size(),
                                                  number.data(),
                                                  key_.data()) != 0) {
        out.resize(begin);
        return fail(Errc::untrusted, "a record that the other side did not make");
    }
    ++nonce_;
    return {};
}

void NoiseCipher::rekey() noexcept {
    std::array<std::uint8_t, kNoiseKeySize + kNoiseTagSize> made{};
    encrypt_with(key_, kLastNonce, {}, made);
    std::copy_n(made.begin(), key_.size(), key_.begin());
    sodium_memzero(made.data(), made.size());
}

// --- Handshake -----------------------------------------------------------------------------------

NoiseXx::NoiseXx(Role role,
                 ByteView prologue,
                 const NoiseKeyPair& static_key,
                 const NoiseKeyPair& ephemeral) noexcept
    : role_(role), static_(static_key), ephemeral_(ephemeral) {
    // A name shorter than a hash stands for itself, filled up with zeros.
    static_assert(kProtocolName.size() <= sizeof(NoiseHash));
    std::ranges::copy(kProtocolName, hash_.begin());
    chaining_ = hash_;
    mix_hash(prologue);
}

NoiseXx::~NoiseXx() { sodium_memzero(chaining_.data(), chaining_.size()); }

bool NoiseXx::is_writing() const noexcept {
    return !is_over() && (message_ % 2 == 0) == is_dialler();
}

void NoiseXx::mix_hash(ByteView bytes) noexcept {
    const NoiseHash before = hash_;
    blake2b(before, bytes, hash_);
}

void NoiseXx::mix_key(const NoiseKey& input) noexcept {
    Derived derived = derive(chaining_, input);
    chaining_ = derived.first;
    cipher_.emplace(front_of(derived.second));
    sodium_memzero(&derived, sizeof derived);
}

Result<void> NoiseXx::mix_agreed(const NoiseKeyPair& ours, const NoiseKey& theirs) noexcept {
    JOINERY_TRY(NoiseKey shared, ours.agree(theirs));
    mix_key(shared);
    sodium_memzero(shared.data(), shared.size());
    return {};
}

/// The tokens es (the listener's static key) and se (the dialler's): one side has the secret of it,
/// the other that of its ephemeral key.
Result<void> NoiseXx::mix_static_of(bool is_diallers) noexcept {
    if (is_diallers == is_dialler()) return mix_agreed(static_, their_ephemeral_);
    return mix_agreed(ephemeral_, their_static_);
}

Result<void> NoiseXx::encrypt_and_hash(ByteView in, Bytes& out) {
    const std::size_t begin = out.size();
    out.insert(out.end(), in.begin(), in.end());
    if (cipher_) JOINERY_TRY_VOID(cipher_->encrypt(hash_, out, begin));
    mix_hash(ByteView(out).subspan(begin));
    return {};
}

Result<void> NoiseXx::decrypt_and_hash(ByteView in, Bytes& out) {
    if (cipher_) {
        JOINERY_TRY_VOID(cipher_->decrypt(hash_, in, out));
    } else {
        out.insert(out.end(), in.begin(), in.end());
    }
    mix_hash(in);
    return {};
}

Result<void> NoiseXx::write_keys(Bytes& out) {
    JOINERY_ASSERT(is_writing());
    if (message_ < 2) {
        const NoiseKey& ephemeral = ephemeral_.public_key();
        out.insert(out.end(), ephemeral.begin(), ephemeral.end());
        mix_hash(ephemeral);
    }
    if (message_ == 0) return {};
    if (message_ == 1) JOINERY_TRY_VOID(mix_agreed(ephemeral_, their_ephemeral_));
    JOINERY_TRY_VOID(encrypt_and_hash(static_.public_key(), out));
    return mix_static_of(is_dialler());
}

Result<void> NoiseXx::write_payload(ByteView payload, Bytes& out) {
    JOINERY_ASSERT(is_writing());
    JOINERY_TRY_VOID(encrypt_and_hash(payload, out));
    ++message_;
    return {};
}

Result<NoiseKey> NoiseXx::take_key(ByteView& in) const noexcept {
    if (in.size() < kNoiseKeySize) return fail(Errc::malformed, "a handshake message cut short");
    NoiseKey key;
    std::ranges::copy(in.first(kNoiseKeySize), key.begin());
    in = in.subspan(kNoiseKeySize);
    return key;
}

Result<void> NoiseXx::read_keys(ByteView& in) {
    JOINERY_ASSERT(!is_writing() && !is_over());
    if (message_ < 2) {
        JOINERY_TRY(their_ephemeral_, take_key(in));
        mix_hash(their_ephemeral_);
    }
    if (message_ == 0) return {};
    if (message_ == 1) JOINERY_TRY_VOID(mix_agreed(ephemeral_, their_ephemeral_));
    constexpr std::size_t kSize = kNoiseKeySize + kNoiseTagSize;
    if (in.size() < kSize) return fail(Errc::malformed, "a handshake message cut short");
    Bytes key;
    JOINERY_TRY_VOID(decrypt_and_hash(in.first(kSize), key));
    std::ranges::copy(key, their_static_.begin());
    in = in.subspan(kSize);
    return mix_static_of(!is_dialler());
}

Result<void> NoiseXx::read_payload(ByteView in, Bytes& out) {
    JOINERY_ASSERT(!is_writing() && !is_over());
    JOINERY_TRY_VOID(decrypt_and_hash(in, out));
    ++message_;
    return {};
}

NoiseCiphers NoiseXx::split() const {
    JOINERY_ASSERT(is_over());
    const Derived derived = derive(chaining_, {});
    const NoiseCipher first(front_of(derived.first));
    const NoiseCipher second(front_of(derived.second));
    if (is_dialler()) return {first, second};
    return {second, first};
}

}  // namespace joinery::session
