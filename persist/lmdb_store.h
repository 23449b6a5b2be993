/// @file
/// The durable Store: one LMDB environment in one directory of a local disk, shared by any number
/// of processes. For tests that need no disk use memory_store.h.
///
/// A store must not be used in a child made by fork: there every call answers `conflict`, and
/// destruction only lets go of memory. The child opens the store again for itself. While it has not
/// called exec or ended, it keeps the parent's writer slot from being leased by others.
/// @see docs/storage-format.md, "Store: tables, records, identity"
#pragma once

#include "base/env.h"
#include "base/result.h"
#include "base/store.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>

namespace joinery::persist {

/// The text of the `io` Error that LmdbOptions::free_size_min makes.
inline constexpr std::string_view kNearlyFull =
    "the disk is nearly full: the store leaves the last of it free";

struct LmdbOptions {
    /// Whether to make the directory (not its parents) and the store if they are not there.
    bool create = true;
    /// Bytes of address space to reserve: the store never grows past it. Costs no memory and no
    /// disk. All processes that share a store should use the same.
    std::uint64_t map_size = std::uint64_t{64} << 30U;
    /// put(), and making a store, answer kNearlyFull while fewer bytes than this are free, so that
    /// the disk does not become full in earnest; erase() still works.
    std::uint64_t free_size_min = std::uint64_t{64} << 20U;
    /// Who opens a store that nobody else has open checks all of it first if data.mdb is at most
    /// this long, in bytes; else its head and length alone. LMDB may crash on damage that was not
    /// found.
    std::uint64_t check_size_max = std::uint64_t{256} << 20U;
    /// Opens a store although the check found records whose checksum fails. Reading those answers
    /// `damaged`; one that is damaged in its key may be missing instead.
    bool accept_damaged_records = false;
    /// Where this machine's identity is read; part of what tells a copy from the original.
    std::filesystem::path machine_id_file = "/etc/machine-id";
    /// The time, for the log of incarnations.
    WallTime now{0};
};

/// Opens the store in @p directory and leases a writer slot.
///
/// @param random  Makes incarnations. Must outlive the Store.
/// @return `not_found` if there is no store and it may not be made, or the parent directory is
///         missing; `conflict` if the directory holds something else; `malformed` if it is no
///         directory, or data.mdb is no store; `unsupported` for a newer format, or a network or
///         user-space file system; `damaged`; `busy` if this process has it open already or all
///         slots are taken; `io`.
/// @par Cost
/// A few milliseconds for two or three syncs, and reading the file for the check. Waits for another
/// process that is opening the same store, and for its writer.
Result<std::unique_ptr<Store>> open_lmdb_store(const std::filesystem::path& directory,
                                               const LmdbOptions& options,
                                               Random& random);

/// What check_lmdb_store() counted.
struct StoreCheck {
    std::uint64_t record_count = 0;
    std::uint64_t damaged_record_count = 0;
    std::uint64_t page_count = 0;
};

/// Reads every page and record of a store that nobody has open, this process included.
/// @return `busy` if somebody has; `damaged` if the structure is; else as open_lmdb_store().
Result<StoreCheck> check_lmdb_store(const std::filesystem::path& directory);

/// Copies a store that this process has open to @p target, which must be empty or not there (its
/// parent must be). Others go on reading and writing; the copy is of one moment, checked and
/// durable.
///
/// @return `conflict` if @p target is not empty, `unsupported` if @p store is not of LMDB,
/// `damaged`
///         if the copy fails its check, `io`. After an Error there is no data.mdb in @p target.
Result<void> backup_lmdb_store(Store& store, const std::filesystem::path& target);

/// The same for a store that other processes, or nobody, have open. `busy` if this process has.
Result<void> backup_lmdb_store(const std::filesystem::path& directory,
                               const std::filesystem::path& target);

/// Makes a store in @p target, which must be empty or not there, from a backup. The new store opens
/// under a new incarnation. `conflict` if @p backup has been opened as a store: back that up
/// instead. Other errors as backup_lmdb_store().
Result<void> restore_lmdb_store(const std::filesystem::path& backup,
                                const std::filesystem::path& target);

}  // namespace joinery::persist
