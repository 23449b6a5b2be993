#include "engine/forked_log.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <tuple>

namespace joinery::detail {

using crdt::kNone;

namespace {

constexpr std::string_view kMisfit = "changes of the log do not fit their chains";

std::span<const session::FrontierEntry> ends_of(const session::Frontier& frontier,
                                                const ActorId& actor) {
    const auto ends = std::ranges::equal_range(frontier, actor, {}, &session::FrontierEntry::actor);
    return {ends.begin(), ends.end()};
}

bool is_hash_known(const session::FrontierEntry& entry) {
    return std::ranges::any_of(entry.hash_prefix, [](std::uint8_t byte) { return byte != 0; });
}

}  // namespace

std::set<ActorId> suspects_in(const session::Frontier& theirs) {
    std::set<ActorId> suspects;
    for (const session::FrontierEntry& entry : theirs) {
        if (is_doubt(entry)) suspects.insert(entry.actor);
    }
    return suspects;
}

ForkedLog::ForkedLog(std::string id, crdt::Names names)
    : document_(id, std::move(names)), id_(std::move(id)) {}

ChangeHash ForkedLog::previous_hash(NodeIndex index) const {
    const auto& change = node(index);
    if (change.previous != kNone) return node(change.previous).hash;
    return crdt::chain_origin(id_, document_.names().actor(change.actor));
}

// --- Reading the store ---------------------------------------------------------------------------

/// Takes note of where the segment's changes, which are here, stand in the log.
Result<void> ForkedLog::store_segment(const DecodedSegment& segment,
                                      std::span<const Resolved> changes) {
    for (std::size_t i = 0; i < changes.size(); ++i) {
        const NodeIndex index = document_.find(changes[i].hash);
        if (is_stored(index)) return fail(Errc::damaged, "the log has a change twice");
        store(index, segment.record.starts_flush && i == 0);
    }
    return {};
}

Result<void> ForkedLog::take(const DecodedSegment& segment, std::span<const Resolved> changes) {
    for (std::size_t i = 0; i < changes.size(); ++i) {
        const auto added = document_.add_unshown(segment.batch, i, changes[i].links());
        if (!added) return damaged(added.error(), kMisfit);
    }
    JOINERY_TRY_VOID(store_segment(segment, changes));
    keep_stored();
    return {};
}

Result<void> ForkedLog::load(StoreReader& reader, DocumentNumber number, std::uint64_t end) {
    History history(reader, number, document_.names());
    return history.for_each(stored_count_, end, [&](DecodedSegment& segment) -> Result<bool> {
        JOINERY_TRY(const auto changes, segment_links(document_.names(), segment));
        JOINERY_TRY_VOID(take(segment, changes));
        return true;
    });
}

Result<void> ForkedLog::absorb(StoreReader& reader, DocumentNumber number, std::uint64_t end) {
    History history(reader, number, document_.names());
    const auto take = [&](const DecodedSegment& segment) -> Result<void> {
        JOINERY_TRY(const auto changes, segment_links(document_.names(), segment));
        const auto added = document_.add_all(segment.batch, changes);
        if (!added) return damaged(added.error(), kMisfit);
        return store_segment(segment, changes);
    };
    return history.for_each(stored_count_, end, [&](DecodedSegment& segment) -> Result<bool> {
        JOINERY_TRY_VOID(take(segment));
        keep_stored();
        return true;
    });
}

// --- What is stored ------------------------------------------------------------------------------

bool ForkedLog::is_stored(NodeIndex index) const {
    return index < arrivals_.size() && arrivals_[index] != 0;
}

bool ForkedLog::opens_branch(NodeIndex index) const {
    return std::ranges::any_of(document_.siblings_of(index), [&](NodeIndex sibling) {
        return sibling != index && is_stored(sibling);
    });
}

void ForkedLog::store(NodeIndex index, bool starts_flush) {
    JOINERY_ASSERT(index < document_.nodes().size());
    if (index >= keys_.size()) {
        keys_.resize(document_.nodes().size());
        arrivals_.resize(document_.nodes().size(), 0);
    }
    const auto& change = node(index);
    if (opens_branch(index)) {
        keys_[index].bytes = crdt::prefix_of(change.hash).bytes;
        ++branch_count_;
    } else if (change.previous != kNone) {
        keys_[index] = keys_[change.previous];
    } else {
        keys_[index] = document_.names().actor(change.actor);
    }
    const std::uint64_t flush = order_.empty() ? 0 : order_.back().flush;
    order_.push_back({index, flush + (starts_flush ? 1 : 0)});
    arrivals_[index] = order_.size();
}

void ForkedLog::keep_stored() {
    for (; stored_count_ < order_.size(); ++stored_count_) {
        const NodeIndex index = order_[stored_count_].node;
        if (node(index).previous != kNone) ends_.erase(node(index).previous);
        ends_.insert(index);
    }
}

void ForkedLog::drop_unkept() {
    while (order_.size() > stored_count_) {
        const NodeIndex index = order_.back().node;
        order_.pop_back();
        arrivals_[index] = 0;
        if (opens_branch(index)) --branch_count_;
        keys_[index] = {};
    }
}

// --- Proof ---------------------------------------------------------------------------------------

/// What vouches for the branch: the first seal at or behind its first change.
Fork::Branch ForkedLog::branch_from(
    NodeIndex first,
    const std::function<std::optional<crdt::Seal>(NodeIndex)>& seal_of,
    DeviceKey& device) const {
    Fork::Branch branch;
    branch.name.bytes = crdt::prefix_of(node(first).hash).bytes;
    std::vector<NodeIndex> open{first};
    for (std::size_t at = 0; at < open.size(); ++at) {
        const auto& change = node(open[at]);
        if (const auto seal = seal_of(open[at])) {
            branch.sealed_seq = change.seq;
            branch.sealed_hash = change.hash;
            branch.signature = seal->signature;
            device = seal->proof.device;
            break;
        }
        open.insert(open.end(), change.followers.begin(), change.followers.end());
    }
    return branch;
}

std::vector<Fork> ForkedLog::forks(
    const std::function<std::optional<crdt::Seal>(NodeIndex)>& seal_of) const {
    std::vector<Fork> out;
    for (std::uint64_t arrival = 1; arrival <= stored_count_; ++arrival) {
        const NodeIndex index = stored_at(arrival);
        const auto& siblings = document_.siblings_of(index);
        if (siblings.size() < 2 || siblings.front() != index) continue;
        Fork fork;
        fork.actor = document_.names().actor(node(index).actor);
        fork.seq = node(index).seq;
        for (const NodeIndex sibling : siblings)
            fork.branches.push_back(branch_from(sibling, seal_of, fork.device));
        out.push_back(std::move(fork));
    }
    std::ranges::sort(out, {}, [](const Fork& fork) {
        return std::tuple(fork.actor, fork.seq, fork.branches.front().name);
    });
    return out;
}

// --- For sessions --------------------------------------------------------------------------------

session::FrontierEntry ForkedLog::entry_of(NodeIndex index) const {
    const auto& change = node(index);
    return {document_.names().actor(change.actor), change.seq, crdt::prefix_of(change.hash).bytes};
}

session::Frontier ForkedLog::frontier() const {
    session::Frontier frontier;
    for (const NodeIndex end : ends_)
        frontier.push_back(entry_of(end));
    std::ranges::sort(frontier);
    return frontier;
}

session::Frontier ForkedLog::known_frontier() const {
    session::Frontier frontier;
    for (NodeIndex index = 0; index < document_.nodes().size(); ++index) {
        if (node(index).followers.empty()) frontier.push_back(entry_of(index));
    }
    std::ranges::sort(frontier);
    return frontier;
}

ForkedLog::NodeIndex ForkedLog::find(const session::FrontierEntry& entry) const {
    const crdt::ChainIndex actor = document_.names().find_actor(entry.actor);
    if (actor == kNone) return kNone;
    if (!is_hash_known(entry)) return document_.find_only(actor, entry.seq);
    return document_.find(actor, entry.seq, {entry.hash_prefix});
}

/// The changes that the entries of one actor tell of, as far as they are here.
std::vector<ForkedLog::NodeIndex> ForkedLog::find_all(Ends ends) const {
    std::vector<NodeIndex> out;
    for (const session::FrontierEntry& entry : ends) {
        if (const NodeIndex index = find(entry); index != kNone) out.push_back(index);
    }
    return out;
}

/// Whether somebody who says that he has @p theirs of an actor has the change: it is before one of
/// those, or the actor has not forked here and he is further on.
bool ForkedLog::has(Ends theirs, std::span<const NodeIndex> found, NodeIndex index) const {
    const auto is_before = [&](NodeIndex end) { return document_.is_ancestor(index, end); };
    if (std::ranges::any_of(found, is_before)) return true;
    if (!found.empty() || document_.is_forked(node(index).actor)) return false;
    return std::ranges::any_of(theirs, [&](const session::FrontierEntry& entry) {
        return !document_.has(node(index).actor, entry.seq) && entry.seq > node(index).seq;
    });
}

std::vector<std::uint64_t> ForkedLog::missing(const session::Frontier& theirs) const {
    std::vector<std::uint64_t> out;
    std::set<NodeIndex> taken;
    for (const NodeIndex end : ends_) {
        const Ends ends = ends_of(theirs, document_.names().actor(node(end).actor));
        const auto found = find_all(ends);
        for (NodeIndex at = end; at != kNone && !has(ends, found, at); at = node(at).previous) {
            if (!taken.insert(at).second) break;
            out.push_back(arrivals_[at]);
        }
    }
    std::ranges::sort(out);
    return out;
}

void ForkedLog::doubt(session::Frontier& theirs, bool in_doubt) const {
    for (session::FrontierEntry& entry : theirs) {
        const crdt::ChainIndex actor = document_.names().find_actor(entry.actor);
        if (actor == kNone || !document_.has(actor, 1) || find(entry) != kNone) continue;
        if (in_doubt || document_.has(actor, entry.seq)) entry = doubt_of(entry.actor);
    }
    std::ranges::sort(theirs);
    const auto doubles = std::ranges::unique(theirs);
    theirs.erase(doubles.begin(), doubles.end());
}

void ForkedLog::advance(session::Frontier& theirs, const session::Frontier& more) const {
    session::Frontier merged;
    std::ranges::set_union(theirs, more, std::back_inserter(merged));
    std::vector<NodeIndex> nodes;
    for (const session::FrontierEntry& entry : merged)
        nodes.push_back(find(entry));
    theirs.clear();
    for (std::size_t begin = 0, end = 0; begin < merged.size(); begin = end) {
        while (end < merged.size() && merged[end].actor == merged[begin].actor)
            ++end;
        for (std::size_t i = begin; i < end; ++i) {
            bool is_behind = false;
            for (std::size_t j = begin; j < end && nodes[i] != kNone && !is_behind; ++j) {
                if (j == i || nodes[j] == kNone) continue;
                // Of two that tell of one change, the one with its hash.
                is_behind =
                    nodes[i] == nodes[j] ? i < j : document_.is_ancestor(nodes[i], nodes[j]);
            }
            if (!is_behind) theirs.push_back(merged[i]);
        }
    }
}

bool ForkedLog::is_covered(const session::Frontier& ours, const session::Frontier& theirs) const {
    return std::ranges::all_of(ours, [&](const session::FrontierEntry& entry) {
        const Ends ends = ends_of(theirs, entry.actor);
        const NodeIndex index = find(entry);
        return index != kNone && has(ends, find_all(ends), index);
    });
}

std::vector<crdt::ChangeLinks> ForkedLog::links_of(std::span<const NodeIndex> nodes,
                                                   const std::set<ActorId>* suspects) const {
    const auto is_doubtful = [&](crdt::ChainIndex actor) {
        return document_.is_forked(actor) ||
               (suspects != nullptr && suspects->contains(document_.names().actor(actor)));
    };
    std::vector<crdt::ChangeLinks> out;
    std::map<crdt::ChainIndex, NodeIndex> last;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        const auto& change = node(nodes[i]);
        crdt::ChangeLinks links;
        links.change = i;
        const auto before = last.find(change.actor);
        const bool goes_on = before != last.end() && before->second == change.previous;
        if (suspects != nullptr && !goes_on && is_doubtful(change.actor)) {
            links.after = crdt::prefix_of(previous_hash(nodes[i]));
        }
        const auto is_on_doubtful = [&](NodeIndex dep) { return is_doubtful(node(dep).actor); };
        if (std::ranges::any_of(change.dependencies, is_on_doubtful)) {
            for (const NodeIndex dep : change.dependencies)
                links.dependencies.push_back(crdt::prefix_of(node(dep).hash));
        }
        last[change.actor] = nodes[i];
        if (links.after || !links.dependencies.empty()) out.push_back(std::move(links));
    }
    return out;
}

}  // namespace joinery::detail
