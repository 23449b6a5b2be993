// Three peers in a row: what one end writes reaches the other through the middle, which is killed.

#include "support/certificate.h"
#include "tests/tools/contract.h"

#include <algorithm>
#include <csignal>
#include <memory>

namespace joinery::testing {
namespace {

class ChainTest : public ContractTest {
  protected:
    std::unique_ptr<Running> serve(const std::string& store, const Arguments& how) const {
        Arguments arguments{"--store", path(store), "peer", "--open"};
        arguments.insert(arguments.end(), how.begin(), how.end());
        return std::make_unique<Running>(arguments);
    }
    void count_at_both_ends(int times) {
        for (int i = 0; i < times; ++i) {
            output("left", {"inc", "d", "/n", "1"});
            output("right", {"inc", "d", "/n", "1"});
            made_ += 2;
        }
    }
    bool have_all(const Arguments& stores) const {
        return std::ranges::all_of(stores, [&](const std::string& store) {
            return on(store, {"show", "d", "/n"}).out == std::to_string(made_) + "\n";
        });
    }
    std::string digest_at(const std::string& store) const {
        return Json::parse(output(store, {"ls", "--json"})).at(0).at("digest").get<std::string>();
    }
    void expect_equal(const Arguments& stores) const {
        // Each try starts a program for each; links come back within seconds.
        bool is_equal = false;
        for (int i = 0; i < 2000 && !is_equal; ++i)
            is_equal = have_all(stores);
        EXPECT_TRUE(is_equal);
        for (const std::string& store : stores)
            EXPECT_EQ(digest_at(store), digest_at("left")) << store;
    }

    int made_ = 0;
};

TEST_F(ChainTest, BothEndsHaveAllThoughTheMiddleIsKilledWhileTheyWrite) {
    const auto left = serve("left", {"--listen", "tcp://127.0.0.1:0"});
    const std::string left_url = left->wait_for("listening ");
    auto middle = serve("middle", {"--listen", "tcp://127.0.0.1:0", "--connect", left_url});
    const std::string middle_url = middle->wait_for("listening ");
    const auto right = serve("right", {"--listen", "tcp://127.0.0.1:0", "--connect", middle_url});
    right->wait_for("key ");
    for (int round = 0; round < 3; ++round) {
        count_at_both_ends(2);
        EXPECT_EQ(middle->end(SIGKILL), 128 + SIGKILL);
        count_at_both_ends(2);
        middle = serve("middle", {"--listen", middle_url, "--connect", left_url});
        middle->wait_for("key ");
    }
    expect_equal({"left", "middle", "right"});
}

TEST_F(ChainTest, SoTheyDoOverTlsTcpAndAPlainWebSocket) {
    const test::Certificate certificate;
    const auto left = serve("left",
                            {"--listen",
                             "wss://127.0.0.1:0/sync",
                             "--tls-cert",
                             certificate.file(),
                             "--tls-key",
                             certificate.key_file()});
    const std::string left_url = left->wait_for("listening ");
    EXPECT_TRUE(left_url.starts_with("wss://127.0.0.1:"));
    const Arguments to_left{"--connect", left_url, "--tls-ca", certificate.file(), "--listen"};
    const auto with = [](Arguments arguments, const std::string& last) {
        arguments.push_back(last);
        return arguments;
    };
    auto middle = serve("middle", with(to_left, "tcp://127.0.0.1:0"));
    const std::string middle_url = middle->wait_for("listening ");
    const auto next = serve("next", {"--connect", middle_url, "--listen", "ws://127.0.0.1:0"});
    const auto right = serve("right", {"--connect", next->wait_for("listening ")});
    right->wait_for("key ");
    for (int round = 0; round < 2; ++round) {
        count_at_both_ends(2);
        EXPECT_EQ(middle->end(SIGKILL), 128 + SIGKILL);
        count_at_both_ends(2);
        middle = serve("middle", with(to_left, middle_url));
        middle->wait_for("key ");
    }
    expect_equal({"left", "middle", "next", "right"});
}

}  // namespace
}  // namespace joinery::testing
