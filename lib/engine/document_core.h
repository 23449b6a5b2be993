/// @file
/// One open document of a peer: the crdt::Document behind its lock, what of it is stored and
/// sealed, who watches it.
#pragma once

#include "base/env.h"
#include "base/store.h"
#include "crdt/codec.h"
#include "crdt/document.h"
#include "crdt/put_back.h"
#include "crdt/seal.h"
#include "crdt/transaction.h"
#include "engine/change_queue.h"
#include "engine/core_context.h"
#include "engine/document_presence.h"
#include "engine/event_watch.h"
#include "engine/forked_log.h"
#include "engine/outbox.h"
#include "engine/records.h"
#include "engine/transient.h"
#include "engine/watch.h"
#include "joinery/authority.h"
#include "joinery/document.h"
#include "session/host.h"

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace joinery::detail {

class DocumentCore : public session::DocumentPort,
                     public std::enable_shared_from_this<DocumentCore> {
  public:
    /// @param record  Of the document in the store, as @p reader sees it; none: not stored yet.
    /// @param author  As whom it writes.
    static Result<std::shared_ptr<DocumentCore>> open(CoreContext& context,
                                                      const Author& author,
                                                      std::string id,
                                                      const std::optional<DocumentRecord>& record,
                                                      StoreReader& reader);

    // --- For apps (any thread) -----------------------------------------------------------------
    Result<Receipt> transact(const std::function<Result<void>(Tx&)>& body,
                             std::string_view message);
    Result<void> set_transient(std::string_view path,
                               const Plain& value,
                               std::chrono::milliseconds window);
    /// Makes the transient writes that wait.
    void flush_transient();
    /// Whether it is on the core's list of those where some may wait.
    std::atomic<bool> is_transient{false};
    Result<Receipt> init_once(const std::function<Result<void>(Tx&)>& body);
    Result<Plain> read(std::string_view path, Lanes lanes = Lanes::all) const;
    Result<Plain> read_at(const Version& version, std::string_view path) const;
    Result<std::vector<Alternative>> alternatives(std::string_view path) const;
    Result<std::vector<ChangeInfo>> log(std::size_t limit, const Version& since) const;
    Result<DocumentStatus> status() const;
    Subscription observe(std::string path, std::function<void(const Event&)> callback);
    /// Where a live value can be written: a key of a map.
    struct LiveSlot {
        std::uint32_t map = 0;  ///< A number of ours, good while the document is open.
        std::string key;
    };
    Result<LiveSlot> live_slot(std::string_view path);
    /// @p value  Null: nothing (rule I5).
    Result<void> write_live(std::uint32_t map, std::string_view key, const Value* value);

    // --- Who else has what was made here (any thread) ------------------------------------------
    Result<ChangeStatus> change_status(const ChainMark& change) const;
    Result<ChangeStatus> path_status(std::string_view path) const;
    OutboxStatus outbox_status() const;
    Outbox& outbox() noexcept { return outbox_; }
    Subscription observe_outbox(std::function<void(const OutboxStatus&)> callback);
    std::vector<Rejection> rejections();
    Subscription observe_rejections(std::function<void(const Rejection&)> callback);
    /// What the author of @p change had seen when it made it; `not_found`.
    Result<Version> version_before(const ChainMark& change) const;
    /// @p device has @p durable of the document durable, as it said itself.
    /// @return Whether something is to be stored of that.
    bool note_acknowledged(const DeviceKey& device, const session::Frontier& durable);
    /// Puts what others acknowledged since into @p writer; whether there was anything. Where that
    /// is not stored after all the outbox has to have it put back.
    Result<bool> write_acknowledged(StoreWriter& writer);

    /// Signs what was made here and is not sealed yet, and lets others learn of it and of what came
    /// and is not stored yet, all of it durable or not. Any thread.
    /// @return How many signatures that took.
    std::size_t seal_for_others();
    /// Whether somebody is about to do that. Set by whoever sees to it, cleared before it is done.
    std::atomic<bool> is_send_due{false};

    // --- For the writer thread -----------------------------------------------------------------
    /// Signs the live values written since the last call, and tells those who watch.
    void flush_live();
    bool has_pending() const;
    /// Whether it is on the core's list of those with something to store. Set under the lock of
    /// that list alone, and cleared before what is pending is looked at: so who makes something
    /// pending and then finds it set need not list it again.
    std::atomic<bool> is_listed{false};
    /// Applies what other processes stored since.
    Result<bool> absorb(StoreReader& reader);
    /// Puts all pending changes into @p writer. @p next_number gives a new document its number.
    Result<bool> write_pending(StoreWriter& writer, DocumentNumber& next_number);
    /// What write_pending() put is durable, or was not written after all.
    void finish_write(bool committed);
    /// What is wrong with the snapshot in the store, if something was when the document was opened
    /// and none has been made since.
    std::optional<Error> snapshot_fault() const {
        const std::lock_guard lock(mutex_);
        return snapshot_fault_;
    }
    /// Whether a snapshot is due, and the record to make it of.
    std::optional<DocumentRecord> snapshot_due(std::uint64_t interval) const;
    void snapshot_stored(std::uint64_t snapshot_count);
    /// From now on local changes are @p author's; what the one before made and did not store yet
    /// stays its own.
    void set_author(const Author& author);
    /// Goes on as a fresh actor if what absorb() took in shows that others write as ours. Under no
    /// lock, with no writer open.
    Result<void> leave_overtaken_actor();

    // --- session::DocumentPort -----------------------------------------------------------------
    const std::string& id() const override { return id_; }
    session::Frontier frontier() const override;
    session::Frontier known_frontier() const override;
    std::optional<Digest> digest() const override;
    Result<Missing> encode_missing(session::Frontier& theirs,
                                   crdt::EncoderDictionary& dictionary,
                                   std::size_t size_max) override;
    Result<Received> receive(ByteView changes,
                             crdt::DecoderDictionary& dictionary,
                             std::span<const crdt::Seal> seals) override;
    session::Frontier durable_frontier() const override;
    void hear(session::Frontier& theirs, Hearing how) override;
    void advance(session::Frontier& theirs, const session::Frontier& more) const override;
    bool is_covered(const session::Frontier& ours, const session::Frontier& theirs) const override;
    LiveState live_state() const override;
    crdt::LiveMarks live_marks() const override;
    LivePart collect_live(crdt::LiveCursor& cursor, std::size_t size_max) const override;
    Result<std::size_t> receive_live(std::span<const crdt::LiveBatch> batches,
                                     std::uint32_t origin) override;
    std::uint32_t new_live_origin() override;
    DocumentPresence* presence() override { return presence_.get(); }

  private:
    /// How far a chain is stored, or sealed.
    struct Stored {
        std::uint64_t seq = 0;
        ChangeHash hash;
    };

    DocumentCore(CoreContext& context, const Author& author, std::string id)
        : context_(context),
          id_(std::move(id)),
          presence_(std::make_shared<DocumentPresence>(context, id_)),
          authority_(authority_of(id_)),
          author_(author),
          outbox_(authority_) {}

    // All of these with mutex_ held.
    /// The names in which changes are queued, sent and received.
    crdt::Names& change_names() {
        return forked_ ? forked_->document().names() : document_->names();
    }
    const crdt::Names& change_names() const {
        return forked_ ? forked_->document().names() : document_->names();
    }
    void take_outgoing();
    Stored stored_of(crdt::ChainIndex chain) const;
    void set_stored(crdt::ChainIndex chain, std::uint64_t seq, const ChangeHash& hash);
    bool is_unstored(const crdt::ChangeHeader& change, const ChangeHash& hash) const;
    bool is_other_branch(const crdt::Batch& batch, std::span<const ChangeHash> hashes) const;
    void gather_writing();
    /// Ends flushes in what is not handed to the store yet, with a seal over each chain of ours
    /// where it ends in one.
    /// @return How many signatures that took.
    std::size_t seal_unstored();
    std::size_t seal_flush(std::size_t first_span, std::size_t end_span);
    /// How far others may learn of each chain.
    const std::vector<Stored>& told() const { return is_durable_first() ? stored_ : sealed_; }
    /// Whether changes leave once they are durable. What was judged does: were a refusal lost here
    /// that others have, the change that comes back would be refused twice.
    bool is_durable_first() const { return context_.durable_first || judges(); }
    session::Frontier frontier_of(const std::vector<Stored>& chains) const;
    Result<void> write_flush(StoreWriter& writer, std::size_t first_span, std::size_t end_span);
    Result<void> write_segment(StoreWriter& writer,
                               std::size_t begin,
                               std::size_t end,
                               bool starts_flush);
    /// The seal over a chain of ours, or one that came with a span of those, where it ends now.
    Result<void> write_seal(StoreWriter& writer,
                            crdt::ChainIndex chain,
                            std::span<const ChangeQueue::Span> spans);
    /// The author of ours that @p actor is or was; nullptr if it is somebody else.
    const Author* own_author(const ActorId& actor) const;
    /// Notes where @p batch, checked and not applied yet, has changes of our actor that are not
    /// ours.
    void look_for_own(const crdt::Batch& batch);
    Result<void> write_live_records(StoreWriter& writer);
    /// Takes in the live values that the store has; false if they are those of the last time.
    Result<bool> load_live(StoreReader& reader, DocumentNumber number);
    Result<bool> absorb_changes(StoreReader& reader, const DocumentRecord& record);
    void remember_recent();
    void forget_recent();
    Result<void> load_seals(StoreReader& reader);
    /// Takes in changes made elsewhere, or here by another actor than ours (@p local).
    Result<Received> take_in(ByteView changes,
                             crdt::DecoderDictionary& dictionary,
                             std::span<const crdt::Seal> seals,
                             bool local);
    /// The part of take_in() that may fail.
    Result<Received> take_changes(ByteView changes,
                                  crdt::DecoderDictionary& dictionary,
                                  std::span<const crdt::Seal> seals,
                                  bool is_judged);
    /// Whether @p error of checking @p batch may come of a fork before what is here.
    bool may_be_fork(const crdt::Batch& batch, const Error& error) const;
    Result<crdt::ApplyReport> take_plain(const crdt::Batch& batch,
                                         std::span<const crdt::Seal> seals,
                                         bool is_judged);
    /// Those of @p seals that vouch for the ends of the chains of @p batch: there must be one each.
    Result<std::vector<crdt::Seal>> check_seals(const crdt::Batch& batch,
                                                std::span<const ChangeHash> hashes,
                                                std::span<const crdt::Seal> seals) const;
    void keep_newest(const crdt::Seal& seal);
    void keep_newest(std::span<const crdt::Seal> seals) {
        for (const crdt::Seal& seal : seals)
            keep_newest(seal);
    }
    /// The entry of our actor, or none, that we cannot have made.
    void look_for_own(const session::Frontier& theirs);
    /// Puts doubts into @p theirs where it tells of branches that are not here.
    void look_for_branches(session::Frontier& theirs, Hearing how);
    /// Where the hashes of a batch's changes have to be said though no actor has forked here.
    Result<void> link_suspects(crdt::Batch& batch, const std::set<ActorId>& suspects) const;
    Result<Missing> encode_plain(session::Frontier& theirs,
                                 crdt::EncoderDictionary& dictionary,
                                 std::size_t size_max);
    /// Collects changes that somebody lacks, in order of arrival, until they fill a message. It
    /// stops where a flush starts, for there every chain ends at a seal.
    class Gathering;
    Result<void> gather_missing(Gathering& gathering) const;
    Result<void> gather_stored(Gathering& gathering) const;
    /// Of a change that is not stored yet.
    std::optional<ChangeHash> queued_hash(crdt::ChainIndex chain, std::uint64_t seq) const;
    Result<crdt::Seal> seal_at(crdt::ChainIndex chain, std::uint64_t seq) const;
    bool recent_covers(std::span<const std::uint64_t> theirs) const;

    // Where an actor has forked: document_forks.cc.
    using Resolved = crdt::ForkedDocument::Resolved;
    /// Brings linked_ up to the log as @p record has it, and what is not stored yet.
    Result<void> load_linked(StoreReader& reader, const DocumentRecord& record);
    Result<void> fill_linked(StoreReader& reader, const DocumentRecord& record);
    void put_in_place(std::unique_ptr<ForkedLog> forked);
    /// The view is about to be made anew: those who watch get the difference.
    void keep_view();
    /// What of the view has to be told to follow_view().
    struct View {
        std::uint64_t count = 0;
        crdt::Names names;  ///< Where somebody has a handle to a container.
    };
    View view() const;
    /// Where the view was made anew since @p before: leads what refers to it to the new one.
    void follow_view(const View& before);
    void find_live_maps(const crdt::Names& before);
    using SealsByHash = std::map<ChangeHash, crdt::Seal>;  ///< Of the change that each is over.
    /// Those of @p seals that vouch for the ends of the new changes of @p batch.
    Result<SealsByHash> check_forked_seals(const ForkedLog& forked,
                                           const crdt::Batch& batch,
                                           std::span<const Resolved> changes,
                                           std::span<const crdt::Seal> seals) const;
    /// Takes changes that name what they build on; it may be that an actor has forked.
    Result<Received> take_linked(crdt::Batch& batch,
                                 std::span<const crdt::Seal> seals,
                                 bool is_judged);
    Result<Received> take_forked(const crdt::Batch& batch,
                                 std::span<const crdt::Seal> seals,
                                 bool is_judged);
    /// Leaves the span open.
    void queue_forked(const crdt::Batch& batch,
                      std::span<const Resolved> changes,
                      SealsByHash seals);
    Result<bool> commit_forked(crdt::Transaction& transaction,
                               std::string_view message,
                               Receipt& receipt);
    Result<bool> absorb_forked(StoreReader& reader, const DocumentRecord& record);
    Result<void> write_forked_flush(StoreWriter& writer,
                                    std::size_t first_span,
                                    std::size_t end_span);
    Result<void> write_forked_segment(StoreWriter& writer,
                                      std::span<const ForkedLog::NodeIndex> nodes,
                                      bool starts_flush);
    Result<void> write_forked_seal(StoreWriter& writer,
                                   ForkedLog::NodeIndex node,
                                   std::span<const ChangeQueue::Span> spans);
    Result<void> finish_forked_record(StoreWriter& writer);
    Result<Missing> encode_forked(session::Frontier& theirs,
                                  crdt::EncoderDictionary& dictionary,
                                  std::size_t size_max);
    /// Notes where our own actor has two histories here: nothing more is made as it.
    void look_for_own_fork();
    /// Notes where a change from @p first_new on is of our actor and not made here.
    void look_for_own_since(ForkedLog::NodeIndex first_new);
    session::Frontier ends_of(std::span<const Resolved> changes) const;
    Result<void> fill_forked_status(DocumentStatus& status) const;
    Result<std::vector<ChangeInfo>> forked_log(std::size_t limit, const Version& since) const;
    /// Without the lock: of the store alone.
    Result<Plain> read_forked_at(StoreReader& reader,
                                 const DocumentRecord& record,
                                 const Version& version,
                                 std::string_view path) const;

    // Authority: document_judge.cc.
    using NodeIndex = ForkedLog::NodeIndex;
    /// Whether the changes of others are judged here.
    bool judges() const;
    /// Why the change, which has just been applied, is refused; none: it may stand.
    std::optional<std::string> judge(const DeviceKey& device,
                                     const ChangeInfo& change,
                                     std::span<const std::optional<Plain>> before);
    /// Takes checked changes in, one by one, and judges each. All or none.
    Result<crdt::ApplyReport> take_judged(const crdt::Batch& batch,
                                          std::span<const ChangeHash> checked_hashes,
                                          std::span<const crdt::Seal> seals);
    /// Whose the change is, where it is to be judged.
    std::optional<DeviceKey> judged_device(const crdt::ChangeHeader& change,
                                           std::span<const crdt::Seal> seals) const;
    void take_one(const crdt::Batch& batch,
                  std::size_t index,
                  const ChangeHash& hash,
                  const std::optional<DeviceKey>& device);
    void refuse(const crdt::Dependency& change,
                const crdt::PutBack& was,
                const std::string& reason);
    /// Ends the span of what came, of that @p size and count.
    void queue_refusals(std::size_t size, std::size_t op_count, std::span<const crdt::Seal> seals);
    /// The same in a document with forks; the refusals are the last nodes, among others.
    Result<crdt::ApplyReport> take_forked_judged(const crdt::Batch& batch,
                                                 std::span<const Resolved> changes,
                                                 std::span<const crdt::Seal> seals);
    void queue_forked_refusals(NodeIndex first_new);
    Result<void> take_forked_one(const crdt::Batch& batch,
                                 std::size_t index,
                                 const Resolved& change,
                                 const std::optional<DeviceKey>& device);
    /// `untrusted` where the refusal is not the authority's.
    Result<void> check_refusals(const crdt::Batch& batch, std::span<const crdt::Seal> seals) const;
    /// Learns which of our changes those of @p batch from @p begin on refuse.
    void note_refusals(const crdt::Batch& batch, std::size_t begin, bool is_stored);
    /// Without the lock.
    void tell_rejections();
    Rejection rejection_of(const ChainMark& change, const Rejected& rejected);
    Result<void> load_rejected(StoreReader& reader, DocumentNumber number);
    Result<void> write_rejected(StoreWriter& writer);
    /// @p change of @p batch, which the document has, for people; without its arrival.
    ChangeInfo info_of(const crdt::Batch& batch, const crdt::ChangeHeader& change) const;
    ChangeInfo forked_info(NodeIndex node) const;
    /// Of a change that is queued or stored; `not_found`, and what the store says. Without the
    /// lock.
    Result<ChangeInfo> change_info(const ChainMark& change) const;

    /// Which transient writes are made before a transaction.
    enum class Before : std::uint8_t { nothing, due_transient, all_transient };
    /// Without the lock.
    Result<Receipt> transact_now(const std::function<Result<void>(Tx&)>& body,
                                 std::string_view message,
                                 Before before);
    /// With the lock: nothing is told yet.
    Result<void> commit(const std::function<Result<void>(Tx&)>& body,
                        std::string_view message,
                        Receipt& receipt);
    /// Whether that changed anything.
    bool make_transient(const TransientWrites::Writes& writes);
    /// These two without the lock.
    void time_transient(MonotonicTime due);
    void end_windows();

    /// Whether @p actor is of this store's device.
    bool is_ours(const ActorId& actor) const;
    std::vector<ChainMark> own_ends() const;
    void tell_outbox();
    /// Whether a change, of a document with forks, waits to be durable.
    bool is_queued(const ChainMark& change) const;
    Result<void> load_acknowledged(StoreReader& reader, DocumentNumber number);
    static Result<void> write_acknowledged(StoreWriter& writer,
                                           const Bytes& key,
                                           Outbox::Acknowledged acknowledged);

    /// Whether tell() has something to do.
    [[nodiscard]] bool note_events(bool local);

    /// Delivers what note_events() left, in order, whoever made it. Without the lock.
    void tell();

    CoreContext& context_;
    const std::string id_;
    const std::shared_ptr<DocumentPresence> presence_;
    const std::optional<DeviceKey> authority_;
    Author author_;
    std::vector<Author> former_authors_;  ///< Whose changes may still wait to be stored.
    std::optional<Overtaken> overtaken_;  ///< Until a fresh actor is taken, nothing is made here.
    mutable std::mutex mutex_;
    std::unique_ptr<crdt::Document> plain_;  ///< The document, while no actor has forked.
    std::unique_ptr<ForkedLog> forked_;      ///< The document, once one has.
    /// All of plain_ as it would be with forks, not shown: from one change with links to the next,
    /// for each is to be looked up in the whole history.
    std::unique_ptr<ForkedLog> linked_;
    crdt::Document* document_ = nullptr;  ///< What plain_ or forked_ shows.
    SealsByHash unstored_seals_;          ///< In a document with forks, of unstored_ and writing_.
    std::optional<PlainObject> view_before_;       ///< Shown before the view was made anew.
    std::vector<crdt::ContainerIndex> live_maps_;  ///< By the numbers of live_slot().
    DocumentRecord record_;
    std::optional<Error> snapshot_fault_;
    bool is_new_ = false;                       ///< Has no record in the store yet.
    ChangeQueue unstored_;                      ///< Applied, not handed to the store yet.
    ChangeQueue writing_;                       ///< Handed to the store, not durable yet.
    std::vector<std::size_t> writing_flushes_;  ///< Where in writing_ each flush starts.
    DocumentRecord writing_record_;             ///< What record_ becomes when it is.
    bool is_writing_forked_ = false;            ///< Whether it was written with its branches.
    std::vector<Stored> writing_stored_;
    std::vector<Stored> stored_;    ///< By chain.
    std::vector<Stored> sealed_;    ///< By chain: no less than stored_.
    std::size_t sealed_spans_ = 0;  ///< Spans of unstored_ that are sealed.
    /// How often the store's live values were written: when they were read, and with what is being
    /// written.
    std::uint64_t live_count_ = 0, writing_live_count_ = 0;
    std::uint32_t last_origin_ = 0;            ///< Of live values.
    std::map<ActorId, crdt::Seal> seals_;      ///< The newest of each chain; of ours: when stored.
    ChangeQueue recent_;                       ///< The last changes stored: what live peers lack.
    std::vector<std::uint64_t> recent_from_;   ///< By chain: the first seq in recent_.
    std::vector<std::size_t> recent_flushes_;  ///< Where in recent_ each flush starts.
    TransientWrites transient_;
    bool is_transient_timed_ = false;  ///< Whether end_windows() is to come.
    std::vector<std::shared_ptr<EventWatch>> watches_;
    Outbox outbox_;  ///< Has a lock of its own.
    std::vector<std::shared_ptr<Watch<OutboxStatus>>> outbox_watches_;
    std::map<ChainMark, Rejected> writing_rejected_;
    std::vector<ChainMark> rejected_to_tell_;
    std::vector<std::shared_ptr<Watch<Rejection>>> rejection_watches_;
    std::vector<LogEntry> to_log_;                      ///< Once the lock is free.
    std::atomic<bool> is_telling_outbox_{false};        ///< Whether a callback is on its way.
    std::vector<std::shared_ptr<EventWatch>> to_tell_;  ///< Who is to be told.
    bool is_telling_ = false;                           ///< Whether a thread is at it.
};

}  // namespace joinery::detail
