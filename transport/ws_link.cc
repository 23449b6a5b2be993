#include "transport/ws_link.h"

#include "transport/asio_error.h"

#include <asio/buffer.hpp>
#include <asio/error.hpp>
#include <asio/post.hpp>
#include <asio/ssl/error.hpp>

#include <utility>

namespace joinery::transport::detail {

template <class Stream>
WsConnection<Stream>::WsConnection(std::unique_ptr<Stream> stream,
                                   WsStart start,
                                   Random& random,
                                   const TcpOptions& options)
    : stream_(std::move(stream)),
      timer_(stream_->get_executor()),
      close_time_limit_(options.close_time_limit),
      remote_(std::move(start.remote)),
      codec_(start.side, random),
      room_(std::move(start.first)),
      limit_(options.queue_size_max) {}

template <class Stream>
void WsConnection<Stream>::start(Link::Events events) {
    JOINERY_ASSERT(!events_);
    if (state_ == State::ended) return;
    events_ = std::make_shared<const Link::Events>(std::move(events));
    // What came with the handshake, and then all that comes.
    asio::post(stream_->get_executor(), [self = this->shared_from_this()] {
        if (self->state_ != State::open && self->state_ != State::closing) return;
        const std::vector<std::uint8_t> first = std::exchange(self->room_, {});
        self->take(first);
    });
}

template <class Stream>
Result<void> WsConnection<Stream>::send(ByteView message) {
    if (state_ != State::open) return fail(Errc::disconnected, "the link is closed");
    JOINERY_ASSERT(events_);
    if (message.size() > kMessageSizeMax) {
        return fail(Errc::over_limit, "a message is longer than 16 MiB");
    }
    const std::size_t size = message.size() + kMessageOverhead;
    if (!limit_.admit(size)) {
        return fail(Errc::busy, "the outbound queue is full; wait until it is writable");
    }
    codec_.send(message);
    queued_end_ = written_end_ + (writing_.size() - written_) + codec_.out().size();
    marks_.push_back({queued_end_, size});
    schedule_write();
    return {};
}

template <class Stream>
void WsConnection<Stream>::resume() {
    if (!is_paused_) return;
    is_paused_ = false;
    if (!events_) return;
    asio::post(stream_->get_executor(), [self = this->shared_from_this()] {
        // Inside on_message, deliver() goes on by itself and may have started a read by now.
        if (self->state_ == State::open && !self->is_reading_) self->deliver();
    });
}

template <class Stream>
void WsConnection<Stream>::close() {
    if (state_ != State::open) return;
    state_ = State::closing;
    codec_.send_end();
    start_timer(close_time_limit_);
    schedule_write();
    asio::post(stream_->get_executor(), [self = this->shared_from_this()] {
        if (self->state_ == State::closing && !self->is_reading_) self->deliver();
    });
}

template <class Stream>
std::size_t WsConnection<Stream>::queued_size() const noexcept {
    return state_ == State::ended ? 0 : limit_.size();
}

template <class Stream>
void WsConnection<Stream>::abandon() {
    // Moved out first: the callbacks may own the user's object whose destruction led here.
    const auto events = std::exchange(events_, nullptr);
    if (state_ == State::ended || state_ == State::lingering) return;
    state_ = State::ended;
    release_socket(true);
}

// --- In ------------------------------------------------------------------------------------------

template <class Stream>
void WsConnection<Stream>::read_more() {
    JOINERY_ASSERT(!is_reading_);
    if (is_writing_ && reply_size_ > kRepliesMax) return;  // Until they are written.
    is_reading_ = true;
    room_.resize(kReadSize);
    stream_->async_read_some(
        asio::buffer(room_),
        [self = this->shared_from_this()](const asio::error_code& error, std::size_t size) {
            self->on_read(error, size);
        });
}

template <class Stream>
void WsConnection<Stream>::on_read(const asio::error_code& error, std::size_t size) {
    is_reading_ = false;
    switch (state_) {
        case State::ended: return;
        case State::lingering:
            if (error) return release_socket(false);
            return read_more();
        case State::open:
        case State::closing: break;
    }
    if (!error) return take(ByteView(room_).first(size));
    if (error == asio::error::eof || error == asio::ssl::error::stream_truncated) {
        return cut(fail(Errc::disconnected, "the stream ended without a close frame"));
    }
    cut(make_error(error, Action::transfer));
}

template <class Stream>
void WsConnection<Stream>::take(ByteView bytes) {
    const std::size_t before = codec_.out().size();
    codec_.take(bytes);
    const std::size_t replies = codec_.out().size() - before;
    reply_size_ += replies;
    if (replies != 0) schedule_write();
    deliver();
}

template <class Stream>
void WsConnection<Stream>::deliver() {
    const auto events = events_;
    while (state_ == State::open && !is_paused_) {
        const std::optional<Bytes> message = codec_.next();
        if (!message) break;
        if (events->on_message) events->on_message(*message);
    }
    if (state_ == State::closing) {
        while (codec_.next()) {
        }
    } else if (state_ != State::open || is_paused_) {
        return;
    }
    if (const auto& error = codec_.error()) return finish(*error);
    if (codec_.is_end_clean()) return finish({});
    if (codec_.is_end_seen()) {
        return finish(fail(Errc::disconnected, "the other side ended the link with an error"));
    }
    if (!is_reading_) read_more();
}

// --- Out -----------------------------------------------------------------------------------------

template <class Stream>
void WsConnection<Stream>::schedule_write() {
    if (is_writing_) return;
    is_writing_ = true;
    // Posted, so that all messages sent by one handler leave in one write.
    asio::post(stream_->get_executor(), [self = this->shared_from_this()] { self->write_more(); });
}

template <class Stream>
void WsConnection<Stream>::write_more() {
    if (state_ == State::ended) return;
    if (written_ == writing_.size()) {
        writing_.clear();
        if (writing_.capacity() > kWriteKeepMax) Bytes().swap(writing_);
        written_ = 0;
        std::swap(writing_, codec_.out());
        reply_size_ = 0;
    }
    if (writing_.empty()) {
        is_writing_ = false;
        if (state_ == State::lingering && !std::exchange(is_fin_sent_, true)) {
            asio::error_code ignored;
            socket_of(*stream_).shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
        }
        return;
    }
    stream_->async_write_some(
        asio::buffer(writing_.data() + written_, writing_.size() - written_),
        [self = this->shared_from_this()](const asio::error_code& error, std::size_t size) {
            self->on_written(error, size);
        });
}

template <class Stream>
void WsConnection<Stream>::on_written(const asio::error_code& error, std::size_t size) {
    if (state_ == State::ended) return;
    if (error) {
        if (state_ == State::lingering) return release_socket(true);
        return cut(make_error(error, Action::transfer));
    }
    written_ += size;
    written_end_ += size;
    while (!marks_.empty() && marks_.front().end <= written_end_) {
        limit_.release(marks_.front().size);
        marks_.pop_front();
    }
    const auto events = events_;
    if (state_ == State::open && limit_.take_writable() && events->on_writable) {
        events->on_writable();
    }
    write_more();
    const bool is_to_read = state_ == State::closing || (state_ == State::open && !is_paused_);
    if (is_to_read && events_ && !is_reading_) deliver();
}

// --- The end -------------------------------------------------------------------------------------

template <class Stream>
void WsConnection<Stream>::start_timer(std::chrono::milliseconds time) {
    timer_.expires_after(time);
    timer_.async_wait([self = this->shared_from_this()](const asio::error_code& error) {
        if (error) return;
        if (self->state_ == State::lingering) return self->release_socket(true);
        if (self->state_ == State::closing) {
            self->cut(fail(Errc::disconnected, "the other side did not end the link in time"));
        }
    });
}

template <class Stream>
void WsConnection<Stream>::finish(Result<void> result) {
    state_ = State::lingering;
    start_timer(kLingerTime);
    schedule_write();
    if (!is_reading_) read_more();
    tell_end(std::move(result));
}

template <class Stream>
void WsConnection<Stream>::cut(const Error& error) {
    state_ = State::ended;
    release_socket(true);
    tell_end(error);
}

template <class Stream>
void WsConnection<Stream>::tell_end(Result<void> result) {
    const auto events = std::exchange(events_, nullptr);
    if (events && events->on_closed) events->on_closed(std::move(result));
}

template <class Stream>
void WsConnection<Stream>::release_socket(bool is_cut) {
    state_ = State::ended;
    // Errors here have no one to reach: the connection is over either way. The buffers stay until
    // the last handler is gone; a pending operation may point into them.
    asio::error_code ignored;
    if (is_cut) {
        socket_of(*stream_).set_option(asio::socket_base::linger(true, 0), ignored);
    }
    socket_of(*stream_).close(ignored);
    timer_.cancel();
}

template class WsConnection<PlainStream>;
template class WsConnection<TlsStream>;

}  // namespace joinery::transport::detail
