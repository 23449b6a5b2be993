/// @file
/// A device that may refuse the changes of others, for every peer alike: docs/authority.md.
///
/// For rules that merging cannot keep, such as stock that must not go below zero. Not for who may
/// connect, read or write: that is Options::authorize, which keeps changes out instead of undoing
/// them.
#pragma once

#include "base/bytes.h"
#include "base/plain.h"
#include "base/result.h"
#include "joinery/document.h"

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace joinery {

/// The id of the document @p name whose authority is @p device, for good: "NAME@KEY" (rule U1).
std::string authority_id(std::string_view name, const DeviceKey& device);
/// The device that @p document_id names as the document's authority; none where it names none.
std::optional<DeviceKey> authority_of(std::string_view document_id);

/// A change of another device, which has just come to the authority. Borrowed for the call.
struct Proposal {
    std::string_view document;  ///< Its id.
    DeviceKey device;           ///< Who made the change, as its seal proves.
    /// Its arrival is 0. Paths are those of the document with the change.
    const ChangeInfo& change;
    /// By operation of the change: what was shown there before it; none where nothing was, and for
    /// insert and move. Empty in a document where an actor has forked.
    std::span<const std::optional<Plain>> before;
    /// What is at a path with the change; `not_found` if nothing is.
    std::function<Result<Plain>(std::string_view path)> read;
};

/// Says why a change is refused, in at most 4 KiB of UTF-8 (more is cut off); none: it may stand.
///
/// Asked once for each change that comes from another device, under the document's lock, on a
/// thread of the peer's: it must not block, nor call the peer or a document. What it answers should
/// follow from the proposal alone, for nobody asks again.
using Judge = std::function<std::optional<std::string>(const Proposal&)>;

/// A change made here that the document's authority has refused.
struct Rejection {
    Receipt receipt;     ///< Of the change: original() has what was there before it.
    ChangeInfo change;   ///< What was attempted; without operations where they cannot be read.
    std::string reason;  ///< Why.
    DeviceKey by;        ///< The authority.
    WallTime at{0};      ///< When, by the authority's clock.
};

}  // namespace joinery
