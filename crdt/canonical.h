/// @file
/// The canonical bytes of a change and its chain hash. These bytes are what hashes and seals commit
/// to; they are never stored or sent: what travels is the compact form of crdt/codec.h, from which
/// every peer makes the same canonical bytes. Layout: docs/change-format.md 2.
#pragma once

#include "base/bytes.h"
#include "crdt/batch.h"

#include <string_view>

namespace joinery::crdt {

/// What an actor's chain in one document starts from: the "hash" of its change 0.
ChangeHash chain_origin(std::string_view document, const ActorId& actor);

/// Makes chain hashes. Holds buffers, so that hashing a change allocates nothing once warm.
class ChangeHasher {
  public:
    /// The chain hash of @p change of @p batch.
    ///
    /// @param previous  Hash of the chain's change before it, or chain_origin().
    /// @param dependencies  Hashes of the change's dependencies, in their order.
    /// @par Cost
    /// One BLAKE2b block (about 150 ns) for a small change without dependencies.
    ChangeHash hash(const Names& names,
                    const Batch& batch,
                    const ChangeHeader& change,
                    const ChangeHash& previous,
                    std::span<const ChangeHash> dependencies);

    /// Bytes of the canonical operations of the last hash(): what kChangeSizeMax limits.
    std::size_t operations_size() const noexcept { return operations_size_; }

  private:
    Bytes input_;  // What is past the change at hand is left from others.
    std::size_t operations_size_ = 0;
};

}  // namespace joinery::crdt
