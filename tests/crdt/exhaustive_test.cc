// Small worlds, enumerated: two actors with up to three operations each on one slot, every choice
// of operations, every causal relation between the actors and every order of delivery. Attacks
// docs/semantics.md V1 to V3, R, M, E, N, L3 to L6 and C6.
#include "crdt/codec.h"
#include "crdt/peers.h"
#include "crdt/random_history.h"

#include <array>
#include <gtest/gtest.h>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace joinery::crdt::test {
namespace {

/// What an actor may do at the slot x: P puts, M makes a map, C counts, E erases, B puts beneath x
/// as a map. In the list l, at its element by key: I inserts it, D erases it, S sets it, < and >
/// move it to an end. What is not possible there and then is a change without operations.
using Script = std::string;

/// How many of the other's changes each change of a and of b had seen.
struct Relation {
    std::array<std::vector<std::size_t>, 2> seen;
};

/// All relations of two actors with @p count changes each.
std::vector<Relation> relations_of(std::size_t count) {
    std::vector<std::vector<std::size_t>> rows{{}};
    for (std::size_t i = 0; i < count; ++i) {
        std::vector<std::vector<std::size_t>> longer;
        for (const auto& row : rows) {
            for (std::size_t n = row.empty() ? 0 : row.back(); n <= count; ++n) {
                longer.push_back(row);
                longer.back().push_back(n);
            }
        }
        rows = std::move(longer);
    }
    std::vector<Relation> relations;
    for (const auto& a : rows) {
        for (const auto& b : rows) {
            bool is_acyclic = true;
            for (std::size_t i = 0; i < count; ++i) {
                // a's change i saw b's change a[i] - 1: that one must not have seen a's change i.
                is_acyclic = is_acyclic && (a[i] == 0 || b[a[i] - 1] <= i);
            }
            if (is_acyclic) relations.push_back({{a, b}});
        }
    }
    return relations;
}

class World {
  public:
    World(const Relation& relation, const std::array<Script, 2>& scripts, std::int64_t lead_ms)
        : relation_(relation), scripts_(scripts), times_{lead_ms, 0} {
        author_all();
    }

    /// Delivers in every order; the digest after each set of changes must not depend on it.
    void deliver_in_every_order() {
        std::vector<std::size_t> path;
        walk(0, 0, path);
    }
    void compare_with_model() {
        const model::Model model(changes_);
        Document document("doc");
        deliver(document, 0, 0, 0);
        for (std::size_t i = 0, j = 0; i + j < 2 * count();) {
            const bool is_a = may_come(0, i, j);
            deliver(document, 1, is_a ? 0 : 1, is_a ? i : j);
            ++(is_a ? i : j);
        }
        EXPECT_EQ(model::detail_of(document), model.detail());
        EXPECT_TRUE(document.read_root() == model.root())
            << model::to_text(document.read_root()) << " " << model::to_text(model.root());
        EXPECT_TRUE(digests_.at({count(), count()}) == document.digest());
    }
    std::string describe() const {
        std::string text;
        for (const auto& change : changes_)
            text += model::to_text(change) + "\n";
        return text;
    }

  private:
    std::size_t count() const { return scripts_[0].size(); }
    /// Whether the next change of @p who may come where i of a's and j of b's are known.
    bool may_come(std::size_t who, std::size_t i, std::size_t j) const {
        const std::size_t own = who == 0 ? i : j;
        return own < count() && relation_.seen[who][own] <= (who == 0 ? j : i);
    }

    void author_all() {
        std::array<Document, 2> documents{Document("doc"), Document("doc")};
        Document seed("doc");
        author(seed, 's', 0, 'Z', 0);
        for (Document& document : documents)
            deliver(document, 0, 0, 0);
        std::array<std::size_t, 2> known{0, 0};  // Of the other's changes.
        for (std::size_t i = 0, j = 0; i + j < 2 * count();) {
            const std::size_t who = may_come(0, i, j) ? 0 : 1;
            std::size_t& own = who == 0 ? i : j;
            for (; known[who] < relation_.seen[who][own]; ++known[who]) {
                deliver(documents[who], 1, 1 - who, known[who]);
            }
            const auto unique = static_cast<std::int64_t>(1 + 10 * who + own);
            author(documents[who], who == 0 ? 'a' : 'b', 1 + who, scripts_[who][own], unique);
            ++own;
        }
    }

