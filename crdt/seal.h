/// @file
/// Seals: the signature of a device over the chain of one of its actors. One vouches for all the
/// chain up to its change, because each change's hash covers the one before it.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "base/store.h"
#include "crdt/hash.h"

#include <string_view>

namespace joinery::crdt {

/// What an actor's name is the hash of: whoever knows it can check that the name is the device's.
struct ActorProof {
    DeviceKey device;
    Incarnation incarnation;
    std::uint32_t writer_slot = 0;
    std::uint32_t writer_generation = 0;
    friend bool operator==(const ActorProof&, const ActorProof&) = default;
};

/// The actor that @p proof names: BLAKE2b-128 of its fields.
ActorId actor_of(const ActorProof& proof);

struct Seal {
    ActorProof proof;
    std::uint64_t seq = 0;
    Signature signature;
    friend bool operator==(const Seal&, const Seal&) = default;
};

/// Seals the chain of actor_of(@p proof) in @p document up to change @p seq, whose hash is @p hash.
/// @p key must be the proof's device's. About 18 us.
Seal make_seal(const SigningKey& key,
               const ActorProof& proof,
               std::string_view document,
               std::uint64_t seq,
               const ChangeHash& hash);

/// `untrusted` if @p seal is not its device's signature of that. About 50 us.
Result<void> check_seal(const Seal& seal, std::string_view document, const ChangeHash& hash);

}  // namespace joinery::crdt
