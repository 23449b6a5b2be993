#include "session/beacon.h"

#include "base/assert.h"
#include "base/value.h"
#include "crdt/cursor.h"

#include <algorithm>

namespace joinery::session {
namespace {

constexpr std::string_view kMagic = "JNRB";
constexpr std::uint8_t kVersion = 1;
/// What the signature is over begins with it: no other signature of a device is one of a beacon.
constexpr std::string_view kSignedText = "joinery beacon 1";

constexpr bool is_letter(char c) noexcept { return c >= 'a' && c <= 'z'; }
constexpr bool is_scheme_char(char c) noexcept { return is_letter(c) || (c >= '0' && c <= '9'); }
constexpr bool is_path_char(char c) noexcept {
    return c > ' ' && c < '\x7f' && c != '?' && c != '#';
}

Bytes signed_bytes(ByteView before_signature) {
    Bytes bytes;
    crdt::ByteWriter out(bytes);
    out.raw(as_bytes(kSignedText));
    out.raw(before_signature);
    return bytes;
}

Endpoint read_endpoint(crdt::ByteReader& in) {
    Endpoint endpoint;
    endpoint.scheme = as_text(in.sized(kEndpointSchemeSizeMax, "a beacon's scheme is too long"));
    const std::uint8_t low = in.u8();
    endpoint.port = static_cast<std::uint16_t>(low | in.u8() << 8U);
    endpoint.path = as_text(in.sized(kEndpointPathSizeMax, "a beacon's path is too long"));
    return endpoint;
}

void read_endpoints(crdt::ByteReader& in, std::vector<Endpoint>& endpoints) {
    const std::uint64_t count =
        in.varint_at_most(kEndpointsMax, "a beacon has at most 8 endpoints");
    if (count == 0) in.refuse(Errc::malformed, "a beacon without an endpoint");
    for (std::uint64_t i = 0; i < count && in.ok(); ++i) {
        endpoints.push_back(read_endpoint(in));
        if (!in.ok()) return;
        if (!is_endpoint(endpoints.back())) {
            in.refuse(Errc::malformed, "an endpoint that no URL can name");
        } else if (i > 0 && endpoints[i - 1] >= endpoints[i]) {
            in.refuse(Errc::malformed, "a beacon's endpoints do not ascend");
        }
    }
}

}  // namespace

bool is_endpoint(const Endpoint& endpoint) noexcept {
    const std::string& scheme = endpoint.scheme;
    const std::string& path = endpoint.path;
    if (scheme.empty() || scheme.size() > kEndpointSchemeSizeMax || !is_letter(scheme[0]) ||
        !std::ranges::all_of(scheme, is_scheme_char)) {
        return false;
    }
    return path.empty() || (path[0] == '/' && path.size() <= kEndpointPathSizeMax &&
                            std::ranges::all_of(path, is_path_char));
}

Bytes encode_beacon(const Beacon& beacon, const crdt::SigningKey& key) {
    JOINERY_ASSERT(beacon.device == key.public_key());
    Bytes bytes;
    crdt::ByteWriter out(bytes);
    out.raw(as_bytes(kMagic));
    out.u8(kVersion);
    out.raw(beacon.device.view());
    out.raw(beacon.instance.view());
    out.u64(beacon.counter);
    out.varint(static_cast<std::uint64_t>(beacon.lifetime.count()));
    out.sized(as_bytes(beacon.name));
    out.varint(beacon.endpoints.size());
    for (const Endpoint& endpoint : beacon.endpoints) {
        out.sized(as_bytes(endpoint.scheme));
        out.u8(static_cast<std::uint8_t>(endpoint.port & 0xffU));
        out.u8(static_cast<std::uint8_t>(endpoint.port >> 8U));
        out.sized(as_bytes(endpoint.path));
    }
    out.raw(key.sign(signed_bytes(bytes)).view());
    JOINERY_ASSERT(bytes.size() <= kBeaconSizeMax);
    return bytes;
}

Result<Beacon> decode_beacon(ByteView datagram) {
    if (datagram.size() > kBeaconSizeMax) return fail(Errc::over_limit, "a beacon is too long");
    crdt::ByteReader in(datagram);
    if (as_text(in.raw(kMagic.size())) != kMagic) return fail(Errc::malformed, "not a beacon");
    if (in.u8() != kVersion) return fail(Errc::unsupported, "a beacon of another version", 4);
    Beacon beacon;
    beacon.device = in.fixed<DeviceKey>();
    beacon.instance = in.fixed<PeerInstance>();
    beacon.counter = in.u64();
    beacon.lifetime = std::chrono::milliseconds(
        in.varint_at_most(static_cast<std::uint64_t>(kBeaconLifetimeMax.count()),
                          "a beacon holds for an hour at most"));
    if (beacon.lifetime.count() == 0) in.refuse(Errc::malformed, "a beacon that does not hold");
    beacon.name = as_text(in.sized(kBeaconNameSizeMax, "a beacon's name is too long"));
    read_endpoints(in, beacon.endpoints);
    static_cast<void>(in.raw(Signature::kSize));
    JOINERY_TRY_VOID(in.finish());
    if (!is_utf8(as_bytes(beacon.name))) return fail(Errc::malformed, "a name that is not UTF-8");
    return beacon;
}

bool is_signed(ByteView datagram, const Beacon& beacon) {
    const std::size_t size = datagram.size() - Signature::kSize;
    Signature signature;
    std::ranges::copy(datagram.subspan(size), signature.bytes.begin());
    return crdt::verify(beacon.device, signed_bytes(datagram.first(size)), signature);
}

}  // namespace joinery::session
