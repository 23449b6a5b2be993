#include "tests/data/shared_sets.h"

#include "joinery/json.h"
#include "tests/support/shared_data.h"

#include <map>
#include <stdexcept>
#include <utility>

namespace joinery::testing {
namespace {

const Plain* member(const Plain& object, std::string_view key) {
    return object.is_object() ? find_member(object.object(), key) : nullptr;
}

const Plain& needed(const Plain& object, std::string_view key) {
    const Plain* found = member(object, key);
    if (found == nullptr) throw std::runtime_error("no member " + std::string(key));
    return *found;
}

std::int64_t integer(const Plain& object, std::string_view key) {
    return needed(object, key).scalar().as_integer();
}

std::string text(const Plain& object, std::string_view key) {
    return std::string(needed(object, key).scalar().as_string());
}

/// Times in the files are seconds.
WallTime time_at(const Plain& line, std::string_view key) {
    return WallTime(integer(line, key) * 1000);
}

/// The objects that a file says once and refers to.
class Objects {
  public:
    void add(const Plain& line) { objects_.emplace(integer(line, "id"), needed(line, "json")); }

    /// @p value with each {"$obj": N} replaced by object N.
    Plain expand(const Plain& value) const {
        if (value.is_array()) {
            PlainArray out;
            out.reserve(value.array().size());
            for (const Plain& element : value.array())
                out.push_back(expand(element));
            return Plain{std::move(out)};
        }
        if (!value.is_object()) return value;
        const Plain* reference = member(value, "$obj");
        if (reference != nullptr && value.object().size() == 1) {
            return expand(objects_.at(reference->scalar().as_integer()));
        }
        PlainObject out;
        out.reserve(value.object().size());
        for (const auto& [key, inner] : value.object())
            out.push_back({key, expand(inner)});
        return Plain{std::move(out)};
    }

  private:
    std::map<std::int64_t, Plain> objects_;
};

/// Calls @p body for each line that is neither the meta line nor an object.
void for_each_line(
    const std::filesystem::path& path,
    const std::function<void(const Plain& meta, const Objects&, const Plain& line)>& body) {
    Objects objects;
    Plain meta;
    JsonLimits limits;
    // What is not JSON is given as one string.
    limits.string_size_max = std::size_t{64} << 20U;
    for (const std::string& bytes : read_lines(path)) {
        const auto line = parse_json(bytes, limits);
        if (!line) throw std::runtime_error(path.string() + ": " + std::string(line.error().what));
        const std::string type = text(*line, "t");
        if (type == "meta") {
            meta = *line;
        } else if (type == "obj") {
            objects.add(*line);
        } else {
            body(meta, objects, *line);
        }
    }
}

std::optional<Plain> side(const Objects& objects, const Plain& line, std::string_view key) {
    const Plain* found = member(line, key);
    if (found == nullptr) return std::nullopt;
    Plain whole = objects.expand(*found);
    if (!whole.is_object()) return std::nullopt;
    return whole;
}

}  // namespace

void for_each_version(const std::filesystem::path& path,
                      const std::function<void(const DashboardVersion&)>& body) {
    for_each_line(path, [&](const Plain&, const Objects& objects, const Plain& line) {
        auto root = side(objects, line, "root");
        if (!root) return;
        DashboardVersion version;
        version.number = static_cast<std::size_t>(integer(line, "n"));
        version.time = time_at(line, "time");
        version.root = *std::move(root);
        body(version);
    });
}

void for_each_merge(const std::filesystem::path& path,
                    const std::function<void(const DashboardMerge&)>& body) {
    for_each_line(path, [&](const Plain& meta, const Objects& objects, const Plain& line) {
        DashboardMerge merge;
        merge.repository = text(meta, "repo");
        merge.number = static_cast<std::size_t>(integer(line, "n"));
        merge.path = text(line, "path");
        merge.git = text(line, "git");
        merge.ours_time = time_at(line, "time_ours");
        merge.theirs_time = time_at(line, "time_theirs");
        merge.base = side(objects, line, "j_base");
        merge.ours = side(objects, line, "j_ours");
        merge.theirs = side(objects, line, "j_theirs");
        merge.merged = side(objects, line, "j_merged");
        merge.not_json = member(line, "invalid") != nullptr;
        body(merge);
    });
}

}  // namespace joinery::testing
