// Attacks docs/semantics.md C4 to C6, V, R, M, E, N, L and D1 by random histories: whatever the
// order, the batching and the duplicates, all replicas come out alike and like tests/model.
#include "crdt/random_history.h"
#include "model/from_crdt.h"

#include <gtest/gtest.h>

namespace joinery::crdt::test {
namespace {

class Laws : public testing::TestWithParam<Theme> {};

TEST_P(Laws, ReplicasConvergeToTheModelWhateverTheOrderOfDelivery) {
    for (const std::uint64_t seed : seeds_for(GetParam(), 250)) {
        SeededSource source(seed);
        RandomHistory history(source, GetParam());
        history.run(20 + source.below(40));
        history.finish();
        for (int i = 0; i < 3; ++i)
            history.replay();
        ASSERT_TRUE(history.fault().empty())
            << "JOINERY_SEED=" << seed << " " << theme_name(GetParam()) << ": " << history.fault();
    }
}

INSTANTIATE_TEST_SUITE_P(
    Themes,
    Laws,
    testing::Values(Theme::registers, Theme::maps, Theme::counters, Theme::lists, Theme::nested),
    [](const auto& named) { return std::string(theme_name(named.param)); });

}  // namespace
}  // namespace joinery::crdt::test
