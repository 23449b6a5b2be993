#include "crdt/cursor.h"

#include <gtest/gtest.h>
#include <limits>
#include <rapidcheck/gtest.h>
#include <string>

namespace joinery::crdt {
namespace {

Bytes varint_bytes(std::uint64_t value) {
    Bytes bytes;
    ByteWriter(bytes).varint(value);
    return bytes;
}

std::uint64_t read_varint(const Bytes& bytes, std::string_view& what, std::uint64_t& at) {
    ByteReader reader(bytes);
    const std::uint64_t value = reader.varint();
    if (!reader.ok()) {
        what = reader.error().what;
        at = reader.error().at;
    }
    return value;
}

RC_GTEST_PROP(Cursor, EverythingWrittenIsReadBack, ()) {
    const auto small = *rc::gen::arbitrary<std::uint8_t>();
    const auto middle = *rc::gen::arbitrary<std::uint32_t>();
    const auto shift = *rc::gen::inRange(0, 64);
    const std::uint64_t large = *rc::gen::arbitrary<std::uint64_t>() >> shift;
    const auto bytes = *rc::gen::arbitrary<Bytes>();
    Bytes out;
    ByteWriter writer(out);
    writer.u8(small);
    writer.u32(middle);
    writer.u64(large);
    writer.varint(large);
    writer.zigzag(static_cast<std::int64_t>(large));
    writer.sized(bytes);
    writer.raw(bytes);
    RC_ASSERT(writer.size() == out.size());
    ByteReader reader(out);
    RC_ASSERT(reader.u8() == small);
    RC_ASSERT(reader.u32() == middle);
    RC_ASSERT(reader.u64() == large);
    RC_ASSERT(reader.varint() == large);
    RC_ASSERT(reader.zigzag() == static_cast<std::int64_t>(large));
    RC_ASSERT(as_text(reader.sized()) == as_text(bytes));
    RC_ASSERT(as_text(reader.rest()) == as_text(bytes));
    RC_ASSERT(reader.finish().has_value());
}

TEST(Cursor, IntegersHaveTheBytesThatTheFormatSays) {
    Bytes out;
    ByteWriter writer(out);
    writer.u32(0x01020304);
    writer.u64(0x0102030405060708);
    writer.varint(300);
    writer.zigzag(-2);
    EXPECT_EQ(to_hex(out),
              "04030201"
              "0807060504030201"
              "ac02"
              "03");
    EXPECT_EQ(to_hex(varint_bytes(0)), "00");
    EXPECT_EQ(to_hex(varint_bytes(127)), "7f");
    EXPECT_EQ(to_hex(varint_bytes(128)), "8001");
    EXPECT_EQ(to_hex(varint_bytes(std::numeric_limits<std::uint64_t>::max())),
              "ffffffffffffffffff01");
}

TEST(Cursor, VarintSizeIsWhatTheWriterWrites) {
    for (int bits = 0; bits < 64; ++bits) {
        const std::uint64_t value = std::uint64_t{1} << bits;
        EXPECT_EQ(varint_size(value), varint_bytes(value).size());
        EXPECT_EQ(varint_size(value - 1), varint_bytes(value - 1).size());
    }
}

TEST(Cursor, ZigzagKeepsEveryInteger) {
    for (const std::int64_t value : {std::int64_t{0},
                                     std::int64_t{-1},
                                     std::int64_t{1},
                                     std::numeric_limits<std::int64_t>::min(),
                                     std::numeric_limits<std::int64_t>::max()}) {
        EXPECT_EQ(zigzag_inverse(zigzag_of(value)), value);
    }
    EXPECT_EQ(zigzag_of(-1), 1U);
    EXPECT_EQ(zigzag_of(1), 2U);
}

TEST(Cursor, AVarintThatIsNotTheShortestIsRefusedAtItsLastByte) {
    std::string_view what;
    std::uint64_t at = 0;
    EXPECT_EQ(read_varint({0x80, 0x00}, what, at), 0U);
    EXPECT_EQ(what, "varint is not in its shortest form");
    EXPECT_EQ(at, 1U);
    EXPECT_EQ(read_varint({0xff, 0x80, 0x80, 0x00}, what, at), 0U);
    EXPECT_EQ(at, 3U);
}

TEST(Cursor, AVarintPast64BitsIsRefusedAtItsTenthByte) {
    std::string_view what;
    std::uint64_t at = 0;
    EXPECT_EQ(read_varint({0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02}, what, at),
              0U);
    EXPECT_EQ(what, "varint passes 64 bits");
    EXPECT_EQ(at, 9U);
    EXPECT_EQ(read_varint(Bytes(11, 0x80), what, at), 0U);
    EXPECT_EQ(at, 9U);
}

TEST(Cursor, InputThatEndsIsRefusedAtItsEnd) {
    for (std::uint64_t value : {std::uint64_t{128}, std::numeric_limits<std::uint64_t>::max()}) {
        Bytes bytes = varint_bytes(value);
        bytes.pop_back();
        std::string_view what;
        std::uint64_t at = 0;
        EXPECT_EQ(read_varint(bytes, what, at), 0U);
        EXPECT_EQ(what, "input ended early");
        EXPECT_EQ(at, bytes.size());
    }
    const Bytes three = {1, 2, 3};
    EXPECT_EQ(ByteReader(three).u32(), 0U);
    EXPECT_EQ(ByteReader(three).u64(), 0U);
    EXPECT_EQ(ByteReader({}).u8(), 0U);
    EXPECT_TRUE(ByteReader(three).raw(4).empty());
    EXPECT_TRUE(ByteReader(three).raw(std::numeric_limits<std::uint64_t>::max()).empty());
    EXPECT_TRUE(ByteReader(three).fixed<ActorId>().is_zero());
}

TEST(Cursor, TheFirstErrorStaysAndEmptiesTheReader) {
    const Bytes bytes = {1, 2, 3, 4, 5};
    ByteReader reader(bytes, 100);
    EXPECT_EQ(reader.u8(), 1);
    EXPECT_EQ(reader.offset(), 101U);
    EXPECT_EQ(reader.refuse(Errc::unsupported, "first"), 0U);
    EXPECT_EQ(reader.u64(), 0U);
    EXPECT_EQ(reader.u8(), 0);
    EXPECT_EQ(reader.remaining(), 0U);
    ASSERT_FALSE(reader.ok());
    EXPECT_EQ(reader.error().code, Errc::unsupported);
    EXPECT_EQ(reader.error().what, "first");
    EXPECT_EQ(reader.error().at, 101U);
    EXPECT_EQ(reader.finish().error().what, "first");
}

TEST(Cursor, ACountPassesOnlyIfItsElementsCanFollow) {
    const Bytes bytes = {3, 0, 0, 0, 0, 0, 0};
    EXPECT_EQ(ByteReader(bytes).count(1), 3U);
    EXPECT_EQ(ByteReader(bytes).count(2), 3U);
    ByteReader reader(bytes);
    EXPECT_EQ(reader.count(3), 0U);
    EXPECT_EQ(reader.error().code, Errc::malformed);
    EXPECT_EQ(reader.error().at, 0U);
    const Bytes huge = varint_bytes(std::numeric_limits<std::uint64_t>::max());
    EXPECT_EQ(ByteReader(huge).count(std::numeric_limits<std::size_t>::max()), 0U);
}

TEST(Cursor, LimitsAreRefusedWithTheirOwnCode) {
    const Bytes bytes = {0, 5, 1, 2, 3, 4, 5};
    ByteReader reader(bytes);
    reader.u8();
    ByteReader copy = reader;
    EXPECT_EQ(copy.varint_at_most(5, "too many"), 5U);
    EXPECT_TRUE(copy.ok());
    EXPECT_EQ(reader.sized(5, "too long").size(), 5U);
    ByteReader strict(bytes);
    strict.u8();
    EXPECT_TRUE(strict.sized(4, "too long").empty());
    EXPECT_EQ(strict.error().code, Errc::over_limit);
    EXPECT_EQ(strict.error().what, "too long");
    EXPECT_EQ(strict.error().at, 1U);
}

TEST(Cursor, ASliceKnowsItsPlaceInTheWholeInput) {
    const Bytes bytes = {9, 1, 2, 3, 7};
    ByteReader reader(bytes, 10);
    reader.u8();
    ByteReader slice = reader.slice(3);
    EXPECT_EQ(slice.offset(), 11U);
    EXPECT_EQ(slice.rest().size(), 3U);
    EXPECT_EQ(slice.u8(), 0);
    EXPECT_EQ(slice.error().at, 14U);
    EXPECT_EQ(reader.u8(), 7);
    EXPECT_TRUE(reader.finish().has_value());
    ByteReader beyond = reader.slice(1);
    EXPECT_FALSE(reader.ok());
    EXPECT_FALSE(beyond.ok());
    EXPECT_EQ(beyond.error().at, 15U);
}

TEST(Cursor, BytesAfterTheEndAreRefused) {
    const Bytes bytes = {1, 2};
    ByteReader reader(bytes);
    reader.u8();
    const Result<void> finished = reader.finish();
    ASSERT_FALSE(finished.has_value());
    EXPECT_EQ(finished.error().code, Errc::malformed);
    EXPECT_EQ(finished.error().at, 1U);
}

}  // namespace
}  // namespace joinery::crdt
