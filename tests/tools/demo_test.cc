// The demo, as it is run by somebody who sees Joinery for the first time.

#include "tests/tools/program.h"

#include <csignal>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <set>

namespace joinery::testing {
namespace {

using Json = nlohmann::json;

class DemoTest : public ProgramTest {
  protected:
    DemoTest() {
        std::filesystem::create_directory(folder_ / "tmp");
        // One thread runs.
        setenv("TMPDIR", path("tmp").c_str(), 1);  // NOLINT(concurrency-mt-unsafe): as above.
    }
    ~DemoTest() override {
        unsetenv("TMPDIR");  // NOLINT(concurrency-mt-unsafe): as above.
    }
    bool left_nothing() const { return std::filesystem::is_empty(folder_ / "tmp"); }
};

TEST_F(DemoTest, EndsWithEqualDigestsAndLeavesNothingBehind) {
    const Outcome demo = run_program({"demo", "--json"});
    ASSERT_EQ(demo.status, 0) << demo.err;
    const Json said = Json::parse(demo.out);
    EXPECT_TRUE(said.at("equal").get<bool>());
    std::set<std::string> digests;
    for (const Json& peer : said.at("peers")) {
        digests.insert(peer.at("digest").get<std::string>());
        EXPECT_GT(peer.at("bytes_received").get<int>(), 1000);
        EXPECT_GT(peer.at("latency").at("p50_ms").get<double>(), 0.0);
        // Three, and the one that the killed peer goes on as.
        EXPECT_EQ(peer.at("actors").get<int>(), 4);
        EXPECT_EQ(peer.at("unacknowledged").get<int>(), 0);
        EXPECT_GT(peer.at("acknowledged_us").get<int>(), 0);
        EXPECT_EQ(peer.at("links").get<std::string>(),
                  peer.at("name") == "wall" ? "2 online" : "1 online");
    }
    EXPECT_EQ(said.at("peers").size(), 3U);
    EXPECT_EQ(digests.size(), 1U);
    EXPECT_TRUE(left_nothing());
}

TEST_F(DemoTest, TellsEveryStepInPlainText) {
    const Outcome demo = run_program({"demo", "--peers", "2", "--seed", "5"});
    ASSERT_EQ(demo.status, 0) << demo.err;
    EXPECT_EQ(demo.err, "");
    std::size_t at = 0;
    for (const char* step :
         {"1  Import", "2  Sync", "3  Live", "4  Partition", "5  Heal", "6  Clash", "7  Kill -9"}) {
        const std::size_t found = demo.out.find(step, at);
        ASSERT_NE(found, std::string::npos) << step;
        at = found;
    }
    EXPECT_NE(demo.out.find("All digests are equal"), std::string::npos);
    EXPECT_NE(demo.out.find("keeps [\"Laptop's title\"]"), std::string::npos);
    EXPECT_EQ(demo.out.find('\033'), std::string::npos) << "colour where there is no terminal";
}

TEST_F(DemoTest, PlaysWithAnyDashboardAndKeepsTheStoresIfAsked) {
    write_file("own.json", R"({"rows":[{"a~/b":{"title":"x"}},{"h":3}],"deep":[[{"w":1}]]})");
    const Outcome demo =
        run_program({"demo", "--json", "--dashboard", path("own.json"), "--keep", path("kept")});
    ASSERT_EQ(demo.status, 0) << demo.err;
    const std::string digest =
        Json::parse(demo.out).at("peers").at(0).at("digest").get<std::string>();
    for (const char* name : {"kept/wall", "kept/laptop", "kept/kiosk"}) {
        const Json documents = Json::parse(output(name, {"ls", "--json"}));
        EXPECT_EQ(documents.at(0).at("digest").get<std::string>(), digest);
    }
    // A second time it would play on top of the first.
    const Outcome again = run_program({"demo", "--keep", path("kept")});
    EXPECT_EQ(again.status, 1);
    EXPECT_TRUE(again.err.starts_with("joinery: " + path("kept") + ": ")) << again.err;
}

TEST_F(DemoTest, RefusesWhatItCannotPlayWith) {
    write_file("bad.json", "{\"a\":");
    EXPECT_EQ(run_program({"demo", "--dashboard", path("bad.json")}).status, 1);
    EXPECT_EQ(run_program({"demo", "--dashboard", path("missing.json")}).status, 1);
    EXPECT_EQ(run_program({"demo", "--peers", "1"}).status, 2);
    EXPECT_EQ(run_program({"demo", "--peers", "many"}).status, 2);
    EXPECT_TRUE(left_nothing());
}

TEST_F(DemoTest, CleansUpWhenItIsInterrupted) {
    Running demo({"demo"}, true);
    demo.wait_for("2  Sync");
    EXPECT_EQ(demo.end(SIGINT), 1);
    EXPECT_TRUE(left_nothing());
}

}  // namespace
}  // namespace joinery::testing
