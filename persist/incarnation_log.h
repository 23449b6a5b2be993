/// @file
/// The log of a store's incarnations: when it took each, and why. So that whoever wonders about a
/// new actor can read what happened to the store. docs/storage-format.md, "The store's own
/// records".
#pragma once

#include "base/env.h"
#include "base/result.h"
#include "base/store.h"
#include "persist/lmdb_env.h"

#include <vector>

namespace joinery::persist::detail {

/// What the log says of a new incarnation.
struct Occasion {
    IncarnationReason reason = IncarnationReason::unspecified;
    WallTime time{0};
};

/// Draws an incarnation and writes it, and an entry of the log.
Result<Incarnation> put_new_incarnation(LmdbTxn& txn,
                                        TableHandle own,
                                        const Occasion& occasion,
                                        Random& random);

/// The entries that are kept, oldest first. A reason that this build does not know is shown as
/// `unspecified`.
Result<std::vector<IncarnationChange>> read_incarnation_log(LmdbTxn& txn, TableHandle own);

}  // namespace joinery::persist::detail
