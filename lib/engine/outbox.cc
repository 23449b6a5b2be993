#include "engine/outbox.h"

#include "base/value.h"
#include "crdt/cursor.h"
#include "crdt/limits.h"

#include <algorithm>

namespace joinery {

std::string_view change_state_name(ChangeState state) noexcept {
    switch (state) {
        case ChangeState::pending: return "pending";
        case ChangeState::sent: return "sent";
        case ChangeState::acknowledged: return "acknowledged";
        case ChangeState::rejected: break;
    }
    return "rejected";
}

namespace detail {
namespace {

constexpr std::string_view kPrefix = "acknowledged/";
constexpr std::string_view kRejectedPrefix = "rejected/";
constexpr std::uint8_t kVersion = 1;

bool has(const Outbox::Acknowledged& acknowledged, const ChainMark& change) {
    const auto at = acknowledged.seq.find(change.actor);
    return at != acknowledged.seq.end() && at->second >= change.seq;
}

/// Raises @p into; whether that changed something.
bool raise(std::map<ActorId, std::uint64_t>& into, const ActorId& actor, std::uint64_t seq) {
    std::uint64_t& known = into[actor];
    if (known >= seq) return false;
    known = seq;
    return true;
}

Bytes key_of_document(std::string_view prefix, std::uint32_t document) {
    const ByteView view = as_bytes(prefix);
    Bytes key(view.begin(), view.end());
    for (int shift = 24; shift >= 0; shift -= 8)
        key.push_back(static_cast<std::uint8_t>(document >> shift));
    return key;
}

}  // namespace

bool Outbox::note_acknowledged(const DeviceKey& device,
                               std::span<const ChainMark> marks,
                               WallTime now) {
    if (marks.empty()) return false;
    {
        const std::lock_guard lock(mutex_);
        Acknowledged& acknowledged = acknowledged_[device];
        bool is_more = false;
        for (const ChainMark& mark : marks)
            is_more = raise(acknowledged.seq, mark.actor, mark.seq) || is_more;
        if (!is_more) return false;
        acknowledged.at = now;
        unstored_.insert(device);
    }
    changed_.notify_all();
    return true;
}

void Outbox::note_sent(const ActorId& actor, std::uint64_t seq) {
    const std::lock_guard lock(mutex_);
    raise(sent_, actor, seq);
}

bool Outbox::note_rejected(const ChainMark& change, const Rejected& rejected, bool is_stored) {
    {
        const std::lock_guard lock(mutex_);
        const auto [known, is_new] = rejected_.try_emplace(change, rejected);
        if (!is_new) return false;
        if (!is_stored) unstored_rejected_.insert(change);
    }
    changed_.notify_all();
    return true;
}

std::map<ChainMark, Rejected> Outbox::rejected() const {
    const std::lock_guard lock(mutex_);
    return rejected_;
}

std::map<ChainMark, Rejected> Outbox::unstored_rejected() const {
    const std::lock_guard lock(mutex_);
    std::map<ChainMark, Rejected> out;
    for (const ChainMark& change : unstored_rejected_)
        out.emplace(change, rejected_.at(change));
    return out;
}

void Outbox::keep_rejected(const std::map<ChainMark, Rejected>& stored) {
    const std::lock_guard lock(mutex_);
    for (const auto& [change, rejected] : stored)
        unstored_rejected_.erase(change);
}

std::size_t Outbox::count_of(const ChainMark& change) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        acknowledged_, [&](const auto& entry) { return has(entry.second, change); }));
}

ChangeStatus Outbox::status_of(const ChainMark& change) const {
    const std::lock_guard lock(mutex_);
    ChangeStatus status;
    for (const auto& [device, acknowledged] : acknowledged_) {
        if (!has(acknowledged, change)) continue;
        status.acknowledged_by.push_back(device);
        if (!status.acknowledged_at || *status.acknowledged_at < acknowledged.at) {
            status.acknowledged_at = acknowledged.at;
        }
    }
    const auto sent = sent_.find(change.actor);
    if (!status.acknowledged_by.empty()) {
        status.state = ChangeState::acknowledged;
    } else if (sent != sent_.end() && sent->second >= change.seq) {
        status.state = ChangeState::sent;
    }
    if (const auto rejected = rejected_.find(change); rejected != rejected_.end()) {
        status.state = ChangeState::rejected;
        status.rejected_by = authority_;
        status.reason = rejected->second.reason;
    }
    return status;
}

