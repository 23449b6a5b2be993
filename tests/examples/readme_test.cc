// The README's C++ example: compiled, run, and compared with what the README shows.
#include "joinery/document.h"
#include "joinery/json.h"
#include "joinery/peer.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>
#include <string>

namespace {

void redraw(const std::string& /*path*/) {}

std::string run_example() {
    // README begins
    auto store = joinery::open_store("ops.joinery");
    auto peer = joinery::Peer::open(*std::move(store));
    auto document = (*peer)->document("ops/main");
    auto watch = document->observe("/widgets", [](const joinery::Event& event) {
        for (const auto& patch : event.patches)
            redraw(patch.path);
    });
    auto receipt = document->transact(
        [](joinery::Tx& tx) { return tx.set("/title", joinery::Value("Operations")); });
    auto connected = (*peer)->connect("tcp://127.0.0.1:7701");
    // README ends
    EXPECT_TRUE(receipt->changed);
    EXPECT_TRUE(connected.has_value());
    return *joinery::print_json(*document->read());
}

std::string read_file(const std::string& path) {
    std::ifstream in(path);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
}

TEST(Readme, ExampleDoesWhatItSays) {
    const auto before = std::filesystem::current_path();
    std::string folder = (std::filesystem::temp_directory_path() / "joinery-XXXXXX").string();
    ASSERT_NE(mkdtemp(folder.data()), nullptr);
    std::filesystem::current_path(folder);
    EXPECT_EQ(run_example(), R"({"title":"Operations"})");
    std::filesystem::current_path(before);
    std::filesystem::remove_all(folder);
}

TEST(Readme, ShowsTheExampleAsItIsHere) {
    const std::string source = read_file(JOINERY_SOURCE "/tests/examples/readme_test.cc");
    const std::string begins = "    // README begins\n", ends = "    // README ends\n";
    const std::size_t begin = source.find(begins) + begins.size();
    const std::string example = source.substr(begin, source.find(ends) - begin);
    ASSERT_GT(example.size(), 100U);
    EXPECT_NE(read_file(JOINERY_SOURCE "/README.md").find(example), std::string::npos)
        << "README.md must show:\n"
        << example;
}

}  // namespace
