#include "tests/data/merge_compare.h"

#include "joinery/json.h"
#include "tests/data/data_peer.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <utility>

namespace joinery::testing {
namespace {

enum Document : std::size_t { kBase, kOurs, kTheirs, kPeople, kJoinery, kDocumentCount };

/// What the five documents have at one path; null where it is nothing.
using Five = std::array<const Plain*, kDocumentCount>;

bool same(const Plain* a, const Plain* b) {
    return (a == nullptr) == (b == nullptr) && (a == nullptr || *a == *b);
}

bool all(const Five& five, bool (Plain::*is)() const noexcept) {
    return std::ranges::all_of(
        five, [&](const Plain* value) { return value != nullptr && (value->*is)(); });
}

/// The five as JSON, each cut down to where they begin to differ; empty where nothing is.
std::array<std::string, kDocumentCount> excerpts(const Five& five) {
    constexpr std::size_t kBefore = 24;
    constexpr std::size_t kSizeMax = 72;
    std::array<std::string, kDocumentCount> texts;
    std::optional<std::string_view> common;
    for (std::size_t i = 0; i < five.size(); ++i) {
        if (five[i] == nullptr) continue;
        texts[i] = *print_json(*five[i]);
        if (!common) common = texts[i];
        const auto [end, other] = std::ranges::mismatch(*common, texts[i]);
        common = common->substr(0, static_cast<std::size_t>(end - common->begin()));
    }
    const std::size_t same_size = common ? common->size() : 0;
    const std::size_t begin = same_size > kBefore ? same_size - kBefore : 0;
    for (std::string& text : texts) {
        if (text.size() <= kSizeMax) continue;
        std::string part = text.substr(std::min(begin, text.size()));
        if (part.size() > kSizeMax) part = part.substr(0, kSizeMax) + "...";
        text = (begin == 0 ? "" : "...") + part;
    }
    return texts;
}

/// Walks the five documents side by side.
class Comparison {
  public:
    void walk(const std::string& path, const Five& five) {
        const bool touched = !same(five[kBase], five[kOurs]) || !same(five[kBase], five[kTheirs]);
        if (!touched && same(five[kPeople], five[kJoinery])) return;
        if (all(five, &Plain::is_object)) return walk_objects(path, five);
        if (all(five, &Plain::is_array)) return walk_arrays(path, five);
        count(path, five, reason_of(five));
    }

    MergeOutcome outcome;

  private:
    void walk_objects(const std::string& path, const Five& five) {
        std::set<std::string> keys;
        for (const Plain* value : five) {
            for (const auto& [key, inner] : value->object())
                keys.insert(key);
        }
        for (const std::string& key : keys) {
            Five inner{};
            for (std::size_t i = 0; i < five.size(); ++i)
                inner[i] = find_member(five[i]->object(), key);
            walk(path + "/" + key, inner);
        }
    }

    void walk_arrays(const std::string& path, const Five& five) {
        const std::string_view field = common_field(five);
        if (!field.empty()) {
            const bool is_import_key = field == "id" || field == "uid" || field == "name";
            const bool outer = std::exchange(by_import_keys_, by_import_keys_ && is_import_key);
            walk_by_key(path, five, field);
            by_import_keys_ = outer;
            return;
        }
        const std::size_t size = five[kBase]->array().size();
        const bool same_size = std::ranges::all_of(
            five, [&](const Plain* value) { return value->array().size() == size; });
        if (!same_size) {
            return count(path, five, Reason::no_key);
        }
        const bool outer = std::exchange(by_import_keys_, false);
        for (std::size_t i = 0; i < size; ++i) {
            Five inner{};
            for (std::size_t d = 0; d < five.size(); ++d)
                inner[d] = &five[d]->array()[i];
            walk(path + "/" + std::to_string(i), inner);
        }
        by_import_keys_ = outer;
    }

    /// Elements by what they have at a field, as JSON.
    using ByKey = std::map<std::string, const Plain*>;

    static std::optional<ByKey> by_key(const PlainArray& array, std::string_view field) {
        ByKey out;
        for (const Plain& element : array) {
            if (!element.is_object()) return std::nullopt;
            const Plain* key = find_member(element.object(), field);
            if (key == nullptr || !key->is_scalar() || key->scalar().is_null()) return std::nullopt;
            if (!out.emplace(*print_json(*key), &element).second) return std::nullopt;
        }
        return out;
    }

    /// A field by which the elements of all five can be told apart. More of them are tried than an
    /// import tries, for people tell elements apart by more than their ids.
    static std::string_view common_field(const Five& five) {
        for (const std::string_view field : {"id", "uid", "name", "title", "refId", "text"}) {
            const bool fits = std::ranges::all_of(five, [&](const Plain* value) {
                return by_key(value->array(), field).has_value();
            });
            if (fits) return field;
        }
        return {};
    }

