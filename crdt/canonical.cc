#include "crdt/canonical.h"

#include "crdt/cursor.h"
#include "crdt/hash.h"

#include <algorithm>

namespace joinery::crdt {
namespace {

/// Operations up to this size enter the chain hash as they are: one BLAKE2b block does for the
/// change, which halves the cost of small ones; longer ones enter as their hash.
constexpr std::size_t kInlineOperationsMax = 63;
constexpr std::uint8_t kHashedOperations = 0xff;
constexpr std::uint8_t kChangeVersion = 1;
constexpr std::uint8_t kRefusalVersion = 2;

enum class DotForm : std::uint8_t { none = 0, own = 1, other = 2, by_key = 3 };

// Each of these writes at `at`, where there is room, and returns where the next byte goes: a change
// is hashed for every commit and for every change that arrives, and growing a vector byte by byte
// cost more than a third of the hash.

std::uint8_t* put_u8(std::uint8_t* at, std::uint8_t value) {
    *at = value;
    return at + 1;
}
std::uint8_t* put_u64(std::uint8_t* at, std::uint64_t value) {
    store_u64(at, value);
    return at + sizeof value;
}
std::uint8_t* put_varint(std::uint8_t* at, std::uint64_t value) {
    for (; value >= 0x80; value >>= 7U)
        *at++ = static_cast<std::uint8_t>(value | 0x80U);
    *at = static_cast<std::uint8_t>(value);
    return at + 1;
}
std::uint8_t* put_zigzag(std::uint8_t* at, std::int64_t value) {
    return put_varint(at, zigzag_of(value));
}
std::uint8_t* put_raw(std::uint8_t* at, ByteView bytes) {
    if (!bytes.empty()) std::memcpy(at, bytes.data(), bytes.size());
    return at + bytes.size();
}
template <std::size_t N, class Tag>
std::uint8_t* put_raw(std::uint8_t* at, const FixedBytes<N, Tag>& bytes) {
    std::memcpy(at, bytes.bytes.data(), N);
    return at + N;
}
std::uint8_t* put_sized(std::uint8_t* at, ByteView bytes) {
    return put_raw(put_varint(at, bytes.size()), bytes);
}
std::uint8_t* put_total(std::uint8_t* at, Int128 total) {
    at = put_u64(at, static_cast<std::uint64_t>(total));
    return put_u64(at, static_cast<std::uint64_t>(total >> 64));
}

class OperationWriter {
  public:
    OperationWriter(const Names& names, const Batch& batch, ChainIndex author)
        : names_(names), batch_(batch), author_(author) {}

    /// At least as much as write() writes.
    std::size_t size_bound(const Op& op) const {
        std::size_t size = kFixedMax;
        if (!has_elements(names_.container(op.container).kind)) size += names_.key(op.key).size();
        if (op.kind == OpKind::erase) size += op.extra_count * kCellMax;
        const auto type = op.value.type();
        if (type == ValueType::string || type == ValueType::bytes) {
            size += op.value.content().size();
        }
        return size;
    }

    std::uint8_t* write(std::uint8_t* at, const Op& op, std::uint64_t counter) const {
        at = put_u8(at,
                    static_cast<std::uint8_t>(static_cast<unsigned>(op.kind) |
                                              (static_cast<unsigned>(op.made) << 4U)));
        const Names::Container& container = names_.container(op.container);
        at = put_raw(at, names_.container_id(op.container));
        if (op.kind == OpKind::increment) return put_increment(at, op, counter);
        if (has_elements(container.kind)) {
            at = put_element(at, op, counter);
        } else {
            at = put_sized(at, as_bytes(names_.key(op.key)));
        }
        if (op.kind == OpKind::erase) return put_cells(at, op);
        at = put_stamp(at, op);
        if (op.kind == OpKind::insert || op.kind == OpKind::move) {
            at = put_dot(at, batch_.places[op.extra].left);
            at = put_dot(at, batch_.places[op.extra].right);
        }
        const bool has_value = op.kind == OpKind::put || op.kind == OpKind::insert;
        return has_value && op.made == Kind::none ? put_value(at, op.value) : at;
    }

  private:
    static constexpr std::size_t kDotMax = 1 + ActorId::kSize + kVarintSizeMax;
    static constexpr std::size_t kTotalSize = 16;
    static constexpr std::size_t kCellMax =
        PathId::kSize + ActorId::kSize + 2 * kVarintSizeMax + kTotalSize;
    /// Head, container, element (or the key's size) and the most of what follows: stamp, two places
    /// and a value's type and number or size. The others are shorter.
    static constexpr std::size_t kFixedMax =
        1 + PathId::kSize + kDotMax + 1 + kVarintSizeMax + 2 * kDotMax + 1 + kVarintSizeMax;
    static_assert(kFixedMax >= 1 + PathId::kSize + 2 * kVarintSizeMax + kTotalSize,
                  "an increment fits");

    static std::uint8_t* put_form(std::uint8_t* at, DotForm form) {
        return put_u8(at, static_cast<std::uint8_t>(form));
    }

