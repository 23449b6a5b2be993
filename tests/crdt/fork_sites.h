/// @file
/// Those who write documents in which an actor may fork: some know of it, some do not. Each change
/// comes as bytes and in the words of tests/model.
#pragma once

#include "crdt/codec.h"
#include "crdt/forks.h"
#include "crdt/transaction.h"
#include "model/forks.h"
#include "support/dice.h"

#include <gtest/gtest.h>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace joinery::crdt::test {

using joinery::test::Dice;

ActorId actor_of(char letter);
std::string text_of(const ChangeHash& hash);

/// A change as it travels, and as the model wants it.
struct Made {
    Bytes bytes;   ///< To who knows of no fork.
    Bytes linked;  ///< With all hashes that it builds on.
    ActorId actor;
    ChangeHash hash, previous;
    std::vector<ChangeHash> dependencies;
    model::SignedChange signed_change;
};

/// Makes one to three random operations.
void do_deeds(Transaction& transaction, Dice& dice);

/// Somebody who writes as an actor and knows of no fork.
class Site {
  public:
    explicit Site(char letter) : actor_(actor_of(letter)), document_("doc") {}

    bool knows(const ChangeHash& hash) const { return known_.contains(hash); }

    /// Takes a change, if it fits what is known here.
    bool take(const Made& made);

    /// Makes a change of one to three random operations; none if they came to nothing.
    std::optional<Made> make(Dice& dice) {
        return try_change([&](Transaction& transaction) { do_deeds(transaction, dice); });
    }

    template <class Verbs>
    Made change(Verbs verbs) {
        return try_change(verbs).value();
    }

    template <class Verbs>
    std::optional<Made> try_change(Verbs verbs) {
        Transaction transaction(document_, actor_, WallTime(100));
        verbs(transaction);
        if (!*transaction.commit()) return std::nullopt;
        return take_outgoing();
    }

    Document& document() { return document_; }

  private:
    Made take_outgoing();

    ActorId actor_;
    Document document_;
    std::set<ChangeHash> known_;
};

/// Somebody who takes every branch, and writes as an actor that has none.
class Knower {
  public:
    explicit Knower(char letter) : actor_(actor_of(letter)), document_("doc") {}

    /// Takes a change, if it is new and what it builds on is here.
    bool take(const Made& made);

    std::optional<Made> make(Dice& dice) {
        return try_change([&](Transaction& transaction) { do_deeds(transaction, dice); });
    }

    template <class Verbs>
    std::optional<Made> try_change(Verbs verbs) {
        Transaction transaction(document_.document(), actor_, WallTime(100));
        verbs(transaction);
        const auto any = document_.commit(transaction);
        EXPECT_TRUE(any.has_value()) << any.error().what;
        if (!any.value_or(false)) return std::nullopt;
        return last_made();
    }

    ForkedDocument& document() { return document_; }

  private:
    Made last_made();

    ActorId actor_;
    ForkedDocument document_;
};

}  // namespace joinery::crdt::test
