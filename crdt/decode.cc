#include "crdt/codec.h"
#include "crdt/codec_fields.h"
#include "crdt/limits.h"
#include "crdt/name_reader.h"

#include <algorithm>

namespace joinery::crdt {

using namespace detail;  // NOLINT(google-build-using-namespace): the codec's own constants.

namespace {

template <class Source>
class ChangeReader {
  public:
    ChangeReader(Source& source, Names& names, DecoderDictionary& dictionary, Batch& batch)
        : source_(source), names_(names), dictionary_(dictionary), batch_(batch) {}

    void change() {
        const std::uint32_t actor = reference(Field::actor, dictionary_.actors.size());
        const std::uint64_t flags = source_.integer(Field::change_flags);
        if (flags > kAllChangeFlags) source_.refuse(Errc::unsupported, "unknown flag of a change");
        if (!source_.ok()) return;
        StreamProgress& progress = dictionary_.progress;
        const ActorProgress known = progress.actors[actor];
        const auto difference =
            static_cast<std::uint64_t>(zigzag_inverse(source_.integer(Field::time)));
        // Made where it stays, as its operations are: what fails takes the whole batch with it.
        ChangeHeader& header = batch_.changes.emplace_back();
        header.time_ms = static_cast<std::int64_t>(
            static_cast<std::uint64_t>(progress.last_time_ms) + difference);
        std::size_t op_count = 1;
        if ((flags & kSingleOpFlag) == 0) op_count = source_.count(Field::op_count);
        header.chain = dictionary_.actors[actor];
        header.seq = known.last_seq + 1;
        header.counter = known.next_counter;
        if ((flags & kNumberedFlag) != 0) {
            header.seq = source_.integer(Field::seq);
            header.counter = source_.integer(Field::counter);
            if (header.seq == known.last_seq + 1 && header.counter == known.next_counter) {
                refuse("numbering that goes without saying");
            }
        }
        if (header.seq == 0 || header.counter == 0 || header.seq > kCounterMax ||
            header.counter > kCounterMax || op_count > kOpCountMax ||
            (op_count == 1) != ((flags & kSingleOpFlag) != 0)) {
            refuse("impossible numbering");
        }
        if (!source_.ok()) return;
        if ((flags & kDependenciesFlag) != 0) dependencies(header, (flags & kHashesFlag) != 0);
        if ((flags & (kAfterFlag | kHashesFlag)) != 0 && source_.ok()) links(header, flags);
        if ((flags & kRefusalFlag) != 0) refused(header);
        if ((flags & kMessageFlag) != 0) message(header);
        header.op_begin = static_cast<std::uint32_t>(batch_.ops.size());
        for (std::size_t i = 0; i < op_count && source_.ok(); ++i) {
            operation(header, actor, header.counter + i);
        }
        header.op_count = static_cast<std::uint32_t>(batch_.ops.size()) - header.op_begin;
        if (!source_.ok()) return;
        progress.last_time_ms = header.time_ms;
        progress.actors[actor] = {header.seq, header.counter + header.op_count};
    }

  private:
    void refuse(std::string_view what) { source_.refuse(Errc::malformed, what); }

    /// A reference below @p count; 0 after refusing.
    std::uint32_t reference(Field field, std::size_t count) {
        const std::uint64_t ref = source_.integer(field);
        if (ref < count) return static_cast<std::uint32_t>(ref);
        refuse("reference to nothing");
        return 0;
    }
    ContainerIndex container() {
        const std::uint64_t ref = source_.integer(Field::container);
        if (ref < dictionary_.paths.size() && !dictionary_.paths[ref].is_element) {
            return dictionary_.paths[ref].index;
        }
        refuse("no such container");
        return kRoot;
    }

    HashPrefix hash_prefix() {
        const ByteView bytes = source_.text();
        HashPrefix prefix;
        if (bytes.size() == prefix.bytes.size()) {
            std::ranges::copy(bytes, prefix.bytes.begin());
        } else {
            refuse("hash of another size");
        }
        return prefix;
    }

