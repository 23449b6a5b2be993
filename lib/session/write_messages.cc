#include "session/messages.h"

namespace joinery::session {
namespace {

/// The head of a message: its array and type.
EnvelopeWriter begin(Bytes& out, MessageType type, std::size_t field_count) {
    EnvelopeWriter writer(out);
    writer.array(1 + field_count);
    writer.integer(static_cast<std::uint64_t>(type));
    return writer;
}

void write_state(EnvelopeWriter& writer, const State& state) {
    Bytes bytes;
    crdt::ByteWriter body(bytes);
    if (!state.is_empty) {
        body.u8(static_cast<std::uint8_t>((state.is_durable ? 1U : 0U) | (state.digest ? 2U : 0U) |
                                          (state.live ? 4U : 0U)));
        body.raw(state.frontier.view());
        if (state.digest) body.raw(state.digest->view());
    } else if (state.live) {
        body.u8(4U | 8U);
    }
    if (state.live) body.raw(state.live->view());
    writer.bytes(bytes);
}

}  // namespace

void MessageWriter::write_actor(const ActorId& actor) {
    crdt::ByteWriter body(body_);
    if (const auto* known = actors_.find(actor)) return body.varint(1 + known->place);
    actors_.add(actor);
    body.varint(0);
    body.raw(actor.view());
}

void MessageWriter::write_seals(std::span<const crdt::Seal> seals) {
    body_.clear();
    crdt::ByteWriter body(body_);
    for (const crdt::Seal& seal : seals) {
        const ProofKey key{seal.proof};
        auto* entry = proofs_.find(key);
        if (entry != nullptr) {
            body.varint(1 + entry->place);
        } else {
            entry = &proofs_.add(key);
            body.varint(0);
            write_proof(seal.proof, body);
        }
        body.zigzag(static_cast<std::int64_t>(seal.seq - entry->last_seq));
        entry->last_seq = seal.seq;
        body.raw(seal.signature.view());
    }
}

void MessageWriter::write_frontier(const Frontier& frontier) {
    body_.clear();
    crdt::ByteWriter body(body_);
    for (const FrontierEntry& entry : frontier) {
        write_actor(entry.actor);
        body.varint(entry.seq);
        body.raw(entry.hash_prefix);
    }
}

void MessageWriter::write(const Hello& message, Bytes& out) {
    const bool is_limited = !is_everything(message.access);
    EnvelopeWriter writer = begin(out, MessageType::hello, is_limited ? 6 : 4);
    const auto write_patterns = [&writer](const std::vector<std::string>& patterns) {
        writer.array(patterns.size());
        for (const std::string& pattern : patterns)
            writer.text(pattern);
    };
    writer.text(message.name);
    write_patterns(message.patterns);
    writer.integer(message.is_once ? 1 : 0);
    writer.integer(message.document_max);
    if (!is_limited) return;
    write_patterns(message.access.reads);
    write_patterns(message.access.writes);
}

void MessageWriter::write(const Have& message, Bytes& out) {
    EnvelopeWriter writer = begin(out, MessageType::have, 1);
    writer.array(2 * message.entries.size());
    for (const Have::Entry& entry : message.entries) {
        if (entry.id.empty()) {
            writer.integer(entry.theirs);
        } else {
            writer.text(entry.id);
        }
        write_state(writer, entry.state);
    }
}

void MessageWriter::write(const Listed& /*message*/, Bytes& out) {
    begin(out, MessageType::listed, 0);
}

void MessageWriter::write(const Changes& message, Bytes& out) {
    write_seals(message.seals);
    // A message of its own is made in one piece of memory, not in three that grow.
    constexpr std::size_t kFramingMax = 32;
    if (out.empty()) out.reserve(body_.size() + message.batch.size() + kFramingMax);
    EnvelopeWriter writer = begin(out, MessageType::changes, 3);
    writer.integer(message.document);
    writer.bytes(body_);
    writer.bytes(message.batch);
}

void MessageWriter::write(const FrontierNote& message, Bytes& out) {
    write_frontier(message.frontier);
    EnvelopeWriter writer = begin(out, MessageType::frontier, 4);
    writer.integer(message.document);
    writer.integer((message.asks ? 1U : 0U) | (message.is_durable ? 2U : 0U));
    writer.bytes(message.digest ? message.digest->view() : ByteView());
    writer.bytes(body_);
}

void MessageWriter::write(const Check& message, Bytes& out) {
    EnvelopeWriter writer = begin(out, MessageType::check, 3);
    writer.integer(message.document);
    writer.integer(message.received_count);
    write_state(writer, message.state);
}

void MessageWriter::write(const Answer& message, Bytes& out) {
    EnvelopeWriter writer = begin(out, MessageType::answer, 2);
    writer.integer(message.document);
    writer.integer(static_cast<std::uint64_t>(message.verdict));
}

void MessageWriter::write(const Ack& message, Bytes& out) {
    body_.clear();
    crdt::ByteWriter body(body_);
    for (const Ack::Entry& entry : message.entries) {
        write_actor(entry.actor);
        body.varint(entry.seq);
    }
    EnvelopeWriter writer = begin(out, MessageType::ack, 2);
    writer.integer(message.document);
    writer.bytes(body_);
}

void MessageWriter::write(const Resync& message, Bytes& out) {
    write_frontier(message.frontier);
    EnvelopeWriter writer = begin(out, MessageType::resync, 3);
    writer.integer(message.document);
    writer.integer(message.number);
    writer.bytes(body_);
}

void MessageWriter::write(const Restart& message, Bytes& out) {
    EnvelopeWriter writer = begin(out, MessageType::restart, 2);
    writer.integer(message.document);
    writer.integer(message.number);
}

void MessageWriter::write(const Refuse& message, Bytes& out) {
    EnvelopeWriter writer = begin(out, MessageType::refuse, 2);
    writer.integer(message.document);
    writer.integer(static_cast<std::uint64_t>(message.code));
}

void MessageWriter::write(const Bye& message, Bytes& out) {
    EnvelopeWriter writer = begin(out, MessageType::bye, 2);
    writer.integer(message.code ? static_cast<std::uint64_t>(*message.code) : 0);
    writer.text(message.text);
}

}  // namespace joinery::session
