// Whom a peer takes to be nearby, and whom of them it would dial, whatever comes.

#include "engine/discovery.h"

#include "support/dice.h"

#include <algorithm>
#include <array>
#include <gtest/gtest.h>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace joinery::detail {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

/// Somebody on the network, with a key of his own.
struct Speaker {
    explicit Speaker(std::uint64_t number) : key(seed_of(number)) {
        beacon.device = key.public_key();
        beacon.instance.bytes.fill(1);
        beacon.counter = 1;
        beacon.lifetime = 10s;
        beacon.endpoints = {{"tcp", 7700}};
    }
    static std::array<std::uint8_t, 32> seed_of(std::uint64_t number) {
        std::array<std::uint8_t, 32> seed{};
        test::SeededRandom(number).fill(seed);
        return seed;
    }
    /// His next beacon.
    Bytes next() {
        ++beacon.counter;
        return session::encode_beacon(beacon, key);
    }
    const DeviceKey& device() const { return key.public_key(); }

    crdt::SigningKey key;
    session::Beacon beacon;
};

class DiscoveryTest : public ::testing::Test {
  protected:
    using Wishes = std::vector<Discovery::Wish>;
    using Urls = std::vector<std::string>;

    void take(ByteView datagram, const std::string& host = "10.0.0.2") {
        discovery_.take(host, datagram, now_);
    }
    Wishes wishes() { return discovery_.take_wishes(); }
    const Discovery::Counters& counters() const { return discovery_.counters(); }

    Speaker self_{0}, friend_{1}, stranger_{2};
    std::set<DeviceKey> trusted_{friend_.device()};
    MonotonicTime now_{100s};
    Discovery discovery_{
        {self_.device(),
         [this](const DeviceKey& device, std::string_view) { return trusted_.contains(device); },
         [](std::string_view url) { return url.starts_with("tcp://"); }}};
};

TEST_F(DiscoveryTest, WhoIsTrustedIsDialledAtTheHostThatHeSpeaksFrom) {
    friend_.beacon.name = "kiosk";
    friend_.beacon.endpoints = {{"gopher", 70}, {"tcp", 7700}, {"tcp", 7701}};
    take(friend_.next());
    const Urls urls{"tcp://10.0.0.2:7700", "tcp://10.0.0.2:7701"};
    EXPECT_EQ(wishes(), (Wishes{{friend_.device(), urls}}));
    EXPECT_EQ(discovery_.nearby(),
              (std::vector<NearbyPeer>{{friend_.device(), "kiosk", urls[0], true}}));
    take(friend_.next());
    EXPECT_TRUE(wishes().empty()) << "nothing is new";
    take(friend_.next(), "10.0.0.3");
    EXPECT_EQ(wishes().at(0).urls.at(0), "tcp://10.0.0.3:7700") << "he moved";
}

TEST_F(DiscoveryTest, AStrangerIsListedAndNotDialled) {
    take(stranger_.next());
    EXPECT_TRUE(wishes().empty());
    ASSERT_EQ(discovery_.nearby().size(), 1U);
    EXPECT_FALSE(discovery_.nearby()[0].is_trusted);
    trusted_.insert(stranger_.device());
    discovery_.on_time(now_);
    EXPECT_EQ(wishes().size(), 1U);
    EXPECT_TRUE(discovery_.nearby()[0].is_trusted);
    trusted_.clear();
    discovery_.on_time(now_);
    EXPECT_EQ(wishes(), (Wishes{{stranger_.device(), {}}}));
}

TEST_F(DiscoveryTest, NobodyIsHimself) {
    trusted_.insert(self_.device());
    take(self_.next());
    EXPECT_TRUE(wishes().empty());
    EXPECT_TRUE(discovery_.nearby().empty());
    EXPECT_EQ(counters().own, 1U);
}

TEST_F(DiscoveryTest, WhoSaysNothingMoreIsForgottenInTime) {
    take(friend_.next());
    wishes();
    now_ += 9999ms;
    discovery_.on_time(now_);
    EXPECT_TRUE(wishes().empty());
    now_ += 1ms;
    discovery_.on_time(now_);
    EXPECT_EQ(wishes(), (Wishes{{friend_.device(), {}}}));
    EXPECT_TRUE(discovery_.nearby().empty());
}