    void walk_by_key(const std::string& path, const Five& five, std::string_view field) {
        std::array<ByKey, kDocumentCount> maps;
        std::set<std::string> keys;
        for (std::size_t i = 0; i < five.size(); ++i) {
            maps[i] = *by_key(five[i]->array(), field);
            for (const auto& [key, element] : maps[i])
                keys.insert(key);
        }
        for (const std::string& key : keys) {
            Five inner{};
            for (std::size_t i = 0; i < five.size(); ++i) {
                const auto found = maps[i].find(key);
                inner[i] = found == maps[i].end() ? nullptr : found->second;
            }
            walk(path + "[" + std::string(field) + "=" + key + "]", inner);
        }
        // Of the elements that all five have: an element too many moves no other.
        std::array<std::vector<std::string>, kDocumentCount> orders;
        for (std::size_t i = 0; i < five.size(); ++i) {
            for (const Plain& element : five[i]->array()) {
                const std::string key = *print_json(*find_member(element.object(), field));
                const bool everywhere =
                    std::ranges::all_of(maps, [&](const ByKey& map) { return map.contains(key); });
                if (everywhere) orders[i].push_back(key);
            }
        }
        compare_order(path, orders);
    }

    void compare_order(const std::string& path,
                       const std::array<std::vector<std::string>, kDocumentCount>& orders) {
        const bool touched = orders[kBase] != orders[kOurs] || orders[kBase] != orders[kTheirs];
        if (!touched && orders[kPeople] == orders[kJoinery]) return;
        std::array<Plain, kDocumentCount> lists;
        Five five{};
        for (std::size_t i = 0; i < orders.size(); ++i) {
            PlainArray keys;
            for (const std::string& key : orders[i])
                keys.push_back(*parse_json(key));
            lists[i] = Plain{std::move(keys)};
            five[i] = &lists[i];
        }
        const Reason reason = reason_of(five);
        count(path + " (order)", five, reason == Reason::lost ? reason : Reason::order);
    }

    static Reason reason_of(const Five& five) {
        const bool by_ours = !same(five[kBase], five[kOurs]);
        const bool by_theirs = !same(five[kBase], five[kTheirs]);
        const bool contested = by_ours && by_theirs && !same(five[kOurs], five[kTheirs]);
        const Plain* due = by_ours ? five[kOurs] : five[kTheirs];
        if (!contested && !same(five[kJoinery], due)) return Reason::lost;
        if (!contested) {
            return same(five[kPeople], five[kBase]) ? Reason::side_dropped : Reason::new_value;
        }
        if (five[kBase] == nullptr) return Reason::both_added;
        if (five[kOurs] == nullptr || five[kTheirs] == nullptr) return Reason::erase_edit;
        const bool people_took_a_side =
            same(five[kPeople], five[kOurs]) || same(five[kPeople], five[kTheirs]);
        return people_took_a_side ? Reason::other_side : Reason::new_value;
    }

    void count(const std::string& path, const Five& five, Reason reason) {
        ++outcome.path_count;
        if (same(five[kPeople], five[kJoinery])) {
            ++outcome.equal_count;
            return;
        }
        // What an import cannot tell apart it may take for another element.
        if (reason == Reason::lost && !by_import_keys_) reason = Reason::no_key;
        auto [base, ours, theirs, people, joinery] = excerpts(five);
        outcome.differences.push_back({reason,
                                       path,
                                       std::move(base),
                                       std::move(ours),
                                       std::move(theirs),
                                       std::move(people),
                                       std::move(joinery)});
    }

    /// Whether all arrays on the way here have elements that an import tells apart by a key.
    bool by_import_keys_ = true;
};

}  // namespace

MergeOutcome compare_merge(const DashboardMerge& merge, const Plain& joinery) {
    const Plain nothing{PlainObject{}};
    Comparison comparison;
    comparison.walk("",
                    {merge.base ? &*merge.base : &nothing,
                     &*merge.ours,
                     &*merge.theirs,
                     &*merge.merged,
                     &joinery});
    MergeOutcome outcome = std::move(comparison.outcome);
    outcome.is_compared = true;
    outcome.is_equal = *merge.merged == joinery;
    return outcome;
}

MergeOutcome run_merge(const DashboardMerge& merge) {
    DataPeer ours(1);
    DataPeer theirs(2);
    DataPeer third(3);
    // Before both sides, whose clocks say when they were made.
    const WallTime base_time =
        std::min(merge.ours_time, merge.theirs_time) - std::chrono::hours(24);
    if (merge.base) {
        ours.import(*merge.base, base_time);
        exchange(ours, theirs);
    }
    ours.import(*merge.ours, merge.ours_time);
    theirs.import(*merge.theirs, merge.theirs_time);
    exchange(ours, theirs);
    exchange(theirs, third);
    const bool is_converged = ours.digest() == theirs.digest() && third.digest() == theirs.digest();
    MergeOutcome outcome;
    if (merge.merged) outcome = compare_merge(merge, third.view());
    outcome.is_converged = is_converged;
    return outcome;
}

}  // namespace joinery::testing
