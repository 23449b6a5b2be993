/// @file
/// Copying a whole database; the public functions are in lmdb_store.h.
#pragma once

#include "base/result.h"
#include "persist/lmdb_env.h"

#include <filesystem>

namespace joinery::persist::detail {

/// Writes a checked, durable copy of what @p env holds to @p target / data.mdb.
Result<void> backup_env(LmdbEnv& env, const std::filesystem::path& target);

}  // namespace joinery::persist::detail
