#include "engine/json_text.h"

#include "base/value.h"
#include "joinery/json.h"
#include "tests/support/utf8.h"

#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>
#include <string>
#include <vector>

namespace joinery {
namespace {

constexpr std::int64_t kIntegerMin = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kIntegerMax = std::numeric_limits<std::int64_t>::max();

Plain integer(std::int64_t number) { return Plain{Value(number)}; }
Plain real(double number) { return Plain{Value(number)}; }
Plain string(std::string_view text) { return Plain{Value(text)}; }

std::string one_and_zeros(std::size_t zeros) { return std::string("1").append(zeros, '0'); }

Plain parse(std::string_view text) {
    auto parsed = parse_json(text);
    EXPECT_TRUE(parsed.has_value()) << text << ": " << (parsed ? "" : parsed.error().what);
    return parsed ? *std::move(parsed) : Plain{};
}

std::string print(const Plain& value, const JsonStyle& style = {}) {
    auto printed = print_json(value, style);
    EXPECT_TRUE(printed.has_value());
    return printed ? *std::move(printed) : std::string();
}

void expect_error(std::string_view text, Errc code, std::uint64_t at) {
    const auto parsed = parse_json(text);
    ASSERT_FALSE(parsed.has_value()) << text;
    EXPECT_EQ(parsed.error().code, code) << text << ": " << parsed.error().what;
    EXPECT_EQ(parsed.error().at, at) << text << ": " << parsed.error().what;
}

TEST(ParseJson, TakesAnyKindOfRoot) {
    EXPECT_EQ(parse("null"), Plain{});
    EXPECT_EQ(parse(" true\n"), Plain{Value(true)});
    EXPECT_EQ(parse("\"x\""), string("x"));
    EXPECT_EQ(parse("[]"), Plain{PlainArray{}});
    EXPECT_EQ(parse("{}"), Plain{PlainObject{}});
    EXPECT_EQ(parse(R"({"b":[1,{"c":null}],"a":2})"),
              (Plain{PlainObject{
                  {"a", integer(2)},
                  {"b", Plain{PlainArray{integer(1), Plain{PlainObject{{"c", Plain{}}}}}}}}}));
}

TEST(ParseJson, KeepsIntegersAndDoublesApart) {
    EXPECT_EQ(parse("1"), integer(1));
    EXPECT_EQ(parse("0"), integer(0));
    EXPECT_EQ(parse("-7"), integer(-7));
    EXPECT_EQ(parse("1.0"), real(1.0));
    EXPECT_EQ(parse("1e0"), real(1.0));
    EXPECT_EQ(parse("1E2"), real(100.0));
    EXPECT_EQ(parse("0.0"), real(0.0));
}

TEST(ParseJson, ReadsMinusZeroAsADouble) {
    for (const char* text : {"-0", "-0.0", "-0e5", "-1e-999"}) {
        EXPECT_EQ(parse(text), real(-0.0)) << text;
    }
    EXPECT_EQ(parse("1e-999"), real(0.0));
}

TEST(ParseJson, ReadsIntegersToTheEndsOf64Bits) {
    EXPECT_EQ(parse("9223372036854775807"), integer(kIntegerMax));
    EXPECT_EQ(parse("-9223372036854775808"), integer(kIntegerMin));
}

TEST(ParseJson, ReadsALargerIntegerOnlyIfADoubleHoldsItExactly) {
    EXPECT_EQ(parse("9223372036854775808"), real(0x1p63));
    EXPECT_EQ(parse("18446744073709549568"), real(0x1p64 - 2048));
    EXPECT_EQ(parse("18446744073709551616"), real(0x1p64));
    EXPECT_EQ(parse("100000000000000000000"), real(1e20));
    EXPECT_EQ(parse("-9223372036854777856"), real(-0x1p63 - 2048));
    EXPECT_EQ(parse(one_and_zeros(22)), real(1e22));
    expect_error("9223372036854775809", Errc::over_limit, 19);
    expect_error("-9223372036854775809", Errc::over_limit, 20);
    expect_error("18446744073709551615", Errc::over_limit, 20);
    expect_error("18446744073709551617", Errc::over_limit, 20);
    expect_error(one_and_zeros(23), Errc::over_limit, 24);
}

TEST(ParseJson, ReadsTheGreatestDoubleInAllItsDigitsAndNotOneMore) {
    const double greatest = std::numeric_limits<double>::max();
    std::array<char, 320> buffer{};
    const auto end = std::to_chars(
        buffer.data(), buffer.data() + buffer.size(), greatest, std::chars_format::fixed, 0);
    std::string digits(buffer.data(), end.ptr);
    EXPECT_EQ(parse(digits), real(greatest));
    ++digits.back();
    expect_error(digits, Errc::over_limit, 309);
}

TEST(ParseJson, RefusesANumberPastTheRangeOfADouble) {
    for (const char* text : {"1e309", "-1e309", "1.8e308", "1e99999999999"}) {
        const auto parsed = parse_json(text);
        ASSERT_FALSE(parsed.has_value()) << text;
        EXPECT_EQ(parsed.error().code, Errc::over_limit);
    }
    EXPECT_EQ(parse_json(one_and_zeros(400)).error().code, Errc::over_limit);
}

TEST(ParseJson, TheLastOfEqualKeysCounts) {
    EXPECT_EQ(parse(R"({"a":1,"b":2,"a":3})"),
              (Plain{PlainObject{{"a", integer(3)}, {"b", integer(2)}}}));
    EXPECT_EQ(parse(R"({"a":1,"a":{"x":1},"\u0061":4})"), (Plain{PlainObject{{"a", integer(4)}}}));
}

TEST(ParseJson, SortsKeysByTheirBytes) {
    // U+FB33 sorts after U+1F602 in UTF-16, before it in UTF-8.
    const Plain parsed = parse(R"({"\ud83d\ude02":1,"\ufb33":2,"b":3,"":4,"B":5,"\u0000":6})");
    std::vector<std::string> keys;
    for (const auto& [key, value] : parsed.object())
        keys.push_back(key);
    const std::vector<std::string> expected{
        "", std::string(1, '\0'), "B", "b", "\xef\xac\xb3", "\xf0\x9f\x98\x82"};
    EXPECT_EQ(keys, expected);
}

TEST(ParseJson, ResolvesEscapes) {
    EXPECT_EQ(parse(R"("\"\\\/\b\f\n\r\t\u0041\u00e9\u20ac\ud83d\ude02")"),
              string("\"\\/\b\f\n\r\tA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x82"));
    EXPECT_EQ(parse(R"("a\u0000b")"), string(std::string_view("a\0b", 3)));
}

TEST(ParseJson, RefusesHalfASurrogatePair) {
    expect_error(R"(["\ud800"])", Errc::malformed, 8);
    expect_error(R"(["\udc00"])", Errc::malformed, 7);
    expect_error(R"(["\ud800\u0041"])", Errc::malformed, 13);
}

TEST(ParseJson, RefusesWhatIsNotUtf8) {
    expect_error("[\"a\xff\"]", Errc::malformed, 3);
    expect_error("[\"\xc0\x80\"]", Errc::malformed, 2);
    expect_error("[\"\xed\xa0\x80\"]", Errc::malformed, 3);
    expect_error("{\"\xe2\x82\":1}", Errc::malformed, 4);
}

TEST(ParseJson, TellsWhereItStopped) {
    expect_error("", Errc::malformed, 0);
    expect_error("[1,]", Errc::malformed, 3);
    expect_error("[1,2", Errc::malformed, 4);
    expect_error("[1] x", Errc::malformed, 4);
    expect_error("{\"a\" 1}", Errc::malformed, 5);
    expect_error("\"a\nb\"", Errc::malformed, 2);
    expect_error("NaN", Errc::malformed, 0);
    expect_error("/* no */1", Errc::malformed, 0);
}

TEST(ParseJson, RefusesAZeroByteThatWouldHideTheRest) {
    expect_error(std::string_view("1\0garbage", 9), Errc::malformed, 1);
    expect_error(std::string_view("{}\0", 3), Errc::malformed, 2);
    expect_error(std::string_view("\0", 1), Errc::malformed, 0);
}

TEST(ParseJson, SkipsAByteOrderMarkInFront) {
    EXPECT_EQ(parse("\xef\xbb\xbf{}"), Plain{PlainObject{}});
    EXPECT_FALSE(parse_json("\xef\xbb{}").has_value());
    EXPECT_FALSE(parse_json("{}\xef\xbb\xbf").has_value());
}

TEST(ParseJson, LimitsNesting) {
    const auto nested = [](std::size_t depth) {
        return std::string(depth, '[') + std::string(depth, ']');
    };
    EXPECT_TRUE(parse_json(nested(128)).has_value());
    expect_error(nested(129), Errc::over_limit, 129);
    EXPECT_TRUE(parse_json("[{}]", {.depth_max = 2}).has_value());
    EXPECT_FALSE(parse_json("[{}]", {.depth_max = 1}).has_value());
    EXPECT_TRUE(parse_json("1", {.depth_max = 0}).has_value());
    // Hostile depth costs no stack.
    expect_error(std::string(1U << 20U, '['), Errc::over_limit, 129);
}

TEST(ParseJson, LimitsKeysAndStrings) {
    const JsonLimits limits{.key_size_max = 3, .string_size_max = 4};
    EXPECT_TRUE(parse_json(R"({"abc":"abcd"})", limits).has_value());
    EXPECT_EQ(parse_json(R"({"abcd":"a"})", limits).error().code, Errc::over_limit);
    EXPECT_EQ(parse_json(R"({"a":"abcde"})", limits).error().code, Errc::over_limit);
    // Bytes count, not characters or escapes.
    EXPECT_TRUE(parse_json(R"(["\u0041\u0041\u0041\u0041"])", limits).has_value());
    EXPECT_FALSE(parse_json(R"(["\u20ac\u20ac"])", limits).has_value());
    EXPECT_TRUE(parse_json(print(string(std::string(1U << 20U, 'x')))).has_value());
    EXPECT_FALSE(parse_json(print(string(std::string((1U << 20U) + 1, 'x')))).has_value());
}

TEST(PrintJson, WritesDoublesSoThatTheyReadBackAsDoubles) {
    EXPECT_EQ(print(real(1.0)), "1.0");
    EXPECT_EQ(print(real(-0.0)), "-0.0");
    EXPECT_EQ(print(real(0.0)), "0.0");
    EXPECT_EQ(print(real(0.1)), "0.1");
    EXPECT_EQ(print(real(1e300)), "1e+300");
    EXPECT_EQ(print(real(5e-324)), "5e-324");
    EXPECT_EQ(print(real(123456789012345680.0)), "123456789012345680.0");
}

TEST(PrintJson, EscapesOnlyWhatItMust) {
    EXPECT_EQ(print(string("\"\\/\b\f\n\r\t\x01\x1f\x7f</script>\xe2\x82\xac")),
              "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f</script>\xe2\x82\xac\"");
    EXPECT_EQ(print(string(std::string_view("\0", 1))), "\"\\u0000\"");
}

TEST(PrintJson, IndentsWhenAsked) {
    const Plain value = parse(R"({"b":[1,[],{}],"a":{"c":null}})");
    EXPECT_EQ(print(value), R"({"a":{"c":null},"b":[1,[],{}]})");
    EXPECT_EQ(print(value, {.indent = 2}),
              "{\n  \"a\": {\n    \"c\": null\n  },\n  \"b\": [\n    1,\n    [],\n    {}\n  ]\n}");
    EXPECT_EQ(print(Plain{PlainArray{}}, {.indent = 2}), "[]");
}

TEST(PrintJson, RefusesWhatJsonHasNoFormFor) {
    const double infinity = std::numeric_limits<double>::infinity();
    const std::vector<Plain> foreign{real(std::nan("")),
                                     real(infinity),
                                     real(-infinity),
                                     Plain{Value(as_bytes("x"))},
                                     Plain{Value(WallTime(0))}};
    const std::vector<std::string> as_text{
        "\"NaN\"", "\"Infinity\"", "\"-Infinity\"", "\"eA==\"", "\"1970-01-01T00:00:00.000Z\""};
    for (std::size_t i = 0; i < foreign.size(); ++i) {
        const auto refused = print_json(Plain{PlainArray{foreign[i]}});
        ASSERT_FALSE(refused.has_value());
        EXPECT_EQ(refused.error().code, Errc::unsupported);
        EXPECT_EQ(print(foreign[i], {.foreign = JsonForeign::as_text}), as_text[i]);
    }
}

TEST(FormatTimestamp, WritesRfc3339WithinItsYears) {
    const auto format = [](std::int64_t ms) { return detail::format_timestamp(WallTime(ms)); };
    EXPECT_EQ(format(1714521600123), "2024-05-01T00:00:00.123Z");
    EXPECT_EQ(format(951827696789), "2000-02-29T12:34:56.789Z");
    EXPECT_EQ(format(-1), "1969-12-31T23:59:59.999Z");
    EXPECT_EQ(format(253402300799999), "9999-12-31T23:59:59.999Z");
    EXPECT_EQ(format(253402300800000), "253402300800000");
    EXPECT_EQ(format(-62167219200000), "0000-01-01T00:00:00.000Z");
    EXPECT_EQ(format(-62167219200001), "-62167219200001");
    EXPECT_EQ(format(kIntegerMin), std::to_string(kIntegerMin));
    EXPECT_EQ(format(kIntegerMax), std::to_string(kIntegerMax));
}

TEST(ToBase64, FollowsTheExamplesOfRfc4648) {
    const std::vector<std::pair<std::string_view, std::string>> examples{{"", ""},
                                                                         {"f", "Zg=="},
                                                                         {"fo", "Zm8="},
                                                                         {"foo", "Zm9v"},
                                                                         {"foob", "Zm9vYg=="},
                                                                         {"fooba", "Zm9vYmE="},
                                                                         {"foobar", "Zm9vYmFy"},
                                                                         {"\xfb\xff", "+/8="}};
    for (const auto& [bytes, text] : examples) {
        EXPECT_EQ(detail::to_base64(as_bytes(bytes)), text);
    }
}

RC_GTEST_PROP(JsonNumbers, EveryFiniteDoubleReadsBackToTheSameBits, ()) {
    const double number = std::bit_cast<double>(*rc::gen::arbitrary<std::uint64_t>());
    RC_PRE(std::isfinite(number));
    const auto text = print_json(real(number));
    RC_ASSERT(text.has_value());
    const auto again = parse_json(*text);
    RC_ASSERT(again.has_value());
    RC_ASSERT(*again == real(number));
}

RC_GTEST_PROP(JsonNumbers, EveryDoubleThatIsAnIntegerReadsBackToTheSameBits, ()) {
    const auto number = static_cast<double>(*rc::gen::arbitrary<std::int64_t>()) *
                        static_cast<double>(*rc::gen::inRange<std::int64_t>(1, 1 << 30));
    RC_ASSERT(*parse_json(*print_json(real(number))) == real(number));
}

RC_GTEST_PROP(JsonNumbers, EveryIntegerReadsBackAsItself, ()) {
    const auto number = static_cast<std::int64_t>(*rc::gen::arbitrary<std::uint64_t>());
    RC_ASSERT(*parse_json(*print_json(integer(number))) == integer(number));
}

RC_GTEST_PROP(JsonStrings, EveryStringOfScalarValuesReadsBackAsItself, ()) {
    // Plenty of control characters and ASCII, some of all the rest.
    const auto scalar = rc::gen::oneOf(rc::gen::inRange<std::uint32_t>(0, 0x80),
                                       rc::gen::inRange<std::uint32_t>(0x80, 0xd800),
                                       rc::gen::inRange<std::uint32_t>(0xe000, 0x110000));
    std::string text;
    for (const std::uint32_t code : *rc::gen::container<std::vector<std::uint32_t>>(scalar)) {
        text += testing::encode_utf8(code);
    }
    const Plain value{PlainObject{{text, string(text)}}};
    RC_ASSERT(*parse_json(*print_json(value)) == value);
}

RC_GTEST_PROP(JsonText, NoBytesMakeItFailOtherwiseThanByAnError, (const std::string& bytes)) {
    // Half of the alphabet is JSON's own, so that some inputs get far.
    static constexpr std::string_view kAlphabet = "[]{},:\"\\u0e-+.1 dnull";
    std::string text = bytes;
    for (char& c : text) {
        const auto byte = static_cast<std::uint8_t>(c);
        if (byte % 2 == 0) c = kAlphabet[byte / 2 % kAlphabet.size()];
    }
    const auto parsed = parse_json(text);
    if (parsed) {
        RC_ASSERT(*parse_json(*print_json(*parsed)) == *parsed);
    } else {
        RC_ASSERT(parsed.error().at <= text.size());
    }
}

}  // namespace
}  // namespace joinery
