/// @file
/// Frontiers: what two of them say of each other, and their canonical bytes. A frontier is a
/// vector, sorted by actor, so every function here is one walk over it or over two. They know no
/// document: of an actor with several ends they can only tell whether the same ends are there.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "session/host.h"

namespace joinery::session {

/// 16 bytes that name a frontier: BLAKE2b-128 of its canonical bytes.
using FrontierHash = FixedBytes<16, struct FrontierHashTag>;

/// Entries of one frontier on the wire; what keeps a message below kMessageSizeMax.
inline constexpr std::size_t kFrontierEntryMax = std::size_t{1} << 18U;

/// The name of @p frontier, whose hashes must all be known.
FrontierHash hash_of(const Frontier& frontier);

/// What @p left and @p right are to each other. A chain may be ahead on one side only, so both
/// sides may be ahead. A chain of equal length and unequal hash is a fork, in which each side is
/// ahead; unknown hashes are equal to any.
struct FrontierDifference {
    bool left_ahead = false;
    bool right_ahead = false;
    bool forked = false;
    bool is_equal() const noexcept { return !left_ahead && !right_ahead && !forked; }
};
FrontierDifference compare(const Frontier& left, const Frontier& right);

/// Whether @p left has every chain as far as @p right has it, and every end of an actor of
/// several.
bool covers(const Frontier& left, const Frontier& right);

/// The first entry of @p actor; nullptr if there is none.
const FrontierEntry* find_entry(const Frontier& frontier, const ActorId& actor);

/// Raises the entry of @p entry's actor to it; a lower one changes nothing. Beside several ends,
/// or one of equal length and another hash, it is one more, unless its hash is unknown.
void advance(Frontier& frontier, const FrontierEntry& entry);

/// Advances @p into over all of @p from.
void merge(Frontier& into, const Frontier& from);

/// Whether entries ascend and every seq is possible: what whoever receives a frontier must know
/// first.
bool is_canonical(const Frontier& frontier);

/// Appends the canonical bytes: a count, then for each entry actor (16), seq (varint), hash (16).
void encode_frontier(const Frontier& frontier, Bytes& out);

/// Reads exactly what encode_frontier() wrote. `malformed` (`at` = offset) or `over_limit`.
Result<Frontier> decode_frontier(ByteView in);

}  // namespace joinery::session
