#include "session/channel.h"

#include "base/assert.h"
#include "base/value.h"
#include "session/envelope.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace joinery::session {
namespace {

constexpr std::string_view kPrologue = "joinery channel 1";
constexpr std::string_view kProtocol = "joinery";
constexpr std::string_view kDiallerText = "joinery channel 1 dialler";
constexpr std::string_view kListenerText = "joinery channel 1 listener";
constexpr std::string_view kNotAHandshake =
    "joinery: expected the secure channel (docs/secure-channel.md): this port is for Joinery peers";
/// The first byte of a refusal; those of the handshake's messages are 1, 2, 3.
constexpr std::uint8_t kRefusal = 0;
/// Of a choice or proof: its sender dials again when the link ends.
constexpr std::uint64_t kKeptFlag = 1;
constexpr std::uint8_t kFirstOptionalKind = 64;
constexpr std::uint8_t kLastOptionalKind = 127;

Bytes text_to_sign(NoiseXx::Role role, const NoiseHash& hash) {
    const ByteView text = as_bytes(role == NoiseXx::Role::dialler ? kDiallerText : kListenerText);
    Bytes out(text.begin(), text.end());
    out.insert(out.end(), hash.begin(), hash.end());
    return out;
}

template <class T>
T read_fixed(EnvelopeReader& in) {
    T out;
    const ByteView bytes = in.bytes(T::kSize);
    if (bytes.size() == T::kSize) {
        std::ranges::copy(bytes, out.bytes.begin());
    } else {
        in.refuse(Errc::malformed, "a key or signature of another size");
    }
    return out;
}

/// An error and a text, as a refusal and an end say them.
void write_reason(const std::optional<Error>& reason, Bytes& out) {
    out.push_back(reason ? static_cast<std::uint8_t>(reason->code) : 0);
    if (!reason) return;
    const ByteView text = as_bytes(reason->what.substr(0, kEndTextSizeMax));
    out.insert(out.end(), text.begin(), text.end());
}

struct Reason {
    std::optional<Errc> code;
    std::string text;
};

Result<Reason> read_reason(ByteView in) {
    if (in.empty() || in.size() > 1 + kEndTextSizeMax) {
        return fail(Errc::malformed, "an end without a reason, or with too long a one");
    }
    const std::string_view text = as_text(in.subspan(1));
    if (!is_utf8(as_bytes(text))) return fail(Errc::malformed, "a reason that is not UTF-8");
    Reason out;
    out.text = text;
    if (in[0] != 0) {
        out.code = in[0] <= static_cast<std::uint8_t>(Errc::untrusted) ? static_cast<Errc>(in[0])
                                                                       : Errc::unsupported;
    }
    return out;
}

NoiseKey random_key(Random& random) {
    NoiseKey key;
    random.fill(key);
    return key;
}

}  // namespace

enum class Channel::Kind : std::uint8_t {
    last = 0,
    part = 1,
    end = 2,
    rekey = 3,
    ping = 64,
    pong = 65,
};

struct Channel::Handshake {
    Handshake(NoiseXx::Role role, Random& random)
        : static_key(random_key(random)),
          ephemeral(random_key(random)),
          noise(role, as_bytes(kPrologue), static_key, ephemeral) {}
    NoiseKeyPair static_key;
    NoiseKeyPair ephemeral;
    NoiseXx noise;
    std::uint8_t message = 1;  // The number of the next one.
    std::uint64_t version = 0, features = 0;
};

Channel::Channel(const crdt::SigningKey& identity, Random& random, const ChannelOptions& options)
    : identity_(identity),
      options_(options),
      handshake_(std::make_unique<Handshake>(options.role, random)) {
    if (!handshake_->noise.is_writing()) return;
    if (const auto written = write_handshake(); !written) end_with(written.error());
}

Channel::~Channel() = default;

// --- In ------------------------------------------------------------------------------------------

std::optional<ByteView> Channel::take(ByteView message) {
    if (state_ == State::over) return std::nullopt;
    if (state_ == State::handshake) {
        if (const auto taken = take_handshake(message); !taken) end_with(taken.error());
        return std::nullopt;
    }
    auto taken = take_record(message);
    if (taken) return *taken;
    end_with(taken.error());
    return std::nullopt;
}

