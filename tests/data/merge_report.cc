#include "tests/data/merge_report.h"

#include "tests/data/merge_compare.h"
#include "tests/support/shared_data.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace joinery::testing {
namespace {

constexpr std::array<std::string_view, kReasonCount> kReasons{
    "Both sides wrote it; the people took the side that is older here",
    "The people wrote what neither side had",
    "One side alone wrote it; the people went back to the base",
    "One side erased what the other edited",
    "Both sides added it, under the same key, with other content",
    "In an array whose elements have no `id`, `uid` or `name` of their own",
    "The same elements in another order",
    "What one side alone wrote is not there",
};
constexpr std::array<std::string_view, 3> kGitOutcomes{"clean-same", "clean-differs", "conflict"};
constexpr std::size_t kExamplesMax = 3;

struct Share {
    std::size_t count = 0, equal_count = 0;
    void add(bool is_equal) {
        ++count;
        equal_count += is_equal ? 1 : 0;
    }
    void add(const Share& other) {
        count += other.count;
        equal_count += other.equal_count;
    }
    std::string text() const {
        return count == 0 ? "-" : std::to_string(equal_count) + " of " + std::to_string(count);
    }
    /// "98.4 %", cut off, so that only all is 100.
    std::string percent() const {
        if (count == 0) return "-";
        const std::size_t tenths = equal_count * 1000 / count;
        return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " %";
    }
};

/// What is said of one repository, or of all.
struct Tally {
    std::size_t merge_count = 0, uncompared_count = 0;
    Share converged, paths;
    std::array<Share, kGitOutcomes.size()> whole;
    std::array<std::size_t, kReasonCount> differing_paths{}, differing_merges{};

    void add(const Tally& other) {
        merge_count += other.merge_count;
        uncompared_count += other.uncompared_count;
        converged.add(other.converged);
        paths.add(other.paths);
        for (std::size_t i = 0; i < whole.size(); ++i)
            whole[i].add(other.whole[i]);
        for (std::size_t i = 0; i < kReasonCount; ++i) {
            differing_paths[i] += other.differing_paths[i];
            differing_merges[i] += other.differing_merges[i];
        }
    }
};

struct Example {
    std::string merge, git, file;
    Difference difference;
};

std::string row(const std::vector<std::string>& cells) {
    std::string out = "|";
    for (const std::string& cell : cells)
        out += " " + cell + " |";
    return out + "\n";
}

/// @p json in a table's cell, where nothing may end the cell or the code; ASCII.
std::string code(std::string_view json) {
    if (json.empty()) return "nothing";
    std::string out;
    for (const char byte : json) {
        if (byte == '|' || byte == '`' || static_cast<unsigned char>(byte) >= 0x80) {
            out += byte == '|' ? "/" : byte == '`' ? "'" : "?";
        } else {
            out += byte;
        }
    }
    return "`" + out + "`";
}

class Reporter {
  public:
    void add(const DashboardMerge& merge) {
        Tally& tally = tallies_[merge.repository];
        ++tally.merge_count;
        ++report_.merge_count;
        const std::string name = merge.repository + " " + std::to_string(merge.number);
        if (!merge.ours || !merge.theirs || (merge.not_json && !merge.base)) {
            ++tally.uncompared_count;
            return;
        }
        const MergeOutcome outcome = run_named(name, merge);
        tally.converged.add(outcome.is_converged);
        if (!outcome.is_converged) report_.diverged.push_back(name);
        if (!outcome.is_compared) {
            ++tally.uncompared_count;
            return;
        }
        const auto git = std::ranges::find(kGitOutcomes, merge.git) - kGitOutcomes.begin();
        tally.whole.at(static_cast<std::size_t>(git)).add(outcome.is_equal);
        tally.paths.add({outcome.path_count, outcome.equal_count});
        std::set<Reason> reasons;
        for (const Difference& difference : outcome.differences) {
            const auto index = static_cast<std::size_t>(difference.reason);
            ++tally.differing_paths.at(index);
            if (difference.reason == Reason::lost) report_.lost.push_back(name + difference.path);
            if (reasons.insert(difference.reason).second) {
                ++tally.differing_merges.at(index);
                keep({name, merge.git, merge.path, difference});
            }
        }
    }

    MergeReport finish() {
        std::string& out = report_.text;
        introduce(out);
        by_repository(out);
        by_reason(out);
        examples(out);
        return std::move(report_);
    }

  private:
    static MergeOutcome run_named(const std::string& name, const DashboardMerge& merge) {
        try {
            return run_merge(merge);
        } catch (const std::runtime_error& error) {
            throw std::runtime_error(name + ": " + error.what());
        }
    }

