/// @file
/// The two kinds of stream that carry a WebSocket: a TCP socket, and TLS over one. Private to
/// transport/.
#pragma once

#include <asio/ip/tcp.hpp>
#include <asio/ssl/stream.hpp>

#include <memory>

namespace joinery::transport::detail {

using PlainStream = asio::ip::tcp::socket;
using TlsStream = asio::ssl::stream<asio::ip::tcp::socket>;

inline asio::ip::tcp::socket& socket_of(PlainStream& stream) noexcept { return stream; }
inline asio::ip::tcp::socket& socket_of(TlsStream& stream) { return stream.next_layer(); }

}  // namespace joinery::transport::detail
