#include "engine/core.h"

#include "crdt/cursor.h"
#include "crdt/snapshot.h"
#include "engine/history.h"

#include <algorithm>
#include <utility>

namespace joinery::detail {
namespace {

/// How often a peer's mere word makes this process take a new incarnation: nobody signed it, and
/// each costs every document an actor. Changes under our own seal are believed always.
constexpr std::size_t kClaimsBelievedMax = 8;

/// The device's secret, made on first use.
Result<std::array<std::uint8_t, kDeviceSeedSize>> device_seed(Store& store, Random& random) {
    std::array<std::uint8_t, kDeviceSeedSize> seed{};
    {
        JOINERY_TRY(const auto reader, store.read());
        JOINERY_TRY(const auto bytes, reader->get(Table::meta, as_bytes(kDeviceSeedKey)));
        if (bytes) {
            if (bytes->size() != seed.size()) return fail(Errc::damaged, "device key is damaged");
            std::ranges::copy(*bytes, seed.begin());
            return seed;
        }
    }
    JOINERY_TRY(const auto writer, store.write());
    JOINERY_TRY(const auto bytes, writer->get(Table::meta, as_bytes(kDeviceSeedKey)));
    if (bytes) {  // Another process was quicker.
        if (bytes->size() != seed.size()) return fail(Errc::damaged, "device key is damaged");
        std::ranges::copy(*bytes, seed.begin());
        return seed;
    }
    random.fill(seed);
    JOINERY_TRY_VOID(writer->put(Table::meta, as_bytes(kDeviceSeedKey), seed));
    JOINERY_TRY_VOID(writer->commit());
    return seed;
}

/// The number of the document that is made next.
Result<DocumentNumber> next_number_in(StoreReader& reader) {
    JOINERY_TRY(const auto bytes, reader.get(Table::meta, as_bytes(kNextDocumentKey)));
    if (!bytes) return DocumentNumber{1};
    JOINERY_TRY(const std::uint64_t next, decode_arrival(*bytes));
    return static_cast<DocumentNumber>(next);
}

/// By id, up to the first record that cannot be read.
template <class Visit>
void for_each_document(StoreReader& reader, const Visit& visit) {
    Bytes key;
    while (true) {
        const auto found = reader.first_at_or_after(Table::documents, key);
        if (!found || !*found) return;
        visit(**found);
        key.assign((*found)->key.begin(), (*found)->key.end());
        key.push_back(0);
    }
}

Result<std::optional<DocumentRecord>> find_record(StoreReader& reader, std::string_view id) {
    JOINERY_TRY(const auto bytes, reader.get(Table::documents, document_key(id)));
    if (!bytes) return std::optional<DocumentRecord>();
    JOINERY_TRY(const DocumentRecord record, decode_document_record(*bytes));
    return std::optional<DocumentRecord>(record);
}

}  // namespace

Result<std::unique_ptr<Core>> Core::open(std::unique_ptr<Store> store,
                                         Clock& clock,
                                         Random& random,
                                         Hooks hooks) {
    JOINERY_TRY(auto seed, device_seed(*store, random));
    auto key = std::make_unique<crdt::SigningKey>(seed);
    seed.fill(0);
    std::unique_ptr<Core> core(new Core(std::move(store), std::move(key)));
    core->hooks_ = std::move(hooks);
    core->author_ = core->author_of_store();
    const auto on_overtaken = [raw = core.get()](const Overtaken& overtaken) {
        return raw->leave_actor(overtaken);
    };
    core->context_.reset(new CoreContext{
        *core->store_,
        clock,
        *core->key_,
        on_overtaken,
        [raw = core.get()](DocumentCore& document) { raw->note_pending(document); },
        core->hooks_.run_callback,
        [raw = core.get()](DocumentCore& document) {
            if (raw->hooks_.on_unsent) raw->hooks_.on_unsent(document);
        },
        !core->hooks_.on_unsent,
        {},
        [raw = core.get()](DocumentCore& document) { raw->note_transient(document); },
        core->hooks_.after,
        core->hooks_.on_presence,
        core->hooks_.judge,
        [raw = core.get()](const LogEntry& entry) { raw->log(entry); }});
    random.fill(core->context_->run.bytes);
    core->seen_commit_ = core->store_->commit_count();
    JOINERY_TRY(const auto reader, core->store_->read());
    JOINERY_TRY(core->seen_number_, next_number_in(*reader));
    return core;
}

Core::~Core() {
    const auto is_pending = [](const auto& entry) { return entry.second->has_pending(); };
    if (std::ranges::any_of(documents_, is_pending)) store_->mark_unclean();
}

Result<std::shared_ptr<DocumentCore>> Core::open_document(std::string_view id, bool create) {
    JOINERY_TRY_VOID(check_document_id(id));
    std::unique_lock lock(mutex_);
    if (const auto at = documents_.find(id); at != documents_.end()) return at->second;
    // One moment for the record and what it names: another process may replace a snapshot.
    JOINERY_TRY(const auto reader, store_->read());
    JOINERY_TRY(const auto record, find_record(*reader, id));
    if (!record && !create) return fail(Errc::not_found, "no such document; `ls` lists them");
    JOINERY_TRY(auto core,
                DocumentCore::open(*context_, author_, std::string(id), record, *reader));
    documents_.emplace(id, core);
    lock.unlock();
    if (const auto fault = core->snapshot_fault()) {
        LogEntry entry{LogLevel::warning,
                       "document.snapshot_damaged",
                       "document " + core->id() + ": " + std::string(fault->what) +
                           "; it was read from its whole log, and its next change makes another "
                           "snapshot"};
        entry.document = core->id();
        entry.error = fault->code;
        log(entry);
    }
    return core;
}

std::vector<std::shared_ptr<DocumentCore>> Core::open_documents() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::shared_ptr<DocumentCore>> out;
    out.reserve(documents_.size());
    for (const auto& [id, core] : documents_)
        out.push_back(core);
    return out;
}

