#include "persist/memory_store.h"

#include "base/assert.h"
#include "persist/format.h"
#include "persist/lease.h"
#include "persist/memory_disk.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace joinery::persist {
namespace {

using detail::FoundRecord;
using detail::MemoryDiskState;
using detail::VersionedTables;
using Guard = std::unique_lock<std::mutex>;

/// What a handle's readers and writers share with it; guarded by the disk's mutex.
struct Handle {
    std::shared_ptr<MemoryDiskState> disk;
    std::uint64_t epoch = 0;
    std::uint32_t slot = 0;
    std::uint32_t generation = 0;
    Incarnation incarnation;
    bool killed = false;  ///< Its process is gone.
    bool failed = false;  ///< A sync failed.
    bool spoilt = false;  ///< A write failed: the end counts as unclean.

    bool is_gone() const { return killed || epoch != disk->epoch; }
    Result<void> require_alive() const {
        if (is_gone()) return fail(Errc::io, "the simulated process is gone");
        if (failed) return fail(Errc::io, "the store failed earlier: close and reopen it");
        return {};
    }
};

/// A moment of the disk, held as long as this lives.
class Moment {
  public:
    explicit Moment(Handle& handle)
        : disk_(handle.disk), tables_(disk_->tables), version_(tables_->newest()) {
        tables_->hold(version_);
    }
    Moment(const Moment&) = delete;
    Moment& operator=(const Moment&) = delete;
    ~Moment() {
        const Guard guard(disk_->mutex);
        tables_->release(version_);
    }

    const VersionedTables& tables() const noexcept { return *tables_; }
    std::uint64_t version() const noexcept { return version_; }

  private:
    std::shared_ptr<MemoryDiskState> disk_;
    std::shared_ptr<VersionedTables> tables_;
    std::uint64_t version_;
};

using FoundResult = Result<std::optional<StoreReader::Record>>;

/// Checks the checksum of what was found, and remembers the key where it fails.
FoundResult decode(Table table, const std::optional<FoundRecord>& found, Bytes& damaged_key) {
    if (!found) return std::optional<StoreReader::Record>();
    const auto value =
        detail::decode_record(static_cast<std::uint8_t>(table), found->key, *found->stored);
    if (value) return std::optional<StoreReader::Record>({found->key, *value});
    damaged_key = Bytes(found->key.begin(), found->key.end());
    return fail(Errc::damaged, "a record fails its checksum");
}

Result<std::optional<ByteView>> value_of(const FoundResult& record) {
    if (!record) return record.error();
    if (!*record) return std::optional<ByteView>();
    return std::optional<ByteView>((*record)->value);
}

class MemoryReader final : public StoreReader {
  public:
    /// With the disk's mutex held.
    explicit MemoryReader(Handle& handle) : handle_(handle), moment_(handle) {}

    Result<std::optional<ByteView>> get(Table table, ByteView key) override {
        const Guard guard(handle_.disk->mutex);
        JOINERY_TRY_VOID(begin());
        return value_of(
            decode(table, moment_.tables().get(table, key, moment_.version()), damaged_key_));
    }
    FoundResult first_at_or_after(Table table, ByteView key) override {
        const Guard guard(handle_.disk->mutex);
        JOINERY_TRY_VOID(begin());
        return decode(
            table, moment_.tables().first_at_or_after(table, key, moment_.version()), damaged_key_);
    }
    FoundResult last_before(Table table, ByteView key) override {
        const Guard guard(handle_.disk->mutex);
        JOINERY_TRY_VOID(begin());
        return decode(
            table, moment_.tables().last_before(table, key, moment_.version()), damaged_key_);
    }
    ByteView damaged_key() const override { return damaged_key_; }

  private:
    Result<void> begin() { return handle_.require_alive(); }

    Handle& handle_;
    Moment moment_;
    Bytes damaged_key_;
};

class MemoryWriter final : public StoreWriter {
  public:
    /// With the disk's mutex held, and the right to write.
    explicit MemoryWriter(Handle& handle)
        : handle_(handle), moment_(handle), thread_(std::this_thread::get_id()) {
        handle.disk->writer = thread_;
    }
    ~MemoryWriter() override {
        JOINERY_ASSERT(std::this_thread::get_id() == thread_);
        const Guard guard(handle_.disk->mutex);
        release();
    }

