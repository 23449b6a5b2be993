// Finding changes in a document with forks: by hash, by number, as they stand in a batch.

#include "crdt/forks_detail.h"

#include <algorithm>

namespace joinery::crdt {

ForkedDocument::NodeIndex ForkedDocument::find(const ChangeHash& hash) const {
    const auto at = by_hash_.find(hash);
    return at != by_hash_.end() ? at->second : kNone;
}

ForkedDocument::NodeIndex ForkedDocument::find(ChainIndex actor,
                                               std::uint64_t seq,
                                               const HashPrefix& prefix) const {
    const auto named = by_seq_.find({actor, seq});
    if (named == by_seq_.end()) return kNone;
    for (const NodeIndex node : named->second) {
        if (prefix_of(nodes_[node].hash) == prefix) return node;
    }
    return kNone;
}

ForkedDocument::NodeIndex ForkedDocument::find_only(ChainIndex actor, std::uint64_t seq) const {
    const auto named = by_seq_.find({actor, seq});
    return named != by_seq_.end() && named->second.size() == 1 ? named->second.front() : kNone;
}

bool ForkedDocument::has(ChainIndex actor, std::uint64_t seq) const {
    return by_seq_.contains({actor, seq});
}

bool ForkedDocument::is_ancestor(NodeIndex a, NodeIndex b) const {
    return nodes_[a].actor == nodes_[b].actor && view_->is_ancestor(*this, a, b);
}

bool ForkedDocument::opens_branch(std::span<const Resolved> changes) const {
    std::map<ChangeHash, ChangeHash> followers;  // By what they follow.
    for (const Resolved& change : changes) {
        if (change.is_known) continue;
        const auto [first, is_first] = followers.emplace(change.previous, change.hash);
        if (!is_first && first->second != change.hash) return true;
        const NodeIndex previous = find(change.previous);
        if (previous != kNone && !nodes_[previous].followers.empty()) return true;
        const auto follows_none = [&](const auto& root) {
            return chain_origin(id_, names_.actor(root.first)) == change.previous;
        };
        if (previous == kNone && std::ranges::any_of(roots_, follows_none)) return true;
    }
    return false;
}

ActorId ForkedDocument::branch_of(NodeIndex node) const {
    for (NodeIndex at = node; is_forked(nodes_[node].actor) && at != kNone;
         at = nodes_[at].previous) {
        if (siblings_of(at).size() < 2) continue;
        ActorId name;
        name.bytes = prefix_of(nodes_[at].hash).bytes;
        return name;
    }
    return names_.actor(nodes_[node].actor);
}

std::vector<ForkedDocument::NodeIndex> ForkedDocument::heads() const {
    std::vector<NodeIndex> out;
    std::map<ChainIndex, NodeIndex> last;
    for (const Chain& chain : view_->chains)
        last[chain.inner] = chain.last;
    for (const Dependency& head : document_->graph().heads())
        out.push_back(last.at(head.chain));
    // F7.
    std::ranges::sort(out, {}, [&](NodeIndex node) {
        return std::pair(names_.actor(nodes_[node].actor), nodes_[node].hash);
    });
    return out;
}

std::vector<ForkedDocument::Slot> ForkedDocument::slots_of(NodeIndex node) {
    return Translator(*view_, *this, node).slots();
}

/// Goes through a batch change by change.
class ForkedDocument::Resolver {
  public:
    Resolver(ForkedDocument& self, const Batch& batch) : self_(self), batch_(batch) {}

    Result<Resolved> next() {
        const std::size_t index = done_.size();
        const ChangeHeader& change = batch_.changes[index];
        const ChangeLinks* links = batch_.links_of(index);
        Resolved out;
        JOINERY_TRY(out.previous, previous_of(change, links));
        const auto deps = batch_.dependencies_of(change);
        for (std::size_t i = 0; i < deps.size(); ++i) {
            const bool has_hash = links != nullptr && !links->dependencies.empty();
            JOINERY_TRY(const ChangeHash hash,
                        find(deps[i].chain,
                             deps[i].seq,
                             has_hash ? std::optional(links->dependencies[i]) : std::nullopt));
            out.dependencies.push_back(hash);
        }
        out.hash = self_.hash_of(batch_, index, out.links());
        out.is_known = self_.has(out.hash);
        inside_[{change.chain, change.seq}].push_back(out.hash);
        last_[change.chain] = {change.seq, out.hash};
        done_.push_back(out.hash);
        return out;
    }

  private:
    Result<ChangeHash> previous_of(const ChangeHeader& change, const ChangeLinks* links) const {
        const bool has_hash = links != nullptr && links->after.has_value();
        if (change.seq == 1) {
            const ChangeHash origin = chain_origin(self_.id_, self_.names_.actor(change.chain));
            if (has_hash && *links->after != prefix_of(origin)) {
                return fail(Errc::malformed, "first change that follows another");
            }
            return origin;
        }
        if (has_hash) return find(change.chain, change.seq - 1, links->after);
        const auto last = last_.find(change.chain);
        if (last != last_.end() && last->second.first + 1 == change.seq) return last->second.second;
        return find(change.chain, change.seq - 1, std::nullopt);
    }

    /// The one change of that number, of those that begin as @p prefix says.
    Result<ChangeHash> find(ChainIndex actor,
                            std::uint64_t seq,
                            const std::optional<HashPrefix>& prefix) const {
        std::optional<ChangeHash> found;
        bool is_ambiguous = false;
        const auto take = [&](const ChangeHash& hash) {
            if (prefix && *prefix != prefix_of(hash)) return;
            is_ambiguous = is_ambiguous || (found && *found != hash);
            found = hash;
        };
        if (const auto named = inside_.find({actor, seq}); named != inside_.end()) {
            std::ranges::for_each(named->second, take);
        }
        if (const auto named = self_.by_seq_.find({actor, seq}); named != self_.by_seq_.end()) {
            for (const NodeIndex node : named->second)
                take(self_.nodes_[node].hash);
        }
        if (!found) return fail(Errc::not_found, "change that builds on one that is missing");
        if (is_ambiguous) return fail(Errc::not_found, "change that builds on one of several");
        return *found;
    }

    ForkedDocument& self_;
    const Batch& batch_;
    std::vector<ChangeHash> done_;
    std::map<std::pair<ChainIndex, std::uint64_t>, std::vector<ChangeHash>> inside_;
    std::map<ChainIndex, std::pair<std::uint64_t, ChangeHash>> last_;
};

Result<std::vector<ForkedDocument::Resolved>> ForkedDocument::resolve(const Batch& batch) {
    std::vector<Resolved> out;
    out.reserve(batch.changes.size());
    Resolver resolver(*this, batch);
    for (std::size_t i = 0; i < batch.changes.size(); ++i) {
        auto resolved = resolver.next();
        if (!resolved) {
            Error error = resolved.error();
            error.at = i;
            return error;
        }
        out.push_back(*std::move(resolved));
    }
    return out;
}

}  // namespace joinery::crdt
