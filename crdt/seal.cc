#include "crdt/seal.h"

#include "crdt/cursor.h"

namespace joinery::crdt {
namespace {

Bytes sealed_bytes(const ActorProof& proof,
                   std::string_view document,
                   std::uint64_t seq,
                   const ChangeHash& hash) {
    Bytes message;
    ByteWriter out(message);
    out.raw(as_bytes("joinery seal 1"));
    out.sized(as_bytes(document));
    out.raw(actor_of(proof).view());
    out.u64(seq);
    out.raw(hash.view());
    return message;
}

}  // namespace

ActorId actor_of(const ActorProof& proof) {
    Bytes input;
    ByteWriter out(input);
    out.raw(as_bytes("joinery actor 1"));
    out.raw(proof.device.view());
    out.raw(proof.incarnation.view());
    out.u32(proof.writer_slot);
    out.u32(proof.writer_generation);
    return hash_as<ActorId>(input);
}

Seal make_seal(const SigningKey& key,
               const ActorProof& proof,
               std::string_view document,
               std::uint64_t seq,
               const ChangeHash& hash) {
    JOINERY_ASSERT(key.public_key() == proof.device);
    return {proof, seq, key.sign(sealed_bytes(proof, document, seq, hash))};
}

Result<void> check_seal(const Seal& seal, std::string_view document, const ChangeHash& hash) {
    const Bytes message = sealed_bytes(seal.proof, document, seal.seq, hash);
    if (verify(seal.proof.device, message, seal.signature)) return {};
    return fail(Errc::untrusted, "seal that is not its device's signature");
}

}  // namespace joinery::crdt
