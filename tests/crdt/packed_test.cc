#include "crdt/packed.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <rapidcheck/gtest.h>
#include <string>
#include <vector>

namespace joinery::crdt {
namespace {

constexpr ColumnLimits kLimits{1U << 20U, 1U << 24U};

using Integers = std::vector<std::uint64_t>;
using Signed = std::vector<std::int64_t>;
using Reals = std::vector<double>;
using Strings = std::vector<std::string>;
using Booleans = std::vector<std::uint8_t>;

Bytes encode(const Integers& values) {
    Bytes bytes;
    ByteWriter writer(bytes);
    encode_integers(values, writer);
    return bytes;
}

Bytes encode(const Signed& values) {
    Bytes bytes;
    ByteWriter writer(bytes);
    encode_signed(values, writer);
    return bytes;
}

Bytes encode(const Reals& values) {
    Bytes bytes;
    ByteWriter writer(bytes);
    encode_reals(values, writer);
    return bytes;
}

Bytes encode(const Strings& values) {
    std::vector<ByteView> views;
    for (const std::string& value : values)
        views.push_back(as_bytes(value));
    Bytes bytes;
    ByteWriter writer(bytes);
    encode_strings(views, writer);
    return bytes;
}

Bytes encode(const Booleans& values) {
    Bytes bytes;
    ByteWriter writer(bytes);
    encode_booleans(values, writer);
    return bytes;
}

Result<void> decode(ByteReader& in, std::size_t count, Integers& out) {
    return decode_integers(in, count, kLimits, out);
}

Result<void> decode(ByteReader& in, std::size_t count, Signed& out) {
    return decode_signed(in, count, kLimits, out);
}

Result<void> decode(ByteReader& in, std::size_t count, Reals& out) {
    return decode_reals(in, count, kLimits, out);
}

Result<void> decode(ByteReader& in, std::size_t count, Strings& out) {
    StringColumn column;
    const Result<void> done = decode_strings(in, count, kLimits, column);
    const StringColumn moved = std::move(column);
    out.clear();
    for (const ByteView value : moved.values)
        out.emplace_back(as_text(value));
    return done;
}

Result<void> decode(ByteReader& in, std::size_t count, Booleans& out) {
    return decode_booleans(in, count, kLimits, out);
}

bool same(const Reals& a, const Reals& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](double x, double y) {
        return std::bit_cast<std::uint64_t>(x) == std::bit_cast<std::uint64_t>(y);
    });
}

template <class Column>
bool same(const Column& a, const Column& b) {
    return a == b;
}

// Bytes that do not belong to the column follow it, to see that the decoder leaves them alone. The
// input is a buffer of exactly its size, so that the address sanitizer sees a byte read too many.
template <class Column>
void expect_round_trip(const Column& values) {
    Bytes bytes = encode(values);
    for (const std::size_t extra : {std::size_t{0}, std::size_t{1}}) {
        bytes.resize(bytes.size() + extra, 0xff);
        const Bytes exact(bytes);
        ByteReader reader(exact);
        Column decoded;
        const Result<void> done = decode(reader, values.size(), decoded);
        ASSERT_TRUE(done.has_value()) << done.error().what << " at " << done.error().at;
        EXPECT_TRUE(same(decoded, values));
        EXPECT_EQ(reader.remaining(), extra);
    }
}

// Hexadecimal may have spaces between the parts of a column.
std::string joined(std::string_view hex) {
    std::string digits(hex);
    std::erase(digits, ' ');
    return digits;
}

Bytes bytes_of(std::string_view hex) {
    const std::string digits = joined(hex);
    Bytes bytes(digits.size() / 2);
    JOINERY_ASSERT(parse_hex(digits, bytes));
    return bytes;
}

template <class Column>
void expect_golden(const Column& values, std::string_view hex) {
    EXPECT_EQ(to_hex(encode(values)), joined(hex));
    expect_round_trip(values);
}

template <class Column>
void expect_refused(const Column& values, std::string_view hex, std::string_view what = {}) {
    const Bytes bytes = bytes_of(hex);
    ByteReader reader(bytes);
    Column decoded = values;
    const Result<void> done = decode(reader, values.size(), decoded);
    ASSERT_FALSE(done.has_value()) << hex;
    EXPECT_EQ(done.error().code, Errc::malformed);
    if (!what.empty()) {
        EXPECT_EQ(done.error().what, what);
    }
    EXPECT_FALSE(reader.ok());
    EXPECT_TRUE(decoded.empty());
}

