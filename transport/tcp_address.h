/// @file
/// From a `tcp` URL to addresses that may be used. Private to transport/.
#pragma once

#include "base/result.h"
#include "transport/url.h"

#include <asio/any_io_executor.hpp>
#include <asio/ip/tcp.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace joinery::transport::detail {

using TcpEndpoints = std::vector<asio::ip::tcp::endpoint>;

/// The parts of @p text, a URL with scheme `tcp`, a port and no path. `malformed`, or `unsupported`
/// for another scheme.
Result<Url> parse_tcp_url(std::string_view text);

/// `malformed` where the brackets of @p text, which is @p url, hold no address.
Result<void> check_address6(const Url& url, std::string_view text);

/// The port of @p url, from parse_tcp_url(), in digits.
std::string port_text(const Url& url);

/// The endpoint that @p url spells as an address; nothing if its host is a name to look up.
std::optional<asio::ip::tcp::endpoint> literal_endpoint(const Url& url);

/// The endpoints of a look-up; `not_found` if there are none.
Result<TcpEndpoints> endpoints_of(const asio::ip::tcp::resolver::results_type& results);

/// The endpoints of the host and port of @p url, looked up before it returns where they are a name.
Result<TcpEndpoints> resolve_now(const asio::any_io_executor& executor, const Url& url);

}  // namespace joinery::transport::detail
