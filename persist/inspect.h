/// @file
/// A look at a whole store on disk that changes nothing in it: every page, the small files beside
/// the database, and then a reader of the records. It leases no writer slot and takes no new
/// identity, so it also serves where a store is too damaged to be opened.
#pragma once

#include "base/result.h"
#include "base/store.h"
#include "persist/lmdb_store.h"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace joinery::persist {

/// A small file of the store whose content is not what this build writes.
struct DamagedFile {
    std::string name;  ///< As in the store's directory: `sidecar`, `slots/0.lock`.
};

struct Inspection {
    StoreCheck check;
    /// Why the database cannot be read at all, if so; then there is no reader.
    std::optional<Error> damage;
    /// What made opening the store refuse although it can be read: its head.
    std::optional<Error> head_damage;
    std::vector<DamagedFile> files;
    /// Keys of the store's own records, of no form that this build writes, fit to be printed.
    std::vector<std::string> odd_records;
    /// One moment of the store. Owns all that it needs; others go on reading and writing.
    std::unique_ptr<StoreReader> reader;
};

/// Inspects the store, or the backup, in @p directory. Where somebody has the store open, the pages
/// are those of the moment that the reader sees, or of a later one; else others wait to open it
/// while they are read. A backup must not be opened as a store meanwhile.
///
/// @return An Error where nothing could be looked at: `not_found` if there is no store; `conflict`
///         if the directory holds something else; `malformed` if it is no directory or another
///         program's database; `unsupported` for a newer format or a remote file system; `busy` if
///         this process has it open; `io`. Damage is no Error.
/// @par Cost
/// Reads every page once, by the system's cache; one bit of memory a page.
Result<Inspection> inspect_lmdb_store(const std::filesystem::path& directory);

}  // namespace joinery::persist
