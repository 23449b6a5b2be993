/// @file
/// The Store in memory, for tests, the simulator and the browser. A MemoryDisk is what a directory
/// is to the durable store: several handles on it behave like several processes, and it can lose
/// power, fill up, be copied and go bad. Nothing of it survives the process.
#pragma once

#include "base/bytes.h"
#include "base/env.h"
#include "base/result.h"
#include "base/store.h"

#include <cstdint>
#include <memory>

namespace joinery::persist {

namespace detail {
struct MemoryDiskState;
}

/// What the stores opened on it share. Handles may outlive it; they then keep its content alive.
///
/// @par Thread safety
/// Every member is safe from any thread, but for destruction.
class MemoryDisk {
  public:
    /// When a commit survives crash().
    enum class Durability : std::uint8_t {
        at_commit,  ///< On return, as Store promises.
        at_sync,    ///< After the next sync(): a disk that says "written" too early.
    };

    explicit MemoryDisk(Durability durability = Durability::at_commit);
    MemoryDisk(const MemoryDisk&) = delete;
    MemoryDisk& operator=(const MemoryDisk&) = delete;
    ~MemoryDisk();

    /// Makes every commit until now durable.
    void sync();
    /// Power fails: commits that are not durable are gone, and every open handle is dead. A dead
    /// handle and its readers and writers answer `io` and may still be destroyed; what views they
    /// returned stays readable until then.
    void crash();
    /// kill -9 of the process that has @p store open: the handle is dead, its commits stay. @p
    /// store must be of this disk and have no open writer.
    void kill(Store& store);

    /// The @p nth put from now, by any handle, answers `io` "the disk is full"; 1 is the next one.
    void fail_put(std::uint64_t nth);
    /// The same for commits.
    void fail_commit(std::uint64_t nth);
    /// From now on commits fail to sync: as on a broken disk, the first one to try kills its
    /// handle.
    void fail_syncs(bool failing);
    /// Flips one bit of the stored value at @p key, counted from the value's first byte; of its
    /// checksum if the value is shorter. `not_found` if there is no such record. Readers that are
    /// open already may see it or not.
    Result<void> flip_bit(Table table, ByteView key, std::uint64_t bit);

    /// A copy of all that is committed, as a copied directory: opens under a new incarnation.
    std::unique_ptr<MemoryDisk> copy() const;
    /// Puts what @p older holds in place of this disk's content, as restoring an older backup over
    /// it would: the next open takes a new incarnation. No handle on this disk may be alive.
    void roll_back_to(const MemoryDisk& older);
    /// A copy of all that is committed, identity included, as of a virtual machine with all its
    /// disks: nothing in it says that it is a copy.
    std::unique_ptr<MemoryDisk> clone() const;
    /// Puts what @p older, a clone(), holds in place of this disk's content, identity included:
    /// nothing in it says that it was put back. No handle on this disk may be alive.
    void put_back(const MemoryDisk& older);

  private:
    friend Result<std::unique_ptr<Store>> open_memory_store(MemoryDisk& disk,
                                                            Random& random,
                                                            WallTime now);

    std::shared_ptr<detail::MemoryDiskState> state_;
};

/// Opens one more handle on @p disk, like one more process: it leases the lowest free slot.
/// @param random  Makes incarnations. Must outlive the Store.
/// @param now     For the log of incarnations.
Result<std::unique_ptr<Store>> open_memory_store(MemoryDisk& disk,
                                                 Random& random,
                                                 WallTime now = WallTime(0));

}  // namespace joinery::persist
