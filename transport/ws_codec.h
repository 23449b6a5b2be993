/// @file
/// Messages as frames of a WebSocket (RFC 6455), without I/O: libwslay between two buffers.
#pragma once

#include "base/bytes.h"
#include "base/env.h"
#include "base/link.h"
#include "base/result.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>

namespace joinery::transport {

/// Each message is one binary message. Pings are answered; fragments are put together; nothing is
/// compressed, since no extension is spoken.
///
/// @par Memory
/// Grows with the bytes that arrive, never with what a frame announces.
class WsCodec {
  public:
    enum class Side : bool { listener, dialler };
    /// @param random  Where a dialler's masks come from; must outlive the codec.
    WsCodec(Side side, Random& random);
    WsCodec(const WsCodec&) = delete;
    WsCodec& operator=(const WsCodec&) = delete;
    ~WsCodec();

    /// Takes untrusted bytes of the stream; after it next() may have messages, and out() may have
    /// grown by what answers them.
    void take(ByteView bytes);
    /// The next message, in order; none: more bytes are needed, or the stream is at its end.
    std::optional<Bytes> next();
    /// What was wrong, once next() has no more: `malformed`, `unsupported` for a text,
    /// `over_limit`; the other side is told by a close frame. Nothing after it is taken.
    const std::optional<Error>& error() const noexcept;
    /// Whether the other side's close frame came. Nothing after it is taken.
    bool is_end_seen() const noexcept;
    /// Whether that says that all is well: its code is 1000, 1001, or there is none.
    bool is_end_clean() const noexcept;
    /// Refuses messages of more than @p size_max bytes from now on.
    void set_size_max(std::size_t size_max) noexcept;

    /// Appends @p message to out().
    void send(ByteView message);
    /// Appends the close frame, once: after it nothing is sent.
    void send_end();
    /// Bytes to be written to the stream; the caller takes them away.
    Bytes& out() noexcept;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace joinery::transport
