#include "crdt/codec.h"
#include "crdt/codec_fields.h"

#include <algorithm>

namespace joinery::crdt {

using namespace detail;  // NOLINT(google-build-using-namespace): the codec's own constants.

/// Gives names their references, and gathers those that are new for the table.
class NameWriter {
  public:
    NameWriter(const Names& names, EncoderDictionary& dictionary)
        : names_(names), dictionary_(dictionary), fresh_(dictionary.is_fresh()) {
        new_actors_.clear();
        new_keys_.clear();
        new_paths_.clear();
        dictionary_.actors_.resize(names.actor_count(), kNone);
        dictionary_.keys_.resize(names.key_count(), kNone);
        dictionary_.containers_.resize(names.container_count(), kNone);
        dictionary_.elements_.resize(names.element_count(), kNone);
        if (fresh_) {
            dictionary_.containers_[kRoot] = 0;
            dictionary_.path_count_ = 1;
        }
    }

    bool is_fresh() const noexcept { return fresh_; }

    std::uint32_t actor(ChainIndex chain) {
        std::uint32_t& ref = dictionary_.actors_[chain];
        if (ref == kNone) {
            ref = dictionary_.actor_count_++;
            dictionary_.progress.actors.emplace_back();
            new_actors_.push_back(chain);
        }
        return ref;
    }
    std::uint32_t key(KeyIndex key) {
        std::uint32_t& ref = dictionary_.keys_[key];
        if (ref == kNone) {
            ref = dictionary_.key_count_++;
            new_keys_.push_back(key);
        }
        return ref;
    }
    std::uint32_t container(ContainerIndex container) {
        if (dictionary_.containers_[container] == kNone) add_container(container);
        return dictionary_.containers_[container];
    }
    std::uint32_t element(ElementIndex element) {
        if (dictionary_.elements_[element] == kNone) add_element(element);
        return dictionary_.elements_[element];
    }
    /// The reference of a slot's key, by the kind of its container.
    std::uint32_t slot_key(ContainerIndex container_index, std::uint32_t slot_key) {
        return has_elements(names_.container(container_index).kind) ? element(slot_key)
                                                                    : key(slot_key);
    }
    bool has_new() const noexcept {
        return !new_actors_.empty() || !new_keys_.empty() || !new_paths_.empty();
    }
    /// The table of new names.
    void write(Bytes& out) const {
        ByteWriter writer(out);
        writer.varint(new_actors_.size());
        for (const ChainIndex chain : new_actors_)
            writer.raw(names_.actor(chain).view());
        writer.varint(new_keys_.size());
        for (const KeyIndex key : new_keys_)
            writer.sized(as_bytes(names_.key(key)));
        writer.varint(new_path_count_);
        writer.raw(new_paths_);
    }

  private:
    void add_container(ContainerIndex index) {
        const Names::Container& name = names_.container(index);
        const std::uint32_t parent = container(name.parent);
        const std::uint32_t key_ref = slot_key(name.parent, name.key);
        ByteWriter writer(new_paths_);
        writer.u8(static_cast<std::uint8_t>(name.kind));
        writer.varint(parent);
        writer.varint(key_ref);
        dictionary_.containers_[index] = dictionary_.path_count_++;
        ++new_path_count_;
    }
    void add_element(ElementIndex index) {
        const Names::Element& name = names_.element(index);
        const std::uint32_t list = container(name.list);
        ByteWriter writer(new_paths_);
        if (names_.is_by_key(index)) {
            const Names::ElementKey& by_key = names_.element_key(index);
            const std::uint32_t field = key(by_key.field);
            writer.u8(kNameElementByKey);
            writer.varint(list);
            writer.varint(field);
            writer.varint(by_key.occurrence);
            write_value(writer, by_key.value);
        } else {
            const std::uint32_t actor_ref = actor(name.chain);
            writer.u8(kNameElementByDot);
            writer.varint(list);
            writer.varint(actor_ref);
            writer.varint(name.counter);
        }
        dictionary_.elements_[index] = dictionary_.path_count_++;
        ++new_path_count_;
    }
    static void write_value(ByteWriter& writer, const Value& value) {
        writer.u8(static_cast<std::uint8_t>(value.type()));
        if (value.type() == ValueType::string || value.type() == ValueType::bytes) {
            writer.sized(value.content());
        } else {
            writer.u64(value.payload());
        }
    }

