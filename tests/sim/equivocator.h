/// @file
/// One who signs several histories of one actor and tells each to somebody else (semantics F).
#pragma once

#include "crdt/document.h"
#include "crdt/hash.h"
#include "crdt/seal.h"
#include "engine/document_core.h"
#include "support/dice.h"

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace joinery::sim {

class Equivocator {
  public:
    /// Histories that it has of one document, at most.
    static constexpr std::size_t kHistoryMax = 5;

    explicit Equivocator(std::uint64_t seed);

    const ActorId& actor() const { return actor_; }
    /// Makes a change on one of its histories of the document, or begins another one, and tells
    /// @p victim all of that history under its seal. The Error is the victim's.
    Result<void> lie_to(detail::DocumentCore& victim, test::Dice& dice, WallTime now);

  private:
    /// Its own changes alone, in order.
    struct History {
        crdt::Batch changes;
        std::vector<ChangeHash> hashes;
        std::unique_ptr<crdt::Document> document;
    };

    /// A history of the first @p count changes of @p from.
    History copy(const std::string& id, const History& from, std::size_t count) const;
    Result<void> tell(detail::DocumentCore& victim, const History& history) const;

    crdt::SigningKey key_;
    crdt::ActorProof proof_;
    ActorId actor_;
    std::map<std::string, std::vector<History>> histories_;  ///< By document.
};

}  // namespace joinery::sim
