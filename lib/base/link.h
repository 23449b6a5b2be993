/// @file
/// Moving opaque messages between two endpoints. A Link knows nothing of documents; a Transport
/// makes Links. Reconnection, heartbeats and the secure channel stand above.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

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
        /// A whole message; borrowed for the call.
        std::function<void(ByteView)> on_message;
        /// Called once, last: the other side ended (clean), or it broke (the Error says how).
        std::function<void(Result<void>)> on_closed;
        /// The outbound queue fell below half of its limit after send() had said `busy`.
        std::function<void()> on_writable;
    };

    Link() = default;
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;
    /// Closes without waiting for queued bytes; no callback comes after.
    virtual ~Link() = default;

    /// Installs the callbacks and starts reading. Exactly once, before the first send.
    virtual void start(Events events) = 0;
    /// Queues @p message, copied. `busy` when the outbound queue holds its limit already (nothing was
    /// queued; wait for on_writable), `over_limit` if longer than kMessageSizeMax, `disconnected`.
    virtual Result<void> send(ByteView message) = 0;
    /// Sends what is queued, then ends the stream cleanly; on_closed follows.
    virtual void close() = 0;
    /// Bytes queued and not yet handed to the system.
    virtual std::size_t queued_size() const = 0;
    /// The other end as a URL, for people.
    virtual std::string remote() const = 0;
};

/// A bound address that accepts Links. Destruction stops it.
class Listener {
  public:
    Listener() = default;
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;
    virtual ~Listener() = default;
    /// The address really bound, with the port that the system chose for port 0.
    virtual std::string url() const = 0;
};

/// Makes Links for the URL schemes that it knows.
class Transport {
  public:
    using OnLink = std::function<void(Result<std::unique_ptr<Link>>)>;

    Transport() = default;
    Transport(const Transport&) = delete;
    Transport& operator=(const Transport&) = delete;
    virtual ~Transport() = default;

    /// Whether @p url has a scheme of this transport.
    virtual bool accepts(std::string_view url) const = 0;
    /// Binds @p url and calls @p on_link for each Link that arrives. `malformed` for a URL that does
    /// not parse, `unsupported` for an address that is not loopback (wire version 0), `io` when the
    /// address is taken or may not be bound.
    virtual Result<std::unique_ptr<Listener>> listen(std::string_view url, OnLink on_link) = 0;
    /// Dials @p url; @p on_link is called once, with the Link or the Error.
    virtual void connect(std::string_view url, OnLink on_link) = 0;
};

}  // namespace joinery
