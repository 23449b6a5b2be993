// Forks in the model: rules F1 to F7 of docs/semantics.md, their examples, and what they rest on:
// that what an author named and relied on holds in every larger set. Small worlds, enumerated.

#include "model/forks.h"

#include <algorithm>
#include <gtest/gtest.h>

namespace joinery::model {
namespace {

ActorId actor(char letter) {
    ActorId id;
    id.bytes[0] = static_cast<std::uint8_t>(letter);
    return id;
}

NamedOp put(std::int64_t value, std::string key = "x") {
    NamedOp op;
    op.op.kind = OpKind::put;
    op.op.key = std::move(key);
    op.op.value = Value(value);
    return op;
}

NamedOp increment(std::int64_t delta) {
    NamedOp op;
    op.op.kind = OpKind::increment;
    op.op.container = {{"n", Kind::counter}};
    op.op.delta = delta;
    return op;
}

NamedOp erase(std::string key) {
    NamedOp op;
    op.op.kind = OpKind::erase;
    op.op.key = std::move(key);
    return op;
}

Path list() { return {{"l", Kind::list}}; }

NamedOp insert(Name own, Name left, Name right, std::int64_t value) {
    NamedOp op;
    op.op.kind = OpKind::insert;
    op.op.container = list();
    op.op.value = Value(value);
    op.left = std::move(left);
    op.right = std::move(right);
    op.elements = {{1, std::move(own)}};
    return op;
}

NamedOp put_at(Name element, std::int64_t value) {
    NamedOp op = put(value);
    op.op.container = list();
    op.elements = {{1, std::move(element)}};
    return op;
}

/// Changes in the making: each names what it names relative to what it has seen.
class Author {
  public:
    /// Makes a change of @p letter's after @p previous that has seen @p seen too, with the
    /// operations that @p make gives for (context, change without operations).
    template <class Make>
    std::string make(char letter,
                     const std::string& hash,
                     const std::string& previous,
                     std::vector<std::string> seen,
                     Make make) {
        SignedChange change;
        change.hash = hash;
        change.previous = previous;
        change.actor = actor(letter);
        change.time_ms = 100;  // All the same: ties are for the order of F4 to decide.
        change.dependencies = std::move(seen);
        change.seq = 1;
        change.counter = 1;
        if (!previous.empty()) {
            const auto before = std::ranges::find(changes, previous, &SignedChange::hash);
            change.seq = before->seq + 1;
            change.counter = before->counter + before->ops.size();
        }
        const History all(changes);
        const History context = all.part(all.context_of(change));
        change.ops = make(context, change);
        EXPECT_TRUE(context.accepts(change)) << hash;
        changes.push_back(change);
        return hash;
    }
    std::string make(char letter,
                     const std::string& hash,
                     const std::string& previous,
                     std::vector<std::string> seen,
                     NamedOp op) {
        return make(letter, hash, previous, std::move(seen), [&](const auto&, const auto&) {
            return std::vector<NamedOp>{std::move(op)};
        });
    }
    History history() const { return History(changes); }

