/// @file
/// Saying something to all of a network at once. A DatagramGroup knows nothing of who is meant.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <cstddef>
#include <functional>
#include <string_view>

namespace joinery {

/// Longest datagram that a DatagramGroup carries, in bytes: one that no network takes apart.
inline constexpr std::size_t kDatagramSizeMax = 1200;

/// Endpoints each of which hears what any of them says, itself too. Datagrams may be lost, come
/// twice or in another order, and anybody may send one, also in somebody else's name.
///
/// @par Thread safety
/// All calls and callbacks on one executor. Callbacks are never called from inside a call.
class DatagramGroup {
  public:
    /// A datagram, borrowed for the call, and the host that it says it comes from, as a URL names
    /// it. It may be longer than kDatagramSizeMax.
    using OnDatagram = std::function<void(std::string_view host, ByteView datagram)>;

    DatagramGroup() = default;
    DatagramGroup(const DatagramGroup&) = delete;
    DatagramGroup& operator=(const DatagramGroup&) = delete;
    /// Leaves the group. No callback comes after.
    virtual ~DatagramGroup() = default;

    /// Joins the group. `io` where the system does not let it in now; may be called again then.
    virtual Result<void> start(OnDatagram on_datagram) = 0;
    /// Says @p datagram to all. `over_limit` if longer than kDatagramSizeMax, `io`, `disconnected`
    /// before start().
    virtual Result<void> send(ByteView datagram) = 0;
};

}  // namespace joinery
