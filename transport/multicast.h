/// @file
/// Datagrams to everybody on the local network: IPv4 multicast over UDP, not beyond the first
/// router.
#pragma once

#include "base/datagram.h"
#include "base/result.h"

#include <asio/any_io_executor.hpp>

#include <cstdint>
#include <memory>
#include <string>

namespace joinery::transport {

struct MulticastOptions {
    std::string group;  ///< An IPv4 multicast address.
    std::uint16_t port = 0;
    /// The IPv4 address of the one interface to use; empty: all that are up and have multicast,
    /// also those that come later.
    std::string interface_address{};
};

/// `malformed` for options that name no group, no port or no interface.
Result<void> check_multicast(const MulticastOptions& options);

/// Makes a group of @p options, which check_multicast() has passed. Hears the programs of this
/// machine as well, several of which may be in one group.
///
/// @param executor  As for make_tcp_transport().
std::unique_ptr<DatagramGroup> make_multicast_group(const asio::any_io_executor& executor,
                                                    MulticastOptions options);

}  // namespace joinery::transport
