// How many links a peer dials, and takes, in a second.

#include "engine/rate_limit.h"
#include "sim/links_rig.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

namespace joinery::sim {
namespace {

using std::chrono_literals::operator""min;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

/// Fails where more than @p most of @p times are within less than a second.
void expect_rate(const std::vector<Now>& times, std::size_t most) {
    for (std::size_t i = 0; i + most < times.size(); ++i)
        ASSERT_GE(times[i + most] - times[i], Now(1s)) << i << " of " << times.size();
}

TEST(RateLimit, AdmitsWhatAnOracleThatForgetsNothingDoes) {
    test::Dice dice(7);
    detail::RateLimit limit({8, 3});
    std::map<std::string, std::vector<Now>> admitted;
    Now now{0};
    std::size_t refused = 0;
    for (int i = 0; i < 20000; ++i) {
        now += Now(1ms) * dice.below(100);
        const std::string host = dice.chance(20) ? "" : std::string(1, "abcde"[dice.below(5)]);
        const auto count = [&](const std::vector<Now>& times) {
            return std::ranges::count_if(times, [&](Now at) { return now - at < Now(1s); });
        };
        std::ptrdiff_t all = 0;
        for (const auto& [name, times] : admitted)
            all += count(times);
        const bool is_right = all < 8 && (host.empty() || count(admitted[host]) < 3);
        ASSERT_EQ(limit.admits(now, host), is_right) << i;
        if (is_right) admitted[host].push_back(now);
        refused += is_right ? 0U : 1U;
    }
    EXPECT_GT(refused, 100U);
}

class RateTest : public LinksTest {
  protected:
    Process& add_peer(const std::string& host, const LinkOptions& links) {
        ProcessSetup setup;
        setup.host = host;
        setup.links = links;
        return add(std::move(setup));
    }
    /// Notes from now on when @p host dials, and when it answers the handshake of who dialled it.
    void count_for(const std::string& host) {
        on_delivery_ = [this, host](const transport::Delivery& delivery) {
            if (delivery.from != host) return;
            if (delivery.kind == transport::DeliveryKind::dial) dials_.push_back(now_);
            // The listener's first message of the handshake.
            const bool is_choice = !delivery.message.empty() && delivery.message[0] == 2 &&
                                   delivery.size < session::kHandshakeSizeMax;
            if (delivery.kind == transport::DeliveryKind::message && is_choice &&
                chosen_[delivery.link]++ == 0) {
                handshakes_.push_back(now_);
            }
        };
    }
    static void write(Process& process, std::int64_t value) {
        ASSERT_NE(process.open("d", true), nullptr);
        ASSERT_TRUE(process.documents()
                        .at("d")
                        .core->transact([&](Tx& tx) { return tx.set("/x", Value(value)); }, "")
                        .has_value());
    }
    static bool has(Process& process, std::int64_t value) {
        const auto document = process.core().open_document("d", false);
        if (!document) return false;
        const auto shown = (*document)->read("/x");
        return shown && *shown == Plain(Value(value));
    }
    /// A hub, to which 200 peers keep links, is gone for half a minute. How long it takes until
    /// all are in step again.
    Now time_of_storm(const LinkOptions& links) {
        constexpr std::size_t kPeerCount = 200;
        Process& hub = add_peer("hub", links);
        write(hub, 1);
        std::vector<Process*> peers;
        for (std::size_t i = 0; i < kPeerCount; ++i) {
            peers.push_back(&add_peer("p" + std::to_string(i), links));
            EXPECT_TRUE(peers.back()->engine().links().keep_connected("mem://hub").has_value());
        }
        const auto all_have = [&](std::int64_t value) {
            return std::ranges::all_of(peers, [&](Process* peer) {
                const auto status = peer->engine().links().status();
                return status.at(0).in_step && has(*peer, value);
            });
        };
        count_for("hub");
        for (int i = 0; i < 1200 && !all_have(1); ++i)
            pass(100ms, 10ms);
        EXPECT_TRUE(all_have(1));
        hub.drop();
        pass(30s, 100ms);
        hub.start();
        write(hub, 2);
        const Now begin = now_;
        while (now_ - begin < Now(2min) && !all_have(2))
            pass(100ms, 10ms);
        EXPECT_TRUE(all_have(2));
        cut_count_ = hub.engine().links().cut_count();
        return now_ - begin;
    }

    std::vector<Now> dials_, handshakes_;
    std::map<transport::LinkNumber, int> chosen_;
    std::uint64_t cut_count_ = 0;
};

TEST_F(RateTest, After200PeersLostTheirHubNoMoreComeBackInASecondThanItTakes) {
    LinkOptions links;
    links.handshakes_per_second = 20;
    links.retry_delay_max = 2s;
    EXPECT_LT(time_of_storm(links), Now(30s));
    EXPECT_GT(cut_count_, 0U);
    EXPECT_GE(handshakes_.size(), 400U);
    expect_rate(handshakes_, 20);
}

TEST_F(RateTest, As200PeersComeByThemselvesNobodyIsCut) {
    EXPECT_LT(time_of_storm({}), Now(35s));
    EXPECT_EQ(cut_count_, 0U);
    expect_rate(handshakes_, LinkOptions().handshakes_per_second);
}

TEST_F(RateTest, OneHostMayNotTakeAllOfASecond) {
    LinkOptions links;
    links.handshakes_of_host_per_second = 3;
    Process& hub = add_peer("hub", links);
    count_for("hub");
    for (int i = 0; i < 5; ++i)
        sync("mem://hub");
    pass(10ms, 1ms);
    EXPECT_EQ(handshakes_.size(), 3U);
    EXPECT_EQ(hub.engine().links().cut_count(), 2U);
    b().engine().links().sync(
        "mem://hub", {}, 100ms, [this](const auto& report) { answer_ = report; });
    pass(100ms, 1ms);
    EXPECT_TRUE(answer_ && answer_->has_value()) << "another host is not to suffer";
}

TEST_F(RateTest, DialsOfAllLinksAreSpreadOut) {
    LinkOptions links;
    links.dials_per_second = 10;
    Process& peer = add_peer("peer", links);
    count_for("peer");
    for (int i = 0; i < 200; ++i) {
        const std::string url = "mem://nobody" + std::to_string(i);
        ASSERT_TRUE(peer.engine().links().keep_connected(url).has_value());
    }
    settle();
    EXPECT_EQ(dials_.size(), 1U);
    pass(20s, 10ms);
    EXPECT_GE(dials_.size(), 199U) << "spread out, and not dropped";
    pass(2min, 10ms);
    // The machine slept: all waits are over at once.
    now_ += 10min;
    pass(1min, 10ms);
    EXPECT_GT(dials_.size(), 1500U);
    expect_rate(dials_, 10);
}

TEST_F(RateTest, ALinkThatIsDroppedWhileItWaitsIsNotDialled) {
    LinkOptions links;
    links.dials_per_second = 1;
    Process& peer = add_peer("peer", links);
    count_for("peer");
    for (const char* url : {"mem://a", "mem://nobody", "mem://b"})
        ASSERT_TRUE(peer.engine().links().keep_connected(url).has_value());
    ASSERT_TRUE(peer.engine().links().drop("mem://nobody").has_value());
    pass(3s);
    EXPECT_EQ(dials_.size(), 2U);
    for (const LinkStatus& status : peer.engine().links().status())
        EXPECT_EQ(status.state, LinkState::online) << status.url;
}

}  // namespace
}  // namespace joinery::sim
