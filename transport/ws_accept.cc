#include "transport/ws_accept.h"

#include "transport/asio_error.h"
#include "transport/ws_link.h"
#include "transport/ws_upgrade.h"

#include <asio/buffer.hpp>
#include <asio/error.hpp>
#include <asio/post.hpp>
#include <asio/ssl/error.hpp>

#include <type_traits>
#include <utility>

namespace joinery::transport::detail {

namespace {

/// For the body of an answer to be taken.
constexpr std::chrono::seconds kServeTime{60};

Error transfer_error(const asio::error_code& code) {
    if (code.category() == asio::error::get_ssl_category()) {
        return fail(Errc::untrusted,
                    "TLS failed: the certificate is not believed, or the other "
                    "side speaks no TLS");
    }
    return make_error(code, Action::transfer);
}

Errc errc_of(unsigned status) noexcept {
    switch (status) {
        case 401:
        case 403: return Errc::untrusted;
        case 400: return Errc::malformed;
        case 431: return Errc::over_limit;
        default: return Errc::unsupported;
    }
}

}  // namespace

template <class Stream>
WsHandshake<Stream>::WsHandshake(std::unique_ptr<Stream> stream,
                                 Random& random,
                                 const WsOptions& options,
                                 HttpHeadReader::Kind head,
                                 Transport::OnLink on_link)
    : stream_(std::move(stream)),
      timer_(stream_->get_executor()),
      random_(random),
      options_(options),
      reader_(head),
      on_link_(std::move(on_link)) {}

template <class Stream>
void WsHandshake<Stream>::start() {
    asio::error_code ignored;  // A broken socket is found out by the first transfer.
    socket_of(*stream_).set_option(asio::ip::tcp::no_delay(true), ignored);
    start_timer(options_.upgrade_time_limit);
    if constexpr (std::is_same_v<Stream, TlsStream>) {
        stream_->async_handshake(role(),
                                 [self = this->shared_from_this()](const asio::error_code& error) {
                                     if (self->is_over()) return;
                                     if (error) return self->answer(transfer_error(error));
                                     self->begin();
                                 });
    } else {
        begin();
    }
}

template <class Stream>
void WsHandshake<Stream>::start_timer(std::chrono::milliseconds time) {
    timer_.expires_after(time);
    timer_.async_wait([self = this->shared_from_this()](const asio::error_code& cancelled) {
        if (cancelled || !self->stream_) return;
        // Also of one that was refused, and has not ended its side.
        self->answer(fail(Errc::disconnected, "the other side made no WebSocket in time"));
    });
}

template <class Stream>
void WsHandshake<Stream>::serve(std::string text, std::chrono::milliseconds time) {
    on_link_ = nullptr;
    start_timer(time);
    write(std::move(text), [this] { linger(); });
}

template <class Stream>
void WsHandshake<Stream>::abandon() {
    const Transport::OnLink gone = std::exchange(on_link_, nullptr);
    close();
}

template <class Stream>
void WsHandshake<Stream>::close() {
    timer_.cancel();
    if (!stream_) return;
    asio::error_code ignored;
    socket_of(*stream_).close(ignored);
}

template <class Stream>
void WsHandshake<Stream>::answer(Result<std::unique_ptr<Link>> result) {
    const Transport::OnLink on_link = std::exchange(on_link_, nullptr);
    close();
    if (on_link) on_link(std::move(result));
}

template <class Stream>
void WsHandshake<Stream>::report(const Error& error) {
    const Transport::OnLink on_link = std::exchange(on_link_, nullptr);
    if (on_link) on_link(error);
}

template <class Stream>
void WsHandshake<Stream>::read_head() {
    stream_->async_read_some(
        asio::buffer(room_),
        [self = this->shared_from_this()](const asio::error_code& error, std::size_t size) {
            if (self->is_over()) return;
            if (error) return self->answer(transfer_error(error));
            const ByteView bytes = ByteView(self->room_).first(size);
            const auto taken = self->reader_.take(bytes);
            if (!taken) return self->refuse_head(taken.error());
            if (!*taken) return self->read_head();
            self->take_head(self->reader_.head(), bytes.subspan(**taken));
        });
}

template <class Stream>
void WsHandshake<Stream>::write(std::string text, std::function<void()> then) {
    to_write_ = std::move(text);
    written_ = 0;
    then_ = std::move(then);
    write_more();
}

template <class Stream>
void WsHandshake<Stream>::write_more() {
    stream_->async_write_some(
        asio::buffer(to_write_.data() + written_, to_write_.size() - written_),
        [self = this->shared_from_this()](const asio::error_code& error, std::size_t size) {
            const auto then = self->then_;
            if (error) {
                self->then_ = nullptr;
                return self->answer(transfer_error(error));
            }
            self->written_ += size;
            if (self->written_ < self->to_write_.size()) return self->write_more();
            self->then_ = nullptr;
            then();
        });
}

template <class Stream>
void WsHandshake<Stream>::linger() {
    asio::error_code ignored;
    socket_of(*stream_).shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
    drop();
}

/// Until the other side ends it too, or the time is over.
template <class Stream>
void WsHandshake<Stream>::drop() {
    stream_->async_read_some(
        asio::buffer(room_),
        [self = this->shared_from_this()](const asio::error_code& error, std::size_t) {
            if (error) return self->close();
            self->drop();
        });
}

// --- The listener's end --------------------------------------------------------------------------

template <class Stream>
WsAccept<Stream>::WsAccept(std::unique_ptr<Stream> stream,
                           std::string remote,
                           Random& random,
                           const WsOptions& options,
                           Transport::OnLink on_link,
                           std::shared_ptr<void> counted)
    : WsHandshake<Stream>(
          std::move(stream), random, options, HttpHeadReader::Kind::request, std::move(on_link)),
      remote_(std::move(remote)),
      counted_(std::move(counted)) {}

template <class Stream>
std::string WsAccept<Stream>::local_host() {
    asio::error_code gone;
    const auto local = socket_of(this->stream()).local_endpoint(gone);
    return gone ? std::string() : local.address().to_string();
}

template <class Stream>
std::optional<HttpReply> WsAccept<Stream>::reply_to(const HttpHead& head) {
    const auto& on_request = this->options().on_request;
    const bool is_read = head.method == "GET" || head.method == "HEAD";
    if (!on_request || !is_read || head.has_token("upgrade", "websocket")) return std::nullopt;
    if (refuse_asker(head, this->options().policy, local_host())) return std::nullopt;
    asio::error_code gone;
    const auto remote = socket_of(this->stream()).remote_endpoint(gone);
    return on_request({head.target, !gone && remote.address().is_loopback()});
}

template <class Stream>
void WsAccept<Stream>::take_head(const HttpHead& head, ByteView rest) {
    if (const auto served = reply_to(head)) {
        served_ = served->hold;
        return this->serve(write_reply(*served, head.method == "HEAD"), kServeTime);
    }
    const WsAnswer reply = answer_upgrade(head, this->options().policy, local_host());
    if (reply.status != 101) {
        this->write(write_answer(reply), [this] { this->linger(); });
        return this->report(
            fail(errc_of(reply.status),
                 "a request that is none for a WebSocket of Joinery, or may not be"));
    }
    Bytes first(rest.begin(), rest.end());
    this->write(write_answer(reply), [this, first = std::move(first)]() mutable {
        const TcpOptions tcp = this->options().tcp;
        Random& random = this->random();
        WsStart start{WsCodec::Side::listener, remote_, std::move(first)};
        this->answer(make_ws_link(this->take_stream(), std::move(start), random, tcp));
    });
}

template <class Stream>
void WsAccept<Stream>::refuse_head(const Error& error) {
    const bool is_long = error.code == Errc::over_limit;
    this->write(write_answer({is_long ? 431U : 400U, std::string(error.what)}),
                [this] { this->linger(); });
    this->report(error);
}

// --- The dialler's end ---------------------------------------------------------------------------

template <class Stream>
WsUpgrade<Stream>::WsUpgrade(std::unique_ptr<Stream> stream,
                             Url url,
                             std::string remote,
                             Random& random,
                             const WsOptions& options,
                             Transport::OnLink on_link)
    : WsHandshake<Stream>(
          std::move(stream), random, options, HttpHeadReader::Kind::response, std::move(on_link)),
      url_(std::move(url)),
      remote_(std::move(remote)) {}

template <class Stream>
void WsUpgrade<Stream>::begin() {
    this->random().fill(key_);
    this->write(write_upgrade(url_, key_, this->options().token), [this] { this->read_head(); });
}

template <class Stream>
void WsUpgrade<Stream>::take_head(const HttpHead& head, ByteView rest) {
    if (const auto checked = check_upgrade(head, key_); !checked) {
        return this->answer(checked.error());
    }
    const TcpOptions tcp = this->options().tcp;
    Random& random = this->random();
    WsStart start{WsCodec::Side::dialler, remote_, Bytes(rest.begin(), rest.end())};
    this->answer(make_ws_link(this->take_stream(), std::move(start), random, tcp));
}

template class WsHandshake<PlainStream>;
template class WsHandshake<TlsStream>;
template class WsAccept<PlainStream>;
template class WsAccept<TlsStream>;
template class WsUpgrade<PlainStream>;
template class WsUpgrade<TlsStream>;

}  // namespace joinery::transport::detail