    /// @p has_hashes  An actor that forked may be there more than once: see hashes().
    void dependencies(ChangeHeader& header, bool has_hashes) {
        const std::size_t count = source_.count(Field::dependency_count);
        if (count == 0 || count > kDepCountMax) refuse("impossible number of dependencies");
        header.dependency_begin = static_cast<std::uint32_t>(batch_.dependencies.size());
        for (std::size_t i = 0; i < count && source_.ok(); ++i) {
            const std::uint32_t actor =
                reference(Field::dependency_actor, dictionary_.actors.size());
            const auto difference =
                static_cast<std::uint64_t>(zigzag_inverse(source_.integer(Field::dependency_seq)));
            if (!source_.ok()) return;
            const Dependency dep{dictionary_.actors[actor],
                                 dictionary_.progress.actors[actor].last_seq + difference};
            if (dep.chain == header.chain || dep.seq == 0 || dep.seq > kCounterMax) {
                refuse("impossible dependency");
            }
            // Sorted by actor (rule C3), so that a set of dependencies has one form.
            const bool is_behind = i == 0 ||
                                   names_.actor_less(batch_.dependencies.back().chain, dep.chain) ||
                                   (has_hashes && batch_.dependencies.back().chain == dep.chain);
            if (!is_behind) refuse("dependencies out of order");
            batch_.dependencies.push_back(dep);
        }
        header.dependency_count = static_cast<std::uint32_t>(count);
    }

    void links(const ChangeHeader& header, std::uint64_t flags) {
        ChangeLinks links;
        links.change = batch_.changes.size() - 1;
        if ((flags & kAfterFlag) != 0) links.after = hash_prefix();
        if ((flags & kHashesFlag) != 0 && header.dependency_count == 0) {
            refuse("hashes of no dependencies");
        }
        const std::size_t count = (flags & kHashesFlag) != 0 ? header.dependency_count : 0;
        const auto deps = batch_.dependencies_of(header);
        for (std::size_t i = 0; i < count && source_.ok(); ++i) {
            const HashPrefix prefix = hash_prefix();
            // Rule F7: of one actor's changes by hash.
            if (i != 0 && deps[i - 1].chain == deps[i].chain &&
                !(links.dependencies.back() < prefix)) {
                refuse("dependencies out of order");
            }
            links.dependencies.push_back(prefix);
        }
        batch_.links.push_back(std::move(links));
    }

    void refused(ChangeHeader& header) {
        const std::uint64_t place = source_.integer(Field::refused);
        if (place >= header.dependency_count) refuse("refusal of no dependency");
        if (source_.ok()) header.refused = static_cast<std::uint32_t>(place);
    }

    void message(ChangeHeader& header) {
        const ByteView text = source_.text();
        if (text.empty() || text.size() > kMessageTextSizeMax || !is_utf8(text)) {
            refuse("impossible message");
        }
        if (!source_.ok()) return;
        header.message_begin = static_cast<std::uint32_t>(batch_.messages.size());
        header.message_size = static_cast<std::uint32_t>(text.size());
        batch_.messages.append(as_text(text));
    }

    void operation(const ChangeHeader& header, std::uint32_t actor, std::uint64_t counter) {
        const std::uint64_t head = source_.integer(Field::op_head);
        Op& op = batch_.ops.emplace_back();
        op.kind = static_cast<OpKind>(head & kHeadKindBits);
        const std::uint64_t type = (head >> kHeadTypeShift) & kHeadTypeBits;
        if (head > kHeadMax || op.kind < OpKind::put || op.kind > OpKind::move) {
            source_.refuse(Errc::unsupported, "unknown operation");
            return;
        }
        op.container = container();
        if (!source_.ok()) return;
        if (op.kind == OpKind::increment) return increment(op, head, actor, counter);
        if (!check_head(op, head, type)) return;
        slot_key(op, head, header.chain, counter);
        if ((head & kHeadStampFlag) != 0) stamp(op, header);
        if (op.kind == OpKind::insert || op.kind == OpKind::move) place(op, header.chain, counter);
        if (op.kind == OpKind::erase) cells(op);
        const bool has_value = op.kind == OpKind::put || op.kind == OpKind::insert;
        if (has_value && op.made == Kind::none) value(op, static_cast<ValueType>(type), head);
    }

