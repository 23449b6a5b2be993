/// @file
/// Noise_XX_25519_ChaChaPoly_BLAKE2b (Noise Protocol Framework, revision 34), by libsodium's
/// primitives: a handshake between two, and the ciphers that come of it. No I/O, no random source.
/// What is said and who may say it is the channel's (session/channel.h).
///
/// @par Source
/// noiseprotocol.org/noise.html, revision 34, sections 5 and 7.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <array>
#include <cstdint>
#include <optional>
#include <span>

namespace joinery::session {

/// Bytes of a Noise key, public or secret.
inline constexpr std::size_t kNoiseKeySize = 32;
/// Bytes that encryption adds.
inline constexpr std::size_t kNoiseTagSize = 16;
/// Bytes of the longest Noise message.
inline constexpr std::size_t kNoiseMessageSizeMax = 65535;

using NoiseKey = std::array<std::uint8_t, kNoiseKeySize>;
using NoiseHash = std::array<std::uint8_t, 64>;

/// An X25519 key pair; the secret part is wiped on destruction.
class NoiseKeyPair {
  public:
    /// @p secret  32 random bytes; any are a key.
    explicit NoiseKeyPair(const NoiseKey& secret) noexcept;
    NoiseKeyPair(const NoiseKeyPair&) = delete;
    NoiseKeyPair& operator=(const NoiseKeyPair&) = delete;
    ~NoiseKeyPair();

    const NoiseKey& public_key() const noexcept { return public_; }
    /// The shared secret with the owner of @p theirs; `untrusted` for a key of low order.
    Result<NoiseKey> agree(const NoiseKey& theirs) const noexcept;

  private:
    NoiseKey secret_;
    NoiseKey public_{};
};

/// One direction's key and the number of its next message. The key is wiped on destruction.
class NoiseCipher {
  public:
    explicit NoiseCipher(const NoiseKey& key, std::uint64_t nonce = 0) noexcept
        : key_(key), nonce_(nonce) {}
    NoiseCipher(const NoiseCipher&) = default;
    NoiseCipher& operator=(const NoiseCipher&) = default;
    ~NoiseCipher();

    /// Encrypts what @p inout holds from @p begin on, with @p associated authenticated beside it,
    /// and appends kNoiseTagSize bytes. `over_limit` when the numbers are used up: nothing is done.
    Result<void> encrypt(ByteView associated, Bytes& inout, std::size_t begin);
    /// The reverse. `untrusted`, with @p out and the number as they were, for what encrypt() did
    /// not make with this key and number.
    Result<void> decrypt(ByteView associated, ByteView message, Bytes& out);
    /// Replaces the key by one from which it cannot be had. The number goes on.
    void rekey() noexcept;
    std::uint64_t nonce() const noexcept { return nonce_; }

  private:
    NoiseKey key_;
    std::uint64_t nonce_;
};

/// The two ciphers of a finished handshake.
struct NoiseCiphers {
    NoiseCipher send;
    NoiseCipher receive;
};

/// The XX handshake, one side. Its three messages alternate, the dialler's first. Each is written
/// or read in two steps, keys and payload, so that the payload can sign hash() in between.
class NoiseXx {
  public:
    enum class Role : std::uint8_t { dialler, listener };

    /// @p static_key, @p ephemeral  Must outlive the handshake; the second for it alone.
    NoiseXx(Role role,
            ByteView prologue,
            const NoiseKeyPair& static_key,
            const NoiseKeyPair& ephemeral) noexcept;
    NoiseXx(const NoiseXx&) = delete;
    NoiseXx& operator=(const NoiseXx&) = delete;
    ~NoiseXx();

    /// Whether this side writes the next message; none is left when is_over().
    bool is_writing() const noexcept;
    bool is_over() const noexcept { return message_ == kMessageCount; }

    /// Appends the keys of the next message to @p out; then comes write_payload().
    Result<void> write_keys(Bytes& out);
    Result<void> write_payload(ByteView payload, Bytes& out);
    /// Takes the keys from the front of @p in; then comes read_payload() with what is left.
    /// `malformed` if it is too short, `untrusted`; then the handshake is of no more use.
    Result<void> read_keys(ByteView& in);
    /// Appends the payload to @p out.
    Result<void> read_payload(ByteView in, Bytes& out);

    /// The hash of all that was said so far.
    const NoiseHash& hash() const noexcept { return hash_; }
    /// Only when is_over().
    NoiseCiphers split() const;

  private:
    static constexpr unsigned kMessageCount = 3;

    bool is_dialler() const noexcept { return role_ == Role::dialler; }
    void mix_hash(ByteView bytes) noexcept;
    void mix_key(const NoiseKey& input) noexcept;
    Result<void> mix_agreed(const NoiseKeyPair& ours, const NoiseKey& theirs) noexcept;
    Result<void> encrypt_and_hash(ByteView in, Bytes& out);
    Result<void> decrypt_and_hash(ByteView in, Bytes& out);
    Result<void> mix_static_of(bool is_diallers) noexcept;
    Result<NoiseKey> take_key(ByteView& in) const noexcept;

    Role role_;
    const NoiseKeyPair& static_;
    const NoiseKeyPair& ephemeral_;
    NoiseHash hash_{};
    NoiseHash chaining_{};
    std::optional<NoiseCipher> cipher_;
    NoiseKey their_static_{};
    NoiseKey their_ephemeral_{};
    unsigned message_ = 0;
};

}  // namespace joinery::session
