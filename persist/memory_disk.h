/// @file
/// What a MemoryDisk holds: records in versions, so that a reader keeps its moment while others
/// commit, and a crash finds what was durable.
#pragma once

#include "base/bytes.h"
#include "base/store.h"
#include "persist/memory_store.h"

#include <array>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>
#include <vector>

namespace joinery::persist::detail {

/// Stored bytes of a record (checksum, then value); null where the record is erased.
using StoredPtr = std::shared_ptr<const Bytes>;

/// Compares keys without making one.
struct KeyLess {
    using is_transparent = void;
    bool operator()(ByteView a, ByteView b) const;
};

/// The writes of one transaction, by table.
using Changes = std::array<std::map<Bytes, StoredPtr, KeyLess>, kTableCount>;

/// A record's key and stored bytes; borrowed.
struct FoundRecord {
    ByteView key;
    const Bytes* stored = nullptr;
};

/// All records of a disk, by version. A version is the number of the commit that made it.
/// @par Thread safety
/// None: MemoryDiskState's mutex guards it.
class VersionedTables {
  public:
    /// The newest record that @p version sees.
    std::optional<FoundRecord> get(Table table, ByteView key, std::uint64_t version) const;
    std::optional<FoundRecord> first_at_or_after(Table table,
                                                 ByteView key,
                                                 std::uint64_t version) const;
    std::optional<FoundRecord> last_before(Table table, ByteView key, std::uint64_t version) const;

    /// Applies @p changes as the next version.
    void apply(Changes changes);
    /// Replaces the newest stored bytes of a record, without a version; the old ones stay alive.
    void damage(Table table, ByteView key, StoredPtr stored);
    /// The records that @p version sees, as a content of its own.
    VersionedTables at(std::uint64_t version) const;
    std::uint64_t newest() const noexcept { return newest_; }

    /// Keeps what @p version and later ones see until the matching release().
    void hold(std::uint64_t version) { held_.insert(version); }
    void release(std::uint64_t version) { held_.erase(held_.find(version)); }
    /// Forgets what no held version and none from @p oldest on sees.
    void tidy(std::uint64_t oldest);

  private:
    struct Version {
        std::uint64_t number = 0;
        StoredPtr stored;
    };
    using Chain = std::vector<Version>;
    using Records = std::map<Bytes, Chain, KeyLess>;

    /// What @p version sees; null if it is erased or not yet there. The chain keeps it alive.
    static StoredPtr visible(const Chain& chain, std::uint64_t version);
    const Records& records(Table table) const;

    std::array<Records, kTableCount> tables_;
    std::uint64_t newest_ = 0;
    std::multiset<std::uint64_t> held_;
    std::set<std::pair<std::size_t, Bytes>> untidy_;
    std::vector<StoredPtr> damaged_;
};

/// One writer slot of a disk.
struct MemorySlot {
    bool used = false;
    bool leased = false;
    bool clean = true;
    std::uint32_t generation = 0;
};

/// Shared by the disk and its handles.
struct MemoryDiskState {
    std::mutex mutex;
    std::condition_variable writer_gone;
    MemoryDisk::Durability durability = MemoryDisk::Durability::at_commit;
    /// Replaced by a crash; readers and writers hold on to the one that they began with.
    std::shared_ptr<VersionedTables> tables = std::make_shared<VersionedTables>();
    std::uint64_t durable = 0;
    std::optional<Incarnation> incarnation;
    std::vector<IncarnationChange> incarnation_log;
    /// Whether this is no longer the disk that the incarnation was made for.
    bool moved = false;
    /// The version at which a handle last ended cleanly.
    std::uint64_t closed_at = 0;
    std::vector<MemorySlot> slots;
    /// Counts crashes: what began before the latest is dead.
    std::uint64_t epoch = 0;
    std::size_t handle_count = 0;
    std::optional<std::thread::id> writer;
    std::uint64_t puts_until_failure = 0;
    std::uint64_t commits_until_failure = 0;
    bool failing_syncs = false;

    /// Draws an incarnation and notes it in the log.
    void renew_incarnation(IncarnationReason reason, WallTime now, Random& random);
    /// What is kept on the disk becomes that of @p other: records, identity, slots, log.
    void take_content_of(const MemoryDiskState& other);
    /// Forgets versions that neither a reader nor a crash can ask for.
    void tidy();
};

}  // namespace joinery::persist::detail
