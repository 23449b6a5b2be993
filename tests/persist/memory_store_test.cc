// What the store in memory can do to its users: crash, fill up, go bad, be copied.
#include "tests/persist/support.h"

#include <gtest/gtest.h>
#include <string>

namespace joinery::persist::test {
namespace {

class MemoryStores : public ::testing::Test {
  protected:
    static std::unique_ptr<Store> open(MemoryDisk& disk, Random& source) {
        return *open_memory_store(disk, source);
    }
    std::unique_ptr<Store> open() { return open(shared_disk, random); }

    SeededRandom random;
    MemoryDisk shared_disk;
};

TEST_F(MemoryStores, HandlesShareTheDiskAndLeaseSlotsLikeProcesses) {
    const auto one = open();
    auto two = open();
    EXPECT_EQ(one->writer_slot(), 0U);
    EXPECT_EQ(two->writer_slot(), 1U);
    EXPECT_EQ(one->incarnation(), two->incarnation());
    const std::uint64_t before = two->commit_count();
    JOINERY_ASSERT_OK(put_one(*one, Table::log, "k", "v"));
    EXPECT_NE(two->commit_count(), before);
    EXPECT_EQ(*get_one(*two, Table::log, "k"), "v");
    {
        const auto writer = *one->write();
        EXPECT_EQ(code_of(two->write()), "busy");  // On another thread it would wait.
    }
    two.reset();
    two = open();
    EXPECT_EQ(two->writer_slot(), 1U);
    EXPECT_EQ(two->writer_generation(), 0U);
}

TEST_F(MemoryStores, ACrashKeepsDurableCommitsRetiresActorsAndKillsHandles) {
    const auto store = open();
    JOINERY_ASSERT_OK(put_one(*store, Table::log, "k", "v"));
    const auto reader = *store->read();
    const ByteView view = **reader->get(Table::log, as_bytes("k"));
    const auto writer = *store->write();
    JOINERY_ASSERT_OK(writer->put(Table::log, as_bytes("lost"), as_bytes("v")));
    shared_disk.crash();
    EXPECT_EQ(text_of(view), "v");
    EXPECT_EQ(code_of(reader->get(Table::log, as_bytes("k"))), "io");
    EXPECT_EQ(code_of(writer->commit()), "io");
    EXPECT_EQ(code_of(store->read()), "io");
    EXPECT_EQ(code_of(store->write()), "io");
    const auto fresh = open();
    EXPECT_EQ(fresh->writer_slot(), 0U);
    EXPECT_EQ(fresh->writer_generation(), 1U);
    EXPECT_EQ(fresh->incarnation(), store->incarnation());
    EXPECT_EQ(*scan(*fresh, Table::log), (Model{{"k", "v"}}));
    JOINERY_ASSERT_OK(put_one(*fresh, Table::log, "more", "v"));
}

TEST_F(MemoryStores, ADiskThatIsLateToSyncLosesWhatItDidNot) {
    MemoryDisk disk(MemoryDisk::Durability::at_sync);
    const auto store = open(disk, random);
    JOINERY_ASSERT_OK(put_one(*store, Table::log, "changed", "old"));
    JOINERY_ASSERT_OK(put_one(*store, Table::log, "erased", "1"));
    disk.sync();
    const auto writer = *store->write();
    JOINERY_ASSERT_OK(writer->put(Table::log, as_bytes("changed"), as_bytes("new")));
    JOINERY_ASSERT_OK(writer->put(Table::log, as_bytes("added"), as_bytes("2")));
    JOINERY_ASSERT_OK(writer->erase(Table::log, as_bytes("erased")));
    JOINERY_ASSERT_OK(writer->commit());
    EXPECT_EQ(*scan(*store, Table::log), (Model{{"added", "2"}, {"changed", "new"}}));
    disk.crash();
    const auto fresh = open(disk, random);
    EXPECT_EQ(*scan(*fresh, Table::log), (Model{{"changed", "old"}, {"erased", "1"}}));
}

TEST_F(MemoryStores, ACleanEndThatTheDiskForgetsIsAnotherIncarnation) {
    MemoryDisk disk(MemoryDisk::Durability::at_sync);
    auto store = open(disk, random);
    const Incarnation before = store->incarnation();
    JOINERY_ASSERT_OK(put_one(*store, Table::log, "k", "v"));
    store.reset();
    disk.crash();
    store = open(disk, random);
    EXPECT_NE(store->incarnation(), before);
    const Incarnation after = store->incarnation();
    store.reset();
    EXPECT_EQ(open(disk, random)->incarnation(), after);
}

TEST_F(MemoryStores, AKilledProcessLosesNothingThatItCommitted) {
    MemoryDisk disk(MemoryDisk::Durability::at_sync);
    const auto one = open(disk, random);
    const auto two = open(disk, random);
    JOINERY_ASSERT_OK(put_one(*one, Table::log, "k", "v"));
    disk.kill(*one);
    EXPECT_EQ(code_of(one->read()), "io");
    EXPECT_EQ(*get_one(*two, Table::log, "k"), "v");
    const auto three = open(disk, random);
    EXPECT_EQ(three->writer_slot(), 0U);
    EXPECT_EQ(three->writer_generation(), 1U);
}

TEST_F(MemoryStores, TheNthPutOrCommitFailsAndNothingOfItStays) {
    auto store = open();
    shared_disk.fail_put(3);
    {
        const auto writer = *store->write();
        JOINERY_ASSERT_OK(writer->put(Table::log, as_bytes("1"), {}));
        JOINERY_ASSERT_OK(writer->put(Table::log, as_bytes("2"), {}));
        const auto refused = writer->put(Table::log, as_bytes("3"), {});
        ASSERT_EQ(code_of(refused), "io");
        EXPECT_EQ(refused.error().what, "the disk is full");
        EXPECT_EQ(code_of(writer->put(Table::log, as_bytes("4"), {})), "io");
        EXPECT_EQ(code_of(writer->commit()), "io");
    }
    EXPECT_TRUE(scan(*store, Table::log)->empty());
    shared_disk.fail_commit(2);
    JOINERY_ASSERT_OK(put_one(*store, Table::log, "a", "1"));
    EXPECT_EQ(code_of(put_one(*store, Table::log, "b", "2")), "io");
    JOINERY_ASSERT_OK(put_one(*store, Table::log, "c", "3"));
    EXPECT_EQ(*scan(*store, Table::log), (Model{{"a", "1"}, {"c", "3"}}));
    store.reset();
    EXPECT_EQ(open()->writer_generation(), 1U);
}

TEST_F(MemoryStores, AFailingSyncIsFatalForTheHandle) {
    auto store = open();
    JOINERY_ASSERT_OK(put_one(*store, Table::log, "k", "v"));
    shared_disk.fail_syncs(true);
    EXPECT_EQ(code_of(put_one(*store, Table::log, "lost", "v")), "io");
    shared_disk.fail_syncs(false);
    EXPECT_EQ(code_of(store->read()), "io");
    store.reset();
    store = open();
    EXPECT_EQ(store->writer_generation(), 1U);
    EXPECT_EQ(*scan(*store, Table::log), (Model{{"k", "v"}}));
}

TEST_F(MemoryStores, AFlippedBitMakesARecordDamagedAndTheRestReadable) {
    const auto store = open();
    for (const char* key : {"a", "b", "c"}) {
        JOINERY_ASSERT_OK(put_one(*store, Table::log, key, "value"));
    }
    for (const std::uint64_t bit : {0U, 17U, 4000U}) {
        JOINERY_ASSERT_OK(shared_disk.flip_bit(Table::log, as_bytes("b"), bit));
        EXPECT_EQ(code_of(get_one(*store, Table::log, "b")), "damaged");
        const auto reader = *store->read();
        EXPECT_EQ(code_of(reader->first_at_or_after(Table::log, as_bytes("aa"))), "damaged");
        EXPECT_EQ(text_of(reader->damaged_key()), "b");
        EXPECT_EQ(*get_one(*store, Table::log, "c"), "value");
        JOINERY_ASSERT_OK(shared_disk.flip_bit(Table::log, as_bytes("b"), bit));
        EXPECT_EQ(*get_one(*store, Table::log, "b"), "value");
    }
    EXPECT_EQ(code_of(shared_disk.flip_bit(Table::log, as_bytes("none"), 0)), "not found");
}

TEST_F(MemoryStores, ACopyIsAnotherIncarnationWithTheSameRecords) {
    const auto store = open();
    JOINERY_ASSERT_OK(put_one(*store, Table::log, "k", "v"));
    const auto copy = shared_disk.copy();
    JOINERY_ASSERT_OK(put_one(*store, Table::log, "later", "v"));
    const auto copied = open(*copy, random);
    EXPECT_NE(copied->incarnation(), store->incarnation());
    EXPECT_EQ(*scan(*copied, Table::log), (Model{{"k", "v"}}));
    EXPECT_EQ(open()->incarnation(), store->incarnation());
}

TEST_F(MemoryStores, AnotherHandleFollowsARenewedIncarnation) {
    const auto one = open();
    const auto two = open();
    const std::uint64_t before = two->commit_count();
    JOINERY_ASSERT_OK(one->renew_incarnation(IncarnationReason::overtaken, WallTime(7)));
    EXPECT_NE(two->commit_count(), before);
    EXPECT_NE(two->incarnation(), one->incarnation());
    EXPECT_TRUE(*two->follow_incarnation());
    EXPECT_EQ(two->incarnation(), one->incarnation());
    EXPECT_FALSE(*two->follow_incarnation());
}

TEST_F(MemoryStores, ACloneAndWhatItIsPutBackOverCannotTell) {
    auto store = open();
    const Incarnation incarnation = store->incarnation();
    JOINERY_ASSERT_OK(put_one(*store, Table::log, "k", "old"));
    store.reset();
    const auto image = shared_disk.clone();
    store = open();
    JOINERY_ASSERT_OK(put_one(*store, Table::log, "k", "new"));
    store.reset();
    shared_disk.put_back(*image);
    store = open();
    EXPECT_EQ(store->incarnation(), incarnation);
    EXPECT_EQ(store->writer_generation(), 0U);
    EXPECT_EQ(*get_one(*store, Table::log, "k"), "old");
    const auto cloned = open(*image, random);
    EXPECT_EQ(cloned->incarnation(), incarnation);
    EXPECT_EQ(cloned->writer_generation(), 0U);
}

TEST_F(MemoryStores, AnOlderContentPutBackIsAnotherIncarnation) {
    auto store = open();
    JOINERY_ASSERT_OK(put_one(*store, Table::log, "k", "old"));
    const auto backup = shared_disk.copy();
    JOINERY_ASSERT_OK(put_one(*store, Table::log, "k", "new"));
    const Incarnation before = store->incarnation();
    store.reset();
    shared_disk.roll_back_to(*backup);
    store = open();
    EXPECT_NE(store->incarnation(), before);
    EXPECT_EQ(*get_one(*store, Table::log, "k"), "old");
    const Incarnation after = store->incarnation();
    store.reset();
    EXPECT_EQ(open()->incarnation(), after);
}

}  // namespace
}  // namespace joinery::persist::test
