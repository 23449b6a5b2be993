// The part of DocumentCore that is about documents in which an actor has forked: docs/semantics.md
// F, docs/forks.md.

#include "crdt/seed.h"
#include "engine/document_core.h"

#include <algorithm>
#include <map>

namespace joinery::detail {
namespace {

using crdt::kNone;

/// The container of @p to that bears the name of @p container of @p from; kNone if none does. Equal
/// names are the same thing to both: a name that a later branch took over is gone.
crdt::ContainerIndex find_again(const crdt::Names& from,
                                crdt::ContainerIndex container,
                                const crdt::Names& to) {
    if (container == crdt::kRoot || container == kNone) return container;
    const crdt::Names::Container& name = from.container(container);
    const crdt::ContainerIndex parent = find_again(from, name.parent, to);
    if (parent == kNone) return kNone;
    std::uint32_t key = kNone;
    if (!crdt::has_elements(from.container(name.parent).kind)) {
        key = to.find_key(from.key(name.key));
    } else if (from.is_by_key(name.key)) {
        crdt::Names::ElementKey by_key = from.element_key(name.key);
        by_key.field = to.find_key(from.key(by_key.field));
        if (by_key.field != kNone) key = to.find_element(parent, by_key);
    } else {
        const crdt::Names::Element& element = from.element(name.key);
        const crdt::ChainIndex chain = to.find_actor(from.actor(element.chain));
        if (chain != kNone) key = to.find_element(parent, crdt::Dot{chain, element.counter});
    }
    return key == kNone ? kNone : to.find_container(parent, key, name.kind);
}

}  // namespace

// --- From one without forks ----------------------------------------------------------------------

Result<void> DocumentCore::load_linked(StoreReader& reader, const DocumentRecord& record) {
    // The names keep their numbers, so what sessions know of them stays good: each side takes the
    // other's, which are its own and more.
    if (linked_ == nullptr) {
        linked_ = std::make_unique<ForkedLog>(id_, document_->names());
    } else {
        linked_->document().names() = document_->names();
    }
    const auto loaded = fill_linked(reader, record);
    if (!loaded) {
        linked_.reset();
        return loaded;
    }
    document_->names() = linked_->document().names();
    return {};
}

Result<void> DocumentCore::fill_linked(StoreReader& reader, const DocumentRecord& record) {
    JOINERY_TRY_VOID(linked_->load(reader, record.number, record.change_count));
    crdt::ForkedDocument& document = linked_->document();
    // What is not stored is of one branch of each actor: the one that has been here.
    std::map<std::pair<crdt::ChainIndex, std::uint64_t>, ChangeHash> queued;
    const auto hash_of = [&](crdt::ChainIndex chain, std::uint64_t seq) -> Result<ChangeHash> {
        if (seq == 0) return crdt::chain_origin(id_, document_->names().actor(chain));
        if (const auto at = queued.find({chain, seq}); at != queued.end()) return at->second;
        if (stored_of(chain).seq == seq) return stored_of(chain).hash;
        if (const NodeIndex only = document.find_only(chain, seq); only != kNone) {
            return linked_->node(only).hash;
        }
        return document_->hash_of(chain, seq);
    };
    for (const ChangeQueue* queue : {&writing_, &unstored_}) {
        for (std::size_t i = 0; i < queue->change_count(); ++i) {
            const crdt::ChangeHeader& change = queue->batch().changes[i];
            queued[{change.chain, change.seq}] = queue->hashes()[i];
            if (document.has(queue->hashes()[i])) continue;
            JOINERY_TRY(const ChangeHash previous, hash_of(change.chain, change.seq - 1));
            std::vector<ChangeHash> dependencies;
            for (const crdt::Dependency& dep : queue->batch().dependencies_of(change)) {
                JOINERY_TRY(const ChangeHash hash, hash_of(dep.chain, dep.seq));
                dependencies.push_back(hash);
            }
            JOINERY_TRY_VOID(document.add_unshown(queue->batch(), i, {previous, dependencies}));
            if (document.nodes().back().hash != queue->hashes()[i]) {
                return fail(Errc::damaged, "changes here do not fit those of the log");
            }
        }
    }
    return {};
}

void DocumentCore::put_in_place(std::unique_ptr<ForkedLog> forked) {
    if (document_ != nullptr) {
        std::swap(document_->live(), forked->document().document().live());
    }
    const std::unique_ptr<crdt::Document> before = std::move(plain_);
    forked_ = std::move(forked);
    document_ = &forked_->document().document();
    if (before != nullptr) find_live_maps(before->names());
    stored_.clear();
    sealed_.clear();
    sealed_spans_ = 0;
    seals_.clear();
    forget_recent();
}

void DocumentCore::find_live_maps(const crdt::Names& before) {
    for (crdt::ContainerIndex& map : live_maps_)
        map = find_again(before, map, document_->names());
}

DocumentCore::View DocumentCore::view() const {
    return {forked_->document().view_count(),
            live_maps_.empty() ? crdt::Names() : document_->names()};
}

void DocumentCore::follow_view(const View& before) {
    if (forked_->document().view_count() == before.count) return;
    document_ = &forked_->document().document();
    find_live_maps(before.names);
}

void DocumentCore::keep_view() {
    if (watches_.empty() || view_before_) return;
    // What is still to be told is in the view already.
    static_cast<void>(note_events(true));
    view_before_ = document_->read_root();
}

Result<session::DocumentPort::Received> DocumentCore::take_linked(crdt::Batch& batch,
                                                                  std::span<const crdt::Seal> seals,
                                                                  bool is_judged) {
    JOINERY_TRY(const auto reader, context_.store.read());
    JOINERY_TRY_VOID(load_linked(*reader, is_new_ ? DocumentRecord{} : record_));
    crdt::ForkedDocument& document = linked_->document();
    JOINERY_TRY(const auto changes, document.resolve(batch));
    // Nobody makes us replay the document who cannot show a seal for it.
    JOINERY_TRY(auto checked, check_forked_seals(*linked_, batch, changes, seals));
    Received received;
    const auto first_new = static_cast<NodeIndex>(document.nodes().size());
    for (std::size_t i = 0; i < changes.size(); ++i) {
        JOINERY_TRY(const bool is_new, document.add_unshown(batch, i, changes[i].links()));
        ++(is_new ? received.report.applied : received.report.duplicate);
    }
    if (!document.is_forked()) {
        // The fork is only somewhere else, as yet.
        batch.links.clear();
        JOINERY_TRY(received.report, take_plain(batch, seals, is_judged));
        return received;
    }
    if (is_judged) {
        // They are valid together; once more, one by one.
        linked_.reset();
        JOINERY_TRY_VOID(load_linked(*reader, is_new_ ? DocumentRecord{} : record_));
        JOINERY_TRY_VOID(linked_->document().show());
        keep_view();
        put_in_place(std::move(linked_));
        return take_forked(batch, seals, true);
    }
    JOINERY_TRY_VOID(document.show());
    keep_view();
    put_in_place(std::move(linked_));
    queue_forked(batch, changes, std::move(checked));
    unstored_.end_span({});
    look_for_own_since(first_new);
    received.ends = ends_of(changes);
    return received;
}

// --- Taking changes ------------------------------------------------------------------------------

namespace {

/// The changes of a batch that none of its others follows, in order.
std::vector<std::size_t> ends_in(std::span<const crdt::ForkedDocument::Resolved> changes) {
    std::set<ChangeHash> followed;
    for (const auto& change : changes)
        followed.insert(change.previous);
    std::vector<std::size_t> out;
    for (std::size_t i = 0; i < changes.size(); ++i) {
        if (!followed.contains(changes[i].hash)) out.push_back(i);
    }
    return out;
}

}  // namespace

session::Frontier DocumentCore::ends_of(std::span<const Resolved> changes) const {
    session::Frontier ends;
    for (const std::size_t i : ends_in(changes))
        ends.push_back(forked_->entry_of(forked_->document().find(changes[i].hash)));
    std::ranges::sort(ends);
    const auto doubles = std::ranges::unique(ends);
    ends.erase(doubles.begin(), doubles.end());
    return ends;
}

Result<DocumentCore::SealsByHash> DocumentCore::check_forked_seals(
    const ForkedLog& forked,
    const crdt::Batch& batch,
    std::span<const Resolved> changes,
    std::span<const crdt::Seal> seals) const {
    const crdt::Names& names = forked.document().names();
    SealsByHash checked;
    // Of one actor and number there may be several, in the order of the changes.
    std::map<std::pair<ActorId, std::uint64_t>, std::size_t> used;
    for (const std::size_t i : ends_in(changes)) {
        const ActorId& actor = names.actor(batch.changes[i].chain);
        const std::uint64_t seq = batch.changes[i].seq;
        std::size_t& skipped = used[{actor, seq}];
        std::size_t rest = skipped++;
        const auto seal = std::ranges::find_if(seals, [&](const crdt::Seal& s) {
            return s.seq == seq && crdt::actor_of(s.proof) == actor && rest-- == 0;
        });
        if (changes[i].is_known) continue;
        if (seal == seals.end()) return fail(Errc::untrusted, "changes without a seal", i);
        JOINERY_TRY_VOID(crdt::check_seal(*seal, id_, changes[i].hash));
        if (crdt::is_seed(seal->proof)) {
            JOINERY_TRY_VOID(crdt::check_seed(names, batch, i, seal->proof, id_));
        }
        checked.emplace(changes[i].hash, *seal);
    }
    return checked;
}

void DocumentCore::queue_forked(const crdt::Batch& batch,
                                std::span<const Resolved> changes,
                                SealsByHash seals) {
    std::set<ChangeHash> queued;
    for (std::size_t i = 0; i < changes.size(); ++i) {
        if (changes[i].is_known || !queued.insert(changes[i].hash).second) continue;
        unstored_.append(batch, i, changes[i].hash);
    }
    unstored_seals_.merge(seals);
}

Result<session::DocumentPort::Received> DocumentCore::take_forked(const crdt::Batch& batch,
                                                                  std::span<const crdt::Seal> seals,
                                                                  bool is_judged) {
    crdt::ForkedDocument& document = forked_->document();
    JOINERY_TRY(const auto changes, document.resolve(batch));
    JOINERY_TRY(auto checked, check_forked_seals(*forked_, batch, changes, seals));
    const auto first_new = static_cast<NodeIndex>(document.nodes().size());
    Received received;
    if (is_judged) {
        JOINERY_TRY(received.report, take_forked_judged(batch, changes, seals));
    } else {
        if (document.opens_branch(changes)) keep_view();
        const View before = view();
        const auto taken = document.add_all(batch, changes);
        follow_view(before);
        if (!taken) return taken.error();
        received.report = *taken;
    }
    queue_forked(batch, changes, std::move(checked));
    if (is_judged) {
        queue_forked_refusals(first_new);
    } else {
        look_for_own_since(first_new);
    }
    unstored_.end_span({});
    received.ends = ends_of(changes);
    return received;
}

void DocumentCore::look_for_own_since(NodeIndex first_new) {
    const crdt::ForkedDocument& document = forked_->document();
    const crdt::ChainIndex own = document.names().find_actor(author_.actor);
    for (auto index = first_new; index < document.nodes().size(); ++index) {
        const auto& change = document.nodes()[index];
        if (change.actor == own) overtaken_ = Overtaken{author_.actor, id_, change.seq, true};
    }
}

void DocumentCore::look_for_own_fork() {
    const crdt::ForkedDocument& document = forked_->document();
    const crdt::ChainIndex own = document.names().find_actor(author_.actor);
    if (own == kNone || !document.is_forked(own)) return;
    std::uint64_t seq = 0;
    for (const auto& change : document.nodes()) {
        if (change.actor == own) seq = std::max(seq, change.seq);
    }
    overtaken_ = Overtaken{author_.actor, id_, seq, true};
}

Result<bool> DocumentCore::commit_forked(crdt::Transaction& transaction,
                                         std::string_view message,
                                         Receipt& receipt) {
    crdt::ForkedDocument& document = forked_->document();
    JOINERY_TRY(const bool any, document.commit(transaction, message));
    if (!any) return false;
    const auto& made = document.nodes().back();
    unstored_.append(document.history(), made.change, made.hash);
    unstored_.end_span({});
    receipt.seq = made.seq;
    return true;
}

// --- For sessions --------------------------------------------------------------------------------

Result<session::DocumentPort::Missing> DocumentCore::encode_forked(
    session::Frontier& theirs, crdt::EncoderDictionary& dictionary, std::size_t size_max) {
    const crdt::ForkedDocument& document = forked_->document();
    Missing missing;
    crdt::Batch batch;
    std::vector<NodeIndex> nodes;
    std::size_t size = 0;
    crdt::Batch::Mark whole_flushes = batch.mark();
    std::uint64_t last = 0;
    for (const std::uint64_t arrival : forked_->missing(theirs)) {
        // Where a flush starts every chain before it ends at a seal.
        if (last != 0 && forked_->flush_of(last) != forked_->flush_of(arrival)) {
            missing.more = size >= size_max;
            if (missing.more) break;
            whole_flushes = batch.mark();
        }
        last = arrival;
        nodes.push_back(forked_->stored_at(arrival));
        batch.append(document.history(), forked_->node(nodes.back()).change);
        if (whole_flushes.changes != 0 &&
            !crdt::fits_batch(batch.changes.size(), batch.ops.size())) {
            batch.truncate(whole_flushes);
            nodes.resize(whole_flushes.changes);
            missing.more = true;
            break;
        }
        size += encoded_size_of(batch, batch.changes.back());
    }
    if (nodes.empty()) return missing;
    missing.change_count = nodes.size();
    std::set<NodeIndex> followed;
    for (const NodeIndex index : nodes)
        followed.insert(forked_->node(index).previous);
    JOINERY_TRY(const auto reader, context_.store.read());
    History history(*reader, record_.number, forked_->document().names());
    session::Frontier ends;
    for (const NodeIndex index : nodes) {
        if (followed.contains(index)) continue;
        JOINERY_TRY(const crdt::Seal seal,
                    history.seal_of(forked_->key_of(index), forked_->node(index).seq));
        missing.seals.push_back(seal);
        ends.push_back(forked_->entry_of(index));
    }
    std::ranges::sort(ends);
    forked_->advance(theirs, ends);
    const std::set<ActorId> suspects = suspects_in(theirs);
    batch.links = forked_->links_of(nodes, &suspects);
    crdt::encode_changes(
        document.names(), batch, 0, batch.changes.size(), dictionary, missing.changes);
    return missing;
}

// --- What is told of it --------------------------------------------------------------------------

Result<void> DocumentCore::fill_forked_status(DocumentStatus& status) const {
    const crdt::ForkedDocument& document = forked_->document();
    std::set<crdt::ChainIndex> actors;
    for (const auto& change : document.nodes())
        actors.insert(change.actor);
    status.actor_count = actors.size();
    status.heads.clear();
    for (const NodeIndex head : document.heads())
        status.heads.push_back({document.branch_of(head), document.nodes()[head].seq});
    JOINERY_TRY(const auto reader, context_.store.read());
    History history(*reader, record_.number, forked_->document().names());
    status.forks = forked_->forks([&](NodeIndex index) -> std::optional<crdt::Seal> {
        if (!forked_->is_stored(index)) return std::nullopt;
        const auto seal = history.seal_of(forked_->key_of(index), forked_->node(index).seq);
        return seal ? std::optional(*seal) : std::nullopt;
    });
    return {};
}

}  // namespace joinery::detail
