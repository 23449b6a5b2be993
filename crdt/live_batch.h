/// @file
/// Batches of live writes (docs/semantics.md I8): what an actor's device signs at a flush, how they
/// are stored and sent. Layout: docs/live-format.md.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "base/value.h"
#include "crdt/cursor.h"
#include "crdt/names.h"
#include "crdt/seal.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace joinery::crdt {

/// 16 bytes that name a write, a register, a batch or a set of registers.
using LiveHash = FixedBytes<16, struct LiveHashTag>;

/// Items under one signature.
inline constexpr std::size_t kLiveBatchMax = 64;
/// Bytes of a live register's value (I9). Its key is bounded as every key is.
inline constexpr std::size_t kLiveValueSizeMax = 1024;
/// Greatest stamp (I4).
inline constexpr std::uint64_t kLiveStampMax = INT64_MAX;

/// One write to one live register.
struct LiveWrite {
    PathId map;
    std::string key;
    std::uint64_t stamp = 0;
    std::optional<Value> value;  ///< None: nothing (I5).
    friend bool operator==(const LiveWrite&, const LiveWrite&) = default;
};

/// A write that stands, or the hash of one that was overwritten.
struct LiveItem {
    LiveHash hash;
    std::optional<LiveWrite> write;
    friend bool operator==(const LiveItem&, const LiveItem&) = default;
};

struct LiveBatch {
    ActorProof proof;
    Signature signature;
    std::vector<LiveItem> items;  ///< As signed: by (map, key).
    friend bool operator==(const LiveBatch&, const LiveBatch&) = default;
};

/// The name of register (@p map, @p key).
LiveHash live_slot(const PathId& map, std::string_view key);
/// The item hash of a write by @p actor.
LiveHash live_item_hash(const ActorId& actor, const LiveWrite& write);
/// What a batch's signature is over; its hash names the batch.
Bytes live_signed_bytes(std::string_view document,
                        const ActorId& actor,
                        std::span<const LiveItem> items);

/// Signs @p writes of actor_of(@p proof), which stand in the order of (map, key), each register
/// once, 1 to kLiveBatchMax of them. @p key must be the proof's device's. About 18 us.
LiveBatch make_live_batch(const SigningKey& key,
                          const ActorProof& proof,
                          std::string_view document,
                          std::span<const LiveWrite> writes);

/// `untrusted` unless @p batch, whose hashes are right, is signed by its device. About 50 us.
Result<void> check_live_batch(const LiveBatch& batch, std::string_view document);

/// Appends all of @p batch but its proof.
void encode_live_batch(const LiveBatch& batch, ByteWriter& out);
/// Reads what encode_live_batch() wrote for @p proof, with the hashes of its writes made anew.
/// Errors stay in @p in: `malformed`, `over_limit`, `unsupported` for a value of an unknown type.
LiveBatch decode_live_batch(const ActorProof& proof, ByteReader& in);

}  // namespace joinery::crdt
