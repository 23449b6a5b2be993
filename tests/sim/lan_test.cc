// Peers that find each other on the local network.

#include "engine/trust.h"
#include "sim/fake_lan.h"
#include "sim/links_rig.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace joinery::sim {
namespace {

using std::chrono_literals::operator""min;
using std::chrono_literals::operator""s;

class LanTest : public LinksTest {
  protected:
    LanTest() {
        on_network_ = [this] { return lan_.run(); };
    }
    ~LanTest() override { processes_.clear(); }  // They leave the network.
    Process& find(const std::string& host,
                  std::function<std::optional<Access>(const LinkRequest&)> authorize = {}) {
        ProcessSetup setup;
        setup.host = host;
        setup.authorize = std::move(authorize);
        setup.lan = &lan_;
        return add(std::move(setup));
    }
    /// Two that trust each other.
    std::pair<Process&, Process&> find_friends() {
        Process& c = find("c");
        Process& d = find("d");
        trust(c, d);
        trust(d, c);
        return {c, d};
    }
    static void trust(Process& process, Process& other) {
        ASSERT_TRUE(
            detail::trust_peer(process.core().store(), {other.core().device()}).has_value());
    }
    static void distrust(Process& process, Process& other) {
        ASSERT_TRUE(
            detail::distrust_peer(process.core().store(), other.core().device()).has_value());
    }
    static std::vector<LinkStatus> links(Process& process) {
        return process.engine().links().status();
    }
    static std::vector<NearbyPeer> nearby(Process& process) {
        return process.engine().lan()->nearby();
    }
    static void write(Process& process, const std::string& id) {
        ASSERT_NE(process.open(id, true), nullptr);
        ASSERT_TRUE(process.documents()
                        .at(id)
                        .core->transact([&](Tx& tx) { return tx.set("/x", Value(true)); }, "")
                        .has_value());
    }
    static bool has(Process& process, const std::string& id) {
        const auto ids = process.core().documents();
        return std::ranges::find(ids, id) != ids.end();
    }
    /// Links between @p one and @p two that are really there.
    static std::size_t count_open(Process& one, Process& two) {
        std::size_t count = 0;
        for (const LinkStatus& link : links(one)) {
            const bool is_other = link.device == two.core().device();
            count += is_other && link.received_size != 0 ? 1U : 0U;
        }
        return count;
    }
    void expect_found(Process& one, Process& two) {
        EXPECT_EQ(count_open(one, two), 1U);
        EXPECT_EQ(count_open(two, one), 1U);
        for (Process* process : {&one, &two}) {
            for (const LinkStatus& link : links(*process)) {
                EXPECT_EQ(link.state, LinkState::online) << link.url << " " << link.error;
                EXPECT_TRUE(link.in_step) << link.url;
            }
        }
    }

