/// @file
/// Reads the histories and merges of real dashboards: ../shared/data/dashboard-histories and
/// dashboard-merges, whose README.md gives the formats json-history/1 and json-merges/1.
#pragma once

#include "base/env.h"
#include "base/plain.h"

#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

namespace joinery::testing {

/// One version of a dashboard that is JSON.
struct DashboardVersion {
    std::size_t number = 0;
    WallTime time{0};  ///< When its author made it; may go back.
    Plain root;
};

/// Calls @p body for each version in the file at @p path that is there and is JSON, in order.
/// Throws std::runtime_error where the file is not of its format.
void for_each_version(const std::filesystem::path& path,
                      const std::function<void(const DashboardVersion&)>& body);

/// Two people's concurrent edits of one dashboard, and what a person or git made of them.
struct DashboardMerge {
    std::string repository;
    std::size_t number = 0;  ///< In the repository's file.
    std::string path;        ///< Of the dashboard in the repository.
    std::string git;         ///< clean-same, clean-differs or conflict.
    WallTime ours_time{0}, theirs_time{0};
    /// None where the file was not there, or is not JSON; see not_json.
    std::optional<Plain> base, ours, theirs, merged;
    bool not_json = false;  ///< One of the four is not JSON.
};

/// Calls @p body for each merge in the file at @p path, in order. Throws as for_each_version().
void for_each_merge(const std::filesystem::path& path,
                    const std::function<void(const DashboardMerge&)>& body);

}  // namespace joinery::testing