    bool check_head(Op& op, std::uint64_t head, std::uint64_t type) {
        const Kind in = names_.container(op.container).kind;
        const bool is_place = op.kind == OpKind::insert || op.kind == OpKind::move;
        if ((in != Kind::map && in != Kind::list) || (is_place && in != Kind::list)) {
            refuse("operation on a container of another kind");
        }
        if ((head & kHeadMadeFlag) != 0) {
            op.made = static_cast<Kind>(type);
            if (op.kind != OpKind::make && op.kind != OpKind::insert) refuse("needless kind");
            if (op.made != Kind::map && op.made != Kind::list && op.made != Kind::counter) {
                source_.refuse(Errc::unsupported, "unknown kind of container");
            }
        } else if (op.kind == OpKind::make) {
            refuse("make of nothing");
        } else if ((op.kind == OpKind::erase || op.kind == OpKind::move) && type != 0) {
            refuse("needless type");
        } else if (type > static_cast<std::uint64_t>(ValueType::timestamp)) {
            source_.refuse(Errc::unsupported, "unknown type of value");
        }
        const bool is_boolean_put =
            op.kind == OpKind::put && static_cast<ValueType>(type) == ValueType::boolean;
        if ((head & kHeadExtraFlag) != 0 && op.kind != OpKind::insert && !is_boolean_put) {
            refuse("needless flag");
        }
        if ((head & kHeadStampFlag) != 0 && op.kind == OpKind::erase) refuse("needless stamp");
        return source_.ok();
    }

    void slot_key(Op& op, std::uint64_t head, ChainIndex author, std::uint64_t counter) {
        const bool in_list = names_.container(op.container).kind == Kind::list;
        if (op.kind == OpKind::insert && (head & kHeadExtraFlag) == 0) {
            op.key = names_.intern_element(op.container, Dot{author, counter});
            return;
        }
        if (!in_list) {
            const std::uint32_t ref = reference(Field::key, dictionary_.keys.size());
            if (source_.ok()) op.key = dictionary_.keys[ref];
            return;
        }
        const std::uint32_t ref = reference(Field::key, dictionary_.paths.size());
        if (!source_.ok()) return;
        const DecoderDictionary::Path path = dictionary_.paths[ref];
        if (!path.is_element || names_.element(path.index).list != op.container ||
            (op.kind == OpKind::insert && !names_.is_by_key(path.index))) {
            refuse("no such element");
            return;
        }
        op.key = path.index;
    }

    void stamp(Op& op, const ChangeHeader& header) {
        std::uint64_t above = source_.integer(Field::stamp);
        const bool is_refusal = header.refused != kNone;
        if (is_refusal) above = static_cast<std::uint64_t>(zigzag_inverse(above));
        const auto time = static_cast<std::uint64_t>(header.time_ms);
        op.stamp = static_cast<std::int64_t>(time + above);
        // Rule U4: what is put back is as old as it was.
        const bool is_needless =
            is_refusal ? above == 0 || op.stamp == kNoStamp : op.stamp <= header.time_ms;
        if (is_needless) refuse("stamp that goes without saying");
    }

