/// @file
/// The head of one HTTP/1.1 message, without I/O: what comes before a WebSocket, and what a browser
/// asks for. A body is never read.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace joinery::transport {

/// Longest head that is read, in bytes; and most headers in it.
inline constexpr std::size_t kHttpHeadMax = 8U << 10U;
inline constexpr std::size_t kHttpHeadersMax = 100;

/// A request's or a response's head.
struct HttpHead {
    bool is_request = false;
    bool is_1_1 = false;    ///< HTTP/1.1, no other version.
    bool has_body = false;  ///< As its headers say.
    std::string method{};   ///< Of a request: GET, HEAD...
    std::string target{};   ///< Of a request: the path with its query, as it came.
    unsigned status = 0;    ///< Of a response.
    /// In order; names in lower case.
    std::vector<std::pair<std::string, std::string>> headers{};

    /// The value of the only header @p name (lower case); nothing if there is none, or several.
    std::optional<std::string_view> header(std::string_view name) const;
    std::size_t count(std::string_view name) const;
    /// Whether a comma-separated list in the headers @p name has @p token, in any case.
    bool has_token(std::string_view name, std::string_view token) const;
};

/// Reads one head from untrusted bytes.
class HttpHeadReader {
  public:
    enum class Kind : bool { request, response };
    explicit HttpHeadReader(Kind kind);
    HttpHeadReader(HttpHeadReader&&) noexcept;
    HttpHeadReader& operator=(HttpHeadReader&&) noexcept;
    ~HttpHeadReader();

    /// Takes the next bytes of the stream.
    ///
    /// @return How many of @p bytes belong to the head, once it is whole: those behind belong to
    ///         what follows. Nothing: more is needed, and all were taken. `malformed`, or
    ///         `over_limit` for a head longer than kHttpHeadMax or with more than kHttpHeadersMax
    ///         headers: the reader is then of no more use.
    Result<std::optional<std::size_t>> take(ByteView bytes);
    /// After take() said that it is whole.
    const HttpHead& head() const noexcept;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

/// What a listener is asked besides a WebSocket: by GET or HEAD, by who passed its policy.
struct HttpRequest {
    std::string_view target;      ///< The path with its query, as it came.
    bool is_of_loopback = false;  ///< Asked by a program of this machine.
};

/// What is answered to it.
struct HttpReply {
    unsigned status = 200;
    std::string content_type{};
    std::string body{};
    std::shared_ptr<void> hold{};  ///< Let go of when it has been sent, or cannot be.
};

/// The head and, unless it was asked by HEAD, the body of @p reply.
std::string write_reply(const HttpReply& reply, bool is_head);

/// "OK" for 200 and so on, for people and logs.
std::string_view http_reason(unsigned status) noexcept;

}  // namespace joinery::transport
