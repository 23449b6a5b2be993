#include "transport/tcp_dial.h"

#include "transport/asio_error.h"

#include <asio/error.hpp>
#include <asio/post.hpp>

#include <utility>

namespace joinery::transport::detail {

namespace {

// A connect to a free port of the range that outgoing connections take theirs from can be given
// that very port, and TCP then connects the socket to itself.
bool is_connected_to_itself(const asio::ip::tcp::socket& socket) {
    asio::error_code error;
    const auto local = socket.local_endpoint(error);
    if (error) return false;
    return local == socket.remote_endpoint(error) && !error;
}

}  // namespace

TcpDial::TcpDial(const asio::any_io_executor& executor,
                 const TcpOptions& options,
                 OnSocket on_socket)
    : resolver_(executor),
      socket_(executor),
      timer_(executor),
      options_(options),
      on_socket_(std::move(on_socket)) {}

void TcpDial::start(Result<Url> url) {
    timer_.expires_after(options_.connect_time_limit);
    timer_.async_wait([self = shared_from_this()](const asio::error_code& cancelled) {
        if (cancelled) return;
        self->finish(fail(Errc::disconnected, "the address did not answer in time"));
    });
    // Posted, since every answer has to come from outside of connect().
    asio::post(socket_.get_executor(), [self = shared_from_this(), url = std::move(url)] {
        if (!self->on_socket_) return;
        if (!url) return self->finish(url.error());
        if (const auto endpoint = literal_endpoint(*url)) return self->connect_to({*endpoint});
        self->resolve(*url);
    });
}

void TcpDial::abandon() {
    const OnSocket on_socket = std::exchange(on_socket_, nullptr);
    release();
}

void TcpDial::resolve(const Url& url) {
    resolver_.async_resolve(
        url.host,
        port_text(url),
        asio::ip::resolver_base::numeric_service,
        [self = shared_from_this()](const asio::error_code& error,
                                    const asio::ip::tcp::resolver::results_type& results) {
            if (!self->on_socket_) return;
            if (error) return self->finish(make_error(error, Action::resolve));
            auto endpoints = endpoints_of(results);
            if (!endpoints) return self->finish(endpoints.error());
            self->connect_to(*std::move(endpoints));
        });
}

void TcpDial::connect_to(TcpEndpoints endpoints) {
    endpoints_ = std::move(endpoints);
    try_next();
}

void TcpDial::try_next() {
    asio::error_code ignored;
    socket_.close(ignored);  // What the last address left; connecting opens it anew.
    socket_.async_connect(
        endpoints_[next_index_],
        [self = shared_from_this()](const asio::error_code& error) { self->on_connect(error); });
    ++next_index_;
}

void TcpDial::on_connect(const asio::error_code& error) {
    if (!on_socket_) return;
    const bool is_refused = !error && is_connected_to_itself(socket_);
    if (!error && !is_refused) {
        return finish(TcpAnswer{std::move(socket_), endpoints_[next_index_ - 1]});
    }
    if (next_index_ < endpoints_.size()) return try_next();
    const asio::error_code refused = asio::error::connection_refused;
    finish(make_error(is_refused ? refused : error, Action::connect));
}

void TcpDial::finish(Result<TcpAnswer> result) {
    const OnSocket on_socket = std::exchange(on_socket_, nullptr);
    if (!on_socket) return;
    release();
    on_socket(std::move(result));
}

void TcpDial::release() {
    asio::error_code ignored;  // Nobody is left to hear of it.
    socket_.close(ignored);
    resolver_.cancel();
    timer_.cancel();
}

}  // namespace joinery::transport::detail
