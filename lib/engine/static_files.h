/// @file
/// Files of a folder, for browsers.
#pragma once

#include "transport/http_head.h"

#include <filesystem>
#include <string_view>

namespace joinery::detail {

/// Bytes of the largest file that is served.
inline constexpr std::size_t kServedFileMax = 16U << 20U;

/// The file that @p target names below @p folder, `index.html` for a folder; 404 for everything
/// else: what is not there, what begins with a dot, what leads out of the folder, also by a link,
/// and what is larger than kServedFileMax. No folder is listed.
transport::HttpReply serve_file(const std::filesystem::path& folder, std::string_view target);

}  // namespace joinery::detail
