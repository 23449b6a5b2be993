// Documents in which an actor has forked: rules F of docs/semantics.md, against tests/model and in
// every kind of order (C6).

#include "crdt/forks.h"

#include "crdt/codec.h"
#include "crdt/transaction.h"
#include "model/forks.h"
#include "model/from_crdt.h"
#include "support/dice.h"
#include "tests/crdt/fork_sites.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <set>
#include <vector>

namespace joinery::crdt::test {
namespace {

/// Sites that write, some of them as one actor, and tell each other what fits.
std::vector<Made> make_world(Dice& dice, std::size_t clone_count) {
    std::vector<std::unique_ptr<Site>> sites;
    for (std::size_t i = 0; i < clone_count; ++i)
        sites.push_back(std::make_unique<Site>('m'));
    sites.push_back(std::make_unique<Site>('b'));
    sites.push_back(std::make_unique<Site>('z'));
    std::vector<Made> all;
    const std::size_t count = 4 + dice.below(10);
    while (all.size() < count) {
        Site& site = *dice.pick(sites);
        if (dice.chance(60)) {
            for (const Made& made : all) {
                if (dice.chance(70)) site.take(made);
            }
        }
        auto made = site.make(dice);
        // Two that write as one actor may make the same change.
        if (made && std::ranges::find(all, made->hash, &Made::hash) == all.end()) {
            all.push_back(*std::move(made));
        }
    }
    return all;
}

bool add(ForkedDocument& document, const Made& made) {
    DecoderDictionary dictionary;
    Batch batch;
    EXPECT_TRUE(decode_changes(made.bytes, document.names(), dictionary, batch));
    const ForkedDocument::Links links{made.previous, made.dependencies};
    EXPECT_EQ(document.hash_of(batch, 0, links), made.hash);
    const auto added = document.add(batch, 0, links);
    EXPECT_TRUE(added.has_value()) << added.error().what;
    return added.value_or(false);
}

/// Some order of @p all that respects what each follows.
std::vector<const Made*> shuffled(const std::vector<Made>& all, Dice& dice) {
    std::vector<const Made*> out;
    std::set<ChangeHash> done;
    while (out.size() < all.size()) {
        const Made& made = dice.pick(all);
        const auto is_there = [&](const ChangeHash& hash) {
            return done.contains(hash) || hash == chain_origin("doc", made.actor);
        };
        if (done.contains(made.hash) || !is_there(made.previous)) continue;
        if (!std::ranges::all_of(made.dependencies, is_there)) continue;
        done.insert(made.hash);
        out.push_back(&made);
    }
    return out;
}

struct Tally {
    std::size_t forks = 0, changes = 0;
};

void run_world(std::uint64_t seed, std::size_t clone_count, Tally& tally) {
    Dice dice(seed);
    const std::vector<Made> all = make_world(dice, clone_count);
    std::map<std::set<ChangeHash>, Digest> digests;
    for (int order = 0; order < 5; ++order) {
        ForkedDocument document("doc");
        std::set<ChangeHash> done;
        std::vector<model::SignedChange> told;
        for (const Made* made : shuffled(all, dice)) {
            EXPECT_TRUE(add(document, *made));
            EXPECT_FALSE(add(document, *made));
            done.insert(made->hash);
            told.push_back(made->signed_change);
            const auto known = digests.emplace(done, document.digest()).first;
            EXPECT_EQ(to_hex(document.digest().view()), to_hex(known->second.view()));
            if (testing::Test::HasFailure()) return;
        }
        const model::History history(told);
        const model::Model model(history.unfolded());
        EXPECT_TRUE(document.document().read_root() == model.root())
            << model::to_text(document.document().read_root()) << "\n"
            << model::to_text(model.root());
        if (history.chain_count(actor_of('m')) > 1) ++tally.forks;
        tally.changes += all.size();
    }
}

TEST(ForkedDocument, ShowsTheSameInEveryOrderAndWhatTheModelShows) {
    Tally tally;
    for (std::uint64_t seed = 1; seed <= 300 && !HasFailure(); ++seed) {
        run_world(seed, 1 + seed % 4, tally);
        if (HasFailure()) ADD_FAILURE() << "seed " << seed;
    }
    EXPECT_GT(tally.forks, 600U);
    EXPECT_GT(tally.changes, 10'000U);
}

TEST(ForkedDocument, WithoutAForkIsTheDocument) {
    for (std::uint64_t seed = 1; seed <= 50 && !HasFailure(); ++seed) {
        Dice dice(seed);
        const std::vector<Made> all = make_world(dice, 1);
        Site site('q');
        ForkedDocument forked("doc");
        for (const Made& made : all) {
            EXPECT_TRUE(site.take(made));
            EXPECT_TRUE(add(forked, made));
        }
        EXPECT_EQ(to_hex(forked.digest().view()), to_hex(site.document().digest().view()));
    }
}

// --- Examples ------------------------------------------------------------------------------------

/// A fork by hand: p, then q on one copy and r on the other, each of which appends to list l.
class ForkByHand : public testing::Test {
  protected:
    ForkByHand() {
        Site original('m');
        p_ = append(original, 0);
        Site copy('m');
        EXPECT_TRUE(copy.take(p_));
        q_ = append(original, 1);
        r_ = append(copy, 2);
        for (const Made* made : {&p_, &q_, &r_})
            EXPECT_TRUE(add(document_, *made));
        before_ = document_.digest();
    }

    static Made append(Site& site, std::int64_t value) {
        return site.change([&](Transaction& t) {
            const ContainerIndex list =
                t.document().names().intern_container(kRoot, *t.key("l"), Kind::list);
            const State::List* held = t.document().state().list(list);
            const std::size_t count = held == nullptr ? 0 : held->places.visible_count();
            EXPECT_TRUE(t.insert(list, count, {Kind::none, Value(value)}));
        });
    }

    ActorId branch_of(const Made& made) const {
        ActorId name;
        std::ranges::copy(std::span(made.hash.bytes).first(ActorId::kSize), name.bytes.begin());
        return name;
    }

    /// Where the hashes say on what, the names of dependencies are of no interest.
    static void depend(Batch& batch, ChangeHeader& header, std::size_t count) {
        header.dependency_count = static_cast<std::uint32_t>(count);
        batch.dependencies.assign(count, Dependency{0, 1});
    }

    /// c's first change: a put of 9 at the element of list l that it calls (@p actor, @p counter),
    /// after @p seen.
    Result<bool> put_by_name(const ActorId& actor,
                             std::uint64_t counter,
                             std::vector<ChangeHash> seen) {
        Names& names = document_.names();
        Batch batch;
        ChangeHeader header;
        header.chain = names.intern_actor(actor_of('c'));
        header.seq = header.counter = 1;
        header.op_count = 1;
        depend(batch, header, seen.size());
        batch.changes.push_back(header);
        Op op;
        op.kind = OpKind::put;
        op.container = names.intern_container(kRoot, names.intern_key("l"), Kind::list);
        op.key = names.intern_element(op.container, Dot{names.intern_actor(actor), counter});
        op.value = Value(std::int64_t{9});
        batch.ops.push_back(op);
        std::ranges::sort(seen);
        return document_.add(batch, 0, {chain_origin("doc", actor_of('c')), seen});
    }

    std::string shown() const { return model::to_text(document_.document().read_root()); }

    void expect_refused(const Result<bool>& result, Errc code) {
        ASSERT_FALSE(result.has_value());
        EXPECT_EQ(result.error().code, code) << result.error().what;
        EXPECT_EQ(to_hex(document_.digest().view()), to_hex(before_.view()));
    }

    Made p_, q_, r_;
    ForkedDocument document_{"doc"};
    Digest before_;
};

TEST_F(ForkByHand, ShowsBothBranchesAndTheirEnds) {  // F5
    const bool is_q_first = q_.hash < r_.hash;
    EXPECT_EQ(shown(), is_q_first ? "{l:[0, 1, 2]}" : "{l:[0, 2, 1]}");
    const auto tips = document_.tips();
    ASSERT_EQ(tips.size(), 2U);
    for (const auto& tip : tips) {
        EXPECT_EQ(tip.actor, actor_of('m'));
        EXPECT_EQ(tip.seq, 2U);
    }
    EXPECT_EQ(tips[0].hash, std::min(q_.hash, r_.hash));
    EXPECT_EQ(tips[1].hash, std::max(q_.hash, r_.hash));
}

TEST_F(ForkByHand, WhoSawBothNamesTheBranch) {  // F3
    const ActorId m = actor_of('m');
    expect_refused(put_by_name(m, 2, {q_.hash, r_.hash}), Errc::malformed);
    expect_refused(put_by_name(branch_of(q_), 1, {q_.hash, r_.hash}), Errc::malformed);
    EXPECT_TRUE(put_by_name(branch_of(q_), 2, {q_.hash, r_.hash}));
    EXPECT_NE(shown().find('9'), std::string::npos);
    EXPECT_EQ(shown().find('1'), std::string::npos) << shown();
}

TEST_F(ForkByHand, WhoSawOneNamesTheActor) {  // F3
    expect_refused(put_by_name(branch_of(q_), 2, {q_.hash}), Errc::malformed);
    EXPECT_TRUE(put_by_name(actor_of('m'), 2, {r_.hash}));
    EXPECT_NE(shown().find('9'), std::string::npos);
    EXPECT_EQ(shown().find('2'), std::string::npos) << shown();
}

TEST_F(ForkByHand, WhatIsBeforeTheForkIsTheActorsToAll) {  // F3
    EXPECT_TRUE(put_by_name(actor_of('m'), 1, {q_.hash, r_.hash}));
    EXPECT_EQ(shown().find('0'), std::string::npos) << shown();
}

TEST_F(ForkByHand, RefusesWhatWasNotSeen) {
    expect_refused(put_by_name(actor_of('m'), 2, {p_.hash}), Errc::malformed);
    expect_refused(put_by_name(actor_of('m'), 7, {q_.hash}), Errc::malformed);
    expect_refused(put_by_name(actor_of('m'), 0, {q_.hash}), Errc::malformed);
    expect_refused(put_by_name(actor_of('x'), 1, {q_.hash}), Errc::malformed);
    ChangeHash unknown = q_.hash;
    unknown.bytes[0] ^= 1U;
    expect_refused(put_by_name(actor_of('m'), 1, {unknown}), Errc::not_found);
    expect_refused(put_by_name(actor_of('m'), 1, {q_.hash, q_.hash}), Errc::malformed);
}

TEST_F(ForkByHand, RefusesAKnowingForkAndNumbersThatDoNotFollow) {  // F3
    Site b('b');
    EXPECT_TRUE(b.take(p_));
    EXPECT_TRUE(b.take(q_));
    const Made b1 = append(b, 5);
    EXPECT_TRUE(add(document_, b1));
    before_ = document_.digest();
    Site copy('m');
    EXPECT_TRUE(copy.take(p_));
    const Made fork = append(copy, 6);
    DecoderDictionary dictionary;
    Batch batch;
    ASSERT_TRUE(decode_changes(fork.bytes, document_.names(), dictionary, batch));
    // It says that it has seen b1, and so q, which follows the same change.
    const std::vector<ChangeHash> seen{b1.hash};
    expect_refused(document_.add(batch, 0, {fork.previous, seen}), Errc::malformed);
    depend(batch, batch.changes[0], 1);
    expect_refused(document_.add(batch, 0, {fork.previous, seen}), Errc::malformed);
    const std::vector<ChangeHash> own{q_.hash};
    expect_refused(document_.add(batch, 0, {fork.previous, own}), Errc::malformed);
    depend(batch, batch.changes[0], 0);
    expect_refused(document_.add(batch, 0, {q_.hash, {}}), Errc::malformed);
    expect_refused(document_.add(batch, 0, {b1.hash, {}}), Errc::malformed);
    batch.changes[0].counter = 3;
    expect_refused(document_.add(batch, 0, {fork.previous, {}}), Errc::malformed);
    batch.changes[0].counter = 2;
    EXPECT_TRUE(document_.add(batch, 0, {fork.previous, {}}));
}

TEST(ForkedDocument, CountsARunOnceAndClearsWhatAnEraseSaw) {  // F6
    const auto count = [](Site& site, std::int64_t delta) {
        return site.change([&](Transaction& t) {
            const ContainerIndex counter =
                t.document().names().intern_container(kRoot, *t.key("n"), Kind::counter);
            EXPECT_TRUE(t.increment(counter, delta));
        });
    };
    Site original('m');
    const Made p = count(original, 1);
    Site copy('m');
    EXPECT_TRUE(copy.take(p));
    const Made q = count(original, 2);
    const Made r = count(copy, 5);
    Site b('b');
    EXPECT_TRUE(b.take(p));
    EXPECT_TRUE(b.take(q));
    const Made erase = b.change([](Transaction& t) { EXPECT_TRUE(t.erase(kRoot, *t.key("n"))); });
    const Made s = count(copy, 4);
    ForkedDocument document("doc");
    for (const Made* made : {&p, &r, &q})
        EXPECT_TRUE(add(document, *made));
    EXPECT_EQ(model::to_text(document.document().read_root()), "{n:8}");
    EXPECT_TRUE(add(document, erase));
    EXPECT_EQ(model::to_text(document.document().read_root()), "{n:5}");
    EXPECT_TRUE(add(document, s));
    EXPECT_EQ(model::to_text(document.document().read_root()), "{n:9}");
}

TEST(ForkedDocument, RefusesCellsOutOfTheOrderOfTheAuthorsNames) {  // N4
    Site b('b');
    const Made counts = b.change([](Transaction& t) {
        const ContainerIndex map =
            t.document().names().intern_container(kRoot, *t.key("x"), Kind::map);
        for (const char* key : {"m", "n"}) {
            EXPECT_TRUE(t.increment(
                t.document().names().intern_container(map, *t.key(key), Kind::counter), 1));
        }
    });
    const Made erase = b.change([](Transaction& t) { EXPECT_TRUE(t.erase(kRoot, *t.key("x"))); });
    ForkedDocument document("doc");
    EXPECT_TRUE(add(document, counts));
    DecoderDictionary dictionary;
    Batch batch;
    ASSERT_TRUE(decode_changes(erase.bytes, document.names(), dictionary, batch));
    ASSERT_EQ(batch.seen_cells.size(), 2U);
    std::swap(batch.seen_cells[0], batch.seen_cells[1]);
    const auto refused = document.add(batch, 0, {erase.previous, {}});
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, Errc::malformed);
    std::swap(batch.seen_cells[0], batch.seen_cells[1]);
    EXPECT_TRUE(document.add(batch, 0, {erase.previous, {}}));
}

TEST(ForkedDocument, TakesSoManyBranchesAndNoMore) {
    ForkedDocument document("doc");
    Digest before;
    for (std::size_t i = 0; i <= kBranchCountMax; ++i) {
        Site site('m');
        const Made made = site.change([&](Transaction& t) {
            EXPECT_TRUE(t.put(kRoot, *t.key("x"), Value(static_cast<std::int64_t>(i))));
        });
        DecoderDictionary dictionary;
        Batch batch;
        ASSERT_TRUE(decode_changes(made.bytes, document.names(), dictionary, batch));
        const auto added = document.add(batch, 0, {made.previous, made.dependencies});
        ASSERT_EQ(added.has_value(), i < kBranchCountMax);
        if (added) {
            before = document.digest();
        } else {
            EXPECT_EQ(added.error().code, Errc::over_limit);
        }
    }
    EXPECT_EQ(to_hex(document.digest().view()), to_hex(before.view()));
    EXPECT_EQ(document.tips().size(), kBranchCountMax);
}

}  // namespace
}  // namespace joinery::crdt::test
