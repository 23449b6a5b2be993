#include "transport/tcp_address.h"

#include "transport/asio_error.h"

#include <asio/ip/address.hpp>

#include <utility>

namespace joinery::transport::detail {

Result<Url> parse_tcp_url(std::string_view text) {
    JOINERY_TRY(Url url, parse_url(text));
    if (url.scheme != "tcp") {
        return fail(Errc::unsupported, "the scheme of the URL is not tcp");
    }
    if (!url.port) {
        return fail(
            Errc::malformed, "a tcp URL needs a port, as in tcp://127.0.0.1:7000", text.size());
    }
    if (url.path.size() > 1) {
        return fail(Errc::malformed, "a tcp URL has no path", text.size() - url.path.size());
    }
    JOINERY_TRY_VOID(check_address6(url, text));
    return url;
}

Result<void> check_address6(const Url& url, std::string_view text) {
    const bool is_address6 = url.host.find(':') != std::string::npos;
    if (!is_address6 || literal_endpoint(url)) return {};
    return fail(Errc::malformed, "the brackets of the URL hold no IPv6 address", text.find('['));
}

std::string port_text(const Url& url) { return std::to_string(url.port.value_or(0)); }

std::optional<asio::ip::tcp::endpoint> literal_endpoint(const Url& url) {
    asio::error_code error;
    const asio::ip::address address = asio::ip::make_address(url.host, error);
    if (error) return std::nullopt;
    return asio::ip::tcp::endpoint(address, url.port.value_or(0));
}

Result<TcpEndpoints> endpoints_of(const asio::ip::tcp::resolver::results_type& results) {
    TcpEndpoints endpoints;
    for (const auto& entry : results)
        endpoints.push_back(entry.endpoint());
    if (endpoints.empty()) return fail(Errc::not_found, "the host has no address");
    return endpoints;
}

Result<TcpEndpoints> resolve_now(const asio::any_io_executor& executor, const Url& url) {
    if (const auto endpoint = literal_endpoint(url)) return TcpEndpoints{*endpoint};
    asio::ip::tcp::resolver resolver(executor);
    asio::error_code error;
    const auto results =
        resolver.resolve(url.host, port_text(url), asio::ip::resolver_base::numeric_service, error);
    if (error) return make_error(error, Action::resolve);
    return endpoints_of(results);
}

}  // namespace joinery::transport::detail
