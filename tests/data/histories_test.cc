// Every history of a real dashboard, version by version, through import on peers that take turns.

#include "tests/data/data_peer.h"
#include "tests/data/shared_sets.h"
#include "tests/support/shared_data.h"

#include <gtest/gtest.h>
#include <memory>
#include <vector>

namespace joinery::testing {
namespace {

/// Rules J2 and C6: after each version all peers have one digest and show it, and importing it once
/// more, elsewhere, makes no change. Where the digests are equal one view stands for all (D1).
void replay(const std::filesystem::path& path, std::size_t peer_count) {
    std::vector<std::unique_ptr<DataPeer>> peers;
    for (std::size_t i = 0; i < peer_count; ++i)
        peers.push_back(std::make_unique<DataPeer>(i + 1));
    std::size_t turn = 0;
    std::uint64_t change_count = 0;
    Plain before{PlainObject{}};
    for_each_version(path, [&](const DashboardVersion& version) {
        SCOPED_TRACE("version " + std::to_string(version.number));
        DataPeer& writer = *peers[turn % peer_count];
        DataPeer& next = *peers[++turn % peer_count];
        const bool is_new = version.root != before;
        ASSERT_EQ(writer.import(version.root, version.time), is_new);
        change_count += is_new ? 1 : 0;
        for (const auto& peer : peers) {
            if (peer.get() != &writer) exchange(writer, *peer);
        }
        // Once is enough: of all versions by one of two peers.
        if (peer_count == 2) {
            ASSERT_FALSE(next.import(version.root, version.time));
        }
        for (const auto& peer : peers) {
            ASSERT_EQ(peer->digest(), writer.digest());
            ASSERT_EQ(peer->change_count(), change_count);
        }
        ASSERT_TRUE(next.view() == version.root);
        before = version.root;
    });
    EXPECT_GT(change_count, 0U);
}

class Histories : public ::testing::TestWithParam<std::size_t> {};

TEST_P(Histories, ReplayOnPeersThatTakeTurns) {
    const auto folder = shared_path("data/dashboard-histories");
    JOINERY_SKIP_WITHOUT(folder);
    const auto files = list_files(folder, ".jsonl.gz");
    ASSERT_FALSE(files.empty());
    for (const auto& file : files) {
        SCOPED_TRACE(file.filename().string());
        replay(file, GetParam());
        if (HasFatalFailure()) return;
    }
}

INSTANTIATE_TEST_SUITE_P(PeerCount, Histories, ::testing::Values(2, 3));

}  // namespace
}  // namespace joinery::testing
