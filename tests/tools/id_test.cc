// `joinery id` after what may happen to a store: CONTRACT.md, storage-format.md "Identity".

#include "tests/tools/program.h"

#include <csignal>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>

namespace joinery::testing {
namespace {

namespace fs = std::filesystem;

class IdTest : public ProgramTest {
  protected:
    nlohmann::json id(std::string_view store) const {
        return nlohmann::json::parse(output(store, {"--json", "id"}));
    }
    /// Every file of a store, by its path: what the image of a whole machine holds.
    std::map<fs::path, std::string> image_of(std::string_view store) const {
        std::map<fs::path, std::string> files;
        for (const auto& entry : fs::recursive_directory_iterator(folder_ / store)) {
            if (!entry.is_regular_file()) continue;
            std::ifstream in(entry.path(), std::ios::binary);
            files[entry.path()] = std::string(std::istreambuf_iterator<char>(in), {});
        }
        return files;
    }
    static void put_back(const std::map<fs::path, std::string>& files) {
        for (const auto& [file, bytes] : files)
            std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
    }
};

TEST_F(IdTest, SaysWhenTheStoreTookWhichIncarnationAndWhy) {
    const auto made = id("a");
    ASSERT_EQ(made["incarnations"].size(), 1U);
    EXPECT_EQ(made["incarnations"][0]["reason"], "created");
    EXPECT_GT(made["incarnations"][0]["time_ms"].get<std::int64_t>(), 1'600'000'000'000);
    EXPECT_EQ(made["incarnations"][0]["incarnation"].get<std::string>().size(), 32U);
    EXPECT_EQ(id("a"), made);
    fs::copy(folder_ / "a", folder_ / "b", fs::copy_options::recursive);
    const auto copied = id("b");
    EXPECT_EQ(copied["key"], made["key"]);
    EXPECT_NE(copied["actor"], made["actor"]);
    ASSERT_EQ(copied["incarnations"].size(), 2U);
    EXPECT_EQ(copied["incarnations"][1]["reason"], "moved");
    EXPECT_NE(output("b", {"id"}).find(": moved"), std::string::npos);
}

TEST_F(IdTest, AStoreThatWasPutBackWholeFindsOutFromOthers) {
    output("a", {"set", "d", "/x", "1"});
    const auto image = image_of("a");
    const auto before = id("a");
    output("a", {"set", "d", "/y", "2"});
    Running peer({"--store", path("b"), "peer", "--open", "--listen", "tcp://127.0.0.1:0"});
    const std::string url = peer.wait_for("listening ");
    output("a", {"sync", url});
    put_back(image);
    EXPECT_EQ(output("a", {"export", "d"}), R"({"x":1})");
    EXPECT_EQ(id("a")["actor"], before["actor"]) << "it noticed by itself";

    const Outcome found = on("a", {"sync", url});
    EXPECT_EQ(found.status, 0) << found.err;
    EXPECT_NE(found.err.find(before["actor"].get<std::string>()), std::string::npos) << found.err;
    const auto after = id("a");
    EXPECT_NE(after["actor"], before["actor"]);
    EXPECT_EQ(after["incarnations"].back()["reason"], "overtaken");
    output("a", {"set", "d", "/z", "3"});
    output("a", {"sync", url});
    EXPECT_EQ(peer.end(SIGTERM), 0);
    EXPECT_EQ(output("b", {"export", "d"}), output("a", {"export", "d"}));
    EXPECT_EQ(output("b", {"export", "d"}), R"({"x":1,"y":2,"z":3})");
}

}  // namespace
}  // namespace joinery::testing