    Result<std::optional<ByteView>> get(Table table, ByteView key) override;
    FoundResult first_at_or_after(Table table, ByteView key) override;
    FoundResult last_before(Table table, ByteView key) override;
    ByteView damaged_key() const override { return damaged_key_; }
    Result<void> put(Table table, ByteView key, ByteView value) override;
    Result<void> erase(Table table, ByteView key) override;
    Result<void> commit() override;

  private:
    using OwnChanges = std::map<Bytes, detail::StoredPtr, detail::KeyLess>;

    Result<void> begin() {
        JOINERY_ASSERT(std::this_thread::get_id() == thread_);
        if (failure_) return *failure_;
        return handle_.require_alive();
    }
    Error spoil(Error error) {
        failure_ = error;
        handle_.spoilt = true;
        return error;
    }
    OwnChanges& own(Table table) { return changes_[static_cast<std::size_t>(table)]; }
    void release() {
        if (std::exchange(released_, true) || handle_.is_gone()) return;
        handle_.disk->writer.reset();
        handle_.disk->writer_gone.notify_all();
    }

    Handle& handle_;
    Moment moment_;
    const std::thread::id thread_;
    detail::Changes changes_;
    std::optional<Error> failure_;
    bool released_ = false;
    Bytes damaged_key_;
};

Result<std::optional<ByteView>> MemoryWriter::get(Table table, ByteView key) {
    const Guard guard(handle_.disk->mutex);
    JOINERY_TRY_VOID(begin());
    const auto at = own(table).find(key);
    if (at == own(table).end()) {
        return value_of(
            decode(table, moment_.tables().get(table, key, moment_.version()), damaged_key_));
    }
    if (at->second == nullptr) return std::optional<ByteView>();
    return value_of(decode(table, FoundRecord{at->first, at->second.get()}, damaged_key_));
}

FoundResult MemoryWriter::first_at_or_after(Table table, ByteView key) {
    const Guard guard(handle_.disk->mutex);
    JOINERY_TRY_VOID(begin());
    const detail::KeyLess less;
    auto changed = own(table).lower_bound(key);
    Bytes from(key.begin(), key.end());
    for (;;) {
        const auto old = moment_.tables().first_at_or_after(table, from, moment_.version());
        const bool none_before =
            !old || changed == own(table).end() || !less(old->key, changed->first);
        if (changed == own(table).end() || !none_before) return decode(table, old, damaged_key_);
        if (changed->second != nullptr) {
            return decode(table, FoundRecord{changed->first, changed->second.get()}, damaged_key_);
        }
        // Erased by this writer: go on right behind it.
        from = changed->first;
        from.push_back(0);
        ++changed;
    }
}

FoundResult MemoryWriter::last_before(Table table, ByteView key) {
    const Guard guard(handle_.disk->mutex);
    JOINERY_TRY_VOID(begin());
    const detail::KeyLess less;
    auto changed = own(table).lower_bound(key);
    Bytes before(key.begin(), key.end());
    for (;;) {
        const auto old = moment_.tables().last_before(table, before, moment_.version());
        if (changed == own(table).begin()) return decode(table, old, damaged_key_);
        const auto candidate = std::prev(changed);
        if (old && less(candidate->first, old->key)) return decode(table, old, damaged_key_);
        if (candidate->second != nullptr) {
            const FoundRecord found{candidate->first, candidate->second.get()};
            return decode(table, found, damaged_key_);
        }
        before = candidate->first;
        changed = candidate;
    }
}

// Counts down to an injected failure; 0 means that none is due.
bool is_due(std::uint64_t& until_failure) {
    if (until_failure == 0) return false;
    --until_failure;
    return until_failure == 0;
}

Result<void> MemoryWriter::put(Table table, ByteView key, ByteView value) {
    const Guard guard(handle_.disk->mutex);
    JOINERY_TRY_VOID(begin());
    if (key.empty()) return fail(Errc::malformed, "a key must not be empty");
    if (key.size() > kStoreKeySizeMax) return fail(Errc::over_limit, "the key is too long");
    if (value.size() > kStoreValueSizeMax) return fail(Errc::over_limit, "the value is too long");
    if (is_due(handle_.disk->puts_until_failure)) {
        return spoil(fail(Errc::io, "the disk is full"));
    }
    Bytes own_key(key.begin(), key.end());
    Bytes stored;
    detail::encode_record(static_cast<std::uint8_t>(table), own_key, value, stored);
    own(table).insert_or_assign(std::move(own_key),
                                std::make_shared<const Bytes>(std::move(stored)));
    return {};
}

Result<void> MemoryWriter::erase(Table table, ByteView key) {
    const Guard guard(handle_.disk->mutex);
    JOINERY_TRY_VOID(begin());
    if (moment_.tables().get(table, key, moment_.version())) {
        own(table).insert_or_assign(Bytes(key.begin(), key.end()), nullptr);
    } else if (const auto at = own(table).find(key); at != own(table).end()) {
        own(table).erase(at);
    }
    return {};
}

Result<void> MemoryWriter::commit() {
    const Guard guard(handle_.disk->mutex);
    JOINERY_TRY_VOID(begin());
    MemoryDiskState& disk = *handle_.disk;
    if (is_due(disk.commits_until_failure)) return spoil(fail(Errc::io, "the disk is full"));
    if (disk.failing_syncs) {
        handle_.failed = true;
        return spoil(fail(Errc::io, "the disk failed to read or write"));
    }
    const bool wrote = std::any_of(changes_.begin(), changes_.end(), [](const OwnChanges& changes) {
        return !changes.empty();
    });
    if (wrote) {
        disk.tables->apply(std::exchange(changes_, {}));
        if (disk.durability == MemoryDisk::Durability::at_commit) {
            disk.durable = disk.tables->newest();
        }
        disk.tidy();
    }
    failure_ = fail(Errc::conflict, "the writer has committed already");
    release();
    return {};
}

class MemoryStore final : public Store {
  public:
    MemoryStore(Handle handle, Random& random) : handle_(std::move(handle)), random_(random) {}
    ~MemoryStore() override {
        const Guard guard(handle_.disk->mutex);
        if (handle_.is_gone()) return;
        detail::MemorySlot& slot = handle_.disk->slots[handle_.slot];
        slot.leased = false;
        slot.clean = !handle_.spoilt && !handle_.failed;
        if (slot.clean) handle_.disk->closed_at = handle_.disk->tables->newest();
        --handle_.disk->handle_count;
    }

