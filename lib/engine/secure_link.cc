#include "engine/secure_link.h"

#include <utility>

namespace joinery::detail {

SecureLink::SecureLink(std::unique_ptr<Link> link,
                       const crdt::SigningKey& identity,
                       Random& random,
                       Clock& clock,
                       const LinkOptions& patience,
                       const session::ChannelOptions& options)
    : clock_(clock),
      patience_(patience),
      channel_(identity, random, options),
      link_(std::move(link)) {}

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
    received_size_ += message.size();
    const bool was_open = channel_.is_open();
    const auto whole = channel_.take(message);
    const MonotonicTime now = clock_.monotonic_now();
    if (const auto token = channel_.take_pong()) {
        if (last_ping_ && static_cast<std::uint64_t>(last_ping_->count()) == *token) {
            round_trip_ = now - *last_ping_;
            is_trip_new_ = true;
            is_probing_ = false;
        }
    }
    note_sign(now);
    flush();
    if (whole) {
        events_.on_message(*whole);
    } else if (!was_open && channel_.is_open()) {
        link_->limit_received(session::kNoiseMessageSizeMax);
        events_.on_open(*channel_.peer());
    }
}

void SecureLink::note_sign(MonotonicTime now) {
    last_sign_ = now;
    if (!is_probing_) asked_at_.reset();
}

void SecureLink::ask(MonotonicTime now, MonotonicTime answer_time) {
    asked_at_ = last_ping_ = now;
    answer_time_ = answer_time;
    channel_.ping(static_cast<std::uint64_t>(now.count()));
    flush();
}

void SecureLink::on_time(MonotonicTime now) {
    if (!link_) return;
    if (channel_.state() == session::Channel::State::over) {
        // The end waits behind what the other side does not take; the link itself ends in time.
        if (is_closing_) return;
        if (!over_since_) over_since_ = now;
        if (now - *over_since_ >= patience_.answer_time) cut();
        return;
    }
    if (!channel_.is_open()) return;
    // Over a slow link an answer waits behind what is queued; while that is taken, somebody is
    // there.
    const std::size_t queued_size = link_->queued_size();
    if (queued_size < last_queued_size_) note_sign(now);
    last_queued_size_ = queued_size;
    if (!asked_at_) {
        if (now - last_sign_ >= patience_.heartbeat_idle) ask(now, patience_.answer_time);
    } else if (now - *asked_at_ >= answer_time_) {
        cut();
    }
}

void SecureLink::cut() {
    static_cast<void>(channel_.on_link_ended());
    link_.reset();
    events_.on_closed(fail(Errc::disconnected, "the other side does not answer any more"));
}

void SecureLink::probe(MonotonicTime now, MonotonicTime answer_time) {
    if (!channel_.is_open()) return;
    is_probing_ = true;
    ask(now, answer_time);
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

std::uint64_t SecureLink::held_size() const noexcept {
    std::uint64_t size = 0;
    for (const Bytes& record : held_)
        size += record.size();
    return size;
}

/// Whether the link took @p record, or will take none any more.
bool SecureLink::give(ByteView record) {
    const auto sent = link_->send(record);
    if (sent) sent_size_ += record.size();
    return sent || sent.error().code != Errc::busy;
}

void SecureLink::flush() {
    if (!link_) return;
    Bytes message;
    while (true) {
        while (!held_.empty() && give(held_.front()))
            held_.pop_front();
        // What the channel says of itself is made when there is room for it.
        if (!held_.empty() || !channel_.next_message(message)) break;
        held_.push_back(std::move(message));
    }
    if (channel_.state() != session::Channel::State::over || !held_.empty()) return;
    if (!std::exchange(is_closing_, true)) link_->close();
}

}  // namespace joinery::detail