OutboxStatus Outbox::status(std::span<const ChainMark> ours) const {
    const std::lock_guard lock(mutex_);
    OutboxStatus status;
    status.rejected_count = rejected_.size();
    for (const auto& [device, acknowledged] : acknowledged_)
        status.devices.push_back({device, 0, acknowledged.at});
    for (const ChainMark& end : ours) {
        std::uint64_t best = 0;
        std::size_t index = 0;
        for (const auto& [device, acknowledged] : acknowledged_) {
            const auto at = acknowledged.seq.find(end.actor);
            const std::uint64_t seq =
                at != acknowledged.seq.end() ? std::min(at->second, end.seq) : 0;
            status.devices[index++].lacking_count += end.seq - seq;
            best = std::max(best, seq);
        }
        const auto sent = sent_.find(end.actor);
        const std::uint64_t sent_seq =
            sent != sent_.end() ? std::clamp(sent->second, best, end.seq) : best;
        status.change_count += end.seq;
        status.sent_count += sent_seq - best;
        status.pending_count += end.seq - sent_seq;
    }
    return status;
}

Result<void> Outbox::wait(const ChainMark& change,
                          std::size_t count,
                          std::chrono::milliseconds timeout) {
    std::unique_lock lock(mutex_);
    const auto is_over_now = [&] {
        return is_closed_ || rejected_.contains(change) || count_of(change) >= count;
    };
    const bool is_over = changed_.wait_for(lock, timeout, is_over_now);
    if (rejected_.contains(change)) {
        return fail(Errc::conflict, "the change was refused; Receipt::status() says why");
    }
    if (count_of(change) >= count) return {};
    if (is_over) return fail(Errc::disconnected, "the peer was closed");
    return fail(Errc::busy, "the time limit passed before so many peers had the change durable");
}

void Outbox::close() {
    {
        const std::lock_guard lock(mutex_);
        is_closed_ = true;
    }
    changed_.notify_all();
}

void Outbox::merge(const DeviceKey& device, const Acknowledged& stored) {
    {
        const std::lock_guard lock(mutex_);
        Acknowledged& acknowledged = acknowledged_[device];
        for (const auto& [actor, seq] : stored.seq)
            raise(acknowledged.seq, actor, seq);
        acknowledged.at = std::max(acknowledged.at, stored.at);
    }
    changed_.notify_all();
}

std::vector<std::pair<DeviceKey, Outbox::Acknowledged>> Outbox::take_unstored() {
    const std::lock_guard lock(mutex_);
    std::vector<std::pair<DeviceKey, Acknowledged>> out;
    for (const DeviceKey& device : unstored_)
        out.emplace_back(device, acknowledged_[device]);
    unstored_.clear();
    return out;
}

void Outbox::put_back() {
    const std::lock_guard lock(mutex_);
    for (const auto& [device, acknowledged] : acknowledged_)
        unstored_.insert(device);
}

bool Outbox::has_unstored() const {
    const std::lock_guard lock(mutex_);
    return !unstored_.empty();
}

// --- The store's records -------------------------------------------------------------------------

Bytes outbox_prefix(std::uint32_t document) { return key_of_document(kPrefix, document); }

Bytes outbox_key(std::uint32_t document, const DeviceKey& device) {
    Bytes key = outbox_prefix(document);
    key.insert(key.end(), device.bytes.begin(), device.bytes.end());
    return key;
}

bool is_outbox_key(ByteView key) noexcept {
    return as_text(key).starts_with(kPrefix) &&
           key.size() == kPrefix.size() + sizeof(std::uint32_t) + DeviceKey::kSize;
}

