/// @file
/// What becomes of real merges, as the document docs/merge-report.md: a pure function of the data
/// and the engine.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace joinery::testing {

struct MergeReport {
    std::string text;                   ///< Markdown.
    std::size_t merge_count = 0;        ///< All that are in the files.
    std::vector<std::string> diverged;  ///< Merges after which peers had unequal digests.
    std::vector<std::string> lost;      ///< Paths of which uncontested work is not there.
};

/// Runs every merge in the files in @p folder.
MergeReport make_merge_report(const std::filesystem::path& folder);

}  // namespace joinery::testing
