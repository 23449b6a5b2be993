// Who knows of a fork goes on writing: rules F3, F6 and F7 of docs/semantics.md, against
// tests/model and in every kind of order (C6).

#include "crdt/forks.h"
#include "tests/crdt/fork_sites.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <set>
#include <vector>

namespace joinery::crdt::test {
namespace {

/// Clones that write as m, two who know of no fork and two who take every branch.
std::vector<Made> make_world(Dice& dice) {
    std::vector<std::unique_ptr<Site>> sites;
    for (const char letter : {'m', 'm', 'm', 'b'})
        sites.push_back(std::make_unique<Site>(letter));
    std::vector<std::unique_ptr<Knower>> knowers;
    for (const char letter : {'c', 'z'})
        knowers.push_back(std::make_unique<Knower>(letter));
    std::vector<Made> all;
    const std::size_t count = 5 + dice.below(12);
    const auto hear = [&](auto& somebody) {
        for (const Made& made : all) {
            if (dice.chance(70)) somebody.take(made);
        }
    };
    while (all.size() < count && !testing::Test::HasFailure()) {
        std::optional<Made> made;
        if (dice.chance(50)) {
            Knower& knower = *dice.pick(knowers);
            hear(knower);
            made = knower.make(dice);
        } else {
            Site& site = *dice.pick(sites);
            if (dice.chance(60)) hear(site);
            made = site.make(dice);
        }
        if (made && std::ranges::find(all, made->hash, &Made::hash) == all.end()) {
            all.push_back(*std::move(made));
        }
    }
    return all;
}

/// Gives @p to all of them, in some order that it can take them in.
void take_all(Knower& to, const std::vector<Made>& all, Dice& dice) {
    std::size_t count = 0;
    while (count < all.size() && !testing::Test::HasFailure()) {
        if (to.take(dice.pick(all))) ++count;
    }
}

TEST(ForkWriters, WhatTheyMakeShowsTheSameInEveryOrderAndWhatTheModelShows) {  // F3, F6, F7
    std::size_t named = 0;
    std::size_t changes = 0;
    for (std::uint64_t seed = 1; seed <= 400 && !HasFailure(); ++seed) {
        Dice dice(seed);
        const std::vector<Made> all = make_world(dice);
        std::vector<model::SignedChange> told;
        for (const Made& made : all)
            told.push_back(made.signed_change);
        std::optional<Digest> digest;
        for (int order = 0; order < 4 && !HasFailure(); ++order) {
            Knower reader('r');
            take_all(reader, all, dice);
            const Digest now = reader.document().digest();
            EXPECT_EQ(to_hex(digest.value_or(now).view()), to_hex(now.view()));
            digest = now;
            const model::Model model(model::History(told).unfolded());
            EXPECT_TRUE(reader.document().document().read_root() == model.root())
                << model::to_text(reader.document().document().read_root()) << "\n"
                << model::to_text(model.root());
        }
        for (const model::SignedChange& change : told) {
            for (const model::NamedOp& op : change.ops) {
                const auto is_branch = [](const auto& element) {
                    return !element.second.branch.empty();
                };
                if (std::ranges::any_of(op.elements, is_branch) || !op.left.branch.empty()) ++named;
            }
        }
        changes += all.size();
        if (HasFailure()) ADD_FAILURE() << "seed " << seed;
    }
    // There were names of branches, so those were tried.
    EXPECT_GT(named, 200U);
    EXPECT_GT(changes, 3'000U);
}

TEST(ForkWriters, AllChangesAtOnceAreWhatTheyAreOneByOne) {
    for (std::uint64_t seed = 1; seed <= 60 && !HasFailure(); ++seed) {
        Dice dice(seed);
        const std::vector<Made> all = make_world(dice);
        Knower reader('r');
        take_all(reader, all, dice);
        // One batch of everything, in the order in which the reader got it.
        ForkedDocument& first = reader.document();
        ForkedDocument second("doc");
        Batch batch = first.history();
        for (std::size_t i = 0; i < batch.changes.size(); ++i) {
            const ForkedDocument::Node& node = first.nodes()[i];
            ChangeLinks links;
            links.change = i;
            links.after = prefix_of(node.previous == kNone
                                        ? chain_origin("doc", first.names().actor(node.actor))
                                        : first.nodes()[node.previous].hash);
            for (const auto dependency : node.dependencies)
                links.dependencies.push_back(prefix_of(first.nodes()[dependency].hash));
            batch.links.push_back(links);
        }
        Bytes bytes;
        EncoderDictionary encoder;
        encode_changes(first.names(), batch, 0, batch.changes.size(), encoder, bytes);
        Batch read;
        DecoderDictionary decoder;
        ASSERT_TRUE(decode_changes(bytes, second.names(), decoder, read));
        EXPECT_EQ(read.links, batch.links);
        const auto resolved = second.resolve(read);
        ASSERT_TRUE(resolved.has_value()) << resolved.error().what;
        const auto report = second.add_all(read, *resolved);
        ASSERT_TRUE(report.has_value()) << report.error().what;
        EXPECT_EQ(report->applied, all.size());
        EXPECT_EQ(to_hex(second.digest().view()), to_hex(first.digest().view()));
        const auto again = second.resolve(read);
        ASSERT_TRUE(again.has_value());
        EXPECT_TRUE(std::ranges::all_of(*again, &ForkedDocument::Resolved::is_known));
        EXPECT_EQ(second.add_all(read, *again)->duplicate, all.size());
    }
}

// --- Examples ------------------------------------------------------------------------------------

/// m counts at n: p and then q on one copy, r on the other.
class ForkWriting : public testing::Test {
  protected:
    ForkWriting() {
        p_ = count(original_, 1);
        EXPECT_TRUE(copy_.take(p_));
        q_ = count(original_, 2);
        r_ = count(copy_, 5);
    }

    static Made count(Site& site, std::int64_t delta) {
        return site.change([&](Transaction& t) {
            EXPECT_TRUE(t.increment(*t.counter_at(kRoot, *t.key("n")), delta));
        });
    }
    static void put(Transaction& t) { EXPECT_TRUE(t.put(kRoot, *t.key("x"), Value(true))); }
    static std::string shown(Knower& knower) {
        return model::to_text(knower.document().document().read_root());
    }

    Site original_{'m'}, copy_{'m'};
    Made p_, q_, r_;
};

TEST_F(ForkWriting, DependsOnEachBranch) {  // F7
    Knower k('k');
    for (const Made* made : {&p_, &q_, &r_})
        EXPECT_TRUE(k.take(*made));
    const auto made = k.try_change(put);
    ASSERT_TRUE(made.has_value());
    EXPECT_EQ(made->dependencies,
              (std::vector{std::min(q_.hash, r_.hash), std::max(q_.hash, r_.hash)}));
    const auto heads = k.document().heads();
    ASSERT_EQ(heads.size(), 1U);
    EXPECT_EQ(k.document().nodes()[heads[0]].hash, made->hash);
}

TEST_F(ForkWriting, AnEraseClaimsEachChainsPartAlsoWhereALaterForkCutsAChain) {  // F6
    Knower k('k');
    EXPECT_TRUE(k.take(p_));
    EXPECT_TRUE(k.take(q_));
    EXPECT_TRUE(k.take(r_));
    Site third('m');
    EXPECT_TRUE(third.take(p_));
    EXPECT_TRUE(third.take(q_));
    const Made on_q = count(original_, 3);
    const Made beside = count(third, 7);
    EXPECT_TRUE(k.take(on_q));
    EXPECT_EQ(shown(k), "{n:11}");
    const auto erase =
        k.try_change([](Transaction& t) { EXPECT_TRUE(t.erase(kRoot, *t.key("n"))); });
    ASSERT_TRUE(erase.has_value());
    EXPECT_EQ(shown(k), "{}");
    const Made more = count(original_, 20);
    Knower late('l');
    for (const Made& made : {p_, r_, q_, on_q, beside, more})
        EXPECT_TRUE(late.take(made));
    EXPECT_EQ(shown(late), "{n:38}");
    EXPECT_TRUE(late.take(*erase));
    EXPECT_EQ(shown(late), "{n:27}");
    for (const Made& made : {beside, more})
        EXPECT_TRUE(k.take(made));
    EXPECT_EQ(shown(k), "{n:27}");
    EXPECT_EQ(to_hex(k.document().digest().view()), to_hex(late.document().digest().view()));
}

TEST_F(ForkWriting, AnActorThatForkedMakesNothing) {
    Knower m('m');
    for (const Made* made : {&p_, &q_, &r_})
        EXPECT_TRUE(m.take(*made));
    const Digest before = m.document().digest();
    Transaction t(m.document().document(), actor_of('m'), WallTime(100));
    put(t);
    const auto refused = m.document().commit(t);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, Errc::conflict);
    EXPECT_EQ(to_hex(m.document().digest().view()), to_hex(before.view()));
}

TEST_F(ForkWriting, ABatchOfWhichOneChangeIsNotValidLeavesNoTrace) {
    Knower k('k');
    EXPECT_TRUE(k.take(p_));
    ForkedDocument& document = k.document();
    const Digest before = document.digest();
    // q, then a change of b's that names an element which nobody made.
    Batch batch;
    DecoderDictionary dictionary;
    ASSERT_TRUE(decode_changes(q_.linked, document.names(), dictionary, batch));
    Names& names = document.names();
    ChangeHeader header;
    header.chain = names.intern_actor(actor_of('b'));
    header.seq = header.counter = header.op_count = 1;
    header.op_begin = 1;
    batch.changes.push_back(header);
    Op op;
    op.container = names.intern_container(kRoot, names.intern_key("l"), Kind::list);
    op.key = names.intern_element(op.container, Dot{header.chain, 7});
    batch.ops.push_back(op);
    const auto resolved = document.resolve(batch);
    ASSERT_TRUE(resolved.has_value()) << resolved.error().what;
    const auto report = document.add_all(batch, *resolved);
    ASSERT_FALSE(report.has_value());
    EXPECT_EQ(report.error().code, Errc::malformed);
    EXPECT_EQ(to_hex(document.digest().view()), to_hex(before.view()));
    EXPECT_EQ(document.nodes().size(), 1U);
    EXPECT_FALSE(document.has(q_.hash));
    EXPECT_TRUE(k.take(q_));
    EXPECT_TRUE(k.take(r_));
    EXPECT_EQ(shown(k), "{n:8}");
}

TEST_F(ForkWriting, WhatANumberAloneDoesNotTellIsNotFound) {  // F1
    Knower k('k');
    for (const Made* made : {&p_, &q_, &r_})
        EXPECT_TRUE(k.take(*made));
    const Made more = count(original_, 3);
    Batch batch;
    DecoderDictionary dictionary;
    ASSERT_TRUE(decode_changes(more.bytes, k.document().names(), dictionary, batch));
    const auto refused = k.document().resolve(batch);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, Errc::not_found);
    EXPECT_TRUE(k.take(more));
    EXPECT_EQ(shown(k), "{n:11}");
}

}  // namespace
}  // namespace joinery::crdt::test