Result<void> Channel::take_handshake(ByteView message) {
    if (message.size() > kHandshakeSizeMax) {
        return fail(Errc::over_limit, "a handshake message that is too long");
    }
    if (message.empty()) return fail(Errc::malformed, kNotAHandshake);
    if (message[0] == kRefusal) {
        JOINERY_TRY(Reason reason, read_reason(message.subspan(1)));
        their_text_ = std::move(reason.text);
        error_ = fail(reason.code.value_or(Errc::disconnected), "the other side refused the link");
        state_ = State::over;
        return {};
    }
    NoiseXx& noise = handshake_->noise;
    if (noise.is_writing() || message[0] != handshake_->message) {
        return fail(Errc::malformed, kNotAHandshake);
    }
    ++handshake_->message;
    ByteView rest = message.subspan(1);
    JOINERY_TRY_VOID(noise.read_keys(rest));
    const NoiseHash signed_hash = noise.hash();
    Bytes payload;
    JOINERY_TRY_VOID(noise.read_payload(rest, payload));
    JOINERY_TRY_VOID(take_payload(payload, signed_hash));
    if (noise.is_writing()) JOINERY_TRY_VOID(write_handshake());
    if (!noise.is_over()) return {};
    ciphers_ = noise.split();
    handshake_.reset();
    state_ = State::open;
    return {};
}

/// Of the message before handshake_->message.
Result<void> Channel::take_payload(ByteView payload, const NoiseHash& signed_hash) {
    const EnvelopeReader in(payload);
    switch (handshake_->message - 1) {
        case 1: return take_offer(in);
        case 2: return take_proof(in, true, signed_hash);
        default: return take_proof(in, false, signed_hash);
    }
}

Result<void> Channel::take_offer(EnvelopeReader in) {
    if (in.array() < 5) in.refuse(Errc::malformed, "an offer that is too short");
    if (in.text(kProtocol.size()) != kProtocol) in.refuse(Errc::malformed, kNotAHandshake);
    const std::uint64_t version = in.integer();
    const std::uint64_t version_min = in.integer();
    const std::uint64_t features = in.integer();
    const std::uint64_t role = in.integer();
    if (!in.ok()) return in.error();
    handshake_->version = std::min(version, options_.version);
    if (handshake_->version < std::max(version_min, options_.version_min)) {
        return fail(Errc::unsupported,
                    "no wire version that both sides speak: update the older one");
    }
    if (role != kPeerRole) return fail(Errc::unsupported, "a role that is not known here");
    handshake_->features = features & options_.features;
    return {};
}

/// The listener's, which begins with its choice, or the dialler's.
Result<void> Channel::take_proof(EnvelopeReader in, bool is_choice, const NoiseHash& signed_hash) {
    if (in.array() < (is_choice ? 7 : 4)) in.refuse(Errc::malformed, "a proof that is too short");
    if (is_choice) {
        handshake_->version = in.integer();
        handshake_->features = in.integer() & options_.features;
        if (in.integer() != kPeerRole)
            in.refuse(Errc::unsupported, "a role that is not known here");
    }
    const auto device = read_fixed<DeviceKey>(in);
    const auto signature = read_fixed<Signature>(in);
    const auto instance = read_fixed<PeerInstance>(in);
    const std::uint64_t flags = in.integer();
    if (!in.ok()) return in.error();
    if (handshake_->version > options_.version || handshake_->version < options_.version_min) {
        return fail(Errc::unsupported, "the other side chose a wire version that was not offered");
    }
    const auto theirs =
        options_.role == NoiseXx::Role::dialler ? NoiseXx::Role::listener : NoiseXx::Role::dialler;
    if (!crdt::verify(device, text_to_sign(theirs, signed_hash), signature)) {
        return fail(Errc::untrusted, "the other side did not prove that its key is its own");
    }
    if (options_.expected && device != *options_.expected) {
        return fail(Errc::untrusted, "the other side has another key than the one expected");
    }
    peer_ = ChannelPeer{
        device, handshake_->version, handshake_->features, instance, (flags & kKeptFlag) != 0};
    return {};
}

