/// @file
/// The bytes that persist/ writes: names of files and tables, big-endian integers, and the checksum
/// that goes before every record. docs/storage-format.md, "Store: tables, records, identity".
#pragma once

#include "base/bytes.h"
#include "base/store.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace joinery::persist::detail {

/// Newest format of a store that this build writes and reads.
inline constexpr std::uint32_t kStoreFormat = 1;

inline constexpr const char* kDataFile = "data.mdb";
inline constexpr const char* kLockFile = "lock.mdb";
inline constexpr const char* kGateFile = "open.lock";
inline constexpr const char* kUsersFile = "users.lock";
inline constexpr const char* kSidecarFile = "sidecar";
inline constexpr const char* kSlotsDir = "slots";
inline constexpr const char* kCreatingDir = "creating";

/// The table of the store's own records, beside those of Table.
inline constexpr std::uint8_t kOwnTable = 0xff;
inline constexpr const char* kOwnTableName = "store";
/// Names of the tables in the database, by the number of Table.
inline constexpr std::array<const char*, kTableCount> kTableNames = {
    "meta", "documents", "log", "index", "snapshots", "seals", "live"};

/// Keys in the store's own table.
inline constexpr std::string_view kFormatKey = "format";
inline constexpr std::string_view kIncarnationKey = "incarnation";
/// Followed by the number of an entry of the log of incarnations, 4 bytes, from 0.
inline constexpr std::string_view kRenewalKeyPrefix = "renewal";
inline constexpr std::string_view kPlaceKey = "place";
inline constexpr std::string_view kCounterKey = "counter";
/// Followed by the slot's number, 4 bytes.
inline constexpr std::string_view kSlotKeyPrefix = "slot";

/// Bytes of the checksum before a record's value.
inline constexpr std::size_t kChecksumSize = 8;

void append_u32(Bytes& out, std::uint32_t value);
void append_u64(Bytes& out, std::uint64_t value);
/// Each reads at the front of @p in, which must be long enough.
std::uint32_t read_u32(ByteView in);
std::uint64_t read_u64(ByteView in);

/// Checksum of one of the small files, or of any bytes that have no key.
std::uint64_t file_checksum(ByteView bytes);

/// Replaces @p out with the stored form of @p value: checksum, then value. The checksum covers
/// table and key too, so that a record that moved is noticed.
void encode_record(std::uint8_t table, ByteView key, ByteView value, Bytes& out);
/// The value in @p stored, borrowed from it; none if the checksum does not hold.
std::optional<ByteView> decode_record(std::uint8_t table, ByteView key, ByteView stored);

}  // namespace joinery::persist::detail
