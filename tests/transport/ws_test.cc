// WebSockets from the outside: what a listener answers to requests and frames that sockets make of
// bytes (wire-format.md 1.4; protocols.md C.7, 16 to 22).

#include "tests/transport/link_rig.h"
#include "tests/transport/raw_socket.h"
#include "transport/ws_upgrade.h"

#include <array>
#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace joinery::transport::test {
namespace {

constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";

/// A request with @p changed lines: a name with a value replaces or adds, one without leaves out.
std::string request(const std::vector<std::pair<std::string, std::string>>& changed = {},
                    const std::string& first = "GET / HTTP/1.1") {
    std::vector<std::pair<std::string, std::string>> lines{{"Host", "127.0.0.1"},
                                                           {"Upgrade", "websocket"},
                                                           {"Connection", "keep-alive, Upgrade"},
                                                           {"Sec-WebSocket-Key", std::string(kKey)},
                                                           {"Sec-WebSocket-Version", "13"},
                                                           {"Sec-WebSocket-Protocol", "joinery.1"}};
    for (const auto& [name, value] : changed) {
        const auto known =
            std::ranges::find(lines, name, &std::pair<std::string, std::string>::first);
        if (known != lines.end() && value.empty()) {
            lines.erase(known);
        } else if (known != lines.end()) {
            known->second = value;
        } else {
            lines.emplace_back(name, value);
        }
    }
    std::string text = first + "\r\n";
    for (const auto& [name, value] : lines)
        text += name + ": " + value + "\r\n";
    return text + "\r\n";
}

unsigned status_of(const std::string& text, const WsPolicy& policy = {}) {
    HttpHeadReader reader(HttpHeadReader::Kind::request);
    const auto taken = reader.take(as_bytes(text));
    if (!taken || !*taken) return 0;
    return answer_upgrade(reader.head(), policy, "127.0.0.1").status;
}

TEST(WsUpgrade, TheKeyOfTheStandardHasItsAnswer) {  // RFC 6455, 1.3
    EXPECT_EQ(ws_accept(kKey), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST(WsUpgrade, ARequestIsTakenOnlyIfAllOfItIsRight) {
    EXPECT_EQ(status_of(request()), 101U);
    EXPECT_EQ(status_of(request({}, "GET /?from=here HTTP/1.1")), 101U);
    EXPECT_EQ(status_of(request({}, "GET / HTTP/1.0")), 400U);
    EXPECT_EQ(status_of(request({}, "POST / HTTP/1.1")), 405U);
    EXPECT_EQ(status_of(request({}, "GET /other HTTP/1.1")), 404U);
    EXPECT_EQ(status_of(request({{"Host", ""}})), 400U);
    EXPECT_EQ(status_of(request({{"host", "127.0.0.1"}})), 400U);  // Twice.
    EXPECT_EQ(status_of(request({{"Content-Length", "1"}})), 400U);
    EXPECT_EQ(status_of(request({{"Transfer-Encoding", "chunked"}})), 400U);
    EXPECT_EQ(status_of(request({{"Upgrade", ""}})), 426U);
    EXPECT_EQ(status_of(request({{"Connection", "close"}})), 426U);
    EXPECT_EQ(status_of(request({{"Sec-WebSocket-Version", "8"}})), 426U);
    EXPECT_EQ(status_of(request({{"Sec-WebSocket-Key", ""}})), 400U);
    EXPECT_EQ(status_of(request({{"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZR=="}})), 400U);
    EXPECT_EQ(status_of(request({{"Sec-WebSocket-Key", "c2hvcnQ="}})), 400U);
    EXPECT_EQ(status_of(request({{"Sec-WebSocket-Protocol", "chat"}})), 400U);
    EXPECT_EQ(status_of(request({{"Sec-WebSocket-Protocol", "chat, joinery.1"}})), 101U);
}

TEST(WsUpgrade, PagesOfElsewhereComeInOnlyByName) {
    WsPolicy policy;
    const auto of = [&](const std::string& host, const std::string& origin) {
        return status_of(request({{"Host", host}, {"Origin", origin}}), policy);
    };
    EXPECT_EQ(of("127.0.0.1:8080", "http://127.0.0.1:8080"), 101U);
    EXPECT_EQ(of("localhost:8080", "http://localhost:8080"), 101U);
    EXPECT_EQ(of("[::1]:8080", "http://[::1]:8080"), 101U);
    EXPECT_EQ(of("127.0.0.1:8080", "http://127.0.0.1:8081"), 403U);
    EXPECT_EQ(of("127.0.0.1:8080", "https://evil.example"), 403U);
    for (const char* const origin : {"null",
                                     "http://127.0.0.1.evil.example",
                                     "http://127.0.0.1.evil.example:8080",
                                     "http://localhost:8080",
                                     "http://[::1]:8080",
                                     "http://127.0.0.1",
                                     "127.0.0.1:8080",
                                     "http://evil.example/127.0.0.1:8080"}) {
        EXPECT_EQ(of("127.0.0.1:8080", origin), 403U) << origin;  // C.7, 19 and 20
    }
    EXPECT_EQ(of("LOCALHOST:8080", "http://LocalHost:8080"), 101U);
    // A name of elsewhere that leads here (DNS rebinding), with its own page.
    EXPECT_EQ(of("evil.example", "http://evil.example"), 403U);
    EXPECT_EQ(status_of(request({{"Host", "evil.example"}})), 403U);
    policy.hosts = {"board.example"};
    policy.origins = {"https://app.example"};
    EXPECT_EQ(of("Board.Example:443", "https://App.example"), 101U);
    EXPECT_EQ(of("board.example", "https://app.example:444"), 403U);
    EXPECT_EQ(status_of(request({{"Host", "board.example"},
                                 {"Origin", "https://app.example"},
                                 {"origin", "https://app.example"}}),
                        policy),
              400U);
}

TEST(WsUpgrade, ABrowserShowsItsToken) {
    WsPolicy policy;
    policy.token = "5eed";
    const auto with = [&](const std::string& protocols, const std::string& origin) {
        return status_of(request({{"Sec-WebSocket-Protocol", protocols}, {"Origin", origin}}),
                         policy);
    };
    const std::string own = "http://127.0.0.1";
    EXPECT_EQ(with("joinery.1", own), 401U);
    EXPECT_EQ(with("joinery.1, joinery.token.5eee", own), 401U);
    EXPECT_EQ(with("joinery.1, joinery.token.5eed0", own), 401U);
    EXPECT_EQ(with("joinery.1, joinery.token.5eed", own), 101U);
    EXPECT_EQ(with("joinery.token.5eed,joinery.1", own), 101U);
    // C.7, 22: absent, empty, cut, one bit off, in the query.
    for (const char* const protocols : {"joinery.1, joinery.token.",
                                        "joinery.1, joinery.token.5ee",
                                        "joinery.1, joinery.token.5eeD",
                                        "joinery.1, joinery.token.5eed.",
                                        "joinery.1, token.5eed",
                                        "joinery.1, 5eed"}) {
        EXPECT_EQ(with(protocols, own), 401U) << protocols;
    }
    EXPECT_EQ(status_of(request({{"Origin", own}}, "GET /?joinery.token.5eed HTTP/1.1"), policy),
              401U);
    // Without the protocol itself the token is for nothing.
    EXPECT_EQ(with("joinery.token.5eed", own), 400U);
    EXPECT_EQ(status_of(request(), policy), 101U);  // No browser: its key is asked for inside.
}

TEST(WsUpgrade, ADiallerTakesOnlyWhatAnswersIt) {
    const WsKey key{};
    const std::string right = write_answer({101, {}, ws_accept("AAAAAAAAAAAAAAAAAAAAAA==")});
    const auto check = [&](const std::string& text) {
        HttpHeadReader reader(HttpHeadReader::Kind::response);
        const auto taken = reader.take(as_bytes(text));
        EXPECT_TRUE(taken && *taken) << text;
        return check_upgrade(reader.head(), key);
    };
    EXPECT_TRUE(check(right).has_value());
    EXPECT_EQ(check(write_answer({101, {}, ws_accept(kKey)})).error().code, Errc::malformed);
    std::string extended = right;
    extended.insert(extended.size() - 2, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    EXPECT_EQ(check(extended).error().code, Errc::malformed);
    EXPECT_EQ(check(write_answer({403, "no"})).error().code, Errc::untrusted);
    EXPECT_EQ(check(write_answer({401, "no"})).error().code, Errc::untrusted);
    EXPECT_EQ(check(write_answer({404, "no"})).error().code, Errc::not_found);
    EXPECT_EQ(check("HTTP/1.1 200 OK\r\n\r\n").error().code, Errc::unsupported);
}

TEST(HttpHead, IsTheSameHoweverItIsCut) {
    const std::string text = request({}, "GET /x?y HTTP/1.1") + "behind";
    for (std::size_t cut = 0; cut <= text.size() - 6; ++cut) {
        HttpHeadReader reader(HttpHeadReader::Kind::request);
        auto taken = reader.take(as_bytes(std::string_view(text).substr(0, cut)));
        ASSERT_TRUE(taken.has_value());
        if (!*taken) {
            taken = reader.take(as_bytes(std::string_view(text).substr(cut)));
            ASSERT_TRUE(taken && *taken);
            EXPECT_EQ(cut + **taken, text.size() - 6);
        }
        EXPECT_EQ(reader.head().target, "/x?y");
        EXPECT_EQ(reader.head().header("sec-websocket-key"), kKey);
    }
}

TEST(HttpHead, HasLimits) {
    const auto error_of = [](const std::string& text) {
        HttpHeadReader reader(HttpHeadReader::Kind::request);
        const auto taken = reader.take(as_bytes(text));
        return taken ? std::optional<Errc>() : std::optional(taken.error().code);
    };
    const std::string start = "GET / HTTP/1.1\r\n";
    EXPECT_EQ(error_of(start + "A: " + std::string(kHttpHeadMax, 'a')), Errc::over_limit);
    std::string many = start;
    for (std::size_t i = 0; i <= kHttpHeadersMax; ++i)
        many += "A: b\r\n";
    EXPECT_EQ(error_of(many), Errc::over_limit);
    EXPECT_EQ(error_of("\x16\x03\x01\x02"), Errc::malformed);
    EXPECT_EQ(error_of(start + "A b\r\n\r\n"), Errc::malformed);
    std::string fits = start + "A: ";
    fits += std::string(kHttpHeadMax - fits.size() - 4, 'a') + "\r\n\r\n";
    EXPECT_EQ(error_of(fits), std::nullopt);
}

// --- Over a socket
// ---------------------------------------------------------------------------------

class WsServer : public testing::Test {
  protected:
    void listen(WsOptions options = {}) {
        // Links and listeners go before the context that they run on.
        user_ = {};
        listener_.reset();
        rig_ = std::make_unique<WsRig>(std::move(options));
        auto made = rig_->transport().listen("ws://127.0.0.1:0/", [this](auto link) {
            if (!link) return errors_.push_back(link.error().code);
            user_.link = *std::move(link);
            user_.start();
        });
        ASSERT_TRUE(made.has_value());
        listener_ = *std::move(made);
        ASSERT_TRUE(socket_.connect(listener_->url()));
    }
    /// What comes until there is @p end in it, or FIN.
    std::string receive_until(std::string_view end) {
        std::string got;
        rig_->run_until([&] {
            const Bytes bytes = socket_.receive_now(1 << 16U);
            got += as_text(bytes);
            return got.find(end) != std::string::npos;
        });
        return got;
    }
    void upgrade() {
        listen();
        ASSERT_TRUE(socket_.send(request()));
        ASSERT_TRUE(receive_until("\r\n\r\n").starts_with("HTTP/1.1 101 Switching Protocols\r\n"));
        ASSERT_TRUE(rig_->run_until([&] { return user_.link != nullptr; }));
    }
    /// A frame as a client sends it.
    static Bytes frame(std::uint8_t first, std::string_view payload, bool is_masked = true) {
        Bytes out{first};
        const auto mask_bit = static_cast<std::uint8_t>(is_masked ? 0x80 : 0);
        if (payload.size() < 126) {
            out.push_back(static_cast<std::uint8_t>(mask_bit | payload.size()));
        } else {
            out.push_back(mask_bit | 126);
            out.push_back(static_cast<std::uint8_t>(payload.size() >> 8U));
            out.push_back(static_cast<std::uint8_t>(payload.size()));
        }
        constexpr std::array<std::uint8_t, 4> kMask{1, 2, 3, 4};
        if (is_masked) out.insert(out.end(), kMask.begin(), kMask.end());
        for (std::size_t i = 0; i < payload.size(); ++i) {
            const auto byte = static_cast<std::uint8_t>(payload[i]);
            out.push_back(is_masked ? byte ^ kMask[i % 4] : byte);
        }
        return out;
    }
    void send(const Bytes& bytes) { ASSERT_TRUE(socket_.send(bytes)); }
    /// Expects a close frame of @p code, 0: without one, and then the end of the stream.
    void expect_closed(std::uint16_t code, Errc error) {
        std::string end{static_cast<char>(0x88), static_cast<char>(code == 0 ? 0 : 2)};
        if (code != 0) {
            end.push_back(static_cast<char>(code >> 8U));
            end.push_back(static_cast<char>(code & 0xffU));
        }
        EXPECT_NE(receive_until(end).find(end), std::string::npos);
        ASSERT_TRUE(rig_->run_until([&] { return !user_.closed.empty(); }));
        EXPECT_TRUE(user_.is_ended_as(error)) << user_.closed[0].error().what;
        socket_.send_fin();
        ASSERT_TRUE(rig_->run_until([&] { return user_.closed.size() == 1; }));
    }
    std::vector<std::string> received() const {
        std::vector<std::string> out;
        for (const Bytes& message : user_.received)
            out.emplace_back(as_text(message));
        return out;
    }

    std::unique_ptr<WsRig> rig_;
    std::unique_ptr<Listener> listener_;
    User user_;
    RawSocket socket_;
    std::vector<Errc> errors_;
};

TEST_F(WsServer, AnswersWhoAsksForNoWebSocketInWords) {
    listen();
    ASSERT_TRUE(socket_.send("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"));
    const std::string answer = receive_until("subprotocol joinery.1\n");
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 426 Upgrade Required\r\n")) << answer;
    EXPECT_NE(answer.find("Sec-WebSocket-Version: 13\r\n"), std::string::npos);
    EXPECT_EQ(errors_, std::vector{Errc::unsupported});
}

TEST_F(WsServer, AnswersGarbageAndGoesOn) {  // C.7, 16
    listen();
    ASSERT_TRUE(socket_.send("\x16\x03\x01\x02 no HTTP at all\r\n\r\n"));
    EXPECT_TRUE(receive_until("HTTP/1.1\n").starts_with("HTTP/1.1 400 Bad Request\r\n"));
    EXPECT_EQ(errors_, std::vector{Errc::malformed});
    RawSocket next;
    ASSERT_TRUE(next.connect(listener_->url()));
    ASSERT_TRUE(next.send(request()));
    EXPECT_TRUE(rig_->run_until([&] { return user_.link != nullptr; }));
}

TEST_F(WsServer, AnswersAHeadThatIsTooLong) {
    listen();
    ASSERT_TRUE(socket_.send("GET / HTTP/1.1\r\nA: " + std::string(kHttpHeadMax, 'a')));
    EXPECT_TRUE(receive_until("8 KiB\n").starts_with("HTTP/1.1 431 "));
    EXPECT_EQ(errors_, std::vector{Errc::over_limit});
}

TEST_F(WsServer, CutsWhoTakesTooLongForHisHead) {  // Slow on purpose.
    WsOptions options;
    options.upgrade_time_limit = std::chrono::milliseconds(50);
    listen(std::move(options));
    ASSERT_TRUE(socket_.send("GET / HTTP/1.1\r\n"));
    ASSERT_TRUE(rig_->run_until([&] { return !errors_.empty(); }));
    EXPECT_EQ(errors_, std::vector{Errc::disconnected});
    EXPECT_LE(socket_.receive_one(), 0);
}

TEST_F(WsServer, NobodyKeepsItFromItsEnd) {
    WsOptions options;
    options.upgrade_time_limit = std::chrono::hours(1);
    options.on_request = [](const HttpRequest&) {
        return std::optional(HttpReply{200, "text/plain", std::string(16U << 20U, 'x')});
    };
    listen(std::move(options));
    // One that says half of what it wants, and one that takes nothing of what it wanted.
    ASSERT_TRUE(socket_.send("GET / HTTP/1.1\r\n"));
    RawSocket other;
    ASSERT_TRUE(other.connect(listener_->url()));
    ASSERT_TRUE(other.send("GET /big HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"));
    ASSERT_TRUE(rig_->run_until([&] { return !other.receive_now(1).empty(); }));
    listener_.reset();
    while (rig_->step()) {
    }
    EXPECT_FALSE(rig_->is_late());
    EXPECT_LE(socket_.receive_one(), 0);
}

TEST_F(WsServer, TakesNoMoreAtOnceThanItsLimit) {
    WsOptions options;
    options.upgrades_max = 1;
    listen(std::move(options));
    RawSocket second;
    ASSERT_TRUE(second.connect(listener_->url()));
    ASSERT_TRUE(rig_->run_until([&] { return !errors_.empty(); }));
    EXPECT_EQ(errors_, std::vector{Errc::over_limit});
    EXPECT_LE(second.receive_one(), 0);
    ASSERT_TRUE(socket_.send(request()));
    EXPECT_TRUE(rig_->run_until([&] { return user_.link != nullptr; }));
}

TEST_F(WsServer, FragmentsMakeOneMessageWithAPingBetween) {
    upgrade();
    send(frame(0x02, "one "));
    send(frame(0x89, "are you there"));
    send(frame(0x00, "two "));
    send(frame(0x80, "three"));
    send(frame(0x82, ""));
    ASSERT_TRUE(rig_->run_until([&] { return user_.received.size() == 2; }));
    EXPECT_EQ(received(), (std::vector<std::string>{"one two three", ""}));
    const std::string pong =
        "\x8a\x0d"
        "are you there";
    EXPECT_NE(receive_until(pong).find(pong), std::string::npos);
}

TEST_F(WsServer, AMessageInManyEmptyPartsIsOne) {  // C.7, 17
    upgrade();
    Bytes frames = frame(0x02, "");
    const Bytes empty = frame(0x00, "");
    for (int i = 0; i < 100'000; ++i)
        frames.insert(frames.end(), empty.begin(), empty.end());
    const Bytes last = frame(0x80, "all");
    frames.insert(frames.end(), last.begin(), last.end());
    for (std::size_t sent = 0; sent < frames.size();) {
        sent += socket_.send_now(ByteView(frames).subspan(sent));
        rig_->step_now();
    }
    ASSERT_TRUE(rig_->run_until([&] { return user_.received.size() == 1; }));
    EXPECT_EQ(received(), std::vector<std::string>{"all"});
}

TEST_F(WsServer, WhatComesWithTheRequestIsHeard) {
    listen();
    const Bytes first = frame(0x82, "early");
    ASSERT_TRUE(socket_.send(request() + std::string(as_text(first))));
    ASSERT_TRUE(rig_->run_until([&] { return user_.received.size() == 1; }));
    EXPECT_EQ(received(), std::vector<std::string>{"early"});
}

TEST_F(WsServer, AMessageBeforeABadFrameStillComes) {
    upgrade();
    Bytes both = frame(0x82, "good");
    const Bytes bad = frame(0x82, "bad", false);
    both.insert(both.end(), bad.begin(), bad.end());
    send(both);
    expect_closed(1002, Errc::malformed);
    EXPECT_EQ(received(), std::vector<std::string>{"good"});
}

TEST_F(WsServer, ATextIsRefused) {
    upgrade();
    send(frame(0x81, "text"));
    expect_closed(1003, Errc::unsupported);
    EXPECT_TRUE(user_.received.empty());
}

TEST_F(WsServer, NothingBehindAnErrorIsTaken) {
    upgrade();
    Bytes bytes = frame(0x81, "text");
    for (const Bytes& more : {frame(0x82, "late"), frame(0x88, "")})
        bytes.insert(bytes.end(), more.begin(), more.end());
    send(bytes);
    expect_closed(1003, Errc::unsupported);
    EXPECT_TRUE(user_.received.empty());
}

TEST_F(WsServer, AnExtensionBitIsRefused) {  // No compression: no bomb.
    upgrade();
    send(frame(0xc2, "deflated"));
    expect_closed(1002, Errc::malformed);
}

TEST_F(WsServer, FramesThatNobodyMaySendAreRefused) {
    const std::vector<std::pair<Bytes, std::uint16_t>> bad{{frame(0x80, "no beginning"), 1002},
                                                           {frame(0x83, "unknown opcode"), 1002},
                                                           {frame(0x09, "ping in parts"), 0},
                                                           {frame(0x89, std::string(126, 'p')), 0}};
    for (const auto& [bytes, code] : bad) {
        SCOPED_TRACE(to_hex(ByteView(bytes).first(2)));
        upgrade();
        send(bytes);
        expect_closed(code, Errc::malformed);
        socket_.close();
        std::destroy_at(&socket_);
        std::construct_at(&socket_);
        user_ = {};
    }
}

TEST_F(WsServer, AMessageAboveTheLimitIsRefusedBeforeItComes) {
    upgrade();
    user_.link->limit_received(1000);
    send(frame(0x82, std::string(1000, 'x')));
    send(frame(0x02, std::string(600, 'x')));
    Bytes head = frame(0x80, std::string(401, 'x'));
    head.resize(9);  // Its length, and one byte of what it announces.
    send(head);
    expect_closed(1009, Errc::over_limit);
    EXPECT_EQ(user_.received.size(), 1U);
}

TEST_F(WsServer, AHugeLengthReservesNothing) {
    upgrade();
    send({0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4, 5});
    expect_closed(1009, Errc::over_limit);
}

TEST_F(WsServer, TheOtherSidesCloseIsAnsweredAndClean) {
    upgrade();
    send(frame(0x88, "\x03\xe8 done"));
    ASSERT_TRUE(rig_->run_until([&] { return !user_.closed.empty(); }));
    EXPECT_TRUE(user_.is_ended_well());
    const std::string echo = "\x88\x07\x03\xe8 done";
    EXPECT_NE(receive_until(echo).find(echo), std::string::npos);
}

TEST_F(WsServer, ACloseThatTellsOfAnErrorIsNoCleanEnd) {
    upgrade();
    send(frame(0x88, "\x03\xf3"));  // 1011
    ASSERT_TRUE(rig_->run_until([&] { return !user_.closed.empty(); }));
    EXPECT_TRUE(user_.is_ended_as(Errc::disconnected));
}

TEST_F(WsServer, AnEndWithoutACloseIsACut) {
    upgrade();
    socket_.send_fin();
    ASSERT_TRUE(rig_->run_until([&] { return !user_.closed.empty(); }));
    EXPECT_TRUE(user_.is_ended_as(Errc::disconnected));
}

TEST_F(WsServer, PingsThatNobodyReadsTheAnswersOfDoNotFillTheMemory) {
    upgrade();
    const Bytes ping = frame(0x89, std::string(125, 'p'));
    Bytes many;
    for (int i = 0; i < 1000; ++i)
        many.insert(many.end(), ping.begin(), ping.end());
    // Until this side reads no more, and so nothing is taken from the other.
    std::size_t sent = 0;
    bool is_full = false;
    const auto send_more = [&] {
        const std::size_t size = socket_.send_now(ByteView(many).subspan(sent % many.size()));
        sent += size;
        return size;
    };
    while (!is_full && sent < (64U << 20U))
        is_full = send_more() == 0 && !rig_->step_now() && send_more() == 0;
    EXPECT_TRUE(is_full);
    EXPECT_TRUE(user_.closed.empty());
}

TEST_F(WsServer, AnswersOtherRequestsSoManyAtOnce) {
    WsOptions options;
    options.replies_max = 1;
    options.on_request = [](const HttpRequest& request) -> std::optional<HttpReply> {
        if (request.target == "/none") return std::nullopt;
        // More than the system takes without a reader.
        return HttpReply{200, "text/plain", std::string(16U << 20U, 'x')};
    };
    listen(std::move(options));
    ASSERT_TRUE(socket_.send("GET /big HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"));
    std::string got;
    ASSERT_TRUE(rig_->run_until([&] {
        got += as_text(socket_.receive_now(100));
        return got.starts_with("HTTP/1.1 200 OK\r\n");
    }));
    const auto status_of = [&](const std::string& target) {
        RawSocket socket;
        EXPECT_TRUE(socket.connect(listener_->url()));
        EXPECT_TRUE(socket.send("GET " + target + " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"));
        std::string text;
        rig_->run_until([&] {
            text += as_text(socket.receive_now(1000));
            return text.size() >= 12;
        });
        return text.substr(9, 3);
    };
    EXPECT_EQ(status_of("/big"), "503");
    EXPECT_EQ(status_of("/none"), "503");
    // Whoever goes without having taken his answer leaves room for others.
    socket_.reset();
    ASSERT_TRUE(rig_->run_until([&] { return status_of("/none") == "404"; }));
    EXPECT_EQ(status_of("/big"), "200");
}

// --- TLS
// -------------------------------------------------------------------------------------------

TEST(Wss, WhoIsNotBelievedIsNotSpokenTo) {
    WssRig server;
    auto made = server.transport().listen("wss://127.0.0.1:0", [](auto) {});
    ASSERT_TRUE(made.has_value());
    // Those whom the system believes did not sign the test's certificate.
    joinery::test::SeededRandom random{2};
    const auto client = make_ws_transport(server.io().get_executor(), random);
    std::optional<Error> error;
    client->connect((*made)->url(), [&](auto link) { error = link.error(); });
    ASSERT_TRUE(server.run_until([&] { return error.has_value(); }));
    EXPECT_EQ(error->code, Errc::untrusted) << error->what;
}

TEST(Wss, ListeningNeedsACertificateAndItsKey) {
    WsRig rig;
    const auto made = rig.transport().listen("wss://127.0.0.1:0", [](auto) {});
    ASSERT_FALSE(made.has_value());
    EXPECT_EQ(made.error().code, Errc::not_found);
    WsOptions options;
    options.certificate_file = options.key_file = "/dev/null";
    WsRig other(options);
    EXPECT_EQ(other.transport().listen("wss://127.0.0.1:0", [](auto) {}).error().code,
              Errc::malformed);
}

TEST(Wss, APlainRequestToTlsIsNoLink) {
    WssRig rig;
    std::vector<Errc> errors;
    auto made = rig.transport().listen("wss://127.0.0.1:0", [&](auto link) {
        if (!link) errors.push_back(link.error().code);
    });
    RawSocket socket;
    ASSERT_TRUE(socket.connect((*made)->url()));
    ASSERT_TRUE(socket.send(request()));
    ASSERT_TRUE(rig.run_until([&] { return !errors.empty(); }));
    EXPECT_EQ(errors, std::vector{Errc::untrusted});
}

}  // namespace
}  // namespace joinery::transport::test