std::size_t Core::open_count() const {
    const std::lock_guard lock(mutex_);
    return documents_.size();
}

// --- As whom we write ----------------------------------------------------------------------------

void Core::log(const LogEntry& entry) const {
    if (hooks_.log) hooks_.log(entry);
}

Author Core::author() const {
    const std::lock_guard lock(mutex_);
    return author_;
}

Author Core::author_of_store() const {
    return Author::of({key_->public_key(),
                       store_->incarnation(),
                       store_->writer_slot(),
                       store_->writer_generation()});
}

void Core::take_author() {
    const std::lock_guard lock(mutex_);
    author_ = author_of_store();
    for (const auto& [id, document] : documents_)
        document->set_author(author_);
}

Result<void> Core::leave_actor(const Overtaken& overtaken) {
    const std::lock_guard lock(renewal_mutex_);
    if (author().actor != overtaken.actor) return {};  // It was left already.
    const std::string what = "document " + overtaken.document + ": others have change " +
                             std::to_string(overtaken.seq) + " of this store's own actor " +
                             to_hex(overtaken.actor.view());
    if (!overtaken.is_proven && claims_believed_ == kClaimsBelievedMax) {
        log({LogLevel::warning,
             "actor.claim_ignored",
             what + ", as a peer says; it was believed too often",
             overtaken.document});
        return {};
    }
    if (!overtaken.is_proven) ++claims_believed_;
    JOINERY_TRY_VOID(
        store_->renew_incarnation(IncarnationReason::overtaken, context_->clock.wall_now()));
    take_author();
    log({LogLevel::warning,
         "actor.overtaken",
         what + ": the store was copied or put back to an older state; from now on it writes as " +
             to_hex(author().actor.view()),
         overtaken.document});
    return {};
}

/// Another process of the store may have found that it was put back: then this one's actor is as
/// suspect.
Result<void> Core::follow_others() {
    const std::lock_guard lock(renewal_mutex_);
    JOINERY_TRY(const bool is_other, store_->follow_incarnation());
    if (!is_other) return {};
    take_author();
    log({LogLevel::info,
         "actor.followed",
         "another process took a new incarnation of the store; this one writes as " +
             to_hex(author().actor.view())});
    return {};
}

// --- What is to be stored ------------------------------------------------------------------------

void Core::note_pending(DocumentCore& document) {
    if (!document.is_listed) list(document.shared_from_this());
    hooks_.on_pending();
}

void Core::list(const std::shared_ptr<DocumentCore>& document) {
    const std::lock_guard lock(pending_mutex_);
    if (!document->is_listed.exchange(true)) pending_.push_back(document);
}

Core::Changed Core::take_pending() {
    Changed taken;
    {
        const std::lock_guard lock(pending_mutex_);
        taken.swap(pending_);
        for (const auto& document : taken)
            document->is_listed = false;
    }
    // The order in which they are stored must not hang on that of threads.
    std::ranges::sort(taken, {}, &DocumentCore::id);
    return taken;
}