// Refused for no other reason than that the encoder would choose otherwise.
template <class Column>
void expect_not_canonical(const Column& values, std::string_view hex) {
    expect_refused(values, hex, "column is not in its canonical encoding");
}

// No prefix decodes; a flipped bit is an error or other values; whatever decodes is canonical.
template <class Column>
void expect_fragile(const Column& values) {
    const Bytes bytes = encode(values);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        const Bytes prefix(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
        ByteReader reader(prefix);
        Column decoded;
        const Result<void> done = decode(reader, values.size(), decoded);
        ASSERT_FALSE(done.has_value()) << "cut at " << size;
        EXPECT_LE(done.error().at, size);
    }
    for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
        Bytes flipped = bytes;
        flipped[bit / 8] = static_cast<std::uint8_t>(flipped[bit / 8] ^ (1U << (bit % 8)));
        ByteReader reader(flipped);
        Column decoded;
        if (!decode(reader, values.size(), decoded)) continue;
        EXPECT_FALSE(same(decoded, values)) << "bit " << bit;
        flipped.resize(static_cast<std::size_t>(reader.offset()));
        EXPECT_EQ(to_hex(encode(decoded)), to_hex(flipped)) << "bit " << bit;
    }
}

std::uint64_t scatter(std::uint64_t index) {
    index = (index + 1) * 0x9e3779b97f4a7c15U;
    return (index ^ (index >> 29)) * 0xbf58476d1ce4e5b9U;
}

template <class Value>
auto column_of(std::size_t count, Value value) {
    std::vector<decltype(value(std::size_t{0}))> column;
    for (std::size_t i = 0; i < count; ++i)
        column.push_back(value(i));
    return column;
}

Integers outliers(std::size_t count) {
    return column_of(count, [](std::size_t i) -> std::uint64_t {
        return i % 20 == 7 ? scatter(i) >> 30 : scatter(i) >> 59;
    });
}

Integers bursts(std::size_t count) {
    std::uint64_t now = 1700000000000;
    return column_of(count, [&](std::size_t i) -> std::uint64_t {
        return now += i % 25 == 3 ? scatter(i) >> 40 : 80 + scatter(i) % 100;
    });
}

Integers runs(std::size_t count) {
    return column_of(count, [](std::size_t i) -> std::uint64_t { return scatter(i / 9) >> 50; });
}

std::vector<Integers> integer_samples() {
    const std::uint64_t max = std::numeric_limits<std::uint64_t>::max();
    return {{},
            {0},
            {max},
            {0, max},
            {max, 0, max, 0, 1},
            Integers(100, 7),
            column_of(50, [](std::size_t i) -> std::uint64_t { return 1000 + 3 * i; }),
            column_of(40, [](std::size_t i) -> std::uint64_t { return 5000 - 7 * i; }),
            column_of(60, [](std::size_t i) { return scatter(i); }),
            column_of(33, [](std::size_t i) { return scatter(i) >> 44; }),
            outliers(80),
            bursts(75),
            runs(90)};
}

Strings words(std::size_t count, std::string_view alphabet, std::size_t length_max) {
    return column_of(count, [&](std::size_t i) {
        std::string word;
        for (std::size_t j = 0; j < 1 + i % length_max; ++j) {
            word += alphabet[scatter(i * 100 + j) % alphabet.size()];
        }
        return word;
    });
}

constexpr std::string_view kBase36 = "0123456789abcdefghijklmnopqrstuvwxyz";

std::vector<Strings> string_samples() {
    return {{},
            {""},
            {"a"},
            {"", "", ""},
            {"same", "same", "same", "same"},
            {"todo", "done", "todo", "doing", "done", "todo", "todo", "done", "doing", "todo"},
            words(30, kBase36, 9),
            words(40, "01", 20),
            {"\xf0\x9f\x8c\xb3", "x", std::string(3, '\0'), ""}};
}

std::vector<Reals> real_samples() {
    const double inf = std::numeric_limits<double>::infinity();
    Reals mixed =
        column_of(20, [](std::size_t i) { return static_cast<double>(scatter(i) % 1000) / 100; });
    mixed[3] = -0.0;
    mixed[11] = std::sqrt(2.0);
    return {{},
            {0.0},
            {-0.0},
            {0.1, 0.25, 1.5, -3.75},
            {std::nan(""), inf, -inf, 5e-324, 1e308},
            {1e15, 0.000000001, 123456789.125},
            mixed,
            column_of(10, [](std::size_t i) { return std::sqrt(static_cast<double>(i) + 2); }),
            column_of(50, [](std::size_t i) { return static_cast<double>(i % 5); })};
}

