// The part of DocumentCore that stores documents in which an actor has forked, and takes in what
// other processes stored of them: docs/forks.md.

#include "engine/document_core.h"

#include <map>
#include <set>

namespace joinery::detail {
namespace {

using crdt::kNone;

}  // namespace

Result<bool> DocumentCore::absorb_forked(StoreReader& reader, const DocumentRecord& record) {
    keep_view();
    if (forked_) {
        const auto first_new = static_cast<NodeIndex>(forked_->document().nodes().size());
        forked_->drop_unkept();
        const View before = view();
        const auto done = forked_->absorb(reader, record.number, record.change_count);
        follow_view(before);
        JOINERY_TRY_VOID(done);
        const auto& nodes = forked_->document().nodes();
        if (first_new < nodes.size()) {
            note_refusals(forked_->document().history(), nodes[first_new].change, true);
        }
        look_for_own_since(first_new);
    } else {
        take_outgoing();
        const crdt::ChainIndex own = document_->names().find_actor(author_.actor);
        const std::uint64_t known = own != kNone ? document_->graph().last_seq(own) : 0;
        JOINERY_TRY_VOID(load_linked(reader, record));
        auto forked = std::move(linked_);
        JOINERY_TRY_VOID(forked->document().show());
        put_in_place(std::move(forked));
        note_refusals(forked_->document().history(), 0, true);
        for (const auto& change : forked_->document().nodes()) {
            if (change.actor == own && change.seq > known) {
                overtaken_ = Overtaken{author_.actor, id_, change.seq, true};
            }
        }
        look_for_own_fork();
    }
    record_ = record;
    is_new_ = false;
    return true;
}

Result<void> DocumentCore::write_forked_flush(StoreWriter& writer,
                                              std::size_t first_span,
                                              std::size_t end_span) {
    const std::size_t begin = writing_.begin_of(first_span);
    const std::size_t end = writing_.begin_of(end_span);
    std::vector<NodeIndex> nodes;
    std::map<ActorId, NodeIndex> last;  // By the chain's name in the tables.
    for (std::size_t i = begin; i < end; ++i) {
        nodes.push_back(forked_->document().find(writing_.hashes()[i]));
        forked_->store(nodes.back(), i == begin);
        last[forked_->key_of(nodes.back())] = nodes.back();
    }
    // A segment has one chain of an actor at most: there numbers tell its changes apart.
    for (std::size_t at = 0; at < nodes.size();) {
        std::map<crdt::ChainIndex, ActorId> chains;
        std::size_t next = at;
        for (; next < nodes.size() && next - at < kSegmentMax; ++next) {
            const ActorId& key = forked_->key_of(nodes[next]);
            if (chains.try_emplace(forked_->node(nodes[next]).actor, key).first->second != key) {
                break;
            }
        }
        JOINERY_TRY_VOID(
            write_forked_segment(writer, std::span(nodes).subspan(at, next - at), at == 0));
        at = next;
    }
    const auto spans = std::span(writing_.spans()).subspan(first_span, end_span - first_span);
    for (const auto& [key, node] : last)
        JOINERY_TRY_VOID(write_forked_seal(writer, node, spans));
    return {};
}

Result<void> DocumentCore::write_forked_segment(StoreWriter& writer,
                                                std::span<const NodeIndex> nodes,
                                                bool starts_flush) {
    const crdt::ForkedDocument& document = forked_->document();
    Segment segment;
    segment.change_count = nodes.size();
    segment.starts_flush = starts_flush;
    crdt::Batch batch;
    std::set<NodeIndex> inside;
    std::set<crdt::ChainIndex> begun;
    for (const NodeIndex index : nodes) {
        const auto& change = forked_->node(index);
        batch.append(document.history(), change.change);
        for (const NodeIndex dep : change.dependencies) {
            if (!inside.contains(dep)) segment.outer_hashes.push_back(forked_->node(dep).hash);
        }
        inside.insert(index);
        if (!begun.insert(change.actor).second) continue;
        segment.chains.push_back(
            {document.names().actor(change.actor), change.seq, forked_->previous_hash(index)});
        JOINERY_TRY_VOID(
            writer.put(Table::index,
                       index_key(writing_record_.number, forked_->key_of(index), change.seq),
                       encode_arrival(writing_record_.change_count)));
    }
    batch.links = forked_->links_of(nodes, nullptr);
    Bytes changes;
    crdt::EncoderDictionary dictionary;
    crdt::encode_changes(document.names(), batch, 0, nodes.size(), dictionary, changes);
    segment.changes = changes;
    const Bytes record = encode_segment(segment);
    JOINERY_TRY_VOID(writer.put(
        Table::log, segment_key(writing_record_.number, writing_record_.change_count), record));
    writing_record_.change_count += nodes.size();
    writing_record_.stored_size += record.size();
    return {};
}

Result<void> DocumentCore::write_forked_seal(StoreWriter& writer,
                                             NodeIndex index,
                                             std::span<const ChangeQueue::Span> spans) {
    const auto& change = forked_->node(index);
    const ActorId& actor = forked_->document().names().actor(change.actor);
    std::optional<crdt::Seal> seal;
    if (const auto known = unstored_seals_.find(change.hash); known != unstored_seals_.end()) {
        seal = known->second;
    }
    // What came before the fork was known came in spans with their seals.
    for (const ChangeQueue::Span& span : spans) {
        for (const crdt::Seal& s : span.seals) {
            if (!seal && s.seq == change.seq && crdt::actor_of(s.proof) == actor &&
                crdt::check_seal(s, id_, change.hash)) {
                seal = s;
            }
        }
    }
    if (!seal) {
        const Author* const own = own_author(actor);
        JOINERY_ASSERT(own != nullptr);
        seal = crdt::make_seal(context_.key, own->proof, id_, change.seq, change.hash);
    }
    return writer.put(Table::seals,
                      seal_key(writing_record_.number, forked_->key_of(index), change.seq),
                      encode_seal(*seal));
}

Result<void> DocumentCore::finish_forked_record(StoreWriter& writer) {
    writing_record_.branch_count = forked_->branch_count();
    if (!writing_record_.is_forked() || writing_record_.snapshot_count == 0) return {};
    // It would be opened from the snapshot, and that has no branches.
    JOINERY_TRY_VOID(writer.erase(
        Table::snapshots, snapshot_key(writing_record_.number, writing_record_.snapshot_count)));
    writing_record_.snapshot_count = 0;
    return {};
}

}  // namespace joinery::detail
