#include "base/value.h"

#include <bit>
#include <gtest/gtest.h>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace joinery {
namespace {

/// One of each type, and both sides of each border that matters to the layout. All unequal.
std::vector<Value> unequal_values() {
    const Bytes short_bytes(Value::kInlineSizeMax, 0x61);
    const Bytes long_bytes(Value::kInlineSizeMax + 1, 0x61);
    return {
        Value(),
        Value(false),
        Value(true),
        Value(std::int64_t{0}),
        Value(std::int64_t{1}),
        Value(std::numeric_limits<std::int64_t>::min()),
        Value(std::numeric_limits<std::int64_t>::max()),
        Value(0.0),
        Value(-0.0),
        Value(1.0),
        Value(std::bit_cast<double>(0x7ff8000000000000U)),
        Value(std::bit_cast<double>(0x7ff8000000000001U)),
        Value(WallTime(0)),
        Value(WallTime(1)),
        Value(""),
        Value("a"),
        Value(std::string_view("a\0", 2)),
        Value(as_text(short_bytes)),
        Value(as_text(long_bytes)),
        Value(std::string(5000, 'x')),
        Value(ByteView()),
        Value(ByteView(short_bytes)),
        Value(ByteView(long_bytes)),
    };
}

TEST(Value, IsNullUnlessMadeOfSomething) {
    EXPECT_TRUE(Value().is_null());
    EXPECT_EQ(Value().type(), ValueType::null);
}

TEST(Value, GivesBackWhatItWasMadeOf) {
    EXPECT_TRUE(Value(true).as_bool());
    EXPECT_EQ(Value(std::numeric_limits<std::int64_t>::min()).as_integer(),
              std::numeric_limits<std::int64_t>::min());
    EXPECT_EQ(Value(0.1).as_real(), 0.1);
    EXPECT_EQ(Value(WallTime(-5)).as_timestamp(), WallTime(-5));
    EXPECT_EQ(Value("label").as_string(), "label");
    EXPECT_EQ(to_hex(Value(as_bytes("\x01\xff")).as_byte_string()), "01ff");
}

TEST(Value, KeepsContentOfEverySizeAroundTheInlineBorder) {
    for (std::size_t size = 0; size <= 3 * Value::kInlineSizeMax; ++size) {
        const std::string text(size, 'q');
        const Value value(text);
        EXPECT_EQ(value.as_string(), text);
        EXPECT_EQ(value.type(), ValueType::string);
        EXPECT_EQ(Value(ValueType::bytes, as_bytes(text)).as_byte_string().size(), size);
    }
}

TEST(Value, EqualsByTypeAndBitsOnly) {
    const auto values = unequal_values();
    const auto again = unequal_values();
    for (std::size_t i = 0; i < values.size(); ++i) {
        for (std::size_t j = 0; j < values.size(); ++j) {
            EXPECT_EQ(values[i] == again[j], i == j) << i << " and " << j;
        }
    }
}

TEST(Value, KeepsEveryBitOfANan) {
    const std::uint64_t bits = 0xfff8dead0000beefU;
    EXPECT_EQ(std::bit_cast<std::uint64_t>(Value(std::bit_cast<double>(bits)).as_real()), bits);
    EXPECT_EQ(Value(std::bit_cast<double>(bits)), Value(std::bit_cast<double>(bits)));
}

TEST(Value, RebuildsFromItsPayload) {
    for (const Value& value : unequal_values()) {
        if (value.type() == ValueType::string || value.type() == ValueType::bytes) continue;
        EXPECT_EQ(Value::of_payload(value.type(), value.payload()), value);
    }
}

TEST(Value, ACopyLivesOnWithoutItsSource) {
    for (const Value& original : unequal_values()) {
        auto source = std::make_unique<Value>(original);
        const Value copy(*source);
        Value assigned("a string that is long enough to be on the heap");
        assigned = *source;
        source.reset();
        EXPECT_EQ(copy, original);
        EXPECT_EQ(assigned, original);
    }
}

TEST(Value, AMoveTakesTheContentAlong) {
    for (const Value& original : unequal_values()) {
        Value source(original);
        Value moved(std::move(source));
        EXPECT_EQ(moved, original);
        Value assigned("a string that is long enough to be on the heap");
        assigned = std::move(moved);
        EXPECT_EQ(assigned, original);
    }
}

TEST(Value, SurvivesAssignmentToItself) {
    Value value("a string that is long enough to be on the heap");
    const Value& same = value;
    value = same;
    EXPECT_EQ(value.as_string(), "a string that is long enough to be on the heap");
}

TEST(ValueDeathTest, RefusesTheGetterOfAnotherType) {
    EXPECT_DEATH((void)Value(1.0).as_integer(), "invariant broken");
    EXPECT_DEATH((void)Value("text").as_byte_string(), "invariant broken");
}

}  // namespace
}  // namespace joinery
