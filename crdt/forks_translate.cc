// From the names that an author gave to those of a document with forks: rules F3 and F6.

#include "crdt/forks_detail.h"

#include <algorithm>

namespace joinery::crdt {
namespace {

Error meaningless() { return fail(Errc::malformed, "name that the change had not seen"); }

}  // namespace

bool ForkedDocument::View::is_ancestor(const ForkedDocument& self, NodeIndex a, NodeIndex b) const {
    std::uint32_t chain = chain_of[b];
    std::uint64_t seq = self.nodes_[b].seq;
    while (chain != chain_of[a]) {
        if (chains[chain].parent == kNone) return false;
        seq = self.nodes_[chains[chain].first].seq - 1;
        chain = chains[chain].parent;
    }
    return self.nodes_[a].seq <= seq;
}

ForkedDocument::Translator::Translator(View& view, const ForkedDocument& self, NodeIndex node)
    : view_(view), self_(self), index_(node), inner_(view.document.names()) {}

// --- What the author saw -------------------------------------------------------------------------

void ForkedDocument::Translator::find_context() {
    std::vector<NodeIndex> all;
    const auto take = [&](NodeIndex from) {
        all.insert(all.end(), view_.contexts[from].begin(), view_.contexts[from].end());
    };
    const Node& own = node(index_);
    if (own.previous != kNone) take(own.previous);
    for (const NodeIndex dependency : own.dependencies)
        take(dependency);
    std::ranges::sort(all);
    all.erase(std::ranges::unique(all).begin(), all.end());
    std::ranges::copy_if(all, std::back_inserter(seen_), [&](NodeIndex end) {
        return std::ranges::none_of(all, [&](NodeIndex other) {
            return other != end && node(other).actor == node(end).actor && is_ancestor(end, other);
        });
    });
}

/// F3: nobody forks knowingly.
Result<void> ForkedDocument::Translator::check_context() const {
    const Node& own = node(index_);
    for (const NodeIndex end : seen_) {
        if (node(end).actor != own.actor || end == own.previous) continue;
        if (own.previous == kNone || is_ancestor(own.previous, end)) {
            return fail(Errc::malformed, "change beside one that its author had seen");
        }
    }
    return {};
}

/// The operation @p counter among @p tip and what it follows.
std::optional<ForkedDocument::Translator::Place> ForkedDocument::Translator::place_on_path(
    NodeIndex tip, std::uint64_t counter) const {
    if (counter == 0 || counter >= node(tip).counter + node(tip).op_count) return std::nullopt;
    std::uint32_t chain = view_.chain_of[tip];
    while (counter <= base_of(chain)) {
        chain = view_.chains[chain].parent;
        if (chain == kNone) return std::nullopt;
    }
    return Place{chain, counter - base_of(chain)};
}

/// The name of @p chain, on the path to @p tip, in the context: the last branch on the way to it of
/// which the author saw a sibling. None for the actor's own.
std::optional<ActorId> ForkedDocument::Translator::branch_in_context(NodeIndex tip,
                                                                     std::uint32_t chain) const {
    for (std::uint32_t at = chain; at != kNone; at = view_.chains[at].parent) {
        if (!view_.chains[at].is_branch) break;
        const NodeIndex first = view_.chains[at].first;
        const NodeIndex before = node(first).previous;
        const bool is_parted = std::ranges::any_of(seen_, [&](NodeIndex other) {
            return other != tip && node(other).actor == node(tip).actor &&
                   !is_ancestor(first, other) && (before == kNone || is_ancestor(before, other));
        });
        if (is_parted) return inner_.actor(view_.chains[at].inner);
    }
    return std::nullopt;
}

Result<std::optional<ForkedDocument::Translator::Place>> ForkedDocument::Translator::find(
    ChainIndex named, std::uint64_t counter) const {
    const ActorId& name = self_.names_.actor(named);
    const auto branch = view_.branches.find(name);
    const bool is_branch = branch != view_.branches.end();
    const ChainIndex actor = is_branch ? view_.chains[branch->second].actor : named;
    if (!view_.forked.contains(actor)) return std::optional<Place>();
    const Node& own = node(index_);
    if (named == own.actor) {  // An author's own chain goes by the actor's name.
        if (counter >= own.counter) {
            const std::uint32_t chain = view_.chain_of[index_];
            return std::optional<Place>({chain, counter - base_of(chain)});
        }
        const auto place =
            own.previous != kNone ? place_on_path(own.previous, counter) : std::nullopt;
        if (!place) return meaningless();
        return place;
    }
    std::optional<Place> found;
    for (const NodeIndex tip : seen_) {
        if (node(tip).actor != actor) continue;
        const auto place = place_on_path(tip, counter);
        if (!place) continue;
        const auto in_context = branch_in_context(tip, place->chain);
        if (in_context != (is_branch ? std::optional(name) : std::nullopt)) continue;
        if (found && found->chain != place->chain) return meaningless();
        found = place;
    }
    if (!found) return meaningless();
    return found;
}

// --- Names ---------------------------------------------------------------------------------------

Result<Dot> ForkedDocument::Translator::dot(Dot named) {
    if (named.chain == kNone) return named;
    JOINERY_TRY(const auto place, find(named.chain, named.counter));
    if (place) return Dot{view_.chains[place->chain].inner, place->counter};
    return Dot{inner_.intern_actor(self_.names_.actor(named.chain)), named.counter};
}

Result<ElementIndex> ForkedDocument::Translator::element(ElementIndex named) {
    const Names::Element& name = self_.names_.element(named);
    JOINERY_TRY(const ContainerIndex list, container(name.list));
    if (self_.names_.is_by_key(named)) {
        Names::ElementKey by_key = self_.names_.element_key(named);
        by_key.field = inner_.intern_key(self_.names_.key(by_key.field));
        return inner_.intern_element(list, by_key);
    }
    JOINERY_TRY(const Dot own, dot({name.chain, name.counter}));
    return inner_.intern_element(list, own);
}

Result<std::uint32_t> ForkedDocument::Translator::key(ContainerIndex named_container,
                                                      std::uint32_t named) {
    if (has_elements(self_.names_.container(named_container).kind)) return element(named);
    return inner_.intern_key(self_.names_.key(named));
}

Result<ContainerIndex> ForkedDocument::Translator::container(ContainerIndex named) {
    if (named == kRoot) return kRoot;
    const Names::Container& name = self_.names_.container(named);
    JOINERY_TRY(const ContainerIndex parent, container(name.parent));
    JOINERY_TRY(const std::uint32_t slot, key(name.parent, name.key));
    return inner_.intern_container(parent, slot, name.kind);
}

// --- Operations ----------------------------------------------------------------------------------

Result<void> ForkedDocument::Translator::translate_place(const Op& named, Op& op) {
    const PlaceExtra& extra = self_.history_.places[named.extra];
    JOINERY_TRY(const Dot left, dot(extra.left));
    JOINERY_TRY(const Dot right, dot(extra.right));
    op.extra = static_cast<std::uint32_t>(out_.places.size());
    out_.places.push_back({left, right});
    return {};
}

const ForkedDocument::View::Crossing* ForkedDocument::Translator::crossing_of(
    ContainerIndex counter, std::uint32_t chain) const {
    if (chain == view_.chain_of[index_]) {  // Perhaps in this very change.
        const auto own =
            std::ranges::find(crossed_, counter, [](const auto& crossed) { return crossed.first; });
        if (own != crossed_.end()) return &own->second;
    }
    const auto known = view_.crossings.find({counter, chain});
    return known != view_.crossings.end() ? &known->second : nullptr;
}

/// F6: what a run had before the chain began is the trunk's.
Result<void> ForkedDocument::Translator::translate_increment(const Op& named,
                                                             Op& op,
                                                             std::uint64_t counter) {
    IncrementExtra extra = self_.history_.increments[named.extra];
    if (!is_possible({0, extra.origin, counter, 0, extra.total, 0})) {
        return fail(Errc::malformed, "impossible total of increments");
    }
    const std::uint32_t chain = view_.chain_of[index_];
    const std::uint64_t base = base_of(chain);
    if (extra.origin > base) {
        extra.origin -= base;
        if (extra.previous != 0) {
            if (extra.previous <= base) return fail(Errc::malformed, "increment of another run");
            extra.previous -= base;
        }
    } else if (extra.previous <= base) {
        const View::Crossing crossing{counter - base, extra.previous, extra.total - extra.delta};
        for (const Cell& cell : view_.document.state().cells(op.container)) {
            const auto place = place_on_path(node(index_).previous, extra.previous);
            if (!place || view_.chains[place->chain].inner != cell.chain) continue;
            const View::Crossing* before = extra.origin <= base_of(place->chain)
                                               ? crossing_of(op.container, place->chain)
                                               : nullptr;
            const Int128 total = cell.total + (before != nullptr ? before->before : Int128{0});
            if (cell.last != place->counter || total != crossing.before) {
                return fail(Errc::malformed, "increment that does not continue its run");
            }
        }
        crossed_.emplace_back(op.container, crossing);
        extra.origin = crossing.origin;
        extra.previous = 0;
        extra.total = extra.delta;
    } else {
        const View::Crossing* crossing = crossing_of(op.container, chain);
        if (crossing == nullptr) {
            return fail(Errc::malformed, "increment that does not continue its run");
        }
        extra.origin = crossing->origin;
        extra.previous -= base;
        extra.total -= crossing->before;
    }
    op.extra = static_cast<std::uint32_t>(out_.increments.size());
    out_.increments.push_back(extra);
    return {};
}

Int128 ForkedDocument::Translator::before(const SeenCell& cell, std::uint32_t chain) const {
    while (chain != kNone && cell.origin <= base_of(chain))
        chain = view_.chains[chain].parent;
    if (chain == kNone) return 0;
    const View::Crossing* crossing = crossing_of(cell.counter, chain);
    const bool begins_there =
        crossing != nullptr && crossing->origin == cell.origin - base_of(chain);
    return begins_there ? crossing->before : Int128{0};
}

/// F6: a claim of a run is one of each chain that the run is on.
Result<void> ForkedDocument::Translator::translate_cells(const Op& named, Op& op) {
    op.extra = static_cast<std::uint32_t>(out_.seen_cells.size());
    const auto rank = [](const Names& names, const SeenCell& cell) {
        return std::pair(names.container_id(cell.counter), names.actor(cell.chain));
    };
    const SeenCell* last = nullptr;
    for (const SeenCell& claimed : self_.history_.seen_cells_of(named)) {
        // N4, in the author's names.
        if (last != nullptr && rank(self_.names_, claimed) <= rank(self_.names_, *last)) {
            return fail(Errc::malformed, "cells of an erase that are not in order");
        }
        last = &claimed;
        SeenCell cell = claimed;
        JOINERY_TRY(cell.counter, container(claimed.counter));
        JOINERY_TRY(const auto place, find(claimed.chain, claimed.last));
        if (!place) {
            cell.chain = inner_.intern_actor(self_.names_.actor(claimed.chain));
            out_.seen_cells.push_back(cell);
            continue;
        }
        if (!is_possible({0, cell.origin, cell.last, 0, cell.total, 0})) return meaningless();
        const Int128 unseen = before(cell, place->chain);
        cell.total += unseen;
        for (std::uint32_t chain = place->chain; chain != kNone;
             chain = view_.chains[chain].parent) {
            const std::uint64_t base = base_of(chain);
            if (cell.last <= base) continue;
            SeenCell part = cell;
            part.chain = view_.chains[chain].inner;
            part.last = cell.last - base;
            if (cell.origin > base) {
                part.origin = cell.origin - base;
                part.total = cell.total - unseen;
                out_.seen_cells.push_back(part);
                break;
            }
            const View::Crossing* crossing = crossing_of(cell.counter, chain);
            if (crossing == nullptr) return meaningless();
            part.origin = crossing->origin;
            part.total = cell.total - crossing->before;
            out_.seen_cells.push_back(part);
            cell.last = crossing->previous;
            cell.total = crossing->before;
        }
    }
    std::ranges::sort(std::span(out_.seen_cells).subspan(op.extra), {}, [&](const SeenCell& cell) {
        return rank(inner_, cell);
    });
    op.extra_count = static_cast<std::uint32_t>(out_.seen_cells.size()) - op.extra;
    return {};
}

Result<void> ForkedDocument::Translator::translate(const Op& named) {
    Op op = named;
    JOINERY_TRY(op.container, container(named.container));
    if (named.kind == OpKind::increment) {
        const std::uint64_t counter = node(index_).counter + out_.ops.size();
        JOINERY_TRY_VOID(translate_increment(named, op, counter));
    } else {
        JOINERY_TRY(op.key, key(named.container, named.key));
    }
    if (named.kind == OpKind::insert || named.kind == OpKind::move) {
        JOINERY_TRY_VOID(translate_place(named, op));
    } else if (named.kind == OpKind::erase) {
        JOINERY_TRY_VOID(translate_cells(named, op));
    }
    out_.ops.push_back(std::move(op));
    return {};
}

void ForkedDocument::Translator::note_dependencies() {
    const auto note = [&](NodeIndex index) {
        const std::uint32_t chain = view_.chain_of[index];
        out_.dependencies.push_back(
            {view_.chains[chain].inner, node(index).seq - base_seq_of(chain)});
    };
    const Node& own = node(index_);
    for (const NodeIndex dependency : own.dependencies)
        note(dependency);
    // Where a branch begins, the trunk's end is a dependency like any other.
    const bool opens =
        own.previous != kNone && view_.chain_of[own.previous] != view_.chain_of[index_];
    if (opens) note(own.previous);
    std::ranges::sort(out_.dependencies, [&](const Dependency& a, const Dependency& b) {
        return inner_.actor_less(a.chain, b.chain);
    });
}

Result<void> ForkedDocument::Translator::run() {
    find_context();
    JOINERY_TRY_VOID(check_context());
    const Node& own = node(index_);
    const ChangeHeader& named = self_.history_.changes[own.change];
    const std::uint32_t chain = view_.chain_of[index_];
    note_dependencies();
    for (const Op& op : self_.history_.ops_of(named))
        JOINERY_TRY_VOID(translate(op));
    ChangeHeader header;
    header.chain = view_.chains[chain].inner;
    header.seq = own.seq - base_seq_of(chain);
    header.counter = own.counter - base_of(chain);
    header.time_ms = named.time_ms;
    header.op_count = static_cast<std::uint32_t>(out_.ops.size());
    header.dependency_count = static_cast<std::uint32_t>(out_.dependencies.size());
    out_.changes.push_back(header);
    JOINERY_TRY([[maybe_unused]] const auto report,
                view_.document.apply(out_, std::span(&own.hash, 1)));
    for (const auto& [counter, crossing] : crossed_)
        view_.crossings[{counter, chain}] = crossing;
    if (view_.forked.contains(own.actor)) {
        std::erase(seen_, own.previous);
        seen_.push_back(index_);
    }
    view_.contexts[index_] = std::move(seen_);
    view_.chains[chain].last = index_;
    return {};
}

std::vector<ForkedDocument::Slot> ForkedDocument::Translator::slots() {
    find_context();
    std::vector<Slot> out;
    for (const Op& op : self_.history_.ops_of(self_.history_.changes[node(index_).change])) {
        Slot slot;
        // It was run: its names are good.
        slot.container = *container(op.container);
        if (op.kind != OpKind::increment) slot.key = *key(op.container, op.key);
        out.push_back(slot);
    }
    return out;
}

}  // namespace joinery::crdt
