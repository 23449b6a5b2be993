#include "persist/lmdb_store.h"

#include "base/assert.h"
#include "persist/backup.h"
#include "persist/directory.h"
#include "persist/files.h"
#include "persist/format.h"
#include "persist/identity.h"
#include "persist/incarnation_log.h"
#include "persist/lease.h"
#include "persist/lmdb_env.h"
#include "persist/lmdb_records.h"
#include "persist/page_file.h"

#include <array>
#include <atomic>
#include <filesystem>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>

namespace joinery::persist {
namespace {

using detail::LmdbEnv;
using detail::LmdbRecords;
using detail::LmdbTxn;
using detail::TableHandle;
using detail::TableHandles;

/// Smallest map that holds the tables and leaves room to work, in bytes.
constexpr std::uint64_t kMapSizeMin = 1U << 20U;
/// Every how many writers the entries of dead readers are cleared, so that a reader that was killed
/// does not make the file grow for ever.
constexpr std::uint32_t kDeadReaderCheckInterval = 16;

Result<void> check_free_space(const std::filesystem::path& root, std::uint64_t size_min) {
    JOINERY_TRY(const std::uint64_t size, detail::free_size(root));
    if (size < size_min) return fail(Errc::io, kNearlyFull);
    return {};
}

class LmdbStore final : public Store {
  public:
    struct Parts {
        detail::StoreDirectory directory;
        std::unique_ptr<LmdbEnv> env;
        TableHandles handles;
        detail::SlotLease lease;
        detail::Identity identity;
        std::uint64_t free_size_min;
    };

    LmdbStore(Parts parts, Random& random) : parts_(std::move(parts)), random_(random) {}
    ~LmdbStore() override;

    Result<std::unique_ptr<StoreReader>> read() override;
    Result<std::unique_ptr<StoreWriter>> write() override;
    // Not LMDB's last transaction: a commit is that from when its meta page is on its way to the
    // disk, and who begins to read then is given the state before it.
    std::uint64_t commit_count() override { return parts_.env->visible_transaction().value_or(0); }
    Incarnation incarnation() const override {
        const std::lock_guard lock(identity_mutex_);
        return parts_.identity.incarnation;
    }
    Result<void> renew_incarnation(IncarnationReason reason, WallTime now) override;
    Result<bool> follow_incarnation() override;
    Result<std::vector<IncarnationChange>> incarnation_changes() override;
    void mark_unclean() noexcept override { spoilt_ = true; }
    std::uint32_t writer_slot() const override { return parts_.lease.slot(); }
    std::uint32_t writer_generation() const override { return parts_.identity.generation; }

    const TableHandles& handles() const noexcept { return parts_.handles; }
    LmdbEnv& env() noexcept { return *parts_.env; }
    Result<void> require_free_space() const;

    void count_begun() noexcept { ++open_count_; }
    void count_ended() noexcept { --open_count_; }
    void release_writer() noexcept {
        // After a commit another thread's writer may have begun: leave its name alone.
        std::thread::id own = std::this_thread::get_id();
        writer_thread_.compare_exchange_strong(own, std::thread::id());
    }

  private:
    Result<void> require_own_process() const;

    Parts parts_;
    mutable std::mutex identity_mutex_;  // Guards the incarnation; the rest of parts_ stays.
    Random& random_;
    const ::pid_t process_ = ::getpid();
    std::atomic<std::thread::id> writer_thread_{};
    std::atomic<std::uint32_t> open_count_{0};
    std::atomic<std::uint32_t> writer_count_{0};
    std::atomic<bool> spoilt_{false};
};

/// The records, as long as the store counts somebody who reads them.
class Access {
  public:
    Access(LmdbStore& store, std::unique_ptr<LmdbTxn> txn)
        : store_(store), records_(store.env(), store.handles(), std::move(txn)) {
        store_.count_begun();
    }
    Access(const Access&) = delete;
    Access& operator=(const Access&) = delete;
    ~Access() {
        records_.end();
        store_.count_ended();
    }

    LmdbStore& store() { return store_; }
    LmdbRecords& records() { return records_; }
    const LmdbRecords& records() const { return records_; }
    LmdbTxn& txn() { return records_.txn(); }
    TableHandle handle(Table table) const { return records_.handle(table); }

  private:
    LmdbStore& store_;
    LmdbRecords records_;
};

class LmdbReader final : public StoreReader {
  public:
    LmdbReader(LmdbStore& store, std::unique_ptr<LmdbTxn> txn) : access_(store, std::move(txn)) {}

    Result<std::optional<ByteView>> get(Table table, ByteView key) override {
        return access_.records().get(table, key);
    }
    Result<std::optional<Record>> first_at_or_after(Table table, ByteView key) override {
        return access_.records().first_at_or_after(table, key);
    }
    Result<std::optional<Record>> last_before(Table table, ByteView key) override {
        return access_.records().last_before(table, key);
    }
    ByteView damaged_key() const override { return access_.records().damaged_key(); }

