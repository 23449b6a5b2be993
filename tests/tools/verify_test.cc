// `joinery verify` as a person or a script runs it.

#include "tests/tools/program.h"

#include <csignal>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

namespace joinery::testing {
namespace {

using Json = nlohmann::json;

class VerifyProgram : public ProgramTest {
  protected:
    VerifyProgram() {
        write_file("a.json", R"({"title":"A needle in the hay","rows":[1,2]})");
        output("store", {"import", "ops/main", path("a.json")});
        output("store", {"set", "ops/main", "/n", "1"});
        output("store", {"set", "ops/other", "/n", "2"});
    }
    /// Flips a bit of a value, so that its record fails its checksum.
    void damage(std::string_view file) const {
        std::ifstream in(path(file), std::ios::binary);
        std::string bytes{std::istreambuf_iterator<char>(in), {}};
        const std::size_t at = bytes.find("needle");
        ASSERT_NE(at, std::string::npos);
        // Pages of the past may hold it as well.
        for (std::size_t i = at; i != std::string::npos; i = bytes.find("needle", i + 1))
            bytes[i] = 'N';
        write_file(file, bytes);
    }
};

constexpr const char* kFinding =
    "log of ops/main at #1: the segment fails its checksum; restore a backup, or sync the document "
    "from a peer into a new store";

TEST_F(VerifyProgram, SaysWhatItCheckedAndThatAllIsWell) {
    const Outcome plain = on("store", {"verify"});
    EXPECT_EQ(plain.status, 0);
    EXPECT_EQ(plain.err, "");
    EXPECT_TRUE(plain.out.starts_with("checked ")) << plain.out;
    EXPECT_NE(plain.out.find("3 changes hashed, 3 replayed from the start\n"), std::string::npos);
    EXPECT_TRUE(plain.out.ends_with("\nno damage found\n"));
    const Outcome deep = on("store", {"verify", "--deep"});
    EXPECT_EQ(deep.status, 0);
    EXPECT_NE(deep.out.find("  seals      3, 3 signatures verified\n"), std::string::npos);
}

TEST_F(VerifyProgram, PrintsOneJsonDocument) {
    const Json said = Json::parse(output("store", {"verify", "--deep", "--json"}));
    EXPECT_EQ(said.size(), 5U);
    EXPECT_TRUE(said.at("ok").get<bool>());
    EXPECT_TRUE(said.at("deep").get<bool>());
    EXPECT_EQ(said.at("damage_count"), 0);
    EXPECT_EQ(said.at("damage"), Json::array());
    const Json& checked = said.at("checked");
    EXPECT_EQ(checked.size(), 9U);
    EXPECT_GT(checked.at("pages"), 8);
    // Three segments, index records, seals; two documents; two records of meta.
    EXPECT_EQ(checked.at("records"), 13);
    EXPECT_EQ(checked.at("documents"), 2);
    EXPECT_EQ(checked.at("changes"), 3);
    EXPECT_EQ(checked.at("replayed"), 3);
    EXPECT_EQ(checked.at("index"), 3);
    EXPECT_EQ(checked.at("seals"), 3);
    EXPECT_EQ(checked.at("signatures"), 3);
    EXPECT_EQ(checked.at("snapshots"), 0);
}

TEST_F(VerifyProgram, EndsWithStatus3AndOneLineForEachDamage) {
    damage("store/data.mdb");
    const Outcome plain = on("store", {"verify"});
    EXPECT_EQ(plain.status, 3);
    EXPECT_EQ(plain.err, "");
    EXPECT_NE(plain.out.find(std::string("\ndamage: ") + kFinding + "\n1 damage found\n"),
              std::string::npos)
        << plain.out;
    const Outcome json = on("store", {"verify", "--json"});
    EXPECT_EQ(json.status, 3);
    const Json said = Json::parse(json.out);
    EXPECT_FALSE(said.at("ok").get<bool>());
    EXPECT_FALSE(said.at("deep").get<bool>());
    EXPECT_EQ(said.at("damage_count"), 1);
    const Json& damage = said.at("damage").at(0);
    EXPECT_EQ(damage.size(), 5U);
    EXPECT_EQ(damage.at("where"), "log");
    EXPECT_EQ(damage.at("document"), "ops/main");
    EXPECT_EQ(damage.at("change"), "#1");
    EXPECT_EQ(damage.at("what"), "the segment fails its checksum");
    EXPECT_FALSE(damage.at("remedy").get<std::string>().empty());
    // The rest is whole, and was looked at.
    EXPECT_EQ(said.at("checked").at("documents"), 2);
    EXPECT_EQ(on("store", {"verify", "ops/other"}).status, 0);
    EXPECT_EQ(on("store", {"verify", "ops/main"}).status, 3);
}

TEST_F(VerifyProgram, ChecksABackupAndWhatIsRestoredFromIt) {
    output("store", {"backup", path("backup")});
    EXPECT_EQ(on("backup", {"verify", "--deep"}).status, 0);
    output("restored", {"restore", path("backup")});
    output("restored", {"set", "ops/main", "/n", "3"});
    EXPECT_EQ(on("restored", {"verify", "--deep"}).status, 0);
    EXPECT_EQ(Json::parse(output("restored", {"verify", "--json"})).at("checked").at("seals"), 4);
    damage("backup/data.mdb");
    EXPECT_EQ(on("backup", {"verify"}).status, 3);
}

TEST_F(VerifyProgram, ChecksAStoreThatAPeerServesAndOneWhosePeerWasKilled) {
    Running peer({"--store", path("store"), "peer", "--open", "--listen", "tcp://127.0.0.1:0"});
    peer.wait_for("key ");
    for (int i = 0; i < 3; ++i) {
        output("store", {"inc", "ops/main", "/visits"});
        EXPECT_EQ(on("store", {"verify", "--deep"}).status, 0);
    }
    peer.end(SIGKILL);
    const Outcome after = on("store", {"verify", "--deep"});
    EXPECT_EQ(after.status, 0) << after.out;
    output("store", {"inc", "ops/main", "/visits"});
    EXPECT_EQ(on("store", {"verify", "--deep"}).status, 0);
}

TEST_F(VerifyProgram, SaysWhereTheDatabaseItselfIsDamaged) {
    std::ifstream in(path("store/data.mdb"), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(in), {}};
    write_file("store/data.mdb", std::string_view(bytes).substr(0, 3 * 4096));
    const Outcome cut = on("store", {"verify"});
    EXPECT_EQ(cut.status, 3);
    EXPECT_NE(cut.out.find("\ndamage: data.mdb: data.mdb is cut short"), std::string::npos)
        << cut.out;
}

TEST_F(VerifyProgram, SaysInOneLineWhyItCannotCheck) {
    const auto expect_failure =
        [this](std::string_view store, const Arguments& arguments, const std::string& line) {
            const Outcome outcome = on(store, arguments);
            EXPECT_EQ(outcome.status, 1);
            EXPECT_EQ(outcome.out, "");
            EXPECT_EQ(outcome.err, "joinery: " + line + "\n");
        };
    expect_failure("none", {"verify"}, path("none") + ": no such directory");
    expect_failure("store",
                   {"verify", "ops/none"},
                   path("store") + ", ops/none: no such document; `ls` lists them");
    expect_failure("", {"verify"}, path("") + ": the directory holds other files and no store");
    const Outcome without = run_program({"verify"});
    EXPECT_EQ(without.status, 1);
    EXPECT_EQ(without.err, "joinery: store: none given; pass --store DIR or set JOINERY_STORE\n");
}

TEST_F(VerifyProgram, RefusesWrongArgumentsAndShowsHelp) {
    EXPECT_EQ(on("store", {"verify", "--shallow"}).status, 2);
    EXPECT_EQ(on("store", {"verify", "a", "b"}).status, 2);
    const Outcome help = run_program({"verify", "--help"});
    EXPECT_EQ(help.status, 0);
    EXPECT_NE(help.out.find("joinery verify ops/main"), std::string::npos);
}

}  // namespace
}  // namespace joinery::testing
