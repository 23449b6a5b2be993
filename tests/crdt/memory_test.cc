// Attacks docs/semantics.md E2: what a document holds is what is visible, however often it was
// written.
#include "crdt/map_write.h"
#include "crdt/snapshot.h"
#include "crdt/transaction.h"

#include <gtest/gtest.h>
#include <string>

namespace joinery::crdt::test {
namespace {

constexpr double kSlack = 1.10;

TEST(Memory, OverwritesTakeNothing) {
    Document document("ops/main");
    MapWrite workload(document);
    workload.write_each_field();
    const std::size_t before = document.memory_size();
    workload.write(100'000);
    EXPECT_LE(static_cast<double>(document.memory_size()), kSlack * static_cast<double>(before));
}

TEST(Memory, ErasedMapsLeaveNothingButNames) {
    Document document("doc");
    ActorId actor;
    actor.bytes[0] = 1;
    const auto cycle = [&](std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
            Transaction transaction(document, actor, WallTime(1));
            const auto map = transaction.make(kRoot, *transaction.key("map"), Kind::map);
            for (int k = 0; k < 20; ++k) {
                const auto key = transaction.key("k" + std::to_string(k));
                ASSERT_TRUE(transaction.put(*map, *key, Value(std::int64_t{k})));
            }
            ASSERT_TRUE(transaction.erase(kRoot, *transaction.key("map")));
            ASSERT_TRUE(transaction.commit());
            document.clear_outgoing();
        }
    };
    cycle(100);  // As many as the document remembers hashes of, and more.
    const std::size_t before = document.memory_size();
    cycle(1000);
    EXPECT_LE(static_cast<double>(document.memory_size()), kSlack * static_cast<double>(before));
    EXPECT_EQ(document.state().slot_count(), 0U);
}

TEST(Memory, IncrementsTakeNothing) {
    Document document("doc");
    ActorId actor;
    actor.bytes[0] = 1;
    const auto count_up = [&](std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
            Transaction transaction(document, actor, WallTime(1));
            const auto counter = transaction.counter_at(kRoot, *transaction.key("count"));
            ASSERT_TRUE(transaction.increment(*counter, 1));
            ASSERT_TRUE(transaction.commit());
            document.clear_outgoing();
        }
    };
    count_up(100);
    const std::size_t before = document.memory_size();
    count_up(10'000);
    EXPECT_LE(static_cast<double>(document.memory_size()), kSlack * static_cast<double>(before));
}

TEST(Memory, ALoadedDocumentTakesNoMoreThanTheOneThatWasSaved) {
    Document document("ops/main");
    MapWrite workload(document);
    workload.write(100'000);
    const auto loaded = decode_snapshot(encode_snapshot(document));
    ASSERT_TRUE(loaded);
    EXPECT_LE((*loaded)->memory_size(), document.memory_size());
}

// The bound is what docs/snapshot-format.md states; the shallow snapshot of Loro 1.17 takes 115 kB.
TEST(Memory, TheSnapshotOfTheMapWriteDocumentIsSmall) {
    Document document("ops/main");
    MapWrite workload(document);
    workload.write(100'000);
    EXPECT_LE(encode_snapshot(document).size(), 65'000U);
}

}  // namespace
}  // namespace joinery::crdt::test
