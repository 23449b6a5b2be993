// Beacons as bytes: what is written, and what is not taken.

#include "session/beacon.h"

#include "support/dice.h"
#include "support/vectors.h"

#include <algorithm>
#include <array>
#include <gtest/gtest.h>
#include <string>

namespace joinery::session {
namespace {

using std::chrono_literals::operator""ms;

std::array<std::uint8_t, 32> seed_of(std::uint8_t byte) {
    std::array<std::uint8_t, 32> seed{};
    seed.fill(byte);
    return seed;
}

class BeaconTest : public ::testing::Test {
  protected:
    Beacon small() const {
        Beacon beacon;
        beacon.device = key_.public_key();
        beacon.instance.bytes.fill(0x11);
        beacon.counter = 1;
        beacon.lifetime = 17500ms;
        beacon.endpoints = {{"tcp", 7700}};
        return beacon;
    }
    Beacon full() const {
        Beacon beacon = small();
        beacon.counter = UINT64_MAX;
        beacon.lifetime = kBeaconLifetimeMax;
        beacon.name = std::string(kBeaconNameSizeMax, 'n');
        beacon.endpoints.clear();
        for (std::size_t i = 0; i < kEndpointsMax; ++i) {
            beacon.endpoints.push_back({"abcdefg" + std::to_string(i),
                                        65535,
                                        "/" + std::string(kEndpointPathSizeMax - 1, '~')});
        }
        return beacon;
    }
    /// The bytes of @p beacon, whatever it holds, with a signature that is right.
    Errc refused(const Beacon& beacon) const {
        const auto decoded = decode_beacon(encode_beacon(beacon, key_));
        return decoded ? Errc::io : decoded.error().code;
    }

