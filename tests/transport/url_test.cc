#include "transport/url.h"

#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace joinery::transport {
namespace {

TEST(Url, EveryPartIsFound) {
    struct Case {
        std::string_view text;
        Url url;
    };
    const std::vector<Case> cases = {
        {"tcp://127.0.0.1:7000", {"tcp", "127.0.0.1", 7000, ""}},
        {"tcp://[::1]:0", {"tcp", "::1", 0, ""}},
        {"tcp://[::ffff:127.0.0.1]:65535", {"tcp", "::ffff:127.0.0.1", 65535, ""}},
        {"mem://a_b-c.d", {"mem", "a_b-c.d", std::nullopt, ""}},
        {"wss://example.org/sync/v0", {"wss", "example.org", std::nullopt, "/sync/v0"}},
        {"ws://h:80/", {"ws", "h", 80, "/"}},
        {"a+b.c-1://h", {"a+b.c-1", "h", std::nullopt, ""}},
        {"tcp://h:000080", {"tcp", "h", 80, ""}},
    };
    for (const Case& c : cases) {
        const Result<Url> url = parse_url(c.text);
        ASSERT_TRUE(url) << c.text << ": " << url.error().what;
        EXPECT_EQ(*url, c.url) << c.text;
    }
}

TEST(Url, SchemeAndHostAreOfOneCaseAndThePathIsNot) {
    const Result<Url> url = parse_url("TCP://LocalHost:1/Path");
    ASSERT_TRUE(url);
    EXPECT_EQ(*url, (Url{"tcp", "localhost", 1, "/Path"}));
    EXPECT_EQ(parse_url("tcp://[FE80::A]:1")->host, "fe80::a");
}

TEST(Url, FormatIsTheInverseOfParse) {
    for (const std::string_view text :
         {"tcp://127.0.0.1:7000", "tcp://[::1]:0", "mem://name", "wss://h/a/b%20c", "ws://h:1/"}) {
        const Result<Url> url = parse_url(text);
        ASSERT_TRUE(url) << text;
        EXPECT_EQ(format_url(*url), text);
    }
}

TEST(Url, WhatIsBadIsMalformedAtItsOffset) {
    struct Case {
        std::string_view text;
        std::uint64_t at;
    };
    const std::vector<Case> cases = {
        {"", 0},
        {"127.0.0.1:7000", 0},
        {"://h", 0},
        {"1tcp://h", 0},
        {"tcp", 3},
        {"tcp:/h", 3},
        {"t cp://h", 1},
        {"tcp://", 6},
        {"tcp://:7000", 6},
        {"tcp:///path", 6},
        {"tcp://user@h:1", 10},
        {"tcp://h h:1", 7},
        {"tcp://[]:1", 7},
        {"tcp://[1.2.3.4]:1", 14},
        {"tcp://[::1", 10},
        {"tcp://[::1%lo]:1", 10},
        {"tcp://::1:1", 6},
        {"tcp://[::1]7000", 11},
        {"tcp://h:", 8},
        {"tcp://h:x", 8},
        {"tcp://h:-1", 8},
        {"tcp://h:65536", 8},
        {"tcp://h:99999999999999999999", 8},
        {"tcp://h:1x", 9},
        {"tcp://h:1?q", 9},
        {"tcp://h:1/a b", 11},
        {"tcp://h:1/a#b", 11},
        {"tcp://h:1/a?b", 11},
        {"tcp://h\xc3\xa9:1", 7},
        {"tcp://h:1/\xc3\xa9", 10},
    };
    for (const Case& c : cases) {
        const Result<Url> url = parse_url(c.text);
        ASSERT_FALSE(url) << c.text;
        EXPECT_EQ(url.error().code, Errc::malformed) << c.text;
        EXPECT_EQ(url.error().at, c.at) << c.text << ": " << url.error().what;
        EXPECT_FALSE(url.error().what.empty()) << c.text;
    }
    EXPECT_FALSE(parse_url(std::string_view("tcp://h\0:1", 10)));
}

TEST(Url, LengthsAreBounded) {
    const auto host = [](std::size_t size) { return "tcp://" + std::string(size, 'h') + ":1"; };
    EXPECT_TRUE(parse_url(host(kHostSizeMax)));
    EXPECT_FALSE(parse_url(host(kHostSizeMax + 1)));
    const std::string front = "ws://h/";
    EXPECT_TRUE(parse_url(front + std::string(kUrlSizeMax - front.size(), 'p')));
    EXPECT_FALSE(parse_url(front + std::string(kUrlSizeMax - front.size() + 1, 'p')));
}

TEST(Url, SchemesAreToldApartWithoutParsing) {
    EXPECT_TRUE(has_scheme("tcp://", "tcp"));
    EXPECT_TRUE(has_scheme("TCP://whatever is here", "tcp"));
    EXPECT_FALSE(has_scheme("tcps://h", "tcp"));
    EXPECT_FALSE(has_scheme("tcp:/h", "tcp"));
    EXPECT_FALSE(has_scheme("tc", "tcp"));
    EXPECT_FALSE(has_scheme("", "tcp"));
}

TEST(Url, LoopbackIsAnAddressAndNotANameThatLooksLikeOne) {
    for (const std::string_view host : {"127.0.0.1", "127.9.8.7", "::1", "localhost"})
        EXPECT_TRUE(is_loopback(host)) << host;
    for (const std::string_view host : {"127.0.0.1.example.com",
                                        "127.example.com",
                                        "localhost.example.com",
                                        "10.0.0.1",
                                        "::2",
                                        "0.0.0.0",
                                        ""})
        EXPECT_FALSE(is_loopback(host)) << host;
}

}  // namespace
}  // namespace joinery::transport
