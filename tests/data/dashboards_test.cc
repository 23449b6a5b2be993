// Every real dashboard: imported, synced to a second store by the program, and exported equal.

#include "joinery/json.h"
#include "joinery/peer.h"
#include "tests/support/shared_data.h"
#include "tests/tools/program.h"

#include <bit>
#include <csignal>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

namespace joinery::testing {
namespace {

using Json = nlohmann::json;

/// Equal by the rules of J1: integers and doubles apart, doubles to the last bit.
bool same(const Json& a, const Json& b) {
    if (a.is_number() || b.is_number()) {
        if (!a.is_number() || !b.is_number()) return false;
        constexpr auto kIntegerMax = std::uint64_t{std::numeric_limits<std::int64_t>::max()};
        const auto is_real = [](const Json& number) {
            return number.is_number_float() ||
                   (number.is_number_unsigned() && number.get<std::uint64_t>() > kIntegerMax);
        };
        if (is_real(a) != is_real(b)) return false;
        if (!is_real(a)) return a.get<std::int64_t>() == b.get<std::int64_t>();
        return std::bit_cast<std::uint64_t>(a.get<double>()) ==
               std::bit_cast<std::uint64_t>(b.get<double>());
    }
    if (a.type() != b.type() || a.size() != b.size()) return false;
    if (a.is_array()) return std::ranges::equal(a, b, same);
    if (!a.is_object()) return a == b;
    for (const auto& [key, value] : a.items()) {
        const auto other = b.find(key);
        if (other == b.end() || !same(value, *other)) return false;
    }
    return true;
}

class Dashboards : public ProgramTest {
  protected:
    std::unique_ptr<Peer> open(std::string_view name) {
        return *Peer::open(*open_store(path(name)), {});
    }
};

/// By the id of the document: its source, as it stands in the file.
std::map<std::string, std::string> all_dashboards(const std::filesystem::path& folder) {
    std::map<std::string, std::string> out;
    for (const auto& file : list_files(folder, ".jsonl.gz")) {
        std::size_t number = 0;
        for (const std::string& line : read_lines(file)) {
            constexpr std::string_view kKey = "\"json\":";
            const std::size_t at = line.find(kKey) + kKey.size();
            out[file.stem().stem().string() + "/" + std::to_string(++number)] =
                line.substr(at, line.size() - at - 1);
        }
    }
    return out;
}

TEST_F(Dashboards, ImportSyncAndExportEqual) {
    const auto folder = shared_path("data/dashboards");
    JOINERY_SKIP_WITHOUT(folder);
    const auto sources = all_dashboards(folder);
    ASSERT_FALSE(sources.empty());
    {
        const auto peer = open("a");
        for (const auto& [id, source] : sources) {
            const auto value = parse_json(source);
            ASSERT_TRUE(value.has_value()) << id << ": " << value.error().what;
            auto document = *peer->document(id);
            const auto import = [&] {
                return document.transact([&](Tx& tx) { return tx.set("", *value); });
            };
            ASSERT_TRUE(import()->changed) << id;
            ASSERT_FALSE(import()->changed) << id << " imported twice";
        }
        ASSERT_TRUE(peer->flush().has_value());
    }
    Running server({"--store", path("a"), "peer", "--open", "--listen", "tcp://127.0.0.1:0"});
    const std::string url = server.wait_for("listening ");
    const Json moved = Json::parse(output("b", {"sync", url, "--json"}));
    EXPECT_EQ(moved.at("documents"), sources.size());
    EXPECT_EQ(moved.at("changes_received"), sources.size());
    EXPECT_EQ(server.end(SIGTERM), 0);
    {
        const auto a = open("a");
        const auto b = open("b");
        for (const auto& [id, source] : sources) {
            const auto there = *b->document(id, false);
            EXPECT_EQ(there.status()->digest, a->document(id, false)->status()->digest) << id;
            EXPECT_TRUE(same(Json::parse(*print_json(*there.read())), Json::parse(source))) << id;
        }
    }
    // One of each source by the program too.
    for (auto at = sources.begin(); at != sources.end();) {
        const std::string source = at->first.substr(0, at->first.find('/') + 1);
        EXPECT_TRUE(same(Json::parse(output("b", {"export", at->first})), Json::parse(at->second)))
            << at->first;
        output("c", {"import", at->first, "-"}, at->second);
        EXPECT_EQ(output("c", {"export", at->first}), output("b", {"export", at->first}));
        while (at != sources.end() && at->first.starts_with(source))
            ++at;
    }
}

}  // namespace
}  // namespace joinery::testing