    std::vector<SignedChange> changes;
};

std::string shown(const History& history) { return to_text(Model(history.unfolded()).root()); }

// --- The examples --------------------------------------------------------------------------------

TEST(Forks, BothBranchesApplyAndOneIsTheOthersAlternative) {  // F1, F4, F5
    Author author;
    author.make('a', "p", "", {}, put(0));
    author.make('a', "q", "p", {}, put(1));
    author.make('a', "r", "p", {}, put(2));
    EXPECT_EQ(shown(author.history()), "{x:2}");
    const std::string detail = Model(author.history().unfolded()).detail();
    EXPECT_NE(detail.find("=2 "), std::string::npos) << detail;
    EXPECT_NE(detail.find("=1\n"), std::string::npos) << detail;
    // The same with the hashes exchanged: the order of the branches is theirs, not of arrival.
    Author other;
    other.make('a', "p", "", {}, put(0));
    other.make('a', "r", "p", {}, put(1));
    other.make('a', "q", "p", {}, put(2));
    EXPECT_EQ(shown(other.history()), "{x:1}");
}

TEST(Forks, EqualHashesAreOneChange) {  // F1
    Author author;
    author.make('a', "p", "", {}, increment(1));
    author.changes.push_back(author.changes.front());
    EXPECT_EQ(shown(author.history()), "{n:1}");
    EXPECT_EQ(author.history().chain_count(actor('a')), 1U);
}

TEST(Forks, ChainsAreCutWhereTheSetForks) {  // F2
    Author author;
    author.make('a', "p", "", {}, put(0));
    author.make('a', "q", "p", {}, put(1));
    author.make('a', "s", "q", {}, put(2));
    EXPECT_EQ(author.history().chain_count(actor('a')), 1U);
    author.make('a', "t", "q", {}, put(3));
    EXPECT_EQ(author.history().chain_count(actor('a')), 3U);  // p q, s, t
    author.make('a', "r", "p", {}, put(4));
    EXPECT_EQ(author.history().chain_count(actor('a')), 5U);  // p, q, s, t, r
    author.make('a', "o", "", {}, put(5));
    EXPECT_EQ(author.history().chain_count(actor('a')), 6U);  // No trunk: o; p, q, s, t, r.
    const Name name = author.history().name_of(author.changes[1], 2);
    EXPECT_EQ(name, (Name{actor('a'), "q", 2}));
}

TEST(Forks, AChangeGoesOnMeaningWhatItsAuthorSaw) {  // F3
    Author author;
    author.make('a', "p", "", {}, put(0));
    const auto insert_one = [](std::int64_t value) {
        return [value](const History& context, const SignedChange& change) {
            return std::vector{
                insert(context.name_by(change, change, change.counter), {}, {}, value)};
        };
    };
    author.make('a', "q", "p", {}, insert_one(1));
    author.make('b', "b1", "", {"q"}, [&](const History& context, const SignedChange&) {
        const Name name = context.name_of(author.changes[1], 2);
        EXPECT_EQ(name, (Name{actor('a'), "", 2}));  // b knows of no fork.
        return std::vector{put_at(name, 7)};
    });
    author.make('a', "r", "p", {}, insert_one(2));
    EXPECT_EQ(shown(author.history()), "{l:[7, 2], x:0}");
    // Who has seen both says which.
    author.make('c', "c1", "", {"b1", "r"}, [&](const History& context, const SignedChange&) {
        const Name name = context.name_of(author.changes[3], 2);
        EXPECT_EQ(name, (Name{actor('a'), "r", 2}));
        return std::vector{put_at(name, 8)};
    });
    EXPECT_EQ(shown(author.history()), "{l:[7, 8], x:0}");
}

TEST(Forks, ANameThatTwoCouldBearIsNotValidNorIsAKnowingFork) {  // F3
    Author author;
    author.make('a', "p", "", {}, put(0));
    author.make('a', "q", "p", {}, put(1));
    author.make('a', "r", "p", {}, put(2));
    SignedChange change{"b1", "", actor('b'), 1, 1, 100, {"q", "r"}, {}};
    change.ops = {put_at({actor('a'), "", 2}, 1)};
    EXPECT_FALSE(author.history().accepts(change));
    change.ops = {put_at({actor('a'), "q", 2}, 1)};
    EXPECT_TRUE(author.history().accepts(change));
    change.ops = {put_at({actor('a'), "q", 1}, 1)};  // That is the trunk's.
    EXPECT_FALSE(author.history().accepts(change));
    const SignedChange fork{"s", "p", actor('a'), 2, 2, 100, {}, {}};
    EXPECT_FALSE(author.history().accepts(fork));
}

TEST(Forks, AnAuthorsOwnChainGoesByTheActorsName) {  // F3
    Author author;
    const auto insert_one = [](const History& context, const SignedChange& change) {
        return std::vector{
            insert(context.name_by(change, change, change.counter), {}, {}, change.time_ms)};
    };
    author.make('a', "p", "", {}, put(0));
    author.make('a', "q", "p", {}, insert_one);
    author.make('a', "r", "p", {}, insert_one);
    author.make('b', "b1", "", {"r"}, put(1, "y"));
    // Who goes on with q has seen r through b, and has both its own a2 and the other's to name.
    author.make('a', "s", "q", {"b1"}, [&](const History& context, const SignedChange& change) {
        const Name own = context.name_by(change, author.changes[1], 2);
        const Name other = context.name_by(change, author.changes[2], 2);
        EXPECT_EQ(own, (Name{actor('a'), "", 2}));
        EXPECT_EQ(other, (Name{actor('a'), "r", 2}));
        return std::vector{put_at(own, 7), put_at(other, 8)};
    });
    EXPECT_EQ(shown(author.history()), "{l:[7, 8], x:0, y:1}");
}

TEST(Forks, ARunGoesOnOnEachBranchAndCountsOnce) {  // F6
    Author author;
    author.make('a', "p", "", {}, increment(1));
    author.make('a', "q", "p", {}, increment(2));
    author.make('a', "r", "p", {}, increment(5));
    EXPECT_EQ(shown(author.history()), "{n:8}");
    author.make('b', "b1", "", {"q"}, erase("n"));  // b saw the trunk and one branch.
    EXPECT_EQ(shown(author.history()), "{n:5}");
}

TEST(Forks, WithoutOneNothingIsRenamed) {  // F2, F3
    Author author;
    author.make('a', "p", "", {}, put(0));
    author.make('b', "b1", "", {"p"}, put(1));
    author.make('a', "q", "p", {"b1"}, put(2));
    const History history = author.history();
    for (const auto& [hash, change] : history.changes()) {
        EXPECT_EQ(history.dot_of(hash, change.counter), (Dot{change.actor, change.counter}));
    }
}

// --- Small worlds --------------------------------------------------------------------------------

/// The places of list l, hidden ones too, as the hashes and counters of their operations.
std::vector<std::string> places_of(const History& history) {
    std::map<std::string, std::string> names;
    for (const auto& [hash, change] : history.changes()) {
        for (std::size_t i = 0; i < change.ops.size(); ++i) {
            const std::uint64_t counter = change.counter + i;
            names[to_text(history.dot_of(hash, counter))] = hash + std::to_string(counter);
        }
    }
    const std::string detail = Model(history.unfolded()).detail();
    const std::string start = "/l/list places ";
    const std::size_t at = detail.find(start);
    std::vector<std::string> out;
    if (at == std::string::npos) return out;
    std::string line = detail.substr(at + start.size());
    line = line.substr(0, line.find('\n')) + " ";
    for (std::size_t from = 0, to = 0; (to = line.find(' ', from)) != std::string::npos;
         from = to + 1) {
        out.push_back(names.at(line.substr(from, to - from)));
    }
    return out;
}

/// What the authors of a world may do: an insert at the front, the middle or the end of what they
/// see, and a put at the first element.
enum class Deed : std::uint8_t { front, middle, end, set };

std::vector<NamedOp> do_deed(Deed deed, const History& context, const SignedChange& change) {
    std::vector<Name> names;
    for (const std::string& place : places_of(context)) {
        for (const auto& [hash, made] : context.changes()) {
            for (std::size_t i = 0; i < made.ops.size(); ++i) {
                const std::uint64_t counter = made.counter + i;
                if (hash + std::to_string(counter) == place) {
                    names.push_back(context.name_by(change, made, counter));
                }
            }
        }
    }
    if (deed == Deed::set) {
        if (names.empty()) return {};
        return {put_at(names.front(), static_cast<std::int64_t>(change.seq))};
    }
    std::size_t at = 0;
    if (deed == Deed::middle) at = names.size() / 2;
    if (deed == Deed::end) at = names.size();
    const Name left = at == 0 ? Name() : names[at - 1];
    const Name right = at == names.size() ? Name() : names[at];
    return {insert(context.name_by(change, change, change.counter), left, right, 1)};
}

/// a makes a trunk of one change and two branches, one of which may fork again; b writes twice,
/// having seen what `sight` says. Calls @p check with each.
template <class Check>
void for_each_world(Check check) {
    const std::vector<Deed> deeds{Deed::front, Deed::middle, Deed::end, Deed::set};
    const std::vector<std::vector<std::string>> sights{
        {}, {"p"}, {"q"}, {"r"}, {"q", "r"}, {"s"}, {"s", "t"}, {"s", "t", "r"}};
    for (const char second : {'A', 'b'}) {  // Sorts before and after a.
        for (std::size_t sight = 0; sight < sights.size(); ++sight) {
            for (std::size_t number = 0; number < 64; ++number) {
                const auto deed = [&](std::size_t shift) {
                    return [deed = deeds[(number >> shift) % 4]](const History& context,
                                                                 const SignedChange& change) {
                        return do_deed(deed, context, change);
                    };
                };
                Author author;
                author.make('a', "p", "", {}, deed(0));
                author.make('a', "q", "p", {}, deed(0));
                author.make('a', "r", "p", {}, deed(2));
                author.make('a', "s", "q", {}, deed(4));
                author.make('a', "t", "q", {}, deed(2));
                author.make(second, "b1", "", sights[sight], deed(2));
                author.make(second, "b2", "b1", {}, deed(4));
                check(author.history());
                if (testing::Test::HasFailure()) {
                    FAIL() << second << " sight " << sight << " world " << number;
                }
            }
        }
    }
}

TEST(ForkWorlds, WhatAnAuthorSawOfAnOrderHoldsInEveryLargerSet) {  // F3, F4, L2, C7
    std::size_t count = 0;
    for_each_world([&](const History& history) {
        const std::vector<std::string> all = places_of(history);
        for (const History::Hashes& subset : history.closed_subsets()) {
            const History part = history.part(subset);
            std::vector<std::string> seen = all;
            std::erase_if(seen, [&](const std::string& place) {
                return std::ranges::none_of(subset, [&](const std::string& hash) {
                    return place.starts_with(hash) && place.size() == hash.size() + 1;
                });
            });
            ASSERT_EQ(places_of(part), seen);
            ++count;
        }
    });
    EXPECT_GT(count, 10'000U);
}

TEST(ForkWorlds, NamesInASetFindWhatTheyName) {  // F3
    for_each_world([&](const History& history) {
        for (const History::Hashes& subset : history.closed_subsets()) {
            const History part = history.part(subset);
            std::set<Name> names;
            for (const auto& [hash, change] : part.changes()) {
                for (std::size_t i = 0; i < change.ops.size(); ++i) {
                    names.insert(part.name_of(change, change.counter + i));
                }
                ASSERT_TRUE(part.part(part.context_of(change)).accepts(change));
            }
            std::size_t count = 0;
            for (const auto& [hash, change] : part.changes())
                count += change.ops.size();
            ASSERT_EQ(names.size(), count);
        }
    });
}

TEST(ForkWorlds, ABranchIsAnActorOfItsOwn) {  // F5
    // Where every stamp differs no order of actors decides between puts: then a world is what it
    // would be if the branches had been other devices' from the start.
    Author author;
    author.make('a', "p", "", {}, put(1));
    author.make('a', "q", "p", {}, put(2));
    author.make('a', "r", "p", {}, put(3, "y"));
    author.make('b', "b1", "", {"q"}, put(4));
    author.make('c', "c1", "", {"r"}, erase("x"));
    for (std::size_t i = 0; i < author.changes.size(); ++i)
        author.changes[i].time_ms = static_cast<std::int64_t>(i);
    Author plain;
    plain.make('a', "p", "", {}, put(1));
    plain.make('d', "q", "", {"p"}, put(2));
    plain.make('e', "r", "", {"p"}, put(3, "y"));
    plain.make('b', "b1", "", {"q"}, put(4));
    plain.make('c', "c1", "", {"r"}, erase("x"));
    for (std::size_t i = 0; i < plain.changes.size(); ++i)
        plain.changes[i].time_ms = static_cast<std::int64_t>(i);
    for (const History::Hashes& subset : author.history().closed_subsets()) {
        EXPECT_EQ(shown(author.history().part(subset)), shown(plain.history().part(subset)));
    }
    EXPECT_EQ(shown(author.history()), "{x:4, y:3}");
}

}  // namespace
}  // namespace joinery::model