std::vector<Booleans> boolean_samples() {
    return {
        {},
        {0},
        {1},
        {0, 1},
        Booleans(100, 1),
        column_of(100, [](std::size_t i) { return std::uint8_t{i > 60}; }),
        column_of(100, [](std::size_t i) { return std::uint8_t{i < 60}; }),
        column_of(77, [](std::size_t i) { return static_cast<std::uint8_t>(scatter(i) >> 63); })};
}

Signed signed_of(const Integers& values) {
    return column_of(values.size(),
                     [&](std::size_t i) { return static_cast<std::int64_t>(values[i]) - 1000; });
}

TEST(Packed, SamplesOfEveryEncodingAreReadBack) {
    for (const auto& values : integer_samples())
        expect_round_trip(values);
    for (const auto& values : integer_samples())
        expect_round_trip(signed_of(values));
    for (const auto& values : real_samples())
        expect_round_trip(values);
    for (const auto& values : string_samples())
        expect_round_trip(values);
    for (const auto& values : boolean_samples())
        expect_round_trip(values);
}

TEST(Packed, EveryPrefixAndEveryFlippedBitOfIntegersIsNoticed) {
    for (const auto& values : integer_samples())
        expect_fragile(values);
    for (const auto& values : integer_samples())
        expect_fragile(signed_of(values));
}

TEST(Packed, EveryPrefixAndEveryFlippedBitOfTheOthersIsNoticed) {
    for (const auto& values : real_samples())
        expect_fragile(values);
    for (const auto& values : string_samples())
        expect_fragile(values);
    for (const auto& values : boolean_samples())
        expect_fragile(values);
}

TEST(Packed, EveryWidthAndCountIsReadBack) {
    for (unsigned width = 1; width <= 64; ++width) {
        for (std::size_t count = 1; count <= 20; ++count) {
            expect_round_trip(column_of(count, [&](std::size_t i) -> std::uint64_t {
                return i == 0 ? std::uint64_t{1} << (width - 1) : scatter(i) >> (64 - width);
            }));
        }
    }
}

RC_GTEST_PROP(Packed, IntegersOfAnyShapeAreReadBack, ()) {
    const auto shift = *rc::gen::inRange(0, 64);
    const auto repeat = *rc::gen::element<std::size_t>(1, 1, 5, 40);
    Integers values;
    for (const std::uint64_t value : *rc::gen::arbitrary<Integers>()) {
        values.insert(values.end(), repeat, (scatter(value) >> shift) + 5);
    }
    switch (*rc::gen::inRange(0, 4)) {
        case 0: std::sort(values.begin(), values.end()); break;
        case 1: std::sort(values.rbegin(), values.rend()); break;
        case 2:
            for (std::size_t i = 3; i < values.size(); i += 11)
                values[i] = scatter(i);
            break;
        default: break;
    }
    expect_round_trip(values);
    expect_round_trip(signed_of(values));
}

RC_GTEST_PROP(Packed, RealsOfAnyShapeAreReadBack, ()) {
    const auto scale = *rc::gen::inRange(0, 11);
    Reals values;
    for (const auto mantissa : *rc::gen::arbitrary<Signed>()) {
        const auto shift = *rc::gen::inRange(0, 63);
        values.push_back(static_cast<double>(mantissa >> shift) / std::pow(10.0, scale));
    }
    const auto every = *rc::gen::element<std::size_t>(3, 10, 1000);
    for (std::size_t i = 2; i < values.size(); i += every) {
        values[i] = std::bit_cast<double>(*rc::gen::arbitrary<std::uint64_t>());
    }
    expect_round_trip(values);
}

RC_GTEST_PROP(Packed, StringsOfAnyShapeAreReadBack, ()) {
    const auto radix = *rc::gen::inRange<unsigned>(1, 257);
    Strings values = *rc::gen::arbitrary<Strings>();
    for (std::string& value : values) {
        for (char& c : value) {
            c = static_cast<char>(static_cast<unsigned char>(c) * 167U % radix);
        }
    }
    const auto repeat = *rc::gen::inRange<std::size_t>(0, 4);
    const std::size_t count = values.size();
    for (std::size_t i = 0; i < repeat * count; ++i)
        values.push_back(values[scatter(i) % count]);
    expect_round_trip(values);
}

