/// @file
/// What is known of who else has the changes made here. Everything is derived from how far others
/// say that they have each actor durable (docs/semantics.md A), so it cannot drift from what is so.
#pragma once

#include "base/bytes.h"
#include "base/env.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace joinery {

/// How far a change made here has come.
enum class ChangeState : std::uint8_t {
    pending,       ///< It was handed to no link since this peer was opened, and nobody has it.
    sent,          ///< Handed to a link; nobody has said yet that it is durable there.
    acknowledged,  ///< Durable on another device at least.
    rejected,      ///< Refused by the document's authority (rule U7), whoever else has it.
};
/// "pending", "sent"...
std::string_view change_state_name(ChangeState state) noexcept;

struct ChangeStatus {
    ChangeState state = ChangeState::pending;
    bool is_durable = false;                 ///< In this store.
    std::vector<DeviceKey> acknowledged_by;  ///< Devices that have it durable, ascending.
    /// When one of them said so of this change or a later one, the last to do so; by this peer's
    /// clock.
    std::optional<WallTime> acknowledged_at;
    std::optional<DeviceKey> rejected_by;  ///< Of a rejected one: the authority.
    std::string reason;                    ///< And why.
};

/// All changes of a document made here, in this store's whole life.
struct OutboxStatus {
    struct Device {
        DeviceKey device;
        std::uint64_t lacking_count = 0;  ///< Changes that it is not known to have durable.
        WallTime acknowledged_at{0};      ///< When it last said something new.
    };
    std::uint64_t change_count = 0;
    std::uint64_t pending_count = 0;   ///< Of them: on no other device, and handed to no link.
    std::uint64_t sent_count = 0;      ///< On no other device, and handed to a link.
    std::uint64_t rejected_count = 0;  ///< Refused, and counted above as the others.
    std::vector<Device> devices;       ///< Those that acknowledged something, ascending.
    std::uint64_t unacknowledged_count() const noexcept { return pending_count + sent_count; }
};

}  // namespace joinery
