#include "crdt/seed.h"

#include "crdt/codec.h"
#include "crdt/cursor.h"

#include <algorithm>

namespace joinery::crdt {
namespace {

/// Where an encoded change of one actor has that actor: after the flags and the count of actors.
constexpr std::size_t kActorOffset = 2;

Bytes encode_alone(const Names& names, const Batch& batch, std::size_t index) {
    Bytes bytes;
    EncoderDictionary dictionary;
    encode_changes(names, batch, index, index + 1, dictionary, bytes);
    return bytes;
}

void set_actor(Bytes& changes, const ActorId& actor) {
    JOINERY_ASSERT(changes.size() >= kActorOffset + actor.bytes.size());
    JOINERY_ASSERT(changes[kActorOffset - 1] == 1);
    std::ranges::copy(actor.bytes, changes.begin() + kActorOffset);
}

/// The key pair that the content makes; @p changes names kSeedDraft as the actor.
SigningKey key_of(const Bytes& changes, std::string_view document) {
    Bytes content;
    ByteWriter out(content);
    out.raw(as_bytes("joinery seed 1"));
    out.sized(as_bytes(document));
    out.raw(changes);
    return SigningKey(hash_as<FixedBytes<32, struct SeedTag>>(content).bytes);
}

Result<void> check_form(const Batch& batch, const ChangeHeader& change) {
    if (change.seq != 1 || change.time_ms != 0 || change.dependency_count != 0) {
        return fail(Errc::untrusted, "seed that is not a first change at time 0");
    }
    const auto erases = [](const Op& op) { return op.kind == OpKind::erase; };
    if (std::ranges::any_of(batch.ops_of(change), erases)) {
        return fail(Errc::unsupported, "a seed cannot erase: it has seen nothing");
    }
    return {};
}

ActorProof proof_of(const SigningKey& key) { return {key.public_key(), {}, kSeedSlot, 0}; }

}  // namespace

Result<Seed> make_seed(const Document& draft) {
    const Batch& batch = draft.outgoing().batch;
    JOINERY_ASSERT(batch.changes.size() == 1);
    JOINERY_TRY_VOID(check_form(batch, batch.changes.front()));
    Seed seed;
    seed.changes = encode_alone(draft.names(), batch, 0);
    const SigningKey key = key_of(seed.changes, draft.id());
    const ActorProof proof = proof_of(key);
    set_actor(seed.changes, actor_of(proof));
    // The hash is of the change as it will be, under its true name.
    Document document(draft.id());
    Batch named;
    DecoderDictionary dictionary;
    JOINERY_TRY_VOID(decode_changes(seed.changes, document.names(), dictionary, named));
    JOINERY_TRY(const auto hashes, document.check(named));
    seed.seal = make_seal(key, proof, draft.id(), 1, hashes.front());
    return seed;
}

Result<void> check_seed(const Names& names,
                        const Batch& batch,
                        std::size_t index,
                        const ActorProof& proof,
                        std::string_view document) {
    JOINERY_TRY_VOID(check_form(batch, batch.changes[index]));
    Bytes changes = encode_alone(names, batch, index);
    // An operation that names another actor's element makes the table longer, and is no seed's.
    if (changes[kActorOffset - 1] != 1) {
        return fail(Errc::untrusted, "seed that names other actors");
    }
    set_actor(changes, kSeedDraft);
    if (proof_of(key_of(changes, document)) == proof) return {};
    return fail(Errc::untrusted, "seed whose name is not its content's");
}

}  // namespace joinery::crdt
