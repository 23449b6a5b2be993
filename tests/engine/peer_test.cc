// Peers as an app uses them: real stores in temporary directories, real links on loopback.

#include "joinery/peer.h"

#include "joinery/json.h"

#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <gtest/gtest.h>
#include <mutex>
#include <string>
#include <vector>

namespace joinery {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""min;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

class PeerTest : public testing::Test {
  protected:
    PeerTest() {
        std::string name = (std::filesystem::temp_directory_path() / "joinery-XXXXXX").string();
        directory_ = mkdtemp(name.data());
    }
    ~PeerTest() override { std::filesystem::remove_all(directory_); }

    std::unique_ptr<Peer> open(const std::string& name) {
        auto store = open_store(directory_ / name);
        EXPECT_TRUE(store.has_value());
        Options options;
        options.authorize = let_everybody_in;
        options.name = name;
        auto peer = Peer::open(*std::move(store), std::move(options));
        EXPECT_TRUE(peer.has_value());
        return *std::move(peer);
    }
    static Plain json(std::string_view text) {
        auto value = parse_json(text);
        EXPECT_TRUE(value.has_value());
        return *std::move(value);
    }
    static void set(Document& document, std::string_view path, std::string_view text) {
        const auto done =
            document.transact([&](Tx& tx) { return tx.set(path, json(text), SetOptions{}); });
        ASSERT_TRUE(done.has_value()) << done.error().what;
    }
    static std::string print(const Document& document, std::string_view path = "") {
        const auto value = document.read(path);
        return value ? *print_json(*value) : std::string(value.error().what);
    }