RC_GTEST_PROP(Packed, BooleansOfAnyShapeAreReadBack, ()) {
    Booleans values;
    for (const auto length : *rc::gen::arbitrary<Booleans>()) {
        values.insert(values.end(), length % 40U, static_cast<std::uint8_t>(length >> 7U));
    }
    expect_round_trip(values);
}

// Short texts and long ones are unpacked in different ways.
TEST(Packed, EveryRadixIsReadBack) {
    for (unsigned radix = 2; radix <= 130; ++radix) {
        const unsigned long_size = radix < 40 || radix % 13 == 0 ? 7 * radix * radix + 3 : 0;
        for (const unsigned size : {4 * radix, 4 * radix + long_size}) {
            Strings values = {"", ""};
            for (unsigned symbol = 0; symbol < size; ++symbol) {
                const auto digit = symbol < radix ? symbol : scatter(symbol) % radix;
                values[scatter(symbol) % 2] += static_cast<char>(digit + 50);
            }
            expect_round_trip(values);
        }
    }
}

TEST(Packed, IntegersHaveTheBytesThatTheFormatSays) {
    expect_golden(Integers{}, "");
    expect_golden(Integers{300, 300, 300}, "00ac02");
    expect_golden(Integers{7, 5, 6, 5, 8}, "0205 1203");
    expect_golden(Integers{10, 20, 30, 40}, "410a14");
    expect_golden(Integers{1000, 1010, 1025, 1031, 1042}, "45e8070c 9450");
    expect_golden(Integers{5, 5, 5, 5, 9000, 9000, 9000, 9000, 9000, 9000}, "84 0504 a84606");
    Integers patched = {1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 2, 1, 0, 3};
    patched[6] = 1000000;
    expect_golden(patched, "8200 02 12 01 39 09 39 c6 06 90d003");
    expect_golden(Signed{-2, -1, 1, -2}, "0203 34");
}

TEST(Packed, RealsHaveTheBytesThatTheFormatSays) {
    expect_golden(Reals{0.5, 1.25, -0.75}, "02 0895017dc800");
    expect_golden(Reals{0.1, 0.2, -0.0, 0.3, 0.4}, "0b 01 0002 0000000000000080 0202e4");
    expect_golden(Reals{1.0 / 3}, "14 555555555555d53f");
}

TEST(Packed, StringsHaveTheBytesThatTheFormatSays) {
    expect_golden(Strings{"ab", "", "c"}, "00 020012 616263");
    expect_golden(Strings{"abacabadabacaba", "dcbabcd"}, "01 016164 040708 84c484c4460e");
    expect_golden(Strings{"4155550100", "4155550123", "4155550199"},
                  "01 0230353939 000a cd17fd1244fb3529957817");
    expect_golden(Strings{"todo", "done", "todo", "todo", "done", "todo"},
                  "02 02 00 0004 746f646f646f6e65 010012");
}

TEST(Packed, BooleansHaveTheBytesThatTheFormatSays) {
    expect_golden(Booleans{0, 0, 0}, "00");
    expect_golden(Booleans{1, 1}, "01");
    expect_golden(Booleans{1, 0, 1, 1, 0, 0, 0, 0, 1}, "020d01");
    Booleans halves(30, 0);
    std::fill(halves.begin() + 20, halves.end(), std::uint8_t{1});
    expect_golden(halves, "03140a");
    std::reverse(halves.begin(), halves.end());
    expect_golden(halves, "040a14");
}

TEST(Packed, IntegersInAnotherEncodingAreRefused) {
    const Integers values = {7, 5, 6, 5, 8};
    expect_not_canonical(values,
                         "440703 580a");  // Differences.
    expect_not_canonical(values,
                         "84 07010501060105010801");  // Runs.
    expect_not_canonical(values,
                         "0305 4230");  // A bit too wide.
    expect_not_canonical(values,
                         "0304 8b42");  // From less than the least.
    expect_refused(values,
                   "0205 1207");  // An unused bit set.
    expect_refused(values,
                   "85 05");  // No such encoding.
    expect_refused(values,
                   "028500 1203");  // A varint too long.
    expect_not_canonical(Integers{9, 9, 9}, "840903");
    expect_not_canonical(Integers{9, 9, 9}, "410900");
    expect_refused(Integers{9, 9, 9},
                   "84 09010902");  // One run in two.
    expect_not_canonical(Integers{10, 20, 30, 40}, "050a 40510f");
    const Integers long_runs(10, 5);
    expect_refused(long_runs,
                   "84 0504 a84600");  // An empty run.
    expect_refused(long_runs,
                   "84 0504 a84607");  // A run too long.
    expect_refused(long_runs, "84 0504");
}