TEST_F(DiscoveryTest, WhatWasHeardBeforeIsNotHeardAgain) {
    const Bytes first = friend_.next();
    const Bytes second = friend_.next();
    take(second);
    wishes();
    for (const Bytes& old : {first, second})
        take(old, "10.6.6.6");
    EXPECT_EQ(counters().repeated, 2U);
    EXPECT_TRUE(wishes().empty());
    now_ += 9s;
    take(second);
    now_ += 1s;
    discovery_.on_time(now_);
    EXPECT_TRUE(discovery_.nearby().empty()) << "it does not hold for longer";
    take(second, "10.6.6.6");
    EXPECT_TRUE(discovery_.nearby().empty()) << "nor again";
    take(friend_.next());
    EXPECT_EQ(discovery_.nearby().size(), 1U);
}

TEST_F(DiscoveryTest, SeveralRunsOfADeviceAreOnePeer) {
    take(friend_.next());
    for (std::uint8_t run = 2; run < 10; ++run) {
        friend_.beacon.instance.bytes.fill(run);
        friend_.beacon.endpoints = {{"tcp", static_cast<std::uint16_t>(7700 + run)}};
        now_ += 1ms;
        take(friend_.next());
    }
    const Wishes wished = wishes();
    ASSERT_EQ(wished.size(), 1U);
    // The latest ones.
    EXPECT_EQ(wished[0].urls,
              (Urls{"tcp://10.0.0.2:7706",
                    "tcp://10.0.0.2:7707",
                    "tcp://10.0.0.2:7708",
                    "tcp://10.0.0.2:7709"}));
}

TEST_F(DiscoveryTest, WhatIsForgedHasNoEffect) {
    const Bytes whole = friend_.next();
    for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
        Bytes bytes = whole;
        bytes[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
        now_ += 100ms;
        take(bytes);
    }
    for (std::size_t size = 0; size < whole.size(); ++size)
        take(ByteView(whole).first(size));
    take(Bytes(65000, 'x'));
    EXPECT_EQ(counters().taken, 0U);
    EXPECT_GT(counters().forged, 0U);
    EXPECT_TRUE(wishes().empty());
    EXPECT_TRUE(discovery_.nearby().empty());
    take(whole);
    EXPECT_EQ(wishes().size(), 1U);
}

TEST_F(DiscoveryTest, AFloodCostsABoundedNumberOfLooksAtSignatures) {
    Bytes forged = friend_.next();
    forged.back() ^= 1U;
    for (int i = 0; i < 10000; ++i)
        take(forged);
    EXPECT_EQ(counters().forged, kBeaconsOfHostPerSecond);
    take(friend_.next(), "10.0.0.3");
    EXPECT_EQ(wishes().size(), 1U) << "another host is not to suffer";
    for (int host = 0; host < 250; ++host) {
        for (int i = 0; i < 10; ++i)
            take(forged, "10.0.1." + std::to_string(host));
    }
    EXPECT_EQ(counters().forged, 0U + kBeaconsOfHostPerSecond)
        << "of a run that is known, what is not later costs nothing";
    Speaker nobody(77);
    for (int host = 0; host < 250; ++host) {
        Bytes other = nobody.next();
        other.back() ^= 1U;
        take(other, "10.0.1." + std::to_string(host));
    }
    EXPECT_EQ(counters().forged + counters().taken, kBeaconsPerSecond);
    now_ += 1s;
    take(friend_.next());
    EXPECT_EQ(counters().taken, 2U);
}

TEST_F(DiscoveryTest, AsManyStrangersAsYouLikeKeepNoFriendOut) {
    for (std::uint64_t i = 0; i < kNearbyMax + 50; ++i) {
        now_ += 10ms;
        Speaker stranger(1000 + i);
        take(stranger.next(), "10.1.0." + std::to_string(i % 200));
    }
    EXPECT_EQ(discovery_.nearby().size(), kNearbyMax);
    now_ += 1s;
    take(friend_.next());
    EXPECT_EQ(discovery_.nearby().size(), kNearbyMax);
    EXPECT_EQ(wishes().size(), 1U);
}

}  // namespace
}  // namespace joinery::detail
