// Others have more of our own actor than we have (storage-format.md, Identity): the store was
// copied or put back to an older state in a way that it cannot notice, so it goes on as a fresh
// actor.

#include "tests/engine/core_rig.h"
#include "tests/engine/passing_store.h"

#include <gtest/gtest.h>
#include <memory>

namespace joinery::detail {
namespace {

class IncarnationTest : public CoreTest {
  protected:
    /// A store that made /a and /b, of which `other` has both, put back to where it had made /a.
    void make_overtaken() {
        {
            const auto core = open(disk_);
            set(*core, "/a", 1);
            ASSERT_TRUE(core->commit().has_value());
        }
        const auto image = disk_.clone();
        {
            const auto core = open(disk_);
            actor_ = core->author().actor;
            set(*core, "/b", 2);
            ASSERT_TRUE(core->commit().has_value());
            other_ = open(other_disk_);
            send(*core, *other_);
            ASSERT_TRUE(other_->commit().has_value());
        }
        disk_.put_back(*image);
        core_ = open(disk_);
        ASSERT_EQ(core_->author().actor, actor_) << "the store noticed by itself";
        logged.clear();
    }
    void expect_fresh_actor(Core& core, const ActorId& before) {
        EXPECT_NE(core.author().actor, before);
        const auto changes = core.store().incarnation_changes();
        ASSERT_TRUE(changes.has_value());
        EXPECT_EQ(changes->back().reason, IncarnationReason::overtaken);
        EXPECT_EQ(changes->back().time, clock_.wall_now());
        EXPECT_EQ(changes->back().incarnation, core.author().proof.incarnation);
        ASSERT_EQ(logged.size(), 1U);
        EXPECT_NE(logged[0].find(to_hex(before.view())), std::string::npos) << logged[0];
    }
    void exchange_and_compare() {
        send(*other_, *core_);
        set(*core_, "/c", 3);
        ASSERT_TRUE(core_->commit().has_value());
        send(*core_, *other_);
        ASSERT_TRUE(other_->commit().has_value());
        EXPECT_EQ(digest(*core_), digest(*other_));
        EXPECT_EQ(document(*core_).read("")->object().size(), 3U);
        EXPECT_EQ(digest(*open(disk_)), digest(*other_));
    }
    std::size_t incarnation_count(Core& core) { return core.store().incarnation_changes()->size(); }

    ActorId actor_;
    std::unique_ptr<Core> core_, other_;
};

/// A store that says that it is another's, and cannot be made its own.
class TwinStore final : public PassingStore {
  public:
    TwinStore(std::unique_ptr<Store> store, const crdt::ActorProof& proof)
        : PassingStore(std::move(store)), proof_(proof) {}
    Incarnation incarnation() const override { return proof_.incarnation; }
    Result<void> renew_incarnation(IncarnationReason, WallTime) override {
        return fail(Errc::io, "a twin's incarnation is not its own");
    }
    Result<bool> follow_incarnation() override { return false; }
    std::uint32_t writer_slot() const override { return proof_.writer_slot; }
    std::uint32_t writer_generation() const override { return proof_.writer_generation; }

