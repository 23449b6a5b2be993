/// @file
/// A link with the secure channel on it: what goes over the link is encrypted, and nothing is heard
/// before the other side has proved who it is. docs/secure-channel.md.
#pragma once

#include "base/env.h"
#include "base/link.h"
#include "joinery/peer.h"
#include "session/channel.h"

#include <deque>
#include <functional>
#include <memory>
#include <optional>

namespace joinery::detail {

/// @par Memory
/// Beside the link's and the channel's: the records of one message that the link has no room for.
/// @par Thread safety
/// That of its link. Not to be destroyed inside a callback.
class SecureLink {
  public:
    struct Events {
        /// The other side has proved who it is; messages may be sent and will come.
        std::function<void(const session::ChannelPeer&)> on_open;
        /// A whole message, borrowed for the call.
        std::function<void(ByteView)> on_message;
        /// Once, last: a clean end by either side, or what broke it.
        std::function<void(Result<void>)> on_closed;
        /// After send() had said `busy`: there is room again.
        std::function<void()> on_writable;
    };

    /// @p identity, @p clock  Must outlive the link.
    SecureLink(std::unique_ptr<Link> link,
               const crdt::SigningKey& identity,
               Random& random,
               Clock& clock,
               const LinkOptions& patience,
               const session::ChannelOptions& options);
    SecureLink(const SecureLink&) = delete;
    SecureLink& operator=(const SecureLink&) = delete;

    /// Installs the callbacks and begins the handshake. Exactly once.
    void start(Events events);
    /// As Link::send(); `disconnected` also before on_open.
    Result<void> send(ByteView message);
    /// Call every second or so. Where nothing is heard any more, and nothing that was sent is
    /// taken, the other side is asked for a sign of life; where none comes the link is broken:
    /// on_closed with `disconnected`.
    void on_time(MonotonicTime now);
    /// Asks for a sign at once, and takes nothing but the answer for one, in @p answer_time: this
    /// side was away, and what still comes may be old.
    void probe(MonotonicTime now, MonotonicTime answer_time);
    /// Tells the other side what was wrong, nothing where this side is done, and ends the link.
    /// on_closed follows.
    void close(const std::optional<Error>& reason);

    /// Whether the other side is known and neither has ended it.
    bool is_open() const noexcept { return channel_.is_open(); }
    /// Whether nobody has proved anything yet, nor failed to.
    bool is_in_handshake() const noexcept {
        return channel_.state() == session::Channel::State::handshake;
    }
    /// Whether the other side owes an answer for more than a second.
    bool is_silent(MonotonicTime now) const noexcept {
        return asked_at_ && now - *asked_at_ > std::chrono::seconds(1);
    }
    /// How long the last answer took; none before the first.
    const std::optional<MonotonicTime>& round_trip() const noexcept { return round_trip_; }
    /// The same, if it came since the last call.
    std::optional<MonotonicTime> take_round_trip() noexcept {
        return std::exchange(is_trip_new_, false) ? round_trip_ : std::nullopt;
    }
    /// Bytes of all that went over the link, in records: what the transport adds is not counted.
    std::uint64_t received_size() const noexcept { return received_size_; }
    std::uint64_t sent_size() const noexcept { return sent_size_; }
    /// Bytes of records that send() made, and of those the ones that the system has not taken yet.
    std::uint64_t given_size() const noexcept { return sent_size_ + held_size(); }
    std::uint64_t waiting_size() const noexcept {
        return (link_ ? link_->queued_size() : 0) + held_size();
    }

  private:
    std::uint64_t held_size() const noexcept;
    void take(ByteView message);
    void note_sign(MonotonicTime now);
    void cut();
    void ask(MonotonicTime now, MonotonicTime answer_time);
    bool give(ByteView record);
    void flush();

    Clock& clock_;
    LinkOptions patience_;
    session::Channel channel_;
    std::unique_ptr<Link> link_;  // Null once it was broken for want of an answer.
    Events events_;
    std::deque<Bytes> held_;  // Records in order, which the link had no room for.
    Bytes record_;            // Reused.
    std::uint64_t received_size_ = 0, sent_size_ = 0;
    bool is_awaited_ = false;
    bool is_closing_ = false;

    MonotonicTime last_sign_{};
    std::size_t last_queued_size_ = 0;
    std::optional<MonotonicTime> asked_at_;   // Until any sign comes.
    std::optional<MonotonicTime> last_ping_;  // What an answer is told by.
    MonotonicTime answer_time_{};
    bool is_probing_ = false;
    std::optional<MonotonicTime> round_trip_;
    bool is_trip_new_ = false;
    std::optional<MonotonicTime> over_since_;  // With records that the link has no room for.
};

}  // namespace joinery::detail
