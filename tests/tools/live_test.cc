// Live values from the command line.

#include "tests/tools/program.h"

#include <csignal>

namespace joinery::testing {
namespace {

using LiveProgram = ProgramTest;

TEST_F(LiveProgram, SetsAndErasesThemWithoutAChange) {
    output("s", {"set", "d", "", R"({"w":{"title":"CPU"}})"});
    const std::string before = output("s", {"export", "d"});
    const std::string log = output("s", {"log", "d", "--json"});
    EXPECT_EQ(output("s", {"set", "--live", "d", "/w/load", "0.5"}), "live value written");
    EXPECT_EQ(output("s", {"set", "--live", "d", "/w/load", "0.75", "--json"}), R"({"live":true})");
    EXPECT_EQ(output("s", {"show", "d", "/w/load"}), "0.75");
    EXPECT_EQ(output("s", {"show", "d", "--json"}), R"({"w":{"load":0.75,"title":"CPU"}})");
    EXPECT_EQ(output("s", {"export", "--live", "d"}), R"({"w":{"load":0.75,"title":"CPU"}})");
    EXPECT_EQ(output("s", {"export", "d"}), before);
    EXPECT_EQ(output("s", {"export", "d", "--at", "head"}), before);
    EXPECT_EQ(output("s", {"show", "d", "--at", "#1", "--json"}), before);
    EXPECT_EQ(output("s", {"log", "d", "--json"}), log);
    output("s", {"erase", "--live", "d", "/w/load"});
    EXPECT_EQ(output("s", {"show", "d", "--json"}), before);
}

TEST_F(LiveProgram, GoToAnotherStoreWithASync) {
    output("a", {"set", "d", "/title", R"("x")"});
    output("a", {"set", "--live", "d", "/load", "3"});
    // Who asks has them when its sync ends; that it gave them nobody confirms.
    const auto take = [&](const char* to, const char* from) {
        Running peer({"--store", path(from), "peer", "--open", "--listen", "tcp://127.0.0.1:0"});
        output(to, {"sync", peer.wait_for("listening ")});
        EXPECT_EQ(peer.end(SIGTERM), 0);
    };
    take("b", "a");
    EXPECT_EQ(output("b", {"show", "d", "--json"}), R"({"load":3,"title":"x"})");
    output("b", {"set", "--live", "d", "/load", "4"});
    take("a", "b");
    EXPECT_EQ(output("a", {"show", "d", "/load"}), "4");
}

TEST_F(LiveProgram, SaysWhatCannotBe) {
    output("s", {"set", "d", "", R"({"list":[1],"title":"x"})"});
    const auto refuses = [&](const Arguments& arguments, const char* why) {
        const Outcome outcome = on("s", arguments);
        EXPECT_EQ(outcome.status, 1);
        EXPECT_NE(outcome.err.find(why), std::string::npos) << outcome.err;
    };
    refuses({"set", "--live", "d", "/list/0", "1"}, "not in lists");
    refuses({"set", "--live", "d", "/title", "1"}, "a logged value is there");
    refuses({"set", "--live", "d", "/no/such", "1"}, "nothing is there");
    refuses({"set", "--live", "d", "/m", "{}"}, "one number, string, boolean or null");
    refuses({"set", "--live", "d", "/m", "1", "-m", "why"}, "takes no message");
}

}  // namespace
}  // namespace joinery::testing
