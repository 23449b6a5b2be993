// Presence: docs/semantics.md P, docs/wire-format.md 4.11.

#include "session/presence.h"

#include "session/rig.h"

#include <algorithm>
#include <random>
#include <set>

namespace joinery::test {
namespace {

using namespace joinery::session;  // NOLINT(google-build-using-namespace): every message is named.
using std::chrono_literals::operator""h;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

PeerRun run_of(std::uint8_t seed) {
    PeerRun run;
    run.device.bytes.fill(seed);
    run.instance.bytes.fill(seed);
    return run;
}

/// "run/key=value" of all that shows.
std::set<std::string> shown(const PresenceBoard& board) {
    std::set<std::string> out;
    for (const PresenceEntry& entry : board.list()) {
        const bool is_text = entry.value.type() == ValueType::string;
        out.insert(std::to_string(entry.id.run.instance.bytes[0]) + "/" + entry.id.key + "=" +
                   (is_text ? std::string(entry.value.as_string())
                            : std::to_string(entry.value.as_integer())));
    }
    return out;
}
using Shown = std::set<std::string>;

PresenceItem item(std::uint8_t run, std::string key, std::uint64_t counter, const char* value) {
    PresenceItem made{{run_of(run), std::move(key)}, counter, value == nullptr, Value(), 30s};
    if (value != nullptr) made.value = Value(value);
    return made;
}

// --- The board -----------------------------------------------------------------------------------

TEST(PresenceBoard, TheGreatestCounterOfEachKeyStandsWhateverTheOrder) {  // P2
    std::vector<PresenceItem> items{item(1, "a", 1, "one"),
                                    item(1, "a", 2, "two"),
                                    item(1, "a", 2, nullptr),
                                    item(1, "b", 3, nullptr),
                                    item(1, "b", 4, "four"),
                                    item(2, "a", 1, "other")};
    std::mt19937 random(1);
    for (int round = 0; round < 300; ++round) {
        std::ranges::shuffle(items, random);
        PresenceBoard board(run_of(9));
        for (const PresenceItem& each : items) {
            board.receive({&each, 1}, static_cast<std::uint32_t>(random() % 3), 0s);
            if (random() % 2 == 0) board.receive(items, 0, 0s);
        }
        ASSERT_EQ(shown(board), (Shown{"1/b=four", "2/a=other"}));
    }
}

TEST(PresenceBoard, WhatWasSetManyTimesIsToldOnceAsItIs) {
    PresenceBoard board(run_of(1));
    PresenceCursor cursor;
    for (int i = 0; i < 1000; ++i)
        ASSERT_TRUE(*board.set("drag", Value(std::int64_t{i}), 30s, 0s));
    const auto items = board.collect(cursor, 1 << 20, 0s);
    ASSERT_EQ(items.size(), 1U);
    EXPECT_EQ(items[0].value.as_integer(), 999);
    EXPECT_EQ(items[0].counter, 1000U);
    EXPECT_FALSE(board.has_news(cursor.version));
    EXPECT_EQ(board.entry_count(), 1U);
    EXPECT_FALSE(*board.set("drag", Value(std::int64_t{999}), 30s, 1s));
    EXPECT_FALSE(board.has_news(cursor.version));
}

TEST(PresenceBoard, WhatIsNotHeardOfAgainExpiresAndPassingOnProlongsNothing) {  // P3
    PresenceBoard a(run_of(1)), b(run_of(2)), c(run_of(3));
    ASSERT_TRUE(a.set("k", Value("v"), 10s, 0s).has_value());
    PresenceCursor from_a, from_b;
    b.receive(a.collect(from_a, 1000, 0s), 0, 0s);
    c.receive(b.collect(from_b, 1000, 6s), 0, 6s);
    for (PresenceBoard* board : {&b, &c}) {
        board->expire(9900ms);
        EXPECT_EQ(shown(*board).size(), 1U);
        board->expire(10s);
        EXPECT_TRUE(shown(*board).empty());
    }
    // Each finds that out alone.
    EXPECT_TRUE(c.collect(from_b, 1000, 10s).empty());
    // A copy that was long on its way does not bring it back; a newer word does.
    const PresenceItem late = item(1, "k", 1, "v");
    b.receive({&late, 1}, 0, 11s);
    EXPECT_TRUE(shown(b).empty());
    a.expire(11s);
    b.receive(a.collect(from_a, 1000, 11s), 0, 11s);
    EXPECT_EQ(shown(b), Shown{"1/k=v"});
}

TEST(PresenceBoard, OurOwnIsSaidAnewAtHalfItsTime) {  // P3
    PresenceBoard a(run_of(1)), b(run_of(2));
    PresenceCursor cursor;
    ASSERT_TRUE(a.set("k", Value("v"), 2s, 0s).has_value());
    b.receive(a.collect(cursor, 1000, 0s), 0, 0s);
    const std::uint64_t shown_before = b.shown_version();
    MonotonicTime now{0};
    for (int i = 0; i < 100; ++i) {
        ASSERT_TRUE(a.next_due().has_value());
        now = *a.next_due();
        a.expire(now);
        b.receive(a.collect(cursor, 1000, now), 0, now);
        b.expire(now);
        ASSERT_EQ(shown(b), Shown{"1/k=v"});
    }
    EXPECT_EQ(now, 100s);
    EXPECT_EQ(b.shown_version(), shown_before);
}

TEST(PresenceBoard, WhatIsGoneIsForgottenInTheEnd) {
    PresenceBoard board(run_of(1));
    ASSERT_TRUE(board.set("k", Value("v"), 30s, 0s).has_value());
    const PresenceItem other = item(2, "k", 1, "v");
    board.receive({&other, 1}, 0, 0s);
    EXPECT_TRUE(board.clear("k", 1s));
    EXPECT_FALSE(board.clear("k", 1s));
    for (MonotonicTime now{0}; now < 200s; now += 1s)
        board.expire(now);
    EXPECT_EQ(board.entry_count(), 0U);
    EXPECT_FALSE(board.next_due().has_value());
}

TEST(PresenceBoard, WhenTheLastLinkToARunEndsAllOfItIsGoneAtOnce) {  // P4
    PresenceBoard board(run_of(9));
    const std::uint32_t first = board.join(run_of(1), "one"), second = board.join(run_of(1), "one");
    const std::vector<PresenceItem> items{
        item(1, "a", 1, "x"), item(1, "b", 2, "y"), item(2, "a", 1, "z")};
    board.receive(items, first, 0s);
    board.leave(first, 0s);
    EXPECT_EQ(shown(board).size(), 3U);
    board.leave(second, 0s);
    EXPECT_EQ(shown(board), Shown{"2/a=z"});
    PresenceCursor cursor;
    EXPECT_EQ(board.collect(cursor, 10000, 0s).size(), 3U);
    board.leave(second, 0s);
    EXPECT_FALSE(board.has_news(cursor.version));
}

TEST(PresenceBoard, WhoIsThereCannotBeDeclaredGoneButIsAsked) {  // P5
    PresenceBoard a(run_of(1)), d(run_of(4));
    const std::uint32_t link = d.join(run_of(1), "a"), other = d.join(run_of(3), "c");
    ASSERT_TRUE(a.set("k", Value("v"), 30s, 0s).has_value());
    PresenceCursor from_a;
    d.receive(a.collect(from_a, 1000, 0s), link, 0s);
    const PresenceItem gone = item(1, "k", 1, nullptr);
    d.receive({&gone, 1}, other, 0s);
    EXPECT_EQ(shown(d), Shown{"1/k=v"});
    PresenceCursor to_a{0, link}, to_c{0, other};
    const auto question = d.collect(to_a, 1000, 0s);
    ASSERT_EQ(question.size(), 1U);
    EXPECT_TRUE(question[0].is_gone);
    a.receive(question, 0, 0s);
    const auto answer = a.collect(from_a, 1000, 0s);
    ASSERT_EQ(answer.size(), 1U);
    EXPECT_EQ(answer[0].counter, 2U);
    d.receive(answer, link, 0s);
    const auto passed_on = d.collect(to_c, 1000, 0s);
    ASSERT_EQ(passed_on.size(), 1U);
    EXPECT_EQ(passed_on[0].counter, 2U);
    EXPECT_FALSE(passed_on[0].is_gone);
}

TEST(PresenceBoard, WhoShowsWhatIsGoneIsToldAgain) {  // P6
    PresenceBoard board(run_of(9));
    const std::uint32_t link = board.join(run_of(4), "forgetful");
    const PresenceItem gone = item(1, "k", 5, nullptr), late = item(1, "k", 5, "v");
    board.receive({&gone, 1}, link, 0s);
    PresenceCursor cursor{0, link};
    EXPECT_TRUE(board.collect(cursor, 1000, 0s).empty());
    board.receive({&late, 1}, link, 0s);
    EXPECT_TRUE(shown(board).empty());
    const auto told = board.collect(cursor, 1000, 0s);
    ASSERT_EQ(told.size(), 1U);
    EXPECT_TRUE(told[0].is_gone);
}

TEST(PresenceBoard, NobodyElseChangesWhatWeShow) {  // P5
    PresenceBoard board(run_of(1));
    ASSERT_TRUE(board.set("k", Value("v"), 30s, 0s).has_value());
    const std::vector<PresenceItem> lies{item(1, "k", 1, nullptr),
                                         item(1, "k", 900, "lie"),
                                         item(1, "k", kPresenceCounterMax, nullptr),
                                         item(1, "n", 1, "lie")};
    board.receive(lies, 0, 0s);
    EXPECT_EQ(shown(board), Shown{"1/k=v"});
    PresenceCursor cursor;
    for (const PresenceItem& told : board.collect(cursor, 10000, 0s)) {
        EXPECT_LE(told.counter, 4U);
        EXPECT_EQ(told.is_gone, told.id.key == "n");
    }
}

TEST(PresenceBoard, TellsEachIdOnceHoweverOftenItChanged) {
    PresenceBoard board(run_of(1));
    PresenceBoard::Told told;
    for (int i = 0; i < 9; ++i)
        ASSERT_TRUE(board.set("k", Value(std::int64_t{i}), 30s, 0s).has_value());
    const std::vector<PresenceItem> items{item(2, "a", 1, "x"), item(2, "b", 2, "y")};
    board.receive(items, 0, 0s);
    PresenceEvent event = board.tell(told);
    EXPECT_EQ(event.set.size(), 3U);
    EXPECT_TRUE(event.left.empty());
    const std::vector<PresenceItem> later{item(2, "a", 3, "x"), item(2, "b", 4, nullptr)};
    board.receive(later, 0, 0s);
    event = board.tell(told);
    EXPECT_TRUE(event.set.empty());  // "a" was only said anew.
    ASSERT_EQ(event.left.size(), 1U);
    EXPECT_EQ(event.left[0].key, "b");
}

// --- Limits --------------------------------------------------------------------------------------

TEST(PresenceLimits, WhatCannotBeShownIsSaid) {
    PresenceBoard board(run_of(1));
    const auto error = [&](std::string_view key, Value value, std::chrono::milliseconds time) {
        const auto done = board.set(key, std::move(value), time, 0s);
        return done ? Errc{} : done.error().code;
    };
    EXPECT_EQ(error(std::string(257, 'k'), Value(), 30s), Errc::over_limit);
    EXPECT_EQ(error("k", Value(std::string(4097, 'v')), 30s), Errc::over_limit);
    EXPECT_EQ(error("k", Value(), 999ms), Errc::over_limit);
    EXPECT_EQ(error("k", Value(), 1h + 1ms), Errc::over_limit);
    EXPECT_EQ(error("\xff", Value(), 30s), Errc::malformed);
    EXPECT_EQ(error("k", Value("\xff"), 30s), Errc::malformed);
    EXPECT_EQ(board.entry_count(), 0U);
    for (int round = 0; round < 3; ++round) {
        for (std::size_t i = 0; i < kPresenceKeysMax; ++i)
            EXPECT_EQ(
                error(std::string(250, 'k') + std::to_string(i), Value(std::string(4096, 'v')), 1h),
                Errc{});
        EXPECT_EQ(error("more", Value(), 30s), Errc::over_limit);
        for (std::size_t i = 0; i < kPresenceKeysMax; ++i)
            EXPECT_TRUE(board.clear(std::string(250, 'k') + std::to_string(i), 0s));
    }
    EXPECT_EQ(board.entry_count(), kPresenceKeysMax);
}

TEST(PresenceLimits, ARunHasSixtyFourKeysAndWhatIsGoneMakesRoom) {
    PresenceBoard board(run_of(1));
    PresenceReceived sum;
    for (std::uint64_t i = 1; i <= 100; ++i) {
        const PresenceItem each = item(2, std::to_string(i), i, "v");
        const auto received = board.receive({&each, 1}, 0, 0s);
        sum.taken += received.taken;
        sum.dropped += received.dropped;
    }
    EXPECT_EQ(sum.taken, kPresenceKeysMax);
    EXPECT_EQ(sum.dropped, 100 - kPresenceKeysMax);
    const std::vector<PresenceItem> swap{item(2, "1", 200, nullptr), item(2, "new", 201, "v")};
    EXPECT_EQ(board.receive(swap, 0, 0s).taken, 2U);
    EXPECT_TRUE(shown(board).contains("2/new=v"));
    EXPECT_EQ(board.entry_count(), kPresenceKeysMax);
}

TEST(PresenceLimits, ABoardThatOthersFilledTakesOurOwnStill) {
    PresenceBoard board(run_of(1), 100);
    for (std::uint64_t i = 0; i < 1000; ++i) {
        PresenceItem each = item(2, "k", 1 + i, i % 10 == 0 ? nullptr : "v");
        each.id.run.instance.bytes[3] = static_cast<std::uint8_t>(i);
        each.id.run.instance.bytes[4] = static_cast<std::uint8_t>(i >> 8U);
        board.receive({&each, 1}, 0, 0s);
        ASSERT_LE(board.entry_count(), 100U);
    }
    for (std::size_t i = 0; i < kPresenceKeysMax; ++i)
        ASSERT_TRUE(board.set(std::to_string(i), Value(), 30s, 0s).has_value());
    EXPECT_LE(board.entry_count(), 100 + kPresenceKeysMax);
}

// --- Sessions ------------------------------------------------------------------------------------

PresenceBoard& board_of(Peer& peer, std::string_view id = "d") {
    return peer.host.at(id).presence()->board;
}

FakePresence& presence_of(Peer& peer) { return *peer.host.at("d").presence(); }

TEST(PresenceSync, WhoJoinsIsToldWhatIsThereAndWhatChanges) {  // P6
    for (const bool is_crossing : {false, true}) {
        Peer a(1), b(2);
        presence_of(a).set("cursor", Value("1,2"));
        a.host.put("d", "x", "1");
        Wire wire(a, b);
        is_crossing ? wire.run_crossing() : wire.run();
        EXPECT_EQ(shown(board_of(b)), Shown{"1/cursor=1,2"});
        EXPECT_EQ(board_of(b).list()[0].name, "peer 1");
        presence_of(a).set("cursor", Value("3,4"));
        presence_of(b).set("cursor", Value("9,9"));
        is_crossing ? wire.run_crossing() : wire.run();
        EXPECT_EQ(shown(board_of(b)), (Shown{"1/cursor=3,4", "2/cursor=9,9"}));
        EXPECT_EQ(shown(board_of(a)), shown(board_of(b)));
        presence_of(a).clear("cursor");
        wire.run();
        EXPECT_EQ(shown(board_of(b)), Shown{"2/cursor=9,9"});
        EXPECT_EQ(wire.left.session->counters().presence_sent, 3U);
        EXPECT_TRUE(wire.is_in_step());
    }
}

TEST(PresenceSync, ADragOnASlowLinkIsOneMessageOfThirtyBytes) {
    Peer a(1), b(2);
    presence_of(a).set("drag", Value(std::int64_t{-1}));
    Wire wire(a, b);
    wire.run();
    wire.sizes.clear();
    presence_of(a).set("drag", Value(std::int64_t{0}));
    const std::size_t before = wire.left.session->memory_size();
    for (std::int64_t i = 1; i < 10000; ++i)
        presence_of(a).set("drag", Value(i));
    EXPECT_EQ(wire.left.session->memory_size(), before);
    EXPECT_TRUE(wire.is_in_step());
    wire.run();
    ASSERT_EQ(wire.sizes.size(), 1U);
    EXPECT_LE(wire.sizes[0], 30U);
    EXPECT_EQ(shown(board_of(b)), Shown{"1/drag=9999"});
    EXPECT_EQ(a.host.change_count() + b.host.change_count(), 0U);
}

TEST(PresenceSync, GoesBeforeChangesButDoesNotStarveThem) {
    Peer a(1), b(2);
    a.host.put("d", "x", "1");
    Wire wire(a, b);
    wire.run();
    std::vector<MessageType> order;
    wire.on_message = [&](const End& from, const Bytes& message) {
        if (&from == &wire.left) order.push_back(static_cast<MessageType>(message[1]));
        // There is always a newer one.
        if (order.size() < 8)
            presence_of(a).set("drag", Value(static_cast<std::int64_t>(order.size())));
    };
    a.host.put_many("d", 20000, "k");
    presence_of(a).set("drag", Value(std::int64_t{-1}));
    wire.run();
    ASSERT_GE(order.size(), 4U);
    EXPECT_EQ(order[0], MessageType::presence);
    EXPECT_EQ(order[1], MessageType::changes);
    EXPECT_EQ(order[2], MessageType::check);
    EXPECT_EQ(order[3], MessageType::presence);
}

TEST(PresenceSync, PassesThroughAHubAndLeavesItAtOnce) {  // P4, P6
    Peer a(1), hub(2), b(3);
    presence_of(a).set("cursor", Value("a"));
    Wire right(hub, b);
    {
        Wire left(a, hub);
        run_all({&left, &right});
        EXPECT_EQ(shown(board_of(b)), Shown{"1/cursor=a"});
        EXPECT_EQ(board_of(b).list()[0].name, std::nullopt);
    }
    EXPECT_TRUE(shown(board_of(hub)).empty());
    right.run();
    EXPECT_TRUE(shown(board_of(b)).empty());
    // The same run comes back, and says again what was said of it.
    Wire left(a, hub);
    run_all({&left, &right});
    EXPECT_EQ(shown(board_of(b)), Shown{"1/cursor=a"});
}

TEST(PresenceSync, AHubThatDoesNotHaveTheDocumentPassesItOnAndStoresNothing) {
    Peer a(1), hub(2), b(3);
    Wire left(a, hub), right(hub, b);
    run_all({&left, &right});
    presence_of(a).set("cursor", Value("a"));
    run_all({&left, &right});
    EXPECT_EQ(shown(board_of(b)), Shown{"1/cursor=a"});
    EXPECT_EQ(hub.host.change_count(), 0U);
}

TEST(PresenceSync, ARingComesToRestAndALostLinkIsNoLeave) {  // P5
    Peer a(1), b(2), c(3), d(4);
    Wire bc(b, c), cd(c, d), da(d, a);
    auto ab = std::make_unique<Wire>(a, b);
    run_all({ab.get(), &bc, &cd, &da});
    for (std::int64_t i = 0; i < 20; ++i) {
        presence_of(a).set("k", Value(i));
        presence_of(c).set("k", Value(i));
        run_all({ab.get(), &bc, &cd, &da});
        for (Peer* peer : {&a, &b, &c, &d})
            ASSERT_EQ(shown(board_of(*peer)).size(), 2U);
    }
    ab.reset();
    EXPECT_EQ(shown(board_of(b)), Shown{"3/k=19"});
    run_all({&bc, &cd, &da});
    for (Peer* peer : {&a, &b, &c, &d})
        EXPECT_EQ(shown(board_of(*peer)), (Shown{"1/k=19", "3/k=19"}));
}

TEST(PresenceSync, WhoMayNotWriteShowsWhoHeIsTooAndWhoMayNotReadNothing) {  // P7
    Peer a(1), b(2);
    a.host.put("d", "x", "1");
    a.host.put("secret", "x", "1");
    a.host.at("secret").presence()->set("cursor", Value("s"));
    auto options = options_of(a);
    options.access = {{"d"}, {}};
    Wire wire(a, options, b, options_of(b));
    wire.run();
    presence_of(a).set("cursor", Value("a"));
    presence_of(b).set("cursor", Value("b"));
    wire.run();
    EXPECT_EQ(shown(board_of(a)), (Shown{"1/cursor=a", "2/cursor=b"}));
    EXPECT_EQ(shown(board_of(b)), shown(board_of(a)));
    EXPECT_FALSE(b.host.find("secret").has_value());
}

TEST(PresenceSync, WhoDoesNotSpeakOfItIsToldNothing) {
    Peer a(1), b(2);
    presence_of(a).set("cursor", Value("a"));
    auto options = options_of(a);
    options.features = kLiveFeature;
    Wire wire(a, options, b, options);
    wire.run();
    EXPECT_EQ(wire.types[MessageType::presence], 0U);
    EXPECT_FALSE(wire.left.session->is_closed());
}

TEST(PresenceSync, ASessionThatEndsOnceAllIsInStepHasNone) {  // P7
    for (const bool is_left : {false, true}) {
        Peer a(1), b(2);
        a.host.put("d", "x", "1");
        presence_of(a).set("cursor", Value("a"));
        auto options = options_of(a), other = options_of(b);
        (is_left ? options : other).is_once = true;
        Wire wire(a, options, b, other);
        wire.run();
        EXPECT_TRUE(wire.left.session->is_closed());
        EXPECT_EQ(wire.types[MessageType::presence], 0U);
        EXPECT_EQ(b.host.change_count(), 1U);
    }
}

TEST(PresenceSync, ManyEntriesGoInMessagesOfBoundedSize) {
    Peer a(1), hub(2), b(3);
    for (std::size_t i = 0; i < kPresenceKeysMax; ++i)
        presence_of(a).set(std::string(200, 'k') + std::to_string(i),
                           Value(std::string(4096, 'v')));
    Wire left(a, hub), right(hub, b);
    run_all({&left, &right});
    EXPECT_EQ(shown(board_of(b)).size(), kPresenceKeysMax);
    for (const std::size_t size : right.sizes)
        EXPECT_LE(size, kPresenceSizeMax);
    EXPECT_GT(right.types[MessageType::presence], 4U);
}

// --- Bad input -----------------------------------------------------------------------------------

/// What a session says to @p message after both announced "d".
std::optional<Errc> refusal(const Bytes& message, std::uint64_t features = kFeatures) {
    Peer a(1), b(2);
    a.host.put("d", "x", "1");
    auto options = options_of(a);
    options.features = features;
    Wire wire(a, options, b, options);
    wire.run();
    wire.left.session->on_message(message, wire.now);
    wire.left.take_events();
    const Event* closed = wire.left.last(Event::Kind::closed);
    EXPECT_TRUE(shown(board_of(a)).empty() || closed == nullptr);
    return closed != nullptr ? std::optional(closed->error->code) : std::nullopt;
}

Bytes written(const PresenceItem& item, std::uint64_t document = 0) {
    Bytes bytes;
    MessageWriter().write(PresenceNote{document, {item}}, bytes);
    return bytes;
}

TEST(PresenceHostile, WhatIsPastALimitEndsTheSession) {
    const PresenceItem good = item(7, "k", 1, "v");
    const auto with = [&](auto change) {
        PresenceItem bad = good;
        change(bad);
        return refusal(written(bad));
    };
    EXPECT_EQ(refusal(written(good)), std::nullopt);
    EXPECT_EQ(refusal(written(good, 1)), Errc::malformed);
    EXPECT_EQ(refusal(written(good), kLiveFeature), Errc::malformed);
    EXPECT_EQ(with([](auto& i) { i.id.key = std::string(257, 'k'); }), Errc::over_limit);
    EXPECT_EQ(with([](auto& i) { i.id.key = "\xff"; }), Errc::malformed);
    EXPECT_EQ(with([](auto& i) { i.value = Value(std::string(4097, 'v')); }), Errc::over_limit);
    EXPECT_EQ(with([](auto& i) { i.value = Value("\xff"); }), Errc::malformed);
    EXPECT_EQ(with([](auto& i) { i.counter = 0; }), Errc::malformed);
    EXPECT_EQ(with([](auto& i) { i.counter = kPresenceCounterMax + 1; }), Errc::malformed);
    EXPECT_EQ(with([](auto& i) { i.time_left = 0ms; }), Errc::malformed);
    EXPECT_EQ(with([](auto& i) { i.time_left = 1h; }), std::nullopt);
    EXPECT_EQ(with([](auto& i) { i.time_left = 1h + 1ms; }), Errc::malformed);
    PresenceNote many;
    for (int i = 0; i < 20; ++i) {
        many.items.push_back(good);
        many.items.back().value = Value(std::string(4096, 'v'));
    }
    Bytes bytes;
    MessageWriter().write(many, bytes);
    EXPECT_EQ(refusal(bytes), Errc::over_limit);
}

TEST(PresenceHostile, WhatSomebodyMakesUpIsBoundedAndItsOwnStaysWithUs) {
    Peer a(1), b(2);
    a.host.put("d", "x", "1");
    presence_of(a).set("own", Value("mine"));
    Wire wire(a, b);
    wire.run();
    MessageWriter writer;
    for (std::uint32_t i = 0; i < 3 * kPresenceEntriesMax; ++i) {
        PresenceItem lie = item(7, "k", 1, "v");
        lie.id.run.instance.bytes[0] = static_cast<std::uint8_t>(i);
        lie.id.run.instance.bytes[1] = static_cast<std::uint8_t>(i >> 8U);
        if (i % 7 == 0) lie = item(1, "own", 1 + i, i % 2 == 0 ? nullptr : "lie");
        lie.id.run = i % 7 == 0 ? a.host.run() : lie.id.run;
        Bytes bytes;
        writer.write(PresenceNote{0, {lie}}, bytes);
        wire.left.session->on_message(bytes, wire.now);
        while (wire.left.session->next_message(bytes)) {
        }
    }
    EXPECT_FALSE(wire.left.session->is_closed());
    EXPECT_LE(board_of(a).entry_count(), kPresenceEntriesMax + kPresenceKeysMax);
    EXPECT_GT(wire.left.session->counters().presence_dropped, 0U);
    EXPECT_TRUE(shown(board_of(a)).contains("1/own=mine"));
}

}  // namespace
}  // namespace joinery::test
