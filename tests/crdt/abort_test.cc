// A transaction that is aborted leaves no trace; one after it works.
#include "crdt/peers.h"

#include <functional>
#include <gtest/gtest.h>

namespace joinery::crdt::test {
namespace {

/// Runs @p verbs in a transaction that is aborted, with the digest asked for meanwhile.
void expect_no_trace(Peer& peer, const std::function<void(Transaction&)>& verbs) {
    Document& document = peer.document();
    const Digest digest = document.digest();
    const std::string detail = model::detail_of(document);
    const auto heads = document.graph().heads();
    {
        Transaction transaction(document, peer.actor(), WallTime(9));
        verbs(transaction);
        EXPECT_NE(transaction.op_count(), 0U);
        document.digest();
    }
    EXPECT_EQ(document.digest(), digest);
    EXPECT_EQ(model::detail_of(document), detail);
    EXPECT_EQ(document.graph().heads(), heads);
    EXPECT_TRUE(document.outgoing().batch.ops.empty());
    EXPECT_TRUE(document.outgoing().batch.changes.empty());
    peer.check();
    EXPECT_TRUE(peer.put("afterwards", 1));
    peer.check();
}

TEST(Abort, OfAPutOverAValueUndoesItThoughTheDigestWasAskedFor) {
    Peer a('a');
    a.put("x", 1);
    const KeyIndex x = a.document().names().find_key("x");
    expect_no_trace(a, [&](Transaction& t) { EXPECT_TRUE(t.put(kRoot, x, Value(true))); });
    EXPECT_EQ(a.shows(), "{afterwards:1, x:1}");
}

TEST(Abort, OfAPutOverConcurrentPutsBringsTheAlternativesBack) {
    Peer a('a'), b('b');
    a.put("x", 1);
    b.put("x", 2);
    meet(a, b);
    const KeyIndex x = a.document().names().find_key("x");
    expect_no_trace(a, [&](Transaction& t) { EXPECT_TRUE(t.put(kRoot, x, Value(true))); });
    EXPECT_EQ(a.entries("x"), "2 1");
}

TEST(Abort, LeavesNewNamesToThoseWhoHoldThem) {
    Peer a('a');
    a.put("x", 1);
    KeyIndex fresh = kNone;
    expect_no_trace(a, [&](Transaction& t) {
        fresh = *t.key("new");
        const auto list = *t.make(kRoot, fresh, Kind::list);
        const Names::ElementKey by{*t.key("id"), 0, Value("k")};
        EXPECT_TRUE(t.insert(list, 0, {Kind::map, Value()}, by));
        EXPECT_TRUE(t.insert(list, 1, {Kind::none, Value(true)}));
        EXPECT_TRUE(t.increment(*t.counter_at(kRoot, *t.key("count")), 3));
    });
    EXPECT_EQ(a.document().names().find_key("new"), fresh);
}

TEST(Abort, OfAnEraseOfEverythingBringsItBack) {
    Peer a('a'), b('b');
    a.put("w.x", 1);
    a.add("w.n", 5);
    a.insert("w.l", 0, {1, 2, 3});
    b.hear(a);
    b.add("w.n", 2);
    b.move("w.l", 0, 2);
    a.move("w.l", 0, 1);
    meet(a, b);
    const KeyIndex w = a.document().names().find_key("w");
    expect_no_trace(a, [&](Transaction& t) { EXPECT_TRUE(t.erase(kRoot, w)); });
    EXPECT_EQ(a.document().state().other_places(a.element("w.l", 2)).size(), 1U);
}

TEST(Abort, OfMovesPutsPlacesBack) {
    Peer a('a');
    a.insert("l", 0, {1, 2, 3});
    const ContainerIndex list = a.container("l", Kind::list);
    expect_no_trace(a, [&](Transaction& t) {
        EXPECT_TRUE(t.move(list, 0, 2));
        EXPECT_TRUE(t.insert(list, 0, {Kind::none, Value(true)}));
        EXPECT_TRUE(t.move(list, 0, 3));
        EXPECT_TRUE(t.move(list, 3, 0));
    });
    EXPECT_EQ(a.shows(), "{afterwards:1, l:[1, 2, 3]}");
}

}  // namespace
}  // namespace joinery::crdt::test
