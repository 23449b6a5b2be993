#include "engine/document_core.h"

#include "crdt/transaction.h"
#include "engine/history.h"
#include "engine/tx_core.h"

#include <algorithm>
#include <set>

namespace joinery::detail {
namespace {

/// Changes kept in memory for live peers, and their bytes, about; beyond, the store is read.
constexpr std::size_t kRecentMax = 4096;
constexpr std::size_t kRecentSizeMax = std::size_t{1} << 20U;

}  // namespace

Result<std::shared_ptr<DocumentCore>> DocumentCore::open(
    CoreContext& context,
    const Author& author,
    std::string id,
    const std::optional<DocumentRecord>& record,
    StoreReader& reader) {
    std::shared_ptr<DocumentCore> core(new DocumentCore(context, author, std::move(id)));
    // Under the lock although nobody else knows it yet: the hash source reads what it guards.
    const std::lock_guard lock(core->mutex_);
    core->is_new_ = !record.has_value();
    if (record) core->record_ = *record;
    auto hash_source = [raw = core.get()](const ActorId& actor,
                                          std::uint64_t seq) -> Result<ChangeHash> {
        // What is not stored is in no log.
        if (raw->document_ != nullptr) {
            const crdt::ChainIndex chain = raw->document_->names().find_actor(actor);
            if (const auto hash = raw->queued_hash(chain, seq)) return *hash;
        }
        JOINERY_TRY(const auto own_reader, raw->context_.store.read());
        crdt::Names names;
        return History(*own_reader, raw->record_.number, names).hash_of(raw->id_, actor, seq);
    };
    if (!record) {
        core->plain_ = std::make_unique<crdt::Document>(core->id_);
        core->plain_->set_hash_source(std::move(hash_source));
        core->document_ = core->plain_.get();
        return core;
    }
    if (record->is_forked()) {
        auto forked = std::make_unique<ForkedLog>(core->id_, crdt::Names());
        JOINERY_TRY_VOID(forked->load(reader, record->number, record->change_count));
        const auto shown = forked->document().show();
        if (!shown) return damaged(shown.error(), "changes of the log cannot be applied");
        core->put_in_place(std::move(forked));
        core->look_for_own_fork();
        const auto live = core->load_live(reader, record->number);
        if (!live) return live.error();
        JOINERY_TRY_VOID(core->load_acknowledged(reader, record->number));
        JOINERY_TRY_VOID(core->load_rejected(reader, record->number));
        return core;
    }
    JOINERY_TRY(LoadedDocument found,
                load_document(reader, core->id_, *record, std::move(hash_source)));
    core->snapshot_fault_ = found.snapshot_fault;
    core->plain_ = std::move(found.document);
    core->document_ = core->plain_.get();
    const crdt::Graph& graph = core->document_->graph();
    for (crdt::ChainIndex chain = 0; chain < core->document_->names().actor_count(); ++chain) {
        core->set_stored(chain, graph.last_seq(chain), graph.tip_hash(chain));
    }
    JOINERY_TRY_VOID(core->load_seals(reader));
    const auto loaded = core->load_live(reader, record->number);
    if (!loaded) return loaded.error();
    JOINERY_TRY_VOID(core->load_acknowledged(reader, record->number));
    JOINERY_TRY_VOID(core->load_rejected(reader, record->number));
    return core;
}

Result<void> DocumentCore::load_seals(StoreReader& reader) {
    History history(reader, record_.number, document_->names());
    for (crdt::ChainIndex chain = 0; chain < stored_.size(); ++chain) {
        const ActorId& actor = document_->names().actor(chain);
        JOINERY_TRY(const auto seal, history.last_seal_of(actor));
        // A newer one came with changes that are not stored yet.
        if (seal) keep_newest(*seal);
    }
    return {};
}

void DocumentCore::keep_newest(const crdt::Seal& seal) {
    const auto [known, is_first] = seals_.try_emplace(crdt::actor_of(seal.proof), seal);
    if (!is_first && known->second.seq < seal.seq) known->second = seal;
}

// --- Bookkeeping ---------------------------------------------------------------------------------

DocumentCore::Stored DocumentCore::stored_of(crdt::ChainIndex chain) const {
    return chain < stored_.size() ? stored_[chain] : Stored{};
}

void DocumentCore::set_stored(crdt::ChainIndex chain, std::uint64_t seq, const ChangeHash& hash) {
    if (chain >= stored_.size()) stored_.resize(chain + 1);
    stored_[chain] = {seq, hash};
    if (chain >= sealed_.size()) sealed_.resize(chain + 1);
    if (sealed_[chain].seq <= seq) sealed_[chain] = {seq, hash};
}

bool DocumentCore::is_unstored(const crdt::ChangeHeader& change, const ChangeHash& hash) const {
    if (forked_) return !forked_->is_stored(forked_->document().find(hash));
    return change.seq > stored_of(change.chain).seq;
}

void DocumentCore::take_outgoing() {
    const auto& outgoing = document_->outgoing();
    for (std::size_t i = 0; i < outgoing.batch.changes.size(); ++i) {
        unstored_.append(outgoing.batch, i, outgoing.hashes[i]);
        unstored_.end_span({});
    }
    document_->clear_outgoing();
}

bool DocumentCore::has_pending() const {
    const std::lock_guard lock(mutex_);
    const crdt::Live& live = document_->live();
    return !unstored_.empty() || !writing_.empty() || !document_->outgoing().batch.empty() ||
           live.has_unsealed() || live.has_unstored();
}

// --- For apps ------------------------------------------------------------------------------------

Result<Plain> DocumentCore::read(std::string_view path, Lanes lanes) const {
    const std::lock_guard lock(mutex_);
    return read_path(*document_, path, lanes);
}

Result<std::vector<Alternative>> DocumentCore::alternatives(std::string_view path) const {
    const std::lock_guard lock(mutex_);
    return path_alternatives(*document_, path);
}

Result<DocumentStatus> DocumentCore::status() const {
    const std::lock_guard lock(mutex_);
    const crdt::Graph& graph = document_->graph();
    DocumentStatus status;
    status.id = id_;
    status.change_count = graph.change_count();
    for (crdt::ChainIndex chain = 0; chain < document_->names().actor_count(); ++chain) {
        if (graph.last_seq(chain) != 0) ++status.actor_count;
    }
    for (const crdt::Dependency& head : graph.heads()) {
        status.heads.push_back({document_->names().actor(head.chain), head.seq});
    }
    if (forked_) JOINERY_TRY_VOID(fill_forked_status(status));
    status.live_count = document_->live().count();
    status.stored_size = record_.stored_size;
    status.pending_count = unstored_.change_count() + writing_.change_count() +
                           document_->outgoing().batch.changes.size();
    status.digest = document_->digest();
    return status;
}

// --- For the writer thread -----------------------------------------------------------------------

Result<bool> DocumentCore::absorb(StoreReader& reader) {
    JOINERY_TRY(const auto bytes, reader.get(Table::documents, document_key(id_)));
    if (!bytes) return false;
    JOINERY_TRY(const DocumentRecord record, decode_document_record(*bytes));
    bool is_to_tell = false;
    bool is_changed = false;
    {
        const std::lock_guard lock(mutex_);
        document_->set_recording(!watches_.empty());
        JOINERY_TRY(const bool has_changes, absorb_changes(reader, record));
        const bool had_unstored = document_->live().has_unstored();
        JOINERY_TRY(const bool has_live, load_live(reader, record.number));
        JOINERY_TRY_VOID(load_acknowledged(reader, record.number));
        // What came here and is stored by another process already is told as if it was stored here.
        is_changed = has_changes || has_live || (had_unstored && !document_->live().has_unstored());
        if (is_changed) is_to_tell = note_events(false);
    }
    if (is_to_tell) tell();
    tell_rejections();
    return is_changed;
}

Result<bool> DocumentCore::absorb_changes(StoreReader& reader, const DocumentRecord& record) {
    if (record.change_count == record_.change_count) {
        // It may have been made there, by live values alone.
        record_ = record;
        is_new_ = false;
        return false;
    }
    if (forked_ || record.is_forked()) return absorb_forked(reader, record);
    take_outgoing();
    History history(reader, record.number, document_->names());
    bool is_fork = false;
    const auto done = history.for_each(
        record_.change_count, record.change_count, [&](DecodedSegment& segment) -> Result<bool> {
            JOINERY_TRY(const auto hashes, segment_hashes(document_->names(), segment));
            is_fork = is_other_branch(segment.batch, hashes);
            if (is_fork) return false;
            look_for_own(segment.batch);
            JOINERY_TRY_VOID(apply_segment(*document_, segment));
            note_refusals(segment.batch, 0, true);
            for (std::size_t i = 0; i < hashes.size(); ++i) {
                const crdt::ChangeHeader& change = segment.batch.changes[i];
                if (is_unstored(change, hashes[i])) set_stored(change.chain, change.seq, hashes[i]);
            }
            return true;
        });
    if (done && is_fork) return absorb_forked(reader, record);
    JOINERY_TRY_VOID(done);
    record_ = record;
    is_new_ = false;
    // The window of recent changes has a gap now; the store has what it lacks.
    forget_recent();
    JOINERY_TRY_VOID(load_seals(reader));
    return true;
}

/// What is here and not stored may be of another branch than what another process stored.
bool DocumentCore::is_other_branch(const crdt::Batch& batch,
                                   std::span<const ChangeHash> hashes) const {
    for (std::size_t i = 0; i < hashes.size(); ++i) {
        const crdt::ChangeHeader& change = batch.changes[i];
        if (change.seq > document_->graph().last_seq(change.chain)) continue;
        for (const ChangeQueue* queue : {&writing_, &unstored_}) {
            for (std::size_t at = 0; at < queue->change_count(); ++at) {
                const crdt::ChangeHeader& ours = queue->batch().changes[at];
                const bool is_it = ours.chain == change.chain && ours.seq == change.seq;
                if (is_it && queue->hashes()[at] != hashes[i]) return true;
            }
        }
    }
    return false;
}

void DocumentCore::gather_writing() {
    take_outgoing();
    // What failed to be written comes again; what another process stored meanwhile is dropped.
    const ChangeQueue failed = std::exchange(writing_, ChangeQueue());
    for (const ChangeQueue* queue : {&failed, static_cast<const ChangeQueue*>(&unstored_)}) {
        std::size_t i = 0;
        bool starts_flush = false;  // Or what came before it in its flush is dropped.
        for (const ChangeQueue::Span& span : queue->spans()) {
            starts_flush = starts_flush || span.starts_flush;
            for (; i < span.end; ++i) {
                if (!is_unstored(queue->batch().changes[i], queue->hashes()[i])) continue;
                writing_.append(queue->batch(), i, queue->hashes()[i]);
            }
            if (writing_.end_span(span.seals, starts_flush)) starts_flush = false;
        }
    }
    unstored_.clear();
    sealed_spans_ = 0;
}

Result<bool> DocumentCore::write_pending(StoreWriter& writer, DocumentNumber& next_number) {
    const std::lock_guard lock(mutex_);
    if (forked_) {
        forked_->drop_unkept();
    } else {
        take_outgoing();
        seal_unstored();
    }
    gather_writing();
    if (writing_.empty() && !document_->live().has_unstored()) return false;
    is_writing_forked_ = forked_ != nullptr;
    writing_record_ = record_;
    if (is_new_) writing_record_.number = next_number++;
    writing_stored_ = stored_;
    writing_flushes_.clear();
    // What is sealed as one is sent as one, so no more is than a message takes.
    for (std::size_t first = 0; first < writing_.spans().size();) {
        const std::size_t end =
            forked_ ? writing_.flush_end(first) : writing_.whole_flush_end(first);
        writing_flushes_.push_back(writing_.begin_of(first));
        if (forked_) {
            JOINERY_TRY_VOID(write_forked_flush(writer, first, end));
        } else {
            JOINERY_TRY_VOID(write_flush(writer, first, end));
        }
        first = end;
    }
    JOINERY_TRY_VOID(write_live_records(writer));
    JOINERY_TRY_VOID(write_rejected(writer));
    if (writing_.empty() && !is_new_) return true;
    if (forked_) JOINERY_TRY_VOID(finish_forked_record(writer));
    JOINERY_TRY_VOID(
        writer.put(Table::documents, document_key(id_), encode_record(writing_record_)));
    return true;
}

Result<void> DocumentCore::write_flush(StoreWriter& writer,
                                       std::size_t first_span,
                                       std::size_t end_span) {
    const std::size_t begin = writing_.begin_of(first_span);
    const std::size_t end = writing_.begin_of(end_span);
    std::set<crdt::ChainIndex> chains;
    for (std::size_t at = begin; at < end;) {
        const std::size_t next = std::min(end, at + kSegmentMax);
        JOINERY_TRY_VOID(write_segment(writer, at, next, at == begin));
        for (; at < next; ++at)
            chains.insert(writing_.batch().changes[at].chain);
    }
    const auto spans = std::span(writing_.spans()).subspan(first_span, end_span - first_span);
    for (const crdt::ChainIndex chain : chains)
        JOINERY_TRY_VOID(write_seal(writer, chain, spans));
    return {};
}

Result<void> DocumentCore::write_segment(StoreWriter& writer,
                                         std::size_t begin,
                                         std::size_t end,
                                         bool starts_flush) {
    const crdt::Names& names = document_->names();
    const crdt::Batch& batch = writing_.batch();
    Segment segment;
    segment.change_count = end - begin;
    segment.starts_flush = starts_flush;
    std::map<std::pair<crdt::ChainIndex, std::uint64_t>, bool> inside;
    for (std::size_t i = begin; i < end; ++i) {
        const crdt::ChangeHeader& change = batch.changes[i];
        for (const crdt::Dependency& dep : batch.dependencies_of(change)) {
            if (inside.contains({dep.chain, dep.seq})) continue;
            JOINERY_TRY(const ChangeHash hash, document_->hash_of(dep.chain, dep.seq));
            segment.outer_hashes.push_back(hash);
        }
        inside[{change.chain, change.seq}] = true;
        if (change.chain >= writing_stored_.size()) writing_stored_.resize(change.chain + 1);
        Stored& stored = writing_stored_[change.chain];
        const ActorId& actor = names.actor(change.chain);
        if (!inside.contains({change.chain, change.seq - 1})) {
            const ChangeHash previous =
                change.seq == 1 ? crdt::chain_origin(id_, actor) : stored.hash;
            segment.chains.push_back({actor, change.seq, previous});
            JOINERY_TRY_VOID(writer.put(Table::index,
                                        index_key(writing_record_.number, actor, change.seq),
                                        encode_arrival(writing_record_.change_count)));
        }
        stored = {change.seq, writing_.hashes()[i]};
    }
    Bytes changes;
    crdt::EncoderDictionary dictionary;
    crdt::encode_changes(names, batch, begin, end, dictionary, changes);
    segment.changes = changes;
    const Bytes record = encode_segment(segment);
    JOINERY_TRY_VOID(writer.put(
        Table::log, segment_key(writing_record_.number, writing_record_.change_count), record));
    writing_record_.change_count += end - begin;
    writing_record_.stored_size += record.size();
    return {};
}

Result<void> DocumentCore::write_seal(StoreWriter& writer,
                                      crdt::ChainIndex chain,
                                      std::span<const ChangeQueue::Span> spans) {
    const Stored& now = writing_stored_[chain];
    const ActorId& actor = document_->names().actor(chain);
    for (const ChangeQueue::Span& span : spans) {
        const crdt::Seal* const seal = span.find_seal(actor, now.seq);
        if (seal == nullptr) continue;
        return writer.put(
            Table::seals, seal_key(writing_record_.number, actor, now.seq), encode_seal(*seal));
    }
    return fail(Errc::damaged, "a chain that is to be stored has no seal");
}

void DocumentCore::finish_write(bool committed) {
    const std::lock_guard lock(mutex_);
    if (!committed) return;
    document_->live().keep_stored();
    outbox_.keep_rejected(writing_rejected_);
    live_count_ = writing_live_count_;
    record_ = writing_record_;
    is_new_ = false;
    if (writing_.empty()) return;
    if (forked_) {
        // The fork may have become known while what was written as one branch became durable.
        std::size_t flush = 0;
        for (std::size_t i = 0; i < writing_.change_count() && !is_writing_forked_; ++i) {
            const bool starts_flush =
                flush < writing_flushes_.size() && writing_flushes_[flush] == i;
            if (starts_flush) ++flush;
            forked_->store(forked_->document().find(writing_.hashes()[i]), starts_flush);
        }
        forked_->keep_stored();
        for (const ChangeHash& hash : writing_.hashes())
            unstored_seals_.erase(hash);
        writing_.clear();
        // What another process stored first was never written here.
        if (unstored_.empty()) unstored_seals_.clear();
        return;
    }
    stored_ = writing_stored_;
    remember_recent();
    writing_.clear();
}

void DocumentCore::forget_recent() {
    recent_.clear();
    recent_from_.clear();
    recent_flushes_.clear();
}

void DocumentCore::remember_recent() {
    if (recent_.change_count() + writing_.change_count() > kRecentMax ||
        recent_.size() + writing_.size() > kRecentSizeMax) {
        forget_recent();
    }
    if (writing_.change_count() > kRecentMax || writing_.size() > kRecentSizeMax) return;
    for (const std::size_t begin : writing_flushes_)
        recent_flushes_.push_back(recent_.change_count() + begin);
    for (std::size_t i = 0; i < writing_.change_count(); ++i) {
        const crdt::ChangeHeader& change = writing_.batch().changes[i];
        if (change.chain >= recent_from_.size()) recent_from_.resize(change.chain + 1, 0);
        if (recent_from_[change.chain] == 0) recent_from_[change.chain] = change.seq;
        recent_.append(writing_.batch(), i, writing_.hashes()[i]);
    }
}

std::optional<DocumentRecord> DocumentCore::snapshot_due(std::uint64_t interval) const {
    const std::lock_guard lock(mutex_);
    if (is_new_ || forked_) return std::nullopt;
    const bool is_due = record_.change_count >= record_.snapshot_count + interval;
    return is_due || snapshot_fault_ ? std::optional(record_) : std::nullopt;
}

const Author* DocumentCore::own_author(const ActorId& actor) const {
    if (actor == author_.actor) return &author_;
    const auto former = std::ranges::find(former_authors_, actor, &Author::actor);
    return former != former_authors_.end() ? &*former : nullptr;
}

void DocumentCore::set_author(const Author& author) {
    const std::lock_guard lock(mutex_);
    if (author.actor == author_.actor) return;
    // What it wrote live is its own, too.
    document_->live().seal(context_.key, author_.proof);
    former_authors_.push_back(author_);
    author_ = author;
    overtaken_.reset();
}

void DocumentCore::snapshot_stored(std::uint64_t snapshot_count) {
    const std::lock_guard lock(mutex_);
    record_.snapshot_count = snapshot_count;
    snapshot_fault_.reset();
}

}  // namespace joinery::detail