    /// Makes the change @p what and notes it in row @p row of bytes_.
    void author(Document& document, char letter, std::size_t row, char what, std::int64_t unique) {
        const ActorId actor = actor_of(letter);
        const std::int64_t time_ms = row == 0 ? 0 : times_[row - 1];
        Batch batch;
        const bool is_raw =
            what == 'P' || what == 'M' || what == 'E' || what == 'B' || what == 'D' || what == 'S';
        if (is_raw) {
            batch = raw_change(document, actor, time_ms, raw_ops(document, what, time_ms, unique));
        } else {
            Transaction transaction(document, actor, WallTime(time_ms));
            run_verb(transaction, what, unique);
            if (*transaction.commit()) {
                batch = document.outgoing().batch;
                document.clear_outgoing();
                note(document, batch, row);
                return;
            }
        }
        if (batch.empty()) batch = raw_change(document, actor, time_ms, {});
        ASSERT_TRUE(document.apply(batch, *document.check(batch)));
        note(document, batch, row);
    }

    void note(const Document& document, const Batch& batch, std::size_t row) {
        EncoderDictionary dictionary;
        bytes_[row].emplace_back();
        encode_changes(document.names(), batch, 0, 1, dictionary, bytes_[row].back());
        changes_.push_back(model::change_of(document.names(), batch, 0));
    }

    static Names::ElementKey element_key(Document& document) {
        return {document.names().intern_key("id"), 0, Value(std::int64_t{7})};
    }

    static std::vector<Op> raw_ops(Document& document,
                                   char what,
                                   std::int64_t time_ms,
                                   std::int64_t unique) {
        Names& names = document.names();
        const KeyIndex x = names.intern_key("x");
        const Value value(unique);
        if (what == 'P') {
            return {raw_op(document, OpKind::put, kRoot, x, time_ms, Kind::none, value)};
        }
        if (what == 'M') return {raw_op(document, OpKind::make, kRoot, x, time_ms, Kind::map)};
        if (what == 'E') return {raw_op(document, OpKind::erase, kRoot, x, time_ms)};
        if (what == 'B') {
            const ContainerIndex map = names.intern_container(kRoot, x, Kind::map);
            const KeyIndex y = names.intern_key("y");
            return {raw_op(document, OpKind::put, map, y, time_ms, Kind::none, value)};
        }
        const ContainerIndex list =
            names.intern_container(kRoot, names.intern_key("l"), Kind::list);
        const ElementIndex element = names.intern_element(list, element_key(document));
        if (document.state().element(element).item == kNone) return {};
        const OpKind kind = what == 'D' ? OpKind::erase : OpKind::put;
        return {raw_op(document,
                       kind,
                       list,
                       element,
                       time_ms,
                       Kind::none,
                       kind == OpKind::put ? value : Value())};
    }

    static void run_verb(Transaction& transaction, char what, std::int64_t unique) {
        Document& document = transaction.document();
        Names& names = document.names();
        const ContainerIndex list =
            names.intern_container(kRoot, *transaction.key("l"), Kind::list);
        const Transaction::Content content{Kind::none, Value(unique)};
        if (what == 'Z') {  // What both know: a list that the element may stand in.
            ASSERT_TRUE(transaction.insert(list, 0, content));
            ASSERT_TRUE(transaction.insert(list, 1, content, element_key(document)));
            ASSERT_TRUE(transaction.insert(list, 2, content));
            return;
        }
        if (what == 'C') {
            const ContainerIndex counter =
                names.intern_container(kRoot, *transaction.key("x"), Kind::counter);
            ASSERT_TRUE(transaction.increment(counter, unique));
            return;
        }
        const State::List* held = document.state().list(list);
        if (what == 'I') {
            (void)transaction.insert(list, 1, content, element_key(document));
            return;
        }
        const ElementIndex element = names.intern_element(list, element_key(document));
        const std::uint32_t item = document.state().element(element).item;
        if (item == kNone || !held->places.is_visible(item)) return;
        const std::size_t last = held->places.visible_count() - 1;
        const std::size_t from = held->places.visible_index_of(item);
        ASSERT_TRUE(transaction.move(list, from, what == '<' ? 0 : last));
    }

