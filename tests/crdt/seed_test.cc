// Rule I1: peers that seed one document alike, offline, have one copy.
#include "crdt/seed.h"

#include "crdt/codec.h"
#include "crdt/transaction.h"

#include <gtest/gtest.h>

namespace joinery::crdt {
namespace {

/// A draft of a map with a list of one element made of a map, and a counter.
void draft_content(Document& draft, std::int64_t value) {
    Transaction t(draft, kSeedDraft, WallTime(0));
    const auto list = *t.make(kRoot, *t.key("l"), Kind::list);
    const ElementIndex element = *t.insert(list, 0, {Kind::map, Value()});
    const ContainerIndex inner = draft.names().intern_container(list, element, Kind::map);
    ASSERT_TRUE(t.put(inner, *t.key("x"), Value(value)));
    ASSERT_TRUE(t.increment(*t.counter_at(kRoot, *t.key("n")), 5));
    ASSERT_TRUE(t.commit());
}

Seed seed_of(std::string_view document, std::int64_t value) {
    Document draft{std::string(document)};
    draft_content(draft, value);
    auto seed = make_seed(draft);
    EXPECT_TRUE(seed);
    return *seed;
}

/// Decodes @p seed into @p document's names.
Batch decode(const Seed& seed, Document& document) {
    Batch batch;
    DecoderDictionary dictionary;
    EXPECT_TRUE(decode_changes(seed.changes, document.names(), dictionary, batch));
    return batch;
}

TEST(Seed, OfTheSameContentIsTheSameChangeAndOfOtherContentAnother) {
    const Seed a = seed_of("d", 1), b = seed_of("d", 1), c = seed_of("d", 2), d = seed_of("e", 1);
    EXPECT_EQ(a.changes, b.changes);
    EXPECT_EQ(a.seal, b.seal);
    EXPECT_NE(actor_of(a.seal.proof), actor_of(c.seal.proof));
    EXPECT_NE(actor_of(a.seal.proof), actor_of(d.seal.proof));
}

TEST(Seed, ChecksWhereverItArrives) {
    const Seed seed = seed_of("d", 1);
    Document document("d");
    {
        // Names that are numbered otherwise than in the draft.
        Transaction t(document, ActorId{{7}}, WallTime(1));
        ASSERT_TRUE(t.put(kRoot, *t.key("x"), Value(true)));
        ASSERT_TRUE(t.commit());
    }
    const Batch batch = decode(seed, document);
    const auto hashes = document.check(batch);
    ASSERT_TRUE(hashes);
    EXPECT_TRUE(check_seal(seed.seal, "d", hashes->front()));
    EXPECT_TRUE(check_seed(document.names(), batch, 0, seed.seal.proof, "d"));
    ASSERT_TRUE(document.apply(batch, *hashes));
    EXPECT_EQ(document.read_root().size(), 3U);
}

TEST(Seed, WithOtherOperationsUnderItsNameIsUntrusted) {
    const Seed seed = seed_of("d", 1);
    Document document("d");
    const Batch good = decode(seed, document);
    const auto expect_refused = [&](const std::function<void(Batch&)>& damage) {
        Batch batch = good;
        damage(batch);
        const auto checked = check_seed(document.names(), batch, 0, seed.seal.proof, "d");
        ASSERT_FALSE(checked);
        EXPECT_EQ(checked.error().code, Errc::untrusted);
    };
    expect_refused([](Batch& b) { b.ops[2].value = Value(std::int64_t{2}); });
    expect_refused([](Batch& b) { b.changes[0].time_ms = 1; });
    expect_refused([](Batch& b) { b.changes[0].seq = 2; });
    expect_refused([](Batch& b) { --b.changes[0].op_count; });
    EXPECT_FALSE(check_seed(document.names(), good, 0, seed.seal.proof, "e"));
}

TEST(Seed, CannotErase) {
    Document draft("d");
    {
        Transaction t(draft, kSeedDraft, WallTime(0));
        ASSERT_TRUE(t.put(kRoot, *t.key("x"), Value(true)));
        ASSERT_TRUE(t.erase(kRoot, *t.key("x")));
        ASSERT_TRUE(t.commit());
    }
    const auto seed = make_seed(draft);
    ASSERT_FALSE(seed);
    EXPECT_EQ(seed.error().code, Errc::unsupported);
}

}  // namespace
}  // namespace joinery::crdt
