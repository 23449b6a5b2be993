/// @file
/// The secure channel between two peers, docs/secure-channel.md: a state machine without I/O,
/// thread, clock or random source of its own. Messages of a link go in and come out; what the other
/// side said comes out decrypted, and who it is.
#pragma once

#include "base/bytes.h"
#include "base/env.h"
#include "base/link.h"
#include "base/presence.h"
#include "base/result.h"
#include "crdt/hash.h"
#include "session/messages.h"
#include "session/noise.h"

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace joinery::session {

/// Bytes of the longest message of a handshake.
inline constexpr std::size_t kHandshakeSizeMax = 4096;
/// Bytes of a message in one record, at most: a Noise message but for its tag and the kind.
inline constexpr std::size_t kRecordBodyMax = kNoiseMessageSizeMax - kNoiseTagSize - 1;
/// Bytes of the text of a refusal or an end.
inline constexpr std::size_t kEndTextSizeMax = 256;
/// A sender's key is replaced after so many bytes, or so long; a receiver takes twice as many.
inline constexpr std::uint64_t kRekeySize = std::uint64_t{1} << 30U;
inline constexpr MonotonicTime kRekeyTime = std::chrono::hours(1);
/// The role of a peer in its offer or choice; others are for later.
inline constexpr std::uint64_t kPeerRole = 0;

/// 16 random bytes that name one run of a peer: two links with the same at both ends are one too
/// many.
using joinery::PeerInstance;

struct ChannelOptions {
    using Role = NoiseXx::Role;
    Role role = Role::dialler;
    /// The only device key that is taken; none: any, for the owner to judge.
    std::optional<DeviceKey> expected;
    std::uint64_t version = kWireVersion;
    std::uint64_t version_min = kWireVersionMin;
    std::uint64_t features = kFeatures;
    PeerInstance instance;  ///< Said to the other side.
    /// Said to the other side: this one dials again when the link ends.
    bool is_kept = false;
    std::uint64_t rekey_size = kRekeySize;  ///< For tests.
};

/// What the handshake has proved of the other side.
struct ChannelPeer {
    DeviceKey device;
    std::uint64_t version = 0;   ///< The wire version to speak.
    std::uint64_t features = 0;  ///< What both sides have.
    PeerInstance instance;       ///< As it says.
    bool is_kept = false;        ///< As it says.
};

/// @par Memory
/// What came of a message that is not whole yet, at most kMessageSizeMax, and one record.
/// @par Thread safety
/// One thread at a time.
class Channel {
  public:
    enum class State : std::uint8_t {
        handshake,
        open,
        over,  ///< By either side: error() says why. Nothing more is taken or written.
    };

    /// @param identity  Must outlive the channel.
    /// @param random  For the handshake's keys; not used after the call.
    Channel(const crdt::SigningKey& identity, Random& random, const ChannelOptions& options);
    Channel(const Channel&) = delete;
    Channel& operator=(const Channel&) = delete;
    ~Channel();

    /// Takes a message of the link: untrusted, borrowed for the call. What is wrong with one ends
    /// the channel.
    ///
    /// @return The message of the other side's that is whole with it, valid until the next call;
    ///         nullopt if there is none.
    std::optional<ByteView> take(ByteView message);
    /// The next message for the link that the channel itself has to say, into @p out, which it
    /// overwrites: of the handshake, a refusal, signs of life, the end. False if there is none: ask
    /// again after each call, but only while the link has room for one.
    bool next_message(Bytes& out);

    struct Written {
        std::size_t size = 0;   ///< Bytes taken from the front of the message.
        bool is_whole = false;  ///< With them all of it was.
    };
    /// Makes the next record, overwriting @p out. Only while open.
    ///
    /// @param message  What no record has of a message of at most kMessageSizeMax bytes; empty only
    ///                 if the whole message is.
    /// @return `over_limit` when the key is worn out; the channel is then over.
    Result<Written> write(ByteView message, MonotonicTime now, Bytes& out);
    /// Asks the other side for a sign of life, which it answers with @p token. Only while open. One
    /// that was not sent yet is replaced.
    void ping(std::uint64_t token) noexcept;
    /// The token of the last answer since the call before.
    std::optional<std::uint64_t> take_pong() noexcept { return std::exchange(pong_heard_, {}); }
    /// Ends it: nothing means "done". next_message() tells the other side.
    void close(const std::optional<Error>& reason);
    /// Says that the link is gone. `disconnected`, unless the channel was over before.
    Result<void> on_link_ended();

    State state() const noexcept { return state_; }
    bool is_open() const noexcept { return state_ == State::open; }
    /// Why it is over; none for a clean end.
    const std::optional<Error>& error() const noexcept { return error_; }
    /// What the other side says of why it ended it, for people: not believed.
    const std::string& their_text() const noexcept { return their_text_; }
    /// Who the other side is; none before it is proved.
    const std::optional<ChannelPeer>& peer() const noexcept { return peer_; }

  private:
    enum class Kind : std::uint8_t;
    struct Handshake;

    Result<void> take_handshake(ByteView message);
    Result<void> take_payload(ByteView payload, const NoiseHash& signed_hash);
    Result<void> take_offer(EnvelopeReader in);
    Result<void> take_proof(EnvelopeReader in, bool is_choice, const NoiseHash& signed_hash);
    Result<void> write_handshake();
    Bytes make_payload() const;
    Result<std::optional<ByteView>> take_record(ByteView message);
    Result<std::optional<ByteView>> take_part(ByteView body, bool is_last);
    Result<void> take_end(ByteView body);
    Result<void> take_sign(Kind kind, ByteView body);
    bool write_sign(Kind kind, std::optional<std::uint64_t>& token, Bytes& out);
    Result<void> make_record(Kind kind, ByteView body, Bytes& out);
    void say_end(const std::optional<Error>& reason);
    void end_with(const Error& error);

    const crdt::SigningKey& identity_;
    ChannelOptions options_;
    State state_ = State::handshake;
    std::unique_ptr<Handshake> handshake_;
    std::optional<NoiseCiphers> ciphers_;
    std::optional<ChannelPeer> peer_;
    std::optional<Error> error_;
    std::string their_text_;
    std::deque<Bytes> to_send_;  // Of the channel itself: two at most.
    std::optional<std::uint64_t> ping_due_, pong_due_, pong_heard_;

    std::uint64_t sent_size_ = 0, received_size_ = 0;  // Under the present keys.
    std::optional<MonotonicTime> send_key_since_;
    Bytes record_;  // The last one taken, decrypted.
    Bytes parts_;   // Of a message that is not whole.
    bool are_parts_given_ = false;
};

}  // namespace joinery::session
