/// @file
/// What the contract says of every command, as checks: exit statuses, one line for an error,
/// nothing on standard output then.
#pragma once

#include "tests/tools/program.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

namespace joinery::testing {

using Json = nlohmann::json;

class ContractTest : public ProgramTest {
  protected:
    /// Holds that @p outcome failed with @p status as the contract says, and that its one line has
    /// @p part, which says what to do, or what is wrong with what.
    static void expect_refused(const Outcome& outcome, int status, std::string_view part) {
        EXPECT_EQ(outcome.status, status) << outcome.err;
        EXPECT_EQ(outcome.out, "");
        EXPECT_TRUE(outcome.err.starts_with("joinery: ")) << outcome.err;
        EXPECT_EQ(std::ranges::count(outcome.err, '\n'), 1) << outcome.err;
        EXPECT_TRUE(outcome.err.ends_with('\n')) << outcome.err;
        // what: why
        EXPECT_GE(std::ranges::count(outcome.err, ':'), 2) << outcome.err;
        EXPECT_NE(outcome.err.find(part), std::string::npos) << outcome.err << "lacks " << part;
    }
    void refused(Arguments arguments, std::string_view part, std::string_view input = {}) const {
        SCOPED_TRACE(::testing::PrintToString(arguments));
        expect_refused(on("s", std::move(arguments), input), 1, part);
    }
    void wrong_usage(Arguments arguments, std::string_view part) const {
        SCOPED_TRACE(::testing::PrintToString(arguments));
        expect_refused(on("s", std::move(arguments)), 2, part);
    }
    std::string output_here(Arguments arguments, std::string_view input = {}) const {
        return output("s", std::move(arguments), input);
    }
    Json json_here(Arguments arguments) const {
        arguments.emplace_back("--json");
        return Json::parse(output_here(std::move(arguments)));
    }
    void import_text(std::string_view text) const {
        output_here({"import", "ops/main", "-"}, text);
    }
    std::string digest() const { return json_here({"ls"}).at(0).at("digest").get<std::string>(); }
    static std::set<std::string> keys(const Json& object) {
        std::set<std::string> out;
        for (const auto& [key, value] : object.items())
            out.insert(key);
        return out;
    }
    using Keys = std::set<std::string>;
};

}  // namespace joinery::testing
