#include "base/bytes.h"

#include <gtest/gtest.h>
#include <numeric>

namespace joinery {
namespace {

TEST(Hex, ReadsBackEveryByte) {
    Bytes bytes(256);
    std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
    const std::string hex = to_hex(bytes);
    EXPECT_EQ(hex.substr(0, 6), "000102");
    EXPECT_EQ(hex.substr(506), "fdfeff");
    Bytes again(256);
    ASSERT_TRUE(parse_hex(hex, again));
    EXPECT_EQ(again, bytes);
}

TEST(Hex, ReadsCapitalsToo) {
    Bytes out(2);
    ASSERT_TRUE(parse_hex("aBFf", out));
    EXPECT_EQ(out, (Bytes{0xab, 0xff}));
}

TEST(Hex, RefusesAnotherLengthOrAnotherDigit) {
    Bytes out(2);
    for (const char* hex :
         {"", "ab", "abc", "abcde", "abcdef", "abcg", "abc ", "0xab", "-1ab", "@`:/"}) {
        EXPECT_FALSE(parse_hex(hex, out)) << hex;
    }
    EXPECT_TRUE(parse_hex("", {}));
}

TEST(FixedBytes, CompareAsUnsignedBytes) {
    ActorId low;
    ActorId high;
    low.bytes[0] = 0x7f;
    high.bytes[0] = 0x80;
    EXPECT_LT(low, high);
    EXPECT_NE(low, high);
    high.bytes[0] = 0x7f;
    EXPECT_EQ(low, high);
    high.bytes[15] = 1;
    EXPECT_LT(low, high);
}

TEST(FixedBytes, AreZeroUntilSet) {
    Digest digest;
    EXPECT_TRUE(digest.is_zero());
    digest.bytes[31] = 1;
    EXPECT_FALSE(digest.is_zero());
    EXPECT_EQ(digest.view().size(), Digest::kSize);
}

TEST(Views, KeepTheBytesBetweenTextAndBytes) {
    const std::string_view text("a\0\xff", 3);
    EXPECT_EQ(as_text(as_bytes(text)), text);
    EXPECT_EQ(to_hex(as_bytes(text)), "6100ff");
}

}  // namespace
}  // namespace joinery
