/// @file
/// What each operation does to a State: the rules of docs/semantics.md, for operations made here
/// and operations that arrive alike.
#pragma once

#include "crdt/graph.h"
#include "crdt/state.h"

namespace joinery::crdt {

/// Where an operation stands: its dot, its change's time, what it saw.
struct OpSite {
    Dot dot;
    std::int64_t time_ms = 0;
    Context context;
    /// Of a put: its slot, where the caller has looked it up already; kNone if it has none yet.
    std::optional<SlotIndex> slot = std::nullopt;
};

/// Applies @p op of @p batch to @p state. On an Error the state may be half changed: undo() it.
///
/// @return `malformed` for an operation that its author cannot have made: a slot, place or element
///         that does not exist or that it had not seen, a container of another kind; `over_limit`
///         for a container deeper than kDepthMax.
Result<void> apply_op(
    State& state, Names& names, const Batch& batch, const Op& op, const OpSite& site);

}  // namespace joinery::crdt
