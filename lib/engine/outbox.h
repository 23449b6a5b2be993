/// @file
/// Who else has a document's local changes, as they said themselves (docs/semantics.md A). Knows
/// actors and numbers, no document.
#pragma once

#include "base/bytes.h"
#include "base/env.h"
#include "base/result.h"
#include "joinery/outbox.h"

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace joinery::detail {

/// How far a chain goes, or is known somewhere.
struct ChainMark {
    ActorId actor;
    std::uint64_t seq = 0;
    friend auto operator<=>(const ChainMark&, const ChainMark&) = default;
};

/// That a change was refused (rule U7).
struct Rejected {
    ChainMark refusal;  ///< The change that says so.
    WallTime at{0};     ///< Its time.
    std::string reason;
    friend bool operator==(const Rejected&, const Rejected&) = default;
};

/// @par Thread safety
/// Any thread. Nothing is called under its lock.
class Outbox {
  public:
    /// @param authority  Who may refuse changes, if anybody.
    explicit Outbox(std::optional<DeviceKey> authority = std::nullopt)
        : authority_(std::move(authority)) {}

    /// How far one device has which chains durable.
    struct Acknowledged {
        std::map<ActorId, std::uint64_t> seq;
        WallTime at{0};
    };

    /// @p device said that it has @p marks durable, all of them of this store's own actors.
    /// @return Whether that is more than it had said before.
    bool note_acknowledged(const DeviceKey& device, std::span<const ChainMark> marks, WallTime now);
    /// Changes of @p actor up to @p seq were handed to a link.
    void note_sent(const ActorId& actor, std::uint64_t seq);

    /// @p change, of this store's own, was refused. Whether that is new; it is to be stored then,
    /// unless it @p is_stored.
    bool note_rejected(const ChainMark& change, const Rejected& rejected, bool is_stored);
    /// Every change refused, by actor and number.
    std::map<ChainMark, Rejected> rejected() const;

    ChangeStatus status_of(const ChainMark& change) const;
    /// @p ours  Where each chain of ours ends.
    OutboxStatus status(std::span<const ChainMark> ours) const;
    /// Waits until @p count devices have @p change durable. `busy` when @p timeout has passed,
    /// `disconnected` when the peer is closed meanwhile, `conflict` once the change is rejected.
    Result<void> wait(const ChainMark& change,
                      std::size_t count,
                      std::chrono::milliseconds timeout);
    /// Ends all waits, for good.
    void close();

    // --- The store's records -------------------------------------------------------------------
    /// Takes in what is stored: more than is known, never less.
    void merge(const DeviceKey& device, const Acknowledged& stored);
    /// Devices of which there is more than was stored; they then count as stored.
    std::vector<std::pair<DeviceKey, Acknowledged>> take_unstored();
    /// What was taken may not have been stored after all.
    void put_back();
    bool has_unstored() const;
    /// Rejections that are not known to be stored, and what says that these are.
    std::map<ChainMark, Rejected> unstored_rejected() const;
    void keep_rejected(const std::map<ChainMark, Rejected>& stored);

  private:
    std::size_t count_of(const ChainMark& change) const;

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::map<DeviceKey, Acknowledged> acknowledged_;
    std::map<ActorId, std::uint64_t> sent_;
    std::set<DeviceKey> unstored_;
    const std::optional<DeviceKey> authority_;
    std::map<ChainMark, Rejected> rejected_;
    std::set<ChainMark> unstored_rejected_;
    bool is_closed_ = false;
};

/// Where a record stands, of the table meta; all of a document begin with its prefix.
Bytes outbox_prefix(std::uint32_t document);
Bytes outbox_key(std::uint32_t document, const DeviceKey& device);
bool is_outbox_key(ByteView key) noexcept;
/// The device that ends @p key, for which is_outbox_key() holds.
DeviceKey outbox_device(ByteView key);
Bytes encode_acknowledged(const Outbox::Acknowledged& acknowledged);
/// `unsupported` for a newer version, `malformed`.
Result<Outbox::Acknowledged> decode_acknowledged(ByteView bytes);
/// The same for what was refused: a record for each change.
Bytes rejected_prefix(std::uint32_t document);
Bytes rejected_key(std::uint32_t document, const ChainMark& change);
bool is_rejected_key(ByteView key) noexcept;
/// The change of @p key, for which is_rejected_key() holds.
ChainMark rejected_change(ByteView key);
Bytes encode_rejected(const Rejected& rejected);
/// `unsupported` for a newer version, `malformed`, `over_limit`.
Result<Rejected> decode_rejected(ByteView bytes);

}  // namespace joinery::detail
