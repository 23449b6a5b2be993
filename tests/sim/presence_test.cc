// Presence between whole peers on a virtual clock: time to live, leaving through a relay, slow
// links.

#include "sim/process.h"

#include <gtest/gtest.h>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace joinery::sim {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

/// Peers a, hub and b; the outer two dial the hub.
class PresenceTest : public testing::Test {
  protected:
    PresenceTest() {
        const std::string hosts[] = {"a", "hub", "b"};
        for (std::size_t i = 0; i < 3; ++i) {
            ProcessSetup setup;
            setup.host = hosts[i];
            setup.random_seed = i + 1;
            if (i != 1) setup.dials = {"mem://hub"};
            processes_.push_back(std::make_unique<Process>(
                setup, now_, disks_[i], network_, [](const std::string& what) {
                    ADD_FAILURE() << what;
                }));
        }
        for (const std::size_t i : {1U, 0U, 2U})
            processes_[i]->start();
        const auto made = a().open("d", true)->core->transact(
            [](Tx& tx) { return tx.set("/x", Value(std::int64_t{1})); }, "");
        EXPECT_TRUE(made.has_value());
        pass(1s);
    }
    static void run_tasks(Process& process) {
        for (SimStrand& strand : process.strands()) {
            while (strand.is_due())
                strand.run_one();
        }
    }
    void run_tasks() {
        for (const auto& process : processes_) {
            if (process->is_alive()) run_tasks(*process);
        }
    }
    void settle() {
        for (int i = 0; i < 30; ++i) {
            network_.run(1000);
            run_tasks();
        }
    }
    /// Time goes on, and everything happens in it.
    void pass(Now time, Now step = 100ms) {
        for (Now gone{0}; gone < time; gone += step) {
            now_ += step;
            settle();
        }
    }
    /// Time goes on, and nothing comes through.
    void pass_in_silence(Now time, Now step = 100ms) {
        for (Now gone{0}; gone < time; gone += step) {
            now_ += step;
            run_tasks();
        }
    }
    static detail::DocumentPresence& presence(Process& process) {
        return *process.open("d", true)->core->presence();
    }
    static void set(Process& process,
                    std::int64_t value,
                    std::chrono::milliseconds time_to_live = kPresenceTimeDefault) {
        ASSERT_TRUE(presence(process).set("k", Value(value), time_to_live).has_value());
    }
    /// "DEVICE=value" of what @p process shows, by the first letters of the names.
    std::set<std::string> shown(Process& process) {
        std::set<std::string> out;
        for (const PresenceEntry& entry : presence(process).list()) {
            std::string who = "?";
            for (const auto& each : processes_) {
                if (each->is_alive() && each->core().device() == entry.id.run.device) {
                    who = each->setup().host;
                }
            }
            out.insert(who + "=" + std::to_string(entry.value.as_integer()));
        }
        return out;
    }
    using Shown = std::set<std::string>;
    Process& a() { return *processes_[0]; }
    Process& hub() { return *processes_[1]; }
    Process& b() { return *processes_[2]; }

    Now now_{0};
    persist::MemoryDisk disks_[3];
    transport::MemoryNetwork network_;
    std::vector<std::unique_ptr<Process>> processes_;
};

TEST_F(PresenceTest, ShowsThroughAHubAndIsSaidAnewForAsLongAsItsPeerLives) {  // P3
    set(a(), 1, 1s);
    set(b(), 2, 10s);
    settle();
    for (int i = 0; i < 120; ++i) {
        pass(500ms);
        for (const auto& process : processes_)
            ASSERT_EQ(shown(*process), (Shown{"a=1", "b=2"})) << i;
    }
    presence(a()).clear("k");
    settle();
    EXPECT_EQ(shown(b()), Shown{"b=2"});
}

