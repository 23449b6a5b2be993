// Real datagrams, on loopback.

#include "tests/support/multicast.h"

#include "tests/transport/link_rig.h"
#include "transport/multicast.h"

#include <asio/io_context.hpp>

#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <vector>

namespace joinery::transport::test {
namespace {

using joinery::test::free_udp_port;
using joinery::test::kTestGroup;
using joinery::test::UdpSocket;
using joinery::test::why_no_multicast;

class MulticastTest : public ::testing::Test {
  protected:
    struct Member {
        std::unique_ptr<DatagramGroup> group;
        std::vector<std::string> heard;
        std::vector<std::string> hosts;
    };
    void SetUp() override {
        if (const auto why = why_no_multicast()) GTEST_SKIP() << *why;
    }
    std::unique_ptr<Member> join() {
        auto member = std::make_unique<Member>();
        member->group = make_multicast_group(io_.get_executor(), {kTestGroup, port_, "127.0.0.1"});
        const auto started =
            member->group->start([raw = member.get()](std::string_view host, ByteView datagram) {
                raw->heard.emplace_back(as_text(datagram));
                raw->hosts.emplace_back(host);
            });
        EXPECT_TRUE(started.has_value()) << (started ? "" : started.error().what);
        return member;
    }
    template <class Condition>
    void run_until(Condition condition) {
        while (!condition())
            ASSERT_EQ(io_.run_one_for(kDeadline), 1U) << "nothing more comes";
    }

    std::uint16_t port_ = free_udp_port();
    asio::io_context io_;
};

TEST_F(MulticastTest, AllHearWhatOneSaysAndSoDoesHe) {
    const auto a = join();
    const auto b = join();
    ASSERT_TRUE(a->group->send(as_bytes("one")).has_value());
    ASSERT_TRUE(b->group->send(as_bytes("two")).has_value());
    run_until([&] { return a->heard.size() == 2 && b->heard.size() == 2; });
    EXPECT_EQ(a->heard, (std::vector<std::string>{"one", "two"}));
    EXPECT_EQ(b->heard, a->heard);
    EXPECT_EQ(a->hosts, (std::vector<std::string>(2, "127.0.0.1")));
}

TEST_F(MulticastTest, WhatIsTooLongIsNotSentAndIsToldFromTheLongest) {
    const auto a = join();
    EXPECT_EQ(a->group->send(Bytes(kDatagramSizeMax + 1)).error().code, Errc::over_limit);
    UdpSocket stranger;
    ASSERT_TRUE(stranger.say(std::string(20000, 'x'), port_));
    ASSERT_TRUE(a->group->send(Bytes(kDatagramSizeMax)).has_value());
    run_until([&] { return a->heard.size() == 2; });
    EXPECT_EQ(a->heard[0].size(), kDatagramSizeMax + 1);
    EXPECT_EQ(a->heard[1].size(), kDatagramSizeMax);
}

TEST_F(MulticastTest, WhatIsSentToThisMachineAloneIsNotHeard) {
    const auto a = join();
    UdpSocket stranger;
    const sockaddr_in to = UdpSocket::address("127.0.0.1", port_);
    const int fd = ::socket(AF_INET, SOCK_DGRAM, 0);
    ::sendto(fd, "aside", 5, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to);
    ::close(fd);
    ASSERT_TRUE(a->group->send(as_bytes("to all")).has_value());
    run_until([&] { return !a->heard.empty(); });
    EXPECT_EQ(a->heard, std::vector<std::string>{"to all"});
}

TEST_F(MulticastTest, ItMayBeLeftWithinACallback) {
    std::unique_ptr<DatagramGroup> group =
        make_multicast_group(io_.get_executor(), {kTestGroup, port_, "127.0.0.1"});
    int count = 0;
    ASSERT_TRUE(group
                    ->start([&](std::string_view, ByteView) {
                        ++count;
                        group.reset();
                    })
                    .has_value());
    ASSERT_TRUE(group->send(as_bytes("one")).has_value());
    ASSERT_TRUE(group->send(as_bytes("two")).has_value());
    io_.run_for(kDeadline);
    EXPECT_EQ(count, 1);
    EXPECT_TRUE(io_.stopped()) << "nothing is left to wait for";
}

TEST_F(MulticastTest, BeforeItIsJoinedNothingIsSent) {
    const auto group = make_multicast_group(io_.get_executor(), {kTestGroup, port_, "127.0.0.1"});
    EXPECT_EQ(group->send(as_bytes("one")).error().code, Errc::disconnected);
    const auto elsewhere =
        make_multicast_group(io_.get_executor(), {kTestGroup, port_, "203.0.113.9"});
    const auto started = elsewhere->start([](std::string_view, ByteView) {});
    ASSERT_FALSE(started.has_value()) << "an interface that this machine does not have";
    EXPECT_FALSE(elsewhere->start([](std::string_view, ByteView) {}).has_value());
}

TEST(Multicast, OptionsThatNameNoGroupAreRefused) {
    EXPECT_TRUE(check_multicast({"239.255.77.77", 7717}).has_value());
    EXPECT_TRUE(check_multicast({"239.255.77.77", 7717, "127.0.0.1"}).has_value());
    for (const char* group : {"", "10.0.0.1", "ff02::1", "all", "239.255.77"})
        EXPECT_EQ(check_multicast({group, 7717}).error().code, Errc::malformed) << group;
    EXPECT_EQ(check_multicast({"239.255.77.77", 0}).error().code, Errc::malformed);
    EXPECT_EQ(check_multicast({"239.255.77.77", 7717, "lo"}).error().code, Errc::malformed);
}

}  // namespace
}  // namespace joinery::transport::test