Result<std::optional<ByteView>> Channel::take_record(ByteView message) {
    if (std::exchange(are_parts_given_, false)) parts_.clear();
    record_.clear();
    if (message.size() > kNoiseMessageSizeMax) return fail(Errc::over_limit, "a record too long");
    received_size_ += message.size();
    if (received_size_ > 2 * options_.rekey_size) {
        return fail(Errc::over_limit, "the other side does not replace its key");
    }
    JOINERY_TRY_VOID(ciphers_->receive.decrypt({}, message, record_));
    if (record_.empty()) return fail(Errc::malformed, "a record without a kind");
    const ByteView body = ByteView(record_).subspan(1);
    switch (static_cast<Kind>(record_[0])) {
        case Kind::last: return take_part(body, true);
        case Kind::part:
            if (body.empty()) return fail(Errc::malformed, "an empty part of a message");
            return take_part(body, false);
        case Kind::end: JOINERY_TRY_VOID(take_end(body)); return std::optional<ByteView>();
        case Kind::rekey:
            if (!body.empty()) return fail(Errc::malformed, "a change of key with a body");
            ciphers_->receive.rekey();
            received_size_ = 0;
            return std::optional<ByteView>();
        case Kind::ping:
        case Kind::pong:
            JOINERY_TRY_VOID(take_sign(static_cast<Kind>(record_[0]), body));
            return std::optional<ByteView>();
    }
    if (record_[0] >= kFirstOptionalKind && record_[0] <= kLastOptionalKind) {
        return std::optional<ByteView>();
    }
    return fail(Errc::unsupported, "a record of a kind that is not known here");
}

Result<std::optional<ByteView>> Channel::take_part(ByteView body, bool is_last) {
    if (is_last && parts_.empty()) return std::optional<ByteView>(body);
    if (parts_.size() + body.size() > kMessageSizeMax) {
        return fail(Errc::over_limit, "a message that is too long");
    }
    parts_.insert(parts_.end(), body.begin(), body.end());
    if (!is_last) return std::optional<ByteView>();
    are_parts_given_ = true;
    return std::optional<ByteView>(parts_);
}

Result<void> Channel::take_end(ByteView body) {
    JOINERY_TRY(Reason reason, read_reason(body));
    if (!parts_.empty()) return fail(Errc::malformed, "an end inside a message");
    their_text_ = std::move(reason.text);
    if (reason.code == Errc::untrusted) {
        error_ = fail(Errc::untrusted,
                      "the other side does not let this peer's key in; `joinery trust add` does, "
                      "there, with the key that `joinery id` prints here");
    } else if (reason.code) {
        error_ = fail(*reason.code, "the other side ended the link");
    }
    state_ = State::over;
    return {};
}

Result<void> Channel::take_sign(Kind kind, ByteView body) {
    std::uint64_t token = 0;
    if (body.size() != sizeof token) return fail(Errc::malformed, "a sign of life of another size");
    for (std::size_t i = body.size(); i-- > 0;)
        token = token << 8U | body[i];
    // Of several that were not answered yet the last is: nothing is queued.
    (kind == Kind::ping ? pong_due_ : pong_heard_) = token;
    return {};
}

// --- Out -----------------------------------------------------------------------------------------

bool Channel::next_message(Bytes& out) {
    if (!to_send_.empty()) {
        out = std::move(to_send_.front());
        to_send_.pop_front();
        return true;
    }
    return write_sign(Kind::pong, pong_due_, out) || write_sign(Kind::ping, ping_due_, out);
}

void Channel::ping(std::uint64_t token) noexcept {
    JOINERY_ASSERT(is_open());
    ping_due_ = token;
}

