// Presence as an app uses it: real peers, links on loopback, a relay in between.

#include "joinery/peer.h"

#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <gtest/gtest.h>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace joinery {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

class PresenceTest : public testing::Test {
  protected:
    PresenceTest() {
        std::string name = (std::filesystem::temp_directory_path() / "joinery-XXXXXX").string();
        directory_ = mkdtemp(name.data());
    }
    ~PresenceTest() override { std::filesystem::remove_all(directory_); }

    std::unique_ptr<Peer> open(const std::string& name,
                               std::function<void(std::function<void()>)> executor = {}) {
        Options options;
        options.authorize = let_everybody_in;
        options.name = name;
        options.executor = std::move(executor);
        auto peer = Peer::open(*open_store(directory_ / name), std::move(options));
        EXPECT_TRUE(peer.has_value());
        return *std::move(peer);
    }

    std::filesystem::path directory_;
};

/// What somebody who follows the events of a document thinks that is shown, as KEY=VALUE.
class Follower {
  public:
    explicit Follower(const Document& document)
        : watch_(document.presence().observe([this](const PresenceEvent& event) { take(event); })) {
    }
    /// Waits until exactly @p expected is shown.
    bool sees(const std::map<std::string, std::string>& expected) {
        std::unique_lock lock(mutex_);
        return told_.wait_for(lock, 30s, [&] {
            std::map<std::string, std::string> now;
            for (const auto& [id, value] : shown_)
                now[id.key] = value;
            return now == expected;
        });
    }

  private:
    void take(const PresenceEvent& event) {
        const std::lock_guard lock(mutex_);
        for (const PresenceEntry& entry : event.set)
            shown_[entry.id] = entry.value.as_string();
        for (const PresenceId& id : event.left)
            shown_.erase(id);
        told_.notify_all();
    }

    std::mutex mutex_;
    std::condition_variable told_;
    std::map<PresenceId, std::string> shown_;
    Subscription watch_;  // Last: it begins when the rest is there.
};

TEST_F(PresenceTest, ACursorShowsThroughARelayUntilItsPeerIsGone) {
    const auto hub = open("hub");
    const auto a = open("a");
    auto b = open("b");
    const auto url = hub->listen("tcp://127.0.0.1:0");
    ASSERT_TRUE(url.has_value());
    auto on_a = *a->document("d");
    Follower follower(on_a);
    ASSERT_TRUE(a->connect(*url).has_value());
    ASSERT_TRUE(b->connect(*url).has_value());
    auto on_b = *b->document("d");
    ASSERT_TRUE(on_b.presence().set("cursor", Value("/panels/3")).has_value());
    ASSERT_TRUE(follower.sees({{"cursor", "/panels/3"}}));
    const auto listed = on_a.presence().list();
    ASSERT_EQ(listed.size(), 1U);
    EXPECT_EQ(listed[0].id.run.device, b->status().device);
    EXPECT_EQ(listed[0].name, std::nullopt);  // Of the hub alone a knows what it calls itself.
    EXPECT_FALSE(listed[0].is_own);
    const auto at_hub = hub->document("d")->presence().list();
    ASSERT_EQ(at_hub.size(), 1U);
    EXPECT_EQ(at_hub[0].name, "b");
    // Gone without a word of its own: its time to live is 30 s and more than this test takes.
    b.reset();
    ASSERT_TRUE(follower.sees({}));
    EXPECT_EQ(on_a.status()->change_count, 0U);
}

TEST_F(PresenceTest, ADragLeavesNoHistoryAndComesToRestWhereItEnded) {
    const auto a = open("a");
    const auto b = open("b");
    const auto url = a->listen("tcp://127.0.0.1:0");
    ASSERT_TRUE(b->connect(*url).has_value());
    auto on_a = *a->document("d"), on_b = *b->document("d");
    ASSERT_TRUE(on_a.transact([](Tx& tx) { return tx.set("/x", Value(true)); }).has_value());
    ASSERT_TRUE(a->flush().has_value());
    Follower follower(on_b);
    const std::uint64_t stored = on_a.status()->stored_size;
    for (int i = 0; i <= 10000; ++i)
        ASSERT_TRUE(on_a.presence().set("drag", Value(std::to_string(i))).has_value());
    ASSERT_TRUE(follower.sees({{"drag", "10000"}}));
    ASSERT_TRUE(a->flush().has_value());
    EXPECT_EQ(on_a.status()->change_count, 1U);
    EXPECT_EQ(on_a.status()->stored_size, stored);
    on_a.presence().clear("drag");
    EXPECT_TRUE(follower.sees({}));
}

