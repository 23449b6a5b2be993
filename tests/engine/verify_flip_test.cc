// Nothing in a record can change without being found: every byte of every record, one bit at a
// time, once with the record's checksum repaired and once without.

#include "tests/engine/verify_rig.h"

#include <array>

namespace joinery::detail {
namespace {

class VerifyFlips : public VerifyTest {
  protected:
    static constexpr std::array kTables = {
        Table::documents, Table::log, Table::index, Table::snapshots, Table::seals};
};

INSTANTIATE_TEST_SUITE_P(Memory, VerifyFlips, testing::Values("memory"));

TEST_P(VerifyFlips, ABitOfAnyByteWithARightChecksumIsFound) {
    std::size_t tried = 0;
    for (const Table table : kTables) {
        for (const auto& [key, value] : records(table)) {
            for (std::size_t at = 0; at < value.size(); ++at) {
                Bytes flipped = value;
                flipped[at] = static_cast<std::uint8_t>(flipped[at] ^ (1U << (at * 5 % 8)));
                put(table, key, flipped);
                ASSERT_FALSE(verify(deep()).is_sound())
                    << "table " << static_cast<int>(table) << ", key " << to_hex(key) << ", byte "
                    << at;
                ++tried;
            }
            put(table, key, value);
        }
    }
    EXPECT_GT(tried, 1000U);
    EXPECT_EQ(found(deep()), Lines{});
}

TEST_P(VerifyFlips, ARecordThatFailsItsChecksumIsNamedOnce) {
    const auto flip = [this](Table table, const Bytes& key) {
        ASSERT_TRUE(disk_.flip_bit(table, key, 3).has_value());
    };
    const auto line_of = [&](Table table, const Bytes& key) {
        flip(table, key);
        const Lines lines = found();
        flip(table, key);
        EXPECT_EQ(lines.size(), 1U);
        return lines.empty() ? std::string() : lines.front();
    };
    EXPECT_EQ(line_of(Table::log, segment_key(kD, 1)),
              "log of d at #2: the segment fails its checksum");
    EXPECT_EQ(line_of(Table::log, segment_key(kD, 5)),
              "log of d at #6: the segment fails its checksum");
    EXPECT_EQ(line_of(Table::index, index_key(kD, a_, 3)),
              "index of d at A@3: it fails its checksum");
    EXPECT_EQ(line_of(Table::seals, seal_key(kD, a_, 3)),
              "seals of d at A@3: it fails its checksum");
    EXPECT_EQ(line_of(Table::snapshots, snapshot_key(kD, 4)),
              "snapshots of d at #4: it fails its checksum");
    put(Table::live, {0, 0, 0, 1, 9}, {5});
    EXPECT_EQ(line_of(Table::live, {0, 0, 0, 1, 9}), "live of d: a live value fails its checksum");
    // Whose records are its own cannot be known then.
    flip(Table::documents, document_key("d"));
    EXPECT_EQ(found().front(), "documents of d: its record fails its checksum");
    EXPECT_EQ(verify().document_count, 1U);
    flip(Table::documents, document_key("d"));
    EXPECT_EQ(found(), Lines{});
}

TEST_P(VerifyFlips, TheDevicesKeyAndTheNextNumberAreChecked) {
    for (const std::string_view name : {kDeviceSeedKey, kNextDocumentKey}) {
        const ByteView key = as_bytes(name);
        ASSERT_TRUE(disk_.flip_bit(Table::meta, key, 3).has_value());
        const auto store = *persist::open_memory_store(disk_, random_);
        const auto report = verify_store(*store);
        ASSERT_TRUE(report.has_value());
        ASSERT_FALSE(report->damages.empty());
        EXPECT_EQ(report->damages.front().what, std::string(name) + " fails its checksum");
        ASSERT_TRUE(disk_.flip_bit(Table::meta, key, 3).has_value());
    }
}

}  // namespace
}  // namespace joinery::detail
