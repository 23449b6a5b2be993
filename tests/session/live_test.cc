// Live values between sessions: docs/semantics.md I7, I8; docs/wire-format.md 4.9.

#include "session/victim.h"

#include <functional>

namespace joinery::test {
namespace {

using namespace joinery::session;  // NOLINT(google-build-using-namespace): every message is named.
using Kind = Event::Kind;

crdt::Live& live_of(Peer& peer, std::string_view id = "d") {
    return peer.host.at(id).document().live();
}

std::optional<std::int64_t> value_of(Peer& peer, std::string_view key) {
    const Value* value = live_of(peer).find(crdt::PathId(), key);
    if (value == nullptr) return std::nullopt;
    return value->as_integer();
}

void expect_equal(Peer& a, Peer& b) { EXPECT_EQ(live_of(a).hash(), live_of(b).hash()); }

TEST(LiveSync, ANewcomerIsGivenAllAndAnEmptyHandedOneNothing) {
    for (const bool crossing : {false, true}) {
        Peer a(1), b(2);
        a.host.write_live("d", 100, "m", 7);
        Wire wire(a, b);
        crossing ? wire.run_crossing() : wire.run();
        EXPECT_TRUE(wire.is_in_step());
        EXPECT_EQ(live_of(b).count(), 100U);
        EXPECT_EQ(value_of(b, "m99"), 7);
        expect_equal(a, b);
        EXPECT_EQ(wire.left.session->counters().live_sent, 100U);
        EXPECT_EQ(wire.right.session->counters().live_received, 100U);
        EXPECT_EQ(wire.right.session->counters().live_sent, 0U);
    }
}

TEST(LiveSync, EachSideIsSentWhatItLacksAndNoMore) {
    for (const bool crossing : {false, true}) {
        Peer a(1), b(2);
        a.host.put("d", "logged", "too");
        a.host.write_live("d", 50, "both", 1);
        Wire(a, b).run();
        a.host.write_live("d", 3, "a", 1);
        b.host.write_live("d", 2, "b", 2);
        b.host.write_live("d", 5, "both", 2);
        Wire wire(a, b);
        crossing ? wire.run_crossing() : wire.run();
        EXPECT_TRUE(wire.is_in_step());
        expect_equal(a, b);
        EXPECT_EQ(live_of(a).count(), 55U);
        EXPECT_EQ(wire.left.session->counters().live_sent, 3U);
        EXPECT_EQ(wire.right.session->counters().live_sent, 7U);
    }
}

TEST(LiveSync, EqualValuesCostSixteenBytesAnAnnouncement) {
    Peer a(1), b(2);
    a.host.put("d", "x", "1");
    Wire(a, b).run();
    std::size_t without = 0;
    {
        Wire wire(a, b);
        wire.run();
        without = wire.left.session->counters().bytes_sent;
    }
    a.host.write_live("d", 1000, "m", 1);
    Wire(a, b).run();
    Wire wire(a, b);
    wire.run();
    EXPECT_TRUE(wire.is_in_step());
    EXPECT_EQ(wire.types[MessageType::live_want] + wire.types[MessageType::live_values], 0U);
    EXPECT_LE(wire.left.session->counters().bytes_sent, without + 16);
}

TEST(LiveSync, ARegisterThatIsWrittenAThousandTimesIsSentAsItIsThen) {
    Peer a(1), b(2);
    a.host.write_live("d", 10, "m", 0);
    Wire wire(a, b);
    wire.run();
    a.host.write_live("d", 10, "m", 1);
    const std::size_t before = wire.left.session->memory_size();
    for (int i = 2; i <= 1000; ++i)
        a.host.write_live("d", 10, "m", i);
    EXPECT_EQ(wire.left.session->memory_size(), before);
    EXPECT_FALSE(wire.left.session->is_in_step());
    wire.sizes.clear();
    wire.run();
    EXPECT_TRUE(wire.is_in_step());
    EXPECT_EQ(value_of(b, "m3"), 1000);
    expect_equal(a, b);
    // One message: a signature and ten values; the proof went before.
    ASSERT_EQ(wire.sizes.size(), 1U);
    EXPECT_LE(wire.sizes[0], 64 + 10 * 10 + 40U);
}

TEST(LiveSync, NothingGoesBackToWhereItCameFrom) {
    Peer a(1), b(2), c(3);
    Wire ab(a, b), bc(b, c);
    run_all({&ab, &bc});
    for (int i = 1; i <= 20; ++i) {
        a.host.write_live("d", 5, "m", i);
        run_all({&ab, &bc});
    }
    expect_equal(a, c);
    EXPECT_EQ(ab.right.session->counters().live_sent, 0U);
    EXPECT_EQ(bc.right.session->counters().live_sent, 0U);
    EXPECT_EQ(bc.left.session->counters().live_sent, 100U);
    EXPECT_TRUE(ab.is_in_step() && bc.is_in_step());
}

TEST(LiveSync, WhoGotThemPassesThemOnWithTheirProof) {  // I8
    Peer a(1), b(2), c(3);
    a.host.write_live("d", 130, "m", 1);
    a.host.write_live("d", 60, "m", 2);
    Wire(a, b).run();
    b.host.write_live("d", 3, "m", 9);
    Wire wire(b, c);
    wire.run();
    EXPECT_TRUE(wire.is_in_step());
    expect_equal(b, c);
    EXPECT_EQ(value_of(c, "m2"), 9);
    EXPECT_EQ(value_of(c, "m59"), 2);
    EXPECT_EQ(value_of(c, "m129"), 1);
}

TEST(LiveSync, ATriangleComesToRest) {
    Peer a(1), b(2), c(3);
    Wire ab(a, b), bc(b, c), ca(c, a);
    run_all({&ab, &bc, &ca});
    for (int i = 1; i <= 10; ++i) {
        a.host.write_live("d", 3, "m", i);
        b.host.write_live("d", 3, "m", 100 + i);
        c.host.write_live("d", 2, "n", i);
        run_all({&ab, &bc, &ca});
        expect_equal(a, b);
        expect_equal(b, c);
        EXPECT_TRUE(ab.is_in_step() && bc.is_in_step() && ca.is_in_step());
    }
}

TEST(LiveSync, CutAndReconnectAtEveryMessage) {
    for (std::size_t cut = 0;; ++cut) {
        Peer a(1), b(2);
        a.host.put("d", "x", "1");
        for (int i = 0; i < 5; ++i)
            a.host.write_live("d", 70, "a" + std::to_string(i), i);
        b.host.write_live("d", 30, "a0", 77);
        b.host.write_live("d", 30, "b", 77);
        auto options = options_of(a);
        options.changes_size_target = 500;
        std::size_t moved = 0;
        {
            Wire wire(a, options, b, options_of(b));
            moved = wire.run(cut);
            a.host.write_live("d", 2, "b", 5);
            wire.run(1);
        }
        Wire wire(a, options, b, options_of(b));
        wire.run();
        ASSERT_TRUE(wire.is_in_step()) << "cut after " << cut;
        ASSERT_EQ(live_of(a).hash(), live_of(b).hash()) << "cut after " << cut;
        if (moved < cut) break;
    }
}

TEST(LiveSync, ASessionOfOnceEndsWhenNoLiveValueIsLacking) {
    for (const bool both : {false, true}) {
        Peer a(1), b(2);
        a.host.put("d", "x", "1");
        Wire(a, b).run();
        a.host.write_live("d", 300, "a", 1);
        b.host.write_live("d", 300, "b", 2);
        b.host.write_live("only live", 3, "b", 2);
        auto a_options = options_of(a), b_options = options_of(b);
        a_options.is_once = true;
        a_options.changes_size_target = b_options.changes_size_target = 1000;
        b_options.is_once = both;
        Wire wire(a, a_options, b, b_options);
        wire.run();
        expect_equal(a, b);
        EXPECT_EQ(live_of(a).count(), 600U);
        EXPECT_EQ(live_of(a, "only live").count(), 3U);
        EXPECT_TRUE(wire.left.session->is_closed());
        EXPECT_FALSE(wire.left.last(Kind::closed)->error);
    }
}

TEST(LiveSync, ValuesOfAMapThatIsNotKnownYetAreKeptAndPassedOn) {  // I9
    Peer a(1), b(2), c(3);
    crdt::PathId unknown;
    unknown.bytes.fill(0x42);
    const Value value(std::int64_t{1});
    const auto proof = a.host.proof();
    ASSERT_TRUE(live_of(a).write(unknown, "m", &value, WallTime(1), proof).has_value());
    live_of(a).seal(a.host.key(), proof);
    Wire(a, b).run();
    Wire(b, c).run();
    ASSERT_NE(live_of(c).find(unknown, "m"), nullptr);
    EXPECT_TRUE(c.host.at("d").document().read_root().empty());
}

// --- Bad input -----------------------------------------------------------------------------------

/// A session, with document "d" on both sides, and an other side made of bytes.
struct LiveVictim : Victim {
    explicit LiveVictim(std::uint64_t features = kLiveFeature) : Victim(options_with(features)) {
        peer.host.write_live("d", 2, "m", 1);
        pull();
        Hello hello;
        hello.document_max = 10;
        say(hello);
    }
    /// Announces "d" without changes, and with live values of the name @p fill, or none.
    void say_have(std::uint8_t fill) {
        State state;
        state.is_empty = true;
        if (fill != 0) state.live.emplace().bytes.fill(fill);
        say(Have{{{"d", 0, state}}});
    }
    void expect_closed(Errc code) {
        expect_ended(code);
        EXPECT_EQ(live_of(peer).count(), 2U);
    }