    const Names& names_;
    EncoderDictionary& dictionary_;
    bool fresh_;
    std::vector<ChainIndex>& new_actors_ = dictionary_.new_actors_;
    std::vector<KeyIndex>& new_keys_ = dictionary_.new_keys_;
    Bytes& new_paths_ = dictionary_.new_paths_;
    std::size_t new_path_count_ = 0;
};

namespace {

template <class Sink>
class ChangeWriter {
  public:
    ChangeWriter(const Names& names,
                 const Batch& batch,
                 NameWriter& refs,
                 StreamProgress& progress,
                 Sink& sink)
        : names_(names), batch_(batch), refs_(refs), progress_(progress), sink_(sink) {}

    /// @param links  nullptr for nearly all changes.
    void change(const ChangeHeader& header, const ChangeLinks* links) {
        const std::uint32_t actor = refs_.actor(header.chain);
        // By index: writing a name may add actors.
        const ActorProgress known = progress_.actors[actor];
        const bool numbered =
            known.next_counter != header.counter || known.last_seq + 1 != header.seq;
        std::uint64_t flags = 0;
        if (numbered) flags |= kNumberedFlag;
        if (header.dependency_count != 0) flags |= kDependenciesFlag;
        if (header.message_size != 0) flags |= kMessageFlag;
        if (header.op_count == 1) flags |= kSingleOpFlag;
        if (header.refused != kNone) flags |= kRefusalFlag;
        if (links != nullptr) [[unlikely]]
            flags |= flags_of(*links);
        sink_.integer(Field::actor, actor);
        sink_.integer(Field::change_flags, flags);
        // Wraps on purpose: any two times have a difference modulo 2^64.
        const std::uint64_t difference = static_cast<std::uint64_t>(header.time_ms) -
                                         static_cast<std::uint64_t>(progress_.last_time_ms);
        sink_.integer(Field::time, zigzag_of(static_cast<std::int64_t>(difference)));
        if (header.op_count != 1) sink_.integer(Field::op_count, header.op_count);
        if (numbered) {
            sink_.integer(Field::seq, header.seq);
            sink_.integer(Field::counter, header.counter);
        }
        if (header.dependency_count != 0) dependencies(header);
        if (links != nullptr) [[unlikely]]
            this->links(header, *links);
        if (header.refused != kNone) sink_.integer(Field::refused, header.refused);
        if (header.message_size != 0) sink_.text(as_bytes(batch_.message_of(header)));
        std::uint64_t counter = header.counter;
        for (const Op& op : batch_.ops_of(header))
            operation(op, header, actor, counter++);
        progress_.last_time_ms = header.time_ms;
        progress_.actors[actor] = {header.seq, header.counter + header.op_count};
    }

  private:
    void dependencies(const ChangeHeader& header) {
        sink_.integer(Field::dependency_count, header.dependency_count);
        for (const Dependency& dep : batch_.dependencies_of(header)) {
            const std::uint32_t actor = refs_.actor(dep.chain);
            const std::uint64_t last = progress_.actors[actor].last_seq;
            sink_.integer(Field::dependency_actor, actor);
            sink_.integer(Field::dependency_seq,
                          zigzag_of(static_cast<std::int64_t>(dep.seq - last)));
        }
    }

