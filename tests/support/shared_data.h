/// @file
/// Test data that nobody here wrote, kept beside the checkout in ../shared and not part of it. A
/// test that needs it skips where it is absent, and says so.
#pragma once

#include "base/bytes.h"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace joinery::testing {

/// The path of @p relative, such as "tests/regress", in the source tree that was built.
std::filesystem::path source_path(std::string_view relative);

/// The folder of shared data: $JOINERY_SHARED, else ../shared beside the source tree. May not
/// exist.
std::filesystem::path shared_folder();

/// The path of @p relative, such as "data/dashboards", in the shared folder. May not exist.
std::filesystem::path shared_path(std::string_view relative);

/// All bytes of the file at @p path, uncompressed if it is in gzip format. Throws
/// std::runtime_error, which fails the test, if it cannot be read.
std::string read_file(const std::filesystem::path& path);

/// The lines of the file at @p path without their ends, uncompressed as by read_file(); a last
/// empty line does not count.
std::vector<std::string> read_lines(const std::filesystem::path& path);

/// The files in @p folder whose name ends in @p ending, sorted; none if there is no such folder.
std::vector<std::filesystem::path> list_files(const std::filesystem::path& folder,
                                              std::string_view ending);

/// The bytes of @p text in base64 with padding. Throws std::runtime_error if it is not that.
Bytes decode_base64(std::string_view text);

}  // namespace joinery::testing

/// Skips the running test if @p path, a std::filesystem::path, does not exist.
#define JOINERY_SKIP_WITHOUT(path)                                                              \
    do {                                                                                        \
        if (!std::filesystem::exists(path)) {                                                   \
            GTEST_SKIP() << "no " << (path).string()                                            \
                         << ": shared test data is not here; set JOINERY_SHARED to its folder"; \
        }                                                                                       \
    } while (false)
