// The part of Exchange that is about presence.

#include "session/exchange.h"

namespace joinery::session {
namespace {

/// Of a message: with the longest item on top it is still below kPresenceSizeMax.
constexpr std::size_t kPresenceSizeTarget = kPresenceSizeMax / 2;

}  // namespace

/// With the first item in either direction, so that a document without presence costs nothing.
PresencePort* Exchange::join_presence() {
    if (presence_) return presence_.get();
    PresencePort* port = port_ != nullptr ? port_->presence() : nullptr;
    if (port == nullptr) return nullptr;
    const std::uint32_t link = port->join(*context_.presence_run, context_.name);
    presence_ = std::unique_ptr<PresencePort, LeavePresence>(port, LeavePresence{link});
    return port;
}

Result<void> Exchange::take(const PresenceNote& message) {
    if (!context_.presence_run) {
        return fail(Errc::malformed, "presence that this session does not speak of");
    }
    if (is_refused()) return {};
    // Whoever may write the document may also be the first to make it known here.
    if (!find_port() && (!flow_.takes || !make_port())) return {};
    PresencePort* port = join_presence();
    if (port == nullptr) return {};
    const PresenceReceived received = port->receive(message.items, presence_.get_deleter().link);
    context_.counters.presence_received += received.taken;
    context_.counters.presence_dropped += received.dropped;
    return {};
}

bool Exchange::has_presence() const {
    if (!context_.presence_run || !is_announced() || !heard_ || is_refused()) return false;
    const PresencePort* port = port_ != nullptr ? port_->presence() : nullptr;
    return port != nullptr && port->has_news(presence_version_);
}

bool Exchange::write_presence(Bytes& out) {
    PresencePort* port = join_presence();
    if (port == nullptr) return false;
    PresenceCursor cursor{presence_version_, presence_.get_deleter().link};
    PresenceNote note{*ref_, port->collect(cursor, kPresenceSizeTarget)};
    presence_version_ = cursor.version;
    if (note.items.empty()) return false;
    context_.counters.presence_sent += note.items.size();
    context_.writer.write(note, out);
    return true;
}

}  // namespace joinery::session
