#include "crdt/forks.h"

#include "crdt/forks_detail.h"
#include "crdt/limits.h"

#include <algorithm>

namespace joinery::crdt {

ForkedDocument::ForkedDocument(std::string id, Names names)
    : id_(std::move(id)),
      names_(std::move(names)),
      view_(std::make_unique<View>(id_)),
      document_(&view_->document) {}

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
    if (change.op_count > kOpCountMax || links.dependencies.size() > kDepCountMax) {
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

const std::vector<ForkedDocument::NodeIndex>& ForkedDocument::siblings_of(NodeIndex index) const {
    const Node& node = nodes_[index];
    return node.previous == kNone ? roots_.at(node.actor) : nodes_[node.previous].followers;
}

std::vector<ForkedDocument::NodeIndex>& ForkedDocument::siblings_of(NodeIndex index) {
    const Node& node = nodes_[index];
    return node.previous == kNone ? roots_[node.actor] : nodes_[node.previous].followers;
}

void ForkedDocument::count_fork(ChainIndex actor,
                                std::size_t siblings_before,
                                std::size_t siblings_now) {
    if (siblings_before < 2 && siblings_now >= 2) ++forks_[actor];
    if (siblings_before >= 2 && siblings_now < 2 && --forks_[actor] == 0) forks_.erase(actor);
}

void ForkedDocument::attach(NodeIndex index) {
    const Node& node = nodes_[index];
    auto& siblings = siblings_of(index);
    const auto place = std::ranges::upper_bound(
        siblings, node.hash, {}, [&](NodeIndex sibling) { return nodes_[sibling].hash; });
    siblings.insert(place, index);
    count_fork(node.actor, siblings.size() - 1, siblings.size());
    by_hash_.emplace(node.hash, index);
    by_seq_[{node.actor, node.seq}].push_back(index);
}

void ForkedDocument::detach(NodeIndex index) {
    const Node& node = nodes_[index];
    auto& siblings = siblings_of(index);
    std::erase(siblings, index);
    count_fork(node.actor, siblings.size() + 1, siblings.size());
    if (siblings.empty() && node.previous == kNone) roots_.erase(node.actor);
    by_hash_.erase(node.hash);
    const auto named = by_seq_.find({node.actor, node.seq});
    std::erase(named->second, index);
    if (named->second.empty()) by_seq_.erase(named);
}

void ForkedDocument::drop_from(NodeIndex begin, const Batch::Mark& mark) {
    for (auto index = static_cast<NodeIndex>(nodes_.size()); index-- > begin;)
        detach(index);
    nodes_.resize(begin);
    history_.truncate(mark);
}

void ForkedDocument::drop_since(const Mark& mark) {
    if (mark.node_count == nodes_.size()) return;
    drop_from(mark.node_count, mark.history);
    // Some of them may have been taken into the view.
    if (document_->graph().change_count() == nodes_.size()) return;
    const auto shown = show();
    JOINERY_ASSERT(shown.has_value());
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
            Chain made{actor, step.node, is_branch, step.chain, kNone, kNone};
            if (is_branch) {
                name.bytes = prefix_of(nodes_[step.node].hash).bytes;
                if (view.document.names().find_actor(name) != kNone) {
                    return fail(Errc::malformed, "branch that bears another's name");
                }
                made.inner = view.document.names().intern_branch(name, names_.actor(actor), rank);
                view.branches[name] = chain;
                view.forked.insert(actor);
            } else {
                if (view.branches.contains(name)) {
                    return fail(Errc::malformed, "actor that bears a branch's name");
                }
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
        JOINERY_TRY_VOID(find_chains(*view, actor));
    }
    for (NodeIndex index = 0; index < nodes_.size(); ++index)
        JOINERY_TRY_VOID(Translator(*view, *this, index).run());
    return view;
}

void ForkedDocument::put_in_place(std::unique_ptr<View> view) {
    // Live values are no changes: they stay as they are.
    std::swap(view->document.live(), document_->live());
    view_ = std::move(view);
    document_ = &view_->document;
    ++view_count_;
}

/// Takes a node, which opens no branch, into the view that is.
Result<void> ForkedDocument::extend(NodeIndex index) {
    View& view = *view_;
    const Names::Mark names_before = view.document.names().mark();
    const std::size_t chains_before = view.chains.size();
    if (nodes_[index].previous != kNone) {
        view.chain_of[index] = view.chain_of[nodes_[index].previous];
    } else {
        JOINERY_TRY_VOID(find_chains(view, nodes_[index].actor));
    }
    auto done = Translator(view, *this, index).run();
    if (done) return done;
    view.chains.resize(chains_before);
    view.document.names().truncate(names_before);
    view.document.mutable_state().forget_truncated_names();
    return done;
}

/// Takes the nodes from @p begin on into the view.
Result<void> ForkedDocument::show_from(NodeIndex begin) {
    bool opens_branch = false;
    for (auto index = begin; index < nodes_.size(); ++index)
        opens_branch = opens_branch || siblings_of(index).size() > 1;
    if (opens_branch) return show();
    view_->chain_of.resize(nodes_.size(), kNone);
    view_->contexts.resize(nodes_.size());
    for (auto index = begin; index < nodes_.size(); ++index) {
        auto done = extend(index);
        if (done) continue;
        view_->chain_of.resize(begin);
        view_->contexts.resize(begin);
        return done;
    }
    return {};
}

Result<void> ForkedDocument::show() {
    JOINERY_TRY(auto view, build());
    put_in_place(std::move(view));
    return {};
}

Result<ApplyReport> ForkedDocument::add_all(const Batch& batch, std::span<const Resolved> changes) {
    JOINERY_ASSERT(changes.size() == batch.changes.size());
    ApplyReport report;
    const Mark before = mark();
    Result<void> done;
    for (std::size_t i = 0; i < changes.size() && done; ++i) {
        const auto added = add_unshown(batch, i, changes[i].links());
        if (!added) {
            done = added.error();
        } else {
            ++(*added ? report.applied : report.duplicate);
        }
    }
    if (done && report.applied != 0) done = show_from(before.node_count);
    if (done) return report;
    drop_since(before);
    return done.error();
}

Result<bool> ForkedDocument::add(const Batch& batch, std::size_t index, const Links& links) {
    const auto begin = static_cast<NodeIndex>(nodes_.size());
    const Batch::Mark mark = history_.mark();
    JOINERY_TRY(const bool is_new, add_unshown(batch, index, links));
    if (!is_new) return false;
    const auto done = show_from(begin);
    if (done) return true;
    drop_from(begin, mark);
    return done.error();
}

Result<bool> ForkedDocument::add_unshown(const Batch& batch,
                                         std::size_t index,
                                         const Links& links) {
    if (links.dependencies.size() != batch.changes[index].dependency_count) {
        return fail(Errc::malformed, "dependencies that are not the change's", index);
    }
    const ChangeHash hash = hash_of(batch, index, links);
    if (has(hash)) return false;
    if (hasher_.operations_size() > kChangeSizeMax) {
        return fail(Errc::over_limit, "change too large", index);
    }
    auto node = check(batch, index, links);
    if (!node) {
        Error error = node.error();
        error.at = index;
        return error;
    }
    node->hash = hash;
    node->change = history_.changes.size();
    history_.append(batch, index);
    nodes_.push_back(*std::move(node));
    attach(static_cast<NodeIndex>(nodes_.size() - 1));
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
