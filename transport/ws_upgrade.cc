#include "transport/ws_upgrade.h"

#include "transport/ascii.h"

#include <algorithm>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

namespace joinery::transport {

namespace {

using detail::is_equal_in_any_case;
using detail::lower;

constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

std::string base64(ByteView bytes) {
    std::string text(4 * ((bytes.size() + 2) / 3) + 1,
                     '\0');  // It ends what it writes with a zero.
    const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                     bytes.data(),
                                     static_cast<int>(bytes.size()));
    text.resize(static_cast<std::size_t>(size));
    return text;
}

/// Whether @p text is 16 bytes in base64, in the one way in which they are written.
bool is_key(std::string_view text) {
    constexpr std::size_t kSize = 24;
    if (text.size() != kSize || !text.ends_with("==")) return false;
    std::array<std::uint8_t, 18> bytes{};
    const int size = EVP_DecodeBlock(
        bytes.data(), reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(kSize));
    return size == 18 && base64(ByteView(bytes).first(16)) == text;
}

/// @p authority without its port.
std::string_view host_of(std::string_view authority) {
    if (authority.starts_with('[')) {
        const std::size_t end = authority.find(']');
        return end == std::string_view::npos ? std::string_view() : authority.substr(1, end - 1);
    }
    return authority.substr(0, authority.find(':'));
}

bool has(const std::vector<std::string>& list, std::string_view text) {
    return std::ranges::any_of(
        list, [&](const std::string& each) { return is_equal_in_any_case(each, text); });
}

bool is_host_allowed(std::string_view host, const WsPolicy& policy, std::string_view local_host) {
    return is_loopback(lower(host)) || is_equal_in_any_case(host, local_host) ||
           has(policy.hosts, host);
}

/// Of the same name and port as what was asked for.
bool is_own_origin(std::string_view origin, std::string_view host) {
    const std::size_t at = origin.find("://");
    return at != std::string_view::npos && is_equal_in_any_case(origin.substr(at + 3), host);
}

std::string_view shown_token(const HttpHead& request) {
    for (const auto& [name, value] : request.headers) {
        if (name != "sec-websocket-protocol") continue;
        const std::size_t at = value.find(kWsTokenPrefix);
        if (at == std::string::npos) continue;
        const std::string_view rest = std::string_view(value).substr(at + kWsTokenPrefix.size());
        return rest.substr(0, rest.find_first_of(", \t"));
    }
    return {};
}

bool is_equal_in_constant_time(std::string_view a, std::string_view b) {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string_view path_of(std::string_view target) { return target.substr(0, target.find('?')); }

}  // namespace

std::string ws_accept(std::string_view key) {
    std::string text(key);
    text += kGuid;
    std::array<std::uint8_t, SHA_DIGEST_LENGTH> hash{};
    SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), hash.data());
    return base64(hash);
}

std::optional<WsAnswer> refuse_asker(const HttpHead& request,
                                     const WsPolicy& policy,
                                     std::string_view local_host) {
    if (!request.is_1_1) return WsAnswer{400, "HTTP/1.1 is wanted"};
    const auto host = request.header("host");
    if (!host || host->empty()) return WsAnswer{400, "one Host is wanted"};
    if (request.count("origin") > 1) return WsAnswer{400, "one Origin at most is wanted"};
    if (request.has_body) return WsAnswer{400, "no body is wanted"};
    if (!is_host_allowed(host_of(*host), policy, local_host)) {
        return WsAnswer{403, "this name is not allowed; `--host NAME` allows it"};
    }
    const auto origin = request.header("origin");
    if (origin && !is_own_origin(*origin, *host) && !has(policy.origins, *origin)) {
        return WsAnswer{403, "pages of this origin are not allowed; `--origin ORIGIN` allows it"};
    }
    return std::nullopt;
}

WsAnswer answer_upgrade(const HttpHead& request,
                        const WsPolicy& policy,
                        std::string_view local_host) {
    if (auto refusal = refuse_asker(request, policy, local_host)) return *std::move(refusal);
    if (path_of(request.target) != policy.path) return {404, "nothing is here"};
    if (request.method != "GET") return {405, "only GET"};
    if (!request.has_token("upgrade", "websocket") || !request.has_token("connection", "upgrade")) {
        return {426, "a WebSocket is here, of subprotocol joinery.1"};
    }
    if (request.header("sec-websocket-version") != "13")
        return {426, "WebSocket version 13 is wanted"};
    const bool is_browser = request.header("origin").has_value();
    if (is_browser && !policy.token.empty() &&
        !is_equal_in_constant_time(shown_token(request), policy.token)) {
        return {401, "the token is missing or wrong"};
    }
    const auto key = request.header("sec-websocket-key");
    if (!key || !is_key(*key)) return {400, "a Sec-WebSocket-Key of 16 bytes is wanted"};
    if (!request.has_token("sec-websocket-protocol", kWsProtocol)) {
        return {400, "the subprotocol joinery.1 is wanted"};
    }
    return {101, {}, ws_accept(*key)};
}

std::string write_answer(const WsAnswer& answer) {
    std::string out = "HTTP/1.1 " + std::to_string(answer.status) + " ";
    out += http_reason(answer.status);
    out += "\r\n";
    if (answer.status == 101) {
        out +=
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + answer.accept +
            "\r\nSec-WebSocket-Protocol: " + std::string(kWsProtocol) + "\r\n\r\n";
        return out;
    }
    const std::string body = answer.text + "\n";
    if (answer.status == 426) {
        out += "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: " +
               std::string(kWsProtocol) + "\r\n";
    }
    if (answer.status == 405) out += "Allow: GET\r\n";
    if (answer.status == 401) out += "WWW-Authenticate: Joinery\r\n";
    out += "Connection: close\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\n\r\n" + body;
    return out;
}

std::string write_upgrade(const Url& url, const WsKey& key, std::string_view token) {
    Url authority = url;
    authority.path.clear();
    const std::string text = format_url(authority);
    std::string out =
        "GET " + (url.path.empty() ? "/" : url.path) +
        " HTTP/1.1\r\nHost: " + text.substr(text.find("://") + 3) +
        "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: " + base64(key) +
        "\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: " + std::string(kWsProtocol);
    if (!token.empty()) out += ", " + std::string(kWsTokenPrefix) + std::string(token);
    out += "\r\n\r\n";
    return out;
}

Result<void> check_upgrade(const HttpHead& response, const WsKey& key) {
    switch (response.status) {
        case 101: break;
        case 401: return fail(Errc::untrusted, "the server wants a token (HTTP 401)");
        case 403:
            return fail(Errc::untrusted,
                        "the server does not take links under that name (HTTP 403)");
        case 404:
            return fail(Errc::not_found, "the server has no WebSocket at that path (HTTP 404)");
        case 503: return fail(Errc::busy, "the server is busy (HTTP 503)");
        default:
            return fail(Errc::unsupported,
                        "what answers there is no WebSocket of Joinery",
                        response.status);
    }
    const bool is_upgraded = response.has_token("upgrade", "websocket") &&
                             response.has_token("connection", "upgrade") &&
                             response.header("sec-websocket-accept") == ws_accept(base64(key));
    if (!is_upgraded) return fail(Errc::malformed, "an answer that is not that of a WebSocket");
    if (response.count("sec-websocket-extensions") != 0) {
        return fail(Errc::malformed, "a WebSocket extension that was not asked for");
    }
    if (response.header("sec-websocket-protocol") != kWsProtocol) {
        return fail(Errc::unsupported, "a WebSocket of another subprotocol than joinery.1");
    }
    return {};
}

}  // namespace joinery::transport
