/// @file
/// One TCP connection as a Link. Private to transport/: tcp_transport.h makes them.
#pragma once

#include "base/link.h"
#include "transport/frame.h"
#include "transport/tcp_transport.h"

#include <asio/buffer.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <string>

namespace joinery::transport::detail {

/// A connected socket and its state. Each pending handler shares it, so it outlives its Link
/// until the last of them has run.
///
/// How a stream ends. The side that closes sends what it has queued, then FIN, and from close() on
/// reads and drops what comes until it sees FIN too: closing a socket with unread bytes sends RST,
/// which would destroy what the other side has not read yet. The side that meets FIN between two
/// frames is done and closes. All other ends are cuts; cutting ourselves sends RST, so that the
/// other side can tell.
class TcpConnection : public std::enable_shared_from_this<TcpConnection> {
  public:
    TcpConnection(asio::ip::tcp::socket socket, std::string remote, const TcpOptions& options);

    // As in Link.
    void start(Link::Events events);
    Result<void> send(ByteView message);
    void pause();
    void resume();
    void limit_received(std::size_t size_max) noexcept { decoder_.set_size_max(size_max); }
    void close();
    std::size_t queued_size() const noexcept;
    const std::string& remote() const noexcept { return remote_; }
    /// The Link is gone: cuts the connection, and no callback comes after.
    void abandon();

  private:
    enum class State : std::uint8_t { open, closing, ended };
    enum class SocketEnd : std::uint8_t { quiet, cut };
    static constexpr std::size_t kGatherCountMax = 64;  // what Asio hands to one sendmsg()

    void read_more();
    void on_read(const asio::error_code& error, std::size_t size);
    void on_read_error(const asio::error_code& error);
    void deliver();
    void schedule_write();
    void write_more();
    void on_written(const asio::error_code& error, std::size_t size);
    void send_fin();
    void finish(Result<void> result, SocketEnd end);
    void release_socket(SocketEnd end);

    asio::ip::tcp::socket socket_;
    asio::steady_timer close_timer_;
    std::chrono::milliseconds close_time_limit_;
    std::string remote_;
    // Empty before start() and after the end. A callback runs under a copy of the pointer, so that
    // it survives the destruction of the Link inside it.
    std::shared_ptr<const Link::Events> events_;
    FrameDecoder decoder_;
    FrameQueue queue_;
    SendLimit limit_;
    std::array<asio::const_buffer, kGatherCountMax> gathered_;
    State state_ = State::open;
    bool is_reading_ = false;  // a read is pending
    bool is_writing_ = false;  // a write is pending or posted
    bool is_paused_ = false;
    bool is_fin_sent_ = false;
    bool is_fin_seen_ = false;
};

/// Makes a Link of a connected @p socket.
std::unique_ptr<Link> make_tcp_link(asio::ip::tcp::socket socket,
                                    const asio::ip::tcp::endpoint& remote,
                                    const TcpOptions& options);

/// `tcp://ADDRESS:PORT` for @p endpoint.
std::string format_endpoint(const asio::ip::tcp::endpoint& endpoint);

}  // namespace joinery::transport::detail
