// `joinery peer --discover`, over multicast on loopback.

#include "tests/support/multicast.h"
#include "tests/tools/contract.h"

#include <csignal>

namespace joinery::testing {
namespace {

class DiscoverTest : public ContractTest {
  protected:
    void SetUp() override {
        if (const auto why = test::why_no_multicast()) GTEST_SKIP() << *why;
        write_file("peer.toml",
                   "listen = [\"tcp://127.0.0.1:0\"]\n"
                   "[discover]\ngroup = \"" +
                       std::string(test::kTestGroup) +
                       "\"\nport = " + std::to_string(test::free_udp_port()) +
                       "\ninterface = \"127.0.0.1\"\ninterval_ms = 200\n");
    }
    Arguments discover(const std::string& store, const Arguments& more = {}) const {
        Arguments arguments{
            "--store", path(store), "peer", "--discover", "--config", path("peer.toml")};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return arguments;
    }
    std::string key_of(const std::string& store) const {
        return Json::parse(output(store, {"id", "--json"})).at("key").get<std::string>();
    }
    /// Asks again and again, until @p store has the document; each time is a process of its own.
    bool comes_to_have(const std::string& store, const std::string& document) const {
        for (int i = 0; i < 2000; ++i) {
            if (on(store, {"show", document}).status == 0) return true;
        }
        return false;
    }
};

TEST_F(DiscoverTest, TwoThatTrustEachOtherFindEachOtherAndGetInStep) {
    output("s", {"set", "of-s", "/a", "1"});
    output("t", {"set", "of-t", "/a", "1"});
    Running one(discover("s"));
    const std::string url_of_one = one.wait_for("listening ");
    Running two(discover("t"));
    const std::string url_of_two = two.wait_for("listening ");
    EXPECT_EQ(one.wait_for("nearby "), key_of("t") + " " + url_of_two);
    EXPECT_EQ(two.wait_for("nearby "), key_of("s") + " " + url_of_one);
    // Both are there, and strangers to one another.
    EXPECT_NE(on("t", {"show", "of-s"}).status, 0);
    output("s", {"trust", "add", key_of("t")});
    output("t", {"trust", "add", key_of("s")});
    EXPECT_TRUE(comes_to_have("t", "of-s"));
    EXPECT_TRUE(comes_to_have("s", "of-t"));
    EXPECT_EQ(one.end(SIGTERM), 0);
    EXPECT_EQ(two.end(SIGTERM), 0);
}

TEST_F(DiscoverTest, WhoIsNearbyIsPrintedAsJsonToo) {
    Running one(discover("s", {"--json"}));
    Running two(discover("t", {"--name", "kiosk"}));
    const std::string url = two.wait_for("listening ");
    const std::string line = one.wait_for("{\"nearby\"");
    EXPECT_EQ(Json::parse("{\"nearby\"" + line),
              (Json{{"nearby", key_of("t")}, {"url", url}, {"name", "kiosk"}, {"trusted", false}}));
}

TEST_F(DiscoverTest, AGroupThatIsNoneIsRefused) {
    write_file("bad.toml", "[discover]\nenabled = true\ngroup = \"10.0.0.1\"\n");
    refused({"peer", "--config", path("bad.toml")}, "an IPv4 multicast address");
}

}  // namespace
}  // namespace joinery::testing