    std::uint8_t* put_dot(std::uint8_t* at, Dot dot) const {
        if (dot.chain == kNone) return put_form(at, DotForm::none);
        if (dot.chain == author_) {
            at = put_form(at, DotForm::own);
        } else {
            at = put_form(at, DotForm::other);
            at = put_raw(at, names_.actor(dot.chain));
        }
        return put_varint(at, dot.counter);
    }
    std::uint8_t* put_element(std::uint8_t* at, const Op& op, std::uint64_t counter) const {
        const Names::Element& element = names_.element(op.key);
        if (names_.is_by_key(op.key)) {
            return put_raw(put_form(at, DotForm::by_key), names_.element_id(op.key));
        }
        if (element.chain == author_ && element.counter == counter) {
            return put_form(at, DotForm::none);  // The element that this very insert makes.
        }
        return put_dot(at, {element.chain, element.counter});
    }
    static std::uint8_t* put_stamp(std::uint8_t* at, const Op& op) {
        if (op.stamp == kNoStamp) return put_u8(at, 0);
        return put_zigzag(put_u8(at, 1), op.stamp);
    }
    static std::uint8_t* put_value(std::uint8_t* at, const Value& value) {
        at = put_u8(at, static_cast<std::uint8_t>(value.type()));
        switch (value.type()) {
            case ValueType::null: return at;
            case ValueType::boolean: return put_u8(at, value.as_bool() ? 1 : 0);
            case ValueType::integer:
            case ValueType::timestamp:
                return put_zigzag(at, static_cast<std::int64_t>(value.payload()));
            case ValueType::real: return put_u64(at, value.payload());
            case ValueType::string:
            case ValueType::bytes: return put_sized(at, value.content());
        }
        return at;
    }
    std::uint8_t* put_increment(std::uint8_t* at, const Op& op, std::uint64_t counter) const {
        const IncrementExtra& extra = batch_.increments[op.extra];
        at = put_zigzag(at, extra.delta);
        at = put_varint(at, counter - extra.origin);
        at = put_varint(at, extra.previous);
        return put_total(at, extra.total);
    }
    std::uint8_t* put_cells(std::uint8_t* at, const Op& op) const {
        const auto cells = batch_.seen_cells_of(op);
        at = put_varint(at, cells.size());
        for (const SeenCell& cell : cells) {
            at = put_raw(at, names_.container_id(cell.counter));
            at = put_raw(at, names_.actor(cell.chain));
            at = put_varint(at, cell.origin);
            at = put_varint(at, cell.last);
            at = put_total(at, cell.total);
        }
        return at;
    }

    const Names& names_;
    const Batch& batch_;
    ChainIndex author_;
};

/// A pointer into a buffer that grows: makes room for @p size more bytes at @p at.
std::uint8_t* make_room(Bytes& buffer, std::uint8_t* at, std::size_t size) {
    const auto used = static_cast<std::size_t>(at - buffer.data());
    if (buffer.size() - used < size) buffer.resize(std::max(buffer.size() * 2, used + size));
    return buffer.data() + used;
}

}  // namespace

ChangeHash chain_origin(std::string_view document, const ActorId& actor) {
    Bytes input;
    ByteWriter out(input);
    out.raw(as_bytes("joinery chain"));
    out.sized(as_bytes(document));
    out.raw(actor.view());
    return hash_as<ChangeHash>(input);
}

ChangeHash ChangeHasher::hash(const Names& names,
                              const Batch& batch,
                              const ChangeHeader& change,
                              const ChangeHash& previous,
                              std::span<const ChangeHash> dependencies) {
    JOINERY_ASSERT(dependencies.size() == change.dependency_count);
    const std::string_view message = batch.message_of(change);
    constexpr std::size_t kHeadMax = 1 + ChangeHash::kSize + 4 * kVarintSizeMax + 1;
    std::uint8_t* at = make_room(input_, input_.data(), kHeadMax + message.size());
    const bool is_refusal = change.refused != kNone;
    at = put_u8(at, is_refusal ? kRefusalVersion : kChangeVersion);
    at = put_raw(at, previous);
    if (is_refusal) at = put_varint(at, change.refused);
    at = put_zigzag(at, change.time_ms);
    at = put_varint(at, change.op_count);
    at = put_sized(at, as_bytes(message));
    const auto begin = static_cast<std::size_t>(at - input_.data());
    at = put_u8(at, 0);  // The operations' size.
    const OperationWriter operations(names, batch, change.chain);
    std::uint64_t counter = change.counter;
    for (const Op& op : batch.ops_of(change)) {
        at = make_room(input_, at, operations.size_bound(op));
        at = operations.write(at, op, counter++);
    }
    operations_size_ = static_cast<std::size_t>(at - input_.data()) - begin - 1;
    at = make_room(input_, at, ChangeHash::kSize * (1 + dependencies.size()));
    if (operations_size_ <= kInlineOperationsMax) {
        input_[begin] = static_cast<std::uint8_t>(operations_size_);
    } else {
        std::uint8_t* const ops = input_.data() + begin;
        const auto hash = hash_as<ChangeHash>(ByteView(ops + 1, operations_size_));
        at = put_raw(put_u8(ops, kHashedOperations), hash);
    }
    for (const ChangeHash& dependency : dependencies)
        at = put_raw(at, dependency);
    return hash_as<ChangeHash>(
        ByteView(input_.data(), static_cast<std::size_t>(at - input_.data())));
}

}  // namespace joinery::crdt
