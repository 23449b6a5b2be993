/// @file
/// From HTTP to WebSocket (RFC 6455, 4), without I/O: which requests a listener takes, and what a
/// dialler asks and accepts. docs/websocket.md.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "transport/http_head.h"
#include "transport/url.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace joinery::transport {

/// The subprotocol of Joinery's messages, and what a token's begins with.
inline constexpr std::string_view kWsProtocol = "joinery.1";
inline constexpr std::string_view kWsTokenPrefix = "joinery.token.";

/// Whom a listener takes; what is not named here is refused.
struct WsPolicy {
    /// The path of the WebSocket.
    std::string path = "/";
    /// Names, without a port, that may stand in Host beside those of loopback and the address that
    /// the connection came to: so that no page of elsewhere reaches a peer under a name that leads
    /// to this machine (DNS rebinding).
    std::vector<std::string> hosts{};
    /// What may stand in Origin, as `https://example.org`, beside what has Host's own name and
    /// port. Who is no browser sends none, and is not asked.
    std::vector<std::string> origins{};
    /// Where not empty: what a browser has to show, in a subprotocol `joinery.token.<token>`.
    std::string token{};
};

/// 16 random bytes of a dialler.
using WsKey = std::array<std::uint8_t, 16>;

/// What is answered to a request: 101, or an error.
struct WsAnswer {
    unsigned status = 0;
    std::string text{};    ///< For people, where it is an error.
    std::string accept{};  ///< Sec-WebSocket-Accept, where it is 101.
};

/// What a listener answers to @p request, which came to the address @p local_host. A 426 means that
/// the request is for the WebSocket's path and asks for no WebSocket; a 404 that it is for another
/// path. Whatever the path, no page of a foreign origin or host gets further than 403.
WsAnswer answer_upgrade(const HttpHead& request,
                        const WsPolicy& policy,
                        std::string_view local_host);
/// The same checks of who asks alone; none: it may.
std::optional<WsAnswer> refuse_asker(const HttpHead& request,
                                     const WsPolicy& policy,
                                     std::string_view local_host);

/// The head of an answer, with an empty line at its end. For an error with @p text as its body.
std::string write_answer(const WsAnswer& answer);

/// The request of a dialler.
std::string write_upgrade(const Url& url, const WsKey& key, std::string_view token);
/// Whether @p response takes the request with @p key. `untrusted` where it says that who asks may
/// not, `busy` for 503, `unsupported` where something else than Joinery answers.
Result<void> check_upgrade(const HttpHead& response, const WsKey& key);

/// Sec-WebSocket-Accept for a key as it stands in the header.
std::string ws_accept(std::string_view key);

}  // namespace joinery::transport
