// That what an import made travels whatever its size.

#include "joinery/json.h"
#include "tests/data/data_peer.h"

#include <gtest/gtest.h>
#include <string>

namespace joinery::testing {
namespace {

Plain json(std::string_view text) { return *parse_json(text); }

/// {"k0":0,"k1":0,...}: that many operations.
Plain wide_object(std::size_t size) {
    std::string text = "{";
    for (std::size_t i = 0; i < size; ++i)
        text += (i == 0 ? "\"k" : ",\"k") + std::to_string(i) + "\":0";
    return json(text + "}");
}

TEST(Import, ALargeChangeBehindASmallOneReachesANewcomer) {
    DataPeer a(1);
    DataPeer b(2);
    a.import(json(R"({"k0":1})"), WallTime(1));
    a.import(wide_object(70'000), WallTime(2));
    exchange(a, b);
    EXPECT_EQ(a.digest(), b.digest());
}

}  // namespace
}  // namespace joinery::testing
