#include "session/frontier.h"

#include "session/pattern.h"

#include <gtest/gtest.h>
#include <map>
#include <random>

namespace joinery::session {
namespace {

FrontierEntry entry(std::uint8_t actor, std::uint64_t seq, std::uint8_t hash = 1) {
    FrontierEntry made;
    made.actor.bytes[0] = actor;
    made.seq = seq;
    made.hash_prefix[0] = hash;
    return made;
}

TEST(Frontier, CompareSaysWhoIsAheadAndWhatIsForked) {
    const Frontier base{entry(1, 5), entry(3, 2)};
    EXPECT_TRUE(compare(base, base).is_equal());
    EXPECT_TRUE(compare({}, {}).is_equal());
    const auto more = compare({entry(1, 5), entry(2, 1), entry(3, 2)}, base);
    EXPECT_TRUE(more.left_ahead && !more.right_ahead && !more.forked);
    const auto both = compare({entry(1, 6), entry(3, 2)}, {entry(1, 5), entry(3, 3)});
    EXPECT_TRUE(both.left_ahead && both.right_ahead && !both.forked);
    // In a fork each side has what the other lacks.
    const auto fork = compare({entry(1, 5, 1)}, {entry(1, 5, 2)});
    EXPECT_TRUE(fork.forked && fork.left_ahead && fork.right_ahead);
    // An unknown hash contradicts nothing.
    EXPECT_TRUE(compare({entry(1, 5, 0)}, {entry(1, 5, 2)}).is_equal());
    EXPECT_TRUE(compare({}, base).right_ahead);
}

TEST(Frontier, MergeAndAdvanceAgreeWithTheNaiveModel) {
    std::mt19937 random(7);
    for (int round = 0; round < 500; ++round) {
        const auto draw = [&] {
            std::map<std::uint8_t, std::uint64_t> chains;
            const auto count = static_cast<int>(random() % 6);
            for (int i = 0; i < count; ++i) {
                chains[static_cast<std::uint8_t>(random() % 8)] = 1 + random() % 4;
            }
            return chains;
        };
        const auto frontier_of = [](const std::map<std::uint8_t, std::uint64_t>& chains) {
            Frontier frontier;
            for (const auto& [actor, seq] : chains)
                frontier.push_back(entry(actor, seq));
            return frontier;
        };
        const auto a = draw();
        const auto b = draw();
        auto model = a;
        bool a_covers = true;
        for (const auto& [actor, seq] : b) {
            a_covers = a_covers && a.contains(actor) && a.at(actor) >= seq;
            model[actor] = std::max(model[actor], seq);
        }
        Frontier merged = frontier_of(a);
        merge(merged, frontier_of(b));
        EXPECT_EQ(merged, frontier_of(model));
        Frontier advanced = frontier_of(a);
        for (const FrontierEntry& each : frontier_of(b))
            advance(advanced, each);
        EXPECT_EQ(advanced, merged);
        EXPECT_EQ(covers(frontier_of(a), frontier_of(b)), a_covers);
        EXPECT_EQ(compare(frontier_of(a), frontier_of(b)).right_ahead, !a_covers);
        EXPECT_TRUE(is_canonical(merged));
    }
}

// Rules F: each end of an actor's tree is an entry.
TEST(Frontier, OfAnActorOfSeveralEndsEachCounts) {
    const Frontier ends{entry(1, 5, 1), entry(1, 5, 2), entry(1, 7, 1), entry(2, 1)};
    EXPECT_TRUE(is_canonical(ends));
    Bytes bytes;
    encode_frontier(ends, bytes);
    EXPECT_EQ(*decode_frontier(bytes), ends);
    EXPECT_TRUE(compare(ends, ends).is_equal());
    Frontier fewer = ends;
    fewer.erase(fewer.begin() + 1);
    EXPECT_TRUE(compare(ends, fewer).left_ahead);
    EXPECT_FALSE(compare(ends, fewer).right_ahead);
    EXPECT_TRUE(covers(ends, fewer));
    EXPECT_FALSE(covers(fewer, ends));
    // A longer chain covers no other end.
    EXPECT_FALSE(covers({entry(1, 9, 1), entry(2, 1)}, ends));
    merge(fewer, ends);
    EXPECT_EQ(fewer, ends);
    Frontier forked{entry(1, 5, 1)};
    advance(forked, entry(1, 5, 2));
    EXPECT_EQ(forked, (Frontier{entry(1, 5, 1), entry(1, 5, 2)}));
    advance(forked, entry(1, 6, 3));
    advance(forked, entry(1, 6, 3));
    advance(forked, entry(1, 8, 0));  // Of which it is not known.
    EXPECT_EQ(forked, (Frontier{entry(1, 5, 1), entry(1, 5, 2), entry(1, 6, 3)}));
}

TEST(Frontier, AdvanceLearnsAHashThatWasNotKnown) {
    Frontier frontier{entry(1, 5, 0)};
    advance(frontier, entry(1, 5, 9));
    EXPECT_EQ(frontier[0].hash_prefix[0], 9);
    advance(frontier, entry(1, 5, 0));
    EXPECT_EQ(frontier[0].hash_prefix[0], 9);
    ASSERT_NE(find_entry(frontier, entry(1, 0).actor), nullptr);
    EXPECT_EQ(find_entry(frontier, entry(2, 0).actor), nullptr);
}

TEST(Frontier, CodedBytesReadBackAndNothingElseDoes) {
    const Frontier frontier{entry(1, 5), entry(3, 300)};
    Bytes bytes;
    encode_frontier(frontier, bytes);
    EXPECT_EQ(*decode_frontier(bytes), frontier);
    EXPECT_EQ(to_hex(hash_of({}).view()), "86413b0fb128e9be0749280947d47578");
    EXPECT_NE(hash_of(frontier), hash_of({}));
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        EXPECT_FALSE(decode_frontier(ByteView(bytes).first(size)));
    }
    bytes.push_back(0);
    EXPECT_FALSE(decode_frontier(bytes));
    for (const Frontier& bad : {Frontier{entry(3, 1), entry(1, 1)},
                                Frontier{entry(1, 2), entry(1, 1)},
                                Frontier{entry(1, 2, 2), entry(1, 2, 1)},
                                Frontier{entry(1, 2), entry(1, 2)},
                                Frontier{entry(1, 0)},
                                Frontier{entry(1, (std::uint64_t{1} << 53U) + 1)}}) {
        Bytes coded;
        encode_frontier(bad, coded);
        EXPECT_FALSE(decode_frontier(coded));
    }
    EXPECT_FALSE(decode_frontier(Bytes{0xff, 0xff, 0xff, 0xff, 0x0f}));
}

TEST(Pattern, StarsAndQuestionMarks) {
    EXPECT_TRUE(matches("ops/*", "ops/main"));
    EXPECT_TRUE(matches("ops/*", "ops/a/b"));
    EXPECT_TRUE(matches("ops/*", "ops/"));
    EXPECT_FALSE(matches("ops/*", "ops"));
    EXPECT_FALSE(matches("ops", "ops/main"));
    EXPECT_TRUE(matches("*", ""));
    EXPECT_FALSE(matches("?", ""));
    EXPECT_TRUE(matches("a*b*c", "aXbYbZc"));
    EXPECT_FALSE(matches("a*b*c", "aXbYbZ"));
    EXPECT_TRUE(matches("**x", "axbx"));
    EXPECT_TRUE(matches("d?/1", "d7/1"));
    // A pattern made to be slow is not.
    EXPECT_FALSE(matches(std::string(500, '*') + "b", std::string(1000, 'a')));
}

TEST(Pattern, ASetIsCheckedAndBounded) {
    EXPECT_TRUE(Patterns().wants("anything"));
    const auto set = Patterns::of({"a*", "?b"});
    ASSERT_TRUE(set);
    EXPECT_TRUE(set->wants("axx"));
    EXPECT_TRUE(set->wants("xb"));
    EXPECT_FALSE(set->wants("xxb"));
    EXPECT_EQ(Patterns::of({""}).error().code, Errc::malformed);
    EXPECT_EQ(Patterns::of({"\xff"}).error().code, Errc::malformed);
    EXPECT_EQ(Patterns::of({std::string(1025, 'a')}).error().code, Errc::over_limit);
}

}  // namespace
}  // namespace joinery::session
