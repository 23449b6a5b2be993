/// @file
/// A link with the secure channel on it: what goes over the link is encrypted, and nothing is heard
/// before the other side has proved who it is. docs/secure-channel.md.
#pragma once

#include "base/env.h"
#include "base/link.h"
#include "session/channel.h"

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

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
               const session::ChannelOptions& options);
    SecureLink(const SecureLink&) = delete;
    SecureLink& operator=(const SecureLink&) = delete;

    /// Installs the callbacks and begins the handshake. Exactly once.
    void start(Events events);
    /// As Link::send(); `disconnected` also before on_open.
    Result<void> send(ByteView message);
    /// Tells the other side what was wrong, nothing where this side is done, and ends the link.
    /// on_closed follows.
    void close(const std::optional<Error>& reason);

    /// Whether the other side is known and neither has ended it.
    bool is_open() const noexcept { return channel_.is_open(); }
    /// Whether nobody has proved anything yet, nor failed to.
    bool is_in_handshake() const noexcept {
        return channel_.state() == session::Channel::State::handshake;
    }
    /// What the other side said of why it ended it, for people: not believed.
    const std::string& their_text() const noexcept { return channel_.their_text(); }
    std::string remote() const { return link_->remote(); }

  private:
    void take(ByteView message);
    bool give(ByteView record);
    void flush();

    Clock& clock_;
    session::Channel channel_;
    std::unique_ptr<Link> link_;
    Events events_;
    std::deque<Bytes> held_;  // Records in order, which the link had no room for.
    Bytes record_;            // Reused.
    bool is_awaited_ = false;
    bool is_closing_ = false;
};

}  // namespace joinery::detail
