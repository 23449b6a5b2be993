// One test a rule of docs/semantics.md, with its smallest example. Rules C, V, R, M and E;
// counters, lists and digests are in rules_containers_test.cc.
#include "crdt/peers.h"
#include "crdt/random_history.h"

#include <gtest/gtest.h>
#include <limits>

namespace joinery::crdt::test {
namespace {

/// Changes known to @p peer, in the model.
model::Model model_of(const Peer& peer) { return model::Model(peer.changes()); }

// --- C. Changes and contexts ---------------------------------------------------------------------

// Rule C1.
TEST(RuleC, AnActorsChangesAreNumberedFromOneWithoutGaps) {
    Peer a('a');
    a.put("x", 1);
    a.put("x", 2);
    a.put("x", 3);
    const auto changes = a.changes();
    ASSERT_EQ(changes.size(), 3U);
    for (std::size_t i = 0; i < 3; ++i)
        EXPECT_EQ(changes[i].seq, i + 1);
}

// Rule C1.
TEST(RuleC, AChangeMayHaveNoOperation) {
    Peer a('a'), b('b');
    a.put("x", 1);
    b.put("y", 1);
    b.hear(a);
    b.commit_raw(raw_change(b.document(), b.actor(), 0, {}));
    b.put("y", 2);
    EXPECT_EQ(b.changes().back().counter, 2U);
    meet(a, b);
    EXPECT_EQ(a.shows(), "{x:1, y:2}");
    EXPECT_EQ(a.document().graph().heads().size(), 1U);
}

// Rule C2.
TEST(RuleC, AChangeOfThreeOperationsTakesThreeCounters) {
    Peer a('a');
    a.insert("l", 0, {1, 2, 3});
    a.put("x", 1);
    EXPECT_EQ(a.changes()[1].counter, 4U);
}

// Rule C3.
TEST(RuleC, DependenciesAreTheHeadsOfOthersSortedByActor) {
    Peer a('a'), b('b'), c('c');
    a.put("x", 1);
    b.put("x", 2);
    c.put("x", 3);
    // By order of arrival the chains of c's document are c, b, a.
    c.hear(b);
    c.hear(a);
    c.put("x", 4);
    const auto change = c.changes().back();
    const std::vector<std::pair<ActorId, std::uint64_t>> expected{{actor_of('a'), 1},
                                                                  {actor_of('b'), 1}};
    EXPECT_EQ(change.dependencies, expected);
    meet({&a, &b, &c});
    EXPECT_EQ(a.shows(), "{x:4}");
}

// Rule C3.
TEST(RuleC, WhatAHeadDependsOnIsNoDependency) {
    Peer a('a'), b('b'), c('c');
    a.put("x", 1);
    b.hear(a);
    b.put("x", 2);
    c.hear(b);
    c.put("x", 3);
    const std::vector<std::pair<ActorId, std::uint64_t>> expected{{actor_of('b'), 1}};
    EXPECT_EQ(c.changes().back().dependencies, expected);
}

// Rule C4.
TEST(RuleC, AContextEndsWhereItsDependencyEndsWhateverArrivedFirst) {
    Peer a('a'), b('b'), c('c');
    a.put("x", 1);
    a.put("x", 2);
    b.hear(a);
    a.put("x", 3);
    b.put("x", 4);
    c.hear(a);  // a's third change before b's first, which had not seen it.
    c.hear(b);
    EXPECT_EQ(c.entries("x"), "4 3");
    const auto model = model_of(c);
    EXPECT_TRUE(model.saw({actor_of('b'), 1}, {actor_of('a'), 1}));
    EXPECT_TRUE(model.saw({actor_of('b'), 1}, {actor_of('a'), 2}));
    EXPECT_FALSE(model.saw({actor_of('b'), 1}, {actor_of('a'), 3}));
    meet({&a, &b, &c});
}

// Rule C4.
TEST(RuleC, WithinAChangeALaterOperationHasSeenTheEarlier) {
    Peer a('a'), b('b');
    b.put("x", 0);
    a.change([&](Transaction& t) {
        const KeyIndex x = *t.key("x");
        EXPECT_TRUE(t.put(kRoot, x, Value(std::int64_t{1})));
        EXPECT_TRUE(t.put(kRoot, x, Value(std::int64_t{2})));
    });
    meet(a, b);
    EXPECT_EQ(b.entries("x"), "2 0");
}

// Rule C5.
TEST(RuleC, AChangeWhoseDependencyIsMissingIsRefusedAndCanComeAgain) {
    Peer a('a'), b('b'), c('c');
    a.put("x", 1);
    b.hear(a);
    b.put("x", 2);
    DecoderDictionary dictionary;
    Batch batch;
    ASSERT_TRUE(decode_changes(b.bytes(1), c.document().names(), dictionary, batch));
    const auto hashes = c.document().check(batch);
    ASSERT_FALSE(hashes);
    EXPECT_EQ(hashes.error().code, Errc::not_found);
    EXPECT_EQ(hashes.error().at, 0U);
    EXPECT_EQ(c.shows(), "{}");
    c.hear(b);
    EXPECT_EQ(c.shows(), "{x:2}");
}

// Rule C6.
TEST(RuleC, TheSameChangesInAnyOrderGiveTheSameDigest) {
    Peer a('a'), b('b'), first('x'), second('y');
    a.put("x", 1);
    a.erase("x");
    b.put("x", 2);
    b.make("x", Kind::map);
    first.hear(a);
    first.hear(b);
    second.hear(b);
    second.hear(a);
    EXPECT_EQ(first.document().digest(), second.document().digest());
    EXPECT_EQ(model::detail_of(first.document()), model::detail_of(second.document()));
}

// Rule C6.
TEST(RuleC, DuplicatesChangeNothing) {
    Peer a('a'), b('b');
    a.put("x", 1);
    b.hear(a);
    const Digest before = b.document().digest();
    DecoderDictionary dictionary;
    Batch batch;
    ASSERT_TRUE(decode_changes(a.bytes(0), b.document().names(), dictionary, batch));
    const auto report = b.document().apply(batch, *b.document().check(batch));
    ASSERT_TRUE(report);
    EXPECT_EQ(report->applied, 0U);
    EXPECT_EQ(report->duplicate, 1U);
    EXPECT_EQ(b.document().digest(), before);
}

// Rule C8.
TEST(RuleC, AContainerDeeperThanTheLimitIsRefused) {
    Peer a('a');
    a.change([&](Transaction& t) {
        const KeyIndex x = *t.key("x");
        ContainerIndex at = kRoot;
        for (std::uint32_t depth = 1; depth <= kDepthMax; ++depth) {
            const auto made = t.make(at, x, Kind::map);
            ASSERT_TRUE(made) << depth;
            at = *made;
        }
        const auto refused = t.make(at, x, Kind::map);
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, Errc::over_limit);
        EXPECT_FALSE(t.counter_at(at, x));
        EXPECT_TRUE(t.put(at, x, Value(true)));
    });
    a.check();
}

// Rule C8.
TEST(RuleC, AKeyOrStringLongerThanTheLimitIsRefused) {
    Peer a('a');
    a.change([&](Transaction& t) {
        EXPECT_TRUE(t.key(std::string(kKeySizeMax, 'k')));
        EXPECT_EQ(t.key(std::string(kKeySizeMax + 1, 'k')).error().code, Errc::over_limit);
        const KeyIndex x = *t.key("x");
        EXPECT_TRUE(t.put(kRoot, x, Value(std::string(kStringSizeMax, 's'))));
        EXPECT_FALSE(t.put(kRoot, x, Value(std::string(kStringSizeMax + 1, 's'))));
    });
}

// --- V. Visibility -------------------------------------------------------------------------------

// Rule V1.
TEST(RuleV, AnOperationIsVisibleUntilOneThatSawItOverwritesOrClearsIt) {
    Peer a('a'), b('b');
    a.put("x", 1);
    b.put("x", 2);
    meet(a, b);
    EXPECT_EQ(a.entries("x"), "2 1");
    a.put("x", 3);
    EXPECT_EQ(a.entries("x"), "3");
    a.erase("x");
    EXPECT_EQ(a.entries("x"), "");
    meet(a, b);
}

// Rule V2.
TEST(RuleV, ASlotHoldsPutsMakesAndAChildOfEachKindAtOnce) {
    Peer a('a'), b('b'), c('c'), d('d');
    a.put("x", 1);
    b.put("x.y", 2);
    c.add("x", 3);
    d.insert("x", 0, {4});
    meet({&a, &b, &c, &d});
    EXPECT_EQ(a.shows(), "{x:1}");
    a.document();
    const auto slot = a.document().state().slot(
        a.document().state().find_slot(kRoot, a.document().names().find_key("x")));
    for (const Kind kind : {Kind::map, Kind::list, Kind::counter}) {
        EXPECT_NE(a.document().state().attached_child(slot, kind), kNone);
    }
}

// Rule V3.
TEST(RuleV, ASlotIsPresentWhileSomethingIsVisibleBeneathIt) {
    Peer a('a');
    a.put("x.y.z", 1);
    EXPECT_EQ(a.shows(), "{x:{y:{z:1}}}");
    a.erase("x.y.z");
    EXPECT_EQ(a.shows(), "{}");
    EXPECT_EQ(a.document().digest(), Peer('b').document().digest());
    a.check();
}

// --- R. Registers --------------------------------------------------------------------------------

// Rule R1.
TEST(RuleR, APutOverwritesThePutsThatItSaw) {
    Peer a('a'), b('b');
    a.put("x", 1);
    b.hear(a);
    b.put("x", 2);
    meet(a, b);
    EXPECT_EQ(a.shows(), "{x:2}");
    EXPECT_EQ(a.entries("x"), "2");
}

// Rule R2.
TEST(RuleR, OfConcurrentPutsAtEqualTimesTheGreaterActorsIsTheValue) {
    Peer a('a'), b('b');
    a.put("x", 1);
    b.put("x", 2);
    meet(a, b);
    EXPECT_EQ(a.shows(), "{x:2}");
    EXPECT_EQ(a.entries("x"), "2 1");
}

// Rule R2.
TEST(RuleR, OfConcurrentPutsTheLaterIsTheValue) {
    Peer a('a'), b('b');
    a.at(2).put("x", 1);
    b.at(1).put("x", 2);
    meet(a, b);
    EXPECT_EQ(a.entries("x"), "1 2");
}

// Rule R2.
TEST(RuleR, ALoserDoesNotReturnWhenTheWinnerIsOverwrittenByASlowClock) {
    Peer a('a'), b('b'), c('c');
    a.at(100).put("x", 1);
    b.at(90).put("x", 2);
    c.hear(a);
    c.at(10).put("x", 3);
    meet({&a, &b, &c});
    EXPECT_EQ(a.entries("x"), "3 2");
}

// Rule R3.
TEST(RuleR, AStampIsOneMoreThanTheGreatestSeenWhereTheClockIsBehind) {
    constexpr std::int64_t kYear = 365LL * 24 * 3600 * 1000;
    Peer a('a'), b('b'), c('c');
    a.at(kYear).put("x", 1);
    b.hear(a);
    c.hear(a);
    b.at(1).put("x", 2);
    EXPECT_EQ(b.stamp("x"), kYear + 1);
    c.at(2).put("x", 3);
    EXPECT_EQ(c.stamp("x"), kYear + 1);
    meet({&a, &b, &c});
    EXPECT_EQ(a.entries("x"), "3 2");
    // Who did not see a's put does not gain from its clock.
    Peer d('d');
    d.at(3).put("x", 4);
    meet({&a, &b, &c, &d});
    EXPECT_EQ(a.shows(), "{x:3}");
}

// Rule R3.
TEST(RuleR, AStampIsCarriedOnlyWhereItExceedsTheWallTime) {
    Peer a('a');
    a.at(5).put("x", 1);
    a.at(5).put("x", 2);
    a.at(7).put("x", 3);
    const auto changes = a.changes();
    EXPECT_FALSE(changes[0].ops[0].stamp.has_value());
    EXPECT_EQ(changes[1].ops[0].stamp, 6);
    EXPECT_FALSE(changes[2].ops[0].stamp.has_value());
}

// Rule R3.
TEST(RuleR, AStampCountsMakesAsWellAsPuts) {
    Peer a('a'), b('b');
    a.at(100).make("x", Kind::map);
    b.hear(a);
    b.at(1).put("x", 1);
    EXPECT_EQ(b.stamp("x"), 101);
    meet(a, b);
    EXPECT_EQ(a.shows(), "{x:1}");
}

// Rule R3: the last moment of all has none after it.
TEST(RuleR, AtTheLastMomentOfTimeChangesStayReadable) {
    using Limits = std::numeric_limits<std::int64_t>;
    for (const std::int64_t time : {Limits::max(), Limits::max() - 1, Limits::min()}) {
        Peer a('a'), b('b');
        a.at(time);
        for (int i = 0; i < 3; ++i)
            a.put("x", i);
        a.insert("l", 0, {1, 2, 3});
        for (int i = 0; i < 3; ++i)
            a.move("l", 0, 2);
        a.insert_by_key("l", 0, 7, 1);
        a.erase_at("l", 0);
        a.insert_by_key("l", 0, 7, 2);
        a.put("l", 9);
        meet(a, b);
        EXPECT_EQ(b.shows(), "{l:9, x:2}");
    }
}

// Rule R4.
TEST(RuleR, APutOfTheValueThatStandsAloneIsNotMade) {
    Peer a('a');
    EXPECT_TRUE(a.put("x", 1));
    EXPECT_FALSE(a.put("x", 1));
    EXPECT_TRUE(a.put("x", 2));
    EXPECT_EQ(a.known_count(), 2U);
}

// Rule R4.
TEST(RuleR, APutOfTheValueShownIsMadeWhereItHasAlternatives) {
    Peer a('a'), b('b');
    a.put("x", 1);
    b.put("x", 2);
    meet(a, b);
    EXPECT_TRUE(a.put("x", 2));
    EXPECT_EQ(a.entries("x"), "2");
}

// Rule R4.
TEST(RuleR, APutOfTheValueShownIsMadeWhereAChildIsHiddenBehindIt) {
    Peer a('a'), b('b');
    a.put("x", 1);
    b.put("x.y", 2);
    meet(a, b);
    EXPECT_EQ(a.shows(), "{x:1}");
    EXPECT_TRUE(a.put("x", 1));
    meet(a, b);
    EXPECT_TRUE(a.erase("x"));
    EXPECT_EQ(a.shows(), "{}");
}

// Rule R4: erased elements leave places (L5), and places are nothing visible.
TEST(RuleR, APutIsNotMadeAgainWhereAnErasedListLeftPlaces) {
    Peer a('a');
    a.insert("x", 0, {1});
    a.put("x", 5);
    EXPECT_EQ(a.shows(), "{x:5}");
    EXPECT_FALSE(a.put("x", 5));
}

// Rule R5.
TEST(RuleR, ValuesAreEqualIfTypeAndBitsAre) {
    Peer a('a');
    EXPECT_TRUE(a.put("x", Value(std::int64_t{1})));
    EXPECT_TRUE(a.put("x", Value(1.0)));
    EXPECT_FALSE(a.put("x", Value(1.0)));
    EXPECT_TRUE(a.put("x", Value(0.0)));
    EXPECT_TRUE(a.put("x", Value(-0.0)));
    EXPECT_TRUE(a.put("x", Value("")));
    EXPECT_TRUE(a.put("x", Value(ByteView())));
    EXPECT_TRUE(a.put("x", Value(std::numeric_limits<double>::quiet_NaN())));
    EXPECT_FALSE(a.put("x", Value(std::numeric_limits<double>::quiet_NaN())));
    EXPECT_TRUE(a.put("x", Value(WallTime(1))));
    EXPECT_TRUE(a.put("x", Value(true)));
    EXPECT_TRUE(a.put("x", Value()));
    EXPECT_FALSE(a.put("x", Value()));
    a.check();
}

// --- M. Makes, kinds and identity ----------------------------------------------------------------

// Rule M1.
TEST(RuleM, AMakeShowsAnEmptyContainer) {
    Peer a('a');
    a.make("w", Kind::map);
    EXPECT_EQ(a.shows(), "{w:{}}");
    a.make("l", Kind::list);
    a.make("n", Kind::counter);
    EXPECT_EQ(a.shows(), "{l:[], n:0, w:{}}");
    EXPECT_FALSE(a.make("w", Kind::map));
    a.check();
}

// Rule M2.
TEST(RuleM, AMakeOverwritesTheMakesThatItSawOfAnyKind) {
    Peer a('a'), b('b'), c('c');
    a.make("x", Kind::map);
    b.make("x", Kind::list);
    c.hear(a);
    c.hear(b);
    EXPECT_EQ(c.entries("x"), "list map");
    const KeyIndex x = c.document().names().find_key("x");
    c.commit_raw(raw_change(c.document(),
                            c.actor(),
                            0,
                            {raw_op(c.document(), OpKind::make, kRoot, x, 0, Kind::counter)}));
    EXPECT_EQ(c.entries("x"), "counter");
    EXPECT_EQ(c.stamp("x"), 1);
    meet({&a, &b, &c});
}

// Rule M2: a make does not overwrite puts, nor a put makes.
TEST(RuleM, PutsAndMakesOverwriteOnlyTheirOwnSort) {
    Peer a('a');
    a.put("x", 1);
    const KeyIndex x = a.document().names().find_key("x");
    a.commit_raw(raw_change(
        a.document(), a.actor(), 0, {raw_op(a.document(), OpKind::make, kRoot, x, 0, Kind::map)}));
    EXPECT_EQ(a.entries("x"), "map 1");
    a.commit_raw(
        raw_change(a.document(),
                   a.actor(),
                   0,
                   {raw_op(a.document(), OpKind::put, kRoot, x, 0, Kind::none, Value(true))}));
    EXPECT_EQ(a.entries("x"), "true map");
    a.check();
}

// Rule M3.
TEST(RuleM, TwoPeersThatMakeAChildOfflineHaveMadeTheSame) {
    Peer a('a'), b('b');
    a.make("widgets", Kind::map);
    a.put("widgets.cpu", 1);
    b.make("widgets", Kind::map);
    b.put("widgets.mem", 2);
    meet(a, b);
    EXPECT_EQ(a.shows(), "{widgets:{cpu:1, mem:2}}");
}

// Rule M4.
TEST(RuleM, ASlotShowsTheKindOfItsGreatestPutOrMake) {
    Peer a('a'), b('b');
    a.at(1).put("x", 1);
    b.at(2).make("x", Kind::map);
    meet(a, b);
    EXPECT_EQ(a.shows(), "{x:{}}");
    EXPECT_EQ(a.entries("x"), "map 1");
}

// Rule M4.
TEST(RuleM, WithoutPutOrMakeASlotShowsMapThenListThenCounter) {
    Peer a('a'), b('b'), c('c');
    a.add("x", 3);
    b.insert("x", 0, {2});
    c.put("x.y", 1);
    meet(a, b);
    EXPECT_EQ(a.shows(), "{x:[2]}");
    meet({&a, &b, &c});
    EXPECT_EQ(a.shows(), "{x:{y:1}}");
    a.erase("x.y");
    EXPECT_EQ(a.shows(), "{x:[2]}");
    a.erase_at("x", 0);
    EXPECT_EQ(a.shows(), "{x:3}");
    meet({&a, &b, &c});
}

// Rule M5.
TEST(RuleM, ToChangeAKindIsToEraseAndMakeInOneChange) {
    Peer a('a'), b('b');
    a.put("x.y", 1);
    b.hear(a);
    a.make("x", Kind::list);
    const auto ops = a.changes().back().ops;
    ASSERT_EQ(ops.size(), 2U);
    EXPECT_EQ(ops[0].kind, OpKind::erase);
    EXPECT_EQ(ops[1].kind, OpKind::make);
    b.put("x.z", 2);
    meet(a, b);
    EXPECT_EQ(a.shows(), "{x:[]}");
    a.erase("x");
    EXPECT_EQ(a.shows(), "{}");
}

// Rule M6.
TEST(RuleM, AChildWithoutAMakeShowsWhileSomethingBeneathItIsVisible) {
    Peer a('a'), b('b');
    a.put("x.y", 1);
    EXPECT_EQ(a.shows(), "{x:{y:1}}");
    b.hear(a);
    b.erase("x.y");
    meet(a, b);
    EXPECT_EQ(a.shows(), "{}");
}

// --- E. Erase ------------------------------------------------------------------------------------

// Rule E1.
TEST(RuleE, AnEraseClearsWhatItSawAndNoMore) {
    Peer a('a'), b('b');
    a.make("w", Kind::map);
    a.put("w.x", 1);
    b.hear(a);
    a.erase("w");
    b.put("w.y", 2);
    meet(a, b);
    EXPECT_EQ(a.shows(), "{w:{y:2}}");
}

// Rule E1.
TEST(RuleE, AnEraseReachesEveryDepthAndEveryKind) {
    Peer a('a'), b('b');
    a.put("w.x.y.z", 1);
    a.add("w.x.n", 5);
    a.insert("w.x.l", 0, {1, 2});
    a.make("w.x.m", Kind::map);
    b.hear(a);
    b.erase("w");
    meet(a, b);
    EXPECT_EQ(a.shows(), "{}");
    EXPECT_EQ(a.document().digest(), Peer('e').document().digest());
}

// Rule E1.
TEST(RuleE, ASlotWithALegacyOfListAndCounterIsErasedWhole) {
    Peer a('a'), b('b');
    a.insert("x", 0, {1, 2, 3});
    b.add("x", 7);
    meet(a, b);
    a.erase("x");
    meet(a, b);
    EXPECT_EQ(a.shows(), "{}");
}

// Rule E2.
TEST(RuleE, RegistersMapsAndCountersKeepNothingOfWhatWasErased) {
    Peer a('a');
    a.put("w.x", 1);
    a.add("w.n", 2);
    a.erase("w");
    EXPECT_EQ(a.document().state().slot_count(), 0U);
    const ContainerIndex w = a.container("w", Kind::map);
    EXPECT_FALSE(a.document().state().container(w).attached);
    EXPECT_TRUE(a.document().state().cells(a.container("w.n", Kind::counter)).empty());
}

// Rule E4.
TEST(RuleE, ErasingAnElementClearsItsSlotAndLeavesItsPlace) {
    Peer a('a'), b('b');
    a.insert("l", 0, {1, 2, 3});
    b.hear(a);
    a.erase_at("l", 1);
    EXPECT_EQ(a.shows(), "{l:[1, 3]}");
    b.set_at("l", 1, 9);
    meet(a, b);
    EXPECT_EQ(a.shows(), "{l:[1, 9, 3]}");
}

}  // namespace
}  // namespace joinery::crdt::test
