/// @file
/// A bound TCP socket that accepts Links. Private to transport/: tcp_transport.h makes them.
#pragma once

#include "base/link.h"
#include "transport/tcp_dial.h"
#include "transport/tcp_transport.h"

#include <asio/any_io_executor.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>

#include <memory>
#include <string>

namespace joinery::transport::detail {

/// The socket and its accept loop; shared by its pending handlers, so it outlives its TcpListener
/// until the last of them has run. What is given to its callback is a connected socket, or the
/// Error when the system could not take one.
class TcpAcceptor : public std::enable_shared_from_this<TcpAcceptor> {
  public:
    TcpAcceptor(const asio::any_io_executor& executor,
                const TcpOptions& options,
                OnSocket on_socket);

    Result<void> bind(const asio::ip::tcp::endpoint& endpoint);
    void accept_more();
    /// No callback comes after.
    void stop();
    asio::ip::tcp::endpoint endpoint() const;

  private:
    void on_accept(const asio::error_code& error, asio::ip::tcp::socket socket);
    void on_accept_error(const asio::error_code& error);

    asio::ip::tcp::acceptor acceptor_;
    asio::steady_timer retry_timer_;
    TcpOptions options_;
    // Empty once stopped. Called under a copy of the pointer: the Listener may die inside.
    std::shared_ptr<const OnSocket> on_socket_;
};

/// The user's handle on a TcpAcceptor.
class TcpListener final : public Listener {
  public:
    TcpListener(std::shared_ptr<TcpAcceptor> acceptor, std::string url);
    ~TcpListener() override;
    std::string url() const override;

  private:
    std::shared_ptr<TcpAcceptor> acceptor_;
    std::string url_;
};

}  // namespace joinery::transport::detail