  private:
    Access access_;
};

class LmdbWriter final : public StoreWriter {
  public:
    LmdbWriter(LmdbStore& store, std::unique_ptr<LmdbTxn> txn) : access_(store, std::move(txn)) {}
    ~LmdbWriter() override {
        JOINERY_ASSERT(is_own_thread());
        access_.store().release_writer();
    }

    Result<std::optional<ByteView>> get(Table table, ByteView key) override {
        return access_.records().get(table, key);
    }
    Result<std::optional<Record>> first_at_or_after(Table table, ByteView key) override {
        return access_.records().first_at_or_after(table, key);
    }
    Result<std::optional<Record>> last_before(Table table, ByteView key) override {
        return access_.records().last_before(table, key);
    }
    ByteView damaged_key() const override { return access_.records().damaged_key(); }

    Result<void> put(Table table, ByteView key, ByteView value) override {
        JOINERY_ASSERT(is_own_thread());
        if (key.empty()) return fail(Errc::malformed, "a key must not be empty");
        if (key.size() > kStoreKeySizeMax) return fail(Errc::over_limit, "the key is too long");
        if (value.size() > kStoreValueSizeMax) {
            return fail(Errc::over_limit, "the value is too long");
        }
        if (!free_space_seen_) JOINERY_TRY_VOID(note(access_.store().require_free_space()));
        free_space_seen_ = true;
        // Through buffers of our own: key and value may lie in a page that the write moves.
        key_.assign(key.begin(), key.end());
        detail::encode_record(static_cast<std::uint8_t>(table), key_, value, stored_);
        return note(access_.txn().put(access_.handle(table), key_, stored_));
    }

    Result<void> erase(Table table, ByteView key) override {
        JOINERY_ASSERT(is_own_thread());
        if (key.empty() || key.size() > kStoreKeySizeMax) return {};
        key_.assign(key.begin(), key.end());
        return note(access_.txn().erase(access_.handle(table), key_));
    }

    Result<void> commit() override {
        JOINERY_ASSERT(is_own_thread());
        if (failure_) return *failure_;
        auto done = note(access_.txn().commit());
        access_.store().release_writer();
        return done;
    }

  private:
    bool is_own_thread() const noexcept { return std::this_thread::get_id() == thread_; }

    Result<void> note(Result<void> result) {
        if (failure_) return *failure_;
        if (!result) {
            failure_ = result.error();
            // A change may have left this process that could not be stored.
            access_.store().mark_unclean();
        }
        return result;
    }

