#include "tools/demo/edits.h"

#include "joinery/json.h"

#include <algorithm>
#include <array>

namespace joinery::tools {
namespace {

constexpr std::array<std::string_view, 12> kEdited{"title",
                                                   "description",
                                                   "x",
                                                   "y",
                                                   "w",
                                                   "h",
                                                   "unit",
                                                   "refresh",
                                                   "from",
                                                   "width",
                                                   "height",
                                                   "decimals"};
constexpr std::size_t kTextSizeMax = 60;

std::string token(std::string_view key) {
    std::string out = "/";
    for (const char c : key) {
        if (c == '~') {
            out += "~0";
        } else if (c == '/') {
            out += "~1";
        } else {
            out += c;
        }
    }
    return out;
}

}  // namespace

Edits::Edits(const Plain& dashboard, std::uint64_t seed) : random_(seed) { look_at(dashboard); }

void Edits::look_at(const Plain& dashboard) {
    fields_.clear();
    widgets_.clear();
    widget_count_ = 0;
    collect(dashboard, "", "");
    if (!dashboard.is_object()) return;
    if (const Plain* title = find_member(dashboard.object(), "title");
        title != nullptr && title->is_scalar() && title->scalar().type() == ValueType::string) {
        title_ = title->scalar().as_string();
    }
    for (const auto& [key, value] : dashboard.object()) {
        if (!value.is_array() || value.array().size() <= widget_count_) continue;
        if (!std::ranges::all_of(value.array(), &Plain::is_object)) continue;
        widgets_ = token(key);
        widget_count_ = value.array().size();
    }
    // The clash is about the title, so nobody else touches it.
    std::erase_if(fields_, [](const Field& field) { return field.path == "/title"; });
    if (fields_.empty()) fields_.push_back({"/note", "note", true});
}

void Edits::collect(const Plain& value, const std::string& path, const std::string& key) {
    if (value.is_object()) {
        for (const auto& [name, member] : value.object())
            collect(member, path + token(name), name);
    } else if (value.is_array()) {
        for (std::size_t i = 0; i < value.array().size(); ++i)
            collect(value.array()[i], path + "/" + std::to_string(i), "");
    } else if (std::ranges::find(kEdited, key) != kEdited.end()) {
        const Value& scalar = value.scalar();
        if (scalar.type() == ValueType::string && scalar.as_string().size() <= kTextSizeMax &&
            path.find('\t') == std::string::npos) {
            fields_.push_back({path, std::string(scalar.as_string()), true});
        } else if (scalar.type() == ValueType::integer) {
            fields_.push_back({path, "", false});
        }
    }
}

FieldEdit Edits::next() {
    const Field& field = fields_[random_() % fields_.size()];
    ++count_;
    const std::string text = field.text + " (edit " + std::to_string(count_) + ")";
    const Plain value =
        field.is_text ? Plain{Value(text)} : Plain{Value(static_cast<std::int64_t>(count_))};
    return {field.path, print_json(value).value_or("null")};
}

}  // namespace joinery::tools