    void deliver(Document& document, std::size_t after_seed, std::size_t who, std::size_t index) {
        give(document, after_seed == 0 ? bytes_[0][0] : bytes_[1 + who][index]);
    }

    void walk(std::size_t i, std::size_t j, std::vector<std::size_t>& path) {
        if (i + j == 2 * count()) return deliver_path(path);
        for (std::size_t who = 0; who < 2; ++who) {
            if (!may_come(who, i, j)) continue;
            path.push_back(who);
            walk(i + (who == 0 ? 1 : 0), j + who, path);
            path.pop_back();
        }
    }
    void deliver_path(const std::vector<std::size_t>& path) {
        Document document("doc");
        deliver(document, 0, 0, 0);
        std::pair<std::size_t, std::size_t> at{0, 0};
        for (const std::size_t who : path) {
            std::size_t& own = who == 0 ? at.first : at.second;
            deliver(document, 1, who, own++);
            const Digest digest = document.digest();
            EXPECT_TRUE(digests_.emplace(at, digest).first->second == digest)
                << "after " << at.first << " of a's and " << at.second << " of b's";
        }
    }

    const Relation& relation_;
    const std::array<Script, 2>& scripts_;
    std::array<std::int64_t, 2> times_;
    std::array<std::vector<Bytes>, 3> bytes_;  // Of the seed, of a, of b.
    std::vector<model::Change> changes_;
    std::map<std::pair<std::size_t, std::size_t>, Digest> digests_;
};

/// Every @p stride-th world of @p count operations an actor out of @p alphabet.
void enumerate(const std::string& alphabet, std::size_t count, std::size_t stride) {
    const std::vector<Relation> relations = relations_of(count);
    std::size_t scripts = 1;
    for (std::size_t i = 0; i < 2 * count; ++i)
        scripts *= alphabet.size();
    for (std::size_t number = 0; number < scripts * relations.size(); number += stride) {
        const Relation& relation = relations[number % relations.size()];
        std::array<Script, 2> script;
        std::size_t rest = number / relations.size();
        for (std::size_t i = 0; i < 2 * count; ++i, rest /= alphabet.size()) {
            script[i % 2] += alphabet[rest % alphabet.size()];
        }
        // Clocks that agree leave ties to the actors; else the lesser actor's is ahead.
        World world(relation, script, number % 2 == 0 ? 0 : 10);
        world.deliver_in_every_order();
        world.compare_with_model();
        ASSERT_FALSE(testing::Test::HasFailure()) << alphabet << " world " << number << "\n"
                                                  << world.describe();
    }
}

/// By default one in 31 of the larger worlds is visited: coprime to their numbers of relations and
/// scripts, so that it meets all of either. JOINERY_ITERATIONS=31 visits all.
std::size_t large_stride() { return std::max<std::size_t>(1, 31 / iterations(1)); }

TEST(SmallWorlds, ThereAreAsManyRelationsAsThereShouldBe) {
    // Each pair of changes is a before b, concurrent or b before a, monotone in both: a plane
    // partition in a box of n by n by 2.
    EXPECT_EQ(relations_of(1).size(), 3U);
    EXPECT_EQ(relations_of(2).size(), 20U);
    EXPECT_EQ(relations_of(3).size(), 175U);
}

TEST(SmallWorlds, OfTwoOperationsAnActorAtOneSlotAgree) { enumerate("PMCEB", 2, 1); }
TEST(SmallWorlds, OfTwoOperationsAnActorAtOneElementAgree) { enumerate("IDS<>", 2, 1); }
TEST(SmallWorlds, OfPutsMakesAndErasesAgree) { enumerate("PME", 3, large_stride()); }
TEST(SmallWorlds, OfCountsPutsAndErasesAgree) { enumerate("CPE", 3, large_stride()); }
TEST(SmallWorlds, OfPutsBeneathMakesAndErasesAgree) { enumerate("BME", 3, large_stride()); }
TEST(SmallWorlds, OfInsertsByKeyErasesAndMovesAgree) { enumerate("ID<", 3, large_stride()); }
TEST(SmallWorlds, OfMovesSetsAndErasesOfAnElementAgree) { enumerate("D>S", 3, large_stride()); }

}  // namespace
}  // namespace joinery::crdt::test
