#include "model/from_crdt.h"

#include <algorithm>
#include <set>

namespace joinery::model {
namespace {

using crdt::kNone;

Dot dot_of(const crdt::Names& names, crdt::Dot dot) {
    if (dot.chain == kNone) return {};
    return {names.actor(dot.chain), dot.counter};
}

std::string element_name(const crdt::Names& names, crdt::ElementIndex element) {
    const auto& name = names.element(element);
    if (!names.is_by_key(element)) {
        return to_text(dot_of(names, {name.chain, name.counter}));
    }
    const auto& key = names.element_key(element);
    return "by " + std::string(names.key(key.field)) + " = " + to_text(key.value) + " # " +
           std::to_string(key.occurrence);
}

std::string key_name(const crdt::Names& names, crdt::ContainerIndex container, std::uint32_t key) {
    if (crdt::has_elements(names.container(container).kind)) return element_name(names, key);
    return std::string(names.key(key));
}

Path path_of(const crdt::Names& names, crdt::ContainerIndex container) {
    Path path;
    for (auto at = container; at != crdt::kRoot; at = names.container(at).parent) {
        const auto& name = names.container(at);
        path.insert(path.begin(), Step{key_name(names, name.parent, name.key), name.kind});
    }
    return path;
}

std::vector<std::string> address_of(const crdt::Names& names, crdt::ContainerIndex container) {
    std::vector<std::string> address;
    for (const Step& step : path_of(names, container)) {
        address.push_back(step.key);
        address.emplace_back(crdt::kind_name(step.kind));
    }
    return address;
}

Op op_of(const crdt::Names& names, const crdt::Batch& batch, const crdt::Op& in) {
    Op op;
    op.kind = in.kind;
    op.made = in.made;
    op.container = path_of(names, in.container);
    if (in.kind == OpKind::increment) {
        op.delta = batch.increments[in.extra].delta;
        return op;
    }
    op.key = key_name(names, in.container, in.key);
    op.value = in.value;
    if (in.stamp != crdt::kNoStamp) op.stamp = in.stamp;
    if (in.kind == OpKind::insert || in.kind == OpKind::move) {
        op.left = dot_of(names, batch.places[in.extra].left);
        op.right = dot_of(names, batch.places[in.extra].right);
    }
    return op;
}

/// Walks a document's state and notes it line by line.
class DetailReader {
  public:
    explicit DetailReader(const crdt::Document& document)
        : names_(document.names()), state_(document.state()) {}

    std::string read() {
        read_container(crdt::kRoot);
        for (crdt::ElementIndex e = 0; e < names_.element_count(); ++e) {
            if (state_.element(e).item != kNone) read_element(e);
        }
        std::string text;
        for (const std::string& line : lines_)
            text += line + "\n";
        return text;
    }

  private:
    std::string stamped(crdt::Dot dot, std::int64_t stamp) const {
        return " " + to_text(dot_of(names_, dot)) + "@" + std::to_string(stamp);
    }

    void read_container(crdt::ContainerIndex container) {
        const auto& held = state_.container(container);
        const Kind kind = names_.container(container).kind;
        if (kind == Kind::counter) read_cells(container);
        if (kind == Kind::list) read_places(container);
        for (auto slot = held.first_slot; slot != kNone; slot = state_.slot(slot).next) {
            read_slot(state_.slot(slot));
        }
    }

    void read_slot(const crdt::State::Slot& slot) {
        if (slot.has_entry()) {
            std::vector<crdt::Entry> others(state_.alternatives(slot).begin(),
                                            state_.alternatives(slot).end());
            std::ranges::sort(others,
                              [&](const auto& a, const auto& b) { return state_.greater(a, b); });
            others.insert(others.begin(), slot.entry);
            auto address = address_of(names_, slot.container);
            address.push_back(key_name(names_, slot.container, slot.key));
            std::string line = address_text(address) + " holds";
            for (const crdt::Entry& entry : others) {
                line += stamped({entry.chain, entry.counter}, entry.stamp) + "=";
                line += entry.made != Kind::none ? std::string(crdt::kind_name(entry.made))
                                                 : to_text(entry.value);
            }
            lines_.insert(line);
        }
        for (auto child = slot.first_child; child != kNone;
             child = state_.container(child).next_sibling) {
            read_container(child);
        }
    }

    void read_cells(crdt::ContainerIndex counter) {
        for (const crdt::Cell& cell : state_.cells(counter)) {
            lines_.insert(address_text(address_of(names_, counter)) + " counts " +
                          to_text(dot_of(names_, {cell.chain, cell.last})) + "=" +
                          to_text(cell.visible()));
        }
    }

    void read_places(crdt::ContainerIndex list) {
        const auto* held = state_.list(list);
        if (held == nullptr || held->places.item_count() == 0) return;
        held->places.check();
        std::string line = address_text(address_of(names_, list)) + " places";
        held->places.for_each([&](std::uint32_t item, bool /*visible*/) {
            line += " " + to_text(dot_of(names_, held->places.id_of(item)));
        });
        lines_.insert(line);
    }

    void read_element(crdt::ElementIndex element) {
        const auto list = names_.element(element).list;
        const auto& places = state_.list(list)->places;
        auto address = address_of(names_, list);
        address.push_back(element_name(names_, element));
        const auto& winner = state_.element(element);
        std::string line =
            address_text(address) + " stands" + stamped(places.id_of(winner.item), winner.stamp);
        std::vector<crdt::Entry> others;
        for (const auto& other : state_.other_places(element)) {
            crdt::Entry entry;
            entry.chain = places.id_of(other.item).chain;
            entry.counter = places.id_of(other.item).counter;
            entry.stamp = other.stamp;
            others.push_back(entry);
        }
        std::ranges::sort(others,
                          [&](const auto& a, const auto& b) { return state_.greater(a, b); });
        for (const auto& other : others)
            line += stamped({other.chain, other.counter}, other.stamp);
        lines_.insert(line);
    }

    const crdt::Names& names_;
    const crdt::State& state_;
    std::set<std::string> lines_;
};

}  // namespace

Change change_of(const crdt::Names& names, const crdt::Batch& batch, std::size_t index) {
    const crdt::ChangeHeader& header = batch.changes[index];
    Change change;
    change.actor = names.actor(header.chain);
    change.seq = header.seq;
    change.counter = header.counter;
    change.time_ms = header.time_ms;
    for (const crdt::Dependency& dep : batch.dependencies_of(header)) {
        change.dependencies.emplace_back(names.actor(dep.chain), dep.seq);
    }
    for (const crdt::Op& op : batch.ops_of(header))
        change.ops.push_back(op_of(names, batch, op));
    return change;
}

std::vector<Change> changes_of(const crdt::Names& names, const crdt::Batch& batch) {
    std::vector<Change> changes;
    for (std::size_t i = 0; i < batch.changes.size(); ++i) {
        changes.push_back(change_of(names, batch, i));
    }
    return changes;
}

std::string detail_of(const crdt::Document& document) { return DetailReader(document).read(); }

}  // namespace joinery::model
