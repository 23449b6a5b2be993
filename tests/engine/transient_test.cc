// Writes that the next one takes the place of (semantics E4).

#include "engine/transient.h"

#include "joinery/json.h"
#include "support/dice.h"
#include "tests/engine/core_rig.h"

#include <gtest/gtest.h>
#include <map>
#include <string>

namespace joinery::detail {
namespace {

using std::chrono_literals::operator""ms;

class TransientTest : public CoreTest {
  protected:
    void put_off(const std::string& path,
                 std::int64_t value,
                 std::chrono::milliseconds window = 100ms) {
        const auto done = document(*core_).set_transient(path, Plain(Value(value)), window);
        ASSERT_TRUE(done.has_value()) << done.error().what;
    }
    std::string shown() { return *print_json(*document(*core_).read("")); }
    std::uint64_t change_count() { return document(*core_).status()->change_count; }
    /// Moves the clock, and runs what is due.
    void pass(MonotonicTime time) {
        clock_.now += time;
        for (std::size_t i = 0; i < timed.size();) {
            if (timed[i].first > clock_.now) {
                ++i;
                continue;
            }
            const auto task = std::move(timed[i].second);
            timed.erase(timed.begin() + static_cast<std::ptrdiff_t>(i));
            task();
        }
    }

    std::unique_ptr<Core> core_ = open(disk_);
};

TEST_F(TransientTest, ADragMakesAChangeAWindow) {  // E4
    for (int i = 0; i < 60; ++i) {                 // 60 Hz for a second.
        put_off("/x", i);
        pass(std::chrono::nanoseconds(16'666'667));
    }
    pass(100ms);
    EXPECT_EQ(shown(), "{\"x\":59}");
    EXPECT_LE(change_count(), 11U);
    EXPECT_GE(change_count(), 9U);
    pass(100ms);
    EXPECT_TRUE(timed.empty());  // It is over: nothing wakes any more.
    const std::uint64_t before = change_count();
    put_off("/x", 100);
    EXPECT_EQ(change_count(), before + 1);
}

TEST_F(TransientTest, WhatWaitsIsMadeBeforeAnyOtherTransaction) {  // E4
    put_off("/x", 1);
    put_off("/x", 2);
    EXPECT_EQ(shown(), "{\"x\":1}");
    set(*core_, "/x", 3);
    EXPECT_EQ(change_count(), 3U);
    pass(1000ms);
    EXPECT_EQ(shown(), "{\"x\":3}");
    EXPECT_EQ(change_count(), 3U);
}

TEST_F(TransientTest, AFlushTouchesNoDocumentWhereNothingWaits) {
    put_off("/x", 1);
    put_off("/x", 2);
    ASSERT_TRUE(try_set(document(*core_, "other"), "/y", 1).has_value());
    // While the other document is locked.
    const auto done = document(*core_, "other")
                          .transact(
                              [&](Tx&) -> Result<void> {
                                  core_->flush_transient();
                                  return {};
                              },
                              "");
    ASSERT_TRUE(done.has_value());
    EXPECT_EQ(shown(), "{\"x\":2}");
    put_off("/x", 3);
    core_->flush_transient();
    EXPECT_EQ(shown(), "{\"x\":3}");
}

TEST_F(TransientTest, ATransactionThatFailsLeavesThemMade) {
    put_off("/x", 1);
    put_off("/x", 2);
    const auto failed = document(*core_).transact(
        [](Tx&) -> Result<void> { return fail(Errc::conflict, "no"); }, "");
    EXPECT_FALSE(failed.has_value());
    EXPECT_EQ(shown(), "{\"x\":2}");
}

TEST_F(TransientTest, AFirstWriteThatFailsSaysSoAndOpensNoWindow) {
    const auto refused =
        document(*core_).set_transient("/no/such", Plain(Value(std::int64_t{1})), 100ms);
    EXPECT_FALSE(refused.has_value());
    EXPECT_TRUE(timed.empty());
    for (const auto window : {0ms, std::chrono::milliseconds(kTransientWindowMax) + 1ms}) {
        const auto result = document(*core_).set_transient("/x", Plain(), window);
        ASSERT_FALSE(result.has_value());
        EXPECT_EQ(result.error().code, Errc::over_limit);
    }
    EXPECT_EQ(change_count(), 0U);
}

TEST_F(TransientTest, OneThatHasNoPlaceAnyMoreHindersNoOther) {
    const auto make = [](Tx& tx) { return tx.set("/m", Plain(PlainObject())); };
    ASSERT_TRUE(document(*core_).transact(make, "").has_value());
    for (int i = 1; i <= 2; ++i) {
        put_off("/m/x", i);
        put_off("/y", i);
    }
    const auto erase = [](Tx& tx) { return tx.erase("/m"); };
    // Before this one they are made, so what waits after it is put off anew.
    ASSERT_TRUE(document(*core_).transact(erase, "").has_value());
    put_off("/m/x", 3);
    put_off("/y", 3);
    pass(100ms);
    EXPECT_EQ(shown(), "{\"y\":3}");
}

TEST_F(TransientTest, IsWhatANaiveModelSays) {
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        test::Dice dice(seed);
        TransientWrites writes;
        struct Window {
            MonotonicTime end;
            std::vector<std::int64_t> written;
        };
        std::map<std::string, Window> model;
        MonotonicTime now{};
        for (int i = 0; i < 200; ++i) {
            const std::string path = "/" + std::to_string(dice.below(3));
            if (dice.chance(60)) {
                const bool is_open = model.contains(path) && now < model[path].end;
                EXPECT_EQ(writes.put_off(path, Plain(Value(std::int64_t{i})), now, 50ms), is_open);
                if (is_open) {
                    model[path].written.push_back(i);
                } else {
                    model[path] = {now + 50ms, {}};
                }
                continue;
            }
            const bool is_all = dice.chance(30);
            const auto taken = is_all ? writes.take_all() : writes.take_due(now);
            TransientWrites::Writes expected;
            for (auto& [name, window] : model) {
                if (!is_all && now < window.end) continue;
                if (!window.written.empty()) {
                    expected.emplace_back(name, Plain(Value(window.written.back())));
                    if (!is_all) window.end = now + 50ms;
                } else if (!is_all) {
                    window.end = now;  // Over.
                }
                window.written.clear();
            }
            EXPECT_TRUE(taken == expected);
            now += std::chrono::milliseconds(dice.below(30));
        }
        if (HasFailure()) return;
    }
}

}  // namespace
}  // namespace joinery::detail
