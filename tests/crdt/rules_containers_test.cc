// One test a rule of docs/semantics.md, with its smallest example: counters, lists and digests. The
// rest is in rules_test.cc.
#include "crdt/peers.h"
#include "crdt/random_history.h"

#include <gtest/gtest.h>
#include <limits>

namespace joinery::crdt::test {
namespace {

using Limits = std::numeric_limits<std::int64_t>;

// --- N. Counters ---------------------------------------------------------------------------------

// Rule N1.
TEST(RuleN, ACounterShowsTheSumOfItsVisibleIncrements) {
    Peer a('a'), b('b');
    a.add("n", 5);
    a.add("n", -2);
    b.add("n", 10);
    meet(a, b);
    EXPECT_EQ(a.shows(), "{n:13}");
}

// Rule N1.
TEST(RuleN, ASumPast64BitsIsClampedInTheViewAndExactBeneath) {
    Peer a('a'), b('b');
    a.add("n", Limits::max());
    b.add("n", Limits::max());
    meet(a, b);
    EXPECT_EQ(a.shows(), "{n:9223372036854775807}");
    a.add("n", Limits::min());
    meet(a, b);
    EXPECT_EQ(b.shows(), "{n:9223372036854775806}");
}

// Rule N1.
TEST(RuleN, ASumBelow64BitsIsClampedInTheView) {
    Peer a('a'), b('b');
    a.add("n", Limits::min());
    b.add("n", -1);
    meet(a, b);
    EXPECT_EQ(a.shows(), "{n:-9223372036854775808}");
}

// Rule N2.
TEST(RuleN, AnIncrementThatWouldPass64BitsIsAnErrorForItsWriter) {
    Peer a('a');
    a.add("n", Limits::max());
    const ContainerIndex n = a.container("n", Kind::counter);
    a.change([&](Transaction& t) {
        const auto refused = t.increment(n, 1);
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, Errc::over_limit);
        EXPECT_TRUE(t.increment(n, -1));
    });
    EXPECT_EQ(a.shows(), "{n:9223372036854775806}");
}

/// Origin, previous and total of the last increment that @p peer made.
std::string run_of_last(Peer& peer) {
    DecoderDictionary dictionary;
    Names names;
    Batch batch;
    EXPECT_TRUE(
        decode_changes(peer.bytes(peer.known_count() - 1), names, dictionary, batch).has_value());
    const IncrementExtra& extra = batch.increments.at(0);
    return std::to_string(extra.origin) + " " + std::to_string(extra.previous) + " " +
           model::to_text(extra.total);
}

// Rule N3.
TEST(RuleN, AnIncrementCarriesItsRun) {
    Peer a('a'), b('b');
    a.add("n", 1);
    EXPECT_EQ(run_of_last(a), "1 0 1");
    a.add("n", 2);
    EXPECT_EQ(run_of_last(a), "1 1 3");
    a.put("x", 1);
    a.add("n", 3);
    EXPECT_EQ(run_of_last(a), "1 2 6");
    b.hear(a);
    b.erase("n");
    a.hear(b);
    a.add("n", 4);
    EXPECT_EQ(run_of_last(a), "5 0 4");
    meet(a, b);
    EXPECT_EQ(b.shows(), "{n:4, x:1}");
}

// Rule N4.
TEST(RuleN, AnEraseTakesOutWhatItSawOfARunThatWentOn) {
    Peer a('a'), b('b'), c('c'), d('d');
    a.add("n", 1);
    b.hear(a);
    b.erase("n");
    a.add("n", 2);
    c.hear(a);  // The increment first, then the erase.
    c.hear(b);
    EXPECT_EQ(c.shows(), "{n:2}");
    d.hear(b);  // The erase first.
    d.hear(a);
    EXPECT_EQ(d.shows(), "{n:2}");
    meet({&a, &b, &c, &d});
}

// Rule N4.
TEST(RuleN, ErasesThatSawDifferentPartsOfARunClearTheLongest) {
    Peer a('a'), b('b'), c('c');
    a.add("n", 1);
    b.hear(a);
    a.add("n", 2);
    c.hear(a);
    a.add("n", 4);
    b.erase("n");
    c.erase("n");
    Peer bc('x'), cb('y');
    bc.hear(b);
    bc.hear(c);
    bc.hear(a);
    cb.hear(a);
    cb.hear(c);
    cb.hear(b);
    EXPECT_EQ(bc.shows(), "{n:4}");
    EXPECT_EQ(cb.shows(), "{n:4}");
    meet({&a, &b, &c, &bc, &cb});
}

// Rule N4.
TEST(RuleN, AnEraseOfAnAncestorCarriesTheCellsBeneathIt) {
    Peer a('a'), b('b');
    a.add("w.v.n", 1);
    b.hear(a);
    b.erase("w");
    a.add("w.v.n", 2);
    meet(a, b);
    EXPECT_EQ(a.shows(), "{w:{v:{n:2}}}");
}

// --- L. Lists ------------------------------------------------------------------------------------

// Rule L1.
TEST(RuleL, AnInsertMakesAPlaceAndAnElement) {
    Peer a('a');
    a.insert("l", 0, {1, 2});
    a.insert("l", 1, {3});
    a.move("l", 0, 2);
    EXPECT_EQ(a.shows(), "{l:[3, 2, 1]}");
    const auto* list = a.document().state().list(a.container("l", Kind::list));
    EXPECT_EQ(list->places.item_count(), 4U);
    a.check();
}

// Rule L2.
TEST(RuleL, RunsInsertedByTwoPeersDoNotInterleave) {
    Peer a('a'), b('b');
    a.insert("l", 0, {1, 2, 3});
    b.insert("l", 0, {7, 8, 9});
    meet(a, b);
    EXPECT_EQ(a.shows(), "{l:[1, 2, 3, 7, 8, 9]}");
}

// Rule L2.
TEST(RuleL, RunsInsertedBackwardsByTwoPeersDoNotInterleave) {
    Peer a('a'), b('b');
    for (const int value : {3, 2, 1})
        a.insert("l", 0, {value});
    for (const int value : {9, 8, 7})
        b.insert("l", 0, {value});
    meet(a, b);
    EXPECT_EQ(a.shows(), "{l:[1, 2, 3, 7, 8, 9]}");
}

// Rule L2.
TEST(RuleL, APlaceKeepsItsHiddenNeighbours) {
    Peer a('a'), b('b');
    a.insert("l", 0, {1, 2, 3});
    b.hear(a);
    a.erase_at("l", 1);
    a.insert("l", 1, {4});  // Between 1 and the hidden 2.
    b.insert("l", 2, {5});  // Between 2 and 3.
    meet(a, b);
    EXPECT_EQ(a.shows(), "{l:[1, 4, 5, 3]}");
}

// Rule L3.
TEST(RuleL, AnElementMovedToTwoEndsStandsAtOneOfThemOnce) {
    Peer a('a'), b('b');
    a.insert("l", 0, {1, 2, 3});
    b.hear(a);
    a.move("l", 1, 0);
    b.move("l", 1, 2);
    meet(a, b);
    EXPECT_EQ(a.shows(), "{l:[1, 3, 2]}");
    EXPECT_EQ(a.document().state().other_places(a.element("l", 2)).size(), 1U);
    a.move("l", 2, 1);
    EXPECT_EQ(a.document().state().other_places(a.element("l", 1)).size(), 0U);
    meet(a, b);
}

// Rule L3.
TEST(RuleL, OfConcurrentMovesTheLaterStampWins) {
    Peer a('a'), b('b');
    a.insert("l", 0, {1, 2, 3});
    b.hear(a);
    a.at(5).move("l", 1, 0);
    b.at(4).move("l", 1, 2);
    meet(a, b);
    EXPECT_EQ(a.shows(), "{l:[2, 1, 3]}");
}

// Rule L4.
TEST(RuleL, AnElementShowsWhileItsSlotIsPresent) {
    Peer a('a'), b('b');
    a.change([&](Transaction& t) {
        const ContainerIndex list = *t.make(kRoot, *t.key("l"), Kind::list);
        const ElementIndex e = *t.insert(list, 0, {Kind::map, Value()});
        EXPECT_TRUE(t.put(*t.make(list, e, Kind::map), *t.key("x"), Value(std::int64_t{1})));
    });
    EXPECT_EQ(a.shows(), "{l:[{x:1}]}");
    b.hear(a);
    a.erase_at("l", 0);
    EXPECT_EQ(a.shows(), "{l:[]}");
    const ContainerIndex map = b.document().names().find_container(
        b.container("l", Kind::list), b.element("l", 0), Kind::map);
    b.change([&](Transaction& t) { EXPECT_TRUE(t.put(map, *t.key("y"), Value(std::int64_t{2}))); });
    meet(a, b);
    EXPECT_EQ(a.shows(), "{l:[{y:2}]}");
}

// Rule L5.
TEST(RuleL, AMoveDoesNotBringAnErasedElementBack) {
    Peer a('a'), b('b');
    a.insert("l", 0, {1, 2});
    b.hear(a);
    a.erase_at("l", 0);
    b.move("l", 0, 1);
    meet(a, b);
    EXPECT_EQ(a.shows(), "{l:[2]}");
}

// Rule L5.
TEST(RuleL, ASetBringsAnErasedElementBackWhereItWas) {
    Peer a('a'), b('b');
    a.insert("l", 0, {1, 2, 3});
    b.hear(a);
    a.erase_at("l", 1);
    b.set_at("l", 1, 5);
    meet(a, b);
    EXPECT_EQ(a.shows(), "{l:[1, 5, 3]}");
}

// Rule L5.
TEST(RuleL, AMovedElementThatIsSetAfterItsEraseShowsWhereItWasMoved) {
    Peer a('a'), b('b'), c('c');
    a.insert("l", 0, {1, 2, 3});
    b.hear(a);
    c.hear(a);
    a.erase_at("l", 0);
    b.move("l", 0, 2);
    c.set_at("l", 0, 9);
    meet({&a, &b, &c});
    EXPECT_EQ(a.shows(), "{l:[2, 3, 9]}");
}

// Rule L6.
TEST(RuleL, PeersThatInsertByTheSameKeyHaveInsertedOneElement) {
    Peer a('a'), b('b');
    a.insert_by_key("l", 0, 7, 1);
    b.insert_by_key("l", 0, 7, 1);
    meet(a, b);
    EXPECT_EQ(a.shows(), "{l:[1]}");
    const auto* list = a.document().state().list(a.container("l", Kind::list));
    EXPECT_EQ(list->places.item_count(), 2U);
}

// Rule L6.
TEST(RuleL, OccurrenceFieldAndValueTellElementsByKeyApart) {
    Peer a('a'), b('b');
    a.change([&](Transaction& t) {
        const ContainerIndex list = *t.make(kRoot, *t.key("l"), Kind::list);
        const auto insert = [&](const char* field, const Value& value, std::uint32_t occurrence) {
            const Names::ElementKey by{*t.key(field), occurrence, value};
            return t.insert(list, 0, {Kind::none, Value(true)}, by).has_value();
        };
        EXPECT_TRUE(insert("id", Value(std::int64_t{1}), 0));
        EXPECT_FALSE(insert("id", Value(std::int64_t{1}), 0));
        EXPECT_TRUE(insert("id", Value(std::int64_t{1}), 1));
        EXPECT_TRUE(insert("id", Value(1.0), 0));
        EXPECT_TRUE(insert("name", Value(std::int64_t{1}), 0));
    });
    meet(a, b);
    EXPECT_EQ(b.shows(), "{l:[true, true, true, true]}");
}

// Rules L3 and L6.
TEST(RuleL, AnElementByKeyMayBeInsertedAgainElsewhere) {
    Peer a('a'), b('b');
    a.insert("l", 0, {1, 2});
    a.insert_by_key("l", 0, 7, 7);
    b.hear(a);
    a.erase_at("l", 0);
    a.insert_by_key("l", 2, 7, 8);
    EXPECT_EQ(a.shows(), "{l:[1, 2, 8]}");
    b.move("l", 0, 1);
    meet(a, b);
    EXPECT_EQ(a.shows(), "{l:[1, 8, 2]}");
}

// Rule L7.
TEST(RuleL, AnInsertsValueObeysTheRulesOfRegisters) {
    Peer a('a'), b('b');
    a.insert_by_key("l", 0, 7, 1);
    b.insert_by_key("l", 0, 7, 2);
    meet(a, b);
    EXPECT_EQ(a.shows(), "{l:[2]}");
    a.set_at("l", 0, 3);
    meet(a, b);
    EXPECT_EQ(b.shows(), "{l:[3]}");
}

// Rule L6: another list's element, or one that is only a name.
TEST(RuleL, AVerbOnAnElementThatIsNotInTheListIsRefused) {
    Peer a('a');
    a.insert("l", 0, {1});
    a.insert("m", 0, {2});
    const ContainerIndex list = a.container("l", Kind::list);
    const ElementIndex other = a.element("m", 0);
    const ElementIndex never =
        a.document().names().intern_element(list, Dot{0, std::uint64_t{1000}});
    a.change([&](Transaction& t) {
        for (const ElementIndex element : {other, never}) {
            const auto expect_not_found = [](const auto& result) {
                ASSERT_FALSE(result);
                EXPECT_EQ(result.error().code, Errc::not_found);
            };
            expect_not_found(t.put(list, element, Value(true)));
            expect_not_found(t.make(list, element, Kind::map));
            expect_not_found(t.erase(list, element));
            expect_not_found(t.counter_at(list, element));
        }
        EXPECT_EQ(t.op_count(), 0U);
    });
    EXPECT_EQ(a.shows(), "{l:[1], m:[2]}");
}

// --- D. Digest -----------------------------------------------------------------------------------

// Rule D1.
TEST(RuleD, HistoryHasNoPartInTheDigest) {
    Peer a('a'), b('b');
    a.insert("l", 0, {1, 2});
    a.put("x", 1);
    b.hear(a);
    const Digest before = a.document().digest();
    a.put("y", 1);
    a.erase("y");
    a.insert("l", 1, {3});
    a.erase_at("l", 1);
    EXPECT_EQ(a.document().digest(), before);
    EXPECT_EQ(b.document().digest(), before);
    EXPECT_EQ(a.shows(), b.shows());
}

// Rule D1.
TEST(RuleD, ThePlacesOfPresentElementsHaveAPartInTheDigest) {
    Peer a('a');
    a.insert("l", 0, {1, 1});
    const Digest before = a.document().digest();
    a.move("l", 0, 1);
    EXPECT_EQ(a.shows(), "{l:[1, 1]}");
    EXPECT_NE(a.document().digest(), before);
    a.move("l", 0, 1);
    EXPECT_EQ(a.document().digest(), before);
}

// Rule D1.
TEST(RuleD, AlternativesAndDotsHaveAPartInTheDigest) {
    Peer a('a'), b('b'), c('c');
    a.put("x", 1);
    b.put("x", 1);
    EXPECT_NE(a.document().digest(), b.document().digest());
    c.hear(b);
    c.hear(a);
    EXPECT_NE(c.document().digest(), b.document().digest());
}

// Rule D1: the same sum of other increments is another state.
TEST(RuleD, WhichIncrementsAreVisibleHasAPartInTheDigest) {
    Peer a('a'), b('b'), cleared('c');
    a.add("n", 1);
    a.add("n", -1);
    b.hear(a);
    b.erase("n");
    a.add("n", 5);
    cleared.hear(a);
    cleared.hear(b);
    // a shows +1 -1 +5; the other lost the first two: a later erase that saw only +1 tells them
    // apart.
    EXPECT_EQ(a.shows(), cleared.shows());
    EXPECT_NE(a.document().digest(), cleared.document().digest());
    meet({&a, &b, &cleared});
}

}  // namespace
}  // namespace joinery::crdt::test
