// What is special to TCP: hostile bytes, addresses, the system's errors, threads.
#include "tests/transport/link_rig.h"
#include "tests/transport/raw_socket.h"
#include "transport/asio_error.h"
#include "transport/frame.h"
#include "transport/tcp_transport.h"

#include <asio/error.hpp>
#include <asio/post.hpp>
#include <asio/strand.hpp>

#include <atomic>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <random>
#include <string>
#include <sys/resource.h>
#include <thread>

namespace joinery::transport::test {
namespace {

// A Link whose other end is a RawSocket.
struct Ambush {
    explicit Ambush(const TcpOptions& options = {}) : rig(options) {}

    bool connect() {
        auto made = rig.transport().listen("tcp://127.0.0.1:0", [this](auto link) {
            if (link) user.link = *std::move(link);
        });
        if (!made) return false;
        listener = *std::move(made);
        if (!raw.connect(listener->url())) return false;
        if (!rig.run_until([this] { return user.link != nullptr; })) return false;
        user.start();
        return true;
    }
    bool run_until_closed() {
        return rig.run_until([this] { return !user.closed.empty(); });
    }
    // Runs what is ready, without waiting.
    void poll() {
        rig.io().restart();
        rig.io().poll();
    }

    TcpRig rig;
    RawSocket raw{};
    std::unique_ptr<Listener> listener{};
    User user{};
};

TEST(TcpHostile, ALengthAboveTheLimitEndsTheLinkWithOverLimit) {
    for (const std::string_view prefix : {"\xff\xff\xff\xff", "\x01\x00\x00\x01"}) {
        Ambush ambush;
        ASSERT_TRUE(ambush.connect());
        ASSERT_TRUE(
            ambush.raw.send(ByteView(reinterpret_cast<const std::uint8_t*>(prefix.data()), 4)));
        ASSERT_TRUE(ambush.run_until_closed());
        EXPECT_TRUE(ambush.user.is_ended_as(Errc::over_limit));
        EXPECT_EQ(ambush.raw.receive_one(), -1) << "not reset";
    }
}

TEST(TcpHostile, GoodMessagesBeforeTheBadOneAreDelivered) {
    Ambush ambush;
    ASSERT_TRUE(ambush.connect());
    const std::string_view bytes("\x00\x00\x00\x02hi\x00\x00\x00\x00\xff\xff\xff\xff", 14);
    ASSERT_TRUE(ambush.raw.send(bytes));
    ASSERT_TRUE(ambush.run_until_closed());
    ASSERT_EQ(ambush.user.received.size(), 2U);
    EXPECT_EQ(as_text(ambush.user.received[0]), "hi");
    EXPECT_TRUE(ambush.user.received[1].empty());
    EXPECT_EQ(ambush.user.closed[0].error().at, 10U);
}

TEST(TcpHostile, OtherProtocolsAreTurnedAwayAtTheirFirstBytes) {
    const std::string_view tls_hello("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11);
    for (const std::string_view bytes : {std::string_view("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
                                         std::string_view("SSH-2.0-OpenSSH_9.2\r\n"),
                                         tls_hello}) {
        Ambush ambush;
        ASSERT_TRUE(ambush.connect());
        ASSERT_TRUE(ambush.raw.send(bytes));
        ASSERT_TRUE(ambush.run_until_closed());
        EXPECT_TRUE(ambush.user.is_ended_as(Errc::over_limit));
        EXPECT_TRUE(ambush.user.received.empty());
    }
}

TEST(TcpHostile, AnEndInsideAFrameIsACut) {
    const std::string_view frame("\x00\x00\x00\x05hello", 9);
    for (std::size_t size = 1; size < frame.size(); ++size) {
        Ambush ambush;
        ASSERT_TRUE(ambush.connect());
        ASSERT_TRUE(ambush.raw.send(frame.substr(0, size)));
        ambush.raw.close();
        ASSERT_TRUE(ambush.run_until_closed());
        EXPECT_TRUE(ambush.user.is_ended_as(Errc::disconnected)) << size;
        EXPECT_TRUE(ambush.user.received.empty());
    }
}

TEST(TcpHostile, AnEndBetweenFramesIsClean) {
    Ambush ambush;
    ASSERT_TRUE(ambush.connect());
    ASSERT_TRUE(ambush.raw.send(std::string_view("\x00\x00\x00\x05hello", 9)));
    ambush.raw.close();
    ASSERT_TRUE(ambush.run_until_closed());
    EXPECT_TRUE(ambush.user.is_ended_well());
    EXPECT_EQ(ambush.user.received.size(), 1U);
}

TEST(TcpHostile, AResetBetweenFramesIsACut) {
    Ambush ambush;
    ASSERT_TRUE(ambush.connect());
    ambush.raw.reset();
    ASSERT_TRUE(ambush.run_until_closed());
    EXPECT_TRUE(ambush.user.is_ended_as(Errc::disconnected));
}

TEST(TcpHostile, MessagesArriveByteByByte) {
    Ambush ambush;
    ASSERT_TRUE(ambush.connect());
    Bytes stream;
    for (const std::string_view text : {"", "a", "", "several bytes"}) {
        stream.insert(stream.end(), {0, 0, 0, static_cast<std::uint8_t>(text.size())});
        stream.insert(stream.end(), text.begin(), text.end());
    }
    for (const std::uint8_t& byte : stream) {
        ASSERT_TRUE(ambush.raw.send(ByteView(&byte, 1)));
        ambush.poll();
    }
    ASSERT_TRUE(ambush.rig.run_until([&] { return ambush.user.received.size() == 4; }));
    EXPECT_EQ(as_text(ambush.user.received[3]), "several bytes");
    EXPECT_TRUE(ambush.user.closed.empty());
}

TEST(TcpHostile, RandomBytesEndTheLinkOrWaitForMore) {
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        Ambush ambush;
        ASSERT_TRUE(ambush.connect());
        std::mt19937_64 random(seed);
        Bytes bytes = make_message(random() % 3000, seed);
        // Half of them with lengths that are allowed, so that not all end at once.
        for (std::size_t i = 0; seed % 2 == 0 && i + 4 < bytes.size(); i += 16) {
            std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(i), 3, std::uint8_t{0});
        }
        ASSERT_TRUE(ambush.raw.send(bytes));
        ambush.raw.close();
        ASSERT_TRUE(ambush.run_until_closed()) << "seed " << seed;
    }
}

TEST(TcpWire, TheBytesAreThoseOfTheFormat) {
    Ambush ambush;
    ASSERT_TRUE(ambush.connect());
    ASSERT_TRUE(ambush.user.send("hi"));
    ASSERT_TRUE(ambush.user.send(""));
    ASSERT_TRUE(ambush.user.send("ok."));
    ambush.user.link->close();
    Bytes stream;
    while (stream.size() < 17 && !ambush.rig.is_late()) {
        ambush.poll();
        const Bytes more = ambush.raw.receive_now(100);
        stream.insert(stream.end(), more.begin(), more.end());
    }
    EXPECT_EQ(to_hex(stream), "00000002686900000000000000036f6b2e");
    EXPECT_EQ(ambush.raw.receive_one(), 0) << "no FIN after the last frame";
    EXPECT_TRUE(ambush.user.closed.empty());
    ambush.raw.close();
    ASSERT_TRUE(ambush.run_until_closed());
    EXPECT_TRUE(ambush.user.is_ended_well());
}

TEST(TcpWire, ASlowReaderGetsEveryByteThroughPartialWrites) {
    Ambush ambush;
    ASSERT_TRUE(ambush.connect());
    Bytes expected;
    for (std::size_t i = 0; i < 40; ++i) {
        const Bytes message = make_message(i * 5000, i);
        ASSERT_TRUE(ambush.user.link->send(message));
        for (const unsigned shift : {24U, 16U, 8U, 0U}) {
            expected.push_back(static_cast<std::uint8_t>(message.size() >> shift));
        }
        expected.insert(expected.end(), message.begin(), message.end());
    }
    Bytes stream;
    while (stream.size() < expected.size() && !ambush.rig.is_late()) {
        ambush.poll();
        const Bytes more = ambush.raw.receive_now(3333);
        stream.insert(stream.end(), more.begin(), more.end());
    }
    EXPECT_TRUE(stream == expected);
}

TEST(TcpClose, GivesUpOnAPeerThatDoesNotEnd) {
    TcpOptions options;
    options.close_time_limit = std::chrono::milliseconds(30);
    Ambush ambush(options);
    ASSERT_TRUE(ambush.connect());
    ambush.user.link->close();
    ASSERT_TRUE(ambush.run_until_closed());
    EXPECT_TRUE(ambush.user.is_ended_as(Errc::disconnected));
    EXPECT_NE(ambush.user.closed[0].error().what.find("in time"), std::string_view::npos);
}

TEST(TcpClose, GivesUpOnAPeerThatDoesNotTakeWhatIsQueued) {
    TcpOptions options;
    options.close_time_limit = std::chrono::milliseconds(30);
    Ambush ambush(options);
    ASSERT_TRUE(ambush.connect());
    ASSERT_TRUE(ambush.user.link->send(Bytes(kMessageSizeMax)));
    ambush.user.link->close();
    ASSERT_TRUE(ambush.run_until_closed());
    EXPECT_TRUE(ambush.user.is_ended_as(Errc::disconnected));
}

TEST(TcpClose, StillSendsWhatIsQueuedWhenThePeerEndsFirst) {
    Ambush ambush;
    ASSERT_TRUE(ambush.connect());
    ASSERT_TRUE(ambush.user.link->send(Bytes(kMessageSizeMax)));
    ambush.user.link->close();
    ambush.raw.send_fin();
    std::size_t size = 0;
    while (size < kMessageSizeMax + 4 && !ambush.rig.is_late()) {
        ambush.poll();
        size += ambush.raw.receive_now(1U << 20U).size();
    }
    EXPECT_EQ(size, kMessageSizeMax + 4);
    ASSERT_TRUE(ambush.run_until_closed());
    EXPECT_TRUE(ambush.user.is_ended_well());
}

// The Error of connecting to @p url.
Error connect_error(TcpRig& rig, std::string_view url) {
    std::optional<Error> error;
    rig.transport().connect(url, [&](auto link) {
        EXPECT_FALSE(link) << "connected";
        error = link ? fail(Errc::io, "connected") : link.error();
    });
    EXPECT_TRUE(rig.run_until([&] { return error.has_value(); })) << url;
    return error.value_or(fail(Errc::io, "no answer"));
}

TEST(TcpAddress, AnyAddressOfThisMachineCanBeBoundAndNoOther) {
    TcpRig rig;
    for (const std::string_view url : {"tcp://0.0.0.0:0", "tcp://127.0.0.2:0"})
        EXPECT_TRUE(rig.transport().listen(url, [](auto) {})) << url;
    // An address that is nobody's (RFC 5737).
    const auto listener = rig.transport().listen("tcp://192.0.2.1:0", [](auto) {});
    ASSERT_FALSE(listener);
    EXPECT_EQ(listener.error().code, Errc::io);
}

TEST(TcpAddress, ATcpUrlNeedsAPortAndHasNoPath) {
    TcpRig rig;
    for (const std::string_view url : {"tcp://127.0.0.1",
                                       "tcp://[::1]",
                                       "tcp://127.0.0.1:1/path",
                                       "tcp://[1.2.3.4]:1",
                                       "tcp://[12345::]:1",
                                       "tcp://127.0.0.1:70000",
                                       "tcp://::1:1"}) {
        const auto listener = rig.transport().listen(url, [](auto) {});
        ASSERT_FALSE(listener) << url;
        EXPECT_EQ(listener.error().code, Errc::malformed) << url;
        EXPECT_EQ(connect_error(rig, url).code, Errc::malformed) << url;
    }
    EXPECT_EQ(connect_error(rig, "ws://127.0.0.1:1").code, Errc::unsupported);
    EXPECT_TRUE(rig.transport().listen("TCP://127.0.0.1:0/", [](auto) {}));
}

TEST(TcpAddress, PortZeroPicksAPortAndTheUrlNamesIt) {
    TcpRig rig;
    auto listener = rig.transport().listen("tcp://127.0.0.1:0", [](auto) {});
    ASSERT_TRUE(listener);
    const Result<Url> url = parse_url((*listener)->url());
    ASSERT_TRUE(url);
    EXPECT_EQ(url->host, "127.0.0.1");
    EXPECT_NE(url->port.value_or(0), 0);
}

TEST(TcpAddress, NamesAndIpv6Work) {
    for (const char* address : {"tcp://localhost:0", "tcp://[::1]:0"}) {
        TcpRig rig;
        Couple couple;
        auto listener = rig.transport().listen(
            address, [&](auto link) { couple.accepted.link = *std::move(link); });
        if (!listener && std::string_view(address).find('[') != std::string_view::npos) {
            GTEST_SKIP() << "this machine has no IPv6: " << listener.error().what;
        }
        ASSERT_TRUE(listener) << address;
        const std::string port = std::to_string(*parse_url((*listener)->url())->port);
        std::string url = address;
        url.replace(url.size() - 1, 1, port);
        rig.transport().connect(url, [&](auto link) {
            ASSERT_TRUE(link) << link.error().what;
            couple.dialled.link = *std::move(link);
        });
        ASSERT_TRUE(rig.run_until([&] { return couple.accepted.link && couple.dialled.link; }));
        EXPECT_EQ(couple.dialled.link->remote(), (*listener)->url());
        couple.dialled.start();
        couple.accepted.start();
        ASSERT_TRUE(couple.dialled.send("hello"));
        ASSERT_TRUE(rig.run_until([&] { return couple.accepted.received.size() == 1; }));
    }
}

TEST(TcpAddress, AnUnknownNameIsAnError) {
    TcpRig rig;
    const std::string_view url = "tcp://no-such-name.invalid:7000";
    // Without a name server the answer is that there was none.
    const Errc connected = connect_error(rig, url).code;
    EXPECT_TRUE(connected == Errc::not_found || connected == Errc::disconnected)
        << errc_name(connected);
    const auto listener = rig.transport().listen(url, [](auto) {});
    ASSERT_FALSE(listener);
    const Errc listened = listener.error().code;
    EXPECT_TRUE(listened == Errc::not_found || listened == Errc::disconnected)
        << errc_name(listened);
}

TEST(TcpAddress, ConnectGivesUpInTime) {
    // The system's queue of a listener that never accepts fills up; what comes then hangs.
    RawSocket deaf;
    const std::uint16_t port = deaf.listen(0);
    ASSERT_NE(port, 0);
    std::array<RawSocket, 4> crowd;
    for (RawSocket& one : crowd)
        one.connect_later(port);
    TcpOptions options;
    options.connect_time_limit = std::chrono::milliseconds(50);
    TcpRig rig(options);
    const Error error = connect_error(rig, "tcp://127.0.0.1:" + std::to_string(port));
    EXPECT_EQ(error.code, Errc::disconnected);
    EXPECT_NE(error.what.find("in time"), std::string_view::npos) << error.what;
}

TEST(TcpListener, TriesAgainWhenTheProcessRunsOutOfFiles) {
    TcpOptions options;
    options.accept_retry_delay = std::chrono::milliseconds(5);
    TcpRig rig(options);
    std::vector<Error> errors;
    std::vector<std::unique_ptr<Link>> links;
    auto listener = rig.transport().listen("tcp://127.0.0.1:0", [&](auto link) {
        if (link)
            links.push_back(*std::move(link));
        else
            errors.push_back(link.error());
    });
    ASSERT_TRUE(listener);
    RawSocket raw;
    ASSERT_TRUE(raw.connect((*listener)->url()));
    rlimit before{};
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    const int next_free = ::open("/dev/null", O_RDONLY);
    ASSERT_GE(next_free, 0);
    ::close(next_free);
    rlimit none = before;
    none.rlim_cur = static_cast<rlim_t>(next_free);
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    const bool is_told = rig.run_until([&] { return errors.size() >= 2; });
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    ASSERT_TRUE(is_told);
    EXPECT_EQ(errors[0].code, Errc::io);
    EXPECT_NE(errors[0].what.find("too many"), std::string_view::npos) << errors[0].what;
    EXPECT_TRUE(rig.run_until([&] { return links.size() == 1; }));
}

TEST(TcpErrors, EachHasACodeAndATextOfItsOwn) {
    const auto listen_error = [](int code) {
        return make_error(asio::error_code(code, asio::system_category()), Action::listen);
    };
    EXPECT_EQ(listen_error(EACCES).code, Errc::io);
    EXPECT_NE(listen_error(EACCES).what.find("permission denied"), std::string_view::npos);
    EXPECT_NE(listen_error(EPERM).what.find("permission denied"), std::string_view::npos);
    EXPECT_NE(listen_error(EADDRINUSE).what.find("in use"), std::string_view::npos);
    EXPECT_NE(listen_error(EADDRNOTAVAIL).what.find("machine"), std::string_view::npos);
    const Error unknown = listen_error(EXDEV);
    EXPECT_EQ(unknown.code, Errc::io);
    EXPECT_EQ(unknown.at, static_cast<std::uint64_t>(EXDEV));
    const asio::error_code no_name = asio::error::host_not_found;
    EXPECT_EQ(make_error(no_name, Action::resolve).code, Errc::not_found);
    const asio::error_code reset(ECONNRESET, asio::system_category());
    EXPECT_EQ(make_error(reset, Action::transfer).code, Errc::disconnected);
    const asio::error_code refused(ECONNREFUSED, asio::system_category());
    EXPECT_EQ(make_error(refused, Action::connect).code, Errc::disconnected);
}

// Sends @p count messages of up to 300 bytes.
void send_many(User& user, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        ASSERT_TRUE(user.link->send(make_message(i % 300, i)));
    }
}

// Two strands on two threads, as two Peers in one process: a race here is one that the thread
// sanitizer sees.
TEST(TcpThreads, TwoStrandsOnTwoThreads) {
    constexpr std::size_t kCount = 2000;
    asio::io_context io;
    const asio::any_io_executor server_strand = asio::make_strand(io);
    const asio::any_io_executor client_strand = asio::make_strand(io);
    auto server = make_tcp_transport(server_strand);
    auto client = make_tcp_transport(client_strand);
    User echo;
    User user;
    echo.on_message = [&] { EXPECT_TRUE(echo.link->send(echo.received.back())); };
    user.on_message = [&] {
        if (user.received.size() == kCount) user.link->close();
    };
    user.on_closed = [&] { user.link.reset(); };
    auto made = server->listen("tcp://127.0.0.1:0", [&](auto link) {
        ASSERT_TRUE(link);
        echo.link = *std::move(link);
        echo.start();
    });
    ASSERT_TRUE(made);
    std::unique_ptr<Listener> listener = *std::move(made);
    const std::string url = listener->url();
    asio::post(client_strand, [&] {
        client->connect(url, [&](auto link) {
            ASSERT_TRUE(link);
            user.link = *std::move(link);
            user.start();
            send_many(user, kCount);
        });
    });
    std::atomic<bool> is_done = false;
    echo.on_closed = [&] {
        echo.link.reset();
        listener.reset();
        is_done = true;
    };
    const auto run = [&] {
        const auto end = std::chrono::steady_clock::now() + kDeadline;
        while (!is_done && std::chrono::steady_clock::now() < end) {
            io.run_for(std::chrono::milliseconds(5));
        }
    };
    std::thread other(run);
    run();
    other.join();
    EXPECT_TRUE(is_done);
    io.restart();
    io.run_for(kDeadline);
    EXPECT_TRUE(user.is_ended_well());
    EXPECT_TRUE(echo.is_ended_well());
    ASSERT_EQ(user.received.size(), kCount);
    EXPECT_EQ(user.received[kCount - 1], make_message((kCount - 1) % 300, kCount - 1));
}

}  // namespace
}  // namespace joinery::transport::test
