#include "model/model.h"

#include "base/assert.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>

namespace joinery::model {
namespace {

bool begins_with(const auto& address, const auto& prefix) {
    return prefix.size() <= address.size() &&
           std::equal(prefix.begin(), prefix.end(), address.begin());
}

auto extended(auto address, std::string token) {
    address.push_back(std::move(token));
    return address;
}

std::string kind_token(Kind kind) { return std::string(crdt::kind_name(kind)); }

bool is_put(const Op& op) {
    return op.kind == OpKind::put || (op.kind == OpKind::insert && op.made == Kind::none);
}
bool is_make(const Op& op) {
    return op.kind == OpKind::make || (op.kind == OpKind::insert && op.made != Kind::none);
}
bool is_place(const Op& op) { return op.kind == OpKind::insert || op.kind == OpKind::move; }
bool is_content(const Op& op) { return is_put(op) || is_make(op) || op.kind == OpKind::increment; }

}  // namespace

Model::Model(const std::vector<Change>& changes) {
    order_changes(changes);
    find_contexts();
    find_events();
    find_visible();
}

/// Any order will do that respects dependencies: here always the least change that may come next.
void Model::order_changes(std::vector<Change> changes) {
    std::map<std::pair<ActorId, std::uint64_t>, Change> waiting;
    for (Change& change : changes)
        waiting[{change.actor, change.seq}] = std::move(change);
    std::set<std::pair<ActorId, std::uint64_t>> done;
    while (!waiting.empty()) {
        const auto next = std::ranges::find_if(waiting, [&](const auto& named) {
            const Change& change = named.second;
            if (change.seq != 1 && !done.contains({change.actor, change.seq - 1})) return false;
            return std::ranges::all_of(change.dependencies,
                                       [&](const auto& dep) { return done.contains(dep); });
        });
        JOINERY_ASSERT(next != waiting.end());  // A dependency is not in the set.
        done.insert(next->first);
        changes_.push_back(std::move(next->second));
        waiting.erase(next);
    }
}

/// C4, as a transitive closure.
void Model::find_contexts() {
    contexts_.assign(changes_.size(), std::vector<bool>(changes_.size(), false));
    for (std::size_t i = 0; i < changes_.size(); ++i) {
        const Change& change = changes_[i];
        for (std::size_t j = 0; j < i; ++j) {
            const std::pair name(changes_[j].actor, changes_[j].seq);
            const bool is_own = name == std::pair(change.actor, change.seq - 1);
            if (!is_own &&
                std::ranges::find(change.dependencies, name) == change.dependencies.end()) {
                continue;
            }
            contexts_[i][j] = true;
            for (std::size_t k = 0; k < j; ++k) {
                if (contexts_[j][k]) contexts_[i][k] = true;
            }
        }
    }
}

void Model::find_events() {
    for (std::size_t i = 0; i < changes_.size(); ++i) {
        const Change& change = changes_[i];
        for (std::size_t n = 0; n < change.ops.size(); ++n) {
            Event event;
            event.dot = {change.actor, change.counter + n};
            event.op = change.ops[n];
            event.stamp = event.op.stamp.value_or(change.time_ms);
            for (const Step& step : event.op.container) {
                event.address.push_back(step.key);
                event.address.push_back(kind_token(step.kind));
            }
            if (event.op.kind != OpKind::increment) event.address.push_back(event.op.key);
            event.change = i;
            events_.push_back(std::move(event));
        }
    }
}

bool Model::event_saw(const Event& observer, const Event& other) const {
    if (observer.change != other.change) return contexts_[observer.change][other.change];
    return other.dot.counter < observer.dot.counter;
}

bool Model::saw(const Dot& observer, const Dot& other) const {
    const auto a = std::ranges::find(events_, observer, &Event::dot);
    const auto b = std::ranges::find(events_, other, &Event::dot);
    JOINERY_ASSERT(a != events_.end());
    JOINERY_ASSERT(b != events_.end());
    return event_saw(*a, *b);
}

/// R1 and M2.
bool Model::overwrites(const Event& later, const Event& earlier) {
    const bool same_sort =
        (is_put(later.op) && is_put(earlier.op)) || (is_make(later.op) && is_make(earlier.op));
    return same_sort && later.address == earlier.address;
}

/// E1.
bool Model::clears(const Event& erase, const Event& event) {
    return erase.op.kind == OpKind::erase && is_content(event.op) &&
           begins_with(event.address, erase.address);
}

/// V1 and L3.
void Model::find_visible() {
    for (Event& event : events_) {
        event.is_visible =
            is_content(event.op) && std::ranges::none_of(events_, [&](const Event& e) {
                return event_saw(e, event) && (overwrites(e, event) || clears(e, event));
            });
        event.is_standing =
            is_place(event.op) && std::ranges::none_of(events_, [&](const Event& e) {
                return event_saw(e, event) && is_place(e.op) && e.address == event.address;
            });
    }
}

/// The order of R2 and L3.
bool Model::is_greater(const Event* a, const Event* b) {
    if (a->stamp != b->stamp) return a->stamp > b->stamp;
    return a->dot > b->dot;
}

/// V3, of a slot or a container.
bool Model::is_present(const Address& address) const {
    return std::ranges::any_of(events_, [&](const Event& event) {
        return event.is_visible && begins_with(event.address, address);
    });
}

/// The visible puts and makes of a slot, the greatest first.
std::vector<const Model::Event*> Model::entries_of(const Address& slot) const {
    std::vector<const Event*> entries;
    for (const Event& event : events_) {
        const bool is_entry = event.is_visible && (is_put(event.op) || is_make(event.op));
        if (is_entry && event.address == slot) entries.push_back(&event);
    }
    std::ranges::sort(entries, is_greater);
    return entries;
}

std::vector<std::string> Model::keys_of(const Address& container) const {
    std::set<std::string> keys;
    for (const Event& event : events_) {
        if (event.is_visible && begins_with(event.address, container) &&
            event.address.size() > container.size()) {
            keys.insert(event.address[container.size()]);
        }
    }
    return {keys.begin(), keys.end()};
}

/// L2: the places of a list, hidden ones included, by the scan known as YjsMod, which gives the
/// order of FugueMax (Weidner and Kleppmann 2023, appendix).
std::vector<const Model::Event*> Model::places_of(const Address& list) const {
    std::vector<const Event*> order;
    const auto index_of = [&](const Dot& dot) {
        const auto at = std::ranges::find_if(order, [&](const Event* e) { return e->dot == dot; });
        return at - order.begin();
    };
    const auto left_of = [&](const Event& e) {
        return e.op.left.counter == 0 ? std::ptrdiff_t{-1} : index_of(e.op.left);
    };
    const auto right_of = [&](const Event& e) {
        return e.op.right.counter == 0 ? std::ssize(order) : index_of(e.op.right);
    };
    for (const Event& event : events_) {
        const bool is_here = event.address.size() == list.size() + 1;
        if (!is_place(event.op) || !is_here || !begins_with(event.address, list)) continue;
        const std::ptrdiff_t left = left_of(event);
        const std::ptrdiff_t right = right_of(event);
        std::ptrdiff_t target = left + 1;
        bool is_scanning = false;
        for (std::ptrdiff_t at = left + 1;; ++at) {
            if (!is_scanning) target = at;
            if (at == std::ssize(order) || at == right) break;
            const Event& other = *order[static_cast<std::size_t>(at)];
            const std::ptrdiff_t other_left = left_of(other);
            const std::ptrdiff_t other_right = right_of(other);
            if (other_left < left) break;
            if (other_left > left) continue;
            if (other_right == right && event.dot < other.dot) break;
            is_scanning = other_right < right;
        }
        order.insert(order.begin() + target, &event);
    }
    return order;
}

/// L4: the elements that show, in order.
std::vector<std::string> Model::elements_of(const Address& list) const {
    const std::vector<const Event*> places = places_of(list);
    std::vector<std::string> elements;
    for (const Event* place : places) {
        const bool is_winner =
            place->is_standing && std::ranges::none_of(places, [&](const Event* other) {
                return other->is_standing && other->address == place->address &&
                       is_greater(other, place);
            });
        if (is_winner && is_present(place->address)) elements.push_back(place->op.key);
    }
    return elements;
}

/// Every list that has a place.
std::vector<Model::Address> Model::lists() const {
    std::set<Address> lists;
    for (const Event& event : events_) {
        if (!is_place(event.op)) continue;
        lists.insert(Address(event.address.begin(), event.address.end() - 1));
    }
    return {lists.begin(), lists.end()};
}

/// N1.
Int128 Model::sum_of(const Address& counter) const {
    Int128 sum = 0;
    for (const Event& event : events_) {
        const bool counts = event.is_visible && event.op.kind == OpKind::increment;
        if (counts && event.address == counter) sum += event.op.delta;
    }
    return sum;
}

/// M4.
Plain Model::read_slot(const Address& slot) const {
    Kind kind = Kind::none;
    const auto entries = entries_of(slot);
    if (!entries.empty()) {
        kind = entries.front()->op.made;
        if (kind == Kind::none) return {entries.front()->op.value};
    }
    for (const Kind candidate : {Kind::map, Kind::list, Kind::counter, Kind::text, Kind::tree}) {
        if (kind != Kind::none) break;
        if (is_present(extended(slot, kind_token(candidate)))) kind = candidate;
    }
    const Address child = extended(slot, kind_token(kind));
    switch (kind) {
        case Kind::map: return {read_map(child)};
        case Kind::list: {
            PlainArray array;
            for (const std::string& element : elements_of(child)) {
                array.push_back(read_slot(extended(child, element)));
            }
            return {array};
        }
        case Kind::counter: {
            using Limits = std::numeric_limits<std::int64_t>;
            const Int128 sum = sum_of(child);
            if (sum > Limits::max()) return {Value(Limits::max())};
            if (sum < Limits::min()) return {Value(Limits::min())};
            return {Value(static_cast<std::int64_t>(sum))};
        }
        case Kind::none:
        case Kind::text:
        case Kind::tree: break;
    }
    return {Value()};
}

PlainObject Model::read_map(const Address& map) const {
    PlainObject object;
    for (const std::string& key : keys_of(map)) {
        object.emplace_back(key, read_slot(extended(map, key)));
    }
    return object;
}

PlainObject Model::root() const { return read_map({}); }

std::string Model::dump() const {
    std::set<std::string> lines;
    for (const Event& event : events_) {
        if (!event.is_visible) continue;
        std::string line = address_text(event.address) + " " + to_text(event.dot) + " ";
        if (event.op.kind == OpKind::increment) {
            line += to_text(Int128{event.op.delta});
        } else {
            line += is_make(event.op) ? kind_token(event.op.made) : to_text(event.op.value);
        }
        lines.insert(line);
    }
    for (const Address& list : lists()) {
        if (!is_present(list)) continue;
        std::string line = address_text(list) + " order";
        for (const std::string& element : elements_of(list))
            line += " " + address_text({element});
        lines.insert(line);
    }
    std::string text;
    for (const std::string& line : lines)
        text += line + "\n";
    return text;
}

std::string Model::detail() const {
    std::set<std::string> lines;
    const auto named = [](const Event* e) {
        return " " + to_text(e->dot) + "@" + std::to_string(e->stamp);
    };
    std::map<std::pair<Address, ActorId>, std::pair<std::uint64_t, Int128>> cells;
    for (const Event& event : events_) {
        if (event.is_visible && event.op.kind == OpKind::increment) {
            auto& [last, sum] = cells[{event.address, event.dot.actor}];
            last = event.dot.counter;
            sum += event.op.delta;
        } else if (event.is_visible) {
            std::string line = address_text(event.address) + " holds";
            for (const Event* entry : entries_of(event.address)) {
                const Op& op = entry->op;
                line +=
                    named(entry) + "=" + (is_make(op) ? kind_token(op.made) : to_text(op.value));
            }
            lines.insert(line);
        }
    }
    for (const auto& [cell, sums] : cells) {
        lines.insert(address_text(cell.first) + " counts " + to_text(Dot{cell.second, sums.first}) +
                     "=" + to_text(sums.second));
    }
    for (const Address& list : lists()) {
        std::map<std::string, std::vector<const Event*>> standing;
        std::string line = address_text(list) + " places";
        for (const Event* place : places_of(list)) {
            line += " " + to_text(place->dot);
            if (place->is_standing) standing[place->op.key].push_back(place);
        }
        lines.insert(line);
        for (auto& [element, places] : standing) {
            std::ranges::sort(places, is_greater);
            std::string where = address_text(extended(list, element)) + " stands";
            for (const Event* place : places)
                where += named(place);
            lines.insert(where);
        }
    }
    std::string text;
    for (const std::string& line : lines)
        text += line + "\n";
    return text;
}

}  // namespace joinery::model