bool Channel::write_sign(Kind kind, std::optional<std::uint64_t>& token, Bytes& out) {
    if (!token || !is_open()) return false;
    Bytes body(sizeof *token);
    for (std::size_t i = 0; i < body.size(); ++i)
        body[i] = static_cast<std::uint8_t>(*token >> 8U * i);
    token.reset();
    const auto made = make_record(kind, body, out);
    if (!made) end_with(made.error());
    return made.has_value();
}

Result<void> Channel::write_handshake() {
    NoiseXx& noise = handshake_->noise;
    Bytes out{handshake_->message++};
    JOINERY_TRY_VOID(noise.write_keys(out));
    JOINERY_TRY_VOID(noise.write_payload(make_payload(), out));
    to_send_.push_back(std::move(out));
    return {};
}

/// Of the message before handshake_->message.
Bytes Channel::make_payload() const {
    Bytes out;
    EnvelopeWriter writer(out);
    const bool is_offer = handshake_->message == 2;
    const bool is_choice = handshake_->message == 3;
    if (is_offer) {
        writer.array(5);
        writer.text(kProtocol);
        writer.integer(options_.version);
        writer.integer(options_.version_min);
        writer.integer(options_.features);
        writer.integer(kPeerRole);
        return out;
    }
    writer.array(is_choice ? 7 : 4);
    if (is_choice) {
        writer.integer(handshake_->version);
        writer.integer(handshake_->features);
        writer.integer(kPeerRole);
    }
    writer.bytes(identity_.public_key().view());
    writer.bytes(identity_.sign(text_to_sign(options_.role, handshake_->noise.hash())).view());
    writer.bytes(options_.instance.view());
    writer.integer(options_.is_kept ? kKeptFlag : 0);
    return out;
}

Result<void> Channel::make_record(Kind kind, ByteView body, Bytes& out) {
    out.clear();
    out.reserve(1 + body.size() + kNoiseTagSize);
    out.push_back(static_cast<std::uint8_t>(kind));
    out.insert(out.end(), body.begin(), body.end());
    JOINERY_TRY_VOID(ciphers_->send.encrypt({}, out, 0));
    sent_size_ += out.size();
    return {};
}

Result<Channel::Written> Channel::write(ByteView message, MonotonicTime now, Bytes& out) {
    JOINERY_ASSERT(is_open());
    JOINERY_ASSERT(message.size() <= kMessageSizeMax);
    if (!send_key_since_) send_key_since_ = now;
    const bool is_key_old = now - *send_key_since_ >= kRekeyTime;
    Written written;
    Result<void> made;
    if (sent_size_ >= options_.rekey_size || is_key_old) {
        made = make_record(Kind::rekey, {}, out);
        ciphers_->send.rekey();
        sent_size_ = 0;
        send_key_since_ = now;
    } else {
        written.size = std::min(message.size(), kRecordBodyMax);
        written.is_whole = written.size == message.size();
        made = make_record(
            written.is_whole ? Kind::last : Kind::part, message.first(written.size), out);
    }
    if (made) return written;
    end_with(made.error());
    return made.error();
}

void Channel::close(const std::optional<Error>& reason) {
    if (state_ == State::over) return;
    if (reason) return end_with(*reason);
    if (state_ == State::handshake) {
        return end_with(fail(Errc::disconnected, "the link was given up before it was up"));
    }
    say_end(std::nullopt);
    state_ = State::over;
}

void Channel::say_end(const std::optional<Error>& reason) {
    Bytes body, record;
    write_reason(reason, body);
    // Where the key is worn out the other side sees a cut.
    if (make_record(Kind::end, body, record)) to_send_.push_back(std::move(record));
}

/// Tells the other side as far as it can be told.
void Channel::end_with(const Error& error) {
    error_ = error;
    if (state_ == State::handshake) {
        Bytes refusal{kRefusal};
        write_reason(error, refusal);
        to_send_.push_back(std::move(refusal));
    } else {
        say_end(error);
    }
    state_ = State::over;
}

Result<void> Channel::on_link_ended() {
    if (state_ != State::over) {
        error_ = fail(Errc::disconnected, "the link was cut");
        state_ = State::over;
    }
    return error_ ? Result<void>(*error_) : Result<void>();
}

}  // namespace joinery::session
