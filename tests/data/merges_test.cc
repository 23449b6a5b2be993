// Every merge of a real dashboard: both sides imported concurrently on the common base.

#include "tests/data/merge_report.h"
#include "tests/support/shared_data.h"

#include <gtest/gtest.h>

namespace joinery::testing {
namespace {

/// Rule C6, and that the document says what the code of today does.
TEST(Merges, ConvergeLoseNothingUncontestedAndAreAsTheReportSays) {
    const auto folder = shared_path("data/dashboard-merges");
    JOINERY_SKIP_WITHOUT(folder);
    const MergeReport report = make_merge_report(folder);
    EXPECT_GT(report.merge_count, 0U);
    EXPECT_EQ(report.diverged, std::vector<std::string>());
    EXPECT_EQ(report.lost, std::vector<std::string>());
    EXPECT_TRUE(report.text == read_file(JOINERY_MERGE_REPORT))
        << "docs/merge-report.md is not what ./dev merges writes today";
}

}  // namespace
}  // namespace joinery::testing