    std::filesystem::path directory_;
};

TEST_F(PeerTest, WhatWasFlushedIsThereAfterReopening) {
    {
        const auto peer = open("a");
        auto document = *peer->document("ops/main");
        set(document, "", R"({"title":"Ops","panels":[{"id":1,"w":2},{"id":2,"w":3}]})");
        ASSERT_TRUE(peer->flush().has_value());
    }
    const auto peer = open("a");
    auto document = *peer->document("ops/main", false);
    EXPECT_EQ(print(document), R"({"panels":[{"id":1,"w":2},{"id":2,"w":3}],"title":"Ops"})");
    EXPECT_EQ(document.status()->change_count, 1U);
    EXPECT_FALSE(peer->document("ops/other", false).has_value());
}

TEST_F(PeerTest, SettingWhatIsThereAlreadyMakesNoChange) {
    const auto peer = open("a");
    auto document = *peer->document("d");
    const std::string text = R"({"a":[1,1,{"x":null}],"b":{},"c":[],"d":-0.0,"e":1.0})";
    set(document, "", text);
    const auto again =
        document.transact([&](Tx& tx) { return tx.set("", json(text), SetOptions{}); });
    ASSERT_TRUE(again.has_value());
    EXPECT_FALSE(again->changed);
    EXPECT_EQ(print(document), text);
}

TEST_F(PeerTest, AFailedTransactionLeavesNoTrace) {
    const auto peer = open("a");
    auto document = *peer->document("d");
    set(document, "", R"({"a":1})");
    const auto before = document.status()->digest;
    const auto failed = document.transact([&](Tx& tx) -> Result<void> {
        JOINERY_TRY_VOID(tx.set("/b", Value(std::int64_t{2})));
        return tx.erase("/nothing");
    });
    ASSERT_FALSE(failed.has_value());
    EXPECT_EQ(failed.error().code, Errc::not_found);
    EXPECT_EQ(document.status()->digest, before);
}

TEST_F(PeerTest, ConcurrentEditsOfTwoStoresEndEqual) {
    const auto a = open("a");
    const auto b = open("b");
    auto on_a = *a->document("ops/main");
    set(on_a, "", R"({"title":"Ops","panels":[{"id":1},{"id":2},{"id":3}]})");
    const auto url = a->listen("tcp://127.0.0.1:0");
    ASSERT_TRUE(url.has_value()) << url.error().what;
    // What is not stored yet is not told yet.
    ASSERT_TRUE(a->flush().has_value());
    ASSERT_TRUE(b->sync(*url, {}, 30s).has_value());
    auto on_b = *b->document("ops/main", false);
    EXPECT_EQ(print(on_b), print(on_a));

    set(on_a, "/panels", R"([{"id":3},{"id":1},{"id":2}])");
    set(on_a, "/title", R"("From a")");
    set(on_b, "/panels", R"([{"id":1},{"id":2,"w":5},{"id":3},{"id":4}])");
    ASSERT_TRUE(on_b.transact([](Tx& tx) { return tx.increment("/visits", 3); }).has_value());
    ASSERT_TRUE(on_a.transact([](Tx& tx) { return tx.increment("/visits", 4); }).has_value());
    ASSERT_TRUE(a->flush().has_value());
    const auto report = b->sync(*url, {}, 30s);
    ASSERT_TRUE(report.has_value()) << report.error().what;
    EXPECT_EQ(report->received_count, 3U);
    EXPECT_EQ(report->sent_count, 2U);
    EXPECT_EQ(on_a.status()->digest, on_b.status()->digest);
    EXPECT_EQ(print(on_a), print(on_b));
    EXPECT_EQ(print(on_a, "/visits"), "7");
    EXPECT_EQ(a->status().divergence_count + b->status().divergence_count, 0U);
}

TEST_F(PeerTest, WhoWatchesIsToldWhatTheOtherSideChanged) {
    const auto a = open("a");
    const auto b = open("b");
    auto on_a = *a->document("d");
    set(on_a, "", R"({"x":1,"y":1})");
    const auto url = a->listen("tcp://127.0.0.1:0");
    ASSERT_TRUE(a->flush().has_value());
    ASSERT_TRUE(b->sync(*url, {}, 30s).has_value());
    auto on_b = *b->document("d", false);
    std::mutex mutex;
    std::condition_variable told;
    std::string path;
    const auto watch = on_b.observe("/x", [&](const Event& event) {
        const std::lock_guard lock(mutex);
        path = event.patches.at(0).path;
        told.notify_one();
    });
    ASSERT_TRUE(b->connect(*url).has_value());
    set(on_a, "/y", "2");
    set(on_a, "/x", "2");
    std::unique_lock lock(mutex);
    ASSERT_TRUE(told.wait_for(lock, 30s, [&] { return !path.empty(); }));
    EXPECT_EQ(path, "/x");
    lock.unlock();
    EXPECT_EQ(print(on_b, "/x"), "2");
}

TEST_F(PeerTest, TransientWritesAreThereAfterAFlushAndAfterTheEnd) {  // E4
    {
        const auto peer = open("a");
        auto document = *peer->document("d");
        for (std::int64_t i = 0; i < 3; ++i)
            ASSERT_TRUE(document.set_transient("/x", Plain(Value(i)), 1min).has_value());
        ASSERT_TRUE(peer->flush().has_value());
        EXPECT_EQ(print(document, "/x"), "2");
        EXPECT_EQ(document.status()->change_count, 2U);
        ASSERT_TRUE(document.set_transient("/x", Plain(Value(std::int64_t{3})), 1min).has_value());
    }
    const auto peer = open("a");
    EXPECT_EQ(print(*peer->document("d"), "/x"), "3");
}

TEST_F(PeerTest, TransientWritesAreMadeWhenTheirWindowIsOver) {
    const auto peer = open("a");
    auto document = *peer->document("d");
    std::promise<void> told;
    const auto watch = document.observe("/x", [&](const Event& event) {
        if (event.patches.back().value == Plain(Value(std::int64_t{2}))) told.set_value();
    });
    for (std::int64_t i = 0; i < 3; ++i)
        ASSERT_TRUE(document.set_transient("/x", Plain(Value(i)), 10ms).has_value());
    EXPECT_EQ(told.get_future().wait_for(30s), std::future_status::ready);
}

TEST_F(PeerTest, EarlierVersionsCanBeRead) {
    const auto peer = open("a");
    auto document = *peer->document("d");
    for (const std::string text : {"1", "2", "3"})
        set(document, "/x", text);
    ASSERT_TRUE(peer->flush().has_value());
    const auto at = [&](const std::string& version) {
        const auto parsed = Version::parse(version);
        const auto value = parsed ? document.read_at(*parsed, "/x") : parsed.error();
        return value ? *print_json(*value) : std::string(errc_name(value.error().code));
    };
    EXPECT_EQ(at("#0"), "not found");
    EXPECT_EQ(at("#1"), "1");
    EXPECT_EQ(at("#2"), "2");
    EXPECT_EQ(at(to_hex(peer->status().actor.view()) + "@2"), "2");
    EXPECT_EQ(at("head"), "3");
    EXPECT_EQ(at("2020-01-01T00:00:00Z"), "not found");
    EXPECT_EQ(at("2100-01-01T00:00:00Z"), "3");
    EXPECT_EQ(at("#4"), "not found");
    const auto log = document.log();
    ASSERT_TRUE(log.has_value());
    ASSERT_EQ(log->size(), 3U);
    EXPECT_EQ(log->front().arrival, 3U);
}

TEST_F(PeerTest, OpeningFromASnapshotGivesTheSame) {
    Digest digest;
    {
        auto store = open_store(directory_ / "a");
        Options options;
        options.authorize = let_everybody_in;
        options.snapshot_interval = 8;
        const auto peer = *Peer::open(*std::move(store), std::move(options));
        auto document = *peer->document("d");
        for (int i = 0; i < 100; ++i) {
            set(document, "/k" + std::to_string(i % 7), std::to_string(i));
            if (i % 10 == 0) {
                ASSERT_TRUE(peer->flush().has_value());
            }
        }
        digest = document.status()->digest;
    }
    const auto peer = open("a");
    auto document = *peer->document("d", false);
    EXPECT_EQ(document.status()->digest, digest);
    EXPECT_EQ(document.status()->change_count, 100U);
    set(document, "/more", "1");
    ASSERT_TRUE(peer->flush().has_value());
    EXPECT_EQ(document.log()->size(), 101U);
}

/// Rule I1.
Result<void> first_content(Tx& tx) {
    return tx.set("", *parse_json(R"({"title":"New","rows":[1,{"n":2}]})"));
}

TEST_F(PeerTest, PeersThatSeedOneDocumentOfflineHaveOneCopy) {
    const auto a = open("a");
    const auto b = open("b");
    auto on_a = *a->document("d");
    auto on_b = *b->document("d");
    EXPECT_TRUE(on_a.init_once(first_content)->changed);
    EXPECT_TRUE(on_b.init_once(first_content)->changed);
    set(on_a, "/title", R"("Mine")");
    ASSERT_TRUE(on_b.transact([](Tx& tx) { return tx.erase("/rows/0"); }).has_value());
    ASSERT_TRUE(a->flush().has_value());
    const auto url = a->listen("tcp://127.0.0.1:0");
    const auto report = b->sync(*url, {}, 30s);
    ASSERT_TRUE(report.has_value()) << report.error().what;
    EXPECT_EQ(report->received_count, 1U);
    EXPECT_EQ(print(on_a), R"({"rows":[{"n":2}],"title":"Mine"})");
    EXPECT_EQ(on_a.status()->digest, on_b.status()->digest);
    EXPECT_EQ(on_a.status()->change_count, 3U);
}

TEST_F(PeerTest, SeedingAgainChangesNothingEvenAfterARestart) {
    {
        const auto a = open("a");
        auto document = *a->document("d");
        ASSERT_TRUE(document.init_once(first_content).has_value());
        ASSERT_TRUE(document.transact([](Tx& tx) { return tx.erase("/title"); }).has_value());
        EXPECT_FALSE(document.init_once(first_content)->changed);
        ASSERT_TRUE(a->flush().has_value());
    }
    const auto a = open("a");
    auto document = *a->document("d");
    EXPECT_FALSE(document.init_once(first_content)->changed);
    EXPECT_EQ(print(document), R"({"rows":[1,{"n":2}]})");
    // A newcomer gets the seed from whoever has it.
    const auto b = open("b");
    const auto url = a->listen("tcp://127.0.0.1:0");
    ASSERT_TRUE(b->sync(*url, {}, 30s).has_value());
    EXPECT_EQ(b->document("d")->status()->digest, document.status()->digest);
}

TEST_F(PeerTest, WhatLostIsReadableUntilALaterPutCoversIt) {
    const auto a = open("a");
    const auto b = open("b");
    auto on_a = *a->document("d");
    set(on_a, "", R"({"title":"Ops","panels":[{"id":1,"w":2}]})");
    const auto url = a->listen("tcp://127.0.0.1:0");
    ASSERT_TRUE(a->flush().has_value());
    ASSERT_TRUE(b->sync(*url, {}, 30s).has_value());
    auto on_b = *b->document("d", false);
    set(on_a, "/panels/0/w", "3");
    set(on_b, "/panels/0/w", "4");
    ASSERT_TRUE(a->flush().has_value());
    ASSERT_TRUE(b->sync(*url, {}, 30s).has_value());
    const auto lost = on_a.alternatives("/panels/0/w");
    ASSERT_TRUE(lost.has_value());
    ASSERT_EQ(lost->size(), 1U);
    const bool a_lost = lost->front().actor == a->status().actor;
    EXPECT_EQ(lost->front().value, Value(std::int64_t{a_lost ? 3 : 4}));
    EXPECT_EQ(print(on_a, "/panels/0/w"), a_lost ? "4" : "3");
    EXPECT_EQ(on_b.alternatives("/panels/0/w")->size(), 1U);
    EXPECT_TRUE(on_a.alternatives("/title")->empty());
    EXPECT_TRUE(on_a.alternatives("")->empty());
    EXPECT_FALSE(on_a.alternatives("/panels/1/w").has_value());

    set(on_b, "/panels/0/w", "5");
    ASSERT_TRUE(b->sync(*url, {}, 30s).has_value());
    EXPECT_EQ(print(on_a, "/panels/0/w"), "5");
    EXPECT_TRUE(on_a.alternatives("/panels/0/w")->empty());
}

TEST_F(PeerTest, OptionsThatAreNotWithinTheirLimitsAreRefused) {
    const auto refused = [&](const std::function<void(Options&)>& change) {
        Options options;
        options.authorize = let_everybody_in;
        change(options);
        const auto peer = Peer::open(*open_store(directory_ / "options"), std::move(options));
        return !peer && peer.error().code == Errc::over_limit;
    };
    EXPECT_FALSE(refused([](Options&) {}));
    EXPECT_TRUE(refused([](Options& o) { o.name = std::string(65, 'n'); }));
    EXPECT_TRUE(refused([](Options& o) { o.flush_interval = -1ms; }));
    EXPECT_TRUE(refused([](Options& o) { o.snapshot_interval = 0; }));
    EXPECT_TRUE(refused([](Options& o) { o.poll_interval = 0ms; }));
    EXPECT_TRUE(refused([](Options& o) { o.callback_interval = -1ms; }));
    EXPECT_TRUE(refused([](Options& o) { o.links.handshake_time = 9ms; }));
    EXPECT_TRUE(refused([](Options& o) { o.links.dials_per_second = 0; }));
    EXPECT_TRUE(refused([](Options& o) { o.links.handshakes_per_second = 10001; }));
    EXPECT_TRUE(refused([](Options& o) { o.links.handshakes_of_host_per_second = 0; }));
    EXPECT_TRUE(refused([](Options& o) { o.discover.interval = 99ms; }));
    EXPECT_TRUE(refused([](Options& o) { o.links.heartbeat_idle = 25h; }));
    EXPECT_TRUE(refused([](Options& o) { o.links.answer_time = 0ms; }));
    EXPECT_TRUE(refused([](Options& o) { o.links.retry_delay_max = 100ms; }));
    EXPECT_TRUE(refused([](Options& o) { o.links.retry_delay_min = 31s; }));
}

TEST_F(PeerTest, AReceiptWaitsUntilAnotherPeerHasTheChangeDurable) {
    const auto a = open("a");
    auto on_a = *a->document("d");
    const auto receipt = *on_a.transact([](Tx& tx) { return tx.set("/x", Value(true)); });
    EXPECT_EQ(receipt.wait(1, 1ms).error().code, Errc::busy);
    {
        const auto b = open("b");
        const auto url = b->listen("tcp://127.0.0.1:0");
        ASSERT_TRUE(a->connect(*url).has_value());
        EXPECT_TRUE(receipt.wait(1, 30s).has_value());
        EXPECT_EQ(receipt.status()->acknowledged_by, std::vector<DeviceKey>{b->status().device});
        EXPECT_EQ(a->status().unacknowledged_count, 0U);
    }
    // Whoever waits is let go when the peer closes.
    const auto next = *on_a.transact([](Tx& tx) { return tx.set("/x", Value(false)); });
    EXPECT_EQ(a->status().unacknowledged_count, 1U);
}

TEST_F(PeerTest, TheLogHasItsPartsInFieldsOfTheirOwn) {
    std::mutex mutex;
    std::condition_variable logged;
    std::vector<LogEntry> entries;
    Options options;
    options.log = [&](const LogEntry& entry) {
        const std::lock_guard lock(mutex);
        entries.push_back(entry);
        logged.notify_one();
    };
    const auto b = open("b");
    const auto url = b->listen("tcp://127.0.0.1:0");
    {
        const auto a = *Peer::open(*open_store(directory_ / "a"), std::move(options));
        ASSERT_TRUE(a->sync(*url, {}, 30s).has_value());
        const auto refused = a->sync("tcp://127.0.0.1:1", {}, 30s);
        EXPECT_EQ(refused.error().code, Errc::disconnected);
        std::unique_lock lock(mutex);
        ASSERT_TRUE(logged.wait_for(lock, 30s, [&] { return entries.size() == 2; }));
    }
    const DeviceKey device = b->status().device;
    ASSERT_EQ(entries.size(), 2U);
    for (const LogEntry& entry : entries) {
        EXPECT_EQ(entry.level, LogLevel::info);
        EXPECT_EQ(entry.url, *url);
        EXPECT_EQ(entry.device, device);
        EXPECT_EQ(entry.error, std::nullopt);
        EXPECT_TRUE(entry.text.starts_with(*url)) << entry.text;
    }
    EXPECT_EQ(entries[0].event, "link.online");
    EXPECT_EQ(entries[1].event, "link.ended");
}

TEST_F(PeerTest, ALinkThatIsDroppedStaysDownUntilItIsWantedAgain) {
    const auto a = open("a");
    const auto b = open("b");
    auto on_a = *a->document("d");
    set(on_a, "/x", "1");
    const auto url = a->listen("tcp://127.0.0.1:0");
    auto on_b = *b->document("d");
    std::mutex mutex;
    std::condition_variable told;
    std::string seen;
    const auto watch = on_b.observe("/x", [&](const Event& event) {
        const std::lock_guard lock(mutex);
        seen = *print_json(event.patches.back().value);
        told.notify_one();
    });
    const auto wait_for = [&](const std::string& value) {
        std::unique_lock lock(mutex);
        return told.wait_for(lock, 30s, [&] { return seen == value; });
    };
    EXPECT_EQ(b->disconnect(*url).error().code, Errc::not_found);
    ASSERT_TRUE(b->connect(*url).has_value());
    ASSERT_TRUE(wait_for("1"));
    ASSERT_TRUE(b->disconnect(*url).has_value());
    EXPECT_FALSE(b->disconnect(*url).has_value());
    set(on_a, "/x", "2");
    ASSERT_TRUE(a->flush().has_value());
    EXPECT_EQ(print(on_b, "/x"), "1");
    ASSERT_TRUE(b->connect(*url).has_value());
    EXPECT_TRUE(wait_for("2"));
    EXPECT_GT(b->status().received_size, 0U);
    // One that nobody answers is dropped as well.
    ASSERT_TRUE(b->connect("tcp://127.0.0.1:1").has_value());
    EXPECT_TRUE(b->disconnect("tcp://127.0.0.1:1").has_value());
}

}  // namespace
}  // namespace joinery
