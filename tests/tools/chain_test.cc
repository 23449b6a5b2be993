// Three peers in a row: what one end writes reaches the other through the middle, which is killed.

#include "tests/tools/contract.h"

#include <csignal>
#include <memory>

namespace joinery::testing {
namespace {

class ChainTest : public ContractTest {
  protected:
    std::unique_ptr<Running> serve(const std::string& store,
                                   const std::string& listen,
                                   const std::string& connect = {}) const {
        Arguments arguments{"--store", path(store), "peer", "--open", "--listen", listen};
        if (!connect.empty()) arguments.insert(arguments.end(), {"--connect", connect});
        return std::make_unique<Running>(arguments);
    }
    void count_at_both_ends(int times) {
        for (int i = 0; i < times; ++i) {
            output("left", {"inc", "d", "/n", "1"});
            output("right", {"inc", "d", "/n", "1"});
            made_ += 2;
        }
    }
    bool have_all() const {
        for (const char* store : {"left", "middle", "right"}) {
            if (on(store, {"show", "d", "/n"}).out != std::to_string(made_) + "\n") return false;
        }
        return true;
    }

    int made_ = 0;
};

TEST_F(ChainTest, BothEndsHaveAllThoughTheMiddleIsKilledWhileTheyWrite) {
    const auto left = serve("left", "tcp://127.0.0.1:0");
    const std::string left_url = left->wait_for("listening ");
    auto middle = serve("middle", "tcp://127.0.0.1:0", left_url);
    const std::string middle_url = middle->wait_for("listening ");
    const auto right = serve("right", "tcp://127.0.0.1:0", middle_url);
    right->wait_for("key ");
    for (int round = 0; round < 3; ++round) {
        count_at_both_ends(2);
        EXPECT_EQ(middle->end(SIGKILL), 128 + SIGKILL);
        count_at_both_ends(2);
        middle = serve("middle", middle_url, left_url);
        middle->wait_for("key ");
    }
    // Each try starts three programs; links come back within seconds.
    bool is_equal = false;
    for (int i = 0; i < 2000 && !is_equal; ++i)
        is_equal = have_all();
    EXPECT_TRUE(is_equal);
    const std::string digest =
        Json::parse(output("left", {"ls", "--json"})).at(0).at("digest").get<std::string>();
    for (const char* store : {"middle", "right"}) {
        EXPECT_EQ(Json::parse(output(store, {"ls", "--json"})).at(0).at("digest"), digest) << store;
    }
}

}  // namespace
}  // namespace joinery::testing
