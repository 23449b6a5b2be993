#include "session/rig.h"

namespace joinery::test {
namespace {

using Kind = Event::Kind;

void expect_equal(Peer& a, Peer& b) { EXPECT_EQ(a.host.digests(), b.host.digests()); }

TEST(Sync, FirstSyncGivesANewcomerEverything) {
    Peer a(1), b(2);
    for (int i = 0; i < 10; ++i)
        a.host.put("ops/main", "k" + std::to_string(i), "value");
    a.host.put("ops/other", "x", "y");
    Wire wire(a, b);
    wire.run();
    EXPECT_TRUE(wire.is_in_step());
    EXPECT_TRUE(wire.left.session->is_acknowledged());
    EXPECT_TRUE(wire.right.session->is_acknowledged());
    expect_equal(a, b);
    EXPECT_EQ(b.host.change_count(), 11U);
    EXPECT_EQ(wire.left.session->peer()->name, "peer 2");
    EXPECT_EQ(wire.right.session->counters().changes_applied, 11U);
    EXPECT_EQ(wire.right.session->counters().changes_duplicate, 0U);
    EXPECT_EQ(wire.left.session->documents()[0].changes_sent, 10U);
}

TEST(Sync, BothDirectionsAndBothAtOnce) {
    for (const bool crossing : {false, true}) {
        Peer a(1), b(2);
        a.host.put("d", "x", "a");
        b.host.put("d", "y", "b");
        a.host.put("only-a", "x", "1");
        b.host.put("only-b", "x", "2");
        a.host.increment("d", "n", 3);
        b.host.increment("d", "n", 4);
        Wire wire(a, b);
        crossing ? wire.run_crossing() : wire.run();
        EXPECT_TRUE(wire.is_in_step());
        EXPECT_TRUE(wire.left.session->is_acknowledged());
        EXPECT_TRUE(wire.right.session->is_acknowledged());
        expect_equal(a, b);
        EXPECT_EQ(wire.left.session->counters().changes_duplicate, 0U);
        EXPECT_EQ(wire.right.session->counters().changes_duplicate, 0U);
    }
}

TEST(Sync, TheQuestionBehindWhatWasStoredIsNotHeldBack) {
    Peer a(1), b(2);
    a.host.put("d", "x", "a");
    b.host.put("d", "y", "b");
    a.host.stores_at_once = b.host.stores_at_once = false;
    Wire wire(a, b);
    wire.run();
    EXPECT_FALSE(wire.is_in_step());
    // As two writer threads do, before either session is asked for a message.
    a.host.store();
    b.host.store();
    wire.run();
    EXPECT_TRUE(wire.is_in_step());
    expect_equal(a, b);
}

TEST(Sync, EqualDocumentsCostFewBytes) {
    Peer a(1), b(2);
    for (int i = 0; i < 1000; ++i)
        a.host.put("doc/" + std::to_string(1000 + i), "k", "v");
    Wire(a, b).run();
    Wire wire(a, b);
    wire.run();
    EXPECT_TRUE(wire.is_in_step());
    EXPECT_TRUE(wire.left.session->is_acknowledged());
    const auto& counters = wire.left.session->counters();
    EXPECT_EQ(counters.changes_sent, 0U);
    // An id of 8 characters, 35 bytes of state; the second to announce gives a number for the id.
    EXPECT_LT(counters.bytes_sent, 1000 * 45 + 200U);
    EXPECT_LT(wire.right.session->counters().bytes_sent, 1000 * 45 + 200U);
}

TEST(Sync, LiveEditsFlowAndCostLittle) {
    Peer a(1), b(2);
    a.host.put("d", "field", "0");
    Wire wire(a, b);
    wire.run();
    for (int i = 0; i < 20; ++i) {
        wire.sizes.clear();
        a.host.put("d", "field", std::to_string(i + 10));
        EXPECT_FALSE(wire.left.session->is_in_step());
        wire.run_crossing();
        EXPECT_TRUE(wire.is_in_step());
        EXPECT_TRUE(wire.left.session->is_acknowledged());
        expect_equal(a, b);
        // Changes, the question whether all is equal, the answer.
        ASSERT_EQ(wire.sizes.size(), 3U);
        EXPECT_LE(wire.sizes[0], 86U);
        EXPECT_LE(wire.sizes[1], 39U);
        EXPECT_LE(wire.sizes[2], 4U);
    }
}

TEST(Sync, NothingGoesBackToWhereItCameFrom) {
    Peer a(1), b(2);
    Wire wire(a, b);
    wire.run();
    for (int i = 0; i < 10; ++i)
        a.host.put("d", "k", std::to_string(i));
    wire.run();
    EXPECT_EQ(wire.right.session->counters().changes_sent, 0U);
    EXPECT_EQ(wire.left.session->counters().changes_sent, 10U);
    EXPECT_TRUE(wire.is_in_step());
}

TEST(Sync, ConcurrentEditsConverge) {
    for (const bool crossing : {false, true}) {
        Peer a(1), b(2);
        a.host.put("d", "k0", "first");
        Wire wire(a, b);
        wire.run();
        for (int i = 0; i < 50; ++i) {
            a.host.put("d", "k" + std::to_string(i % 7), "a" + std::to_string(i));
            if (i % 3 != 0) b.host.put("d", "k" + std::to_string(i % 5), "b" + std::to_string(i));
            if (i % 4 == 0) b.host.increment("d", "n", i);
            if (i % 5 == 0) wire.run(3);
        }
        crossing ? wire.run_crossing() : wire.run();
        EXPECT_TRUE(wire.is_in_step());
        expect_equal(a, b);
        EXPECT_EQ(wire.left.session->counters().divergences, 0U);
        EXPECT_EQ(wire.left.session->counters().resyncs, 0U);
        // Each knows what the other has on the way: nothing is compared afresh.
        EXPECT_EQ(wire.types[session::MessageType::frontier], 0U);
    }
}

TEST(Sync, AChangeNotYetToldOfGoesBeforeTheQuestion) {
    // As when another thread commits between two pulls.
    Peer a(1), b(2);
    Wire wire(a, b);
    wire.run();
    a.host.put("d", "x", "0");
    wire.run();
    wire.types.clear();
    a.host.put("d", "x", "1");
    ASSERT_TRUE(wire.step(wire.left, wire.right));
    const auto tell = std::exchange(a.host.on_changed, nullptr);
    a.host.put("d", "x", "2");
    wire.run();
    EXPECT_TRUE(wire.is_in_step());
    expect_equal(a, b);
    EXPECT_EQ(wire.types[session::MessageType::changes], 2U);
    EXPECT_EQ(wire.types[session::MessageType::check], 1U);
    EXPECT_EQ(wire.types[session::MessageType::frontier], 0U);
}

TEST(Sync, ThreePeersInALineAndInATriangle) {
    for (const bool triangle : {false, true}) {
        Peer a(1), b(2), c(3);
        a.host.put("d", "old", "1");
        c.host.put("d", "older", "2");
        Wire ab(a, b), bc(b, c), ca(c, a);
        std::vector<Wire*> wires{&ab, &bc};
        if (triangle) wires.push_back(&ca);
        run_all(wires);
        for (int i = 0; i < 20; ++i) {
            a.host.put("d", "x", "a" + std::to_string(i));
            c.host.put("d", "y", "c" + std::to_string(i));
            if (i % 2 == 0) b.host.put("d", "x", "b" + std::to_string(i));
            if (i % 4 == 0) run_all(wires);
        }
        run_all(wires);
        for (Wire* wire : wires)
            EXPECT_TRUE(wire->is_in_step());
        expect_equal(a, b);
        expect_equal(b, c);
        EXPECT_EQ(a.host.change_count(), 52U);
    }
}

TEST(Sync, PatternsOfBothSidesChoose) {
    Peer a(1), b(2);
    for (const char* id : {"ops/1", "ops/2", "lab/1", "lab/2", "x"})
        a.host.put(id, "k", "v");
    b.host.put("ops/b", "k", "v");
    b.host.put("lab/b", "k", "v");
    Wire wire(a, options_of(a, {"*/1", "ops/*"}), b, options_of(b, {"ops/*", "lab/?"}));
    wire.run();
    EXPECT_TRUE(wire.is_in_step());
    EXPECT_EQ(b.host.documents(),
              (std::vector<std::string>{"lab/1", "lab/b", "ops/1", "ops/2", "ops/b"}));
    EXPECT_EQ(a.host.documents().size(), 6U);
    a.host.put("lab/2", "k", "w");
    a.host.put("lab/1", "k", "w");
    a.host.put("ops/new", "k", "w");
    wire.run();
    EXPECT_TRUE(wire.is_in_step());
    EXPECT_EQ(b.host.documents().size(), 6U);
    EXPECT_EQ(b.host.at("lab/1").change_count(), 2U);
}

TEST(Sync, ASessionOfOnceEndsWhenBothAreInStep) {
    for (const bool both : {false, true}) {
        Peer a(1), b(2);
        a.host.put("d", "x", "1");
        b.host.put("e", "x", "1");
        auto a_options = options_of(a), b_options = options_of(b);
        a_options.is_once = true;
        b_options.is_once = both;
        Wire wire(a, a_options, b, b_options);
        wire.run();
        expect_equal(a, b);
        for (End* end : {&wire.left, &wire.right}) {
            EXPECT_TRUE(end->session->is_closed());
            EXPECT_TRUE(end->session->is_acknowledged());
            ASSERT_EQ(end->count(Kind::closed), 1U);
            EXPECT_FALSE(end->last(Kind::closed)->error);
        }
    }
}

TEST(Sync, StoringLaterThanReceivingIsNoDisagreement) {
    // As behind a writer thread: what came is not part of the frontier until it is stored.
    Peer a(1), b(2), c(3);
    for (Peer* peer : {&a, &b, &c})
        peer->host.stores_at_once = false;
    Wire ab(a, b), bc(b, c), ca(c, a);
    std::vector<Wire*> wires{&ab, &bc, &ca};
    for (int i = 0; i < 30; ++i) {
        a.host.put("d", "x", "a" + std::to_string(i));
        if (i % 2 == 0) b.host.put("d", "x", "b" + std::to_string(i));
        if (i % 3 == 0) c.host.increment("d", "n", 1);
        run_all(wires);
        if (i % 2 == 0) a.host.store();
        if (i % 3 == 1) b.host.store();
        if (i % 5 == 2) c.host.store();
        run_all(wires);
    }
    for (int i = 0; i < 4; ++i) {
        for (Peer* peer : {&a, &b, &c})
            peer->host.store();
        run_all(wires);
    }
    expect_equal(a, b);
    expect_equal(b, c);
    for (Wire* wire : wires) {
        EXPECT_TRUE(wire->is_in_step());
        for (End* end : {&wire->left, &wire->right}) {
            EXPECT_TRUE(end->session->is_acknowledged());
            EXPECT_EQ(end->session->counters().divergences, 0U);
            EXPECT_EQ(end->session->counters().resyncs, 0U);
            EXPECT_EQ(end->session->counters().stalls, 0U);
        }
    }
}

TEST(Sync, AcknowledgementsSayWhatIsDurable) {
    Peer a(1), b(2);
    b.host.is_durable_at_once = false;
    a.host.put("d", "x", "1");
    a.host.put("d", "x", "2");
    Wire wire(a, b);
    wire.run();
    EXPECT_EQ(b.host.change_count(), 2U);
    EXPECT_FALSE(wire.is_in_step()) << "the answer waits until it can say that all is durable";
    EXPECT_TRUE(wire.left.session->acknowledged("d").empty());
    b.host.make_durable();
    wire.run();
    EXPECT_TRUE(wire.is_in_step());
    EXPECT_TRUE(wire.left.session->is_acknowledged());
    ASSERT_EQ(wire.left.session->acknowledged("d").size(), 1U);
    EXPECT_EQ(wire.left.session->acknowledged("d")[0].actor, a.host.actor());
    EXPECT_EQ(wire.left.session->acknowledged("d")[0].seq, 2U);
    EXPECT_GE(wire.left.count(Kind::acknowledged), 1U);
    wire.sizes.clear();
    a.host.put("d", "x", "3");
    wire.run();
    b.host.make_durable();
    wire.run();
    ASSERT_EQ(wire.sizes.size(), 3U) << "changes, check, answer";
    EXPECT_LE(wire.sizes[2], 4U);
    EXPECT_EQ(wire.left.session->acknowledged("d")[0].seq, 3U);
}

TEST(Sync, ManyChangesGoInMessagesOfBoundedSize) {
    Peer a(1), b(2);
    for (int i = 0; i < 300; ++i)
        a.host.put_many("d", 20, "k" + std::to_string(i) + "-");
    auto options = options_of(a);
    options.changes_size_target = 4096;
    Wire wire(a, options, b, options_of(b));
    wire.run();
    EXPECT_TRUE(wire.is_in_step());
    expect_equal(a, b);
    EXPECT_LT(std::ranges::max(wire.sizes), 8192U);
    EXPECT_GT(wire.sizes.size(), 20U);
}

TEST(Sync, ALargeDictionaryBeginsAnew) {
    Peer a(1), b(2);
    Wire wire(a, b);
    wire.run();
    for (int i = 0; i < 8; ++i) {
        a.host.put_many("d", 20000, "k" + std::to_string(i) + "-");
        wire.run();
    }
    EXPECT_TRUE(wire.is_in_step());
    expect_equal(a, b);
    EXPECT_EQ(wire.right.session->counters().resyncs, 0U);
    EXPECT_LT(wire.right.session->memory_size(), 8 * 2 * session::kDictionarySizeMax);
}

TEST(Sync, DictionariesOfAllDocumentsTogetherAreBounded) {
    Peer a(1), b(2);
    Wire wire(a, b);
    for (int i = 0; i < 18; ++i)
        a.host.put_many("d" + std::to_string(i), 60000, "k");
    wire.run();
    for (int i = 0; i < 18; ++i)
        a.host.put("d" + std::to_string(i), "k1", "again");
    wire.run();
    EXPECT_TRUE(wire.is_in_step());
    expect_equal(a, b);
    EXPECT_LT(wire.right.session->memory_size(), 8 * 2 * session::kDictionaryTotalMax);
}

TEST(Sync, CutAndReconnectAtEveryMessage) {
    for (std::size_t cut = 0;; ++cut) {
        Peer a(1), b(2);
        for (int i = 0; i < 12; ++i)
            a.host.put_many("d", 30, "a" + std::to_string(i) + "-");
        for (int i = 0; i < 5; ++i)
            b.host.put("d", "b", std::to_string(i));
        b.host.put("e", "b", "1");
        auto options = options_of(a);
        options.changes_size_target = 500;
        std::size_t moved = 0;
        {
            Wire wire(a, options, b, options_of(b));
            moved = wire.run(cut);
            a.host.put("d", "late", std::to_string(cut));
            b.host.put("f", "late", std::to_string(cut));
            wire.run(1);
        }
        Wire wire(a, options, b, options_of(b));
        wire.run();
        ASSERT_TRUE(wire.is_in_step()) << "cut after " << cut;
        ASSERT_TRUE(wire.left.session->is_acknowledged()) << "cut after " << cut;
        ASSERT_EQ(a.host.digests(), b.host.digests()) << "cut after " << cut;
        ASSERT_EQ(wire.left.session->counters().changes_duplicate, 0U);
        if (moved < cut) break;
    }
}

TEST(Sync, TenThousandChangesWithoutAPullCostNoMemory) {
    Peer a(1), b(2);
    for (int i = 0; i < 10; ++i)
        a.host.put("d" + std::to_string(i), "k", "v");
    Wire wire(a, b);
    wire.run();
    for (int i = 0; i < 10; ++i)
        wire.left.session->document_changed("d" + std::to_string(i));
    const std::size_t before = wire.left.session->memory_size();
    for (int i = 0; i < 10000; ++i) {
        wire.left.session->document_changed("d" + std::to_string(i % 10));
    }
    EXPECT_EQ(wire.left.session->memory_size(), before);
    for (int i = 0; i < 1000; ++i)
        a.host.put("d1", "k", std::to_string(i));
    EXPECT_EQ(wire.left.session->memory_size(), before);
    wire.sizes.clear();
    wire.run();
    EXPECT_TRUE(wire.is_in_step());
    // A thousand changes, one message; and one question.
    EXPECT_LE(wire.sizes.size(), 4U);
}

TEST(Sync, AMissingPredecessorIsAskedFor) {
    Peer a(1), b(2);
    Wire wire(a, b);
    wire.run();
    a.host.put("d", "x", "1");
    wire.run();
    // b has it, but a's next changes fail as if it did not.
    b.host.at("d").next_failure = fail(Errc::not_found, "predecessor");
    for (int i = 0; i < 3; ++i)
        a.host.put("d", "x", std::to_string(i));
    Bytes out;
    ASSERT_TRUE(wire.step(wire.left, wire.right));
    // More of the old dictionary is on its way before the request arrives.
    a.host.put("d", "y", "2");
    ASSERT_TRUE(wire.step(wire.left, wire.right));
    wire.run();
    EXPECT_TRUE(wire.is_in_step());
    EXPECT_EQ(wire.right.session->counters().resyncs, 1U);
    expect_equal(a, b);
}

TEST(Sync, AskingAnewIsBounded) {
    Peer a(1), b(2);
    Wire wire(a, b);
    wire.run();
    wire.on_message = [&](const End& from, const Bytes&) {
        if (&from != &wire.left) return;
        b.host.at("d").next_failure = fail(Errc::not_found, "predecessor");
    };
    a.host.put("d", "x", "1");
    a.host.put("e", "x", "1");
    wire.run();
    EXPECT_EQ(wire.right.session->counters().resyncs, std::uint64_t{session::kRoundsMax});
    EXPECT_EQ(wire.right.count(Kind::refused), 1U);
    EXPECT_EQ(wire.left.count(Kind::refused), 1U);
    EXPECT_TRUE(wire.left.session->is_settled());
    EXPECT_FALSE(wire.left.session->is_in_step());
    EXPECT_EQ(b.host.at("e").change_count(), 1U);
}

TEST(Sync, ADocumentThatTheHostCannotStoreLeavesTheOthersAlone) {
    Peer a(1), b(2);
    Wire wire(a, b);
    wire.run();
    b.host.at("full").next_failure = fail(Errc::io, "the disk is full");
    a.host.put("full", "x", "1");
    a.host.put("fine", "x", "1");
    wire.run();
    ASSERT_EQ(wire.right.count(Kind::refused), 1U);
    EXPECT_EQ(wire.right.last(Kind::refused)->error->code, Errc::io);
    EXPECT_EQ(wire.left.last(Kind::refused)->error->code, Errc::io);
    EXPECT_TRUE(wire.left.last(Kind::refused)->is_theirs);
    a.host.put("full", "x", "2");
    a.host.put("fine", "x", "2");
    wire.run();
    EXPECT_EQ(b.host.at("fine").change_count(), 2U);
    EXPECT_EQ(b.host.at("full").change_count(), 0U);
    EXPECT_FALSE(wire.left.session->is_closed());
}

TEST(Sync, ALieAboutTheDigestRaisesTheAlarm) {
    for (const bool at_once : {true, false}) {
        Peer a(1), b(2);
        a.host.put("d", "x", "1");
        if (at_once) {
            Wire(a, b).run();
            b.host.at("d").lies = true;
        }
        Wire wire(a, b);
        wire.run();
        b.host.at("d").lies = true;
        a.host.put("e", "x", "2");
        if (!at_once) a.host.put("d", "x", "2");
        wire.run();
        EXPECT_EQ(wire.left.count(Kind::diverged), 1U);
        EXPECT_EQ(wire.right.count(Kind::diverged), 1U);
        EXPECT_EQ(wire.left.last(Kind::diverged)->document, "d");
        EXPECT_GE(wire.left.count(Kind::stalled) + wire.right.count(Kind::stalled), 1U);
        EXPECT_TRUE(wire.left.session->is_settled());
        EXPECT_FALSE(wire.left.session->is_in_step());
        EXPECT_LT(wire.sizes.size(), 80U);
        // It heals when the lie ends.
        b.host.at("d").lies = false;
        a.host.put("d", "x", "3");
        wire.run();
        EXPECT_TRUE(wire.is_in_step());
    }
}

// A host that cannot take a second branch; the engine can: tests/engine/forks_test.cc.
TEST(Sync, AForkIsReportedAndTheRestGoesOn) {
    Peer a(1), b(2);
    b.host.impersonate(a.host);
    a.host.put("d", "x", "a");
    b.host.put("d", "x", "b");
    Peer c(3);
    c.host.put("e", "x", "c");
    Wire wire(a, b), cb(c, b);
    run_all({&wire, &cb});
    EXPECT_EQ(wire.left.count(Kind::forked), 1U);
    EXPECT_EQ(wire.right.count(Kind::forked), 1U);
    EXPECT_FALSE(wire.left.session->is_in_step());
    EXPECT_EQ(a.host.at("e").change_count(), 1U);
    // One branch grows: the other side cannot verify it, says once where it stands, as the two may
    // have parted before, and then leaves the document alone.
    a.host.put("d", "x", "a2");
    a.host.put("e", "x", "a3");
    run_all({&wire, &cb});
    EXPECT_EQ(c.host.at("e").change_count(), 2U);
    EXPECT_FALSE(wire.left.session->is_closed());
    EXPECT_EQ(wire.right.session->counters().resyncs, 1U);
    EXPECT_EQ(wire.right.count(Kind::refused), 1U);
    EXPECT_TRUE(wire.left.session->is_settled());
}

TEST(Sync, AWrongBeliefIsFoundAndMended) {
    Peer a(1), b(2);
    Wire wire(a, b);
    wire.run();
    a.host.put("d", "x", "1");
    b.host.put("d", "y", "2");
    wire.run();
    ASSERT_TRUE(wire.is_in_step());
    // From now on b says that it lacks what it has.
    b.host.at("d").understates = true;
    a.host.put("d", "x", "3");
    wire.run();
    EXPECT_TRUE(wire.left.session->is_settled());
    EXPECT_FALSE(wire.left.session->is_in_step());
    EXPECT_GE(wire.left.count(Kind::stalled) + wire.right.count(Kind::stalled), 1U);
    EXPECT_LT(wire.sizes.size(), 200U);
    b.host.at("d").understates = false;
    a.host.put("d", "x", "4");
    wire.run();
    EXPECT_TRUE(wire.is_in_step());
    expect_equal(a, b);
}

TEST(Sync, SilenceIsNoticed) {
    Peer a(1), b(2);
    Wire wire(a, b);
    wire.run();
    a.host.put("d", "x", "1");
    wire.left.session->on_time(wire.now + std::chrono::seconds(29));
    wire.left.take_events();
    EXPECT_EQ(wire.left.count(Kind::stalled), 0U);
    wire.left.session->on_time(wire.now + std::chrono::seconds(31));
    wire.left.session->on_time(wire.now + std::chrono::seconds(61));
    wire.left.take_events();
    EXPECT_EQ(wire.left.count(Kind::stalled), 1U);
    wire.run();
    EXPECT_TRUE(wire.is_in_step());
}

TEST(Sync, MoreDocumentsThanTheOtherSideTakesStayHere) {
    Peer a(1), b(2);
    for (int i = 0; i < 10; ++i)
        a.host.put("d" + std::to_string(i), "k", "v");
    auto options = options_of(b);
    options.document_max = 4;
    Wire wire(a, options_of(a), b, options);
    wire.run();
    EXPECT_EQ(b.host.documents().size(), 4U);
    EXPECT_EQ(wire.left.count(Kind::refused), 1U);
    EXPECT_TRUE(wire.left.session->is_settled());
    EXPECT_FALSE(wire.left.session->is_in_step());
    EXPECT_FALSE(wire.right.session->is_closed());
}

TEST(Sync, AFreshActorOfADeviceIsOneMoreChain) {
    Peer a(1), b(2);
    a.host.put("d", "x", "1");
    Wire wire(a, b);
    wire.run();
    for (int i = 0; i < 5; ++i) {
        a.host.renew_actor();
        a.host.put("d", "x", std::to_string(i));
        wire.run();
    }
    EXPECT_TRUE(wire.is_in_step());
    EXPECT_EQ(b.host.at("d").frontier().size(), 6U);
    expect_equal(a, b);
}

}  // namespace
}  // namespace joinery::test