    Dot neighbour(ChainIndex author, std::uint64_t counter, Field form, Field counter_field) {
        const std::uint64_t value = source_.integer(form);
        if (value == kPlaceEdge) return {};
        const std::uint64_t number = source_.integer(counter_field);
        if (value == kPlaceOwn) {
            if (number == 0 || number >= counter) refuse("impossible neighbour");
            return {author, counter - number};
        }
        const std::uint64_t ref = value - kPlaceOther;
        if (ref >= dictionary_.actors.size() || dictionary_.actors[ref] == author || number == 0 ||
            number > kCounterMax) {
            refuse("impossible neighbour");
            return {};
        }
        return {dictionary_.actors[ref], number};
    }

    void place(Op& op, ChainIndex author, std::uint64_t counter) {
        PlaceExtra extra;
        extra.left = neighbour(author, counter, Field::place_left_form, Field::place_left_counter);
        extra.right =
            neighbour(author, counter, Field::place_right_form, Field::place_right_counter);
        op.extra = static_cast<std::uint32_t>(batch_.places.size());
        batch_.places.push_back(extra);
    }

    void value(Op& op, ValueType type, std::uint64_t head) {
        switch (type) {
            case ValueType::null: op.value = Value(); break;
            case ValueType::boolean: {
                std::uint64_t bit = (head & kHeadExtraFlag) != 0 ? 1 : 0;
                if (op.kind == OpKind::insert) bit = source_.integer(Field::integer);
                if (bit > 1) refuse("no such boolean");
                op.value = Value(bit != 0);
                break;
            }
            case ValueType::integer:
            case ValueType::timestamp: {
                const std::int64_t number = zigzag_inverse(source_.integer(Field::integer));
                op.value = Value::of_payload(type, static_cast<std::uint64_t>(number));
                break;
            }
            case ValueType::real: op.value = Value(source_.real()); break;
            case ValueType::string:
            case ValueType::bytes: {
                const ByteView content = source_.text();
                if (content.size() > kStringSizeMax) {
                    source_.refuse(Errc::over_limit, "string longer than 1 MiB");
                } else if (type == ValueType::string && !is_utf8(content)) {
                    refuse("string is not UTF-8");
                } else {
                    op.value = Value(type, content);
                }
                break;
            }
        }
    }

    Int128 total() {
        const std::uint64_t low = source_.integer(Field::total_low);
        const std::int64_t high = zigzag_inverse(source_.integer(Field::total_high));
        return (static_cast<Int128>(high) << 64) | low;
    }

    /// Whether the increments from @p origin to @p last can come to @p total. It also keeps sums
    /// within 128 bits.
    static bool fits(Int128 total, std::uint64_t origin, std::uint64_t last) {
        const Int128 bound = static_cast<Int128>(last - origin + 1) << 63;
        return -bound <= total && total <= bound;
    }

    void increment(Op& op, std::uint64_t head, std::uint32_t actor, std::uint64_t counter) {
        if (names_.container(op.container).kind != Kind::counter ||
            (head & ~(kHeadKindBits | kHeadStampFlag | kHeadExtraFlag)) != 0) {
            refuse("increment of a container that is no counter");
        }
        IncrementExtra extra;
        extra.delta = zigzag_inverse(source_.integer(Field::delta));
        const bool is_first = (head & kHeadStampFlag) != 0;
        const bool written = (head & kHeadExtraFlag) != 0;
        RunProgress& run = dictionary_.progress.runs[{op.container, actor}];
        extra.origin = is_first ? counter : run.origin;
        extra.previous = is_first ? 0 : run.last;
        extra.total = (is_first ? 0 : run.total) + extra.delta;
        if (written) {
            const IncrementExtra predicted = extra;
            if (!is_first) {
                extra.origin = counter - source_.integer(Field::origin);
                extra.previous = counter - source_.integer(Field::previous);
            }
            extra.total = total();
            if (extra.origin == predicted.origin && extra.previous == predicted.previous &&
                extra.total == predicted.total) {
                refuse("run that goes without saying");
            }
        }
        if (extra.origin == 0 || extra.origin > counter || extra.previous >= counter ||
            (!is_first && extra.previous < extra.origin)) {
            refuse("increment of an impossible run");
        }
        if (source_.ok() && !fits(extra.total, extra.origin, counter)) {
            refuse("impossible total of increments");
        }
        if (!source_.ok()) return;
        run = {extra.origin, counter, extra.total};
        op.extra = static_cast<std::uint32_t>(batch_.increments.size());
        batch_.increments.push_back(extra);
    }

