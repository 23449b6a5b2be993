/// @file
/// The URLs that name endpoints: `tcp://HOST:PORT` and `mem://NAME` today, with room for `ws` and
/// `wss`, which need the path. Not a general URL parser: no user names, queries or fragments.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace joinery::transport {

/// Longest URL that parses, in bytes.
inline constexpr std::size_t kUrlSizeMax = 2048;
/// Longest host name that parses, in bytes (RFC 1035).
inline constexpr std::size_t kHostSizeMax = 253;

/// A URL in its parts: `scheme://host[:port][path]`.
struct Url {
    std::string scheme;                 ///< Lower case.
    std::string host;                   ///< Lower case, never empty; IPv6 without its brackets.
    std::optional<std::uint16_t> port;  ///< What is required is up to the scheme.
    std::string path;                   ///< Empty, or all from the first '/' on.

    friend bool operator==(const Url&, const Url&) = default;
};

/// Takes @p text apart.
///
/// @return The parts; else `malformed`, `at` = offset of the first byte that does not fit, and a
///         text that names the part in question.
Result<Url> parse_url(std::string_view text);

/// The text of @p url; parse_url() of it gives @p url again.
std::string format_url(const Url& url);

/// Whether @p host, of a Url, is this machine whoever is asked: an address of loopback, or
/// `localhost`.
bool is_loopback(std::string_view host);

/// Whether @p text begins with `scheme://`, in any case; the rest may be anything.
///
/// @param scheme  Lower case.
bool has_scheme(std::string_view text, std::string_view scheme) noexcept;

}  // namespace joinery::transport