DeviceKey outbox_device(ByteView key) {
    DeviceKey device;
    std::ranges::copy(key.last(DeviceKey::kSize), device.bytes.begin());
    return device;
}

Bytes encode_acknowledged(const Outbox::Acknowledged& acknowledged) {
    Bytes bytes;
    crdt::ByteWriter out(bytes);
    out.u8(kVersion);
    out.zigzag(acknowledged.at.count());
    for (const auto& [actor, seq] : acknowledged.seq) {
        out.raw(actor.view());
        out.varint(seq);
    }
    return bytes;
}

Result<Outbox::Acknowledged> decode_acknowledged(ByteView bytes) {
    crdt::ByteReader in(bytes);
    if (in.u8() != kVersion && in.ok()) {
        return fail(Errc::unsupported, "an acknowledgement's record is of a newer version");
    }
    Outbox::Acknowledged acknowledged;
    acknowledged.at = WallTime(in.zigzag());
    std::optional<ActorId> last;
    while (in.ok() && in.remaining() > 0) {
        const auto actor = in.fixed<ActorId>();
        const std::uint64_t seq = in.varint_at_most(crdt::kCounterMax, "impossible seq");
        if (seq == 0 || (last && *last >= actor)) in.refuse(Errc::malformed, "out of order");
        last = actor;
        acknowledged.seq.emplace(actor, seq);
    }
    if (!in.ok()) return in.error();
    return acknowledged;
}

Bytes rejected_prefix(std::uint32_t document) { return key_of_document(kRejectedPrefix, document); }

Bytes rejected_key(std::uint32_t document, const ChainMark& change) {
    Bytes key = rejected_prefix(document);
    key.insert(key.end(), change.actor.bytes.begin(), change.actor.bytes.end());
    for (int shift = 56; shift >= 0; shift -= 8)
        key.push_back(static_cast<std::uint8_t>(change.seq >> shift));
    return key;
}

bool is_rejected_key(ByteView key) noexcept {
    return as_text(key).starts_with(kRejectedPrefix) &&
           key.size() == kRejectedPrefix.size() + sizeof(std::uint32_t) + ActorId::kSize +
                             sizeof(std::uint64_t);
}

ChainMark rejected_change(ByteView key) {
    ChainMark change;
    const ByteView rest = key.last(ActorId::kSize + sizeof(std::uint64_t));
    std::ranges::copy(rest.first(ActorId::kSize), change.actor.bytes.begin());
    for (const std::uint8_t byte : rest.subspan(ActorId::kSize))
        change.seq = change.seq << 8U | byte;
    return change;
}

Bytes encode_rejected(const Rejected& rejected) {
    Bytes bytes;
    crdt::ByteWriter out(bytes);
    out.u8(kVersion);
    out.raw(rejected.refusal.actor.view());
    out.varint(rejected.refusal.seq);
    out.zigzag(rejected.at.count());
    out.raw(as_bytes(rejected.reason));
    return bytes;
}

Result<Rejected> decode_rejected(ByteView bytes) {
    crdt::ByteReader in(bytes);
    if (in.u8() != kVersion && in.ok()) {
        return fail(Errc::unsupported, "a rejection's record is of a newer version");
    }
    Rejected rejected;
    rejected.refusal.actor = in.fixed<ActorId>();
    rejected.refusal.seq = in.varint_at_most(crdt::kCounterMax, "impossible seq");
    rejected.at = WallTime(in.zigzag());
    const ByteView reason = in.ok() ? in.raw(in.remaining()) : ByteView();
    if (!in.ok()) return in.error();
    if (rejected.refusal.seq == 0) return fail(Errc::malformed, "impossible seq");
    if (reason.size() > crdt::kMessageTextSizeMax) return fail(Errc::over_limit, "reason too long");
    if (!is_utf8(reason)) return fail(Errc::malformed, "reason is not UTF-8");
    rejected.reason = as_text(reason);
    return rejected;
}

}  // namespace detail
}  // namespace joinery
