/// @file
/// Making a slot or a container equal to plain data by the smallest change (rule J2).
#pragma once

#include "crdt/transaction.h"
#include "joinery/document.h"

namespace joinery::detail {

/// Makes the map @p container, the root say, equal to @p target.
Result<void> reconcile_map(crdt::Transaction& transaction,
                           crdt::ContainerIndex container,
                           const PlainObject& target,
                           const SetOptions& options);
/// Makes the slot (@p container, @p key) equal to @p target, making it if it is empty.
Result<void> reconcile_slot(crdt::Transaction& transaction,
                            crdt::ContainerIndex container,
                            std::uint32_t key,
                            const Plain& target,
                            const SetOptions& options);
/// Inserts @p value before the visible element @p index of @p list, with all that is in it.
Result<void> insert_plain(crdt::Transaction& transaction,
                          crdt::ContainerIndex list,
                          std::size_t index,
                          const Plain& value,
                          const SetOptions& options);

}  // namespace joinery::detail
