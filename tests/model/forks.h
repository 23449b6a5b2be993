/// @file
/// Rules F of docs/semantics.md in the plainest way: a set of changes in which actors may have
/// forked, and what it comes to for the Model, where every branch is an actor of its own.
#pragma once

#include "model/model.h"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace joinery::model {

/// An operation's name relative to a set of changes (F3); counter 0 is the edge of a list.
struct Name {
    ActorId actor;
    std::string branch;  ///< Hash of the branch's first change; empty for the actor's own name.
    std::uint64_t counter = 0;
    friend auto operator<=>(const Name&, const Name&) = default;
};

/// An operation, with what it names relative to what its author had seen.
struct NamedOp {
    Op op;
    Name left, right;
    /// Elements by dot: the index in op.container, whose size stands for op.key, and the name.
    std::vector<std::pair<std::size_t, Name>> elements;
};

/// A change as it was signed. Equal hashes are equal changes (F1).
struct SignedChange {
    std::string hash, previous;  ///< Any texts; `previous` is empty for an actor's first change.
    ActorId actor;
    std::uint64_t seq = 0;
    std::uint64_t counter = 0;  ///< Of the first operation.
    std::int64_t time_ms = 0;
    std::vector<std::string> dependencies;  ///< Hashes.
    std::vector<NamedOp> ops;
};

/// A closed set of changes.
class History {
  public:
    using Hashes = std::set<std::string>;

    History() = default;
    explicit History(const std::vector<SignedChange>& changes);

    /// What the author of @p change had seen (C4).
    Hashes context_of(const SignedChange& change) const;
    /// The part of this set that @p hashes, closed, are.
    History part(const Hashes& hashes) const;
    Hashes hashes() const;
    /// All closed subsets.
    std::vector<Hashes> closed_subsets() const;

    /// The name in this set of operation @p counter of @p change, which is in it.
    Name name_of(const SignedChange& change, std::uint64_t counter) const;
    /// The name that @p author, whose context this is, gives it: its own chain, to which the change
    /// itself belongs, goes by the actor's name.
    Name name_by(const SignedChange& author,
                 const SignedChange& change,
                 std::uint64_t counter) const;
    /// Whether @p change may be made by somebody who has this set: it is not a fork in it, and what
    /// it names is there.
    bool accepts(const SignedChange& change) const;

    /// The same changes with every branch an actor of its own, named and ordered as F2 to F4 say.
    std::vector<Change> unfolded() const;
    /// The dot that an operation has in unfolded().
    Dot dot_of(const std::string& hash, std::uint64_t counter) const;
    /// How many chains the changes of @p actor make.
    std::size_t chain_count(const ActorId& actor) const;

    const std::map<std::string, SignedChange>& changes() const { return changes_; }

  private:
    struct Place {
        std::string branch;
        std::uint16_t rank = 0;  ///< In the walk of F4; 0 for the actor's own name.
        std::uint64_t seq = 0;   ///< In its chain, from 1.
    };

    void find_chains();
    std::vector<const SignedChange*> followers_of(const ActorId& actor,
                                                  const std::string& previous) const;
    void walk(const ActorId& actor, const std::string& previous, Place at, std::uint16_t& last);
    /// The change that has the operation that @p author calls @p name; nullptr if none has, or
    /// several.
    const SignedChange* find(const SignedChange& author, const Name& name) const;
    /// Whether @p author's chain leads through @p change, or is it.
    bool is_own(const SignedChange& author, const SignedChange& change) const;
    Dot resolve(const History& context, const SignedChange& author, const Name& name) const;
    ActorId actor_of(const SignedChange& change) const;

    std::map<std::string, SignedChange> changes_;
    std::map<std::string, Place> places_;
};

}  // namespace joinery::model
