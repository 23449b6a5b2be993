// The part of DocumentCore that looks back in documents in which an actor has forked.

#include "engine/change_text.h"
#include "engine/document_core.h"
#include "engine/tx_core.h"

#include <algorithm>

namespace joinery::detail {
namespace {

using crdt::kNone;
using NodeIndex = ForkedLog::NodeIndex;

/// Changes by their nodes: whether each is of a version.
using Members = std::vector<bool>;

/// The change that (actor or branch, seq) names.
Result<NodeIndex> find_head(const ForkedLog& log, const Version::Head& head) {
    const crdt::ForkedDocument& document = log.document();
    std::vector<NodeIndex> found;
    for (NodeIndex index = 0; index < document.nodes().size(); ++index) {
        const auto& change = log.node(index);
        if (change.seq != head.seq || !log.is_stored(index)) continue;
        if (document.branch_of(index) == head.actor) return index;
        if (document.names().actor(change.actor) == head.actor) found.push_back(index);
    }
    if (found.size() == 1) return found.front();
    if (found.empty()) {
        return fail(Errc::not_found, "no such change here; `log` lists them", head.seq);
    }
    return fail(Errc::not_found,
                "the actor has forked: name the branch in its place; `log` lists them",
                head.seq);
}

/// All that the heads of a version depend on.
Result<Members> members_of(const ForkedLog& log, const std::vector<Version::Head>& heads) {
    Members members(log.document().nodes().size(), false);
    std::vector<NodeIndex> open;
    for (const Version::Head& head : heads) {
        JOINERY_TRY(const NodeIndex index, find_head(log, head));
        open.push_back(index);
    }
    while (!open.empty()) {
        const NodeIndex index = open.back();
        open.pop_back();
        if (index == kNone || members[index]) continue;
        members[index] = true;
        const auto& change = log.node(index);
        open.push_back(change.previous);
        open.insert(open.end(), change.dependencies.begin(), change.dependencies.end());
    }
    return members;
}

/// The largest set of changes closed under dependencies with wall times up to @p time.
Members members_until(const ForkedLog& log, WallTime time) {
    const crdt::ForkedDocument& document = log.document();
    Members members(document.nodes().size(), false);
    const auto is_in = [&](NodeIndex index) { return index == kNone || members[index]; };
    // In memory, too, everything follows what it builds on.
    for (NodeIndex index = 0; index < members.size(); ++index) {
        const auto& change = log.node(index);
        members[index] = document.history().changes[change.change].time_ms <= time.count() &&
                         is_in(change.previous) && std::ranges::all_of(change.dependencies, is_in);
    }
    return members;
}

/// Those of the log that are of @p version.
Result<Members> members_of(const ForkedLog& log, const Version& version) {
    if (version.form == Version::Form::time) return members_until(log, version.time);
    if (version.form == Version::Form::heads) return members_of(log, version.heads);
    Members members(log.document().nodes().size(), false);
    const std::uint64_t end =
        version.form == Version::Form::arrival ? version.arrival : log.stored_count();
    for (std::uint64_t arrival = 1; arrival <= end && arrival <= log.stored_count(); ++arrival)
        members[log.stored_at(arrival)] = true;
    return members;
}

}  // namespace

Result<Plain> DocumentCore::read_forked_at(StoreReader& reader,
                                           const DocumentRecord& record,
                                           const Version& version,
                                           std::string_view path) const {
    if (version.form == Version::Form::arrival && version.arrival > record.change_count) {
        return fail(
            Errc::not_found, "the document has fewer changes than that", record.change_count);
    }
    ForkedLog log(id_, crdt::Names());
    JOINERY_TRY_VOID(log.load(reader, record.number, record.change_count));
    JOINERY_TRY(const Members members, members_of(log, version));
    crdt::ForkedDocument part(id_, log.document().names());
    for (std::uint64_t arrival = 1; arrival <= log.stored_count(); ++arrival) {
        const NodeIndex index = log.stored_at(arrival);
        if (!members[index]) continue;
        const auto& change = log.node(index);
        std::vector<ChangeHash> dependencies;
        for (const NodeIndex dep : change.dependencies)
            dependencies.push_back(log.node(dep).hash);
        JOINERY_TRY_VOID(part.add_unshown(
            log.document().history(), change.change, {log.previous_hash(index), dependencies}));
    }
    JOINERY_TRY_VOID(part.show());
    return read_path(part.document(), path);
}

Result<std::vector<ChangeInfo>> DocumentCore::forked_log(std::size_t limit,
                                                         const Version& since) const {
    JOINERY_TRY(const Members members, members_of(*forked_, since));
    std::vector<ChangeInfo> out;
    for (std::uint64_t arrival = forked_->stored_count(); arrival > 0 && out.size() < limit;
         --arrival) {
        const NodeIndex index = forked_->stored_at(arrival);
        if (members[index]) continue;
        out.push_back(forked_info(index));
        out.back().arrival = arrival;
    }
    return out;
}

ChangeInfo DocumentCore::forked_info(NodeIndex index) const {
    crdt::ForkedDocument& document = forked_->document();
    const PathPrinter paths(*document_);
    const auto& change = forked_->node(index);
    const crdt::Batch& history = document.history();
    const crdt::ChangeHeader& header = history.changes[change.change];
    ChangeInfo info;
    info.actor = document.names().actor(change.actor);
    const ActorId branch = document.branch_of(index);
    if (branch != info.actor) info.branch = branch;
    info.seq = change.seq;
    info.time = WallTime(header.time_ms);
    info.message = history.message_of(header);
    for (const NodeIndex dep : change.dependencies)
        info.dependencies.push_back({document.branch_of(dep), forked_->node(dep).seq});
    if (header.refused != crdt::kNone) info.refused = info.dependencies[header.refused];
    const auto slots = document.slots_of(index);
    std::size_t at = 0;
    for (const crdt::Op& op : history.ops_of(header))
        info.ops.push_back(describe(history, op, paths, slots[at++]));
    return info;
}

}  // namespace joinery::detail
