// Cores as two processes on one store, and as neighbours without a link: what the simulator found,
// each by itself.

#include "tests/engine/core_rig.h"
#include "tests/engine/passing_store.h"

#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <utility>

namespace joinery::detail {
namespace {

TEST_F(CoreTest, WhatAnotherProcessStoredDoesNotHideASealThatIsStillToBeStored) {
    const auto author = open(other_disk_);
    const auto one = open(disk_);
    const auto two = open(disk_);
    set(*author, "/a", 1);
    ASSERT_TRUE(author->commit().has_value());
    send(*author, *one);
    send(*author, *two);
    ASSERT_TRUE(one->commit().has_value());
    set(*author, "/a", 2);
    ASSERT_TRUE(author->commit().has_value());
    send(*author, *two);
    ASSERT_TRUE(two->commit().has_value());
    EXPECT_EQ(digest(*two), digest(*author));
    ASSERT_TRUE(one->commit().has_value());
    EXPECT_EQ(digest(*one), digest(*author));
}

TEST_F(CoreTest, ASnapshotIsMadeAlsoWhereAnotherProcessReplacedTheLastOne) {
    const auto one = open(disk_);
    const auto two = open(disk_);
    set(*one, "/a", 1);
    ASSERT_TRUE(one->commit().has_value());
    ASSERT_TRUE(two->open_document("d", false).has_value());
    EXPECT_EQ(*one->make_snapshots(1), 1U);
    set(*one, "/a", 2);
    ASSERT_TRUE(one->commit().has_value());
    ASSERT_TRUE(two->commit().has_value());
    EXPECT_EQ(*two->make_snapshots(1), 1U);
    // `one` still believes in the snapshot that is gone.
    const auto made = one->make_snapshots(1);
    ASSERT_TRUE(made.has_value()) << made.error().what;
    EXPECT_EQ(*made, 0U);
    EXPECT_EQ(digest(*open(disk_)), digest(*one));
}

TEST_F(CoreTest, ACommitTouchesNoDocumentThatHasNothingToStore) {
    const auto core = open(disk_);
    set(*core, "/a", 1);
    ASSERT_TRUE(core->commit().has_value());
    DocumentCore& busy = document(*core, "busy");
    ASSERT_TRUE(try_set(busy, "/b", 1).has_value());
    // While the other document is locked, by a transaction that ends without a change.
    const auto done = document(*core).transact(
        [&](Tx&) -> Result<void> {
            const auto changed = core->commit();
            EXPECT_TRUE(changed.has_value());
            EXPECT_EQ(changed->size(), 1U);
            return {};
        },
        "");
    ASSERT_TRUE(done.has_value());
    EXPECT_FALSE(core->has_pending());
    EXPECT_EQ(document(*open(disk_), "busy").status()->change_count, 1U);
}

TEST_F(CoreTest, ADocumentThatAnotherProcessMakesIsHeardOf) {
    const auto one = open(disk_);
    set(*one, "/a", 1);
    ASSERT_TRUE(one->commit().has_value());
    const auto two = open(disk_);
    for (const char* const id : {"new", "newer"}) {
        ASSERT_TRUE(try_set(document(*two, id), "/b", 1).has_value());
        ASSERT_TRUE(two->commit().has_value());
        ASSERT_TRUE(one->others_wrote());
        disk_.fail_commit(1);
        set(*one, "/a", id[3] == 'e' ? 3 : 2);
        ASSERT_FALSE(one->commit().has_value());
        const auto changed = one->commit();
        ASSERT_TRUE(changed.has_value());
        ASSERT_EQ(changed->size(), 2U);
        EXPECT_EQ((*changed)[0]->id(), "d");
        EXPECT_EQ((*changed)[1]->id(), id);
        set(*one, "/a", 4);
        EXPECT_EQ(one->commit()->size(), 1U);
    }
}

TEST_F(CoreTest, WhatWasAcknowledgedIsStoredAfterACommitThatFailed) {
    ChainMark change;
    DeviceKey device;
    device.bytes.fill(7);
    {
        const auto one = open(disk_);
        set(*one, "/a", 1);
        ASSERT_TRUE(one->commit().has_value());
        change = {one->author().actor, 1};
        ASSERT_TRUE(one->acknowledged("d", device, document(*one).frontier()));
        const auto two = open(disk_);
        ASSERT_TRUE(try_set(document(*two, "of two"), "/b", 1).has_value());
        ASSERT_TRUE(two->commit().has_value());
        // "d" changes when the list of what is to be stored is made already: it is written all the
        // same, since what others wrote has every document looked at.
        DocumentCore& live = document(*one, "live");
        const Subscription watch = live.observe("", [&](const Event&) { set(*one, "/a", 2); });
        const Value value(std::int64_t{1});
        ASSERT_TRUE(live.write_live(live.live_slot("/v")->map, "v", &value).has_value());
        disk_.fail_commit(1);
        ASSERT_FALSE(one->commit().has_value());
        ASSERT_TRUE(one->commit().has_value());
    }
    const auto again = open(disk_);
    const auto status = document(*again).change_status(change);
    ASSERT_TRUE(status.has_value());
    EXPECT_EQ(status->acknowledged_by, std::vector{device});
}

TEST_F(CoreTest, ADamagedSnapshotIsReadAroundAndMadeAgainAfterTheNextChange) {
    Digest before;
    {
        const auto core = open(disk_);
        set(*core, "/a", 1);
        ASSERT_TRUE(core->commit().has_value());
        ASSERT_EQ(*core->make_snapshots(1), 1U);
        before = digest(*core);
    }
    const auto damage = [&](const std::function<Result<void>(StoreWriter&, ByteView)>& change) {
        const auto store = *persist::open_memory_store(disk_, random_);
        const auto writer = *store->write();
        const auto found = *writer->first_at_or_after(Table::snapshots, {});
        ASSERT_TRUE(found.has_value());
        const Bytes key(found->key.begin(), found->key.end());
        ASSERT_TRUE(change(*writer, key).has_value());
        ASSERT_TRUE(writer->commit().has_value());
    };
    const auto break_it = [](StoreWriter& writer, ByteView key) {
        return writer.put(Table::snapshots, key, Bytes{1, 2, 3});
    };
    const auto lose_it = [](StoreWriter& writer, ByteView key) {
        return writer.erase(Table::snapshots, key);
    };
    for (const std::function<Result<void>(StoreWriter&, ByteView)>& how :
         {std::function<Result<void>(StoreWriter&, ByteView)>(break_it),
          std::function<Result<void>(StoreWriter&, ByteView)>(lose_it)}) {
        damage(how);
        logged.clear();
        const auto core = open(disk_);
        EXPECT_EQ(digest(*core), before);
        ASSERT_EQ(logged.size(), 1U);
        EXPECT_NE(logged[0].find("document d: snapshot is "), std::string::npos) << logged[0];
        // Long before one is due.
        ASSERT_EQ(*core->make_snapshots(1000), 1U);
        EXPECT_EQ(*core->make_snapshots(1000), 0U);
        logged.clear();
        EXPECT_EQ(digest(*open(disk_)), before);
        EXPECT_TRUE(logged.empty());
    }
}

/// A store on which something happens right behind its next commit.
class BusyStore final : public PassingStore {
  public:
    BusyStore(std::unique_ptr<Store> store, std::function<void()> then)
        : PassingStore(std::move(store)), then_(std::move(then)) {}
    Result<std::unique_ptr<StoreWriter>> write() override {
        JOINERY_TRY(auto writer, PassingStore::write());
        return std::unique_ptr<StoreWriter>(std::make_unique<Writer>(std::move(writer), then_));
    }

