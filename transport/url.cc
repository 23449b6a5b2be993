#include "transport/url.h"

#include "transport/ascii.h"

#include <asio/ip/address.hpp>

#include <algorithm>

namespace joinery::transport {

namespace {

constexpr std::string_view kSchemeEnd = "://";

// <cctype> depends on the locale; a URL does not.
constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
using detail::lower;
using detail::to_lower;
constexpr bool is_letter(char c) noexcept { return to_lower(c) >= 'a' && to_lower(c) <= 'z'; }
constexpr bool is_hex_digit(char c) noexcept {
    return is_digit(c) || (to_lower(c) >= 'a' && to_lower(c) <= 'f');
}
constexpr bool is_scheme_char(char c) noexcept {
    return is_letter(c) || is_digit(c) || c == '+' || c == '-' || c == '.';
}
constexpr bool is_name_char(char c) noexcept {
    return is_letter(c) || is_digit(c) || c == '-' || c == '.' || c == '_';
}
constexpr bool is_address6_char(char c) noexcept { return is_hex_digit(c) || c == ':' || c == '.'; }
constexpr bool is_path_char(char c) noexcept {
    return c > ' ' && c < '\x7f' && c != '?' && c != '#';
}

// A cursor that remembers its offset for the Error.
struct Cursor {
    std::string_view text;
    std::size_t at = 0;

    bool is_done() const noexcept { return at == text.size(); }
    char front() const noexcept { return is_done() ? '\0' : text[at]; }

    template <class Predicate>
    std::string_view take_while(Predicate predicate) {
        const std::size_t begin = at;
        while (!is_done() && predicate(text[at]))
            ++at;
        return text.substr(begin, at - begin);
    }
    Error error(std::string_view what) const noexcept { return fail(Errc::malformed, what, at); }
};

Result<std::string> parse_scheme(Cursor& in) {
    if (!is_letter(in.front())) {
        return in.error("a URL begins with its scheme, as in tcp://127.0.0.1:7000");
    }
    const std::string_view scheme = in.take_while(is_scheme_char);
    if (!in.text.substr(in.at).starts_with(kSchemeEnd)) {
        return in.error("the scheme of a URL ends with ://, as in tcp://127.0.0.1:7000");
    }
    in.at += kSchemeEnd.size();
    return lower(scheme);
}

Result<std::string> parse_address6(Cursor& in) {
    ++in.at;
    const std::string_view address = in.take_while(is_address6_char);
    if (in.front() != ']') return in.error("an IPv6 address stands in brackets, as in [::1]");
    if (address.find(':') == std::string_view::npos) {
        return in.error("the brackets of the URL hold no IPv6 address");
    }
    ++in.at;
    return lower(address);
}

Result<std::string> parse_host(Cursor& in) {
    if (in.front() == '[') return parse_address6(in);
    const std::size_t begin = in.at;
    const std::string_view host = in.take_while(is_name_char);
    if (in.front() == '@') return in.error("a URL here holds no user name or password");
    if (host.empty()) return in.error("the URL names no host");
    if (host.size() > kHostSizeMax) {
        return fail(Errc::malformed, "the host name is longer than 253 bytes", begin);
    }
    return lower(host);
}

Result<std::optional<std::uint16_t>> parse_port(Cursor& in) {
    constexpr std::uint32_t kPortMax = 65535;
    if (in.front() != ':') return std::optional<std::uint16_t>{};
    ++in.at;
    const std::size_t begin = in.at;
    std::uint32_t port = 0;
    for (const char c : in.take_while(is_digit)) {
        port = std::min(port * 10 + static_cast<std::uint32_t>(c - '0'), kPortMax + 1);
    }
    if (in.at == begin) return in.error("a port number follows the ':' of the URL");
    if (port > kPortMax) return fail(Errc::malformed, "the port number is above 65535", begin);
    return std::optional<std::uint16_t>(static_cast<std::uint16_t>(port));
}

}  // namespace

Result<Url> parse_url(std::string_view text) {
    if (text.size() > kUrlSizeMax) {
        return fail(Errc::malformed, "the URL is longer than 2048 bytes", kUrlSizeMax);
    }
    Cursor in{text};
    Url url;
    JOINERY_TRY(url.scheme, parse_scheme(in));
    JOINERY_TRY(url.host, parse_host(in));
    JOINERY_TRY(url.port, parse_port(in));
    if (!in.is_done() && in.front() != '/') {
        return in.error("the URL holds a character that has no place there");
    }
    url.path = in.take_while(is_path_char);
    if (!in.is_done()) return in.error("the path of the URL holds a character that it may not");
    return url;
}

std::string format_url(const Url& url) {
    std::string text = url.scheme;
    text += kSchemeEnd;
    const bool is_address6 = url.host.find(':') != std::string::npos;
    if (is_address6) text += '[';
    text += url.host;
    if (is_address6) text += ']';
    if (url.port) {
        text += ':';
        text += std::to_string(*url.port);
    }
    text += url.path;
    return text;
}

bool is_loopback(std::string_view host) {
    if (host == "localhost") return true;
    asio::error_code error;
    const asio::ip::address address = asio::ip::make_address(std::string(host), error);
    return !error && address.is_loopback();
}

bool has_scheme(std::string_view text, std::string_view scheme) noexcept {
    if (text.size() < scheme.size() + kSchemeEnd.size()) return false;
    return std::ranges::equal(text.substr(0, scheme.size()), scheme, {}, to_lower) &&
           text.substr(scheme.size()).starts_with(kSchemeEnd);
}

}  // namespace joinery::transport
