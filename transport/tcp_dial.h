/// @file
/// One attempt to connect over TCP. Private to transport/: tcp_transport.h makes them.
#pragma once

#include "base/link.h"
#include "transport/tcp_address.h"
#include "transport/tcp_transport.h"

#include <asio/any_io_executor.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>

#include <cstddef>
#include <functional>
#include <memory>

namespace joinery::transport::detail {

/// A connected socket and the address that answered, or the Error.
struct TcpAnswer {
    asio::ip::tcp::socket socket;
    asio::ip::tcp::endpoint remote;
};
using OnSocket = std::function<void(Result<TcpAnswer>)>;

/// Looks the host up, tries its addresses in order, and answers once.
class TcpDial : public std::enable_shared_from_this<TcpDial> {
  public:
    TcpDial(const asio::any_io_executor& executor, const TcpOptions& options, OnSocket on_socket);

    /// Dials the host and port of @p url; where it is an Error, that is the answer.
    void start(Result<Url> url);
    /// No callback comes after.
    void abandon();

  private:
    void resolve(const Url& url);
    void connect_to(TcpEndpoints endpoints);
    void try_next();
    void on_connect(const asio::error_code& error);
    void finish(Result<TcpAnswer> result);
    void release();

    asio::ip::tcp::resolver resolver_;
    asio::ip::tcp::socket socket_;
    asio::steady_timer timer_;
    TcpOptions options_;
    OnSocket on_socket_;  // empty once answered or abandoned
    TcpEndpoints endpoints_;
    std::size_t next_index_ = 0;
};

}  // namespace joinery::transport::detail