    crdt::SigningKey key_{seed_of(1)};
    test::Vectors vectors_{"beacon-1/beacons.hex"};
};

TEST_F(BeaconTest, EncodesToTheVectors) {
    Beacon web = small();
    web.counter = 258;
    web.name = "kiosk 3";
    web.endpoints = {{"tcp", 7700}, {"ws", 0, "/joinery"}, {"wss", 8443, "/"}};
    vectors_.expect("small", encode_beacon(small(), key_));
    vectors_.expect("web", encode_beacon(web, key_));
    vectors_.expect("full", encode_beacon(full(), key_));
    EXPECT_EQ(vectors_.size(), 3U);
    for (const char* name : {"small", "web", "full"}) {
        const Bytes bytes = vectors_.at(name);
        const auto beacon = decode_beacon(bytes);
        ASSERT_TRUE(beacon.has_value()) << beacon.error().what;
        EXPECT_TRUE(is_signed(bytes, *beacon));
        EXPECT_EQ(encode_beacon(*beacon, key_), bytes);
    }
    EXPECT_EQ(*decode_beacon(vectors_.at("web")), web);
    EXPECT_EQ(vectors_.at("full").size(), kBeaconSizeMax);
}

TEST_F(BeaconTest, OnlyTheWholeOfItIsTaken) {
    const Bytes whole = vectors_.at("web");
    for (std::size_t size = 0; size < whole.size(); ++size)
        EXPECT_FALSE(decode_beacon(ByteView(whole).first(size)).has_value()) << size;
    Bytes longer = whole;
    longer.push_back(0);
    EXPECT_FALSE(decode_beacon(longer).has_value());
    longer.resize(65536);
    EXPECT_EQ(decode_beacon(longer).error().code, Errc::over_limit);
}

TEST_F(BeaconTest, ABitThatIsFlippedBreaksTheFormOrTheSignature) {
    const Bytes whole = vectors_.at("web");
    for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
        Bytes bytes = whole;
        bytes[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
        const auto beacon = decode_beacon(bytes);
        EXPECT_FALSE(beacon && is_signed(bytes, *beacon)) << bit;
    }
}

TEST_F(BeaconTest, WhatAnotherKeySignedIsNotSigned) {
    const crdt::SigningKey other{seed_of(2)};
    Bytes bytes = vectors_.at("small");
    const std::size_t size = bytes.size() - Signature::kSize;
    Bytes signed_bytes(as_bytes("joinery beacon 1").begin(), as_bytes("joinery beacon 1").end());
    signed_bytes.insert(
        signed_bytes.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_TRUE(std::ranges::equal(key_.sign(signed_bytes).bytes, ByteView(bytes).subspan(size)));
    std::ranges::copy(other.sign(signed_bytes).bytes,
                      bytes.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_FALSE(is_signed(bytes, *decode_beacon(bytes)));
}

TEST_F(BeaconTest, WhatHasAnotherFormIsRefusedWithARightSignature) {
    const auto with = [&](auto change) {
        Beacon beacon = small();
        change(beacon);
        return refused(beacon);
    };
    using Endpoints = std::vector<Endpoint>;
    EXPECT_EQ(with([](Beacon&) {}), Errc::io) << "it is taken";
    EXPECT_EQ(with([](Beacon& b) { b.lifetime = 0ms; }), Errc::malformed);
    EXPECT_EQ(with([](Beacon& b) { b.lifetime = kBeaconLifetimeMax + 1ms; }), Errc::over_limit);
    EXPECT_EQ(with([](Beacon& b) { b.name = std::string(65, 'n'); }), Errc::over_limit);
    EXPECT_EQ(with([](Beacon& b) { b.name = "\xff"; }), Errc::malformed);
    EXPECT_EQ(with([](Beacon& b) { b.endpoints.clear(); }), Errc::malformed);
    EXPECT_EQ(with([](Beacon& b) { b.endpoints = Endpoints(9, {"tcp", 1}); }), Errc::over_limit);
    EXPECT_EQ(with([](Beacon& b) { b.endpoints = Endpoints(2, {"tcp", 1}); }), Errc::malformed);
    EXPECT_EQ(with([](Beacon& b) { b.endpoints = Endpoints{{"tcp", 2}, {"tcp", 1}}; }),
              Errc::malformed);
    for (const char* scheme : {"", "TCP", "t cp", "1tcp", "t-c", "tcp:"})
        EXPECT_EQ(with([&](Beacon& b) { b.endpoints = {{scheme, 1}}; }), Errc::malformed) << scheme;
    EXPECT_EQ(with([](Beacon& b) { b.endpoints = {{"abcdefghi", 1}}; }), Errc::over_limit);
    for (const char* path : {"x", "@evil.example/", "/a b", "/a#b", "/a?b", "/\x7f", "/\xc3\xa9"})
        EXPECT_EQ(with([&](Beacon& b) { b.endpoints = {{"ws", 1, path}}; }), Errc::malformed);
    EXPECT_EQ(with([](Beacon& b) { b.endpoints = {{"ws", 1, "/" + std::string(64, 'x')}}; }),
              Errc::over_limit);
    Bytes newer = vectors_.at("small");
    newer[4] = 2;
    EXPECT_EQ(decode_beacon(newer).error().code, Errc::unsupported);
}

TEST_F(BeaconTest, NoiseIsNoBeacon) {
    test::Dice dice(3);
    const Bytes whole = vectors_.at("web");
    for (int i = 0; i < 20000; ++i) {
        Bytes bytes = whole;
        const std::size_t from = dice.below(bytes.size());
        const std::size_t count = 1 + dice.below(8);
        for (std::size_t at = from; at < std::min(from + count, bytes.size()); ++at)
            bytes[at] = static_cast<std::uint8_t>(dice.next());
        if (bytes == whole) continue;
        const auto beacon = decode_beacon(bytes);
        if (!beacon) continue;
        EXPECT_FALSE(is_signed(bytes, *beacon)) << i;
    }
}

}  // namespace
}  // namespace joinery::session
