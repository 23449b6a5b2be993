/// @file
/// Presence: what a peer shows of itself while it is there, such as a cursor. docs/semantics.md P.
#pragma once

#include "base/bytes.h"
#include "base/value.h"

#include <chrono>
#include <compare>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace joinery {

/// 16 random bytes that name one run of a peer, from opening its store to closing it.
using PeerInstance = FixedBytes<16, struct PeerInstanceTag>;

/// One run of one device. Two processes of a store are two runs.
struct PeerRun {
    DeviceKey device;
    PeerInstance instance;
    friend auto operator<=>(const PeerRun&, const PeerRun&) = default;
};

/// Bytes of a key, which is UTF-8 and may be empty, and of a value.
inline constexpr std::size_t kPresenceKeySizeMax = 256;
inline constexpr std::size_t kPresenceValueSizeMax = 4096;
/// Entries of one run in one document.
inline constexpr std::size_t kPresenceKeysMax = 64;
/// How long an entry may be shown where nothing more is heard of its run.
inline constexpr std::chrono::milliseconds kPresenceTimeMin = std::chrono::seconds(1);
inline constexpr std::chrono::milliseconds kPresenceTimeMax = std::chrono::hours(1);
inline constexpr std::chrono::milliseconds kPresenceTimeDefault = std::chrono::seconds(30);

/// What names an entry in a document.
struct PresenceId {
    PeerRun run;
    std::string key;
    friend auto operator<=>(const PresenceId&, const PresenceId&) = default;
};

/// What one run shows under one key.
struct PresenceEntry {
    PresenceId id;
    /// As the run's peer calls itself; none where there is no link to it.
    std::optional<std::string> name;
    Value value;
    bool is_own = false;  ///< Of this very peer.
};

/// What became different since the last time, each id once.
struct PresenceEvent {
    std::vector<PresenceEntry> set;
    std::vector<PresenceId> left;  ///< Cleared, expired, or its peer is gone.
};

}  // namespace joinery