  private:
    class Writer final : public PassingWriter {
      public:
        Writer(std::unique_ptr<StoreWriter> writer, std::function<void()>& then)
            : PassingWriter(std::move(writer)), then_(then) {}
        Result<void> commit() override {
            JOINERY_TRY_VOID(PassingWriter::commit());
            if (then_) std::exchange(then_, {})();
            return {};
        }

      private:
        std::function<void()>& then_;
    };

    std::function<void()> then_;
};

TEST_F(CoreTest, WhatAnotherProcessCommitsRightBehindOursIsNotOverwritten) {
    const auto two = open(disk_);
    set(*two, "/a", 1);
    ASSERT_TRUE(two->commit().has_value());
    auto store = std::make_unique<BusyStore>(*persist::open_memory_store(disk_, random_), [&] {
        set(*two, "/b", 2);
        ASSERT_TRUE(two->commit().has_value());
    });
    const auto one = open_on(std::move(store));
    set(*one, "/c", 3);
    ASSERT_TRUE(one->commit().has_value());
    EXPECT_TRUE(one->others_wrote());
    set(*one, "/d", 4);
    ASSERT_TRUE(one->commit().has_value());
    const auto three = open(disk_);
    const auto view = document(*three).read("");
    ASSERT_TRUE(view.has_value());
    EXPECT_EQ(view->object().size(), 4U);
    EXPECT_EQ(digest(*three), digest(*one));
}

/// One change of @p count operations.
void set_many(DocumentCore& document, const std::string& key, std::size_t count) {
    const auto done = document.transact(
        [&](Tx& tx) -> Result<void> {
            return tx.set(key, Plain(PlainArray(count, Plain(Value(true)))));
        },
        "");
    ASSERT_TRUE(done.has_value() && done->changed);
}

TEST_F(CoreTest, WhatWasStoredAtOnceIsSentInAsManyMessagesAsItTakes) {
    const auto author = open(disk_);
    for (const char* key : {"/a", "/b", "/c"})
        set_many(document(*author), key, crdt::kBatchOpMax / 2);
    ASSERT_TRUE(author->commit().has_value());
    const auto reader = open(other_disk_);
    send(*author, *reader);
    EXPECT_EQ(digest(*reader), digest(*author));
}

TEST_F(CoreTest, WhatCameInManyMessagesAndWasStoredAtOnceCanBePassedOn) {
    const auto author = open(disk_);
    const auto relay = open(other_disk_);
    Stream stream;
    for (const char* key : {"/a", "/b", "/c"}) {
        set_many(document(*author), key, crdt::kBatchOpMax / 2);
        ASSERT_TRUE(author->commit().has_value());
        EXPECT_TRUE(send(*author, *relay, stream));
    }
    set(*relay, "/d", 1);
    ASSERT_TRUE(relay->commit().has_value());
    const auto reopened = open(other_disk_);
    for (Core* from : {relay.get(), reopened.get()}) {
        persist::MemoryDisk disk;
        const auto third = open(disk);
        send(*from, *third);
        EXPECT_EQ(digest(*third), digest(*relay));
    }
}

TEST_F(CoreTest, MoreChangesThanABatchTakesAreSentInSeveral) {
    const auto author = open(disk_);
    for (std::size_t i = 0; i <= crdt::kBatchChangeMax; ++i)
        set(*author, "/a", static_cast<std::int64_t>(i));
    ASSERT_TRUE(author->commit().has_value());
    const auto reader = open(other_disk_);
    send(*author, *reader);
    EXPECT_EQ(digest(*reader), digest(*author));
}

// It may have left: its number is given to nothing else.
TEST_F(CoreTest, AnActorWithSomethingUnstoredIsNotWrittenAsAgain) {
    persist::MemoryDisk disk;
    ActorId first;
    {
        const auto core = open(disk);
        first = core->author().actor;
        set(*core, "/x", 1);
        ASSERT_TRUE(core->commit().has_value());
    }
    {
        const auto core = open(disk);
        EXPECT_EQ(core->author().actor, first) << "all was stored";
        set(*core, "/x", 2);
        EXPECT_EQ(document(*core).seal_for_others(), 0U) << "durable first, without the hook";
    }
    const auto core = open(disk);
    EXPECT_NE(core->author().actor, first);
}

}  // namespace
}  // namespace joinery::detail
