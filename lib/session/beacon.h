/// @file
/// What a peer says to all of its network: who it is and where it listens. docs/discovery.md.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "crdt/hash.h"
#include "session/channel.h"

#include <chrono>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace joinery::session {

/// Endpoints of a beacon, at least one; bytes of a scheme, a path and a name.
inline constexpr std::size_t kEndpointsMax = 8;
inline constexpr std::size_t kEndpointSchemeSizeMax = 8;
inline constexpr std::size_t kEndpointPathSizeMax = 64;
inline constexpr std::size_t kBeaconNameSizeMax = 64;
inline constexpr std::chrono::milliseconds kBeaconLifetimeMax = std::chrono::hours(1);
/// Bytes of the longest beacon: less than any network takes apart.
inline constexpr std::size_t kBeaconSizeMax = 803;

/// Where a peer listens, on the host that the datagram comes from: a beacon cannot name another.
struct Endpoint {
    std::string scheme;      ///< 1 to 8 of a-z and 0-9, a letter first.
    std::uint16_t port = 0;  ///< 0: the scheme's own.
    std::string path{};      ///< Empty, or from '/' on: no space, '?' or '#'.
    friend std::strong_ordering operator<=>(const Endpoint&, const Endpoint&) = default;
};

/// Whether @p endpoint can be said in a beacon.
bool is_endpoint(const Endpoint& endpoint) noexcept;

struct Beacon {
    DeviceKey device;
    PeerInstance instance;
    std::uint64_t counter = 0;              ///< Greater in each later beacon of the instance.
    std::chrono::milliseconds lifetime{0};  ///< How long it holds; 1 to kBeaconLifetimeMax.
    std::string name{};                     ///< UTF-8, for people; may be empty.
    std::vector<Endpoint> endpoints{};      ///< Ascending, each once.
    friend bool operator==(const Beacon&, const Beacon&) = default;
};

/// The bytes of @p beacon, which is within its limits, signed by @p key, which is its device's.
Bytes encode_beacon(const Beacon& beacon, const crdt::SigningKey& key);

/// Reads untrusted bytes; looks at everything but the signature. Cheap: some copies of texts.
///
/// @return The beacon; `unsupported` for another version, `over_limit`, `malformed` for all that
///         encode_beacon() would not have written.
Result<Beacon> decode_beacon(ByteView datagram);

/// Whether @p datagram, of which decode_beacon() made @p beacon, is signed by its device. 50 us.
bool is_signed(ByteView datagram, const Beacon& beacon);

}  // namespace joinery::session