    [[gnu::noinline]] static std::uint64_t flags_of(const ChangeLinks& links) {
        return (links.after ? kAfterFlag : 0) | (links.dependencies.empty() ? 0 : kHashesFlag);
    }
    // Kept out of the way of changes without links, which are nearly all.
    [[gnu::noinline]] void links(const ChangeHeader& header, const ChangeLinks& links) {
        if (links.after) sink_.text(links.after->view());
        const std::size_t count = links.dependencies.size();
        JOINERY_ASSERT(count == 0 || count == header.dependency_count);
        for (const HashPrefix& hash : links.dependencies)
            sink_.text(hash.view());
    }

    static std::uint64_t head_of(const Op& op) {
        std::uint64_t head = static_cast<std::uint64_t>(op.kind);
        if (op.made != Kind::none) {
            head |= kHeadMadeFlag | (static_cast<std::uint64_t>(op.made) << kHeadTypeShift);
        } else if (op.kind == OpKind::put || op.kind == OpKind::insert) {
            head |= static_cast<std::uint64_t>(op.value.type()) << kHeadTypeShift;
        }
        if (op.stamp != kNoStamp) head |= kHeadStampFlag;
        return head;
    }

    void operation(const Op& op,
                   const ChangeHeader& header,
                   std::uint32_t actor,
                   std::uint64_t counter) {
        if (op.kind == OpKind::increment) return increment(op, actor, counter);
        std::uint64_t head = head_of(op);
        const bool is_insert = op.kind == OpKind::insert;
        const bool has_value = op.made == Kind::none && (op.kind == OpKind::put || is_insert);
        const bool is_by_key = is_insert && names_.is_by_key(op.key);
        const bool is_true =
            has_value && op.value.type() == ValueType::boolean && op.value.as_bool();
        if (is_insert ? is_by_key : is_true) head |= kHeadExtraFlag;
        sink_.integer(Field::op_head, head);
        sink_.integer(Field::container, refs_.container(op.container));
        if (!is_insert || is_by_key) {
            sink_.integer(Field::key, refs_.slot_key(op.container, op.key));
        }
        if (op.stamp != kNoStamp) {
            const auto above =
                static_cast<std::uint64_t>(op.stamp) - static_cast<std::uint64_t>(header.time_ms);
            const bool is_any = header.refused != kNone;
            sink_.integer(Field::stamp,
                          is_any ? zigzag_of(static_cast<std::int64_t>(above)) : above);
        }
        if (is_insert || op.kind == OpKind::move) {
            const PlaceExtra& extra = batch_.places[op.extra];
            neighbour(extra.left,
                      header.chain,
                      counter,
                      Field::place_left_form,
                      Field::place_left_counter);
            neighbour(extra.right,
                      header.chain,
                      counter,
                      Field::place_right_form,
                      Field::place_right_counter);
        }
        if (op.kind == OpKind::erase) cells(op);
        if (has_value) value(op.value, is_insert);
    }

    void neighbour(
        Dot dot, ChainIndex author, std::uint64_t counter, Field form, Field counter_field) {
        if (dot.chain == kNone) return sink_.integer(form, kPlaceEdge);
        if (dot.chain == author) {
            sink_.integer(form, kPlaceOwn);
            return sink_.integer(counter_field, counter - dot.counter);
        }
        sink_.integer(form, kPlaceOther + refs_.actor(dot.chain));
        sink_.integer(counter_field, dot.counter);
    }

    void value(const Value& value, bool is_insert) {
        switch (value.type()) {
            case ValueType::null: break;
            case ValueType::boolean:
                // A put's boolean is in its head; an insert's flag there means something else.
                if (is_insert) sink_.integer(Field::integer, value.as_bool() ? 1 : 0);
                break;
            case ValueType::integer:
            case ValueType::timestamp:
                sink_.integer(Field::integer,
                              zigzag_of(static_cast<std::int64_t>(value.payload())));
                break;
            case ValueType::real: sink_.real(value.as_real()); break;
            case ValueType::string:
            case ValueType::bytes: sink_.text(value.content()); break;
        }
    }

