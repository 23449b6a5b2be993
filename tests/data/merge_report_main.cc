// Writes docs/merge-report.md anew, or the file that is named: ./dev merges [FILE].

#include "tests/data/merge_report.h"
#include "tests/support/shared_data.h"

#include <fstream>
#include <iostream>

int main(int argc, char** argv) {
    const std::string file = argc > 1 ? argv[1] : JOINERY_MERGE_REPORT;
    const auto folder = joinery::testing::shared_path("data/dashboard-merges");
    if (!std::filesystem::is_directory(folder)) {
        std::cerr << "merge_report: no " << folder.string()
                  << ": shared test data is not here; set JOINERY_SHARED to its folder\n";
        return 1;
    }
    const auto report = joinery::testing::make_merge_report(folder);
    std::ofstream(file, std::ios::binary) << report.text;
    std::cout << report.merge_count << " merges: " << report.diverged.size() << " diverged, "
              << report.lost.size() << " paths lost; written to " << file << '\n';
    for (const std::string& path : report.lost)
        std::cout << "lost: " << path << '\n';
    return report.diverged.empty() && report.lost.empty() ? 0 : 1;
}
