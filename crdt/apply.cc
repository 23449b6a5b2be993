#include "crdt/apply.h"

#include <algorithm>

namespace joinery::crdt {
namespace {

class Applier {
  public:
    Applier(State& state, Names& names, const Batch& batch, const Op& op, const OpSite& site)
        : state_(state), names_(names), batch_(batch), op_(op), site_(site) {}

    Result<void> run() {
        const Names::Container& container = names_.container(op_.container);
        if (container.in_element != kNone) JOINERY_TRY_VOID(check_elements_above());
        if (op_.kind == OpKind::increment) return increment();
        if (container.kind != Kind::map && container.kind != Kind::list) {
            return fail(Errc::malformed, "operation on a container that has no slots");
        }
        if (op_.made != Kind::none && container.depth + 1 > kDepthMax) {
            return fail(Errc::over_limit, "container nested too deeply");
        }
        const bool in_list = container.kind == Kind::list;
        if (op_.kind == OpKind::insert || op_.kind == OpKind::move) {
            if (!in_list) return fail(Errc::malformed, "place in a container that is no list");
            JOINERY_TRY_VOID(place());
            if (op_.kind == OpKind::insert) set_entry();
            return {};
        }
        if (in_list) JOINERY_TRY_VOID(check_element(op_.container, op_.key));
        if (op_.kind == OpKind::erase) {
            JOINERY_TRY_VOID(check_cells());
            erase_slot(op_.container, op_.key);
        } else {
            set_entry();
        }
        return {};
    }

  private:
    std::int64_t stamp() const { return op_.stamp == kNoStamp ? site_.time_ms : op_.stamp; }

    /// The author must have seen the insert of element @p key of @p list.
    Result<void> check_element(ContainerIndex list, ElementIndex key) const {
        const Names::Element& name = names_.element(key);
        if (name.list != list || state_.element(key).item == kNone) {
            return fail(Errc::malformed, "element that was never inserted");
        }
        const auto is_seen = [&](Dot dot) { return site_.context.covers(dot); };
        const bool saw =
            site_.context.covers_all() || (name.chain != kNone ? is_seen({name.chain, name.counter})
                                                               : state_.any_place(key, is_seen));
        if (!saw) return fail(Errc::malformed, "element that the change had not seen");
        return {};
    }

    /// Nor can it have written beneath an element that it had not seen, however deep.
    Result<void> check_elements_above() const {
        for (ContainerIndex at = names_.container(op_.container).in_element; at != kNone;) {
            const Names::Container& name = names_.container(at);
            JOINERY_TRY_VOID(check_element(name.parent, name.key));
            at = names_.container(name.parent).in_element;
        }
        return {};
    }

    bool is_beneath_slot(ContainerIndex container) const {
        const std::uint32_t depth = names_.container(op_.container).depth + 1;
        while (names_.container(container).depth > depth)
            container = names_.container(container).parent;
        const Names::Container& name = names_.container(container);
        return name.parent == op_.container && name.key == op_.key;
    }

    std::pair<PathId, ActorId> rank(const SeenCell& cell) const {
        return {names_.container_id(cell.counter), names_.actor(cell.chain)};
    }

    /// Rule N4: what an erase says it saw lies beneath it, in order, and was there to see.
    Result<void> check_cells() const {
        const auto cells = batch_.seen_cells_of(op_);
        for (std::size_t i = 0; i < cells.size(); ++i) {
            const SeenCell& cell = cells[i];
            if (!is_beneath_slot(cell.counter)) {
                return fail(Errc::malformed, "erase of a counter that is not beneath its slot");
            }
            if (i != 0 && rank(cell) <= rank(cells[i - 1])) {
                return fail(Errc::malformed, "cells of an erase that are not in order");
            }
            const bool is_own = cell.chain == site_.dot.chain;
            const bool saw =
                is_own ? cell.last < site_.dot.counter : site_.context.has({cell.chain, cell.last});
            if (!saw || !is_possible({cell.chain, cell.origin, cell.last, 0, cell.total, 0})) {
                return fail(Errc::malformed, "erase of increments that the change had not seen");
            }
        }
        return {};
    }