  private:
    crdt::ActorProof proof_;
};

TEST_F(IncarnationTest, AFrontierThatHasMoreOfOurActorMakesAFreshOne) {
    make_overtaken();
    hear(*core_, document(*other_).frontier());
    expect_fresh_actor(*core_, actor_);
    exchange_and_compare();
    EXPECT_EQ(incarnation_count(*core_), 2U);
}

TEST_F(IncarnationTest, AFrontierWithAnotherHashOfOurActorMakesAFreshOne) {
    make_overtaken();
    // A store that writes before it hears of anybody: then the number is the same, and not the
    // change.
    set(*core_, "/b", 3);
    ASSERT_TRUE(core_->commit().has_value());
    hear(*core_, document(*other_).frontier());
    expect_fresh_actor(*core_, actor_);
}

TEST_F(IncarnationTest, ChangesOfOurActorThatComeMakeAFreshOne) {
    make_overtaken();
    send(*other_, *core_);
    expect_fresh_actor(*core_, actor_);
    exchange_and_compare();
    EXPECT_EQ(incarnation_count(*core_), 2U);
}

TEST_F(IncarnationTest, WhatOthersHaveAsWeDoMakesNone) {
    make_overtaken();
    send(*other_, *core_);
    logged.clear();
    exchange_and_compare();
    hear(*core_, document(*other_).frontier());
    session::Frontier empty;
    hear(*core_, empty);
    EXPECT_TRUE(logged.empty());
    EXPECT_EQ(incarnation_count(*core_), 2U);
}

TEST_F(IncarnationTest, WhatTheOldActorMadeAndDidNotStoreYetIsStoredAsItsOwn) {
    make_overtaken();
    ASSERT_TRUE(try_set(document(*core_, "e"), "/x", 1).has_value());
    hear(*core_, document(*other_).frontier());
    ASSERT_TRUE(try_set(document(*core_, "e"), "/y", 2).has_value());
    ASSERT_TRUE(core_->commit().has_value());
    send(*core_, *other_, "e");
    const auto view = document(*other_, "e").read("");
    ASSERT_TRUE(view.has_value());
    EXPECT_EQ(view->object().size(), 2U);
    EXPECT_EQ(document(*other_, "e").status()->actor_count, 2U);
}

TEST_F(IncarnationTest, ADocumentThatTheStoreDoesNotKnowYetIsTakenToo) {
    open(disk_).reset();
    const auto image = disk_.clone();
    other_ = open(other_disk_);
    {
        const auto first = open(disk_);
        actor_ = first->author().actor;
        set(*first, "/a", 1);
        set(*first, "/b", 2);
        ASSERT_TRUE(first->commit().has_value());
        send(*first, *other_);
    }
    ASSERT_TRUE(other_->commit().has_value());
    disk_.put_back(*image);
    core_ = open(disk_);
    ASSERT_EQ(core_->author().actor, actor_);
    logged.clear();
    send(*other_, *core_);
    expect_fresh_actor(*core_, actor_);
    exchange_and_compare();
}

TEST_F(IncarnationTest, TheOtherProcessOfTheStoreFollows) {
    make_overtaken();
    const auto second = open(disk_);
    const ActorId before = second->author().actor;
    set(*second, "/pending", 1);
    hear(*core_, document(*other_).frontier());
    logged.clear();
    ASSERT_TRUE(second->others_wrote());
    ASSERT_TRUE(second->commit().has_value());
    EXPECT_NE(second->author().actor, before);
    EXPECT_NE(second->author().actor, core_->author().actor);
    EXPECT_EQ(second->author().proof.incarnation, core_->author().proof.incarnation);
    EXPECT_EQ(logged.size(), 1U);
    EXPECT_EQ(incarnation_count(*second), 2U);
    // Nor do the two take turns.
    ASSERT_TRUE(core_->commit().has_value());
    ASSERT_TRUE(second->commit().has_value());
    EXPECT_EQ(incarnation_count(*core_), 2U);
    set(*second, "/later", 2);
    ASSERT_TRUE(second->commit().has_value());
    send(*second, *other_);
    send(*other_, *second);
    EXPECT_EQ(digest(*second), digest(*other_));
}

TEST_F(IncarnationTest, WhatAnotherProcessTookInOfOurActorMakesAFreshOne) {
    {
        const auto one = open(disk_);
        const auto two = open(disk_);
        set(*two, "/a", 1);
        ASSERT_TRUE(two->commit().has_value());
    }
    const auto image = disk_.clone();
    other_ = open(other_disk_);
    ActorId actor;
    {
        const auto one = open(disk_);
        const auto two = open(disk_);
        actor = two->author().actor;
        set(*two, "/b", 2);
        ASSERT_TRUE(two->commit().has_value());
        send(*two, *other_);
        ASSERT_TRUE(other_->commit().has_value());
    }
    disk_.put_back(*image);
    const auto one = open(disk_);
    core_ = open(disk_);
    ASSERT_EQ(core_->author().actor, actor);
    ASSERT_TRUE(document(*core_).read("").has_value());
    logged.clear();
    send(*other_, *one);
    ASSERT_TRUE(one->commit().has_value());
    EXPECT_TRUE(logged.empty());
    ASSERT_TRUE(core_->commit().has_value());
    expect_fresh_actor(*core_, actor);
    exchange_and_compare();
}

TEST_F(IncarnationTest, APeersMereWordIsBelievedAFewTimesOnlyAndOurOwnSealAlways) {
    make_overtaken();
    for (int i = 0; i < 12; ++i) {
        hear(*core_, {{core_->author().actor, 1'000, {7}}});
    }
    EXPECT_EQ(incarnation_count(*core_), 1U + 8U);
    const ActorId last = core_->author().actor;
    set(*core_, "/still", 1);
    ASSERT_TRUE(core_->commit().has_value());
    EXPECT_EQ(core_->author().actor, last);
    // Somebody with our key who writes as we do.
    const auto copied = disk_.clone();
    const auto twin = open_on(std::make_unique<TwinStore>(
        *persist::open_memory_store(*copied, random_), core_->author().proof));
    ASSERT_EQ(twin->author().actor, last);
    set(*twin, "/proof", 1);
    ASSERT_TRUE(twin->commit().has_value());
    send(*twin, *core_);
    EXPECT_NE(core_->author().actor, last);
    EXPECT_EQ(incarnation_count(*core_), 1U + 9U);
}

TEST_F(IncarnationTest, NothingIsMadeAsTheOldActorWhileTheStoreCannotTakeAFreshOne) {
    make_overtaken();
    disk_.fail_commit(1);
    send(*other_, *core_);
    EXPECT_EQ(core_->author().actor, actor_);
    disk_.fail_commit(1);
    const auto refused = try_set(document(*core_), "/c", 3);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, Errc::io);
    const auto done = try_set(document(*core_), "/c", 3);
    ASSERT_TRUE(done.has_value());
    EXPECT_NE(done->actor, actor_);
    expect_fresh_actor(*core_, actor_);
}

}  // namespace
}  // namespace joinery::detail
