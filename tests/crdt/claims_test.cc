// What an author claims to have seen is held against its context (rules C7, N4), and what cannot
// be held against it means the same in every order.
#include "crdt/peers.h"
#include "crdt/random_history.h"
#include "crdt/snapshot.h"

#include <gtest/gtest.h>

namespace joinery::crdt::test {
namespace {

/// A change of one put at @p element of list "l" by @p author, who has seen its own changes alone.
Batch blind_put(Document& document, const ActorId& author, ElementIndex element) {
    Names& names = document.names();
    const ContainerIndex list = names.intern_container(kRoot, names.intern_key("l"), Kind::list);
    Op op;
    op.container = list;
    op.key = element;
    op.value = Value(std::int64_t{9});
    Batch batch = raw_change(document, author, 0, {op});
    batch.dependencies.clear();
    batch.changes.front().dependency_count = 0;
    return batch;
}

/// Whether @p document takes @p batch.
bool is_taken(Document& document, const Batch& batch) {
    const auto hashes = document.check(batch);
    return hashes && document.apply(batch, *hashes);
}

// Rule C7.
TEST(Claims, APutAtAnElementByKeyThatItsAuthorHadNotSeenIsRefused) {
    Peer a('a');
    a.insert_by_key("l", 0, 7, 1);
    const Digest before = a.document().digest();
    const Batch blind = blind_put(a.document(), actor_of('b'), a.element("l", 0));
    const auto hashes = a.document().check(blind);
    ASSERT_TRUE(hashes);
    const auto report = a.document().apply(blind, *hashes);
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().code, Errc::malformed);
    EXPECT_EQ(a.document().digest(), before);
}

// Rule C7: the place that b saw is hidden by a's move when b's put arrives.
TEST(Claims, APutAtAnElementByKeyIsTakenThoughItsPlaceWasMovedMeanwhile) {
    Peer a('a'), b('b');
    a.insert_by_key("l", 0, 7, 1);
    a.insert_by_key("l", 1, 8, 2);
    b.hear(a);
    a.move("l", 0, 1);
    b.set_at("l", 0, 5);
    auto loaded = decode_snapshot(encode_snapshot(a.document()));
    ASSERT_TRUE(loaded);
    (*loaded)->set_hash_source([&](const ActorId& actor, std::uint64_t seq) {
        return a.document().hash_of(a.document().names().find_actor(actor), seq);
    });
    Batch batch;
    DecoderDictionary dictionary;
    ASSERT_TRUE(decode_changes(b.bytes(2), (*loaded)->names(), dictionary, batch));
    EXPECT_TRUE(is_taken(**loaded, batch));
    a.hear(b);
    EXPECT_EQ(a.shows(), "{l:[2, 5]}");
    EXPECT_EQ(a.document().digest(), (*loaded)->digest());
}

// Rule C7: what is forgotten with an undone insert.
TEST(Claims, AnElementByKeyWhoseInsertWasUndoneIsUnknownAgain) {
    Peer a('a');
    a.put("x", 1);
    ElementIndex element = kNone;
    {
        Transaction t(a.document(), a.actor(), WallTime(0));
        const auto list = *t.make(kRoot, *t.key("l"), Kind::list);
        const Names::ElementKey by{*t.key("id"), 0, Value(true)};
        element = *t.insert(list, 0, {Kind::none, Value(true)}, by);
    }
    const auto is_any = [](Dot) { return true; };
    EXPECT_FALSE(a.document().state().any_place(element, is_any));
    EXPECT_FALSE(is_taken(a.document(), blind_put(a.document(), actor_of('b'), element)));
}

// Rule N4.
TEST(Claims, AnEraseHashesAlikeOnADocumentThatWasLoaded) {
    Peer a('a'), b('b'), c('c');
    c.add("w.n", 3);
    b.hear(c);
    b.add("w.m", 2);
    a.hear(b);
    a.add("w.n", 1);
    b.hear(a);
    b.add("w.n", 4);
    a.hear(b);
    auto loaded = decode_snapshot(encode_snapshot(a.document()));
    ASSERT_TRUE(loaded);
    for (Document* document : {&a.document(), loaded->get()}) {
        Transaction t(*document, a.actor(), WallTime(5));
        ASSERT_TRUE(t.erase(kRoot, *t.key("w")));
        ASSERT_TRUE(t.commit());
    }
    EXPECT_EQ(a.document().outgoing().hashes.back(), (*loaded)->outgoing().hashes.back());
}

/// An erase of counter "n" by @p author that claims @p total.
Batch lying_erase(Document& document, char author, Int128 total) {
    Names& names = document.names();
    Op op;
    op.kind = OpKind::erase;
    op.key = names.intern_key("n");
    Batch batch = raw_change(document, actor_of(author), 0, {op});
    batch.seen_cells.front().total = total;
    return batch;
}

// Rule N4: two erases that saw the same increments claim different totals; none can be shown wrong.
TEST(Claims, OfTwoTotalsForTheSameIncrementsOneCountsInEveryOrder) {
    Peer a('a'), writer('w'), other('v');
    writer.add("n", 5);
    a.hear(writer);
    other.hear(writer);
    writer.add("n", 3);
    Peer first('x'), second('y');
    first.hear(writer);
    second.hear(writer);
    a.commit_raw(lying_erase(a.document(), 'a', 6));
    other.commit_raw(lying_erase(other.document(), 'v', 7));
    first.hear(a);
    first.hear(other);
    second.hear(other);
    second.hear(a);
    EXPECT_EQ(first.shows(), "{n:1}");
    EXPECT_EQ(first.document().digest(), second.document().digest());
}

// Patches: what one transaction noted, the next that is aborted must not forget.
TEST(Claims, AnAbortLeavesWhatEarlierCommitsTouched) {
    Peer a('a');
    Document& document = a.document();
    document.set_recording(true);
    a.put("x", 1);
    {
        Transaction t(document, a.actor(), WallTime(0));
        ASSERT_TRUE(t.put(kRoot, *t.key("x"), Value(true)));
        ASSERT_TRUE(t.put(kRoot, *t.key("y"), Value(true)));
    }
    ASSERT_EQ(document.state().touched().size(), 1U);
    EXPECT_EQ(document.state().touched().front().key, document.names().find_key("x"));
}

}  // namespace
}  // namespace joinery::crdt::test
