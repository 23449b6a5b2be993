// A peer that may be found at several addresses.

#include "sim/links_rig.h"

#include <map>
#include <string>
#include <vector>

namespace joinery::sim {
namespace {

using std::chrono_literals::operator""s;
using Urls = std::vector<std::string>;

class AddressesTest : public LinksTest {
  protected:
    void keep(Urls urls) {
        ASSERT_TRUE(a().engine().links().keep_connected(std::move(urls)).has_value());
    }
    Errc refused(Urls urls) {
        const auto kept = a().engine().links().keep_connected(std::move(urls));
        return kept ? Errc::io : kept.error().code;
    }
    LinkStatus link() {
        const auto links = a().engine().links().status();
        EXPECT_EQ(links.size(), 1U) << "one link, one status";
        return links.empty() ? LinkStatus() : links.front();
    }
    void expect_online(const std::string& url) {
        EXPECT_EQ(link().state, LinkState::online) << link().error;
        EXPECT_EQ(link().url, url);
        EXPECT_EQ(link().device, b().core().device());
        EXPECT_EQ(link().error, "");
    }
    /// Lets @p time pass; the hosts that a dials meanwhile, in order.
    std::vector<std::string> dialled_in(Now time) {
        std::vector<std::string> hosts;
        on_delivery_ = [&](const transport::Delivery& delivery) {
            const bool is_dial = delivery.kind == transport::DeliveryKind::dial;
            if (is_dial && delivery.from == "a") hosts.emplace_back(delivery.to);
        };
        pass(time);
        on_delivery_ = {};
        return hosts;
    }
    Process& add_c() {
        ProcessSetup setup;
        setup.host = "c";
        return add(std::move(setup));
    }
    std::string key_of_b() { return "#" + to_hex(b().core().device().view()); }
};

TEST_F(AddressesTest, TheFirstThatAnswersIsUsed) {
    keep({"mem://nobody", "mem://b", "mem://elsewhere"});
    pass(1s);
    expect_online("mem://b");
}

TEST_F(AddressesTest, TheOneThatWorkedLastIsDialledFirst) {
    keep({"mem://nobody", "mem://elsewhere", "mem://b"});
    pass(1s);
    expect_online("mem://b");
    network_.cut_between("a", "b");
    EXPECT_EQ(dialled_in(1s), Urls{"b"});
    expect_online("mem://b");
}

TEST_F(AddressesTest, APauseComesAfterAWholeRound) {
    keep({"mem://nobody", "mem://elsewhere", "mem://b"});
    pass(1s);
    b().drop();
    network_.cut_between("a", "b");
    const auto hosts = dialled_in(600s);
    ASSERT_EQ(hosts.size() % 3, 0U);
    // With pauses of up to 30 s, drawn at random.
    EXPECT_GT(hosts.size(), 3 * 20U);
    EXPECT_LT(hosts.size(), 3 * 80U);
    for (std::size_t i = 0; i < hosts.size(); i += 3)
        EXPECT_EQ(Urls(hosts.begin() + static_cast<std::ptrdiff_t>(i),
                       hosts.begin() + static_cast<std::ptrdiff_t>(i + 3)),
                  (Urls{"b", "nobody", "elsewhere"}));
    b().start();
    pass(60s);
    expect_online("mem://b");
}

TEST_F(AddressesTest, WhoHasAnotherKeyIsPassedOver) {
    add_c();
    keep({"mem://c", "mem://b" + key_of_b()});
    pass(1s);
    expect_online("mem://b" + key_of_b());
}

TEST_F(AddressesTest, WhoSaysNothingIsPassedOver) {
    const auto mute = network_.make_transport("mute");
    std::unique_ptr<Link> held;
    const auto listener = *mute->listen("mem://mute", [&](auto link) {
        held = std::move(*link);
        held->start({[](ByteView) {}, [](const Result<void>&) {}, [] {}});
    });
    keep({"mem://mute", "mem://b"});
    pass(4s);
    EXPECT_EQ(link().state, LinkState::connecting);
    EXPECT_EQ(link().url, "mem://mute");
    pass(2s);
    expect_online("mem://b");
}

TEST_F(AddressesTest, WithoutAKeyWhoAnsweredFirstMustAnswerAtTheOthers) {
    keep({"mem://b", "mem://c"});
    pass(1s);
    expect_online("mem://b");
    Process& c = add_c();
    b().drop();
    network_.cut_between("a", "b");
    pass(60s);
    EXPECT_NE(link().state, LinkState::online);
    for (const LinkStatus& status : c.engine().links().status())
        EXPECT_NE(status.state, LinkState::online);
    b().start();
    pass(60s);
    expect_online("mem://b");
}

TEST_F(AddressesTest, AnyOfTheUrlsNamesTheLinkToDrop) {
    keep({"mem://nobody", "mem://b"});
    pass(1s);
    ASSERT_TRUE(a().engine().links().drop("mem://nobody").has_value());
    pass(1s);
    EXPECT_TRUE(a().engine().links().status().empty());
    EXPECT_EQ(a().engine().links().drop("mem://b").error().code, Errc::not_found);
}

TEST_F(AddressesTest, UrlsThatCannotBeOnePeersAreRefused) {
    EXPECT_EQ(refused({}), Errc::malformed);
    EXPECT_EQ(refused(Urls(kUrlsMax + 1, "mem://b")), Errc::over_limit);
    EXPECT_EQ(refused({"mem://b", "gopher://b"}), Errc::unsupported);
    EXPECT_EQ(refused({"mem://b", "mem://c#7"}), Errc::malformed);
    EXPECT_EQ(refused({"mem://b" + key_of_b(), "mem://c#" + std::string(64, '7')}),
              Errc::malformed);
    EXPECT_TRUE(a().engine().links().status().empty());
}

}  // namespace
}  // namespace joinery::sim
