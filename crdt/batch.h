/// @file
/// Changes in memory, as decoded or as made: flat arrays whose indices are a document's Names.
#pragma once

#include "base/env.h"
#include "base/int128.h"
#include "base/value.h"
#include "crdt/names.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace joinery::crdt {

/// What an operation does. The numbers are written on disk and on the wire: never change them.
enum class OpKind : std::uint8_t {
    put = 1,        ///< Rules R.
    make = 2,       ///< Rules M.
    increment = 3,  ///< Rules N; `container` is the counter itself.
    erase = 4,      ///< Rules E.
    insert = 5,     ///< Rules L: a place, an element and its first content.
    move = 6,       ///< Rules L3.
};
inline constexpr std::uint8_t kOpKindMax = 6;

/// Stamp of an operation whose stamp is its change's wall time (rule R3).
inline constexpr std::int64_t kNoStamp = INT64_MIN;

/// A place between two places; a dot without chain is the list's edge.
struct PlaceExtra {
    Dot left;
    Dot right;
};

/// Rule N3. All totals are of the run, in 128 bits.
struct IncrementExtra {
    std::int64_t delta = 0;
    std::uint64_t origin = 0;  ///< Counter of the run's first increment.
    std::uint64_t previous =
        0;             ///< Counter of the run's increment before this one; 0 for the first.
    Int128 total = 0;  ///< With this increment.
};

/// Rule N4: how far an erase saw one cell.
struct SeenCell {
    ContainerIndex counter = kNone;
    ChainIndex chain = kNone;
    std::uint64_t origin = 0;
    std::uint64_t last = 0;  ///< Counter of the last increment seen.
    Int128 total = 0;        ///< The run's total with it.
};

struct Op {
    OpKind kind = OpKind::put;
    Kind made = Kind::none;  ///< make and insert: the container made; none for a value.
    ContainerIndex container = kRoot;
    std::uint32_t key = 0;          ///< KeyIndex or ElementIndex, by the container's kind.
    std::uint32_t extra = 0;        ///< First of PlaceExtra, IncrementExtra or SeenCell.
    std::uint32_t extra_count = 0;  ///< Of SeenCells.
    std::int64_t stamp = kNoStamp;
    Value value;  ///< put and insert without `made`.
};

/// A change's dependency on (chain, seq).
struct Dependency {
    ChainIndex chain = kNone;
    std::uint64_t seq = 0;
    friend bool operator==(const Dependency&, const Dependency&) = default;
};

struct ChangeHeader {
    ChainIndex chain = kNone;
    /// Of a refusal (rule U3): the place of what it refuses among its dependencies. Else kNone.
    std::uint32_t refused = kNone;
    std::uint64_t seq = 0;
    std::uint64_t counter = 0;  ///< Of the first operation; the next free one where there is none.
    std::int64_t time_ms = 0;
    std::uint32_t op_begin = 0, op_count = 0;
    std::uint32_t dependency_begin = 0, dependency_count = 0;
    std::uint32_t message_begin = 0, message_size = 0;
};

/// The first bytes of a change's hash: enough to tell apart what one actor made under one seq.
using HashPrefix = FixedBytes<16, struct HashPrefixTag>;

inline HashPrefix prefix_of(const ChangeHash& hash) {
    HashPrefix prefix;
    std::copy_n(hash.bytes.begin(), HashPrefix::kSize, prefix.bytes.begin());
    return prefix;
}

/// What a change that travels says of the hashes that it builds on, where numbers alone do not: an
/// actor has forked (rules F).
struct ChangeLinks {
    std::size_t change = 0;                ///< Its index in the batch.
    std::optional<HashPrefix> after;       ///< Its predecessor.
    std::vector<HashPrefix> dependencies;  ///< Each of its dependencies; or none at all.
    friend bool operator==(const ChangeLinks&, const ChangeLinks&) = default;
};

/// Changes in an order that respects their dependencies.
struct Batch {
    std::vector<ChangeHeader> changes;
    std::vector<Op> ops;
    std::vector<PlaceExtra> places;
    std::vector<IncrementExtra> increments;
    std::vector<SeenCell> seen_cells;
    std::vector<Dependency> dependencies;
    std::string messages;
    std::vector<ChangeLinks> links;  ///< Ascending by change; none without a fork.

    bool empty() const noexcept { return changes.empty(); }
    void clear() {
        changes.clear();
        ops.clear();
        places.clear();
        increments.clear();
        seen_cells.clear();
        dependencies.clear();
        messages.clear();
        links.clear();
    }
    std::span<const Op> ops_of(const ChangeHeader& change) const {
        return std::span(ops).subspan(change.op_begin, change.op_count);
    }
    std::span<const Dependency> dependencies_of(const ChangeHeader& change) const {
        return std::span(dependencies).subspan(change.dependency_begin, change.dependency_count);
    }
    std::string_view message_of(const ChangeHeader& change) const {
        return std::string_view(messages).substr(change.message_begin, change.message_size);
    }
    std::span<const SeenCell> seen_cells_of(const Op& op) const {
        return std::span(seen_cells).subspan(op.extra, op.extra_count);
    }
    /// What @p change refuses; none if it is no refusal (rule U3).
    std::optional<Dependency> refused_by(const ChangeHeader& change) const {
        if (change.refused == kNone) return std::nullopt;
        return dependencies_of(change)[change.refused];
    }
    /// The links of change @p index; nullptr if it has none.
    const ChangeLinks* links_of(std::size_t index) const;
    /// How much there is: what truncate() goes back to.
    struct Mark {
        std::size_t changes, ops, places, increments, seen_cells, dependencies, messages, links;
    };
    Mark mark() const noexcept;
    void truncate(const Mark& mark);

    /// Appends change @p index of @p other, which has the same Names. Links stay behind: what they
    /// have to say depends on where the change is sent.
    void append(const Batch& other, std::size_t index);
};

}  // namespace joinery::crdt
