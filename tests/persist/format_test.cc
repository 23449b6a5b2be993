// The bytes on disk, which never change within a format version.
#include "persist/format.h"

#include "persist/identity.h"
#include "persist/lease.h"
#include "tests/persist/support.h"

#include <gtest/gtest.h>
#include <string>

namespace joinery::persist::test {
namespace {

TEST(RecordFormat, IsTheChecksumAndThenTheValue) {
    Bytes stored;
    detail::encode_record(2, as_bytes("key"), as_bytes("value"), stored);
    EXPECT_EQ(to_hex(stored), "8047db92bb6ba9dd76616c7565");
    EXPECT_EQ(text_of(*detail::decode_record(2, as_bytes("key"), stored)), "value");
}

TEST(RecordFormat, NoticesAnyFlippedBitAndAnyOtherTableOrKey) {
    Bytes stored;
    detail::encode_record(2, as_bytes("key"), as_bytes("value"), stored);
    EXPECT_FALSE(detail::decode_record(3, as_bytes("key"), stored));
    EXPECT_FALSE(detail::decode_record(2, as_bytes("keY"), stored));
    EXPECT_FALSE(detail::decode_record(2, as_bytes("ke"), stored));
    EXPECT_FALSE(detail::decode_record(2, as_bytes(std::string_view("key\0", 4)), stored));
    for (std::size_t size = 0; size < stored.size(); ++size) {
        EXPECT_FALSE(detail::decode_record(2, as_bytes("key"), ByteView(stored).first(size)));
    }
    for (std::size_t bit = 0; bit < stored.size() * 8; ++bit) {
        Bytes flipped = stored;
        flipped[bit / 8] = static_cast<std::uint8_t>(flipped[bit / 8] ^ (1U << (bit % 8)));
        EXPECT_FALSE(detail::decode_record(2, as_bytes("key"), flipped));
    }
}

TEST(SidecarFormat, IsAsDocumented) {
    const TempDir dir;
    const detail::Sidecar sidecar{
        .counter = 3, .closed = true, .transaction = 9, .meta_checksums = {1, 2}};
    JOINERY_ASSERT_OK(detail::write_sidecar(dir.path(), sidecar));
    EXPECT_EQ(to_hex(as_bytes(read_whole(dir / "sidecar"))),
              "4a4e525953494445"
              "00000001"
              "00000001"
              "0000000000000003"
              "0000000000000009"
              "0000000000000001"
              "0000000000000002"
              "0000000000000000"
              "55176ecd88cf9c42");
    const auto read = **detail::read_sidecar(dir.path());
    EXPECT_EQ(read.counter, 3U);
    EXPECT_TRUE(read.closed);
    EXPECT_EQ(read.transaction, 9U);
    EXPECT_EQ(read.meta_checksums, sidecar.meta_checksums);
}

TEST(SlotFormat, IsAsDocumented) {
    const TempDir dir;
    auto lease = *detail::SlotLease::take(dir / "slots");
    EXPECT_EQ(lease.slot(), 0U);
    EXPECT_FALSE(lease.found());
    JOINERY_ASSERT_OK(lease.mark_leased(5));
    EXPECT_EQ(to_hex(as_bytes(read_whole(dir / "slots/0.lock"))),
              "4a4e5259534c4f54"
              "00000001"
              "00000001"
              "00000005"
              "00000000"
              "d59dba6db263118a");
    EXPECT_EQ(detail::SlotLease::take(dir / "slots")->slot(), 1U);
    lease.release();
    EXPECT_EQ(read_whole(dir / "slots/0.lock").substr(12, 4), std::string(4, '\0'));
}

TEST(Generations, StayOnlyIfFileAndDatabaseAgreeOnACleanEnd) {
    using detail::next_generation;
    using detail::SlotRecord;
    const auto clean = [](std::uint32_t g) { return std::optional(SlotRecord{true, g}); };
    const auto unclean = [](std::uint32_t g) { return std::optional(SlotRecord{false, g}); };
    EXPECT_EQ(next_generation({}, {}), 0U);
    EXPECT_EQ(next_generation(clean(4), 4), 4U);
    EXPECT_EQ(next_generation(unclean(4), 4), 5U);
    EXPECT_EQ(next_generation({}, 4), 5U);          // The file was lost.
    EXPECT_EQ(next_generation(clean(4), {}), 5U);   // The database is another one.
    EXPECT_EQ(next_generation(clean(6), 4), 7U);    // The database is older.
    EXPECT_EQ(next_generation(clean(4), 6), 7U);    // The file is.
    EXPECT_EQ(next_generation(unclean(6), 5), 7U);  // The end came between file and database.
}

}  // namespace
}  // namespace joinery::persist::test
