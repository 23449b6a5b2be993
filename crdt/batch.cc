#include "crdt/batch.h"

#include <algorithm>

namespace joinery::crdt {
namespace {

std::uint32_t size_of(const auto& items) { return static_cast<std::uint32_t>(items.size()); }

}  // namespace

Batch::Mark Batch::mark() const noexcept {
    return {changes.size(),
            ops.size(),
            places.size(),
            increments.size(),
            seen_cells.size(),
            dependencies.size(),
            messages.size(),
            links.size()};
}

const ChangeLinks* Batch::links_of(std::size_t index) const {
    if (links.empty()) return nullptr;
    const auto at = std::ranges::lower_bound(links, index, {}, &ChangeLinks::change);
    return at != links.end() && at->change == index ? &*at : nullptr;
}

void Batch::truncate(const Mark& mark) {
    changes.resize(mark.changes);
    ops.resize(mark.ops);
    places.resize(mark.places);
    increments.resize(mark.increments);
    seen_cells.resize(mark.seen_cells);
    dependencies.resize(mark.dependencies);
    messages.resize(mark.messages);
    links.resize(mark.links);
}

void Batch::append(const Batch& other, std::size_t index) {
    ChangeHeader change = other.changes[index];
    const auto other_deps = other.dependencies_of(change);
    const auto other_ops = other.ops_of(change);
    const auto message = other.message_of(change);
    change.op_begin = size_of(ops);
    change.dependency_begin = size_of(dependencies);
    change.message_begin = size_of(messages);
    dependencies.insert(dependencies.end(), other_deps.begin(), other_deps.end());
    messages.append(message);
    for (const Op& source : other_ops) {
        Op op = source;
        switch (op.kind) {
            case OpKind::insert:
            case OpKind::move:
                op.extra = size_of(places);
                places.push_back(other.places[source.extra]);
                break;
            case OpKind::increment:
                op.extra = size_of(increments);
                increments.push_back(other.increments[source.extra]);
                break;
            case OpKind::erase: {
                const auto cells = other.seen_cells_of(source);
                op.extra = size_of(seen_cells);
                seen_cells.insert(seen_cells.end(), cells.begin(), cells.end());
                break;
            }
            case OpKind::put:
            case OpKind::make: break;
        }
        ops.push_back(std::move(op));
    }
    changes.push_back(change);
}

}  // namespace joinery::crdt