TEST(Packed, ExceptionsThatAreNoneOrOutOfPlaceAreRefused) {
    const Integers values(16, 0);
    const std::string_view front = "82000212";
    const auto with = [&](std::string_view rest) { return std::string(front) + std::string(rest); };
    const Bytes bytes = bytes_of(with("01 390939c6 06 90d003"));
    ByteReader reader(bytes);
    Integers decoded;
    ASSERT_TRUE(decode(reader, 16, decoded).has_value());
    expect_refused(values,
                   with("01 390939c6 06 000000"));  // It is none.
    expect_not_canonical(values,
                         with("01 390939c6 06 90d001"));  // High bits too wide.
    expect_refused(values,
                   with("01 390939c6 06 90d007"));  // An unused bit set.
    expect_refused(values, with("01 390939c6 16 90d003"));
    expect_refused(values, with("00 390939c6"));
    expect_refused(values, with("03 390939c6 660600 90d00390d00390d003"));
    expect_refused(values,
                   with("02 390939c6 66 90d043f70e"));  // The same one twice.
    expect_refused(values,
                   with("02 390939c6 56 90d043f70e"));  // Not in order.
    expect_refused(values, with("ffffffffffffffffff01 390939c6"));
    expect_refused(values,
                   "82004212 01");  // Widths past 64 bits.
}

TEST(Packed, RealsInAnotherEncodingAreRefused) {
    const Reals values = {0.5, 1.25, -0.75};
    expect_not_canonical(values, "03 0bdb0be2843e0000");
    expect_not_canonical(values, "14 000000000000e03f 000000000000f43f 000000000000e8bf");
    expect_refused(values, "15 0895017dc800");
    expect_not_canonical(Reals{0.0}, "01 0000");
    expect_not_canonical(Reals{0.5}, "14 000000000000e03f");
    const Reals five(5);
    expect_not_canonical(five,
                         "0b 01 0002 000000000000e03f 0202e4");  // 0.5 is none.
    expect_refused(five, "0b 00 0202e4");
    expect_refused(five,
                   "0b 01 0005 0000000000000080 0202e4");  // No such place.
    expect_refused(five, "0b 02 0002 00000000000000800000000000000080 0202e4");
    expect_refused(Reals{0x1p51, 0x1p51},
                   "00 00 8080808080808008");  // 2^51: too large.
    expect_golden(Reals{0x1p51 - 1, 0x1p51 - 1}, "00 00 feffffffffffff07");
}

TEST(Packed, StringsInAnotherEncodingAreRefused) {
    const Strings values = {"abacabadabacaba", "dcbabcd"};
    expect_not_canonical(values, "00 040708 616261636162616461626163616261 64636261626364");
    expect_not_canonical(values,
                         "01 016165 040708 00000000000000");  // Not all are used.
    expect_refused(values,
                   "01 0261626364 040708 84c484c4460e");  // One range in two.
    expect_refused(values,
                   "01 016164 040708 84c484c4461e");  // An unused bit set.
    expect_refused(values, "01 016461 040708 84c484c4460e");
    expect_refused(values, "01 010080 040708 84c484c4460e");
    expect_refused(values, "01 016161 040708 84c484c4460e");
    expect_refused(values, "03 040708");
    const Strings states(6);
    const std::string plain = "00 0004 746f646f646f6e65";
    expect_not_canonical(states, plain + "746f646f746f646f646f6e65746f646f");  // As they are.
    expect_not_canonical(states, "01 0364656e6f7474 0004 73e7ce3977ee9c");
    expect_refused(states, "02 02 00 0004 646f6e65746f646f 01002d");
    expect_not_canonical(states, "02 02 00 0004 746f646f746f646f 010012");
    expect_refused(states, "02 03 00 0004 746f646f646f6e6561616161 010012");
    expect_refused(states, "02 01" + plain + "010012");
    expect_refused(states, "02 00 010012");
    expect_refused(states, "02 06 00 0004");
    expect_refused(states, "02 02 02 01 00 0004 746f646f 0000 010012");
    expect_not_canonical(Strings(2),
                         "02 01 00 0001 61 0000");  // Not smaller.
}

