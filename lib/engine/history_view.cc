// The part of DocumentCore that looks back: versions, and the log.

#include "engine/change_text.h"
#include "engine/document_core.h"
#include "engine/history.h"
#include "engine/tx_core.h"

#include <algorithm>
#include <map>

namespace joinery::detail {
namespace {

/// The last seq of each actor that a version has.
using Reach = std::map<ActorId, std::uint64_t>;

bool within(const Reach& reach, const ActorId& actor, std::uint64_t seq) {
    const auto at = reach.find(actor);
    return at != reach.end() && seq <= at->second;
}

/// The largest set of changes closed under dependencies with wall times up to @p time.
class TimeFilter {
  public:
    explicit TimeFilter(WallTime time) : time_(time) {}
    bool operator()(const crdt::Names& names,
                    const crdt::Batch& batch,
                    const crdt::ChangeHeader& change) {
        const ActorId& actor = names.actor(change.chain);
        if (change.time_ms > time_.count()) return false;
        if (change.seq > 1 && !within(reach_, actor, change.seq - 1)) return false;
        for (const crdt::Dependency& dep : batch.dependencies_of(change)) {
            if (!within(reach_, names.actor(dep.chain), dep.seq)) return false;
        }
        reach_[actor] = change.seq;
        return true;
    }

