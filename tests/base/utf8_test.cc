#include "tests/support/utf8.h"

#include "base/bytes.h"
#include "base/value.h"
#include "tests/support/shared_data.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <string>

namespace joinery {
namespace {

bool is_utf8_text(std::string_view text) { return is_utf8(as_bytes(text)); }

TEST(Utf8, TakesEveryScalarValueAndNothingElse) {
    for (std::uint32_t code = 0; code < 0x120000; ++code) {
        const bool is_scalar = code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
        ASSERT_EQ(is_utf8_text(testing::encode_utf8(code)), is_scalar) << std::hex << code;
    }
}

TEST(Utf8, RefusesEveryFormThatIsTooLong) {
    for (std::uint32_t code = 0; code < 0x800; ++code) {
        const std::string two{static_cast<char>(0xc0 | code >> 6U),
                              static_cast<char>(0x80 | (code & 0x3f))};
        const std::string three =
            std::string("\xe0") + static_cast<char>(0x80 | code >> 6U) + two[1];
        if (code < 0x80) {
            ASSERT_FALSE(is_utf8_text(two)) << code;
        }
        ASSERT_FALSE(is_utf8_text(three)) << code;
        ASSERT_FALSE(is_utf8_text("\xf0\x80" + three.substr(1))) << code;
    }
}

TEST(Utf8, RefusesASequenceCutShortAnywhere) {
    for (const std::uint32_t code : {0xe9U, 0x20acU, 0x1f602U}) {
        const std::string whole = testing::encode_utf8(code);
        for (std::size_t size = 1; size < whole.size(); ++size) {
            EXPECT_FALSE(is_utf8_text(whole.substr(0, size)));
            EXPECT_FALSE(is_utf8_text(whole.substr(0, size) + "a"));
            EXPECT_FALSE(is_utf8_text(whole.substr(size)));
        }
    }
}

TEST(Utf8, AgreesWithTheAutobahnSuite) {
    const auto path = testing::shared_path("data/protocol-vectors/websocket/autobahn-utf8.jsonl");
    JOINERY_SKIP_WITHOUT(path);
    std::size_t count = 0;
    for (const std::string& line : testing::read_lines(path)) {
        const auto vector = nlohmann::json::parse(line);
        const auto hex = vector.at("hex").get<std::string>();
        Bytes payload(hex.size() / 2);
        ASSERT_TRUE(parse_hex(hex, payload));
        EXPECT_EQ(is_utf8(payload), vector.at("valid").get<bool>()) << vector.at("case");
        ++count;
    }
    EXPECT_GE(count, 100U);
}

}  // namespace
}  // namespace joinery