bool Core::has_pending() const {
    const std::lock_guard lock(pending_mutex_);
    return std::ranges::any_of(pending_,
                               [](const auto& document) { return document->has_pending(); });
}

bool Core::others_wrote() const { return store_->commit_count() != seen_commit_; }

Result<Core::Changed> Core::commit() {
    const bool others = others_wrote();
    if (others) JOINERY_TRY_VOID(follow_others());
    const Changed pending = take_pending();
    // Before the store's lock is taken: signing needs none, and callbacks may run here.
    for (const auto& document : pending)
        document->flush_live();
    auto done = write_all(pending);
    if (!done) {
        for (const auto& document : pending)
            list(document);
        // Where others wrote, more documents than these were to be stored.
        for (const auto& document : open_documents())
            document->outbox().put_back();
    }
    if (done) {
        for (const std::string& id : std::exchange(new_ids_, {})) {
            // What cannot be opened now is announced when a session begins.
            if (const auto document = open_document(id, false)) done->push_back(*document);
        }
    }
    if (!std::exchange(has_absorbed_, false)) return done;
    // What others stored may be of our own actor. If no new one can be had now, the next local
    // change tries again.
    for (const auto& document : open_documents())
        static_cast<void>(document->leave_overtaken_actor().has_value());
    return done;
}

void Core::note_untold(const std::shared_ptr<DocumentCore>& document) {
    untold_.emplace(document->id(), document);
}

Core::Changed Core::take_untold() {
    Changed out;
    for (auto& [id, document] : untold_)
        out.push_back(std::move(document));
    untold_.clear();
    return out;
}

Result<Core::Changed> Core::write_all(const Changed& pending) {
    JOINERY_TRY(const auto writer, store_->write());
    // With the write lock held nobody else commits: what others wrote is all there, and what we
    // write follows it.
    const std::uint64_t count_before = store_->commit_count();
    const bool others = count_before != seen_commit_;
    Changed written;
    JOINERY_TRY(const DocumentNumber next, next_number_in(*writer));
    DocumentNumber next_number = next;
    if (others) find_new(*writer, next_number);
    for (const auto& document : others ? open_documents() : pending) {
        if (others) {
            has_absorbed_ = true;
            JOINERY_TRY(const bool absorbed, document->absorb(*writer));
            if (absorbed) note_untold(document);
        }
        JOINERY_TRY(const bool wrote, document->write_pending(*writer, next_number));
        if (!wrote) continue;
        written.push_back(document);
        JOINERY_TRY_VOID(document->write_acknowledged(*writer));
    }
    if (written.empty()) {
        seen_commit_ = count_before;
        seen_number_ = next_number;
        return take_untold();
    }
    if (next_number != next) {
        JOINERY_TRY_VOID(
            writer->put(Table::meta, as_bytes(kNextDocumentKey), encode_arrival(next_number)));
    }
    JOINERY_TRY_VOID(writer->commit());
    // Not what the store counts now: somebody may have committed since, and is to be heard.
    seen_commit_ = count_before + 1;
    seen_number_ = next_number;
    for (const auto& document : written) {
        document->finish_write(true);
        note_untold(document);
    }
    return take_untold();
}

/// Documents are numbered as they are first stored, so those from seen_number_ on are new. What
/// cannot be read is left for the next session's list: a damaged record must not keep others from
/// the store.
void Core::find_new(StoreReader& reader, DocumentNumber next_number) {
    new_ids_.clear();
    if (next_number <= seen_number_) return;
    for_each_document(reader, [&](const StoreReader::Record& found) {
        const auto record = decode_document_record(found.value);
        if (record && record->number >= seen_number_) new_ids_.emplace_back(as_text(found.key));
    });
}

bool Core::acknowledged(std::string_view document,
                        const DeviceKey& device,
                        const session::Frontier& durable) {
    std::shared_ptr<DocumentCore> core;
    {
        const std::lock_guard lock(mutex_);
        const auto at = documents_.find(document);
        if (at == documents_.end()) return false;
        core = at->second;
    }
    return core->note_acknowledged(device, durable);
}

Result<void> Core::write_acknowledged() {
    Changed due;
    for (const auto& document : open_documents()) {
        if (document->outbox().has_unstored()) due.push_back(document);
    }
    if (due.empty()) return {};
    const auto done = write_acknowledged(due);
    if (done) return done;
    for (const auto& document : due)
        document->outbox().put_back();
    return done;
}

