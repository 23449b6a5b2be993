/// @file
/// One WebSocket, after its handshake, as a Link. Private to transport/: ws_transport.h makes them.
#pragma once

#include "base/env.h"
#include "base/link.h"
#include "transport/link_handle.h"
#include "transport/send_limit.h"
#include "transport/tcp_transport.h"
#include "transport/ws_codec.h"
#include "transport/ws_stream.h"

#include <asio/steady_timer.hpp>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace joinery::transport::detail {

/// What a Link of a WebSocket begins with.
struct WsStart {
    WsCodec::Side side = WsCodec::Side::listener;
    std::string remote;
    Bytes first{};  ///< What came behind the other side's head.
};

/// A stream and its state. Each pending handler shares it, so it outlives its Link until the last
/// of them has run.
///
/// How a stream ends. Either side sends a close frame behind what it has queued, and the other
/// answers with its own; then both end the stream below, and drop what still comes, for
/// kLingerTime at most: closing a socket with unread bytes would destroy what the other side has
/// not read yet. So it is where one side has to tell the other what was wrong. A stream that ends
/// without a close frame is a cut.
template <class Stream>
class WsConnection : public std::enable_shared_from_this<WsConnection<Stream>> {
  public:
    WsConnection(std::unique_ptr<Stream> stream,
                 WsStart start,
                 Random& random,
                 const TcpOptions& options);

    // As in Link.
    void start(Link::Events events);
    Result<void> send(ByteView message);
    void pause() { is_paused_ = true; }
    void resume();
    void limit_received(std::size_t size_max) { codec_.set_size_max(size_max); }
    void close();
    std::size_t queued_size() const noexcept;
    const std::string& remote() const noexcept { return remote_; }
    /// The Link is gone: cuts the connection, and no callback comes after.
    void abandon();

  private:
    enum class State : std::uint8_t { open, closing, lingering, ended };
    static constexpr std::chrono::seconds kLingerTime{2};
    static constexpr std::size_t kReadSize = 16U << 10U;
    /// Bytes that a buffer of what is written keeps when all of it is.
    static constexpr std::size_t kWriteKeepMax = 64U << 10U;
    /// Bytes of answers to pings and the like that may wait to be written; then nothing is read.
    static constexpr std::size_t kRepliesMax = 64U << 10U;

    void read_more();
    void on_read(const asio::error_code& error, std::size_t size);
    void take(ByteView bytes);
    void deliver();
    void schedule_write();
    void write_more();
    void on_written(const asio::error_code& error, std::size_t size);
    /// Ends the Link; what is still to be written goes out first.
    void finish(Result<void> result);
    void cut(const Error& error);
    void start_timer(std::chrono::milliseconds time);
    void release_socket(bool is_cut);
    void tell_end(Result<void> result);

    std::unique_ptr<Stream> stream_;
    asio::steady_timer timer_;
    std::chrono::milliseconds close_time_limit_;
    std::string remote_;
    // Empty before start() and after the end. A callback runs under a copy of the pointer, so that
    // it survives the destruction of the Link inside it.
    std::shared_ptr<const Link::Events> events_;
    WsCodec codec_;
    std::vector<std::uint8_t> room_;
    Bytes writing_;  // What the system is given now, from written_ on.
    std::size_t written_ = 0;
    struct Mark {
        std::uint64_t end;  // In the stream of all that is sent, where a message ends.
        std::size_t size;   // As it counts in limit_.
    };
    std::deque<Mark> marks_;
    std::uint64_t queued_end_ = 0, written_end_ = 0;
    std::size_t reply_size_ = 0;  // In what is not being written yet, at most.
    SendLimit limit_;
    State state_ = State::open;
    bool is_reading_ = false;
    bool is_writing_ = false;  // A write is pending or posted.
    bool is_paused_ = false;
    bool is_fin_sent_ = false;
};

extern template class WsConnection<PlainStream>;
extern template class WsConnection<TlsStream>;

template <class Stream>
std::unique_ptr<Link> make_ws_link(std::unique_ptr<Stream> stream,
                                   WsStart start,
                                   Random& random,
                                   const TcpOptions& options) {
    return std::make_unique<LinkHandle<WsConnection<Stream>>>(
        std::make_shared<WsConnection<Stream>>(
            std::move(stream), std::move(start), random, options));
}

}  // namespace joinery::transport::detail
