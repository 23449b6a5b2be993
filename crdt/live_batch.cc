#include "crdt/live_batch.h"

#include "crdt/hash.h"
#include "crdt/value_content.h"

#include <algorithm>
#include <tuple>

namespace joinery::crdt {
namespace {

constexpr std::uint8_t kHashItem = 0;     // An overwritten write.
constexpr std::uint8_t kNewMapItem = 1;   // A write; its map is written.
constexpr std::uint8_t kSameMapItem = 2;  // A write to the map of the write before it.

constexpr std::uint8_t kNothing = 0;  // Else 1 + the type of the value.

void write_value(const std::optional<Value>& value, ByteWriter& out) {
    if (!value) return out.u8(kNothing);
    out.u8(static_cast<std::uint8_t>(1 + static_cast<unsigned>(value->type())));
    write_content(*value, out);
}

std::optional<Value> read_value(ByteReader& in) {
    const std::uint8_t head = in.u8();
    if (head == kNothing) return std::nullopt;
    if (head > 1 + static_cast<unsigned>(ValueType::timestamp)) {
        in.refuse(Errc::unsupported, "value of an unknown type");
        return std::nullopt;
    }
    return read_content(
        static_cast<ValueType>(head - 1), in, kLiveValueSizeMax, "live value longer than 1 KiB");
}

LiveHash hash_of(const Bytes& input) {
    LiveHash hash;
    hash_into(input, hash.bytes);
    return hash;
}

bool precedes(const LiveWrite& a, const LiveWrite& b) {
    return std::tie(a.map, a.key) < std::tie(b.map, b.key);
}

}  // namespace

LiveHash live_slot(const PathId& map, std::string_view key) {
    Bytes input;
    ByteWriter out(input);
    out.raw(map.view());
    out.raw(as_bytes(key));
    return hash_of(input);
}

LiveHash live_item_hash(const ActorId& actor, const LiveWrite& write) {
    Bytes input;
    ByteWriter out(input);
    out.raw(actor.view());
    out.raw(write.map.view());
    out.sized(as_bytes(write.key));
    out.u64(write.stamp);
    write_value(write.value, out);
    return hash_of(input);
}

Bytes live_signed_bytes(std::string_view document,
                        const ActorId& actor,
                        std::span<const LiveItem> items) {
    Bytes message;
    ByteWriter out(message);
    out.raw(as_bytes("joinery live 1"));
    out.sized(as_bytes(document));
    out.raw(actor.view());
    out.varint(items.size());
    for (const LiveItem& item : items)
        out.raw(item.hash.view());
    return message;
}

LiveBatch make_live_batch(const SigningKey& key,
                          const ActorProof& proof,
                          std::string_view document,
                          std::span<const LiveWrite> writes) {
    JOINERY_ASSERT(key.public_key() == proof.device);
    JOINERY_ASSERT(!writes.empty() && writes.size() <= kLiveBatchMax);
    LiveBatch batch{proof, {}, {}};
    const ActorId actor = actor_of(proof);
    for (const LiveWrite& write : writes) {
        JOINERY_ASSERT(batch.items.empty() || precedes(*batch.items.back().write, write));
        batch.items.push_back({live_item_hash(actor, write), write});
    }
    batch.signature = key.sign(live_signed_bytes(document, actor, batch.items));
    return batch;
}

Result<void> check_live_batch(const LiveBatch& batch, std::string_view document) {
    const Bytes message = live_signed_bytes(document, actor_of(batch.proof), batch.items);
    if (verify(batch.proof.device, message, batch.signature)) return {};
    return fail(Errc::untrusted, "live values that their device did not sign");
}

void encode_live_batch(const LiveBatch& batch, ByteWriter& out) {
    out.raw(batch.signature.view());
    out.varint(batch.items.size());
    const LiveWrite* last = nullptr;
    for (const LiveItem& item : batch.items) {
        if (!item.write) {
            out.u8(kHashItem);
            out.raw(item.hash.view());
            continue;
        }
        const bool same_map = last != nullptr && last->map == item.write->map;
        out.u8(same_map ? kSameMapItem : kNewMapItem);
        if (!same_map) out.raw(item.write->map.view());
        out.sized(as_bytes(item.write->key));
        const std::uint64_t before = last != nullptr ? last->stamp : 0;
        out.zigzag(static_cast<std::int64_t>(item.write->stamp - before));
        write_value(item.write->value, out);
        last = &*item.write;
    }
}

namespace {

LiveWrite read_write(std::uint8_t tag, const LiveWrite* last, ByteReader& in) {
    LiveWrite write;
    if (tag == kNewMapItem) {
        write.map = in.fixed<PathId>();
        if (last != nullptr && last->map == write.map) {
            in.refuse(Errc::malformed, "map that is written twice");
        }
    } else if (tag == kSameMapItem && last != nullptr) {
        write.map = last->map;
    } else {
        in.refuse(Errc::malformed, "impossible item of a batch");
    }
    write.key = as_text(in.sized(kKeySizeMax, "key longer than 1 KiB"));
    if (in.ok() && !is_utf8(as_bytes(write.key))) {
        in.refuse(Errc::malformed, "key that is not UTF-8");
    }
    const auto step = static_cast<std::uint64_t>(in.zigzag());
    write.stamp = (last != nullptr ? last->stamp : 0) + step;
    if (write.stamp > kLiveStampMax) in.refuse(Errc::malformed, "impossible stamp");
    write.value = read_value(in);
    if (in.ok() && last != nullptr && !precedes(*last, write)) {
        in.refuse(Errc::malformed, "items of a batch out of order");
    }
    return write;
}

}  // namespace

LiveBatch decode_live_batch(const ActorProof& proof, ByteReader& in) {
    LiveBatch batch{proof, in.fixed<Signature>(), {}};
    const std::size_t count = in.count(1 + 1 + 1 + 1);
    if (in.ok() && (count == 0 || count > kLiveBatchMax)) {
        in.refuse(Errc::over_limit, "batch of too few or too many items");
    }
    if (!in.ok()) return batch;
    const ActorId actor = actor_of(proof);
    // An iterator would not survive: the items move as they grow.
    batch.items.reserve(count);
    const LiveWrite* last = nullptr;
    for (std::size_t i = 0; i < count && in.ok(); ++i) {
        LiveItem& item = batch.items.emplace_back();
        const std::uint8_t tag = in.u8();
        if (tag == kHashItem) {
            item.hash = in.fixed<LiveHash>();
            continue;
        }
        item.write = read_write(tag, last, in);
        if (!in.ok()) break;
        item.hash = live_item_hash(actor, *item.write);
        last = &*item.write;
    }
    if (in.ok() && last == nullptr) in.refuse(Errc::malformed, "batch without a write");
    return batch;
}

}  // namespace joinery::crdt
