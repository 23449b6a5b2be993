// Every command with what it must answer and what it must refuse.

#include "tests/tools/contract.h"

namespace joinery::testing {
namespace {

TEST_F(ContractTest, WrongUsageIsStatus2AndOneLineThatNamesTheHelp) {
    wrong_usage({}, "joinery --help");
    wrong_usage({"frob"}, "no subcommand 'frob'");
    wrong_usage({"show"}, "joinery show --help");
    wrong_usage({"show", "d", "/a", "/b"}, "joinery show --help");
    wrong_usage({"show", "d", "--colour"}, "--colour");
    wrong_usage({"set", "d", "/a"}, "JSON");
    wrong_usage({"move", "d", "/a/0"}, "TO");
    wrong_usage({"import", "d"}, "FILE");
    wrong_usage({"log", "d", "--limit", "few"}, "--limit");
    wrong_usage({"log", "d", "--limit", "-1"}, "--limit");
    wrong_usage({"inc", "d", "/n", "1.5"}, "whole number");
    wrong_usage({"inc", "d", "/n", "9223372036854775808"}, "64 bits");
    wrong_usage({"sync"}, "URL");
    wrong_usage({"sync", "tcp://127.0.0.1:1", "--timeout", "0"}, "--timeout");
    wrong_usage({"sync", "tcp://127.0.0.1:1", "--timeout", "nan"}, "--timeout");
    wrong_usage({"backup"}, "DIR");
    wrong_usage({"restore"}, "DIR");
    wrong_usage({"demo", "--peers", "1"}, "--peers");
    EXPECT_FALSE(std::filesystem::exists(path("s")));
}

TEST_F(ContractTest, HelpAndVersionAreOnStandardOutput) {
    for (const Arguments& arguments : {Arguments{"--help"}, {"show", "--help"}, {"--version"}}) {
        const Outcome outcome = run_program(arguments);
        EXPECT_EQ(outcome.status, 0);
        EXPECT_EQ(outcome.err, "");
        EXPECT_GT(outcome.out.size(), 10U);
    }
}

TEST_F(ContractTest, TheStoreIsNamedByOptionOrVariable) {
    expect_refused(run_program({"ls"}), 1, "JOINERY_STORE");
    for (const char* command : {"show", "export", "log"})
        expect_refused(run_program({command, "d"}), 1, "JOINERY_STORE");
    const std::string variable = "JOINERY_STORE='" + path("s") + "' ";
    EXPECT_EQ(run_shell(variable + "joinery set d /a 1").status, 0);
    EXPECT_EQ(run_shell(variable + "joinery show d /a").out, "1\n");
    // The option goes before the variable.
    EXPECT_EQ(run_shell(variable + "joinery --store '" + path("t") + "' set d /a 2").status, 0);
    EXPECT_EQ(output_here({"show", "d", "/a"}), "1");
    EXPECT_EQ(output("t", {"show", "d", "/a"}), "2");
}

TEST_F(ContractTest, WhatReadsMakesNoStoreAndNoDocument) {
    for (const Arguments& arguments :
         {Arguments{"ls"}, {"show", "d"}, {"export", "d"}, {"log", "d"}})
        refused(arguments, "no store is here");
    refused({"erase", "d", "/a"}, "no store is here");
    refused({"move", "d", "/a/0", "/a/1"}, "no store is here");
    EXPECT_FALSE(std::filesystem::exists(path("s")));
    output_here({"set", "other", "/a", "1"});
    for (const Arguments& arguments :
         {Arguments{"show", "d"}, {"export", "d"}, {"log", "d"}, {"erase", "d", "/a"}})
        refused(arguments, "no such document; `ls` lists them");
    EXPECT_EQ(json_here({"ls"}).size(), 1U);
    for (const std::string& id : {std::string(), std::string(256, 'x'), std::string("a\nb")})
        refused({"set", id, "/a", "1"}, "a document's id");
}

TEST_F(ContractTest, WhatFailsSaysWhereAndLeavesEverythingAsItWas) {
    import_text(R"({"list":[1,{"x":2},3],"n":5,"s":"text"})");
    output_here({"inc", "ops/main", "/count", "9223372036854775807"});
    const std::string before = digest();
    const std::string d = "ops/main";
    refused({"set", d, "/a/b", "1"},
            d + " /a/b: nothing is there, nor an object or list above it to hold it");
    refused({"set", d, "/s/b", "1"}, "path leads through a scalar");
    refused({"set", d, "a", "1"}, "starts with '/'");
    refused({"set", d, "/~2", "1"}, "~0");
    refused({"set", d, "/a~", "1"}, "~0");
    refused({"set", d, "/list/3", "1"}, d + " /list/3: ");
    refused({"set", d, "/list/01", "1"}, "numbered 0, 1, 2");
    refused({"set", d, "/list/-1", "1"}, "numbered 0, 1, 2");
    refused({"set", d, "/list/18446744073709551616", "1"}, "numbered 0, 1, 2");
    refused({"set", d, "", "[1]"}, "a document is an object");
    refused({"set", d, "/a", "text"}, "a string needs its quotes");
    refused({"set", d, "/a", ""}, "a string needs its quotes");
    refused({"show", d, "/nothing"}, d + " /nothing: nothing is there");
    refused({"show", d, "/list/-"}, "nothing is there");
    refused({"show", d, "list"}, "starts with '/'");
    refused({"erase", d, "/nothing"}, "nothing to erase there");
    refused({"erase", d, "/list/3"}, d + " /list/3: ");
    refused({"erase", d, "/list/-"}, "numbered 0, 1, 2");
    refused({"erase", d, ""}, "the whole document");
    refused({"inc", d, "/n"}, "no counter; erase it first");
    refused({"inc", d, "/count"}, "64 bits");
    refused({"insert", d, "/list/4", "1"}, "no such index");
    refused({"insert", d, "/list/x", "1"}, "numbered 0, 1, 2");
    refused({"insert", d, "/list", "1"}, "only lists");
    refused({"insert", d, "/nothing/0", "1"}, "nothing is there");
    refused({"move", d, "/list/3", "/list/0"}, "no element at that index");
    refused({"move", d, "/list/0", "/list/3"}, "index");
    refused({"move", d, "/list/0", "/n"}, "within its own list");
    refused({"move", d, "/list/0", "/list/x"}, "numbered 0, 1, 2");
    refused({"import", d, path("missing.json")}, "missing.json: no such file");
    refused({"import", d, path("")}, "directory");
    refused({"import", d, "-"}, "- at byte 0: ");
    refused({"import", d, "-"}, "- at byte 5: ", "{\"a\":");
    refused({"import", d, "-"}, "a document is a JSON object", "[1]");
    refused({"sync", "tcp://127.0.0.1:1"}, "nothing listens");
    refused({"sync", "tcp://127.0.0.1:1#abc"}, "64 hexadecimal digits");
    refused({"sync", "http://127.0.0.1:1"}, "this version speaks tcp://, ws:// and wss://");
    refused({"sync", "tcp://127.0.0.1"}, "port");
    refused({"peer", "--listen", "tcp://192.0.2.1:0"}, "192.0.2.1");
    refused({"peer", "--connect", "nats://127.0.0.1:1"}, "this version speaks tcp://");
    refused({"peer", "--name", std::string(65, 'n')}, "at most 64 bytes");
    refused({"restore", path("nothing")}, "no backup");
    refused({"backup", path("s")}, "not empty");
    EXPECT_EQ(digest(), before);
    EXPECT_EQ(json_here({"ls"}).at(0).at("changes"), 2);
}

TEST_F(ContractTest, AnErrorStaysOneLineWhateverItNames) {
    import_text(R"({"x":1})");
    refused({"show", "ops/main", "/a\nb\033[31m"}, "/a b [31m: nothing is there");
    refused({"show", "a\nb"}, "a b: ");
}

TEST_F(ContractTest, EditsDoWhatTheContractSays) {
    const std::string d = "ops/main";
    import_text(R"({"list":["b"]})");
    output_here({"set", d, "/list/-", R"("c")"});
    output_here({"insert", d, "/list/0", R"("a")"});
    output_here({"insert", d, "/list/-", R"("d")"});
    EXPECT_EQ(output_here({"export", d}), R"({"list":["a","b","c","d"]})");
    output_here({"move", d, "/list/0", "/list/2"});
    EXPECT_EQ(output_here({"export", d}), R"({"list":["b","c","a","d"]})");
    output_here({"move", d, "/list/1", "/list/-"});
    output_here({"erase", d, "/list/0"});
    output_here({"set", d, "/list/0", R"({"x":[]})"});
    EXPECT_EQ(output_here({"export", d}), R"({"list":[{"x":[]},"d","c"]})");
    output_here({"inc", d, "/n", "-3"});
    output_here({"inc", d, "/n"});
    EXPECT_EQ(output_here({"show", d, "/n"}), "-2");
    output_here({"set", d, "/list", "[]", "-m", "emptied"});
    EXPECT_EQ(output_here({"show", d}), "{\n  \"list\": [],\n  \"n\": -2\n}");
    // Nothing to change is no error, and no change.
    const std::string before = digest();
    EXPECT_NE(output_here({"set", d, "/list", "[]"}).find("nothing to change"), std::string::npos);
    EXPECT_NE(output_here({"inc", d, "/n", "0"}).find("nothing to change"), std::string::npos);
    EXPECT_EQ(digest(), before);
}

TEST_F(ContractTest, EveryJsonHasTheShapeOfTheContract) {
    const std::string d = "ops/main";
    const Json imported = Json::parse(output_here({"import", d, "-", "--json"}, R"({"a":[1]})"));
    EXPECT_EQ(keys(imported), (Keys{"changed", "digest"}));
    EXPECT_EQ(imported.at("digest"), digest());
    const Json made = json_here({"set", d, "/b", "2", "-m", "why"});
    EXPECT_EQ(keys(made), (Keys{"changed", "actor", "seq"}));
    EXPECT_EQ(made.at("seq"), 2);
    EXPECT_EQ(json_here({"set", d, "/b", "2"}), (Json{{"changed", false}}));

    const Json listed = json_here({"ls"});
    ASSERT_EQ(listed.size(), 1U);
    const Json& status = listed.at(0);
    EXPECT_EQ(keys(status), (Keys{"id", "changes", "actors", "bytes", "heads", "digest"}));
    EXPECT_EQ(status.at("id"), d);
    EXPECT_EQ(status.at("changes"), 2);
    EXPECT_EQ(status.at("actors"), 1);
    EXPECT_GT(status.at("bytes"), 0);
    const std::string actor = made.at("actor").get<std::string>();
    EXPECT_EQ(status.at("heads"), Json::array({actor + "@2"}));
    EXPECT_EQ(status.at("digest").get<std::string>().size(), 64U);

    std::string lines = output_here({"log", d, "--json"});
    const Json newest = Json::parse(lines.substr(0, lines.find('\n')));
    EXPECT_EQ(keys(newest), (Keys{"n", "actor", "seq", "time_ms", "deps", "message", "ops"}));
    EXPECT_EQ(newest.at("n"), 2);
    EXPECT_EQ(newest.at("actor"), actor);
    EXPECT_EQ(newest.at("message"), "why");
    EXPECT_EQ(newest.at("deps"), Json::array());
    EXPECT_EQ(newest.at("ops"), Json::array({{{"op", "put"}, {"path", "/b"}, {"value", 2}}}));
    EXPECT_EQ(std::ranges::count(lines, '\n'), 1) << "one line a change, newest first";

    EXPECT_EQ(json_here({"show", d}), (Json{{"a", {1}}, {"b", 2}}));
    EXPECT_EQ(json_here({"export", d}), (Json{{"a", {1}}, {"b", 2}}));
    const Json id = json_here({"id"});
    EXPECT_EQ(id.at("key").get<std::string>().size(), 64U);
    EXPECT_EQ(id.at("actor"), actor);
    const Json backup = json_here({"backup", path("b")});
    EXPECT_EQ(keys(backup), (Keys{"store", "backup"}));
    EXPECT_EQ(keys(Json::parse(output("r", {"restore", path("b"), "--json"}))),
              (Keys{"store", "backup"}));
}

TEST_F(ContractTest, LogTellsWhatWasDoneNewestFirst) {
    const std::string d = "ops/main";
    import_text(R"({"a":{"x":1},"ab":1})");
    output_here({"set", d, "/a/x", "2", "-m", "second"});
    output_here({"set", d, "/ab", "2"});
    const std::string all = output_here({"log", d});
    EXPECT_LT(all.find("#3"), all.find("#2"));
    EXPECT_LT(all.find("#2"), all.find("#1"));
    EXPECT_NE(all.find("second"), std::string::npos);
    EXPECT_NE(all.find("put /a/x = 2"), std::string::npos);
    const auto count = [&](Arguments more) {
        Arguments arguments{"log", d, "--json"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        const std::string lines = output_here(arguments);
        return lines.empty() ? 0 : std::ranges::count(lines, '\n') + 1;
    };
    EXPECT_EQ(count({}), 3);
    EXPECT_EQ(count({"--limit", "2"}), 2);
    EXPECT_EQ(count({"--limit", "0"}), 0);
    EXPECT_EQ(count({"/a"}), 2) << "/ab is not beneath /a";
    EXPECT_EQ(count({"/a/x", "--limit", "1"}), 1);
    EXPECT_EQ(count({"--since", "#1"}), 2);
    EXPECT_EQ(count({"--since", "head"}), 0);
    EXPECT_EQ(count({"/nothing"}), 0);
}

TEST_F(ContractTest, EveryFormOfAVersionIsRead) {
    const std::string d = "ops/main";
    import_text(R"({"x":1})");
    output_here({"set", d, "/x", "2"});
    const std::string actor = json_here({"id"}).at("actor").get<std::string>();
    const auto at = [&](const std::string& version) {
        return output_here({"export", d, "--at", version});
    };
    EXPECT_EQ(at("#0"), "{}");
    EXPECT_EQ(at("#1"), R"({"x":1})");
    EXPECT_EQ(at("#2"), R"({"x":2})");
    EXPECT_EQ(at("head"), R"({"x":2})");
    EXPECT_EQ(at(actor + "@1"), R"({"x":1})");
    EXPECT_EQ(at(actor + "@1," + actor + "@2"), R"({"x":2})");
    EXPECT_EQ(at("2000-01-01T00:00:00Z"), "{}");
    EXPECT_EQ(at("2999-12-31T23:59:59.999+14:00"), R"({"x":2})");
    EXPECT_EQ(output_here({"show", d, "/x", "--at", "#1"}), "1");
    const Json first = Json::parse(output_here({"log", d, "--json", "--limit", "1"}));
    EXPECT_EQ(first.at("n"), 2);

    const std::string forms = "head, #N, ACTOR@SEQ or an RFC 3339 time";
    for (const std::string version : {"1", "HEAD", "@1", "2020-01-01", "2020-13-01T00:00:00Z"})
        refused({"export", d, "--at", version}, "version " + version + ": ");
    refused({"export", d, "--at", "newest"}, forms);
    refused({"export", d, "--at", actor + "@0"}, forms);
    refused({"export", d, "--at", actor + "@1,"}, forms);
    refused({"export", d, "--at", actor.substr(2) + "@1"}, forms);
    refused({"export", d, "--at", "#"}, "a number");
    refused({"export", d, "--at", "#-1"}, "a number");
    refused({"export", d, "--at", "#18446744073709551616"}, "a number");
    refused({"export", d, "--at", "#3"}, "fewer changes");
    refused({"export", d, "--at", actor + "@3"}, d + ": ");
    refused({"export", d, "--at", std::string(32, 'f') + "@1"}, d + ": ");
    refused({"show", d, "/x", "--at", "#0"}, d + " /x: nothing is there");
    refused({"log", d, "--since", "newest"}, forms);
}

}  // namespace
}  // namespace joinery::testing
