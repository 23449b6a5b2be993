#include "transport/tcp_transport.h"

#include "transport/pending.h"
#include "transport/tcp_address.h"
#include "transport/tcp_dial.h"
#include "transport/tcp_link.h"
#include "transport/tcp_listener.h"
#include "transport/url.h"

#include <utility>

namespace joinery::transport {

namespace detail {
namespace {

Result<std::unique_ptr<Link>> make_link(Result<TcpAnswer> answer, const TcpOptions& options) {
    if (!answer) return answer.error();
    return make_tcp_link(std::move(answer->socket), answer->remote, options);
}

class TcpTransport final : public Transport {
  public:
    TcpTransport(asio::any_io_executor executor, const TcpOptions& options)
        : executor_(std::move(executor)), options_(options) {}

    bool accepts(std::string_view url) const override { return has_scheme(url, "tcp"); }
    Result<std::unique_ptr<Listener>> listen(std::string_view text, OnLink on_link) override;
    void connect(std::string_view url, OnLink on_link) override;

  private:
    asio::any_io_executor executor_;
    TcpOptions options_;
    Pending<TcpDial> dials_;
};

Result<std::unique_ptr<Listener>> TcpTransport::listen(std::string_view text, OnLink on_link) {
    JOINERY_TRY(const Url url, parse_tcp_url(text));
    JOINERY_TRY(const TcpEndpoints endpoints, resolve_now(executor_, url));
    const auto pass_on = [options = options_,
                          on_link = std::move(on_link)](Result<TcpAnswer> answer) {
        on_link(make_link(std::move(answer), options));
    };
    auto acceptor = std::make_shared<TcpAcceptor>(executor_, options_, pass_on);
    JOINERY_TRY_VOID(acceptor->bind(endpoints.front()));
    acceptor->accept_more();
    return std::unique_ptr<Listener>(
        std::make_unique<TcpListener>(acceptor, format_endpoint(acceptor->endpoint())));
}

void TcpTransport::connect(std::string_view url, OnLink on_link) {
    const auto pass_on = [options = options_,
                          on_link = std::move(on_link)](Result<TcpAnswer> answer) {
        on_link(make_link(std::move(answer), options));
    };
    auto dial = std::make_shared<TcpDial>(executor_, options_, pass_on);
    dials_.add(dial);
    dial->start(parse_tcp_url(url));
}

}  // namespace
}  // namespace detail

std::unique_ptr<Transport> make_tcp_transport(asio::any_io_executor executor,
                                              const TcpOptions& options) {
    return std::make_unique<detail::TcpTransport>(std::move(executor), options);
}

}  // namespace joinery::transport
