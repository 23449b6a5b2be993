// Presence over the links: what changed goes out, and what is due is done when it is.

#include "engine/links.h"

#include <algorithm>
#include <utility>

namespace joinery::detail {
namespace {

/// Between two looks at what is due: many entries expire one after another.
constexpr std::chrono::milliseconds kTendInterval{20};
/// Bytes of presence that may wait in a link's queue. A drag is a record of some 60 bytes.
constexpr std::uint64_t kPresenceWaitingMax = 1024;
/// Between two looks whether the link has taken them.
constexpr std::chrono::milliseconds kPresenceRetryInterval{20};

/// Bytes that the system has taken, at least: what waits may be counted as somewhat more.
std::uint64_t taken_size(const SecureLink& link) {
    const std::uint64_t given = link.given_size();
    return given - std::min(given, link.waiting_size());
}

}  // namespace

void Links::presence_changed(const std::string& id) {
    if (closed_) return;
    tend_presence(id);
    for (const Handle& connection : connections_) {
        if (!connection->session || connection->closing) continue;
        connection->session->presence_changed(id);
        pump(connection);
    }
}

void Links::tend_presence(const std::string& id) {
    const auto document = host_.find(id);
    session::PresencePort* presence = document ? (*document)->presence() : nullptr;
    const auto due = presence != nullptr ? presence->tend() : std::nullopt;
    if (!due) {
        presence_due_.erase(id);
        return;
    }
    presence_due_[id] = *due;
    if (presence_timer_ && *due >= presence_timer_due_) return;
    start_presence_timer(*due);
}

void Links::start_presence_timer(MonotonicTime due) {
    presence_timer_due_ = due;
    const auto delay = std::max<MonotonicTime>(due - clock_.monotonic_now(), kTendInterval);
    presence_timer_ = strand_.start_timer(delay, [this] {
        presence_timer_.reset();
        tend_due_presence();
    });
}

void Links::tend_due_presence() {
    if (closed_) return;
    const MonotonicTime now = clock_.monotonic_now();
    std::vector<std::string> due;
    for (const auto& [id, at] : presence_due_) {
        if (at <= now) due.push_back(id);
    }
    for (const std::string& id : due)
        tend_presence(id);
    if (presence_timer_ || presence_due_.empty()) return;
    const auto first =
        std::ranges::min_element(presence_due_, {}, [](const auto& entry) { return entry.second; });
    start_presence_timer(first->second);
}

// --- Slow links ----------------------------------------------------------------------------------

void Links::pace_presence(const Connection& connection) {
    const PresencePace& pace = connection.presence;
    if (taken_size(*connection.link) >= pace.mark || pace.size < kPresenceWaitingMax) {
        return connection.session->release_presence();
    }
    connection.session->hold_presence();
    if (presence_retry_ || !connection.session->has_presence()) return;
    presence_retry_ = strand_.start_timer(kPresenceRetryInterval, [this] {
        presence_retry_.reset();
        for (const Handle& each : connections_) {
            if (each->session && !each->closing) pump(each);
        }
    });
}

void Links::note_presence(Connection& connection) const {
    PresencePace& pace = connection.presence;
    const std::uint64_t sent_count = connection.session->counters().presence_sent;
    if (std::exchange(pace.sent_count, sent_count) == sent_count) return;
    if (taken_size(*connection.link) >= pace.mark) pace.size = 0;
    pace.mark = connection.link->given_size();
    pace.size += connection.held.size();
}

}  // namespace joinery::detail
