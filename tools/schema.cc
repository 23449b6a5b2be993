#include "tools/schema.h"

#include "base/assert.h"
#include "joinery/json.h"
#include "tools/common.h"

#include <algorithm>
#include <array>
#include <exception>
#include <memory>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>
#include <vector>

// What is wrong with a schema it says by exceptions, else by ending the process.
#define VALIJSON_USE_EXCEPTIONS 1
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

namespace joinery::tools {
namespace {

using Json = nlohmann::json;

/// Keywords whose cost, in time or stack, is not bounded by the size of what they look at.
constexpr std::array<std::string_view, 4> kUnbounded{
    "pattern", "patternProperties", "format", "uniqueItems"};
/// Keywords whose members are names of the schema's own, with a schema each.
constexpr std::array<std::string_view, 4> kNamed{
    "properties", "definitions", "$defs", "dependencies"};
/// Keywords that hold data.
constexpr std::array<std::string_view, 4> kData{"enum", "const", "default", "examples"};

bool is_among(std::string_view word, const std::array<std::string_view, 4>& words) {
    return std::ranges::find(words, word) != words.end();
}

/// What of @p schema is not taken; empty: all is.
std::string unbounded_in(const Json& schema) {
    if (schema.is_array()) {
        for (const Json& item : schema) {
            if (std::string found = unbounded_in(item); !found.empty()) return found;
        }
    }
    if (!schema.is_object()) return {};
    for (const auto& [key, value] : schema.items()) {
        if (is_among(key, kUnbounded)) return key;
        if (is_among(key, kData)) continue;
        if (key == "$ref" && (!value.is_string() || !value.get<std::string>().starts_with("#"))) {
            return "$ref out of the file";
        }
        std::string found;
        if (is_among(key, kNamed) && value.is_object()) {
            for (const auto& [name, inner] : value.items()) {
                if (found.empty()) found = unbounded_in(inner);
            }
        } else {
            found = unbounded_in(value);
        }
        if (!found.empty()) return found;
    }
    return {};
}

/// As it is exported, with text for what JSON has no form for.
Json json_of(const Plain& plain) {
    const auto text = print_json(plain, {0, JsonForeign::as_text});
    JOINERY_ASSERT(text.has_value());
    return Json::parse(*text, nullptr, false);
}

/// "/a/b: what is wrong", of the innermost thing that is.
std::string reason_of(valijson::ValidationResults& results) {
    valijson::ValidationResults::Error error;
    if (!results.popError(error)) return "does not fit the schema";
    std::string path;
    for (std::size_t i = 1; i < error.context.size(); ++i) {
        std::string step = error.context[i];
        if (step.size() > 2 && step.front() == '[') step = step.substr(1, step.size() - 2);
        path += "/" + step;
    }
    return (path.empty() ? "the document" : path) + ": " + error.description;
}

}  // namespace

std::optional<Judge> read_schema(const std::string& name) {
    const auto text = read_file(name);
    if (!text) {
        report(name, text.error());
        return std::nullopt;
    }
    const Json json = Json::parse(*text, nullptr, false);
    if (json.is_discarded() || !json.is_object()) {
        report(name, "that is no JSON Schema: an object is wanted");
        return std::nullopt;
    }
    if (const std::string found = unbounded_in(json); !found.empty()) {
        report(name, found + " is not taken: a stranger's change decides how long it takes");
        return std::nullopt;
    }
    const auto schema = std::make_shared<valijson::Schema>();
    try {
        valijson::SchemaParser(valijson::SchemaParser::kDraft7)
            .populateSchema(valijson::adapters::NlohmannJsonAdapter(json), *schema);
    } catch (const std::exception& error) {
        report(name, error.what());
        return std::nullopt;
    }
    return [schema](const Proposal& proposal) -> std::optional<std::string> {
        const auto whole = proposal.read("");
        if (!whole) return std::string(whole.error().what);
        const Json document = json_of(*whole);
        valijson::ValidationResults results;
        try {
            const valijson::adapters::NlohmannJsonAdapter target(document);
            if (valijson::Validator().validate(*schema, target, &results)) return std::nullopt;
        } catch (const std::exception& error) {
            return std::string(error.what());
        }
        return reason_of(results);
    };
}

bool judge_by(const std::string& name, Options& options) {
    if (name.empty()) return true;
    auto judge = read_schema(name);
    if (judge) options.judge = *std::move(judge);
    return judge.has_value();
}

}  // namespace joinery::tools
