// The whole of JSON's values through the program, to the last bit, and what is refused.

#include "tests/support/shared_data.h"
#include "tests/tools/contract.h"

namespace joinery::testing {
namespace {

TEST_F(ContractTest, EveryValueComesBackToTheLastBit) {
    // Of an integer that no double holds the nearest one is meant where a point says double.
    const std::string text =
        R"({"":{"":[]},"\u0000":"\u0000\u001f","a/b~c":{},"array":[[],[[]],{"x":null}],)"
        R"("doubles":[0.0,-0.0,1.0,-1.5,0.1,5e-324,2.2250738585072014e-308,)"
        R"(1.7976931348623157e+308,)"
        R"(1e+23,9007199254740993.0,1e+100],)"
        R"("integers":[0,1,-1,9007199254740993,9223372036854775807,-9223372036854775808],)"
        R"("strings":["\"\\/\b\f\n\r\t","\u00e9 \u2603 \ud83d\ude00","\u2028\u00a0"],)"
        R"("words":[true,false,null]})";
    import_text(text);
    const std::string out = output_here({"export", "ops/main"});
    import_text(out);
    EXPECT_EQ(output_here({"export", "ops/main"}), out);
    EXPECT_EQ(json_here({"ls"}).at(0).at("changes"), 1) << "its own export is no change";
    for (const char* part : {"5e-324",
                             "2.2250738585072014e-308",
                             "1.7976931348623157e+308",
                             "-0.0",
                             "1.0,",
                             "1e+23",
                             "9007199254740992.0",
                             "9007199254740993,",
                             "9223372036854775807",
                             "-9223372036854775808",
                             "\xf0\x9f\x98\x80",
                             R"("\u0000":"\u0000\u001f")",
                             R"("":{"":[]})",
                             R"("a/b~c":{})"})
        EXPECT_NE(out.find(part), std::string::npos) << part << " is not in " << out;
    EXPECT_EQ(output_here({"show", "ops/main", "/"}), "{\n  \"\": []\n}");
    EXPECT_EQ(output_here({"show", "ops/main", "//"}), "[]");
    EXPECT_EQ(output_here({"show", "ops/main", "/a~1b~0c"}), "{}");
    EXPECT_EQ(output_here({"show", "ops/main", "/doubles/1"}), "-0.0");
    EXPECT_EQ(output_here({"show", "ops/main", "/integers/5"}), "-9223372036854775808");
    // The last of equal keys counts; -0 is a double, as is what passes 64 bits and is exact.
    output_here({"set", "ops/main", "/x", R"({"a":1,"a":2})"});
    EXPECT_EQ(output_here({"show", "ops/main", "/x", "--json"}), R"({"a":2})");
    output_here({"set", "ops/main", "/x", "[-0,9223372036854775808]"});
    EXPECT_EQ(output_here({"show", "ops/main", "/x", "--json"}), "[-0.0,9223372036854775808.0]");
    // 1 and 1.0 are two values, and going from one to the other is a change.
    output_here({"set", "ops/main", "/x", "1"});
    EXPECT_EQ(json_here({"set", "ops/main", "/x", "1.0"}).at("changed"), true);
}

TEST_F(ContractTest, WhatIsNoValueIsRefusedAndNothingIsLost) {
    import_text(R"({"x":1})");
    const auto refused_value = [&](std::string_view json, std::string_view why) {
        refused({"import", "ops/main", "-"}, why, "{\"x\":" + std::string(json) + "}");
    };
    refused_value("9223372036854775809", "- at byte ");
    refused_value("123456789012345678901234567890", "- at byte ");
    refused_value("1e400", "- at byte ");
    refused_value("-1e400", "- at byte ");
    refused_value(R"("\ud800")", "- at byte ");
    refused_value(R"("\udc00\ud800")", "- at byte ");
    refused_value("\"\xff\"", "- at byte ");
    refused_value("NaN", "- at byte ");
    refused_value("01", "- at byte ");
    refused_value("[1,]", "- at byte ");
    refused_value("'x'", "- at byte ");
    refused_value(std::string(128, '[') + std::string(128, ']'), "- at byte ");
    refused_value("{\"" + std::string(1025, 'k') + "\":1}", "- at byte ");
    EXPECT_EQ(output_here({"export", "ops/main"}), R"({"x":1})");
    // As deep as the limit says, the root counted.
    import_text("{\"x\":" + std::string(127, '[') + std::string(127, ']') + "}");
}

/// RFC 8259's test suite: what must be refused is, with one line; what must be read is.
TEST_F(ContractTest, TheJsonTestSuiteIsReadAsItSays) {
    const auto file = shared_path("data/protocol-vectors/json-test-suite.jsonl");
    JOINERY_SKIP_WITHOUT(file);
    std::size_t count = 0;
    for (const std::string& line : read_lines(file)) {
        const Json vector = Json::parse(line);
        const std::string name = vector.at("name").get<std::string>();
        SCOPED_TRACE(name);
        const Bytes bytes = decode_base64(vector.at("b64").get<std::string>());
        const std::string text(as_text(bytes));
        const Outcome outcome = on("s", {"import", "d", "-"}, text);
        ++count;
        if (outcome.status != 0) expect_refused(outcome, 1, "-");
        const std::string expected = vector.at("expect").get<std::string>();
        if (expected == "reject") {
            EXPECT_EQ(outcome.status, 1);
        } else if (expected == "accept" && outcome.status != 0) {
            // A document is an object; any other text is a value to put.
            EXPECT_NE(outcome.err.find("is a JSON object"), std::string::npos);
        }
    }
    EXPECT_GT(count, 200U);
}

/// Strings that break programs, as keys and as values.
TEST_F(ContractTest, NaughtyStringsComeBack) {
    const auto file = shared_path("data/protocol-vectors/blns.json");
    JOINERY_SKIP_WITHOUT(file);
    const Json strings = Json::parse(read_file(file));
    Json document = Json::object();
    for (const Json& text : strings)
        document[text.get<std::string>()] = text;
    document["all"] = strings;
    import_text(document.dump());
    EXPECT_EQ(Json::parse(output_here({"export", "ops/main"})), document);
}

/// RFC 8785's numbers and keys: the same values, whatever form they came in.
TEST_F(ContractTest, CanonicalJsonVectorsComeBack) {
    const auto file = shared_path("data/protocol-vectors/jcs-rfc8785.json");
    JOINERY_SKIP_WITHOUT(file);
    for (const Json& vector : Json::parse(read_file(file))) {
        SCOPED_TRACE(vector.at("name").get<std::string>());
        const std::string wrapped = "{\"x\":" + vector.at("input").get<std::string>() + "}";
        import_text(wrapped);
        const Json out = Json::parse(output_here({"export", "ops/main"}));
        EXPECT_EQ(out, Json::parse(wrapped));
        EXPECT_EQ(out.at("x"), Json::parse(vector.at("output").get<std::string>()));
    }
}

}  // namespace
}  // namespace joinery::testing
