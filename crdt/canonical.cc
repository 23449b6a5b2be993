#include "crdt/canonical.h"

#include "crdt/cursor.h"
#include "crdt/hash.h"

namespace joinery::crdt {
namespace {

/// Operations up to this size enter the chain hash as they are: one BLAKE2b block does for the
/// change, which halves the cost of small ones; longer ones enter as their hash.
constexpr std::size_t kInlineOperationsMax = 63;
constexpr std::uint8_t kHashedOperations = 0xff;
constexpr std::uint8_t kChangeVersion = 1;

enum class DotForm : std::uint8_t { none = 0, own = 1, other = 2, by_key = 3 };

class OperationWriter {
  public:
    OperationWriter(Bytes& out, const Names& names, const Batch& batch, ChainIndex author)
        : out_(out), names_(names), batch_(batch), author_(author) {}

    void write(const Op& op, std::uint64_t counter) {
        out_.u8(static_cast<std::uint8_t>(static_cast<unsigned>(op.kind) |
                                          (static_cast<unsigned>(op.made) << 4U)));
        const Names::Container& container = names_.container(op.container);
        out_.raw(container.id.view());
        if (op.kind == OpKind::increment) return write_increment(op, counter);
        if (has_elements(container.kind)) {
            write_element(op, counter);
        } else {
            out_.sized(as_bytes(names_.key(op.key)));
        }
        switch (op.kind) {
            case OpKind::put:
                write_stamp(op);
                write_value(op.value);
                break;
            case OpKind::make: write_stamp(op); break;
            case OpKind::erase: write_cells(op); break;
            case OpKind::insert:
                write_stamp(op);
                write_place(batch_.places[op.extra]);
                if (op.made == Kind::none) write_value(op.value);
                break;
            case OpKind::move:
                write_stamp(op);
                write_place(batch_.places[op.extra]);
                break;
            case OpKind::increment: break;
        }
    }

  private:
    void form(DotForm value) { out_.u8(static_cast<std::uint8_t>(value)); }

    void write_dot(Dot dot) {
        if (dot.chain == kNone) return form(DotForm::none);
        if (dot.chain == author_) {
            form(DotForm::own);
        } else {
            form(DotForm::other);
            out_.raw(names_.actor(dot.chain).view());
        }
        out_.varint(dot.counter);
    }
    void write_element(const Op& op, std::uint64_t counter) {
        const Names::Element& element = names_.element(op.key);
        if (names_.is_by_key(op.key)) {
            form(DotForm::by_key);
            out_.raw(names_.element_id(op.key).view());
        } else if (element.chain == author_ && element.counter == counter) {
            form(DotForm::none);  // The element that this very insert makes.
        } else {
            write_dot({element.chain, element.counter});
        }
    }
    void write_stamp(const Op& op) {
        out_.u8(op.stamp != kNoStamp ? 1 : 0);
        if (op.stamp != kNoStamp) out_.zigzag(op.stamp);
    }
    void write_value(const Value& value) {
        out_.u8(static_cast<std::uint8_t>(value.type()));
        switch (value.type()) {
            case ValueType::null: break;
            case ValueType::boolean: out_.u8(value.as_bool() ? 1 : 0); break;
            case ValueType::integer:
            case ValueType::timestamp:
                out_.zigzag(static_cast<std::int64_t>(value.payload()));
                break;
            case ValueType::real: out_.u64(value.payload()); break;
            case ValueType::string:
            case ValueType::bytes: out_.sized(value.content()); break;
        }
    }
    void write_place(const PlaceExtra& place) {
        write_dot(place.left);
        write_dot(place.right);
    }
    void write_total(Int128 total) {
        out_.u64(static_cast<std::uint64_t>(total));
        out_.u64(static_cast<std::uint64_t>(total >> 64));
    }
    void write_increment(const Op& op, std::uint64_t counter) {
        const IncrementExtra& extra = batch_.increments[op.extra];
        out_.zigzag(extra.delta);
        out_.varint(counter - extra.origin);
        out_.varint(extra.previous);
        write_total(extra.total);
    }
    void write_cells(const Op& op) {
        const auto cells = batch_.seen_cells_of(op);
        out_.varint(cells.size());
        for (const SeenCell& cell : cells) {
            out_.raw(names_.container(cell.counter).id.view());
            out_.raw(names_.actor(cell.chain).view());
            out_.varint(cell.origin);
            out_.varint(cell.last);
            write_total(cell.total);
        }
    }

    ByteWriter out_;
    const Names& names_;
    const Batch& batch_;
    ChainIndex author_;
};

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
    operations_.clear();
    OperationWriter operations(operations_, names, batch, change.chain);
    std::uint64_t counter = change.counter;
    for (const Op& op : batch.ops_of(change))
        operations.write(op, counter++);

    input_.clear();
    ByteWriter out(input_);
    out.u8(kChangeVersion);
    out.raw(previous.view());
    out.zigzag(change.time_ms);
    out.varint(change.op_count);
    out.sized(as_bytes(batch.message_of(change)));
    if (operations_.size() <= kInlineOperationsMax) {
        out.sized(operations_);
    } else {
        out.u8(kHashedOperations);
        out.raw(hash_as<ChangeHash>(operations_).view());
    }
    JOINERY_ASSERT(dependencies.size() == change.dependency_count);
    for (const ChangeHash& dependency : dependencies)
        out.raw(dependency.view());
    return hash_as<ChangeHash>(input_);
}

}  // namespace joinery::crdt
