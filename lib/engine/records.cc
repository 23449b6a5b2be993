#include "engine/records.h"

#include "base/value.h"
#include "crdt/cursor.h"

#include <algorithm>

namespace joinery::detail {
namespace {

using crdt::ByteReader;
using crdt::ByteWriter;

constexpr std::uint8_t kRecordVersion = 1;
/// Of a document in which an actor has forked: what older builds would take it for, it is not.
constexpr std::uint8_t kForkedRecordVersion = 2;
constexpr std::size_t kDocumentIdSizeMax = 255;

void write_proof(const crdt::ActorProof& proof, ByteWriter& out) {
    out.raw(proof.device.view());
    out.raw(proof.incarnation.view());
    out.varint(proof.writer_slot);
    out.varint(proof.writer_generation);
}

crdt::ActorProof read_proof(ByteReader& in) {
    crdt::ActorProof proof;
    proof.device = in.fixed<DeviceKey>();
    proof.incarnation = in.fixed<Incarnation>();
    proof.writer_slot =
        static_cast<std::uint32_t>(in.varint_at_most(UINT32_MAX, "writer slot too great"));
    proof.writer_generation =
        static_cast<std::uint32_t>(in.varint_at_most(UINT32_MAX, "writer generation too great"));
    return proof;
}

/// Big-endian, so that keys sort as their numbers do.
template <class T>
void append_number(Bytes& out, T number) {
    for (unsigned shift = sizeof(T) * 8; shift != 0; shift -= 8) {
        out.push_back(static_cast<std::uint8_t>(number >> (shift - 8)));
    }
}

std::uint64_t read_number(ByteView bytes) {
    std::uint64_t number = 0;
    for (const std::uint8_t byte : bytes)
        number = (number << 8U) | byte;
    return number;
}

Bytes key_of(DocumentNumber document, ByteView middle, std::uint64_t number) {
    Bytes key;
    append_number(key, document);
    key.insert(key.end(), middle.begin(), middle.end());
    append_number(key, number);
    return key;
}

bool is_of(ByteView key, std::size_t size, DocumentNumber document) {
    return key.size() == size && read_number(key.first(4)) == document;
}

Result<void> check_version(ByteReader& in) {
    const std::uint8_t version = in.u8();
    if (in.ok() && version != kRecordVersion) {
        return fail(Errc::unsupported, "record of a newer Joinery; update this program");
    }
    return {};
}

}  // namespace

Bytes document_key(std::string_view id) {
    const ByteView bytes = as_bytes(id);
    return {bytes.begin(), bytes.end()};
}

Result<void> for_each_sound(StoreReader& reader,
                            Table table,
                            ByteView prefix,
                            const std::function<void(ByteView key, ByteView value)>& visit) {
    Bytes from(prefix.begin(), prefix.end());
    while (true) {
        const auto record = reader.first_at_or_after(table, from);
        if (!record && record.error().code != Errc::damaged) return record.error();
        const ByteView key =
            record ? (*record ? (*record)->key : ByteView()) : reader.damaged_key();
        if (key.size() < prefix.size() || !std::ranges::equal(key.first(prefix.size()), prefix)) {
            return {};
        }
        if (record) visit(key, (*record)->value);
        from.assign(key.begin(), key.end());
        from.push_back(0);
    }
}

Result<void> check_document_id(std::string_view id) {
    if (id.empty() || id.size() > kDocumentIdSizeMax) {
        return fail(Errc::malformed, "a document's id has 1 to 255 bytes");
    }
    const bool has_control =
        std::ranges::any_of(id, [](char c) { return static_cast<unsigned char>(c) < 0x20; });
    if (has_control || !is_utf8(as_bytes(id))) {
        return fail(Errc::malformed, "a document's id is UTF-8 without control characters");
    }
    return {};
}

Bytes document_prefix(DocumentNumber document) {
    Bytes prefix;
    append_number(prefix, document);
    return prefix;
}

Bytes segment_key(DocumentNumber document, std::uint64_t arrival) {
    return key_of(document, {}, arrival);
}

Bytes snapshot_key(DocumentNumber document, std::uint64_t arrival) {
    return key_of(document, {}, arrival);
}

Bytes index_key(DocumentNumber document, const ActorId& actor, std::uint64_t seq) {
    return key_of(document, actor.view(), seq);
}

Bytes seal_key(DocumentNumber document, const ActorId& actor, std::uint64_t seq) {
    return key_of(document, actor.view(), seq);
}

Bytes live_count_key(DocumentNumber document) {
    Bytes key;
    append_number(key, document);
    return key;
}

Bytes live_batch_key(DocumentNumber document, const crdt::LiveHash& name) {
    Bytes key = live_count_key(document);
    key.insert(key.end(), name.bytes.begin(), name.bytes.end());
    return key;
}

std::optional<crdt::LiveHash> live_name_of(ByteView key, DocumentNumber document) {
    if (!is_of(key, 4 + crdt::LiveHash::kSize, document)) return std::nullopt;
    crdt::LiveHash name;
    std::memcpy(name.bytes.data(), key.data() + 4, name.bytes.size());
    return name;
}

std::optional<std::uint64_t> arrival_of(ByteView key, DocumentNumber document) {
    if (!is_of(key, 12, document)) return std::nullopt;
    return read_number(key.subspan(4));
}

std::optional<std::uint64_t> seq_of(ByteView key, DocumentNumber document, const ActorId& actor) {
    if (!is_of(key, 28, document)) return std::nullopt;
    if (std::memcmp(key.data() + 4, actor.bytes.data(), ActorId::kSize) != 0) return std::nullopt;
    return read_number(key.subspan(20));
}

Bytes encode_record(const DocumentRecord& record) {
    Bytes bytes;
    ByteWriter out(bytes);
    out.u8(record.is_forked() ? kForkedRecordVersion : kRecordVersion);
    out.varint(record.number);
    out.varint(record.change_count);
    out.varint(record.snapshot_count);
    out.varint(record.stored_size);
    if (record.is_forked()) out.varint(record.branch_count);
    return bytes;
}

Result<DocumentRecord> decode_document_record(ByteView bytes) {
    const bool is_forked = !bytes.empty() && bytes.front() == kForkedRecordVersion;
    ByteReader in(is_forked ? bytes.subspan(1) : bytes);
    if (!is_forked) JOINERY_TRY_VOID(check_version(in));
    DocumentRecord record;
    record.number =
        static_cast<DocumentNumber>(in.varint_at_most(UINT32_MAX, "document number too great"));
    record.change_count = in.varint();
    record.snapshot_count = in.varint();
    record.stored_size = in.varint();
    if (is_forked) record.branch_count = in.varint();
    if (is_forked && record.branch_count == 0) {
        in.refuse(Errc::malformed, "forked document without a branch");
    }
    JOINERY_TRY_VOID(in.finish());
    return record;
}

Bytes encode_arrival(std::uint64_t arrival) {
    Bytes bytes;
    ByteWriter(bytes).varint(arrival);
    return bytes;
}

Result<std::uint64_t> decode_arrival(ByteView bytes) {
    ByteReader in(bytes);
    const std::uint64_t arrival = in.varint();
    JOINERY_TRY_VOID(in.finish());
    return arrival;
}

Bytes encode_seal(const crdt::Seal& seal) {
    Bytes bytes;
    ByteWriter out(bytes);
    out.u8(kRecordVersion);
    write_proof(seal.proof, out);
    out.varint(seal.seq);
    out.raw(seal.signature.view());
    return bytes;
}

Result<crdt::Seal> decode_seal(ByteView bytes) {
    ByteReader in(bytes);
    JOINERY_TRY_VOID(check_version(in));
    crdt::Seal seal;
    seal.proof = read_proof(in);
    seal.seq = in.varint();
    seal.signature = in.fixed<Signature>();
    JOINERY_TRY_VOID(in.finish());
    return seal;
}

Bytes encode_live_record(const crdt::LiveBatch& batch) {
    Bytes bytes;
    ByteWriter out(bytes);
    out.u8(kRecordVersion);
    write_proof(batch.proof, out);
    crdt::encode_live_batch(batch, out);
    return bytes;
}

Result<crdt::LiveBatch> decode_live_record(ByteView bytes) {
    ByteReader in(bytes);
    JOINERY_TRY_VOID(check_version(in));
    crdt::LiveBatch batch = crdt::decode_live_batch(read_proof(in), in);
    JOINERY_TRY_VOID(in.finish());
    return batch;
}

Bytes encode_segment(const Segment& segment) {
    Bytes bytes;
    ByteWriter out(bytes);
    out.u8(kRecordVersion);
    out.u8(segment.starts_flush ? 1 : 0);
    out.varint(segment.change_count);
    out.varint(segment.chains.size());
    for (const Segment::Chain& chain : segment.chains) {
        out.raw(chain.actor.view());
        out.varint(chain.first_seq);
        out.raw(chain.previous.view());
    }
    out.varint(segment.outer_hashes.size());
    for (const ChangeHash& hash : segment.outer_hashes)
        out.raw(hash.view());
    out.raw(segment.changes);
    return bytes;
}

Result<Segment> decode_segment(ByteView bytes) {
    ByteReader in(bytes);
    JOINERY_TRY_VOID(check_version(in));
    Segment segment;
    const std::uint8_t flags = in.u8();
    if (flags > 1) in.refuse(Errc::unsupported, "unknown flag of a segment");
    segment.starts_flush = flags == 1;
    segment.change_count = in.varint();
    const std::size_t chain_count = in.count(ActorId::kSize + 1 + ChangeHash::kSize);
    segment.chains.reserve(chain_count);
    for (std::size_t i = 0; i < chain_count && in.ok(); ++i) {
        Segment::Chain chain;
        chain.actor = in.fixed<ActorId>();
        chain.first_seq = in.varint();
        chain.previous = in.fixed<ChangeHash>();
        segment.chains.push_back(chain);
    }
    const std::size_t hash_count = in.count(ChangeHash::kSize);
    segment.outer_hashes.reserve(hash_count);
    for (std::size_t i = 0; i < hash_count && in.ok(); ++i) {
        segment.outer_hashes.push_back(in.fixed<ChangeHash>());
    }
    segment.changes = in.rest();
    if (!in.ok()) return in.error();
    return segment;
}

}  // namespace joinery::detail
