/// @file
/// Moving opaque messages between two endpoints. A Link knows nothing of documents; a Transport
/// makes Links. Reconnection, heartbeats and the secure channel stand above.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace joinery {

/// Longest message that a Link carries, in bytes; longer ones are `over_limit` on either side.
inline constexpr std::size_t kMessageSizeMax = 16U << 20U;

/// One ordered, reliable, bidirectional stream of messages.
///
/// @par Thread safety
/// All calls and all callbacks on the executor of the Transport that made it. Callbacks are never
/// called from inside a call of the user's.
class Link {
  public:
    struct Events {
        /// A whole message, of 0 to kMessageSizeMax bytes; borrowed for the call.
        std::function<void(ByteView)> on_message;
        /// Called once, last: the stream ended cleanly, by either side's close() between two
        /// messages, or it broke (the Error says how; messages in flight are lost).
        std::function<void(Result<void>)> on_closed;
        /// The outbound queue, after send() had said `busy`, has fallen to half of its limit or
        /// less, and the refused message would be admitted now. Once for each run of refusals.
        std::function<void()> on_writable;
    };

    Link() = default;
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;
    /// Cuts the stream without waiting for queued bytes; the other side sees it broken, not ended.
    /// No callback comes after. Allowed inside every callback.
    virtual ~Link() = default;

    /// Installs the callbacks and starts reading. Exactly once, before the first send; until then
    /// nothing is read, so the other side's queue fills.
    virtual void start(Events events) = 0;
    /// Queues @p message, copied. `busy` when the outbound queue would pass its limit (nothing was
    /// queued; wait for on_writable; a message longer than the limit is admitted to an empty
    /// queue), `over_limit` if longer than kMessageSizeMax, `disconnected` after close() or the
    /// end.
    virtual Result<void> send(ByteView message) = 0;
    /// Holds on_message back, so that a user with a full inbox need not grow it: reading stops, and
    /// the other side's queue fills. The other side's end may go unnoticed until resume(). May be
    /// called again.
    virtual void pause() = 0;
    /// Undoes pause().
    virtual void resume() = 0;
    /// Takes no message of more than @p size_max bytes from the other side from now on, at most
    /// kMessageSizeMax: a longer one breaks the link with `over_limit`, before it is held.
    virtual void limit_received(std::size_t size_max) = 0;
    /// Sends what is queued, then ends the stream cleanly. No on_message comes after; on_closed
    /// follows when the other side has ended too, or does not in time. A second call is ignored.
    virtual void close() = 0;
    /// Bytes queued and not yet handed to the system; each message counts its size and 4 more.
    virtual std::size_t queued_size() const = 0;
    /// The other end as a URL, for people.
    virtual std::string remote() const = 0;
};

/// A bound address that accepts Links. Destruction stops it, also inside its callback; the Links
/// that came of it live on.
class Listener {
  public:
    Listener() = default;
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;
    virtual ~Listener() = default;
    /// The address really bound, with the port that the system chose for port 0.
    virtual std::string url() const = 0;
};

/// Makes Links for the URL schemes that it knows. Destruction gives up what is being dialled,
/// without a callback; Links and Listeners live on.
class Transport {
  public:
    using OnLink = std::function<void(Result<std::unique_ptr<Link>>)>;

    Transport() = default;
    Transport(const Transport&) = delete;
    Transport& operator=(const Transport&) = delete;
    virtual ~Transport() = default;

    /// Whether @p url has a scheme of this transport.
    virtual bool accepts(std::string_view url) const = 0;
    /// Binds @p url and calls @p on_link for each Link that arrives, or with the Error when the
    /// system could not take one (the Listener keeps trying). `malformed` for a URL that does not
    /// parse, `unsupported` for another scheme, `not_found` for an unknown host name, `io` when the
    /// address is taken or may not be bound. Resolves a host name before it returns, so an address
    /// is the better choice.
    virtual Result<std::unique_ptr<Listener>> listen(std::string_view url, OnLink on_link) = 0;
    /// Dials @p url; @p on_link is called once, with the Link or the Error: those of listen(), or
    /// `disconnected` where trying again later may help.
    virtual void connect(std::string_view url, OnLink on_link) = 0;
};

}  // namespace joinery