  private:
    WallTime time_;
    Reach reach_;
};

/// What the heads of a version depend on, found by one walk back through the log.
Result<Reach> reach_of(StoreReader& reader,
                       const DocumentRecord& record,
                       const std::vector<Version::Head>& heads) {
    Reach reach;
    for (const Version::Head& head : heads) {
        auto& seq = reach[head.actor];
        seq = std::max(seq, head.seq);
    }
    crdt::Names names;
    struct Link {
        ActorId actor;
        std::uint64_t seq;
        std::vector<Version::Head> dependencies;
    };
    std::vector<Link> links;
    Reach known;
    History history(reader, record.number, names);
    JOINERY_TRY_VOID(
        history.for_each(0, record.change_count, [&](DecodedSegment& segment) -> Result<bool> {
            for (const crdt::ChangeHeader& change : segment.batch.changes) {
                Link link{names.actor(change.chain), change.seq, {}};
                for (const crdt::Dependency& dep : segment.batch.dependencies_of(change)) {
                    link.dependencies.push_back({names.actor(dep.chain), dep.seq});
                }
                known[link.actor] = change.seq;
                if (!link.dependencies.empty()) links.push_back(std::move(link));
            }
            return true;
        }));
    for (const Version::Head& head : heads) {
        if (!within(known, head.actor, head.seq)) {
            return fail(Errc::not_found, "no such change here; `log` lists them", head.seq);
        }
    }
    for (auto link = links.rbegin(); link != links.rend(); ++link) {
        if (!within(reach, link->actor, link->seq)) continue;
        for (const Version::Head& dep : link->dependencies) {
            auto& seq = reach[dep.actor];
            seq = std::max(seq, dep.seq);
        }
    }
    return reach;
}

}  // namespace

Result<Plain> DocumentCore::read_at(const Version& version, std::string_view path) const {
    if (version.form == Version::Form::head) return read(path, Lanes::all);
    DocumentRecord record;
    {
        const std::lock_guard lock(mutex_);
        record = record_;
    }
    JOINERY_TRY(const auto reader, context_.store.read());
    if (record.is_forked()) return read_forked_at(*reader, record, version, path);
    std::uint64_t end = record.change_count;
    std::function<bool(const crdt::Names&, const crdt::Batch&, const crdt::ChangeHeader&)> include =
        [](const auto&, const auto&, const auto&) { return true; };
    Reach reach;
    if (version.form == Version::Form::arrival) {
        if (version.arrival > end) {
            return fail(Errc::not_found, "the document has fewer changes than that", end);
        }
        end = version.arrival;
    } else if (version.form == Version::Form::time) {
        include = TimeFilter(version.time);
    } else {
        JOINERY_TRY(reach, reach_of(*reader, record, version.heads));
        include = [&reach](const crdt::Names& names,
                           const crdt::Batch&,
                           const crdt::ChangeHeader& change) {
            return within(reach, names.actor(change.chain), change.seq);
        };
    }
    JOINERY_TRY(const auto document, replay_document(*reader, id_, record, end, include));
    return read_path(*document, path);
}

Result<std::vector<ChangeInfo>> DocumentCore::log(std::size_t limit, const Version& since) const {
    const std::lock_guard lock(mutex_);
    if (forked_) return forked_log(limit, since);
    JOINERY_TRY(const auto reader, context_.store.read());
    std::uint64_t from = 0;
    Reach reach;
    if (since.form == Version::Form::arrival) from = since.arrival;
    if (since.form == Version::Form::head) from = record_.change_count;
    if (since.form == Version::Form::heads) {
        JOINERY_TRY(reach, reach_of(*reader, record_, since.heads));
    }
    TimeFilter until(since.time);
    std::vector<ChangeInfo> out;
    History history(*reader, record_.number, document_->names());
    const std::uint64_t first = since.form == Version::Form::time ? 0 : from;
    const auto visit = [&](DecodedSegment& segment) -> Result<bool> {
        std::uint64_t arrival = segment.arrival;
        for (const crdt::ChangeHeader& change : segment.batch.changes) {
            ++arrival;
            const ActorId& actor = document_->names().actor(change.chain);
            if (arrival <= from || within(reach, actor, change.seq)) continue;
            if (since.form == Version::Form::time &&
                until(document_->names(), segment.batch, change)) {
                continue;
            }
            out.push_back(info_of(segment.batch, change));
            out.back().arrival = arrival;
            // The newest are wanted: keep no more than twice as many as that.
            if (limit < SIZE_MAX / 2 && out.size() > 2 * limit + 64) {
                out.erase(out.begin(), out.end() - static_cast<std::ptrdiff_t>(limit));
            }
        }
        return true;
    };
    JOINERY_TRY_VOID(history.for_each(first, record_.change_count, visit));
    if (out.size() > limit) out.erase(out.begin(), out.end() - static_cast<std::ptrdiff_t>(limit));
    std::ranges::reverse(out);
    return out;
}

ChangeInfo DocumentCore::info_of(const crdt::Batch& batch, const crdt::ChangeHeader& change) const {
    const crdt::Names& names = document_->names();
    const PathPrinter paths(*document_);
    ChangeInfo info;
    info.actor = names.actor(change.chain);
    info.seq = change.seq;
    info.time = WallTime(change.time_ms);
    info.message = batch.message_of(change);
    for (const crdt::Dependency& dep : batch.dependencies_of(change))
        info.dependencies.push_back({names.actor(dep.chain), dep.seq});
    if (change.refused != crdt::kNone) info.refused = info.dependencies[change.refused];
    for (const crdt::Op& op : batch.ops_of(change))
        info.ops.push_back(describe(batch, op, paths, {op.container, op.key}));
    return info;
}

Result<ChangeInfo> DocumentCore::change_info(const ChainMark& change) const {
    const std::lock_guard lock(mutex_);
    if (forked_) {
        const crdt::ForkedDocument& document = forked_->document();
        const crdt::ChainIndex actor = document.names().find_actor(change.actor);
        const auto node =
            actor != crdt::kNone ? document.find_only(actor, change.seq) : crdt::kNone;
        if (node == crdt::kNone) return fail(Errc::not_found, "no change has that number");
        return forked_info(node);
    }
    const crdt::ChainIndex chain = document_->names().find_actor(change.actor);
    const auto is_it = [&](const crdt::ChangeHeader& header) {
        return header.chain == chain && header.seq == change.seq;
    };
    for (const ChangeQueue* queue : {&writing_, &unstored_}) {
        const auto found = std::ranges::find_if(queue->batch().changes, is_it);
        if (found != queue->batch().changes.end()) return info_of(queue->batch(), *found);
    }
    JOINERY_TRY(const auto reader, context_.store.read());
    History history(*reader, record_.number, document_->names());
    JOINERY_TRY(std::uint64_t arrival, history.find(change.actor, change.seq));
    std::optional<ChangeInfo> info;
    const auto visit = [&](DecodedSegment& segment) -> Result<bool> {
        for (const crdt::ChangeHeader& header : segment.batch.changes) {
            ++arrival;
            if (!is_it(header)) continue;
            info = info_of(segment.batch, header);
            info->arrival = arrival;
            return false;
        }
        return true;
    };
    JOINERY_TRY_VOID(history.for_each(arrival, record_.change_count, visit));
    if (!info) return fail(Errc::not_found, "no change has that number");
    return *info;
}

}  // namespace joinery::detail
