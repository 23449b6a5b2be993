// What is made here, by somebody who knows of all forks: from the names of document() to those that
// such an author gives (rule F3).

#include "crdt/forks_detail.h"
#include "crdt/transaction.h"

#include <algorithm>

namespace joinery::crdt {

/// To somebody who has all changes a chain goes by its own name, and counters are those of its
/// actor.
class ForkedDocument::Namer {
  public:
    explicit Namer(ForkedDocument& self) : self_(self), inner_(self.document_->names()) {
        const View& view = *self.view_;
        base_.resize(inner_.actor_count(), 0);
        for (const Chain& chain : view.chains)
            base_[chain.inner] = self.nodes_[chain.first].counter - 1;
    }

    ChainIndex chain(ChainIndex inner) { return self_.names_.intern_actor(inner_.actor(inner)); }
    std::uint64_t base_of(ChainIndex inner) const {
        return inner < base_.size() ? base_[inner] : 0;
    }
    Dot dot(Dot inner) {
        if (inner.chain == kNone) return inner;
        return {chain(inner.chain), inner.counter + base_of(inner.chain)};
    }
    ContainerIndex container(ContainerIndex inner) {
        if (inner == kRoot) return kRoot;
        const Names::Container name = inner_.container(inner);
        const ContainerIndex parent = container(name.parent);
        return self_.names_.intern_container(parent, key(name.parent, name.key), name.kind);
    }
    std::uint32_t key(ContainerIndex inner_container, std::uint32_t inner) {
        if (has_elements(inner_.container(inner_container).kind)) return element(inner);
        return self_.names_.intern_key(inner_.key(inner));
    }

    /// Puts @p batch, of one change, into an author's words.
    void rename(Batch& batch) {
        ChangeHeader& header = batch.changes[0];
        header.chain = chain(header.chain);
        for (Op& op : batch.ops) {
            if (op.kind != OpKind::increment) op.key = key(op.container, op.key);
            op.container = container(op.container);
        }
        for (PlaceExtra& place : batch.places)
            place = {dot(place.left), dot(place.right)};
        // F6: to who sees a fork, a cell is a chain's.
        for (SeenCell& cell : batch.seen_cells) {
            const std::uint64_t base = base_of(cell.chain);
            cell.counter = container(cell.counter);
            cell.chain = chain(cell.chain);
            cell.origin += base;
            cell.last += base;
        }
        // N4: in the order of these names.
        const Names& names = self_.names_;
        for (const Op& op : batch.ops) {
            if (op.kind != OpKind::erase) continue;
            std::ranges::sort(std::span(batch.seen_cells).subspan(op.extra, op.extra_count),
                              {},
                              [&](const SeenCell& cell) {
                                  return std::pair(names.container_id(cell.counter),
                                                   names.actor(cell.chain));
                              });
        }
    }

  private:
    ElementIndex element(ElementIndex inner) {
        const Names::Element name = inner_.element(inner);
        const ContainerIndex list = container(name.list);
        if (inner_.is_by_key(inner)) {
            Names::ElementKey by_key = inner_.element_key(inner);
            by_key.field = self_.names_.intern_key(inner_.key(by_key.field));
            return self_.names_.intern_element(list, by_key);
        }
        return self_.names_.intern_element(list, dot({name.chain, name.counter}));
    }

    ForkedDocument& self_;
    const Names& inner_;
    std::vector<std::uint64_t> base_;  ///< By chain of the document: the counter before its first.
};

Dependency ForkedDocument::shown_as(NodeIndex node) const {
    const Chain& chain = view_->chains[view_->chain_of[node]];
    return {chain.inner, nodes_[node].seq - nodes_[chain.first].seq + 1};
}

Result<bool> ForkedDocument::commit(Transaction& transaction, std::string_view message) {
    JOINERY_ASSERT(&transaction.document() == document_);
    Batch batch;
    JOINERY_TRY(const bool any, transaction.take(message, batch));
    if (!any) return false;
    ChangeHeader& header = batch.changes[0];
    const ChainIndex inner = header.chain;
    Namer namer(*this);
    namer.rename(batch);
    if (is_forked(header.chain) || view_->branches.contains(names_.actor(header.chain))) {
        return fail(Errc::conflict, "an actor that has forked makes nothing any more");
    }
    ChangeHash previous = chain_origin(id_, names_.actor(header.chain));
    std::vector<ChangeHash> dependencies;
    const std::optional<Dependency> refused = batch.refused_by(header);
    batch.dependencies.clear();
    for (const NodeIndex head : heads()) {
        const Node& node = nodes_[head];
        if (node.actor == header.chain) continue;
        if (refused == shown_as(head)) {
            header.refused = static_cast<std::uint32_t>(dependencies.size());
        }
        dependencies.push_back(node.hash);
        batch.dependencies.push_back({node.actor, node.seq});
    }
    for (const Chain& chain : view_->chains) {
        if (chain.inner == inner) previous = nodes_[chain.last].hash;
    }
    header.dependency_begin = 0;
    header.dependency_count = static_cast<std::uint32_t>(dependencies.size());
    return add(batch, 0, {previous, dependencies});
}

}  // namespace joinery::crdt
