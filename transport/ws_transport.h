/// @file
/// Links over WebSockets: `ws://HOST[:PORT][/PATH]`, and `wss://` over TLS. docs/websocket.md.
#pragma once

#include "base/env.h"
#include "base/link.h"
#include "transport/tcp_transport.h"
#include "transport/ws_upgrade.h"

#include <asio/any_io_executor.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace joinery::transport {

/// Whom a WebSocket transport takes, and how it proves who it is to browsers and proxies. (Peers
/// prove their keys inside, whatever carries them.)
struct WsOptions {
    TcpOptions tcp;
    /// For listening. Its path is that of the URL that is listened at.
    WsPolicy policy;
    /// For listening at wss: files in PEM, the certificate with those that lead up to its root, and
    /// its private key.
    std::string certificate_file{};
    std::string key_file{};
    /// For dialling wss: whom to believe; empty: those whom the system believes.
    std::string authorities_file{};
    /// For dialling: shown to who wants one.
    std::string token{};
    /// Answers requests that are for no WebSocket; none: they are refused. On the transport's
    /// executor; must not block for long.
    std::function<std::optional<HttpReply>(const HttpRequest&)> on_request{};
    /// How long the other side may take for TLS and HTTP together.
    std::chrono::milliseconds upgrade_time_limit{5000};
    /// Connections that may be about it at once; those that come beyond are cut.
    std::size_t upgrades_max = 256;
    /// Answers of on_request that may be on their way at once; beyond, it is 503.
    std::size_t replies_max = 16;
};

/// Makes a transport for `ws` and `wss` URLs.
///
/// A Listener's callback also hears of those who were refused, or did not get through: `untrusted`
/// for a wrong name, origin or token, `malformed`, `unsupported` for what is no WebSocket of ours,
/// `over_limit`, `disconnected`.
///
/// @param executor  As that of make_tcp_transport().
/// @param random    Where keys and masks come from; must outlive what the transport makes.
std::unique_ptr<Transport> make_ws_transport(asio::any_io_executor executor,
                                             Random& random,
                                             WsOptions options = {});

}  // namespace joinery::transport
