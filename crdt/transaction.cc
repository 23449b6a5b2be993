#include "crdt/transaction.h"

#include "crdt/limits.h"

#include <algorithm>
#include <limits>

namespace joinery::crdt {
namespace {

std::uint32_t size_of(const auto& items) { return static_cast<std::uint32_t>(items.size()); }

}  // namespace

std::int64_t Transaction::stamp_after(std::int64_t greatest) const {
    const bool is_last = greatest == std::numeric_limits<std::int64_t>::max();
    const std::int64_t stamp = is_last ? greatest : greatest + 1;
    return stamp > header_.time_ms ? stamp : kNoStamp;
}

Transaction::Transaction(Document& document, const ActorId& actor, WallTime time)
    : Transaction(document, document.names_.intern_actor(actor), time) {}

Transaction::Transaction(Document& document, ChainIndex chain, WallTime time)
    : document_(document), batch_before_(document.outgoing_.batch.mark()) {
    JOINERY_ASSERT(!document.transaction_open_);
    document.transaction_open_ = true;
    Batch& batch = document.outgoing_.batch;
    header_.chain = chain;
    header_.seq = document.graph_.last_seq(header_.chain) + 1;
    header_.counter = document.graph_.next_counter(header_.chain);
    header_.time_ms = time.count();
    header_.op_begin = size_of(batch.ops);
    header_.dependency_begin = size_of(batch.dependencies);
    header_.message_begin = size_of(batch.messages);
    if (!document.graph_.is_linear(header_.chain)) {
        for (const Dependency& head : document.graph_.heads()) {
            if (head.chain != header_.chain) batch.dependencies.push_back(head);
        }
        // Rule C3: by actor, which is not the order of chains.
        std::ranges::sort(std::span(batch.dependencies).subspan(header_.dependency_begin),
                          [&](const Dependency& a, const Dependency& b) {
                              return document.names_.actor_less(a.chain, b.chain);
                          });
    }
    header_.dependency_count = size_of(batch.dependencies) - header_.dependency_begin;
}

Transaction::~Transaction() {
    if (open_) abort();
}

void Transaction::abort() {
    JOINERY_ASSERT(open_);
    open_ = false;
    document_.transaction_open_ = false;
    document_.state_.undo();
    document_.outgoing_.batch.truncate(batch_before_);
}

std::size_t Transaction::op_count() const noexcept {
    return document_.outgoing_.batch.ops.size() - header_.op_begin;
}

Result<void> Transaction::run(Op op, std::optional<SlotIndex> slot) {
    Batch& batch = document_.outgoing_.batch;
    if (op_count() >= kOpCountMax) return fail(Errc::over_limit, "change of too many operations");
    const OpSite site{{header_.chain, header_.counter + op_count()},
                      header_.time_ms,
                      Context(document_.graph_, nullptr),
                      slot};
    batch.ops.push_back(std::move(op));
    const auto applied =
        apply_op(document_.state_, document_.names_, batch, batch.ops.back(), site);
    JOINERY_ASSERT(applied.has_value());  // The verbs check all that apply_op refuses.
    return {};
}

Result<void> Transaction::check_slot(ContainerIndex container, std::uint32_t key) const {
    const Kind kind = document_.names_.container(container).kind;
    if (kind == Kind::map) return {};
    if (kind != Kind::list) {
        return fail(Errc::malformed, "that container has no keys or elements");
    }
    const bool is_there = document_.names_.element(key).list == container &&
                          document_.state_.element(key).item != kNone;
    if (!is_there) return fail(Errc::not_found, "no such element in that list");
    return {};
}

Result<void> Transaction::check_value(const Value& value) const {
    const bool has_content = value.type() == ValueType::string || value.type() == ValueType::bytes;
    if (has_content && value.content().size() > kStringSizeMax) {
        return fail(Errc::over_limit, "string longer than 1 MiB");
    }
    return {};
}

Result<KeyIndex> Transaction::key(std::string_view key) {
    if (key.size() > kKeySizeMax) return fail(Errc::over_limit, "key longer than 1 KiB");
    return document_.names_.intern_key(key);
}

/// Rule R3: the stamp to carry, or kNoStamp where the wall time does.
std::int64_t Transaction::stamp_for(SlotIndex slot) const {
    const State& state = document_.state_;
    if (slot == kNone || !state.slot(slot).has_entry()) return kNoStamp;
    return stamp_after(state.slot(slot).entry.stamp);
}

/// Rule M5: clears the slot if it holds anything but entries and children of the sort @p kept.
Result<void> Transaction::clear_other_kinds(ContainerIndex container,
                                            std::uint32_t key,
                                            Kind kept) {
    const State& state = document_.state_;
    const SlotIndex index = state.find_slot(container, key);
    if (index == kNone || !state.slot(index).is_present()) return {};
    const State::Slot& slot = state.slot(index);
    const auto differs = [&](const Entry& entry) { return entry.made != kept; };
    bool others = slot.has_entry() && differs(slot.entry);
    for (const Entry& entry : state.alternatives(slot))
        others = others || differs(entry);
    for (auto child = slot.first_child; child != kNone;
         child = state.container(child).next_sibling) {
        if (state.container(child).present_count == 0) continue;
        others = others || document_.names_.container(child).kind != kept;
    }
    return others ? erase(container, key) : Result<void>();
}

Result<void> Transaction::put(ContainerIndex container, std::uint32_t key, const Value& value) {
    JOINERY_TRY_VOID(check_slot(container, key));
    JOINERY_TRY_VOID(check_value(value));
    const State& state = document_.state_;
    std::optional<SlotIndex> slot = state.find_slot(container, key);
    const std::int64_t stamp = stamp_for(*slot);
    if (*slot != kNone) {
        const State::Slot& s = state.slot(*slot);
        const bool only_entry = s.others.empty() && s.present_children == 0 && s.has_entry();
        if (only_entry && s.entry.made == Kind::none && s.entry.value == value) return {};
        if (!only_entry || s.entry.made != Kind::none) {
            JOINERY_TRY_VOID(clear_other_kinds(container, key, Kind::none));
            slot.reset();  // An erase may have moved it.
        }
    }
    Op op;
    op.kind = OpKind::put;
    op.container = container;
    op.key = key;
    op.stamp = stamp;
    op.value = value;
    return run(std::move(op), slot);
}

Result<ContainerIndex> Transaction::make(ContainerIndex container, std::uint32_t key, Kind kind) {
    JOINERY_TRY_VOID(check_slot(container, key));
    if (kind != Kind::map && kind != Kind::list && kind != Kind::counter) {
        return fail(Errc::unsupported, "containers of that kind cannot be made yet");
    }
    if (document_.names_.container(container).depth + 1 > kDepthMax) {
        return fail(Errc::over_limit, "container nested too deeply");
    }
    const State& state = document_.state_;
    const SlotIndex slot = state.find_slot(container, key);
    if (slot != kNone) {
        const State::Slot& s = state.slot(slot);
        if (s.has_entry() && s.entry.made == kind && s.others.empty()) {
            return document_.names_.intern_container(container, key, kind);
        }
    }
    const std::int64_t stamp = stamp_for(slot);
    JOINERY_TRY_VOID(clear_other_kinds(container, key, kind));
    Op op;
    op.kind = OpKind::make;
    op.made = kind;
    op.container = container;
    op.key = key;
    op.stamp = stamp;
    JOINERY_TRY_VOID(run(std::move(op)));
    return document_.names_.intern_container(container, key, kind);
}

Result<ContainerIndex> Transaction::counter_at(ContainerIndex container, std::uint32_t key) {
    JOINERY_TRY_VOID(check_slot(container, key));
    if (document_.names_.container(container).depth + 1 > kDepthMax) {
        return fail(Errc::over_limit, "container nested too deeply");
    }
    JOINERY_TRY_VOID(clear_other_kinds(container, key, Kind::counter));
    return document_.names_.intern_container(container, key, Kind::counter);
}

void Transaction::collect_cells(ContainerIndex container, std::uint32_t key) {
    const State& state = document_.state_;
    const SlotIndex slot = state.find_slot(container, key);
    if (slot == kNone) return;
    for (auto child = state.slot(slot).first_child; child != kNone;
         child = state.container(child).next_sibling) {
        if (document_.names_.container(child).kind == Kind::counter) {
            for (const Cell& cell : state.cells(child)) {
                document_.outgoing_.batch.seen_cells.push_back(
                    {child, cell.chain, cell.origin, cell.last, cell.total});
            }
        }
        for (auto inner = state.container(child).first_slot; inner != kNone;
             inner = state.slot(inner).next) {
            collect_cells(child, state.slot(inner).key);
        }
    }
}

Result<void> Transaction::erase(ContainerIndex container, std::uint32_t key) {
    JOINERY_TRY_VOID(check_slot(container, key));
    const State& state = document_.state_;
    const SlotIndex slot = state.find_slot(container, key);
    if (slot == kNone || !state.slot(slot).is_present()) {
        return fail(Errc::not_found, "nothing to erase there");
    }
    Op op;
    op.kind = OpKind::erase;
    op.container = container;
    op.key = key;
    op.extra = size_of(document_.outgoing_.batch.seen_cells);
    collect_cells(container, key);
    op.extra_count = size_of(document_.outgoing_.batch.seen_cells) - op.extra;
    // In an order that does not tell how the document came here.
    const Names& names = document_.names_;
    std::ranges::sort(std::span(document_.outgoing_.batch.seen_cells).subspan(op.extra),
                      {},
                      [&](const SeenCell& cell) {
                          return std::pair(names.container_id(cell.counter),
                                           names.actor(cell.chain));
                      });
    return run(std::move(op));
}

Result<void> Transaction::increment(ContainerIndex counter, std::int64_t delta) {
    if (document_.names_.container(counter).kind != Kind::counter) {
        return fail(Errc::malformed, "that is not a counter");
    }
    const State& state = document_.state_;
    const Int128 sum = state.counter_sum(counter) + delta;
    if (sum > std::numeric_limits<std::int64_t>::max() ||
        sum < std::numeric_limits<std::int64_t>::min()) {
        return fail(Errc::over_limit, "the counter would pass 64 bits");
    }
    return add_increment(counter, delta);
}

Result<void> Transaction::add_increment(ContainerIndex counter, std::int64_t delta) {
    IncrementExtra extra{delta, header_.counter + op_count(), 0, delta};
    for (const Cell& cell : document_.state_.cells(counter)) {
        if (cell.chain != header_.chain) continue;
        extra = {delta, cell.origin, cell.last, cell.total + delta};
    }
    Op op;
    op.kind = OpKind::increment;
    op.container = counter;
    op.extra = size_of(document_.outgoing_.batch.increments);
    document_.outgoing_.batch.increments.push_back(extra);
    return run(std::move(op));
}

Result<ElementIndex> Transaction::element_at(ContainerIndex list, std::size_t index) const {
    const State::List* found = document_.state_.list(list);
    if (found == nullptr || index >= found->places.visible_count()) {
        return fail(Errc::not_found, "no element at that index", index);
    }
    return found->element_of[found->places.item_at(static_cast<std::uint32_t>(index))];
}

PlaceExtra Transaction::place_after(const Sequence& places, std::uint32_t left_item) const {
    const auto dot_of = [&](std::uint32_t item) {
        if (item == kNoItem) return Dot{};
        const auto id = places.id_of(item);
        return Dot{id.chain, id.counter};
    };
    return {dot_of(left_item), dot_of(places.next_item(left_item))};
}

Result<ElementIndex> Transaction::insert(ContainerIndex list,
                                         std::size_t index,
                                         const Content& content,
                                         const std::optional<Names::ElementKey>& by_key) {
    const Names::Container& name = document_.names_.container(list);
    if (name.kind != Kind::list) return fail(Errc::malformed, "that is not a list");
    JOINERY_TRY_VOID(check_value(content.value));
    if (content.made != Kind::none && name.depth + 1 > kDepthMax) {
        return fail(Errc::over_limit, "container nested too deeply");
    }
    static const Sequence kEmpty;
    const State::List* found = document_.state_.list(list);
    const Sequence& places = found != nullptr ? found->places : kEmpty;
    if (index > places.visible_count()) {
        return fail(Errc::not_found, "no such index to insert at", index);
    }
    const std::uint32_t left =
        index == 0 ? kNoItem : places.item_at(static_cast<std::uint32_t>(index - 1));
    const Dot own{header_.chain, header_.counter + op_count()};
    const ElementIndex element = by_key ? document_.names_.intern_element(list, *by_key)
                                        : document_.names_.intern_element(list, own);
    const SlotIndex slot = document_.state_.find_slot(list, element);
    if (slot != kNone && document_.state_.slot(slot).is_present()) {
        return fail(Errc::conflict, "an element of that key is in the list already");
    }
    Op op;
    op.kind = OpKind::insert;
    op.made = content.made;
    op.container = list;
    op.key = element;
    op.extra = size_of(document_.outgoing_.batch.places);
    op.value = content.value;
    const State::Element& current = document_.state_.element(element);
    if (current.item != kNone) op.stamp = stamp_after(current.stamp);
    const PlaceExtra place = place_after(places, left);
    document_.outgoing_.batch.places.push_back(place);
    JOINERY_TRY_VOID(run(std::move(op)));
    return element;
}

Result<void> Transaction::move(ContainerIndex list, std::size_t from, std::size_t to) {
    JOINERY_TRY(const ElementIndex element, element_at(list, from));
    const Sequence& places = document_.state_.list(list)->places;
    if (to >= places.visible_count()) return fail(Errc::not_found, "no such index to move to", to);
    if (from == to) return {};
    // The index before the target in the list without the element.
    const std::size_t before = to > from ? to : to - 1;
    const std::uint32_t left =
        to == 0 ? kNoItem : places.item_at(static_cast<std::uint32_t>(before));
    const State::Element& current = document_.state_.element(element);
    Op op;
    op.kind = OpKind::move;
    op.container = list;
    op.key = element;
    op.stamp = stamp_after(current.stamp);
    op.extra = size_of(document_.outgoing_.batch.places);
    const PlaceExtra place = place_after(places, left);
    document_.outgoing_.batch.places.push_back(place);
    return run(std::move(op));
}

Result<bool> Transaction::take(std::string_view message, Batch& out) {
    JOINERY_ASSERT(open_ && out.empty());
    JOINERY_TRY(const bool any, finish(message));
    if (!any) return false;
    Batch& batch = document_.outgoing_.batch;
    batch.changes.push_back(header_);
    out.append(batch, batch.changes.size() - 1);
    abort();
    return true;
}

inline Result<bool> Transaction::finish(std::string_view message) {
    if (message.size() > kMessageTextSizeMax) {
        return fail(Errc::over_limit, "message longer than 4 KiB");
    }
    if (op_count() == 0 && header_.refused == kNone) {
        abort();
        return false;
    }
    header_.op_count = static_cast<std::uint32_t>(op_count());
    header_.message_size = static_cast<std::uint32_t>(message.size());
    document_.outgoing_.batch.messages.append(message);
    return true;
}

Result<bool> Transaction::commit(std::string_view message) {
    JOINERY_ASSERT(open_);
    JOINERY_TRY(const bool any, finish(message));
    if (!any) return false;
    Document::Outgoing& outgoing = document_.outgoing_;
    Batch& batch = outgoing.batch;
    auto& hashes = document_.dependency_hashes_;
    hashes.clear();
    for (const Dependency& dep : batch.dependencies_of(header_)) {
        hashes.push_back(document_.graph_.tip_hash(dep.chain));
    }
    JOINERY_TRY(const ChangeHash previous, document_.previous_hash(header_.chain, header_.seq));
    const ChangeHash hash =
        document_.hasher_.hash(document_.names_, batch, header_, previous, hashes);
    if (document_.hasher_.operations_size() > kChangeSizeMax) {
        return fail(Errc::over_limit, "change larger than 8 MiB");
    }
    document_.graph_.add(header_.chain, header_.op_count, batch.dependencies_of(header_), hash);
    document_.remember_hash(header_.chain, header_.seq, hash);
    document_.state_.keep();
    batch.changes.push_back(header_);
    outgoing.hashes.push_back(hash);
    open_ = false;
    document_.transaction_open_ = false;
    return true;
}

}  // namespace joinery::crdt
