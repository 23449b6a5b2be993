// Live values in documents: docs/semantics.md I3, I5, I8, I10; docs/storage-format.md.

#include "engine/records.h"
#include "support/json_patch.h"
#include "support/random_tx.h"
#include "tests/engine/core_rig.h"

#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <vector>

namespace joinery::detail {
namespace {

class LiveTest : public CoreTest {
  protected:
    static Result<void> write(Core& core, std::string_view path, const Value* value) {
        JOINERY_TRY(const auto slot, document(core).live_slot(path));
        return document(core).write_live(slot.map, slot.key, value);
    }
    static Result<void> write(Core& core, std::string_view path, std::int64_t number) {
        const Value value(number);
        return write(core, path, &value);
    }
    /// The number at @p path; none where nothing is.
    static std::optional<std::int64_t> number(Core& core,
                                              std::string_view path,
                                              Lanes lanes = Lanes::all) {
        const auto read = document(core).read(path, lanes);
        if (!read) return std::nullopt;
        return read->scalar().as_integer();
    }
    static void put_plain(Core& core, std::string_view path, const Plain& value) {
        ASSERT_TRUE(document(core).transact([&](Tx& tx) { return tx.set(path, value); }, ""));
    }
    static void erase(Core& core, std::string_view path) {
        ASSERT_TRUE(document(core).transact([&](Tx& tx) { return tx.erase(path); }, ""));
    }
    /// Gives @p to what live values it lacks of @p from.
    static void send_live(Core& from, Core& to) {
        crdt::LiveCursor cursor;
        cursor.theirs = document(to).live_marks();
        const auto part = document(from).collect_live(cursor, SIZE_MAX);
        ASSERT_TRUE(document(to).receive_live(part.batches, 1).has_value());
    }
    static std::size_t record_count(Core& core) {
        const auto reader = core.store().read();
        std::size_t count = 0;
        for (Bytes key;; ++count) {
            const auto found = (*reader)->first_at_or_after(Table::live, key);
            if (!found || !*found) return count;
            key.assign((*found)->key.begin(), (*found)->key.end());
            key.push_back(0);
        }
    }
};

TEST_F(LiveTest, AValueShowsAtOnceAndIsInNoChangeAndNoDigest) {  // I3, D1
    const auto core = open(disk_);
    set(*core, "/a", 1);
    const Digest before = digest(*core);
    ASSERT_TRUE(write(*core, "/m", 5).has_value());
    EXPECT_EQ(number(*core, "/m"), 5);
    EXPECT_EQ(number(*core, "/m", Lanes::logged), std::nullopt);
    EXPECT_EQ(document(*core).read("")->object().size(), 2U);
    EXPECT_EQ(document(*core).read("", Lanes::logged)->object().size(), 1U);
    ASSERT_TRUE(core->commit().has_value());
    EXPECT_EQ(digest(*core), before);
    EXPECT_EQ(document(*core).status()->change_count, 1U);
    EXPECT_EQ(document(*core).status()->live_count, 1U);
    EXPECT_TRUE(document(*core).alternatives("/m")->empty());
}

TEST_F(LiveTest, WhatIsLoggedAtTheSlotHidesItWhileItIsThere) {  // I3
    const auto core = open(disk_);
    ASSERT_TRUE(write(*core, "/m", 1).has_value());
    set(*core, "/m", 7);
    EXPECT_EQ(number(*core, "/m"), 7);
    EXPECT_EQ(write(*core, "/m", 2).error().code, Errc::conflict);
    erase(*core, "/m");
    EXPECT_EQ(number(*core, "/m"), 1);
    put_plain(*core, "/m", Plain{PlainObject{}});
    EXPECT_TRUE(document(*core).read("/m")->is_object());
}

TEST_F(LiveTest, AnErasedMapHidesItAndShowsItWhenItComesBack) {  // I3
    const auto core = open(disk_);
    put_plain(*core, "/w", Plain{PlainObject{}});
    const auto slot = document(*core).live_slot("/w/m");
    ASSERT_TRUE(slot.has_value());
    const Value one(std::int64_t{1});
    ASSERT_TRUE(document(*core).write_live(slot->map, slot->key, &one).has_value());
    erase(*core, "/w");
    EXPECT_TRUE(document(*core).read("")->object().empty());
    EXPECT_EQ(document(*core).write_live(slot->map, slot->key, &one).error().code, Errc::not_found);
    set(*core, "/w", 3);
    EXPECT_EQ(number(*core, "/w"), 3);
    put_plain(*core, "/w", Plain{PlainObject{}});
    EXPECT_EQ(number(*core, "/w/m"), 1);
}

TEST_F(LiveTest, ClearingARegisterShowsNothing) {  // I5
    const auto core = open(disk_);
    ASSERT_TRUE(write(*core, "/m", 1).has_value());
    ASSERT_TRUE(write(*core, "/m", nullptr).has_value());
    EXPECT_TRUE(document(*core).read("")->object().empty());
    ASSERT_TRUE(core->commit().has_value());
    EXPECT_TRUE(document(*open(disk_)).read("")->object().empty());
}

TEST_F(LiveTest, WhatCannotBeWrittenIsSaid) {
    const auto core = open(disk_);
    put_plain(*core, "/list", Plain{PlainArray{Plain{Value(true)}, Plain{PlainObject{}}}});
    const Value text(std::string(1025, 'x'));
    EXPECT_EQ(write(*core, "", 1).error().code, Errc::malformed);
    EXPECT_EQ(write(*core, "m", 1).error().code, Errc::malformed);
    EXPECT_EQ(write(*core, "/no/m", 1).error().code, Errc::not_found);
    EXPECT_EQ(write(*core, "/list/0", 1).error().code, Errc::malformed);
    EXPECT_EQ(write(*core, "/list/0/m", 1).error().code, Errc::not_found);
    EXPECT_EQ(write(*core, "/m", &text).error().code, Errc::over_limit);
    EXPECT_EQ(document(*core).status()->live_count, 0U);
    EXPECT_TRUE(write(*core, "/list/1/m", 1).has_value());
}

TEST_F(LiveTest, ARegisterStaysWithItsElementWhereverThatMoves) {
    const auto core = open(disk_);
    put_plain(*core, "/list", Plain{PlainArray{Plain{PlainObject{}}, Plain{PlainObject{}}}});
    const auto slot = document(*core).live_slot("/list/0/m");
    ASSERT_TRUE(document(*core).transact([](Tx& tx) { return tx.move("/list/0", "/list/1"); }, ""));
    const Value one(std::int64_t{1});
    ASSERT_TRUE(document(*core).write_live(slot->map, slot->key, &one).has_value());
    EXPECT_EQ(number(*core, "/list/1/m"), 1);
}

TEST_F(LiveTest, ImportAndEarlierVersionsKnowNothingOfIt) {  // I10
    const auto core = open(disk_);
    set(*core, "/a", 1);
    ASSERT_TRUE(write(*core, "/m", 5).has_value());
    ASSERT_TRUE(core->commit().has_value());
    const Plain exported = *document(*core).read("", Lanes::logged);
    const auto again = document(*core).transact([&](Tx& tx) { return tx.set("", exported); }, "");
    EXPECT_FALSE(again->changed);
    EXPECT_EQ(number(*core, "/m"), 5);
    EXPECT_EQ(*document(*core).read_at(*Version::parse("#1"), ""), exported);
}

// --- The store -----------------------------------------------------------------------------------

TEST_F(LiveTest, ItIsThereAgainWhenTheStoreIsOpenedAlsoAlone) {
    const auto core = open(disk_);
    for (int i = 0; i < 100; ++i)
        ASSERT_TRUE(write(*core, "/m" + std::to_string(i), i).has_value());
    ASSERT_TRUE(core->commit().has_value());
    const auto again = open(disk_);
    EXPECT_EQ(again->documents(), std::vector<std::string>{"d"});
    EXPECT_TRUE(*document(*again).read("") == *document(*core).read(""));
    EXPECT_EQ(document(*again).live_state().hash, document(*core).live_state().hash);
    // What was read is not written again.
    EXPECT_FALSE(document(*again).has_pending());
}

TEST_F(LiveTest, TheStoreHoldsWhatStandsHoweverOftenItWasWritten) {  // I8
    const auto core = open(disk_);
    std::size_t records = 0;
    for (int i = 0; i < 200; ++i) {
        for (int m = 0; m < 10; ++m)
            ASSERT_TRUE(write(*core, "/m" + std::to_string(m), i).has_value());
        ASSERT_TRUE(core->commit().has_value());
        if (i == 0) records = record_count(*core);
    }
    EXPECT_EQ(record_count(*core), records);
    EXPECT_EQ(number(*open(disk_), "/m3"), 199);
}

TEST_F(LiveTest, TwoProcessesOnOneStoreShowTheSame) {
    const auto one = open(disk_);
    const auto two = open(disk_);
    ASSERT_TRUE(write(*one, "/a", 1).has_value());
    ASSERT_TRUE(write(*two, "/b", 2).has_value());
    for (int i = 0; i < 20; ++i) {
        Core& writer = i % 2 == 0 ? *one : *two;
        ASSERT_TRUE(write(writer, "/both", i).has_value());
        ASSERT_TRUE(one->commit().has_value());
        ASSERT_TRUE(two->commit().has_value());
        ASSERT_TRUE(one->commit().has_value());
        EXPECT_EQ(number(*one, "/both"), i);
        EXPECT_EQ(number(*two, "/both"), i);
    }
    EXPECT_TRUE(*document(*one).read("") == *document(*two).read(""));
    EXPECT_TRUE(*document(*open(disk_)).read("") == *document(*two).read(""));
    EXPECT_FALSE(document(*one).has_pending() || document(*two).has_pending());
}

/// Overwrites the record of the one live batch in @p store.
void spoil(Store& store) {
    const auto writer = store.write();
    const auto found = (*writer)->first_at_or_after(Table::live, live_batch_key(1, {}));
    ASSERT_TRUE(found.has_value() && found->has_value());
    const Bytes key((*found)->key.begin(), (*found)->key.end());
    ASSERT_TRUE((*writer)->put(Table::live, key, Bytes{1, 2, 3}).has_value());
    ASSERT_TRUE((*writer)->commit().has_value());
}

TEST_F(LiveTest, ARecordThatCannotBeReadIsLetGoAndAPeerGivesItBack) {
    const auto core = open(disk_);
    const auto peer = open(other_disk_);
    set(*core, "/a", 1);
    ASSERT_TRUE(write(*core, "/m", 5).has_value());
    ASSERT_TRUE(core->commit().has_value());
    send_live(*core, *peer);
    spoil(core->store());
    const auto again = open(disk_);
    EXPECT_EQ(number(*again, "/m"), std::nullopt);
    EXPECT_EQ(number(*again, "/a"), 1);
    send_live(*peer, *again);
    ASSERT_TRUE(again->commit().has_value());
    EXPECT_EQ(number(*open(disk_), "/m"), 5);
    EXPECT_EQ(record_count(*again), 2U);
}

// --- Watching ------------------------------------------------------------------------------------

TEST_F(LiveTest, APathIsToldOnceAFlushHoweverOftenItWasWritten) {
    const auto core = open(disk_);
    std::vector<Event> events;
    const auto watch = document(*core).observe("/m", [&](const Event& e) { events.push_back(e); });
    for (int i = 0; i < 100; ++i) {
        ASSERT_TRUE(write(*core, "/m", i).has_value());
        ASSERT_TRUE(write(*core, "/other", i).has_value());
    }
    EXPECT_TRUE(events.empty());
    ASSERT_TRUE(core->commit().has_value());
    ASSERT_EQ(events.size(), 1U);
    ASSERT_EQ(events[0].patches.size(), 1U);
    EXPECT_TRUE(events[0].local);
    EXPECT_EQ(events[0].patches[0].path, "/m");
    EXPECT_EQ(events[0].patches[0].value, Plain{Value(std::int64_t{99})});
    ASSERT_TRUE(core->commit().has_value());
    EXPECT_EQ(events.size(), 1U);
}

/// A document's copy, kept by patches alone.
class Follower {
  public:
    explicit Follower(DocumentCore& document) : document_(document), copy_(*document.read("")) {
        watch_ = document.observe("", [this](const Event& event) {
            for (const Patch& patch : event.patches) {
                if (!test::apply_patch(copy_, patch)) fault_ += patch.path + " does not fit; ";
            }
        });
    }
    void check(const std::string& when) const {
        ASSERT_EQ(fault_, "") << when;
        ASSERT_TRUE(copy_ == *document_.read("")) << when;
    }

