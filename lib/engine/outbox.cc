#include "engine/outbox.h"

#include "crdt/cursor.h"
#include "crdt/limits.h"

#include <algorithm>

namespace joinery {

std::string_view change_state_name(ChangeState state) noexcept {
    switch (state) {
        case ChangeState::pending: return "pending";
        case ChangeState::sent: return "sent";
        case ChangeState::acknowledged: break;
    }
    return "acknowledged";
}

namespace detail {
namespace {

constexpr std::string_view kPrefix = "acknowledged/";
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
    return status;
}

OutboxStatus Outbox::status(std::span<const ChainMark> ours) const {
    const std::lock_guard lock(mutex_);
    OutboxStatus status;
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
    const bool is_over =
        changed_.wait_for(lock, timeout, [&] { return is_closed_ || count_of(change) >= count; });
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

Bytes outbox_prefix(std::uint32_t document) {
    const ByteView prefix = as_bytes(kPrefix);
    Bytes key(prefix.begin(), prefix.end());
    for (int shift = 24; shift >= 0; shift -= 8)
        key.push_back(static_cast<std::uint8_t>(document >> shift));
    return key;
}

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

}  // namespace detail
}  // namespace joinery