    void total(Int128 total) {
        sink_.integer(Field::total_low, static_cast<std::uint64_t>(total));
        sink_.integer(Field::total_high, zigzag_of(static_cast<std::int64_t>(total >> 64)));
    }

    void increment(const Op& op, std::uint32_t actor, std::uint64_t counter) {
        const IncrementExtra& extra = batch_.increments[op.extra];
        RunProgress& run = progress_.runs[{op.container, actor}];
        const bool is_first = extra.previous == 0;
        const bool predicted = is_first
                                   ? extra.total == extra.delta
                                   : run.origin == extra.origin && run.last == extra.previous &&
                                         run.total + extra.delta == extra.total;
        std::uint64_t head = static_cast<std::uint64_t>(OpKind::increment);
        if (is_first) head |= kHeadStampFlag;
        if (!predicted) head |= kHeadExtraFlag;
        sink_.integer(Field::op_head, head);
        sink_.integer(Field::container, refs_.container(op.container));
        sink_.integer(Field::delta, zigzag_of(extra.delta));
        if (!predicted) {
            if (!is_first) {
                sink_.integer(Field::origin, counter - extra.origin);
                sink_.integer(Field::previous, counter - extra.previous);
            }
            total(extra.total);
        }
        run = {extra.origin, counter, extra.total};
    }

    void cells(const Op& op) {
        const auto seen = batch_.seen_cells_of(op);
        sink_.integer(Field::cell_count, seen.size());
        for (const SeenCell& cell : seen) {
            sink_.integer(Field::container, refs_.container(cell.counter));
            sink_.integer(Field::cell_actor, refs_.actor(cell.chain));
            sink_.integer(Field::origin, cell.origin);
            sink_.integer(Field::previous, cell.last);
            total(cell.total);
        }
    }

    const Names& names_;
    const Batch& batch_;
    NameWriter& refs_;
    StreamProgress& progress_;
    Sink& sink_;
};

template <class Sink>
void write_changes(const Names& names,
                   const Batch& batch,
                   std::size_t begin,
                   std::size_t end,
                   NameWriter& refs,
                   StreamProgress& progress,
                   Bytes& body) {
    Sink sink(body);
    ChangeWriter<Sink> writer(names, batch, refs, progress, sink);
    for (std::size_t i = begin; i < end; ++i)
        writer.change(batch.changes[i], batch.links.empty() ? nullptr : batch.links_of(i));
    sink.finish();
}

}  // namespace

void encode_changes(const Names& names,
                    const Batch& batch,
                    std::size_t begin,
                    std::size_t end,
                    EncoderDictionary& dictionary,
                    Bytes& out) {
    JOINERY_ASSERT(begin < end && end <= batch.changes.size());
    std::size_t weight = end - begin;
    for (std::size_t i = begin; i < end; ++i)
        weight += batch.changes[i].op_count;
    const bool columnar = weight >= kColumnarMin;
    NameWriter refs(names, dictionary);
    // The body comes first, to learn which names are new; it is moved behind them.
    const std::size_t start = out.size();
    out.push_back(0);
    const std::size_t body_start = out.size();
    ByteWriter(out).varint(end - begin);
    if (columnar) {
        write_changes<ColumnSink>(names, batch, begin, end, refs, dictionary.progress, out);
    } else {
        write_changes<RowSink>(names, batch, begin, end, refs, dictionary.progress, out);
    }
    std::uint8_t flags = columnar ? kColumnsFlag : 0;
    if (refs.is_fresh()) flags |= kFreshFlag;
    if (refs.has_new()) {
        flags |= kNamesFlag;
        const std::size_t body_end = out.size();
        refs.write(out);
        const auto at = [&](std::size_t offset) {
            return out.begin() + static_cast<std::ptrdiff_t>(offset);
        };
        std::rotate(at(body_start), at(body_end), out.end());
    }
    out[start] = flags;
}

}  // namespace joinery::crdt
