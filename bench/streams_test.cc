// The streams are those that the peers run: the hashes are published in their harness.

#include "bench/measure.h"

#include <gtest/gtest.h>

namespace joinery::bench {
namespace {

TEST(Streams, HaveThePublishedHashes) {
    const std::vector<std::uint32_t> published{
        0xf00fbb73, 0x6af6f21a, 0x4882ea22, 0x40c6fa4b, 0xdf10b65d, 0xe34f65e9};
    const auto streams = describe_streams();
    ASSERT_EQ(streams.size(), published.size());
    for (std::size_t i = 0; i < published.size(); ++i)
        EXPECT_EQ(streams[i].fnv1a, published[i]) << streams[i].name;
}

/// Every workload checks its own results; a small run of each keeps them running.
TEST(Workloads, EndAsTheirOperationsSay) {
    for (const char* name : {"W1", "W2", "W3", "W4", "W5", "W6"})
        EXPECT_FALSE(run_maps(name, {200}).empty()) << name;
    for (const char* name : {"W7", "W9"})
        EXPECT_FALSE(run_others(name, {200}).empty()) << name;
    for (const char* name : {"W10", "store"})
        EXPECT_FALSE(run_stores(name, {200}).empty()) << name;
}

}  // namespace
}  // namespace joinery::bench
