// Attacks docs/semantics.md U3 to U5: a refusal puts back what stood, on every peer, and what came
// later stands. Beside the examples every change of random histories may be refused.
#include "crdt/put_back.h"

#include "crdt/peers.h"
#include "crdt/random_history.h"

#include <gtest/gtest.h>

namespace joinery::crdt::test {
namespace {

/// Who takes changes in one by one, and refuses those it is told to.
class Authority {
  public:
    explicit Authority(std::string id = "doc") : document_(std::move(id)) {}

    Document& document() { return document_; }
    const std::vector<Bytes>& made() const { return made_; }
    /// Takes the only change of @p bytes in, and then refuses it.
    void refuse(ByteView bytes, std::int64_t time_ms = 5'000'000) { take(bytes, true, time_ms); }
    void take(ByteView bytes) { take(bytes, false, 0); }
    /// Every change that is here, in the model.
    const std::vector<model::Change>& changes() const { return changes_; }
    /// The refusal made last: its header.
    const ChangeHeader& refusal() const { return last_.changes.front(); }
    std::size_t step_count() const { return last_.ops.size(); }

  private:
    void take(ByteView bytes, bool is_refused, std::int64_t time_ms) {
        DecoderDictionary dictionary;
        Batch batch;
        ASSERT_TRUE(decode_changes(bytes, document_.names(), dictionary, batch));
        const auto checked = document_.check(batch);
        ASSERT_TRUE(checked) << checked.error().what;
        const std::vector<ChangeHash> hashes(checked->begin(), checked->end());
        ASSERT_FALSE(hashes[0].is_zero());
        const PlainObject before = document_.read_root();
        const PutBack was(document_, batch, 0);
        ASSERT_TRUE(document_.apply(batch, hashes));
        changes_.push_back(model::change_of(document_.names(), batch, 0));
        if (!is_refused) return;
        Transaction transaction(document_, actor_of('Z'), WallTime(time_ms));
        transaction.refuse({batch.changes[0].chain, batch.changes[0].seq});
        for (const PutBackStep& step : was.steps())
            ASSERT_TRUE(transaction.put_back(step));
        ASSERT_TRUE(*transaction.commit("no"));
        last_ = document_.outgoing().batch;
        changes_.push_back(model::change_of(document_.names(), last_, 0));
        made_.push_back(encoded(document_.names(), last_, 0));
        document_.clear_outgoing();
        EXPECT_EQ(model::to_text(document_.read_root()), model::to_text(before))
            << model::to_text(changes_[changes_.size() - 2]) << "\n"
            << model::to_text(changes_.back());
    }