Result<void> Core::write_acknowledged(const Changed& due) {
    JOINERY_TRY(const auto writer, store_->write());
    // What others stored before is not of this commit: it stays to be heard of.
    const std::uint64_t count_before = store_->commit_count();
    bool is_any = false;
    for (const auto& document : due) {
        JOINERY_TRY(const bool wrote, document->write_acknowledged(*writer));
        is_any = is_any || wrote;
    }
    if (!is_any) return {};
    JOINERY_TRY_VOID(writer->commit());
    if (seen_commit_ == count_before) seen_commit_ = count_before + 1;
    return {};
}

std::uint64_t Core::unacknowledged_count() const {
    std::uint64_t count = 0;
    for (const auto& document : open_documents())
        count += document->outbox_status().unacknowledged_count();
    return count;
}

void Core::note_transient(DocumentCore& document) {
    if (document.is_transient.exchange(true)) return;
    const std::lock_guard lock(transient_mutex_);
    transient_.push_back(document.shared_from_this());
}

void Core::flush_transient() {
    Changed documents;
    {
        const std::lock_guard lock(transient_mutex_);
        documents.swap(transient_);
    }
    for (const auto& document : documents) {
        // Before, not after: what comes to wait from now on is listed again.
        document->is_transient = false;
        document->flush_transient();
    }
}

void Core::close_outboxes() {
    for (const auto& document : open_documents())
        document->outbox().close();
}

Result<std::size_t> Core::make_snapshots(std::uint64_t interval) {
    std::size_t count = 0;
    for (const auto& document : open_documents()) {
        if (!document->snapshot_due(interval)) continue;
        const bool is_repair = document->snapshot_fault().has_value();
        std::optional<DocumentRecord> record;
        Bytes bytes;
        {
            JOINERY_TRY(const auto reader, store_->read());
            // The document's own record may name a snapshot that another process has replaced.
            JOINERY_TRY(record, find_record(*reader, document->id()));
            if (!record) return fail(Errc::damaged, "the document's record is missing");
            const bool is_due = record->change_count >= record->snapshot_count + interval;
            if (record->is_forked() || (!is_due && !is_repair)) {
                document->snapshot_stored(record->snapshot_count);
                continue;
            }
            const auto hash_source = [&](const ActorId& actor,
                                         std::uint64_t seq) -> Result<ChangeHash> {
                crdt::Names names;
                return History(*reader, record->number, names).hash_of(document->id(), actor, seq);
            };
            JOINERY_TRY(const LoadedDocument copy,
                        load_document(*reader, document->id(), *record, hash_source));
            bytes = crdt::encode_snapshot(*copy.document);
        }
        JOINERY_TRY(const auto writer, store_->write());
        JOINERY_TRY(auto newest, find_record(*writer, document->id()));
        if (!newest) return fail(Errc::damaged, "the document's record is missing");
        // Another process may have been quicker, and further. Of a document with forks there are no
        // snapshots.
        const bool is_same = newest->snapshot_count == record->change_count;
        if (newest->is_forked() || newest->snapshot_count > record->change_count ||
            (is_same && !is_repair)) {
            continue;
        }
        JOINERY_TRY_VOID(writer->put(
            Table::snapshots, snapshot_key(record->number, record->change_count), bytes));
        if (newest->snapshot_count != 0 && !is_same) {
            JOINERY_TRY_VOID(writer->erase(Table::snapshots,
                                           snapshot_key(record->number, newest->snapshot_count)));
        }
        newest->snapshot_count = record->change_count;
        JOINERY_TRY_VOID(
            writer->put(Table::documents, document_key(document->id()), encode_record(*newest)));
        JOINERY_TRY_VOID(writer->commit());
        document->snapshot_stored(record->change_count);
        ++count;
    }
    return count;
}

std::vector<std::string> Core::documents() const {
    std::vector<std::string> ids;
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [id, document] : documents_)
            ids.push_back(id);
    }
    const auto reader = store_->read();
    if (reader) {
        for_each_document(**reader, [&](const StoreReader::Record& found) {
            ids.emplace_back(as_text(found.key));
        });
    }
    std::ranges::sort(ids);
    ids.erase(std::ranges::unique(ids).begin(), ids.end());
    return ids;
}

Result<session::DocumentPort*> Core::find(std::string_view id) {
    JOINERY_TRY(const auto core, open_document(id, false));
    return static_cast<session::DocumentPort*>(core.get());
}

Result<session::DocumentPort*> Core::document(std::string_view id) {
    JOINERY_TRY(const auto core, open_document(id, true));
    return static_cast<session::DocumentPort*>(core.get());
}

}  // namespace joinery::detail
