// A peer with a JSON Schema as the authority of a document: docs/authority.md.

#include "tests/tools/contract.h"

#include <csignal>

namespace joinery::testing {
namespace {

class AuthorityProgramTest : public ContractTest {
  protected:
    AuthorityProgramTest() {
        id_ = "orders@" + json_here({"id"}).at("key").get<std::string>();
        write_file("schema.json",
                   R"({"required": ["stock"],
                       "properties": {"stock": {"type": "integer", "minimum": 0},
                                      "format": {"type": "string", "maxLength": 3}}})");
        output_here({"set", id_, "/stock", "5"});
    }

    std::string id_;
};

TEST_F(AuthorityProgramTest, WhatDoesNotFitTheSchemaIsRolledBackEverywhere) {
    Running server({"--store",
                    path("s"),
                    "peer",
                    "--open",
                    "--schema",
                    path("schema.json"),
                    "--listen",
                    "tcp://127.0.0.1:0"});
    const std::string url = server.wait_for("listening ");
    output("t", {"sync", url});
    output("t", {"set", id_, "/stock", "--", "-1"});
    output("t", {"set", id_, "/note", "\"hello\""});
    output("t", {"set", id_, "/format", "\"long\""});
    const Json report = Json::parse(output("t", {"sync", url, "--json"}));
    EXPECT_EQ(report.at("changes_rejected"), 2);
    EXPECT_EQ(output("t", {"show", id_, "--json"}), R"({"note":"hello","stock":5})");
    const Json box = Json::parse(output("t", {"outbox", "--json"})).at(0);
    EXPECT_EQ(box.at("unacknowledged"), 0);
    ASSERT_EQ(box.at("rejected").size(), 2U);
    const Json& first = box.at("rejected").at(0);
    EXPECT_EQ(keys(first), (Keys{"change", "reason", "by", "at", "paths"}));
    EXPECT_TRUE(first.at("reason").get<std::string>().starts_with("/stock: "));
    EXPECT_EQ(id_, "orders@" + first.at("by").get<std::string>());
    EXPECT_EQ(first.at("paths"), Json{"/stock"});
    EXPECT_NE(output("t", {"outbox"})
                  .find("\n  rejected " + first.at("change").get<std::string>() + ": /stock: "),
              std::string::npos);
    EXPECT_NE(output("t", {"log", id_}).find("  refuses "), std::string::npos);
    EXPECT_NE(output("t", {"log", id_, "--json"})
                  .find("\"refuses\":\"" + first.at("change").get<std::string>()),
              std::string::npos);
    // A third store, which meets the authority alone, has the same.
    output("u", {"sync", url});
    EXPECT_EQ(output("u", {"show", id_, "--json"}), R"({"note":"hello","stock":5})");
    EXPECT_EQ(server.end(SIGTERM), 0);
    for (const std::string store : {"s", "t", "u"})
        EXPECT_NE(output(store, {"verify", "--deep"}).find("no damage"), std::string::npos);
}

TEST_F(AuthorityProgramTest, ASyncOfTheAuthorityJudgesToo) {
    output("t", {"set", id_, "/stock", "--", "-1"});
    Running server({"--store", path("t"), "peer", "--open", "--listen", "tcp://127.0.0.1:0"});
    const std::string url = server.wait_for("listening ");
    output_here({"sync", url, "--schema", path("schema.json")});
    EXPECT_EQ(output_here({"show", id_, "--json"}), R"({"stock":5})");
    EXPECT_EQ(server.end(SIGTERM), 0);
    const auto human = output("t", {"outbox"});
    EXPECT_NE(human.find("  rejected "), std::string::npos) << human;
}

TEST_F(AuthorityProgramTest, ASchemaThatCannotBeHadIsRefused) {
    const auto refuses = [&](std::string_view text, std::string_view why) {
        write_file("wrong.json", text);
        refused({"peer", "--schema", path("wrong.json")}, why);
        refused({"sync", "tcp://127.0.0.1:1", "--schema", path("wrong.json")}, why);
    };
    refused({"peer", "--schema", path("none.json")}, "none.json");
    refuses("{", "no JSON Schema");
    refuses("[]", "no JSON Schema");
    refuses(R"({"properties": {"a": {"pattern": "(a+)+$"}}})", "pattern is not taken");
    refuses(R"({"items": [{"anyOf": [{"format": "date"}]}]})", "format is not taken");
    refuses(R"({"definitions": {"x": {"uniqueItems": true}}})", "uniqueItems is not taken");
    refuses(R"({"properties": {"a": {"$ref": "other.json"}}})", "$ref out of the file");
    refuses(R"({"properties": {"a": {"type": 7}}})", "wrong.json: ");
}

}  // namespace
}  // namespace joinery::testing
