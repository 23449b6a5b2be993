#include "joinery/json.h"
#include "tests/support/shared_data.h"

#include <gtest/gtest.h>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

namespace joinery {
namespace {

/// Reads what print_json() made of @p value and expects it equal, in both layouts.
void expect_reads_back(const Plain& value, const std::string& what) {
    for (const std::size_t indent : {0U, 2U}) {
        const auto text = print_json(value, {.indent = indent});
        ASSERT_TRUE(text.has_value()) << what;
        const auto again = parse_json(*text);
        ASSERT_TRUE(again.has_value()) << what << ": " << again.error().what;
        EXPECT_EQ(*again, value) << what;
        EXPECT_EQ(print_json(*again, {.indent = indent}).value(), *text) << what;
    }
}

/// Where the suite leaves the choice, ours; all others are refused.
const std::set<std::string>& accepted_by_choice() {
    static const std::set<std::string> kNames{
        "i_number_double_huge_neg_exp.json",       // Becomes a zero of its sign.
        "i_number_real_underflow.json",            // Likewise.
        "i_number_too_big_pos_int.json",           // 10^20: a double holds it exactly.
        "i_structure_UTF-8_BOM_empty_object.json"  // A byte order mark is skipped.
    };
    return kNames;
}

/// Of the files whose meaning the suite leaves open, those that we refuse: lone surrogates.
bool is_refused_transform(const std::string& name) {
    return name.find("invalid_codepoint") != std::string::npos;
}

TEST(JsonTestSuite, AcceptsAndRefusesAsItAsks) {
    const auto path = testing::shared_path("data/protocol-vectors/json-test-suite.jsonl");
    JOINERY_SKIP_WITHOUT(path);
    std::size_t count = 0;
    for (const std::string& line : testing::read_lines(path)) {
        const auto vector = nlohmann::json::parse(line);
        const auto whole_name = vector.at("name").get<std::string>();
        const auto name = whole_name.substr(whole_name.find('/') + 1);
        const auto expect = vector.at("expect").get<std::string>();
        const Bytes bytes = testing::decode_base64(vector.at("b64").get<std::string>());
        const auto parsed = parse_json(as_text(bytes));
        const bool wanted = expect == "accept" ||
                            (expect == "either" && accepted_by_choice().contains(name)) ||
                            (expect == "transform" && !is_refused_transform(name));
        EXPECT_EQ(parsed.has_value(), wanted)
            << whole_name << ": " << (parsed ? "accepted" : parsed.error().what);
        if (parsed) expect_reads_back(*parsed, whole_name);
        ++count;
    }
    EXPECT_GE(count, 200U);
}

/// Ours differ from RFC 8785 in two ways on purpose: doubles keep a point, and keys are sorted as
/// UTF-8, not as UTF-16. In these vectors both show.
TEST(JsonCanonicalForm, IsThatOfRfc8785ButForDoublesAndKeyOrder) {
    const auto path = testing::shared_path("data/protocol-vectors/jcs-rfc8785.json");
    JOINERY_SKIP_WITHOUT(path);
    const std::map<std::string, std::pair<std::string, std::string>> own_ways{
        {"structures", {"\"\\n\":56,", "\"\\n\":56.0,"}},
        // The smiley, U+1F602, comes before U+FB33 in UTF-16 and after it in UTF-8.
        {"weird",
         {"\"\xf0\x9f\x98\x82\":\"Smiley\",\"\xef\xac\xb3\":\"Hebrew Letter Dalet With Dagesh\"",
          "\"\xef\xac\xb3\":\"Hebrew Letter Dalet With Dagesh\",\"\xf0\x9f\x98\x82\":\"Smiley\""}},
    };
    const auto vectors = nlohmann::json::parse(testing::read_file(path));
    for (const auto& vector : vectors) {
        const auto name = vector.at("name").get<std::string>();
        auto expected = vector.at("output").get<std::string>();
        if (const auto own = own_ways.find(name); own != own_ways.end()) {
            const auto at = expected.find(own->second.first);
            ASSERT_NE(at, std::string::npos) << name;
            expected.replace(at, own->second.first.size(), own->second.second);
        }
        const auto parsed = parse_json(vector.at("input").get<std::string>());
        ASSERT_TRUE(parsed.has_value()) << name;
        EXPECT_EQ(print_json(*parsed).value(), expected) << name;
    }
    EXPECT_GE(vectors.size(), 6U);
}

TEST(NaughtyStrings, ReadBackAsTheyWere) {
    const auto path = testing::shared_path("data/protocol-vectors/blns.json");
    JOINERY_SKIP_WITHOUT(path);
    const std::string text = testing::read_file(path);
    const auto parsed = parse_json(text);
    ASSERT_TRUE(parsed.has_value()) << parsed.error().what << " at " << parsed.error().at;
    expect_reads_back(*parsed, "blns.json");
    const auto reference = nlohmann::json::parse(text);
    ASSERT_EQ(parsed->array().size(), reference.size());
    for (std::size_t i = 0; i < reference.size(); ++i) {
        EXPECT_EQ(parsed->array()[i].scalar().as_string(), reference[i].get<std::string>()) << i;
        expect_reads_back(Plain{PlainObject{{reference[i].get<std::string>(), Plain{}}}}, "key");
    }
}

TEST(RealDashboards, ReadBackEqualAndAgreeWithAnotherParser) {
    const auto folder = testing::shared_path("data/dashboards");
    JOINERY_SKIP_WITHOUT(folder);
    std::size_t count = 0;
    for (const auto& path : testing::list_files(folder, ".jsonl.gz")) {
        for (const std::string& line : testing::read_lines(path)) {
            const auto parsed = parse_json(line);
            ASSERT_TRUE(parsed.has_value()) << path << ": " << parsed.error().what;
            expect_reads_back(*parsed, path.filename().string());
            // Compares numbers by value: 1 and 1.0 are equal to it.
            EXPECT_EQ(nlohmann::json::parse(print_json(*parsed).value()),
                      nlohmann::json::parse(line));
            ++count;
        }
    }
    EXPECT_GE(count, 400U);
}

}  // namespace
}  // namespace joinery