    /// Rules R1 and M2: what this put or make saw of its own sort goes, then it stands.
    void set_entry() {
        const bool is_make = op_.made != Kind::none;
        if (is_make) names_.intern_container(op_.container, op_.key, op_.made);
        Entry entry{site_.dot.counter, stamp(), op_.value, site_.dot.chain, op_.made};
        const auto is_covered = [&](const Entry& e) {
            return (e.made != Kind::none) == is_make && site_.context.covers(e.chain, e.counter) &&
                   !(e.chain == site_.dot.chain && e.counter == site_.dot.counter);
        };
        const SlotIndex slot = site_.slot ? *site_.slot : state_.find_slot(op_.container, op_.key);
        if (slot != kNone) {
            const State::Slot& s = state_.slot(slot);
            if (s.has_entry() && s.others.empty() && is_covered(s.entry)) {
                state_.replace_entry(slot, std::move(entry));
                return;
            }
        }
        if (slot == kNone) return state_.add_entry(op_.container, op_.key, std::move(entry));
        state_.add_entry(slot, std::move(entry));
        remove_entries(slot, is_covered);
    }

    /// Removes the entries of @p slot for which @p matches holds; false if the slot went with them.
    template <class Matches>
    bool remove_entries(SlotIndex slot, Matches&& matches) {
        const ContainerIndex container = state_.slot(slot).container;
        const std::uint32_t key = state_.slot(slot).key;
        for (bool again = true; again;) {
            again = false;
            const State::Slot& s = state_.slot(slot);
            const auto others = state_.alternatives(s);
            std::size_t index = 0;
            if (s.has_entry() && matches(s.entry)) {
                again = true;
            } else {
                const auto found = std::ranges::find_if(others, matches);
                index = static_cast<std::size_t>(found - others.begin()) + 1;
                again = found != others.end();
            }
            if (again) state_.remove_entry(slot, index);
            if (again && state_.find_slot(container, key) == kNone) return false;
        }
        return true;
    }

    /// Rule E1.
    void erase_slot(ContainerIndex container, std::uint32_t key) {
        const SlotIndex slot = state_.find_slot(container, key);
        if (slot == kNone) return;
        std::vector<ContainerIndex> children;
        for (auto child = state_.slot(slot).first_child; child != kNone;
             child = state_.container(child).next_sibling) {
            children.push_back(child);
        }
        for (const ContainerIndex child : children)
            erase_container(child);
        if (state_.find_slot(container, key) == kNone) return;
        remove_entries(slot,
                       [&](const Entry& e) { return site_.context.covers(e.chain, e.counter); });
    }

    void erase_container(ContainerIndex container) {
        if (names_.container(container).kind == Kind::counter) return clear_cells(container);
        std::vector<std::uint32_t> keys;
        for (auto slot = state_.container(container).first_slot; slot != kNone;
             slot = state_.slot(slot).next) {
            keys.push_back(state_.slot(slot).key);
        }
        for (const std::uint32_t key : keys)
            erase_slot(container, key);
    }

    /// Rule N4.
    void clear_cells(ContainerIndex counter) {
        const auto current = state_.cells(counter);
        const std::vector<Cell> cells(current.begin(), current.end());
        const auto seen = batch_.seen_cells_of(op_);
        for (Cell cell : cells) {
            if (site_.context.covers(cell.chain, cell.last)) {
                state_.set_cell(counter, cell.chain, std::nullopt);
                continue;
            }
            const SeenCell wanted{counter, cell.chain};
            const auto found = std::ranges::lower_bound(
                seen, rank(wanted), {}, [&](const SeenCell& s) { return rank(s); });
            if (found == seen.end() || rank(*found) != rank(wanted) ||
                found->origin != cell.origin) {
                continue;
            }
            // Of erases that saw the same increments but claim other totals, one in every order.
            const std::pair claim(found->last, found->total);
            if (claim <= std::pair(cell.cleared_last, cell.cleared_total)) continue;
            cell.cleared_last = found->last;
            cell.cleared_total = found->total;
            state_.set_cell(counter, cell.chain, cell);
        }
    }