    void cells(Op& op) {
        const std::size_t count = source_.count(Field::cell_count);
        op.extra = static_cast<std::uint32_t>(batch_.seen_cells.size());
        for (std::size_t i = 0; i < count && source_.ok(); ++i) {
            SeenCell cell;
            cell.counter = container();
            cell.chain =
                dictionary_.actors.empty()
                    ? kNone
                    : dictionary_.actors[reference(Field::cell_actor, dictionary_.actors.size())];
            cell.origin = source_.integer(Field::origin);
            cell.last = source_.integer(Field::previous);
            cell.total = total();
            if (names_.container(cell.counter).kind != Kind::counter || cell.origin == 0 ||
                cell.last < cell.origin || cell.last > kCounterMax ||
                !fits(cell.total, cell.origin, cell.last)) {
                refuse("impossible cell");
            }
            batch_.seen_cells.push_back(cell);
        }
        op.extra_count = static_cast<std::uint32_t>(batch_.seen_cells.size()) - op.extra;
    }

    Source& source_;
    Names& names_;
    DecoderDictionary& dictionary_;
    Batch& batch_;
};

template <class Source>
Result<void> read_changes(
    ByteReader& in, std::size_t count, Names& names, DecoderDictionary& dictionary, Batch& batch) {
    Source source(in);
    ChangeReader<Source> reader(source, names, dictionary, batch);
    for (std::size_t i = 0; i < count && source.ok(); ++i)
        reader.change();
    return source.finish();
}

Result<void> decode(ByteReader& in, Names& names, DecoderDictionary& dictionary, Batch& batch) {
    const std::size_t before = batch.ops.size();
    const std::uint8_t flags = in.u8();
    if (in.ok() && flags > kAllFlags) in.refuse(Errc::unsupported, "unknown flag of a batch", 0);
    if (in.ok() && ((flags & kFreshFlag) != 0) != dictionary.paths.empty()) {
        if (dictionary.paths.empty()) {
            in.refuse(Errc::malformed, "the stream's first batch is missing", 0);
        } else {
            dictionary.reset();
        }
    }
    if (!in.ok()) return in.error();
    if (dictionary.paths.empty()) dictionary.paths.push_back({false, kRoot});
    if ((flags & kNamesFlag) != 0) detail::read_names(in, names, dictionary);
    const std::uint64_t count = in.varint_at_most(kBatchChangeMax, "batch of too many changes");
    if (in.ok() && count == 0) in.refuse(Errc::malformed, "batch of no change");
    if (!in.ok()) return in.error();
    const bool columnar = (flags & kColumnsFlag) != 0;
    const auto done = columnar ? read_changes<ColumnSource>(in, count, names, dictionary, batch)
                               : read_changes<RowSource>(in, count, names, dictionary, batch);
    JOINERY_TRY_VOID(done);
    const std::size_t op_count = batch.ops.size() - before;
    if (columnar != (count + op_count >= kColumnarMin)) {
        return fail(Errc::malformed, "batch in the other layout");
    }
    if (!fits_batch(count, op_count)) {
        return fail(Errc::over_limit, "batch of too many operations");
    }
    return {};
}

}  // namespace

Result<void> decode_changes(ByteView bytes,
                            Names& names,
                            DecoderDictionary& dictionary,
                            Batch& batch) {
    const Batch::Mark mark = batch.mark();
    ByteReader in(bytes);
    auto done = decode(in, names, dictionary, batch);
    if (!done) batch.truncate(mark);
    return done;
}

}  // namespace joinery::crdt
