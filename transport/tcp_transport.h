/// @file
/// Links over TCP: `tcp://HOST:PORT`, HOST a name, an IPv4 address or an IPv6 address in brackets.
/// The only header of transport/ with Asio that others include.
#pragma once

#include "base/link.h"
#include "transport/send_limit.h"

#include <asio/any_io_executor.hpp>

#include <chrono>
#include <memory>

namespace joinery::transport {

/// What a TCP transport lets its Links do.
struct TcpOptions {
    /// Bound on what one Link queues for sending, in bytes; beyond it send() says `busy`.
    std::size_t queue_size_max = kQueueSizeMaxDefault;
    /// How long close() waits for the other side to take what is queued and to end as well. Then
    /// the connection is cut and on_closed says `disconnected`.
    std::chrono::milliseconds close_time_limit{5000};
    /// How long connect() may take, with the look-up of the name and all of its addresses.
    std::chrono::milliseconds connect_time_limit{10000};
    /// How long a Listener waits before it tries again when the system could not take a Link.
    std::chrono::milliseconds accept_retry_delay{100};
};

/// Makes a transport for `tcp` URLs.
///
/// @param executor  Runs every callback. Runs one handler at a time: a strand, or the executor of
/// an
///                  io_context that one thread runs. All calls to the transport and to what it
///                  makes come from handlers of it, or while none of them runs. Its context must
///                  outlive the transport and all that it makes.
std::unique_ptr<Transport> make_tcp_transport(asio::any_io_executor executor,
                                              const TcpOptions& options = {});

}  // namespace joinery::transport