    FakeLan lan_;
};

TEST_F(LanTest, WhoTrustEachOtherFindEachOtherAndKeepOneLink) {
    auto [c, d] = find_friends();
    write(c, "of c");
    pass(7s);
    expect_found(c, d);
    EXPECT_TRUE(has(d, "of c"));
    EXPECT_EQ(nearby(c), (std::vector<NearbyPeer>{{d.core().device(), "d", "mem://d", true}}));
    pass(10min);
    expect_found(c, d);
}

TEST_F(LanTest, AStrangerIsListedAndNeverDialledNorLetIn) {
    Process& c = find("c");
    Process& d = find("d");
    pass(1min);
    for (Process* process : {&c, &d}) {
        EXPECT_TRUE(links(*process).empty());
        ASSERT_EQ(nearby(*process).size(), 1U);
        EXPECT_FALSE(nearby(*process)[0].is_trusted);
    }
    // One side alone: the other does not let it in.
    trust(c, d);
    pass(1min);
    ASSERT_EQ(links(c).size(), 1U);
    EXPECT_EQ(links(c)[0].state, LinkState::refused);
    trust(d, c);
    pass(40s);
    expect_found(c, d);
}

TEST_F(LanTest, WhoIsNoLongerTrustedIsNotDialledAnyMore) {
    auto [c, d] = find_friends();
    pass(7s);
    expect_found(c, d);
    distrust(c, d);
    pass(5s);
    EXPECT_EQ(count_open(c, d), 0U);
    EXPECT_FALSE(nearby(c).at(0).is_trusted);
    std::size_t dials = 0;
    on_delivery_ = [&](const transport::Delivery& delivery) {
        dials += delivery.kind == transport::DeliveryKind::dial && delivery.from == "c" ? 1U : 0U;
    };
    pass(2min);
    EXPECT_EQ(dials, 0U);
}

TEST_F(LanTest, AnAppMayLetInWhoIsFoundAndKnowsThatHeWas) {
    std::size_t found = 0;
    const auto authorize = [&](const LinkRequest& request) -> std::optional<Access> {
        EXPECT_FALSE(request.granted.has_value());
        EXPECT_FALSE(request.is_named);
        if (request.is_found) ++found;
        return Access();
    };
    Process& c = find("c", authorize);
    Process& d = find("d", let_everybody_in);
    pass(7s);
    expect_found(c, d);
    EXPECT_GT(found, 0U);
}

TEST_F(LanTest, ALinkLastsThoughBeaconsAreLostAndIsDialledAgainWhenTheyComeBack) {
    auto [c, d] = find_friends();
    pass(7s);
    lan_.lose([](const std::string& from, const std::string& to) { return from != to; });
    pass(1min);
    EXPECT_TRUE(nearby(c).empty());
    expect_found(c, d);
    network_.cut_between("c", "d");
    pass(1min);
    EXPECT_TRUE(links(c).empty());
    EXPECT_TRUE(links(d).empty());
    lan_.lose([](const std::string&, const std::string&) { return false; });
    pass(7s);
    expect_found(c, d);
}

TEST_F(LanTest, WhoComesBackIsFoundAgain) {
    auto [c, d] = find_friends();
    pass(7s);
    d.drop();
    pass(1min);
    EXPECT_TRUE(nearby(c).empty());
    EXPECT_TRUE(links(c).empty());
    d.start();
    pass(7s);
    expect_found(c, d);
}

TEST_F(LanTest, WhatIsRecordedAndSaidAgainElsewhereLeadsNobodyAway) {
    auto [c, d] = find_friends();
    pass(7s);
    const std::vector<Bytes> recorded = lan_.heard();
    // Somebody at another host says all of it again, all the time, and takes links.
    ProcessSetup evil;
    evil.host = "evil";
    Process& thief = add(std::move(evil));
    d.drop();
    for (int i = 0; i < 60; ++i) {
        for (const Bytes& datagram : recorded)
            lan_.say("evil", datagram);
        pass(1s);
    }
    EXPECT_TRUE(nearby(c).empty());
    for (const LinkStatus& link : links(thief))
        EXPECT_NE(link.state, LinkState::online);
    EXPECT_GT(c.engine().lan()->counters().repeated, 0U);
    d.start();
    pass(7s);
    expect_found(c, d);
}

TEST_F(LanTest, ManyFindEachOther) {
    std::vector<Process*> peers;
    for (int i = 0; i < 8; ++i)
        peers.push_back(&find("p" + std::to_string(i), let_everybody_in));
    pass(10s);
    for (Process* one : peers) {
        EXPECT_EQ(nearby(*one).size(), 7U);
        for (Process* two : peers) {
            if (one != two) {
                EXPECT_EQ(count_open(*one, *two), 1U);
            }
        }
    }
}

TEST_F(LanTest, ANetworkThatComesLaterIsJoinedThen) {
    lan_.set_up(false);
    Process& c = find("c", let_everybody_in);
    Process& d = find("d", let_everybody_in);
    pass(20s);
    EXPECT_TRUE(nearby(c).empty());
    lan_.set_up(true);
    pass(12s);
    expect_found(c, d);
}

}  // namespace
}  // namespace joinery::sim