    static session::Options options_with(std::uint64_t features) {
        session::Options options;
        options.features = features;
        return options;
    }
};

crdt::LiveBatch batch_of(Peer& peer, std::int64_t value) {
    const crdt::LiveWrite write{crdt::PathId(), "m0", std::uint64_t{1} << 62U, Value(value)};
    return crdt::make_live_batch(peer.host.key(), peer.host.proof(), "d", std::span(&write, 1));
}

TEST(LiveHostile, ForgedValuesLeaveTheDocumentAloneAndUnchanged) {
    LiveVictim victim;
    Peer mallory(9);
    victim.say_have(0);
    crdt::LiveBatch forged = batch_of(mallory, 666);
    forged.signature.bytes[0] ^= 1;
    victim.say(LiveValues{0, false, {forged}});
    EXPECT_FALSE(victim.end.session->is_closed());
    ASSERT_EQ(victim.end.count(Kind::refused), 1U);
    EXPECT_EQ(victim.end.last(Kind::refused)->error->code, Errc::untrusted);
    EXPECT_EQ(value_of(victim.peer, "m0"), 1);
    // Left aside in both directions from now on.
    victim.say(LiveValues{0, false, {batch_of(mallory, 5)}});
    EXPECT_EQ(value_of(victim.peer, "m0"), 1);
    victim.said.clear();
    victim.peer.host.write_live("d", 1, "m", 2);
    victim.pull();
    EXPECT_TRUE(victim.said.empty());
}

TEST(LiveHostile, MessagesOutOfTurnEndTheSession) {
    const auto refuses = [](std::uint8_t announced, const auto& message) {
        LiveVictim victim;
        victim.say_have(announced);
        ASSERT_FALSE(victim.end.session->is_closed());
        victim.say(message);
        victim.expect_closed(Errc::malformed);
    };
    refuses(0, LiveValues{0, true, {}});   // Nothing was wanted.
    refuses(0, LiveValues{1, false, {}});  // No such document; no value.
    refuses(0, LiveWant{1, {}});
    LiveVictim twice;
    twice.say_have(0);
    twice.say(LiveWant{0, {}});
    EXPECT_EQ(twice.count_said(MessageType::live_values), 1U);
    twice.say(LiveWant{0, {}});
    twice.expect_closed(Errc::malformed);
}

TEST(LiveHostile, WhoDoesNotSpeakOfThemIsToldNothingOfThem) {
    LiveVictim victim(0);
    victim.say_have(0);
    victim.peer.host.write_live("d", 1, "m", 2);
    victim.pull();
    EXPECT_EQ(victim.count_said(MessageType::live_values), 0U);
    for (const Bytes& message : victim.said) {
        MessageReader reader;
        const auto read = reader.read(message);
        if (!read || !*read) continue;
        if (const auto* have = std::get_if<Have>(&**read)) {
            EXPECT_FALSE(have->entries[0].state.live.has_value());
        }
    }
    victim.say(LiveWant{0, {}});
    victim.expect_closed(Errc::malformed);
    LiveVictim liar(0);
    liar.say_have(7);
    liar.expect_closed(Errc::malformed);
}

TEST(LiveHostile, MarksOutOfOrderOrCutAreRefused) {
    const auto error_of = [](const Bytes& body) {
        Bytes bytes;
        EnvelopeWriter out(bytes);
        out.array(3);
        out.integer(64);
        out.integer(0);
        out.bytes(body);
        const auto read = MessageReader().read(bytes);
        return read ? Errc{} : read.error().code;
    };
    EXPECT_EQ(error_of({}), Errc{});
    EXPECT_EQ(error_of(Bytes(32)), Errc{});
    EXPECT_EQ(error_of(Bytes(33)), Errc::malformed);
    EXPECT_EQ(error_of(Bytes(64)), Errc::malformed);  // The same slot twice.
    EXPECT_EQ(error_of(Bytes(32 * (crdt::kLiveCountMax + 1))), Errc::over_limit);
}

TEST(LiveHostile, AProofThatWasNotNamedIsRefused) {
    Bytes bytes;
    EnvelopeWriter out(bytes);
    out.array(4);
    out.integer(65);
    out.integer(0);
    out.integer(0);
    out.bytes(Bytes{1});
    EXPECT_EQ(MessageReader().read(bytes).error().code, Errc::malformed);
}

}  // namespace
}  // namespace joinery::test
