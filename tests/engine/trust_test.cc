// The records of trusted keys and of keys that answered (docs/storage-format.md): their bytes, and
// what is refused.

#include "engine/trust.h"

#include "persist/memory_store.h"
#include "support/dice.h"

#include <gtest/gtest.h>

namespace joinery::detail {
namespace {

class TrustTest : public testing::Test {
  protected:
    static DeviceKey key(std::uint8_t fill) {
        DeviceKey key;
        key.bytes.fill(fill);
        return key;
    }
    std::string record_of(const DeviceKey& device) {
        Bytes name{'t', 'r', 'u', 's', 't', '/'};
        name.insert(name.end(), device.bytes.begin(), device.bytes.end());
        const auto reader = *store_->read();
        const auto value = reader->get(Table::meta, name).value();
        return value ? to_hex(*value) : "none";
    }
    static Result<TrustedPeer> decode(std::string_view hex) {
        Bytes name(6 + DeviceKey::kSize, 9), value(hex.size() / 2);
        EXPECT_TRUE(parse_hex(hex, value));
        return decode_trusted(name, value);
    }

    persist::MemoryDisk disk_;
    test::SeededRandom random_{1};
    std::unique_ptr<Store> store_ = *persist::open_memory_store(disk_, random_);
};

TEST_F(TrustTest, RecordsAreTheBytesOfTheFormat) {
    ASSERT_TRUE(trust_peer(*store_, {key(1), "hub"}).has_value());
    EXPECT_EQ(record_of(key(1)), "01687562");
    ASSERT_TRUE(trust_peer(*store_, {key(2), "tv", {{"ops/*", "a"}, {}}}).has_value());
    EXPECT_EQ(record_of(key(2)), "0202747602056f70732f2a016100");
    const auto list = trusted_peers(*store_).value();
    ASSERT_EQ(list.size(), 2U);
    EXPECT_EQ(list[1], (TrustedPeer{key(2), "tv", {{"ops/*", "a"}, {}}}));
    EXPECT_EQ(access_of(*store_, key(1)).value(), Access());
    EXPECT_EQ(access_of(*store_, key(2)).value(), (Access{{"ops/*", "a"}, {}}));
    EXPECT_EQ(access_of(*store_, key(3)).value(), std::nullopt);
}

TEST_F(TrustTest, WhatIsNoRecordIsRefused) {
    EXPECT_EQ(decode("").error().code, Errc::malformed);
    EXPECT_EQ(decode("03").error().code, Errc::unsupported);
    EXPECT_EQ(decode("01ff").error().code, Errc::malformed);
    EXPECT_EQ(decode("01" + to_hex(Bytes(65, 'n'))).error().code, Errc::over_limit);
    const std::string whole = "0202747602056f70732f2a016100";
    ASSERT_TRUE(decode(whole).has_value());
    for (std::size_t size = 2; size < whole.size(); size += 2)
        EXPECT_FALSE(decode(whole.substr(0, size)).has_value()) << size;
    EXPECT_EQ(decode(whole + "00").error().code, Errc::malformed);
    EXPECT_EQ(decode("0200ffffffffff0f00").error().code, Errc::malformed) << "a count past the end";
    EXPECT_EQ(decode("0200010000").error().code, Errc::malformed) << "an empty pattern";
}

TEST_F(TrustTest, WhatIsNotWithinItsLimitsIsNotPutDown) {
    EXPECT_EQ(trust_peer(*store_, {key(1), std::string(65, 'n')}).error().code, Errc::over_limit);
    EXPECT_EQ(trust_peer(*store_, {key(1), "\xff"}).error().code, Errc::malformed);
    EXPECT_EQ(trust_peer(*store_, {key(1), "", {{""}, {}}}).error().code, Errc::malformed);
    EXPECT_EQ(trust_peer(*store_, {key(1), "", {{}, {std::string(1025, 'x')}}}).error().code,
              Errc::over_limit);
    EXPECT_TRUE(trusted_peers(*store_).value().empty());
}

TEST_F(TrustTest, TheKeyThatAnsweredFirstStaysUntilItIsForgotten) {
    EXPECT_EQ(key_at(*store_, "tcp://hub:1").value(), std::nullopt);
    ASSERT_TRUE(note_key_at(*store_, "tcp://hub:1", key(1)).has_value());
    ASSERT_TRUE(note_key_at(*store_, "tcp://hub:1", key(2)).has_value());
    ASSERT_TRUE(note_key_at(*store_, "tcp://hub:2", key(2)).has_value());
    EXPECT_EQ(key_at(*store_, "tcp://hub:1").value(), key(1));
    EXPECT_EQ(key_at(*store_, "tcp://hub:2").value(), key(2));
    EXPECT_TRUE(trusted_peers(*store_).value().empty());
    ASSERT_TRUE(distrust_peer(*store_, key(1)).has_value());
    EXPECT_EQ(key_at(*store_, "tcp://hub:1").value(), std::nullopt);
    EXPECT_EQ(key_at(*store_, "tcp://hub:2").value(), key(2));
    EXPECT_EQ(distrust_peer(*store_, key(1)).error().code, Errc::not_found);
}

}  // namespace
}  // namespace joinery::detail