TEST_F(PresenceTest, AnExecutorThatRunsOnceAFrameIsToldOfEachEntryOnce) {
    std::vector<std::function<void()>> frame;
    const auto peer =
        open("a", [&](std::function<void()> task) { frame.push_back(std::move(task)); });
    const auto presence = peer->document("d")->presence();
    std::vector<PresenceEvent> told;
    auto watch = presence.observe([&](const PresenceEvent& event) { told.push_back(event); });
    const auto run_frame = [&] {
        for (const auto& task : std::exchange(frame, {}))
            task();
    };
    for (std::int64_t i = 0; i < 100; ++i) {
        ASSERT_TRUE(presence.set("x", Value(i)).has_value());
        ASSERT_TRUE(presence.set("y", Value(i)).has_value());
    }
    EXPECT_EQ(frame.size(), 1U);
    run_frame();
    ASSERT_EQ(told.size(), 1U);
    ASSERT_EQ(told[0].set.size(), 2U);
    EXPECT_EQ(told[0].set[1].id.key, "y");
    EXPECT_EQ(told[0].set[1].value, Value(std::int64_t{99}));
    EXPECT_TRUE(told[0].set[1].is_own);
    presence.clear("x");
    ASSERT_TRUE(presence.set("x", Value(std::int64_t{99})).has_value());
    run_frame();
    EXPECT_EQ(told.size(), 2U);
    presence.clear("x");
    presence.clear("none");
    run_frame();
    ASSERT_EQ(told.size(), 3U);
    ASSERT_EQ(told[2].left.size(), 1U);
    EXPECT_EQ(told[2].left[0].key, "x");
    ASSERT_TRUE(presence.set("x", Value()).has_value());
    watch = {};
    run_frame();
    EXPECT_EQ(told.size(), 3U);
    EXPECT_EQ(presence.set("k", Value(), 1ms).error().code, Errc::over_limit);
}

TEST_F(PresenceTest, ACallbackMayDoAnything) {
    const auto peer = open("a", [](const std::function<void()>& task) { task(); });
    auto document = *peer->document("d");
    const auto presence = document.presence();
    std::vector<std::string> told;
    Subscription watch;
    watch = presence.observe([&](const PresenceEvent& event) {
        for (const PresenceEntry& entry : event.set) {
            told.push_back(entry.id.key);
            if (entry.id.key == "a") {
                EXPECT_TRUE(presence.set("b", Value()).has_value());
                EXPECT_EQ(presence.list().size(), 2U);
            } else {
                watch = {};
            }
        }
    });
    ASSERT_TRUE(presence.set("a", Value()).has_value());
    ASSERT_TRUE(presence.set("c", Value()).has_value());
    EXPECT_EQ(told, (std::vector<std::string>{"a", "b"}));
}

TEST_F(PresenceTest, ManyThreadsMayWriteAndWatchAtOnce) {
    const auto a = open("a");
    const auto b = open("b");
    const auto url = a->listen("tcp://127.0.0.1:0");
    ASSERT_TRUE(b->connect(*url).has_value());
    auto on_a = *a->document("d"), on_b = *b->document("d");
    Follower follower(on_b);
    std::vector<std::thread> threads;
    std::map<std::string, std::string> expected;
    for (int t = 0; t < 4; ++t) {
        expected[std::to_string(t)] = "199";
        threads.emplace_back([&on_a, t] {
            for (int i = 0; i < 200; ++i) {
                const auto watch = on_a.presence().observe([](const PresenceEvent&) {});
                EXPECT_TRUE(
                    on_a.presence().set(std::to_string(t), Value(std::to_string(i))).has_value());
            }
        });
    }
    for (std::thread& thread : threads)
        thread.join();
    EXPECT_TRUE(follower.sees(expected));
}

}  // namespace
}  // namespace joinery