    /// One example of each repository first, as many as are shown.
    void keep(Example example) {
        auto& kept = examples_[example.difference.reason];
        const std::string repository = example.merge.substr(0, example.merge.find(' '));
        const bool is_first_of_its = std::ranges::none_of(
            kept, [&](const Example& other) { return other.merge.starts_with(repository + " "); });
        if (is_first_of_its && kept.size() < kExamplesMax) kept.push_back(std::move(example));
    }

    static void introduce(std::string& out) {
        out +=
            "# What becomes of people's merges\n"
            "\n"
            "Written by `./dev merges`; the test `Merges` holds that it says what the code does.\n"
            "\n"
            "Each case is a merge commit of a public repository in which both sides had changed "
            "one dashboard\n"
            "(`../shared/data/dashboard-merges`). Two peers have the common base. One imports "
            "what one side had, the\n"
            "other what the other had, each at that side's time; then they exchange. A third peer "
            "gets all at once. All\n"
            "three must have one digest. What they show is compared with what was committed.\n"
            "\n"
            "A *path* is a place at which a side differs from the base, or the two merges differ: "
            "a member, or an element\n"
            "by `id`, `uid`, `name`, `title`, `refId` or `text`, as deep as all have it; an array "
            "of other elements and\n"
            "unequal sizes is one path, an element that a side added or erased too, and so is the "
            "order of an array.\n"
            "\n";
    }

    void by_repository(std::string& out) const {
        out +=
            "## By repository\n"
            "\n"
            "`clean-same`: git merged the lines, and that was committed; `clean-differs`: the "
            "committer changed more;\n"
            "`conflict`: git could not. Counted are the merges whose whole JSON is the "
            "people's.\n"
            "\n";
        out += row({"repository",
                    "merges",
                    "one digest",
                    "clean-same",
                    "clean-differs",
                    "conflict",
                    "not compared",
                    "paths as the people",
                    ""});
        out += "| --- | --: | --: | --: | --: | --: | --: | --: | --: |\n";
        Tally all;
        for (const auto& [repository, tally] : tallies_) {
            out += repository_row(repository, tally);
            all.add(tally);
        }
        out += repository_row("all", all);
        out +=
            "\n"
            "Not compared: a side or the merge is not JSON.\n"
            "\n";
    }

    static std::string repository_row(const std::string& name, const Tally& tally) {
        return row({name,
                    std::to_string(tally.merge_count),
                    tally.converged.text(),
                    tally.whole[0].text(),
                    tally.whole[1].text(),
                    tally.whole[2].text(),
                    std::to_string(tally.uncompared_count),
                    tally.paths.text(),
                    tally.paths.percent()});
    }

    void by_reason(std::string& out) const {
        Tally all;
        for (const auto& [repository, tally] : tallies_)
            all.add(tally);
        out += "## Where it is not the people's value, why\n\n";
        out += row({"why", "paths", "merges"});
        out += "| --- | --: | --: |\n";
        for (std::size_t i = 0; i < kReasonCount; ++i) {
            out += row({std::string(kReasons[i]),
                        std::to_string(all.differing_paths[i]),
                        std::to_string(all.differing_merges[i])});
        }
        out += "\n";
    }

    void examples(std::string& out) const {
        out += "## Examples\n";
        for (const auto& [reason, kept] : examples_) {
            out += "\n### " + std::string(kReasons.at(static_cast<std::size_t>(reason))) + "\n";
            for (const Example& example : kept) {
                const Difference& difference = example.difference;
                out += "\n" + example.merge + " (" + example.git + "), " + example.file + ", at " +
                       code(difference.path) + "\n\n";
                out += row({"", "value"}) + "| --- | --- |\n";
                out += row({"base", code(difference.base)});
                out += row({"ours", code(difference.ours)});
                out += row({"theirs", code(difference.theirs)});
                out += row({"people", code(difference.people)});
                out += row({"Joinery", code(difference.joinery)});
            }
        }
    }

    MergeReport report_;
    std::map<std::string, Tally> tallies_;
    std::map<Reason, std::vector<Example>> examples_;
};

}  // namespace

MergeReport make_merge_report(const std::filesystem::path& folder) {
    Reporter reporter;
    for (const auto& file : list_files(folder, ".jsonl.gz"))
        for_each_merge(file, [&](const DashboardMerge& merge) { reporter.add(merge); });
    return reporter.finish();
}

}  // namespace joinery::testing