    Access access_;
    const std::thread::id thread_ = std::this_thread::get_id();
    std::optional<Error> failure_;
    bool free_space_seen_ = false;
    Bytes key_;
    Bytes stored_;
};

LmdbStore::~LmdbStore() {
    if (::getpid() != process_) {
        parts_.env->abandon();
        return;
    }
    JOINERY_ASSERT(open_count_ == 0);
    const bool failed = parts_.env->is_failed();
    const std::uint64_t transaction = parts_.env->last_transaction();
    parts_.env.reset();
    if (failed || spoilt_) return;
    parts_.lease.release();
    if (!parts_.directory.try_close_gate()) return;
    // The last one out notes how far the database came. Failing to costs safety nothing.
    const auto file = detail::PageFile::open(parts_.directory.root() / detail::kDataFile);
    auto sidecar = detail::read_sidecar(parts_.directory.root());
    if (!file || !sidecar || !*sidecar) return;
    (*sidecar)->closed = true;
    (*sidecar)->transaction = transaction;
    (*sidecar)->meta_checksums = {file->metas()[0].checksum, file->metas()[1].checksum};
    static_cast<void>(detail::write_sidecar(parts_.directory.root(), **sidecar).has_value());
}

Result<std::unique_ptr<StoreReader>> LmdbStore::read() {
    JOINERY_TRY_VOID(require_own_process());
    JOINERY_TRY(auto txn, parts_.env->begin_read());
    return std::unique_ptr<StoreReader>(std::make_unique<LmdbReader>(*this, std::move(txn)));
}

Result<std::unique_ptr<StoreWriter>> LmdbStore::write() {
    JOINERY_TRY_VOID(require_own_process());
    if (writer_thread_ == std::this_thread::get_id()) {
        return fail(Errc::busy, "this thread holds the store's writer already");
    }
    if (writer_count_++ % kDeadReaderCheckInterval == 0) parts_.env->clear_dead_readers();
    JOINERY_TRY(auto txn, parts_.env->begin_write());
    writer_thread_ = std::this_thread::get_id();
    return std::unique_ptr<StoreWriter>(std::make_unique<LmdbWriter>(*this, std::move(txn)));
}

Result<void> LmdbStore::renew_incarnation(IncarnationReason reason, WallTime now) {
    JOINERY_TRY_VOID(require_own_process());
    if (writer_thread_ == std::this_thread::get_id()) {
        return fail(Errc::busy, "this thread holds the store's writer already");
    }
    JOINERY_TRY(const auto txn, parts_.env->begin_write());
    JOINERY_TRY(const Incarnation fresh,
                detail::put_new_incarnation(*txn, parts_.handles.own, {reason, now}, random_));
    JOINERY_TRY_VOID(txn->commit());
    const std::lock_guard lock(identity_mutex_);
    parts_.identity.incarnation = fresh;
    return {};
}

Result<bool> LmdbStore::follow_incarnation() {
    JOINERY_TRY_VOID(require_own_process());
    JOINERY_TRY(const auto txn, parts_.env->begin_read());
    JOINERY_TRY(const Incarnation now, detail::get_incarnation(*txn, parts_.handles.own));
    const std::lock_guard lock(identity_mutex_);
    return std::exchange(parts_.identity.incarnation, now) != now;
}

Result<std::vector<IncarnationChange>> LmdbStore::incarnation_changes() {
    JOINERY_TRY_VOID(require_own_process());
    JOINERY_TRY(const auto txn, parts_.env->begin_read());
    return detail::read_incarnation_log(*txn, parts_.handles.own);
}

Result<void> LmdbStore::require_own_process() const {
    if (::getpid() == process_) return {};
    return fail(Errc::conflict, "the store was opened before fork: open it again in the child");
}

Result<void> LmdbStore::require_free_space() const {
    return check_free_space(parts_.directory.root(), parts_.free_size_min);
}

Result<std::unique_ptr<LmdbEnv>> open_env(const std::filesystem::path& directory,
                                          const LmdbOptions& options) {
    return LmdbEnv::open(directory, {.map_size = options.map_size, .read_only = false});
}

// Made under another name and moved into place whole: a crash leaves either no store or a good one.
Result<void> create_database(const std::filesystem::path& root, const LmdbOptions& options) {
    const auto workshop = root / detail::kCreatingDir;
    std::error_code error;
    std::filesystem::remove_all(workshop, error);
    if (error) return detail::system_error(error.value());
    JOINERY_TRY_VOID(detail::make_empty_directory(workshop));
    {
        JOINERY_TRY(const auto env, open_env(workshop, options));
        JOINERY_TRY(const auto txn, env->begin_write());
        JOINERY_TRY(const TableHandle own, txn->create_table(detail::kOwnTableName));
        for (const char* name : detail::kTableNames) {
            JOINERY_TRY([[maybe_unused]] const TableHandle handle, txn->create_table(name));
        }
        Bytes format;
        detail::append_u32(format, detail::kStoreFormat);
        JOINERY_TRY_VOID(detail::put_own(*txn, own, as_bytes(detail::kFormatKey), format));
        JOINERY_TRY_VOID(txn->commit());
    }
    std::filesystem::rename(workshop / detail::kDataFile, root / detail::kDataFile, error);
    if (error) return detail::system_error(error.value());
    JOINERY_TRY_VOID(detail::sync_directory(root));
    std::filesystem::remove_all(workshop, error);
    return {};
}

}  // namespace

Result<std::unique_ptr<Store>> open_lmdb_store(const std::filesystem::path& directory,
                                               const LmdbOptions& options,
                                               Random& random) {
    if (options.map_size < kMapSizeMin) {
        return fail(Errc::malformed, "the map size must be at least 1 MiB", options.map_size);
    }
    JOINERY_TRY(auto entered, detail::StoreDirectory::enter(directory, options.create));
    if (!entered.has_database()) {
        // Else there would be a store in which not even its own key finds room.
        JOINERY_TRY_VOID(check_free_space(entered.root(), options.free_size_min));
        JOINERY_TRY_VOID(create_database(entered.root(), options));
    }
    JOINERY_TRY(const auto metas,
                entered.check({options.check_size_max, options.accept_damaged_records}));
    JOINERY_TRY(auto env, open_env(entered.root(), options));
    JOINERY_TRY(const TableHandles handles, detail::open_tables(*env));
    JOINERY_TRY(const detail::Place place,
                detail::observe_place(entered.root(), options.machine_id_file));
    JOINERY_TRY(auto lease, detail::SlotLease::take(entered.root() / detail::kSlotsDir));
    const detail::IdentityInput input{entered.root(), place, metas, options.now};
    JOINERY_TRY(auto txn, env->begin_write());
    JOINERY_TRY(const detail::Identity identity,
                detail::settle_identity(*txn, handles.own, input, lease, random));
    JOINERY_TRY_VOID(txn->commit());
    txn.reset();
    JOINERY_TRY_VOID(entered.open_gate());
    return std::unique_ptr<Store>(
        std::make_unique<LmdbStore>(LmdbStore::Parts{std::move(entered),
                                                     std::move(env),
                                                     handles,
                                                     std::move(lease),
                                                     identity,
                                                     options.free_size_min},
                                    random));
}

Result<void> backup_lmdb_store(Store& store, const std::filesystem::path& target) {
    auto* const open = dynamic_cast<LmdbStore*>(&store);
    if (open == nullptr) return fail(Errc::unsupported, "only a store on disk can be backed up");
    return detail::backup_env(open->env(), target);
}

}  // namespace joinery::persist
