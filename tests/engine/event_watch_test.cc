// What waits for a watch whose callback does not run yet (semantics E).

#include "engine/event_watch.h"

#include "joinery/json.h"
#include "support/dice.h"
#include "support/json_patch.h"
#include "support/random_tx.h"
#include "tests/engine/core_rig.h"

#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace joinery::detail {
namespace {

/// A core whose callbacks run when the test says so: a frame.
class EventTest : public CoreTest {
  protected:
    EventTest() {
        run_callback = [this](std::function<void()> callback) {
            posted_.push_back(std::move(callback));
        };
    }
    Subscription watch(Core& core, const std::string& path = "") {
        return document(core).observe(path,
                                      [this](const Event& event) { events_.push_back(event); });
    }
    void run_frame() {
        for (const auto& callback : std::exchange(posted_, {}))
            callback();
    }
    static std::string text(const std::vector<Patch>& patches) {
        std::string out;
        for (const Patch& patch : patches) {
            constexpr std::string_view kSigns = "+-=";
            out += kSigns[static_cast<std::size_t>(patch.kind)] + patch.path;
            if (patch.kind != Patch::Kind::remove) out += ":" + *print_json(patch.value);
            out += " ";
        }
        return out;
    }
    static std::string merged(const std::vector<Patch>& patches) {
        EventMerger merger;
        for (const Patch& patch : patches)
            merger.append(patch);
        return text(merger.take());
    }
    static Patch put(std::string path, Plain value) {
        return {Patch::Kind::replace, std::move(path), std::move(value)};
    }
    static Patch add(std::string path, Plain value) {
        return {Patch::Kind::add, std::move(path), std::move(value)};
    }

    std::vector<std::function<void()>> posted_;
    std::vector<Event> events_;
};

Plain number(std::int64_t value) { return Plain(Value(value)); }

TEST_F(EventTest, AFrameTellsOfEachPathOnce) {  // E2
    const auto core = open(disk_);
    set(*core, "/x", 0);
    set(*core, "/y", 0);
    const auto all = watch(*core);
    for (int i = 1; i <= 1000; ++i) {
        set(*core, "/x", i);
        set(*core, "/y", -i);
    }
    ASSERT_EQ(posted_.size(), 1U);
    run_frame();
    ASSERT_EQ(events_.size(), 1U);
    EXPECT_TRUE(events_[0].local);
    EXPECT_EQ(text(events_[0].patches), "=/x:1000 =/y:-1000 ");
    set(*core, "/x", 7);
    run_frame();
    ASSERT_EQ(events_.size(), 2U);
    EXPECT_EQ(text(events_[1].patches), "=/x:7 ");
}

TEST_F(EventTest, WhatWasMadeHereAndWhatCameStayApart) {  // E2
    const auto core = open(disk_);
    const auto other = open(other_disk_);
    const auto all = watch(*core);
    set(*core, "/x", 1);
    set(*other, "/z", 2);
    ASSERT_TRUE(other->commit().has_value());
    send(*other, *core);
    set(*core, "/x", 3);
    run_frame();
    ASSERT_EQ(events_.size(), 3U);
    EXPECT_TRUE(events_[0].local);
    EXPECT_FALSE(events_[1].local);
    EXPECT_EQ(text(events_[1].patches), "+/z:2 ");
    EXPECT_TRUE(events_[2].local);
}

TEST_F(EventTest, AWatchThatEndedIsNotToldOfWhatWaits) {
    const auto core = open(disk_);
    {
        const auto all = watch(*core);
        set(*core, "/x", 1);
    }
    run_frame();
    EXPECT_TRUE(events_.empty());
}

TEST_F(EventTest, WhoLagsBehindTheMostGetsTheWholeOnce) {  // E3
    const auto core = open(disk_);
    const auto other = open(other_disk_);
    const auto make = [](Tx& tx) { return tx.set("/watched", Plain(PlainObject())); };
    ASSERT_TRUE(document(*core).transact(make, "").has_value());
    ASSERT_TRUE(core->commit().has_value());
    send(*core, *other);
    const auto beneath = watch(*core, "/watched");
    // From both sides in turn: nothing of it can be merged.
    Stream stream;
    stream.theirs = document(*core).frontier();
    for (int i = 0; i < 400; ++i) {
        set(*core, "/watched/x", i);
        set(*other, "/watched/y", i);
        ASSERT_TRUE(other->commit().has_value());
        send(*other, *core, stream);
    }
    run_frame();
    ASSERT_LE(events_.size(), EventWatch::kEventsMax);
    EXPECT_FALSE(events_[0].local);
    EXPECT_EQ(events_[0].patches[0].path, "/watched");
    Plain copy(PlainObject{{"watched", Plain()}});
    for (const Event& event : events_) {
        for (const Patch& patch : event.patches)
            ASSERT_TRUE(test::apply_patch(copy, patch));
    }
    EXPECT_TRUE(copy == *document(*core).read(""));
}

TEST_F(EventTest, NothingIsMovedAcrossWhatShiftsItsPath) {
    // A list's elements move.
    EXPECT_EQ(merged({put("/l/1", number(1)), add("/l/0", number(2)), put("/l/1", number(3))}),
              "=/l/1:1 +/l/0:2 =/l/1:3 ");
    // What was in a place is another thing afterwards.
    EXPECT_EQ(merged({put("/m/x", number(1)),
                      put("/m", Plain(PlainObject{{"x", number(2)}})),
                      put("/m/x", number(3))}),
              "=/m/x:1 =/m:{\"x\":2} =/m/x:3 ");
    EXPECT_EQ(merged({add("/m/x", number(1)), put("/m/x", number(2)), put("/m/y", number(3))}),
              "+/m/x:2 =/m/y:3 ");
    EXPECT_EQ(merged({put("/m/x", number(1)),
                      Patch{Patch::Kind::remove, "/m/x", {}},
                      add("/m/x", number(2))}),
              "=/m/x:1 -/m/x +/m/x:2 ");
}

TEST_F(EventTest, MergedOrNotACopyIsTheViewOnRandomHistories) {
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        test::Dice dice(seed);
        persist::MemoryDisk disk;
        const auto core = open(disk);
        Plain copy = *document(*core).read("");
        events_.clear();
        const auto all = watch(*core);
        for (int i = 0; i < 40; ++i) {
            static_cast<void>(document(*core).transact(
                [&](Tx& tx) { return test::edit_randomly(dice, tx); }, ""));
            if (!dice.chance(17)) continue;
            run_frame();
            for (const Event& event : std::exchange(events_, {})) {
                for (const Patch& patch : event.patches)
                    ASSERT_TRUE(test::apply_patch(copy, patch)) << patch.path;
            }
            ASSERT_TRUE(copy == *document(*core).read(""));
        }
        posted_.clear();
    }
}

}  // namespace
}  // namespace joinery::detail
