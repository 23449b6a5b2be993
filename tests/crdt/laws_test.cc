// Attacks docs/semantics.md C4 to C6, V, R, M, E, N, L and D1 by random histories: whatever the
// order, the batching and the duplicates, all replicas come out alike and like tests/model.
#include "crdt/random_history.h"
#include "model/from_crdt.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

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

/// The same of histories that rapidcheck makes, and shortens where one fails: RC_PARAMS repeats it.
TEST_P(Laws, HoldForWhateverBytesDecideTheHistory) {
    const bool holds = rc::check([&] {
        const auto bytes = *rc::gen::resize(1000, rc::gen::arbitrary<std::vector<std::uint8_t>>());
        BytesSource source(bytes);
        RandomHistory history(source, GetParam());
        while (!source.is_empty() && history.fault().empty())
            history.run(1);
        history.finish();
        history.replay();
        if (!history.fault().empty()) RC_FAIL(history.fault());
    });
    EXPECT_TRUE(holds);
}

INSTANTIATE_TEST_SUITE_P(
    Themes,
    Laws,
    testing::Values(Theme::registers, Theme::maps, Theme::counters, Theme::lists, Theme::nested),
    [](const auto& named) { return std::string(theme_name(named.param)); });

}  // namespace
}  // namespace joinery::crdt::test
