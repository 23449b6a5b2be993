#include "transport/tcp_listener.h"

#include "transport/asio_error.h"

#include <asio/error.hpp>
#include <asio/ip/v6_only.hpp>

#include <utility>

namespace joinery::transport::detail {

TcpAcceptor::TcpAcceptor(const asio::any_io_executor& executor,
                         const TcpOptions& options,
                         OnSocket on_socket)
    : acceptor_(executor),
      retry_timer_(executor),
      options_(options),
      on_socket_(std::make_shared<const OnSocket>(std::move(on_socket))) {}

Result<void> TcpAcceptor::bind(const asio::ip::tcp::endpoint& endpoint) {
    asio::error_code error;
    acceptor_.open(endpoint.protocol(), error);
    // A port whose last connections linger in TIME_WAIT can be bound again at once; one that
    // somebody listens on cannot.
    if (!error) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
    if (!error && endpoint.protocol() == asio::ip::tcp::v6()) {
        acceptor_.set_option(asio::ip::v6_only(true), error);
    }
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) return make_error(error, Action::listen);
    return {};
}

void TcpAcceptor::accept_more() {
    acceptor_.async_accept(
        [self = shared_from_this()](const asio::error_code& error, asio::ip::tcp::socket socket) {
            self->on_accept(error, std::move(socket));
        });
}

void TcpAcceptor::on_accept(const asio::error_code& error, asio::ip::tcp::socket socket) {
    const auto on_socket = on_socket_;
    if (!on_socket) return;
    if (error) return on_accept_error(error);
    asio::error_code gone;
    const asio::ip::tcp::endpoint remote = socket.remote_endpoint(gone);
    // One that was reset while it waited is no link.
    if (!gone) (*on_socket)(TcpAnswer{std::move(socket), remote});
    if (on_socket_) accept_more();
}

void TcpAcceptor::on_accept_error(const asio::error_code& error) {
    if (error == asio::error::connection_aborted) return accept_more();
    // Too many open files, most likely: the socket stays readable, so accepting again at once
    // would spin.
    retry_timer_.expires_after(options_.accept_retry_delay);
    retry_timer_.async_wait([self = shared_from_this()](const asio::error_code& cancelled) {
        if (!cancelled && self->on_socket_) self->accept_more();
    });
    const auto on_socket = on_socket_;
    (*on_socket)(make_error(error, Action::accept));
}

void TcpAcceptor::stop() {
    const auto on_socket = std::exchange(on_socket_, nullptr);
    asio::error_code ignored;  // The socket is gone either way.
    acceptor_.close(ignored);
    retry_timer_.cancel();
}

asio::ip::tcp::endpoint TcpAcceptor::endpoint() const {
    asio::error_code error;
    const asio::ip::tcp::endpoint endpoint = acceptor_.local_endpoint(error);
    JOINERY_ASSERT(!error);
    return endpoint;
}

TcpListener::TcpListener(std::shared_ptr<TcpAcceptor> acceptor, std::string url)
    : acceptor_(std::move(acceptor)), url_(std::move(url)) {}

TcpListener::~TcpListener() { acceptor_->stop(); }

std::string TcpListener::url() const { return url_; }

}  // namespace joinery::transport::detail