  private:
    DocumentCore& document_;
    Plain copy_;
    std::string fault_;
    Subscription watch_;
};

TEST_F(LiveTest, FollowingThePatchesGivesTheViewOnRandomHistories) {  // I3
    static const std::vector<std::string> kPaths{
        "/a", "/b", "/map/a", "/map/b", "/list/0/a", "/map/map/a", "/new", "/sl~1ash~0"};
    std::size_t written = 0;
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        test::Dice dice(seed);
        persist::MemoryDisk disk;
        persist::MemoryDisk other_disk;
        // The last two are two processes on one store.
        std::vector<std::unique_ptr<Core>> cores;
        cores.push_back(open(disk));
        cores.push_back(open(other_disk));
        cores.push_back(open(other_disk));
        std::vector<std::unique_ptr<Follower>> followers;
        for (const auto& core : cores)
            followers.push_back(std::make_unique<Follower>(document(*core)));
        for (int step = 0; step < 80; ++step) {
            const std::size_t at = dice.below(cores.size());
            const std::size_t from = dice.below(cores.size());
            if (dice.chance(30)) {
                const Value value(static_cast<std::int64_t>(dice.below(5)));
                const bool clears = dice.chance(15);
                if (write(*cores[at], dice.pick(kPaths), clears ? nullptr : &value)) ++written;
            } else if (dice.chance(40) || at == from) {
                static_cast<void>(
                    document(*cores[at])
                        .transact([&](Tx& tx) { return test::edit_randomly(dice, tx); }, ""));
            } else {
                ASSERT_TRUE(cores[from]->commit().has_value());
                // Either may come first.
                if (dice.chance(50)) send_live(*cores[from], *cores[at]);
                send(*cores[from], *cores[at]);
                send_live(*cores[from], *cores[at]);
            }
            // What is written shows at once, and is told at the flush.
            if (dice.chance(30)) {
                followers[at] = std::make_unique<Follower>(document(*cores[at]));
            }
            for (const auto& core : cores)
                ASSERT_TRUE(core->commit().has_value());
            for (const auto& follower : followers) {
                follower->check("seed " + std::to_string(seed) + ", step " + std::to_string(step));
                if (HasFatalFailure()) return;
            }
        }
        for (int round = 0; round < 2; ++round) {
            for (std::size_t i = 0; i < cores.size(); ++i) {
                Core& from = *cores[i];
                Core& to = *cores[(i + 1) % cores.size()];
                send(from, to);
                send_live(from, to);
                send(to, from);
                send_live(to, from);
                for (const auto& core : cores)
                    ASSERT_TRUE(core->commit().has_value());
            }
        }
        for (const auto& core : cores) {
            ASSERT_EQ(digest(*core), digest(*cores[0])) << "seed " << seed;
            ASSERT_EQ(document(*core).live_state().hash, document(*cores[0]).live_state().hash);
            ASSERT_TRUE(*document(*core).read("") == *document(*cores[0]).read(""));
        }
        ASSERT_TRUE(*document(*open(disk)).read("") == *document(*cores[0]).read(""));
    }
    EXPECT_GT(written, 400U);
}

}  // namespace
}  // namespace joinery::detail