    Result<void> increment() {
        const Names::Container& name = names_.container(op_.container);
        if (name.kind != Kind::counter) {
            return fail(Errc::malformed, "increment of a container that is no counter");
        }
        const IncrementExtra& extra = batch_.increments[op_.extra];
        if (extra.origin > site_.dot.counter || extra.previous >= site_.dot.counter ||
            (extra.previous == 0) != (extra.origin == site_.dot.counter)) {
            return fail(Errc::malformed, "increment of an impossible run");
        }
        Cell next{site_.dot.chain,
                  extra.origin,
                  site_.dot.counter,
                  extra.previous,
                  extra.total,
                  extra.total - extra.delta};
        if (!is_possible(next)) return fail(Errc::malformed, "impossible total of increments");
        for (const Cell& cell : state_.cells(op_.container)) {
            if (cell.chain != site_.dot.chain) continue;
            if (cell.origin != extra.origin || cell.last != extra.previous ||
                cell.total + extra.delta != extra.total) {
                return fail(Errc::malformed, "increment that does not continue its run");
            }
            next.cleared_last = cell.cleared_last;
            next.cleared_total = cell.cleared_total;
        }
        state_.set_cell(op_.container, site_.dot.chain, next);
        return {};
    }

    /// The item of the place @p dot, which the author must have seen; @p edge for no dot.
    Result<std::uint32_t> item_of(const Sequence* places, Dot dot) const {
        if (dot.chain == kNone) return kNoItem;
        const auto item = places != nullptr ? places->find(dot.chain, dot.counter) : std::nullopt;
        if (!item || !site_.context.covers(dot)) {
            return fail(Errc::malformed, "place that the change had not seen");
        }
        return *item;
    }

    /// Rules L1 to L3.
    Result<void> place() {
        const Names::Element& name = names_.element(op_.key);
        const State::List* list = state_.list(op_.container);
        const Sequence* places = list != nullptr ? &list->places : nullptr;
        const PlaceExtra& extra = batch_.places[op_.extra];
        JOINERY_TRY(const std::uint32_t left, item_of(places, extra.left));
        JOINERY_TRY(const std::uint32_t right, item_of(places, extra.right));
        static const Sequence kEmpty;
        if (!(places != nullptr ? places : &kEmpty)->accepts(left, right)) {
            return fail(Errc::malformed, "place between places that were never neighbours");
        }
        if (op_.kind == OpKind::move) {
            JOINERY_TRY_VOID(check_element(op_.container, op_.key));
        } else if (name.list != op_.container ||
                   (name.chain != kNone && Dot{name.chain, name.counter} != site_.dot)) {
            return fail(Errc::malformed, "insert of another operation's element");
        }
        const auto item = state_.add_place(op_.container, op_.key, site_.dot, left, right);
        std::vector<State::Place> others;
        const State::Element current = state_.element(op_.key);
        State::Place winner{item, stamp()};
        const auto consider = [&](std::uint32_t other, std::int64_t other_stamp) {
            const auto id = state_.list(op_.container)->places.id_of(other);
            if (site_.context.covers(id.chain, id.counter)) return;
            others.push_back({other, other_stamp});
        };
        if (current.item != kNone) consider(current.item, current.stamp);
        for (const auto& other : state_.other_places(op_.key))
            consider(other.item, other.stamp);
        for (State::Place& other : others) {
            if (!wins(other.item, other.stamp, winner)) continue;
            std::swap(other, winner);
        }
        state_.set_places(op_.key, winner, std::move(others));
        return {};
    }

    bool wins(std::uint32_t item, std::int64_t item_stamp, const State::Place& than) const {
        if (item_stamp != than.stamp) return item_stamp > than.stamp;
        const Sequence& places = state_.list(op_.container)->places;
        const auto a = places.id_of(item);
        const auto b = places.id_of(than.item);
        if (a.chain != b.chain) return names_.actor_less(b.chain, a.chain);
        return a.counter > b.counter;
    }

    State& state_;
    Names& names_;
    const Batch& batch_;
    const Op& op_;
    const OpSite& site_;
};

}  // namespace

Result<void> apply_op(
    State& state, Names& names, const Batch& batch, const Op& op, const OpSite& site) {
    return Applier(state, names, batch, op, site).run();
}

}  // namespace joinery::crdt
