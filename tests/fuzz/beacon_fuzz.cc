/// @file
/// libFuzzer target for beacons: one that is taken has one encoding, and whatever comes, nobody is
/// nearby but who signed it, nobody is dialled but whom the owner lets in, and only at the host
/// that the datagram came from.
#include "base/assert.h"
#include "engine/discovery.h"
#include "fuzz/pieces.h"
#include "support/dice.h"

#include <algorithm>
#include <array>

using namespace joinery;

namespace {

std::array<std::uint8_t, 32> seed_of(std::uint8_t byte) {
    std::array<std::uint8_t, 32> seed{};
    seed.fill(byte);
    return seed;
}

void check_form(ByteView datagram, const crdt::SigningKey& key) {
    const auto beacon = session::decode_beacon(datagram);
    if (!beacon) return;
    session::Beacon same = *beacon;
    same.device = key.public_key();
    Bytes bytes = session::encode_beacon(same, key);
    JOINERY_ASSERT(bytes.size() == datagram.size());
    // The device and the signature apart.
    std::ranges::copy(datagram.subspan(5, DeviceKey::kSize), bytes.begin() + 5);
    const std::size_t size = bytes.size() - Signature::kSize;
    JOINERY_ASSERT(std::ranges::equal(ByteView(bytes).first(size), datagram.first(size)));
}

struct World {
    World() : friend_(seed_of(1)), stranger(seed_of(2)), self(seed_of(3)) {}

    Bytes beacon_of(const crdt::SigningKey& key, ByteView piece) {
        session::Beacon beacon;
        beacon.device = key.public_key();
        beacon.instance.bytes.fill(piece.size() > 1 ? piece[1] : 0);
        beacon.counter = piece.size() > 2 ? piece[2] : 0;
        beacon.lifetime = std::chrono::seconds(1 + (piece.size() > 3 ? piece[3] : 0));
        beacon.endpoints = {{"tcp", static_cast<std::uint16_t>(piece.size() > 4 ? piece[4] : 0)}};
        return session::encode_beacon(beacon, key);
    }
    void play(ByteView piece) {
        enum : std::uint8_t { raw, honest, odd, changed, wait };
        const std::string host = (piece[0] & 8U) == 0 ? "10.0.0.1" : "10.0.0.2";
        switch (piece[0] & 7U) {
            case raw:
                check_form(piece.subspan(1), self);
                return discovery.take(host, piece.subspan(1), now);
            case honest: return discovery.take(host, beacon_of(friend_, piece), now);
            case odd: return discovery.take(host, beacon_of(stranger, piece), now);
            case changed: {
                Bytes bytes = beacon_of(friend_, piece);
                if (piece.size() > 6) bytes[piece[5] % bytes.size()] ^= piece[6];
                check_form(bytes, self);
                return discovery.take(host, bytes, now);
            }
            default: now += std::chrono::milliseconds(piece.size() * 100); discovery.on_time(now);
        }
    }
    void check() {
        JOINERY_ASSERT(discovery.nearby().size() <= 2 * detail::kNearbyOfDeviceMax);
        for (const NearbyPeer& peer : discovery.nearby()) {
            const bool is_friend = peer.device == friend_.public_key();
            JOINERY_ASSERT(is_friend || peer.device == stranger.public_key());
            JOINERY_ASSERT(peer.is_trusted == is_friend);
        }
        for (const auto& wish : discovery.take_wishes()) {
            JOINERY_ASSERT(wish.device == friend_.public_key());
            for (const std::string& url : wish.urls)
                JOINERY_ASSERT(url.starts_with("tcp://10.0.0."));
        }
    }

    crdt::SigningKey friend_, stranger, self;
    MonotonicTime now{};
    detail::Discovery discovery{{self.public_key(),
                                 [this](const DeviceKey& device, std::string_view) {
                                     return device == friend_.public_key();
                                 },
                                 [](std::string_view url) { return url.starts_with("tcp://"); }}};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    World world;
    for (fuzz::Pieces pieces(data, size); !pieces.is_empty();) {
        const ByteView piece = pieces.next();
        if (piece.empty()) continue;
        world.play(piece);
        world.check();
    }
    return 0;
}
