#include "transport/http_head.h"

#include "transport/ascii.h"

#include <algorithm>
#include <http_parser.h>

namespace joinery::transport {

namespace {

using detail::is_equal_in_any_case;
using detail::to_lower;

std::string_view trimmed(std::string_view text) noexcept {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
        text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
        text.remove_suffix(1);
    return text;
}

}  // namespace

std::size_t HttpHead::count(std::string_view name) const {
    return static_cast<std::size_t>(std::ranges::count(
        headers, name, [](const auto& header) { return std::string_view(header.first); }));
}

std::optional<std::string_view> HttpHead::header(std::string_view name) const {
    std::optional<std::string_view> found;
    for (const auto& [key, value] : headers) {
        if (key != name) continue;
        if (found) return std::nullopt;
        found = value;
    }
    return found;
}

bool HttpHead::has_token(std::string_view name, std::string_view token) const {
    for (const auto& [key, value] : headers) {
        if (key != name) continue;
        std::string_view rest = value;
        while (true) {
            const std::size_t comma = rest.find(',');
            if (is_equal_in_any_case(trimmed(rest.substr(0, comma)), token)) return true;
            if (comma == std::string_view::npos) break;
            rest.remove_prefix(comma + 1);
        }
    }
    return false;
}

struct HttpHeadReader::State {
    explicit State(Kind kind) {
        http_parser_init(&parser, kind == Kind::request ? HTTP_REQUEST : HTTP_RESPONSE);
        parser.data = this;
        head.is_request = kind == Kind::request;
        http_parser_settings_init(&settings);
        settings.on_url = [](http_parser* it, const char* at, std::size_t size) {
            of(it).head.target.append(at, size);
            return 0;
        };
        settings.on_header_field = [](http_parser* it, const char* at, std::size_t size) {
            return of(it).take_name({at, size});
        };
        settings.on_header_value = [](http_parser* it, const char* at, std::size_t size) {
            of(it).is_in_value = true;
            of(it).head.headers.back().second.append(at, size);
            return 0;
        };
        settings.on_headers_complete = [](http_parser* it) {
            of(it).is_whole = true;
            return 2;  // Nothing follows that the parser should look at.
        };
        settings.on_message_complete = [](http_parser* it) {
            http_parser_pause(it, 1);
            return 0;
        };
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() = default;

    static State& of(http_parser* it) { return *static_cast<State*>(it->data); }

    int take_name(std::string_view part) {
        if (is_in_value || head.headers.empty()) {
            if (head.headers.size() == kHttpHeadersMax) {
                has_too_many = true;
                return 1;
            }
            head.headers.emplace_back();
        }
        is_in_value = false;
        for (const char c : part)
            head.headers.back().first.push_back(to_lower(c));
        return 0;
    }

    http_parser parser{};
    http_parser_settings settings{};
    HttpHead head;
    std::size_t taken_size = 0;
    bool is_in_value = false;
    bool is_whole = false;
    bool has_too_many = false;
};

HttpHeadReader::HttpHeadReader(Kind kind) : state_(std::make_unique<State>(kind)) {}
HttpHeadReader::HttpHeadReader(HttpHeadReader&&) noexcept = default;
HttpHeadReader& HttpHeadReader::operator=(HttpHeadReader&&) noexcept = default;
HttpHeadReader::~HttpHeadReader() = default;

const HttpHead& HttpHeadReader::head() const noexcept { return state_->head; }

Result<std::optional<std::size_t>> HttpHeadReader::take(ByteView bytes) {
    JOINERY_ASSERT(!state_->is_whole);
    const std::size_t room = kHttpHeadMax - state_->taken_size;
    const std::string_view text = as_text(bytes.first(std::min(bytes.size(), room)));
    const std::size_t taken =
        http_parser_execute(&state_->parser, &state_->settings, text.data(), text.size());
    if (state_->is_whole) {
        HttpHead& head = state_->head;
        head.is_1_1 = state_->parser.http_major == 1 && state_->parser.http_minor == 1;
        head.has_body =
            (state_->parser.content_length != UINT64_MAX && state_->parser.content_length != 0) ||
            head.count("transfer-encoding") != 0;
        if (head.is_request) {
            head.method = http_method_str(static_cast<http_method>(state_->parser.method));
        } else {
            head.status = state_->parser.status_code;
        }
        return std::optional(taken);
    }
    if (state_->has_too_many) return fail(Errc::over_limit, "more than 100 headers");
    if (HTTP_PARSER_ERRNO(&state_->parser) != HPE_OK) {
        return fail(Errc::malformed, "bytes that are not HTTP/1.1", state_->taken_size + taken);
    }
    state_->taken_size += taken;
    if (taken == room) return fail(Errc::over_limit, "a head of more than 8 KiB");
    return std::optional<std::size_t>();
}

std::string write_reply(const HttpReply& reply, bool is_head) {
    std::string out = "HTTP/1.1 " + std::to_string(reply.status) + " ";
    out += http_reason(reply.status);
    // Pages run what came with them, and speak to where they came from, alone.
    out +=
        "\r\nConnection: close\r\nCache-Control: no-cache\r\nX-Content-Type-Options: nosniff"
        "\r\nCross-Origin-Resource-Policy: same-origin\r\nReferrer-Policy: no-referrer"
        "\r\nContent-Security-Policy: default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; "
        "style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self' ws: wss:; "
        "frame-ancestors 'self'\r\nContent-Type: ";
    out += reply.content_type + "\r\nContent-Length: " + std::to_string(reply.body.size()) +
           "\r\n\r\n";
    if (!is_head) out += reply.body;
    return out;
}

std::string_view http_reason(unsigned status) noexcept {
    switch (status) {
        case 101: return "Switching Protocols";
        case 200: return "OK";
        case 400: return "Bad Request";
        case 401: return "Unauthorized";
        case 403: return "Forbidden";
        case 404: return "Not Found";
        case 405: return "Method Not Allowed";
        case 426: return "Upgrade Required";
        case 431: return "Request Header Fields Too Large";
        case 503: return "Service Unavailable";
        default: return "Status";
    }
}

}  // namespace joinery::transport
