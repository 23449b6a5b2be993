/// @file
/// Seeds (rule I1): a change whose author is its own content. Peers that seed a document alike
/// offline make the same change, bit for bit, and so have one copy.
///
/// The actor of a seed is that of a key pair derived from the operations, so anyone who has them
/// can make the same seal, and nobody can put other operations under that name.
#pragma once

#include "crdt/document.h"
#include "crdt/seal.h"

namespace joinery::crdt {

/// The writer slot in the proof of a seed's actor; no store leases it.
inline constexpr std::uint32_t kSeedSlot = UINT32_MAX;
/// Who makes the change that make_seed() takes: its name is not known before its operations are.
inline constexpr ActorId kSeedDraft{};

inline bool is_seed(const ActorProof& proof) noexcept { return proof.writer_slot == kSeedSlot; }

struct Seed {
    Bytes changes;  ///< One change, encoded with a fresh dictionary.
    Seal seal;
};

/// Makes the seed of the one outgoing change of @p draft, which kSeedDraft made at time 0 in an
/// otherwise empty document of the name that is to be seeded.
///
/// @return `unsupported` if the change erases: a seed has seen nothing that it could erase.
Result<Seed> make_seed(const Document& draft);

/// Whether change @p index of @p batch is what @p proof, of a seed, says it is: `untrusted` if not.
/// @par Cost
/// Encodes the change and derives a key pair: about 20 us and 50 ns an operation.
Result<void> check_seed(const Names& names,
                        const Batch& batch,
                        std::size_t index,
                        const ActorProof& proof,
                        std::string_view document);

}  // namespace joinery::crdt
