// The messages of live values, both ways.

#include "session/messages.h"

namespace joinery::session {
namespace {

constexpr std::size_t kMarkSize = crdt::LiveHash::kSize + 8 + 8;

}  // namespace

void write_proof(const crdt::ActorProof& proof, crdt::ByteWriter& out) {
    out.raw(proof.device.view());
    out.raw(proof.incarnation.view());
    out.u32(proof.writer_slot);
    out.u32(proof.writer_generation);
}

crdt::ActorProof read_proof(crdt::ByteReader& in) {
    crdt::ActorProof proof;
    proof.device = in.fixed<DeviceKey>();
    proof.incarnation = in.fixed<Incarnation>();
    proof.writer_slot = in.u32();
    proof.writer_generation = in.u32();
    return proof;
}

void MessageWriter::write(const LiveWant& message, Bytes& out) {
    body_.clear();
    crdt::ByteWriter body(body_);
    for (const crdt::LiveMark& mark : message.marks) {
        body.raw(mark.slot.view());
        body.u64(mark.stamp);
        body.u64(mark.tag);
    }
    EnvelopeWriter writer(out);
    writer.array(3);
    writer.integer(static_cast<std::uint64_t>(MessageType::live_want));
    writer.integer(message.document);
    writer.bytes(body_);
}

void MessageWriter::write(const LiveValues& message, Bytes& out) {
    body_.clear();
    crdt::ByteWriter body(body_);
    for (const crdt::LiveBatch& batch : message.batches) {
        const ProofKey key{batch.proof};
        if (const auto* known = live_proofs_.find(key)) {
            body.varint(1 + known->place);
        } else {
            live_proofs_.add(key);
            body.varint(0);
            write_proof(batch.proof, body);
        }
        crdt::encode_live_batch(batch, body);
    }
    EnvelopeWriter writer(out);
    writer.array(4);
    writer.integer(static_cast<std::uint64_t>(MessageType::live_values));
    writer.integer(message.document);
    writer.integer(message.is_last ? 1 : 0);
    writer.bytes(body_);
}

LiveWant read_live_want(EnvelopeReader& in) {
    LiveWant want;
    want.document = in.integer_at_most(kNumberMax);
    const ByteView bytes = in.bytes(kMarkSize * crdt::kLiveCountMax);
    if (bytes.size() % kMarkSize != 0) in.refuse(Errc::malformed, "half a mark of a live value");
    crdt::ByteReader body(bytes);
    want.marks.reserve(bytes.size() / kMarkSize);
    while (in.ok() && body.remaining() > 0) {
        crdt::LiveMark mark;
        mark.slot = body.fixed<crdt::LiveHash>();
        mark.stamp = body.u64();
        mark.tag = body.u64();
        if (!want.marks.empty() && want.marks.back().slot >= mark.slot) {
            in.refuse(Errc::malformed, "marks of live values out of order");
        }
        want.marks.push_back(mark);
    }
    return want;
}

Message MessageReader::read_live_values(EnvelopeReader& in) {
    LiveValues values;
    values.document = in.integer_at_most(kNumberMax);
    values.is_last = in.integer_at_most(1) != 0;
    crdt::ByteReader body(in.bytes(kLiveSizeMax));
    while (body.ok() && body.remaining() > 0) {
        const std::uint64_t name = body.varint();
        const crdt::ActorProof* proof = nullptr;
        if (name == 0) {
            const crdt::ActorProof fresh = read_proof(body);
            if (!body.ok()) break;
            proof = &live_proofs_.add(fresh);
        } else {
            proof = live_proofs_.at(name - 1);
        }
        if (proof == nullptr) {
            body.refuse(Errc::malformed, "live values of an actor that was not named");
            break;
        }
        values.batches.push_back(crdt::decode_live_batch(*proof, body));
    }
    if (!body.ok()) in.refuse(body.error().code, body.error().what);
    if (in.ok() && values.batches.empty() && !values.is_last) {
        in.refuse(Errc::malformed, "live values without a value");
    }
    return values;
}

}  // namespace joinery::session
