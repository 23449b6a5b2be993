/// @file
/// When a store is still the one it was. A copy that went on writing under the same name as its
/// original would give two changes one number; so the database remembers where it lives, a file
/// beside it remembers how far it came, and a store that finds either changed takes a new name.
#pragma once

#include "base/bytes.h"
#include "base/env.h"
#include "base/result.h"
#include "base/store.h"
#include "persist/lease.h"
#include "persist/lmdb_env.h"
#include "persist/page_file.h"

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>

namespace joinery::persist::detail {

/// Where a database is.
struct Place {
    std::uint64_t device = 0;  ///< statfs() file system id, or the device number without one.
    std::uint64_t inode = 0;
    std::array<std::uint8_t, 16> path_hash{};
    std::array<std::uint8_t, 16> machine_hash{};  ///< Zero if the machine has no id.

    friend bool operator==(const Place&, const Place&) = default;
};

/// Where the database in @p directory, an absolute path without symbolic links, is now.
Result<Place> observe_place(const std::filesystem::path& directory,
                            const std::filesystem::path& machine_id_file);

/// The file beside the database.
struct Sidecar {
    std::uint64_t counter = 0;  ///< How often the store was opened.
    bool closed = false;        ///< Whether the last user ended cleanly; the rest is only set then.
    std::uint64_t transaction = 0;  ///< The last one committed.
    std::array<std::uint64_t, 2> meta_checksums{};
};

/// None if the file is missing or its checksum fails.
Result<std::optional<Sidecar>> read_sidecar(const std::filesystem::path& directory);
/// Durable on return.
Result<void> write_sidecar(const std::filesystem::path& directory, const Sidecar& sidecar);

struct Identity {
    Incarnation incarnation;
    std::uint32_t generation = 0;
};

/// What settle_identity() is told.
struct IdentityInput {
    std::filesystem::path directory;
    Place place;
    /// The head of the file as it was before anybody opened it; none if others have it open.
    std::optional<std::array<MetaPage, 2>> metas;
    WallTime now{0};  ///< For the log of incarnations.
};

/// Decides under which name this process writes, records it in @p txn and beside the database, and
/// marks @p lease. The caller commits, while it holds the gate.
///
/// @return `damaged` if the head of the file is not what the last user left there.
Result<Identity> settle_identity(
    LmdbTxn& txn, TableHandle own, const IdentityInput& input, SlotLease& lease, Random& random);

/// `damaged` if the head of a file that is closed, @p metas, is not what the last user left there,
/// so that believing it could lose the last commit.
Result<void> check_head(LmdbTxn& txn,
                        TableHandle own,
                        const std::filesystem::path& directory,
                        const std::array<MetaPage, 2>& metas);

/// Reads and writes a record of the store's own table.
Result<std::optional<ByteView>> get_own(LmdbTxn& txn, TableHandle own, ByteView key);
Result<void> put_own(LmdbTxn& txn, TableHandle own, ByteView key, ByteView value);
/// The incarnation that the store has now.
Result<Incarnation> get_incarnation(LmdbTxn& txn, TableHandle own);

}  // namespace joinery::persist::detail
