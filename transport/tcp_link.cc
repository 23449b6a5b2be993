#include "transport/tcp_link.h"

#include "transport/asio_error.h"
#include "transport/link_handle.h"
#include "transport/url.h"

#include <asio/error.hpp>
#include <asio/post.hpp>

#include <utility>

namespace joinery::transport::detail {

namespace {

// A view of buffers that live elsewhere: Asio copies the sequence that it is given.
struct BufferRange {
    using value_type = asio::const_buffer;
    using const_iterator = const asio::const_buffer*;

    const asio::const_buffer* first;
    std::size_t count;

    const_iterator begin() const noexcept { return first; }
    const_iterator end() const noexcept { return first + count; }
};

}  // namespace

TcpConnection::TcpConnection(asio::ip::tcp::socket socket,
                             std::string remote,
                             const TcpOptions& options)
    : socket_(std::move(socket)),
      close_timer_(socket_.get_executor()),
      close_time_limit_(options.close_time_limit),
      remote_(std::move(remote)),
      limit_(options.queue_size_max) {
    // Refused only by a socket that is already broken, which the first read finds out.
    asio::error_code ignored;
    socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
}

void TcpConnection::start(Link::Events events) {
    JOINERY_ASSERT(!events_);
    if (state_ == State::ended) return;
    events_ = std::make_shared<const Link::Events>(std::move(events));
    if (state_ == State::open && !is_paused_) read_more();
}

Result<void> TcpConnection::send(ByteView message) {
    if (state_ != State::open) return fail(Errc::disconnected, "the link is closed");
    JOINERY_ASSERT(events_);
    if (message.size() > kMessageSizeMax) {
        return fail(Errc::over_limit, "a message is longer than 16 MiB");
    }
    if (!limit_.admit(message.size() + kMessageOverhead)) {
        return fail(Errc::busy, "the outbound queue is full; wait until it is writable");
    }
    queue_.push(message);
    schedule_write();
    return {};
}

void TcpConnection::pause() { is_paused_ = true; }

void TcpConnection::resume() {
    if (!is_paused_) return;
    is_paused_ = false;
    if (!events_) return;
    asio::post(socket_.get_executor(), [self = shared_from_this()] {
        // Inside on_message, deliver() goes on by itself and may have started a read by now.
        if (self->state_ == State::open && !self->is_reading_) self->deliver();
    });
}

void TcpConnection::close() {
    if (state_ != State::open) return;
    state_ = State::closing;
    decoder_.clear();
    close_timer_.expires_after(close_time_limit_);
    close_timer_.async_wait([self = shared_from_this()](const asio::error_code& error) {
        if (error || self->state_ == State::ended) return;
        self->finish(fail(Errc::disconnected, "the other side did not end the link in time"),
                     SocketEnd::cut);
    });
    schedule_write();
    asio::post(socket_.get_executor(), [self = shared_from_this()] {
        if (self->state_ == State::closing && !self->is_reading_) self->read_more();
    });
}

std::size_t TcpConnection::queued_size() const noexcept {
    return state_ == State::ended ? 0 : limit_.size();
}

void TcpConnection::abandon() {
    // Moved out first: the callbacks may own the user's object whose destruction led here.
    const auto events = std::exchange(events_, nullptr);
    if (state_ == State::ended) return;
    state_ = State::ended;
    release_socket(SocketEnd::cut);
}

void TcpConnection::read_more() {
    JOINERY_ASSERT(!is_reading_);
    is_reading_ = true;
    const std::span<std::uint8_t> room = decoder_.prepare();
    socket_.async_read_some(
        asio::buffer(room.data(), room.size()),
        [self = shared_from_this()](const asio::error_code& error, std::size_t size) {
            self->on_read(error, size);
        });
}

void TcpConnection::on_read(const asio::error_code& error, std::size_t size) {
    is_reading_ = false;
    if (state_ == State::ended) return;
    if (error) {
        on_read_error(error);
    } else if (state_ == State::closing) {
        read_more();
    } else {
        decoder_.commit(size);
        deliver();
    }
}

void TcpConnection::on_read_error(const asio::error_code& error) {
    if (error != asio::error::eof) {
        finish(make_error(error, Action::transfer), SocketEnd::cut);
    } else if (state_ == State::closing) {
        // The other side closes too, and still takes what we have queued.
        is_fin_seen_ = true;
        if (is_fin_sent_) finish({}, SocketEnd::quiet);
    } else if (decoder_.is_between_frames()) {
        finish({}, SocketEnd::quiet);
    } else {
        finish(fail(Errc::disconnected, "the stream ended inside a message"), SocketEnd::cut);
    }
}

void TcpConnection::deliver() {
    const auto events = events_;
    while (state_ == State::open && !is_paused_) {
        const Result<std::optional<ByteView>> next = decoder_.next();
        if (!next) return finish(next.error(), SocketEnd::cut);
        const std::optional<ByteView>& message = *next;
        if (!message) return read_more();
        if (events->on_message) events->on_message(*message);
    }
}

void TcpConnection::schedule_write() {
    if (is_writing_) return;
    is_writing_ = true;
    // Posted, so that all messages sent by one handler leave in one write.
    asio::post(socket_.get_executor(), [self = shared_from_this()] { self->write_more(); });
}

void TcpConnection::write_more() {
    if (state_ == State::ended) return;
    if (queue_.is_empty()) {
        is_writing_ = false;
        if (state_ == State::closing) send_fin();
        return;
    }
    std::array<ByteView, kGatherCountMax> views;
    const std::size_t count = queue_.gather(views);
    for (std::size_t i = 0; i < count; ++i) {
        gathered_[i] = asio::buffer(views[i].data(), views[i].size());
    }
    const BufferRange buffers{gathered_.data(), count};
    socket_.async_write_some(
        buffers, [self = shared_from_this()](const asio::error_code& error, std::size_t size) {
            self->on_written(error, size);
        });
}

void TcpConnection::on_written(const asio::error_code& error, std::size_t size) {
    if (state_ == State::ended) return;
    if (error) return finish(make_error(error, Action::transfer), SocketEnd::cut);
    queue_.consume(size);
    limit_.release(size);
    const auto events = events_;
    if (state_ == State::open && limit_.take_writable() && events->on_writable) {
        events->on_writable();
    }
    write_more();
}

void TcpConnection::send_fin() {
    asio::error_code error;
    socket_.shutdown(asio::ip::tcp::socket::shutdown_send, error);
    if (error) return finish(make_error(error, Action::transfer), SocketEnd::cut);
    is_fin_sent_ = true;
    if (is_fin_seen_) finish({}, SocketEnd::quiet);
}

void TcpConnection::finish(Result<void> result, SocketEnd end) {
    state_ = State::ended;
    release_socket(end);
    const auto events = std::exchange(events_, nullptr);
    if (events && events->on_closed) events->on_closed(result);
}

void TcpConnection::release_socket(SocketEnd end) {
    // Errors here have no one to reach: the connection is over either way. The buffers stay until
    // the last handler is gone; a pending operation may point into them.
    asio::error_code ignored;
    if (end == SocketEnd::cut) {
        socket_.set_option(asio::socket_base::linger(true, 0), ignored);
    }
    socket_.close(ignored);
    close_timer_.cancel();
}

std::unique_ptr<Link> make_tcp_link(asio::ip::tcp::socket socket,
                                    const asio::ip::tcp::endpoint& remote,
                                    const TcpOptions& options) {
    return std::make_unique<LinkHandle<TcpConnection>>(
        std::make_shared<TcpConnection>(std::move(socket), format_endpoint(remote), options));
}

std::string format_endpoint(const asio::ip::tcp::endpoint& endpoint) {
    return format_url({"tcp", endpoint.address().to_string(), endpoint.port(), ""});
}

}  // namespace joinery::transport::detail
