#include "crdt/forks.h"

#include "crdt/forks_detail.h"
#include "crdt/limits.h"

#include <algorithm>

namespace joinery::crdt {

ForkedDocument::ForkedDocument(std::string id)
    : id_(std::move(id)), view_(std::make_unique<View>(id_)), document_(&view_->document) {}

ForkedDocument::~ForkedDocument() = default;

ChangeHash ForkedDocument::hash_of(const Batch& batch, std::size_t index, const Links& links) {
    return hasher_.hash(names_, batch, batch.changes[index], links.previous, links.dependencies);
}

/// The change as a node of the graph, if its numbers follow and what it follows is here.
Result<ForkedDocument::Node> ForkedDocument::check(const Batch& batch,
                                                   std::size_t index,
                                                   const Links& links) const {
    const ChangeHeader& change = batch.changes[index];
    Node node;
    node.actor = change.chain;
    node.seq = change.seq;
    node.counter = change.counter;
    node.op_count = change.op_count;
    if (change.op_count > kOpCountMax || hasher_.operations_size() > kChangeSizeMax ||
        links.dependencies.size() > kDepCountMax) {
        return fail(Errc::over_limit, "change too large");
    }
    std::uint64_t seq = 1;
    std::uint64_t counter = 1;
    if (links.previous != chain_origin(id_, names_.actor(change.chain))) {
        const auto previous = by_hash_.find(links.previous);
        if (previous == by_hash_.end()) {
            return fail(Errc::not_found, "change whose predecessor is missing");
        }
        node.previous = previous->second;
        const Node& before = nodes_[node.previous];
        if (before.actor != node.actor) {
            return fail(Errc::malformed, "change that follows another actor's");
        }
        seq = before.seq + 1;
        counter = before.counter + before.op_count;
    }
    if (change.seq != seq || change.counter != counter || seq > kCounterMax ||
        counter + change.op_count > kCounterMax) {
        return fail(Errc::malformed, "change whose operations are misnumbered");
    }
    const Node* last = nullptr;
    for (const ChangeHash& hash : links.dependencies) {
        const auto dependency = by_hash_.find(hash);
        if (dependency == by_hash_.end()) {
            return fail(Errc::not_found, "change whose dependency is missing");
        }
        const Node& on = nodes_[dependency->second];
        // F7: by actor, then by hash.
        const bool is_behind = last == nullptr || std::pair(names_.actor(last->actor), last->hash) <
                                                      std::pair(names_.actor(on.actor), on.hash);
        if (on.actor == node.actor || !is_behind) {
            return fail(Errc::malformed, "dependencies that cannot be");
        }
        node.dependencies.push_back(dependency->second);
        last = &on;
    }
    return node;
}

// --- The tree of an actor ------------------------------------------------------------------------

void ForkedDocument::attach(NodeIndex index) {
    const Node& node = nodes_[index];
    auto& siblings = node.previous == kNone ? roots_[node.actor] : nodes_[node.previous].followers;
    const auto place = std::ranges::upper_bound(
        siblings, node.hash, {}, [&](NodeIndex sibling) { return nodes_[sibling].hash; });
    siblings.insert(place, index);
}

void ForkedDocument::detach(NodeIndex index) {
    const Node& node = nodes_[index];
    auto& siblings = node.previous == kNone ? roots_[node.actor] : nodes_[node.previous].followers;
    std::erase(siblings, index);
}

std::span<const ForkedDocument::NodeIndex> ForkedDocument::siblings_of(NodeIndex index) const {
    const Node& node = nodes_[index];
    return node.previous == kNone ? roots_.at(node.actor) : nodes_[node.previous].followers;
}

/// F2 and F4: the chains of @p actor in the order of a walk through its tree.
Result<void> ForkedDocument::find_chains(View& view, ChainIndex actor) const {
    struct Step {
        NodeIndex node;
        std::uint32_t chain;  // Of what it follows.
    };
    std::vector<Step> open;
    const auto push = [&](const std::vector<NodeIndex>& followers, std::uint32_t chain) {
        for (auto at = followers.rbegin(); at != followers.rend(); ++at)
            open.push_back({*at, chain});
    };
    push(roots_.at(actor), kNone);
    std::uint32_t rank = 0;
    while (!open.empty()) {
        const Step step = open.back();
        open.pop_back();
        const bool is_branch = siblings_of(step.node).size() > 1;
        std::uint32_t chain = step.chain;
        if (is_branch || chain == kNone) {
            chain = static_cast<std::uint32_t>(view.chains.size());
            if (is_branch && ++rank > kBranchCountMax) {
                return fail(Errc::over_limit, "actor of too many branches");
            }
            ActorId name = names_.actor(actor);
            Chain made{actor, step.node, is_branch, step.chain, kNone};
            if (is_branch) {
                const ChangeHash& hash = nodes_[step.node].hash;
                std::ranges::copy(std::span(hash.bytes).first(ActorId::kSize), name.bytes.begin());
                made.inner = view.document.names().intern_branch(name, names_.actor(actor), rank);
                view.branches[name] = chain;
                view.forked.insert(actor);
            } else {
                made.inner = view.document.names().intern_actor(name);
            }
            view.chains.push_back(made);
        }
        view.chain_of[step.node] = chain;
        push(nodes_[step.node].followers, chain);
    }
    return {};
}

Result<std::unique_ptr<ForkedDocument::View>> ForkedDocument::build() const {
    auto view = std::make_unique<View>(id_);
    view->chain_of.resize(nodes_.size(), kNone);
    view->contexts.resize(nodes_.size());
    for (const auto& [actor, roots] : roots_) {
        if (!roots.empty()) JOINERY_TRY_VOID(find_chains(*view, actor));
    }
    for (NodeIndex index = 0; index < nodes_.size(); ++index)
        JOINERY_TRY_VOID(Translator(*view, *this, index).run());
    return view;
}

/// Takes the last node into the view that is.
Result<void> ForkedDocument::extend() {
    View& view = *view_;
    const auto index = static_cast<NodeIndex>(nodes_.size() - 1);
    const Names::Mark names_before = view.document.names().mark();
    const std::size_t chains_before = view.chains.size();
    view.chain_of.push_back(kNone);
    view.contexts.emplace_back();
    if (nodes_[index].previous != kNone) {
        view.chain_of[index] = view.chain_of[nodes_[index].previous];
    } else {
        JOINERY_TRY_VOID(find_chains(view, nodes_[index].actor));
    }
    auto done = Translator(view, *this, index).run();
    if (done) return done;
    view.chain_of.pop_back();
    view.contexts.pop_back();
    view.chains.resize(chains_before);
    view.document.names().truncate(names_before);
    view.document.mutable_state().forget_truncated_names();
    return done;
}

Result<bool> ForkedDocument::add(const Batch& batch, std::size_t index, const Links& links) {
    if (links.dependencies.size() != batch.changes[index].dependency_count) {
        return fail(Errc::malformed, "dependencies that are not the change's");
    }
    const ChangeHash hash = hash_of(batch, index, links);
    if (by_hash_.contains(hash)) return false;
    JOINERY_TRY(Node node, check(batch, index, links));
    node.hash = hash;
    node.change = history_.changes.size();
    const Batch::Mark before = history_.mark();
    history_.append(batch, index);
    nodes_.push_back(std::move(node));
    const auto made = static_cast<NodeIndex>(nodes_.size() - 1);
    attach(made);
    Result<void> done;
    if (siblings_of(made).size() > 1) {
        auto view = build();
        if (view) {
            view_ = *std::move(view);
            document_ = &view_->document;
        } else {
            done = view.error();
        }
    } else {
        done = extend();
    }
    if (!done) {
        detach(made);
        nodes_.pop_back();
        history_.truncate(before);
        return done.error();
    }
    by_hash_.emplace(hash, made);
    return true;
}

std::vector<ForkedDocument::Tip> ForkedDocument::tips() const {
    std::vector<Tip> out;
    for (const Node& node : nodes_) {
        if (node.followers.empty()) out.push_back({names_.actor(node.actor), node.seq, node.hash});
    }
    std::ranges::sort(
        out, {}, [](const Tip& tip) { return std::tuple(tip.actor, tip.seq, tip.hash); });
    return out;
}

}  // namespace joinery::crdt