    Result<std::unique_ptr<StoreReader>> read() override {
        const Guard guard(handle_.disk->mutex);
        JOINERY_TRY_VOID(handle_.require_alive());
        return std::unique_ptr<StoreReader>(std::make_unique<MemoryReader>(handle_));
    }

    Result<std::unique_ptr<StoreWriter>> write() override {
        Guard guard(handle_.disk->mutex);
        JOINERY_TRY_VOID(wait_for_writer(guard));
        return std::unique_ptr<StoreWriter>(std::make_unique<MemoryWriter>(handle_));
    }

    std::uint64_t commit_count() override {
        const Guard guard(handle_.disk->mutex);
        return handle_.disk->tables->newest();
    }

    Incarnation incarnation() const override {
        const Guard guard(handle_.disk->mutex);
        return handle_.incarnation;
    }

    Result<void> renew_incarnation(IncarnationReason reason, WallTime now) override {
        Guard guard(handle_.disk->mutex);
        JOINERY_TRY_VOID(wait_for_writer(guard));
        MemoryDiskState& disk = *handle_.disk;
        if (is_due(disk.commits_until_failure)) return fail(Errc::io, "the disk is full");
        if (disk.failing_syncs) {
            handle_.failed = true;
            return fail(Errc::io, "the disk failed to read or write");
        }
        disk.renew_incarnation(reason, now, random_);
        handle_.incarnation = *disk.incarnation;
        // A commit like any other, so that other processes notice.
        disk.tables->apply({});
        if (disk.durability == MemoryDisk::Durability::at_commit) {
            disk.durable = disk.tables->newest();
        }
        return {};
    }

