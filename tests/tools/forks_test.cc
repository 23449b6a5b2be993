// What the program shows of an actor that signed two histories (semantics F).

#include "engine/core.h"
#include "persist/lmdb_store.h"
#include "sim/equivocator.h"
#include "support/dice.h"
#include "tests/tools/program.h"

#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

namespace joinery::testing {
namespace {

using Json = nlohmann::json;

class FixedClock final : public Clock {
  public:
    WallTime wall_now() override { return WallTime(1'700'000'000'000); }
    MonotonicTime monotonic_now() override { return {}; }
};

class ForksProgram : public ProgramTest {
  protected:
    /// A store with a document of which a liar told two histories.
    ForksProgram() {
        output("store", {"set", "d", "/own", "1"});
        test::SeededRandom random(1);
        FixedClock clock;
        auto store = persist::open_lmdb_store(path("store"), {}, random);
        EXPECT_TRUE(store.has_value());
        auto core = detail::Core::open(
            *std::move(store),
            clock,
            random,
            {[] {}, [](const std::function<void()>& callback) { callback(); }, {}});
        EXPECT_TRUE(core.has_value());
        const auto document = *(*core)->open_document("d", false);
        sim::Equivocator liar(7);
        test::Dice dice(7);
        for (int i = 0; i < 100 && document->status()->forks.empty(); ++i) {
            EXPECT_TRUE(liar.lie_to(*document, dice, clock.wall_now()).has_value());
            EXPECT_TRUE((*core)->commit().has_value());
        }
        actor_ = to_hex(liar.actor().view());
        digest_ = to_hex(document->status()->digest.view());
        EXPECT_EQ(document->status()->forks.size(), 1U);
    }

    std::string actor_, digest_;
};

TEST_F(ForksProgram, LsAndVerifyListTheProof) {
    const Json listed = Json::parse(output("store", {"ls", "--json"})).at(0);
    EXPECT_EQ(listed.at("digest"), digest_);
    const Json& fork = listed.at("forks").at(0);
    EXPECT_EQ(fork.at("actor"), actor_);
    ASSERT_EQ(fork.at("branches").size(), 2U);
    for (const Json& branch : fork.at("branches")) {
        EXPECT_GE(branch.at("sealed_seq"), fork.at("seq"));
        EXPECT_EQ(branch.at("signature").get<std::string>().size(), 128U);
    }
    const std::string line = "actor " + actor_ + " signed 2 histories from change ";
    EXPECT_NE(output("store", {"ls"}).find("fork: " + line), std::string::npos);
    const Outcome plain = on("store", {"verify", "--deep"});
    EXPECT_EQ(plain.status, 0) << plain.out;
    EXPECT_NE(plain.out.find("fork: d: " + line), std::string::npos) << plain.out;
    EXPECT_TRUE(plain.out.ends_with("\nno damage found\n"));
    const Json report = Json::parse(output("store", {"verify", "--json"}));
    EXPECT_EQ(report.at("forks").at(0).at("document"), "d");
    EXPECT_EQ(report.at("forks").at(0).at("fork"), fork);
}

TEST_F(ForksProgram, LogNamesBranchesAndVersionsTakeThem) {
    std::istringstream lines(output("store", {"log", "d", "--json"}));
    std::set<std::string> branches;
    for (std::string line; std::getline(lines, line);) {
        const Json change = Json::parse(line);
        if (!change.contains("branch")) continue;
        EXPECT_EQ(change.at("actor"), actor_);
        branches.insert(change.at("branch").get<std::string>());
        const std::string version =
            change.at("branch").get<std::string>() + "@" + change.at("seq").dump();
        const Outcome then = on("store", {"show", "d", "--at", version});
        // The liar's values are random: some have no JSON form.
        const bool has_form = then.err.find("JSON has no form") == std::string::npos;
        EXPECT_EQ(then.status, has_form ? 0 : 1) << version << ": " << then.err;
    }
    EXPECT_EQ(branches.size(), 2U);
    EXPECT_NE(output("store", {"log", "d"}).find(" on branch "), std::string::npos);
}

TEST_F(ForksProgram, TheDocumentIsWrittenOn) {
    output("store", {"set", "d", "/own", "2"});
    EXPECT_EQ(output("store", {"show", "d", "/own"}), "2");
    EXPECT_EQ(on("store", {"verify", "--deep"}).status, 0);
}

}  // namespace
}  // namespace joinery::testing