TEST(Packed, BooleansInAnotherEncodingAreRefused) {
    expect_not_canonical(Booleans{0, 0, 0}, "0200");
    expect_not_canonical(Booleans{0, 0, 0}, "0303");
    expect_not_canonical(Booleans{0, 1}, "030101");
    expect_refused(Booleans{0, 1}, "0206");
    expect_refused(Booleans{0, 1}, "05");
    const Booleans many(30);
    expect_refused(many, "03140b");
    expect_refused(many, "031400");
    expect_refused(many, "03140900");
    expect_not_canonical(many, "020000f03f");
}

// The head of a column of @p count values of which the first @p distinct_count are unlike.
template <class Value>
unsigned head_of(std::size_t count, std::size_t distinct_count, Value value) {
    const auto values =
        column_of(count, [&](std::size_t i) { return value(std::min(i, distinct_count - 1)); });
    expect_round_trip(values);
    return encode(values)[0];
}

TEST(Packed, CandidatesEndWhereTheFormatSays) {
    const auto number = [](std::size_t i) { return scatter(i); };
    EXPECT_EQ(head_of(40, 12, number), 132U);  // Runs: 2 and one in 4.
    EXPECT_NE(head_of(40, 13, number), 132U);
    const auto text = [](std::size_t i) {
        return std::string(20, 'x') + std::to_string(scatter(i));
    };
    EXPECT_EQ(head_of(800, 164, text), 2U);  // Dictionaries: 64 and one in 8.
    EXPECT_NE(head_of(800, 165, text), 2U);
    const auto outlier = [](std::size_t i) { return i < 10 ? scatter(i) : i % 2; };
    EXPECT_EQ(head_of(80, 80, outlier), 130U);  // Exceptions of integers: one in 8.
    EXPECT_NE(head_of(79, 79, outlier), 130U);
    const auto root = [](std::size_t i) { return i < 2 ? std::sqrt(2.0) : 0.5; };
    EXPECT_EQ(head_of(8, 8, root), 11U);  // Exceptions of reals: one in 4.
    EXPECT_EQ(head_of(7, 7, root), 20U);
}

TEST(Packed, MoreValuesThanTheLimitAreRefusedBeforeAnythingIsMade) {
    const Bytes constant = {0x00, 0x07};
    ByteReader reader(constant);
    Integers decoded;
    const ColumnLimits limits{1000, 0};
    EXPECT_TRUE(decode_integers(reader, 1000, limits, decoded).has_value());
    ByteReader again(constant);
    const Result<void> done = decode_integers(again, 1001, limits, decoded);
    ASSERT_FALSE(done.has_value());
    EXPECT_EQ(done.error().code, Errc::over_limit);
    const ColumnLimits none{std::numeric_limits<std::size_t>::max(), 0};
    ByteReader beyond(constant);
    EXPECT_EQ(decode_integers(beyond, kColumnCountMax + 1, none, decoded).error().code,
              Errc::over_limit);
}

TEST(Packed, StringsLongerTogetherThanTheLimitAreRefused) {
    for (const Strings& values :
         {Strings(50, "abcdefgh"), words(20, kBase36, 9), Strings{"\xff\x01", "\xfe"}}) {
        std::uint64_t size = 0;
        for (const std::string& value : values)
            size += value.size();
        const Bytes bytes = encode(values);
        StringColumn column;
        ByteReader reader(bytes);
        EXPECT_TRUE(decode_strings(reader, values.size(), {100, size}, column).has_value());
        ByteReader again(bytes);
        const Result<void> done = decode_strings(again, values.size(), {100, size - 1}, column);
        ASSERT_FALSE(done.has_value());
        EXPECT_EQ(done.error().code, Errc::over_limit);
        EXPECT_TRUE(column.values.empty());
    }
}

TEST(Packed, AFailedReaderStaysFailedWithItsFirstError) {
    const Bytes bytes = {0x00, 0x07};
    ByteReader reader(bytes);
    reader.refuse(Errc::unsupported, "before");
    Integers decoded = {1, 2};
    const Result<void> done = decode(reader, 3, decoded);
    ASSERT_FALSE(done.has_value());
    EXPECT_EQ(done.error().what, "before");
}

}  // namespace
}  // namespace joinery::crdt
