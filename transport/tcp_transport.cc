#include "transport/tcp_transport.h"

#include "transport/asio_error.h"
#include "transport/tcp_address.h"
#include "transport/tcp_dial.h"
#include "transport/tcp_listener.h"
#include "transport/url.h"

#include <utility>
#include <vector>

namespace joinery::transport {

namespace detail {
namespace {

class TcpTransport final : public Transport {
  public:
    TcpTransport(asio::any_io_executor executor, const TcpOptions& options)
        : executor_(std::move(executor)), options_(options) {}
    ~TcpTransport() override;

    bool accepts(std::string_view url) const override { return has_scheme(url, "tcp"); }
    Result<std::unique_ptr<Listener>> listen(std::string_view text, OnLink on_link) override;
    void connect(std::string_view url, OnLink on_link) override;

  private:
    Result<TcpEndpoints> resolve_now(const Url& url) const;

    asio::any_io_executor executor_;
    TcpOptions options_;
    std::vector<std::weak_ptr<TcpDial>> dials_;
};

TcpTransport::~TcpTransport() {
    for (const auto& weak : std::exchange(dials_, {})) {
        if (const auto dial = weak.lock()) dial->abandon();
    }
}

Result<TcpEndpoints> TcpTransport::resolve_now(const Url& url) const {
    if (const auto endpoint = literal_endpoint(url)) return TcpEndpoints{*endpoint};
    asio::ip::tcp::resolver resolver(executor_);
    asio::error_code error;
    const auto results =
        resolver.resolve(url.host, port_text(url), asio::ip::resolver_base::numeric_service, error);
    if (error) return make_error(error, Action::resolve);
    return endpoints_of(results);
}

Result<std::unique_ptr<Listener>> TcpTransport::listen(std::string_view text, OnLink on_link) {
    JOINERY_TRY(const Url url, parse_tcp_url(text));
    JOINERY_TRY(const TcpEndpoints endpoints, resolve_now(url));
    auto acceptor = std::make_shared<TcpAcceptor>(executor_, options_, std::move(on_link));
    JOINERY_TRY_VOID(acceptor->bind(endpoints.front()));
    acceptor->accept_more();
    return std::unique_ptr<Listener>(std::make_unique<TcpListener>(std::move(acceptor)));
}

void TcpTransport::connect(std::string_view url, OnLink on_link) {
    std::erase_if(dials_, [](const auto& dial) { return dial.expired(); });
    auto dial = std::make_shared<TcpDial>(executor_, options_, std::move(on_link));
    dials_.push_back(dial);
    dial->start(url);
}

}  // namespace
}  // namespace detail

std::unique_ptr<Transport> make_tcp_transport(asio::any_io_executor executor,
                                              const TcpOptions& options) {
    return std::make_unique<detail::TcpTransport>(std::move(executor), options);
}

}  // namespace joinery::transport