    Result<bool> follow_incarnation() override {
        const Guard guard(handle_.disk->mutex);
        JOINERY_TRY_VOID(handle_.require_alive());
        const Incarnation now = *handle_.disk->incarnation;
        return std::exchange(handle_.incarnation, now) != now;
    }

    Result<std::vector<IncarnationChange>> incarnation_changes() override {
        const Guard guard(handle_.disk->mutex);
        JOINERY_TRY_VOID(handle_.require_alive());
        return handle_.disk->incarnation_log;
    }

    void mark_unclean() noexcept override {
        const Guard guard(handle_.disk->mutex);
        handle_.spoilt = true;
    }
    std::uint32_t writer_slot() const override { return handle_.slot; }
    std::uint32_t writer_generation() const override { return handle_.generation; }

    /// With the disk's mutex held: the process is gone, uncleanly.
    void kill() {
        if (handle_.is_gone()) return;
        detail::MemorySlot& slot = handle_.disk->slots[handle_.slot];
        slot.leased = false;
        slot.clean = false;
        --handle_.disk->handle_count;
        handle_.killed = true;
    }
    const MemoryDiskState* disk() const noexcept { return handle_.disk.get(); }

  private:
    Result<void> wait_for_writer(Guard& guard) {
        JOINERY_TRY_VOID(handle_.require_alive());
        MemoryDiskState& disk = *handle_.disk;
        if (disk.writer == std::this_thread::get_id()) {
            return fail(Errc::busy, "this thread holds the store's writer already");
        }
        disk.writer_gone.wait(guard, [&disk] { return !disk.writer; });
        return handle_.require_alive();
    }

    Handle handle_;
    Random& random_;
};

Result<std::uint32_t> lease_slot(MemoryDiskState& disk) {
    auto free = std::find_if(disk.slots.begin(),
                             disk.slots.end(),
                             [](const detail::MemorySlot& slot) { return !slot.leased; });
    if (free == disk.slots.end()) {
        if (disk.slots.size() == detail::kSlotCountMax) {
            return fail(Errc::busy, "all writer slots of the store are taken");
        }
        free = disk.slots.insert(disk.slots.end(), detail::MemorySlot());
    }
    if (free->used && !free->clean) ++free->generation;
    free->used = true;
    free->leased = true;
    free->clean = false;
    return static_cast<std::uint32_t>(free - disk.slots.begin());
}

}  // namespace

void MemoryDisk::kill(Store& store) {
    auto* const open = dynamic_cast<MemoryStore*>(&store);
    JOINERY_ASSERT(open != nullptr && open->disk() == state_.get());
    const Guard guard(state_->mutex);
    open->kill();
}

Result<std::unique_ptr<Store>> open_memory_store(MemoryDisk& disk, Random& random, WallTime now) {
    MemoryDiskState& state = *disk.state_;
    const Guard guard(state.mutex);
    JOINERY_TRY(const std::uint32_t slot, lease_slot(state));
    std::optional<IncarnationReason> reason;
    if (!state.incarnation) {
        reason = IncarnationReason::created;
    } else if (state.moved) {
        reason = IncarnationReason::moved;
    } else if (state.tables->newest() < state.closed_at) {
        // A clean end that the disk forgot: its actor's last changes are gone, and may have left.
        reason = IncarnationReason::older;
    }
    if (reason) {
        state.renew_incarnation(*reason, now, random);
        state.moved = false;
        state.closed_at = 0;
    }
    ++state.handle_count;
    Handle handle;
    handle.disk = disk.state_;
    handle.epoch = state.epoch;
    handle.slot = slot;
    handle.generation = state.slots[slot].generation;
    handle.incarnation = *state.incarnation;
    return std::unique_ptr<Store>(std::make_unique<MemoryStore>(std::move(handle), random));
}

}  // namespace joinery::persist
