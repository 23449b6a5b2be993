/// @file
/// A peer without threads, sockets or sessions: its store, its identity and its documents. The Peer
/// runs it on threads; the simulator runs it on a virtual clock.
#pragma once

#include "engine/document_core.h"
#include "joinery/peer.h"

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace joinery::detail {

class Core : public session::Host {
  public:
    /// What the surroundings do for a core; must stay callable until it is destroyed.
    struct Hooks {
        /// A document has changes to store. From any thread, under no lock.
        std::function<void()> on_pending;
        /// Runs a callback of the app's, in order.
        std::function<void(std::function<void()>)> run_callback;
        /// Something that people should know. From any thread, under no lock.
        std::function<void(const LogEntry&)> log;
        /// A document has changes that others may lack. As on_pending. Empty: they wait until they
        /// are durable.
        std::function<void(DocumentCore&)> on_unsent{};
        /// Runs a task after a time, or never where the core is gone by then. As on_pending. Empty:
        /// transient writes wait for the next transaction or flush_transient().
        std::function<void(MonotonicTime, std::function<void()>)> after{};
        /// Somebody's presence in the document of that id changed. From any thread, under no lock.
        std::function<void(const std::string&)> on_presence{};
        /// Options::judge.
        Judge judge{};
    };

    /// Takes over @p store; makes the device's key there if it has none.
    static Result<std::unique_ptr<Core>> open(std::unique_ptr<Store> store,
                                              Clock& clock,
                                              Random& random,
                                              Hooks hooks);

    Core(const Core&) = delete;
    Core& operator=(const Core&) = delete;
    /// Where something was not stored, which may have left, the store's end is unclean.
    ~Core() override;

    const DeviceKey& device() const noexcept { return key_->public_key(); }
    const crdt::SigningKey& key() const noexcept { return *key_; }
    /// What names this run of the peer.
    const PeerInstance& run() const noexcept { return context_->run; }
    /// As whom this process writes now.
    Author author() const;
    Store& store() noexcept { return *store_; }

    /// An open document, opened or made where needed. Any thread.
    Result<std::shared_ptr<DocumentCore>> open_document(std::string_view id, bool create);

    /// Documents that changed by a commit: written by us, or found written by others.
    using Changed = std::vector<std::shared_ptr<DocumentCore>>;
    /// Stores everything pending in one durable transaction, after taking in what other processes
    /// stored. One thread at a time. On an Error everything stays pending.
    Result<Changed> commit();
    bool has_pending() const;
    /// Documents in memory. Any thread.
    std::size_t open_count() const;
    /// Changes of others that were refused here. Any thread.
    std::uint64_t refused_count() const noexcept { return context_->refused_count; }
    /// Whether another process wrote to the store since the last commit() of ours.
    bool others_wrote() const;

    /// Makes the snapshots that are due, one transaction each, from the store alone: no lock of a
    /// document is held while one is made. One thread at a time; may run beside commit().
    Result<std::size_t> make_snapshots(std::uint64_t interval);

    // --- Who else has what was made here --------------------------------------------------------
    /// @p device has @p durable of @p document durable. Any thread. Whether there is something to
    /// store of that.
    bool acknowledged(std::string_view document,
                      const DeviceKey& device,
                      const session::Frontier& durable);
    /// Stores it; changes that are stored take it along. One thread at a time, that of commit().
    Result<void> write_acknowledged();
    /// Of all documents in memory.
    std::uint64_t unacknowledged_count() const;
    /// Ends the waits for acknowledgements, for good.
    void close_outboxes();
    /// Makes the transient writes that wait, of all documents. Any thread.
    void flush_transient();

    // --- session::Host -------------------------------------------------------------------------
    std::vector<std::string> documents() const override;
    Result<session::DocumentPort*> find(std::string_view id) override;
    Result<session::DocumentPort*> document(std::string_view id) override;

  private:
    Core(std::unique_ptr<Store> store, std::unique_ptr<crdt::SigningKey> key)
        : store_(std::move(store)), key_(std::move(key)) {}

    std::vector<std::shared_ptr<DocumentCore>> open_documents() const;
    void note_pending(DocumentCore& document);
    void note_transient(DocumentCore& document);
    /// The documents with something to store, by id; they are off the list then.
    Changed take_pending();
    void list(const std::shared_ptr<DocumentCore>& document);
    /// As whom the store has this process write.
    Author author_of_store() const;
    void take_author();
    Result<void> leave_actor(const Overtaken& overtaken);
    void log(const LogEntry& entry) const;
    Result<void> follow_others();
    Result<void> write_acknowledged(const Changed& due);
    Result<Changed> write_all(const Changed& pending);
    /// Notes the documents that others made since the last commit here.
    void find_new(StoreReader& reader, DocumentNumber next_number);
    void note_untold(const std::shared_ptr<DocumentCore>& document);
    Changed take_untold();

    std::unique_ptr<Store> store_;
    std::unique_ptr<crdt::SigningKey> key_;
    std::unique_ptr<CoreContext> context_;
    Hooks hooks_;
    mutable std::mutex mutex_;  // Guards documents_ and author_.
    Author author_;
    // Held while a new incarnation is taken, so that one sign of it costs one.
    std::mutex renewal_mutex_;
    std::size_t claims_believed_ = 0;
    std::map<std::string, std::shared_ptr<DocumentCore>, std::less<>> documents_;
    /// Documents that may have something to store, each once: a commit costs what changed, not
    /// what is open.
    mutable std::mutex pending_mutex_;
    Changed pending_;
    std::mutex transient_mutex_;  ///< Taken under a document's lock; nothing is called under it.
    Changed transient_;           ///< Documents where transient writes may wait, each once.
    /// Absorbed what others wrote, and not reported since: the commit after it failed. By id.
    std::map<std::string_view, std::shared_ptr<DocumentCore>> untold_;
    bool has_absorbed_ = false;
    std::atomic<std::uint64_t> seen_commit_{0};
    DocumentNumber seen_number_ = 0;  ///< Documents below it were there at the last commit.
    std::vector<std::string> new_ids_;
};

}  // namespace joinery::detail
