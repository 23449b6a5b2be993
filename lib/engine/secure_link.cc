#include "engine/secure_link.h"

#include <utility>

namespace joinery::detail {

SecureLink::SecureLink(std::unique_ptr<Link> link,
                       const crdt::SigningKey& identity,
                       Random& random,
                       Clock& clock,
                       const session::ChannelOptions& options)
    : clock_(clock), channel_(identity, random, options), link_(std::move(link)) {}

void SecureLink::start(Events events) {
    events_ = std::move(events);
    Link::Events below;
    below.on_message = [this](ByteView message) { take(message); };
    below.on_closed = [this](const Result<void>& how) {
        const Result<void> channel_says = channel_.on_link_ended();
        // Where the channel ended well it does not matter how the link did.
        const bool is_cut = !channel_says && channel_says.error().code == Errc::disconnected;
        events_.on_closed(is_cut && !how ? how : channel_says);
    };
    below.on_writable = [this] {
        flush();
        if (held_.empty() && std::exchange(is_awaited_, false)) events_.on_writable();
    };
    link_->limit_received(session::kHandshakeSizeMax);
    link_->start(std::move(below));
    flush();
}

void SecureLink::take(ByteView message) {
    const bool was_open = channel_.is_open();
    const auto whole = channel_.take(message);
    flush();
    if (whole) {
        events_.on_message(*whole);
    } else if (!was_open && channel_.is_open()) {
        link_->limit_received(session::kNoiseMessageSizeMax);
        events_.on_open(*channel_.peer());
    }
}

Result<void> SecureLink::send(ByteView message) {
    if (!channel_.is_open()) return fail(Errc::disconnected, "the link is not up");
    if (message.size() > kMessageSizeMax) return fail(Errc::over_limit, "message too long");
    if (!held_.empty()) {
        is_awaited_ = true;
        return fail(Errc::busy, "the outbound queue is full");
    }
    for (bool is_whole = false; !is_whole;) {
        const auto written = channel_.write(message, clock_.monotonic_now(), record_);
        if (!written) {
            flush();
            return written.error();
        }
        message = message.subspan(written->size);
        is_whole = written->is_whole;
        if (!held_.empty() || !give(record_)) held_.push_back(record_);
    }
    return {};
}

void SecureLink::close(const std::optional<Error>& reason) {
    channel_.close(reason);
    flush();
}

/// Whether the link took @p record, or will take none any more.
bool SecureLink::give(ByteView record) {
    const auto sent = link_->send(record);
    return sent || sent.error().code != Errc::busy;
}

void SecureLink::flush() {
    Bytes message;
    while (channel_.next_message(message))
        held_.push_back(std::move(message));
    while (!held_.empty() && give(held_.front()))
        held_.pop_front();
    if (channel_.state() != session::Channel::State::over || !held_.empty()) return;
    if (!std::exchange(is_closing_, true)) link_->close();
}

}  // namespace joinery::detail