TEST_F(PresenceTest, WhoIsKilledIsGoneAtOnceAndComesBackAsAnother) {  // P1, P4
    set(a(), 1);
    settle();
    ASSERT_EQ(shown(b()), Shown{"a=1"});
    a().kill();
    settle();
    EXPECT_TRUE(shown(hub()).empty());
    EXPECT_TRUE(shown(b()).empty());
    a().start();
    set(a(), 2);
    pass(3s);
    EXPECT_EQ(shown(b()), Shown{"a=2"});
}

TEST_F(PresenceTest, ALinkThatIsCutAndDialledAgainBringsItBack) {  // P5, P6
    set(a(), 1);
    settle();
    network_.cut_between("a", "hub");
    run_tasks();
    network_.run(4);
    run_tasks();
    pass(3s);
    EXPECT_EQ(shown(b()), Shown{"a=1"});
    EXPECT_EQ(shown(hub()), Shown{"a=1"});
}

TEST_F(PresenceTest, BeyondADeadRelayItExpires) {  // P3
    set(a(), 1, 5s);
    settle();
    ASSERT_EQ(shown(b()), Shown{"a=1"});
    hub().kill();
    settle();
    EXPECT_EQ(shown(b()), Shown{"a=1"});
    pass(2400ms);
    EXPECT_EQ(shown(b()).size(), 1U);
    pass(2700ms);
    EXPECT_TRUE(shown(b()).empty());
    EXPECT_EQ(shown(a()), Shown{"a=1"});
}

TEST_F(PresenceTest, ALinkOnWhichNothingComesIsALeaveOnceItIsFoundDead) {
    set(a(), 1);
    settle();
    ASSERT_EQ(shown(hub()), Shown{"a=1"});
    // Only the hub goes on.
    for (int i = 0; i < 130; ++i) {
        now_ += 100ms;
        run_tasks(hub());
    }
    EXPECT_TRUE(shown(hub()).empty());
    EXPECT_EQ(shown(a()), Shown{"a=1"});
}

TEST_F(PresenceTest, ADragWhileTheLinkIsBlockedIsAFewMessagesAndNoHistory) {
    set(a(), -1);
    pass(1s);
    const std::uint64_t sent_before = a().engine().links().sent_size();
    const std::uint64_t changes_before = a().open("d", true)->core->status()->change_count;
    std::size_t told = 0;
    std::int64_t last = -1;
    const auto watch = presence(b()).observe([&](const PresenceEvent& event) {
        ++told;
        ASSERT_EQ(event.set.size(), 1U);
        last = event.set[0].value.as_integer();
    });
    for (std::int64_t i = 0; i < 10000; ++i) {
        set(a(), i);
        if (i % 100 == 0) pass_in_silence(16ms, 16ms);
    }
    settle();
    pass(1s);
    EXPECT_EQ(last, 9999);
    EXPECT_LE(told, 40U);
    EXPECT_LE(a().engine().links().sent_size() - sent_before, 4000U);
    EXPECT_EQ(a().open("d", true)->core->status()->change_count, changes_before);
}

// A bulk load fills the link's queue again and again; a drag is to come through in between.
TEST_F(PresenceTest, ADragGoesOnBesideABulkLoad) {
    test::Dice dice(1);
    for (int i = 0; i < 40; ++i) {
        std::string text(60000, ' ');
        for (char& letter : text)
            letter = static_cast<char>('!' + dice.below(90));
        const auto done = a().open("d", true)->core->transact(
            [&](Tx& tx) { return tx.set("/t" + std::to_string(i), Value(text)); }, "");
        ASSERT_TRUE(done.has_value());
    }
    std::size_t told = 0;
    const auto watch = presence(b()).observe([&](const PresenceEvent&) { ++told; });
    for (std::int64_t i = 0; i < 100; ++i) {
        set(a(), i);
        now_ += 16ms;
        run_tasks();
        network_.run(6);
        run_tasks();
    }
    pass(1s);
    EXPECT_EQ(shown(b()), Shown{"a=99"});
    EXPECT_GE(told, 5U);
}

}  // namespace
}  // namespace joinery::sim
