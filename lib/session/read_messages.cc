#include "base/link.h"
#include "crdt/limits.h"
#include "session/messages.h"
#include "session/pattern.h"

namespace joinery::session {
namespace {

std::uint64_t number(EnvelopeReader& in) { return in.integer_at_most(kNumberMax); }

std::optional<Errc> errc_of(std::uint64_t code) {
    if (code == 0) return std::nullopt;
    // A code of a later version: what matters is that it is an error.
    if (code > static_cast<std::uint64_t>(Errc::untrusted)) return Errc::unsupported;
    return static_cast<Errc>(code);
}

std::optional<DigestPrefix> read_digest(EnvelopeReader& in) {
    const ByteView bytes = in.bytes(DigestPrefix::kSize);
    if (bytes.empty()) return std::nullopt;
    crdt::ByteReader reader(bytes);
    const auto digest = reader.fixed<DigestPrefix>();
    if (!reader.ok()) in.refuse(Errc::malformed, "digest of another size");
    return digest;
}

State read_state(EnvelopeReader& in) {
    State state;
    const ByteView bytes =
        in.bytes(1 + FrontierHash::kSize + DigestPrefix::kSize + crdt::LiveHash::kSize);
    state.is_empty = bytes.empty() || bytes[0] == 12;
    if (bytes.empty()) return state;
    crdt::ByteReader reader(bytes);
    const std::uint8_t flags = reader.u8();
    state.is_durable = (flags & 1U) != 0;
    if (!state.is_empty) state.frontier = reader.fixed<FrontierHash>();
    if ((flags & 2U) != 0) state.digest = reader.fixed<DigestPrefix>();
    if ((flags & 4U) != 0) state.live = reader.fixed<crdt::LiveHash>();
    const bool is_possible = flags <= 7 || flags == 12;
    if (!is_possible || !reader.finish()) in.refuse(Errc::malformed, "impossible state");
    return state;
}

std::vector<std::string> read_patterns(EnvelopeReader& in) {
    std::vector<std::string> patterns(std::min(in.array(), kPatternSizeMax + 1));
    for (std::string& pattern : patterns)
        pattern = in.text(kPatternSizeMax);
    const auto checked = Patterns::of(patterns);
    if (!checked) in.refuse(checked.error().code, checked.error().what);
    return patterns;
}

Message read_hello(std::size_t count, EnvelopeReader& in) {
    Hello hello;
    if (count < 4) in.refuse(Errc::malformed, "hello of too few fields");
    hello.name = in.text(kPeerNameSizeMax);
    hello.patterns = read_patterns(in);
    hello.is_once = in.integer_at_most(1) != 0;
    hello.document_max = in.integer();
    if (count < 6) return hello;
    hello.access.reads = read_patterns(in);
    hello.access.writes = read_patterns(in);
    return hello;
}

Message read_have(EnvelopeReader& in) {
    Have have;
    const std::size_t count = in.array();
    if (count % 2 != 0 || count == 0) in.refuse(Errc::malformed, "announcement of half a document");
    if (count > 2 * kHaveCountMax) in.refuse(Errc::over_limit, "too many documents in a message");
    for (std::size_t i = 0; i < count / 2 && in.ok(); ++i) {
        Have::Entry entry;
        if (in.is_text()) {
            entry.id = in.text(crdt::kKeySizeMax);
            if (entry.id.empty()) in.refuse(Errc::malformed, "document without a name");
        } else {
            entry.theirs = number(in);
        }
        entry.state = read_state(in);
        have.entries.push_back(entry);
    }
    return have;
}

Message read_check(EnvelopeReader& in) {
    Check check;
    check.document = number(in);
    check.received_count = in.integer();
    check.state = read_state(in);
    if (check.state.live) in.refuse(Errc::malformed, "live values in a check");
    return check;
}

Message read_answer(EnvelopeReader& in) {
    const std::uint64_t document = number(in);
    const auto verdict = in.integer_at_most(static_cast<std::uint64_t>(Verdict::stuck));
    return Answer{document, static_cast<Verdict>(verdict)};
}

Message read_restart(EnvelopeReader& in) {
    const std::uint64_t document = number(in);
    return Restart{document, number(in)};
}

Message read_refuse(EnvelopeReader& in) {
    const std::uint64_t document = number(in);
    const auto code = errc_of(in.integer());
    if (!code) in.refuse(Errc::malformed, "refusal without a reason");
    return Refuse{document, code.value_or(Errc::malformed)};
}

Message read_bye(EnvelopeReader& in) {
    const auto code = errc_of(in.integer());
    return Bye{code, std::string(in.text(kByeTextSizeMax))};
}

/// Fields after the type.
std::size_t field_count(MessageType type) {
    switch (type) {
        case MessageType::listed: return 0;
        case MessageType::have: return 1;
        case MessageType::answer:
        case MessageType::ack:
        case MessageType::restart:
        case MessageType::refuse:
        case MessageType::live_want:
        case MessageType::presence:
        case MessageType::bye: return 2;
        case MessageType::live_values:
        case MessageType::changes:
        case MessageType::check:
        case MessageType::resync: return 3;
        case MessageType::frontier: return 4;
        case MessageType::hello: break;
    }
    return 9;
}

}  // namespace

Result<std::optional<Message>> MessageReader::read(ByteView bytes) {
    if (bytes.size() > kMessageSizeMax) return fail(Errc::over_limit, "message too long");
    EnvelopeReader in(bytes);
    const std::size_t count = in.array();
    const std::uint64_t type = in.integer();
    if (!in.ok()) return in.error();
    if (count == 0) return fail(Errc::malformed, "message without a type");
    const bool is_known_optional = type >= static_cast<std::uint64_t>(MessageType::live_want) &&
                                   type <= static_cast<std::uint64_t>(MessageType::presence);
    if (type > static_cast<std::uint64_t>(MessageType::bye) && !is_known_optional) {
        if ((type & kOptionalType) != 0) return std::optional<Message>();
        return fail(Errc::unsupported, "message of an unknown type", type);
    }
    JOINERY_TRY(Message message, read_known(static_cast<MessageType>(type), count - 1, in));
    return std::optional<Message>(std::move(message));
}

Result<Message> MessageReader::read_known(MessageType type, std::size_t count, EnvelopeReader& in) {
    if (type == MessageType::hello) {
        // Later versions may add fields, which this one does not look at.
        Message hello = read_hello(count, in);
        if (!in.ok()) return in.error();
        return hello;
    }
    if (count != field_count(type)) return fail(Errc::malformed, "message of a wrong length");
    Message message;
    switch (type) {
        case MessageType::have: message = read_have(in); break;
        case MessageType::changes: message = read_changes(in); break;
        case MessageType::check: message = read_check(in); break;
        case MessageType::answer: message = read_answer(in); break;
        case MessageType::ack: message = read_ack(in); break;
        case MessageType::restart: message = read_restart(in); break;
        case MessageType::refuse: message = read_refuse(in); break;
        case MessageType::bye: message = read_bye(in); break;
        case MessageType::live_want: message = read_live_want(in); break;
        case MessageType::live_values: message = read_live_values(in); break;
        case MessageType::presence: message = read_presence(in); break;
        case MessageType::frontier: {
            FrontierNote note;
            note.document = number(in);
            const std::uint64_t flags = in.integer_at_most(3);
            note.asks = (flags & 1U) != 0;
            note.is_durable = (flags & 2U) != 0;
            note.digest = read_digest(in);
            note.frontier = read_frontier(in);
            message = std::move(note);
            break;
        }
        case MessageType::resync: {
            Resync resync;
            resync.document = number(in);
            resync.number = number(in);
            resync.frontier = read_frontier(in);
            message = std::move(resync);
            break;
        }
        case MessageType::listed:
        case MessageType::hello: message = Listed{}; break;
    }
    JOINERY_TRY_VOID(in.finish());
    return message;
}

Message MessageReader::read_changes(EnvelopeReader& in) {
    Changes changes;
    changes.document = number(in);
    const ByteView seals = in.bytes(kMessageSizeMax);
    changes.batch = in.bytes(kMessageSizeMax);
    if (in.ok() && changes.batch.empty()) in.refuse(Errc::malformed, "changes without a change");
    if (in.ok()) changes.seals = read_seals(crdt::ByteReader(seals), in);
    return changes;
}

std::vector<crdt::Seal> MessageReader::read_seals(crdt::ByteReader in, EnvelopeReader& out) {
    std::vector<crdt::Seal> seals;
    while (in.ok() && in.remaining() > 0) {
        const std::uint64_t name = in.varint();
        Proof* proof = nullptr;
        if (name == 0) {
            Proof fresh;
            fresh.proof = read_proof(in);
            if (!in.ok()) break;
            proof = &proofs_.add(fresh);
        } else {
            proof = proofs_.at(name - 1);
        }
        if (proof == nullptr) {
            in.refuse(Errc::malformed, "seal of an actor that was not named");
            break;
        }
        crdt::Seal seal;
        seal.proof = proof->proof;
        seal.seq = proof->last_seq + static_cast<std::uint64_t>(in.zigzag());
        seal.signature = in.fixed<Signature>();
        if (seal.seq == 0 || seal.seq > crdt::kCounterMax) {
            in.refuse(Errc::malformed, "seal of an impossible change");
        }
        proof->last_seq = seal.seq;
        seals.push_back(seal);
    }
    if (!in.ok()) out.refuse(in.error().code, in.error().what);
    return seals;
}

ActorId MessageReader::read_actor(crdt::ByteReader& in) {
    const std::uint64_t name = in.varint();
    if (name == 0) {
        const auto actor = in.fixed<ActorId>();
        return in.ok() ? actors_.add(actor) : actor;
    }
    if (const ActorId* actor = actors_.at(name - 1)) return *actor;
    in.refuse(Errc::malformed, "actor that was not named");
    return {};
}

Frontier MessageReader::read_frontier(EnvelopeReader& in) {
    crdt::ByteReader body(in.bytes(kMessageSizeMax));
    Frontier frontier;
    while (body.ok() && body.remaining() > 0) {
        FrontierEntry entry;
        entry.actor = read_actor(body);
        entry.seq = body.varint();
        const ByteView hash = body.raw(entry.hash_prefix.size());
        std::ranges::copy(hash, entry.hash_prefix.begin());
        frontier.push_back(entry);
        if (frontier.size() > kFrontierEntryMax) {
            body.refuse(Errc::over_limit, "frontier of too many actors");
        }
    }
    if (!body.ok()) {
        in.refuse(body.error().code, body.error().what);
    } else if (!is_canonical(frontier)) {
        in.refuse(Errc::malformed, "frontier out of order");
    }
    return frontier;
}

Message MessageReader::read_ack(EnvelopeReader& in) {
    Ack ack;
    ack.document = number(in);
    crdt::ByteReader body(in.bytes(kMessageSizeMax));
    while (body.ok() && body.remaining() > 0) {
        Ack::Entry entry;
        entry.actor = read_actor(body);
        entry.seq = body.varint();
        if (entry.seq == 0 || entry.seq > crdt::kCounterMax) {
            body.refuse(Errc::malformed, "acknowledgement of an impossible change");
        }
        ack.entries.push_back(entry);
    }
    if (!body.ok()) in.refuse(body.error().code, body.error().what);
    return ack;
}

}  // namespace joinery::session