    Document document_;
    std::vector<model::Change> changes_;
    std::vector<Bytes> made_;
    Batch last_;
};

class RuleUOf : public testing::TestWithParam<Theme> {};

// Rules U3 and U4.
TEST_P(RuleUOf, WhateverIsRefusedTheViewIsThatOfBefore) {
    for (const std::uint64_t seed : seeds_for(GetParam(), 150)) {
        SCOPED_TRACE("JOINERY_SEED=" + std::to_string(seed));
        SeededSource source(seed);
        RandomHistory history(source, GetParam());
        history.run(20 + source.below(40));
        history.finish();
        ASSERT_TRUE(history.fault().empty());
        Authority authority;
        Document other("doc");
        std::vector<Bytes> late;
        for (std::size_t i = 0; i < history.log().size(); ++i) {
            const Bytes bytes = encoded(history.log_names(), history.log_batch(), i);
            const std::size_t made = authority.made().size();
            if (source.chance(40)) {
                authority.refuse(bytes);
            } else {
                authority.take(bytes);
            }
            if (testing::Test::HasFatalFailure()) return;
            give(other, bytes);
            if (authority.made().size() != made) late.push_back(authority.made().back());
            // Elsewhere refusals come later, in their order.
            if (source.chance(20)) {
                for (const Bytes& refusal : std::exchange(late, {}))
                    give(other, refusal);
            }
        }
        for (const Bytes& refusal : late)
            give(other, refusal);
        const model::Model model(authority.changes());
        ASSERT_EQ(model::detail_of(authority.document()), model.detail());
        ASSERT_EQ(model::detail_of(other), model.detail());
        ASSERT_EQ(other.digest(), authority.document().digest());
    }
}

INSTANTIATE_TEST_SUITE_P(
    Themes,
    RuleUOf,
    testing::Values(Theme::registers, Theme::maps, Theme::counters, Theme::lists, Theme::nested),
    [](const auto& named) { return std::string(theme_name(named.param)); });

// Rule U4.
TEST(RuleU, WhatStoodStandsAgainUnderItsStamp) {
    Peer a('a'), b('b');
    a.at(5).put("x", 1);
    b.hear(a);
    b.at(6).put("x", 2);
    Authority authority;
    authority.take(a.bytes(0));
    authority.refuse(b.bytes(1), 100);
    EXPECT_EQ(model::to_text(authority.document().read_root()), "{x:1}");
    EXPECT_EQ(authority.changes().back().ops[0].stamp, std::optional<std::int64_t>(5));
}

// Rule U5.
TEST(RuleU, WhatItsAuthorWroteOverItStands) {
    Peer a('a'), b('b');
    a.at(5).put("x", 1);
    b.hear(a);
    b.at(6).put("x", 2);
    b.at(7).put("x", 3);
    b.at(8).put("y", 1);
    Authority authority;
    authority.take(a.bytes(0));
    authority.refuse(b.bytes(1), 100);
    authority.take(b.bytes(2));
    authority.take(b.bytes(3));
    give(b.document(), authority.made()[0]);
    EXPECT_EQ(b.shows(), "{x:3, y:1}");
    EXPECT_EQ(b.entries("x"), "3 1");
    EXPECT_EQ(b.document().digest(), authority.document().digest());
}

// Rule U4: what the author did not know of is not undone.
TEST(RuleU, WhatStoodBesideItStands) {
    Peer a('a'), b('b'), c('c');
    a.at(5).put("x", 1);
    b.hear(a);
    c.hear(a);
    b.at(6).put("x", 2);
    c.at(7).put("x", 3);
    Authority authority;
    authority.take(a.bytes(0));
    authority.take(c.bytes(1));
    authority.refuse(b.bytes(1), 100);
    EXPECT_EQ(model::to_text(authority.document().read_root()), "{x:3}");
    // It comes later: what is put back was written over by it, and has the older stamp.
    Authority other;
    other.take(a.bytes(0));
    other.refuse(b.bytes(1), 100);
    other.take(c.bytes(1));
    EXPECT_EQ(model::to_text(other.document().read_root()), "{x:3}");
}

// Rule U4: the element keeps its identity, and its place.
TEST(RuleU, AnErasedElementComesBackWhereItWas) {
    Peer a('a'), b('b');
    a.at(5).insert("l", 0, {1, 2, 3});
    b.hear(a);
    b.at(6).erase_at("l", 1);
    a.at(7).set_at("l", 1, 20);
    Authority authority;
    authority.take(a.bytes(0));
    authority.refuse(b.bytes(1), 100);
    EXPECT_EQ(model::to_text(authority.document().read_root()), "{l:[1, 2, 3]}");
    authority.take(a.bytes(1));
    EXPECT_EQ(model::to_text(authority.document().read_root()), "{l:[1, 20, 3]}");
}

// Rule U3: also where nothing is left to be done.
TEST(RuleU, AChangeWithoutEffectIsRefusedAllTheSame) {
    Peer a('a'), b('b');
    a.at(9).put("x", 1);
    b.at(9).put("y", 1);
    b.commit_raw(raw_change(b.document(), b.actor(), 10, {}));
    Authority authority;
    authority.take(a.bytes(0));
    authority.take(b.bytes(0));
    authority.refuse(b.bytes(1), 100);
    EXPECT_EQ(authority.step_count(), 0U);
    EXPECT_NE(authority.refusal().refused, kNone);
}

// --- Bytes ---------------------------------------------------------------------------------------

/// b1 put y=1 at 6, refused at 100 by Z, which had x=1 of a1 as well.
Batch refusal_of(Document& document) {
    Peer a('a'), b('b');
    a.at(5).put("x", 1);
    b.at(6).put("y", 1);
    give(document, a.bytes(0));
    give(document, b.bytes(0));
    Transaction t(document, actor_of('Z'), WallTime(100));
    t.refuse({document.names().find_actor(actor_of('b')), 1});
    PutBackStep step;
    step.kind = OpKind::put;
    step.key = *t.key("x");
    step.value = Value(std::int64_t{7});
    step.stamp = 5;
    EXPECT_TRUE(t.put_back(step));
    EXPECT_TRUE(*t.commit("no"));
    Batch batch = document.outgoing().batch;
    document.clear_outgoing();
    return batch;
}

Result<Batch> decoded(ByteView bytes) {
    Names names;
    DecoderDictionary dictionary;
    Batch batch;
    JOINERY_TRY_VOID(decode_changes(bytes, names, dictionary, batch));
    return batch;
}

TEST(Refusal, IsTheBytesOfTheFormat) {
    Document document("doc");
    const Batch batch = refusal_of(document);
    const Bytes bytes = encoded(document.names(), batch, 0);
    const std::string a = "61" + std::string(30, '0'), b = "62" + std::string(30, '0'),
                      z = "5a" + std::string(30, '0');
    EXPECT_EQ(to_hex(bytes),
              "03"  // Fresh, new names.
              "03" +
                  z + a + b +
                  "01"
                  "0178"
                  "00"  // Three actors, one key, no path.
                  "01"  // One change,
                  "00"
                  "4f"
                  "c801"
                  "01"
                  "01"  // Z1, from counter 1, at 100, flags 64 to 1;
                  "02"
                  "01"
                  "02"
                  "02"
                  "02"      // it depends on a1 and b1,
                  "01"      // and refuses the latter,
                  "026e6f"  // "no":
                  "a101"
                  "00"
                  "00"
                  "bd01"
                  "0e")  // puts x=7, 95 ms before its time.
        << "see docs/change-format.md 4";
    const auto back = decoded(bytes);
    ASSERT_TRUE(back) << back.error().what;
    EXPECT_EQ(back->changes[0].refused, 1U);
    EXPECT_EQ(back->ops[0].stamp, 5);
    // What is refused is part of the hash.
    Batch other = batch;
    other.changes[0].refused = 0;
    ChangeHasher hasher;
    const std::vector<ChangeHash> dependencies(2);
    const auto hash = [&](const Batch& of) {
        return hasher.hash(document.names(), of, of.changes[0], {}, dependencies);
    };
    EXPECT_NE(hash(batch), hash(other));
    other.changes[0].refused = kNone;
    EXPECT_NE(hash(batch), hash(other));
}

TEST(Refusal, InColumnsToo) {
    Document document("doc");
    Batch batch = refusal_of(document);
    for (int i = 0; i < 70; ++i) {
        Transaction t(document, actor_of('Z'), WallTime(200 + i));
        EXPECT_TRUE(t.put(kRoot, *t.key("x"), Value(std::int64_t{i})));
        EXPECT_TRUE(*t.commit());
    }
    for (std::size_t i = 0; i < 70; ++i)
        batch.append(document.outgoing().batch, i);
    Bytes bytes;
    EncoderDictionary dictionary;
    encode_changes(document.names(), batch, 0, batch.changes.size(), dictionary, bytes);
    const auto back = decoded(bytes);
    ASSERT_TRUE(back) << back.error().what;
    EXPECT_EQ(back->changes[0].refused, 1U);
    EXPECT_EQ(back->changes[1].refused, kNone);
    EXPECT_EQ(back->ops[0].stamp, 5);
}

TEST(Refusal, OfNoDependencyOrWithANeedlessStampIsMalformed) {
    Document document("doc");
    const auto refused = [&](auto&& spoil) {
        Document fresh("doc");
        Batch batch = refusal_of(fresh);
        spoil(batch);
        const auto back = decoded(encoded(fresh.names(), batch, 0));
        return back ? Errc{} : back.error().code;
    };
    EXPECT_EQ(refused([](Batch&) {}), Errc{});
    EXPECT_EQ(refused([](Batch& batch) { batch.changes[0].refused = 2; }), Errc::malformed);
    EXPECT_EQ(refused([](Batch& batch) { batch.changes[0].dependency_count = 0; }),
              Errc::malformed);
    EXPECT_EQ(refused([](Batch& batch) { batch.ops[0].stamp = 100; }), Errc::malformed);
    // Only a refusal may have an older stamp.
    EXPECT_EQ(refused([](Batch& batch) { batch.changes[0].refused = kNone; }), Errc::malformed);
}

}  // namespace
}  // namespace joinery::crdt::test
