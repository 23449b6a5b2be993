// What an import takes for the same element, what it leaves alone, and that what it made travels
// whatever its size.

#include "joinery/json.h"
#include "tests/data/data_peer.h"

#include <gtest/gtest.h>
#include <string>

namespace joinery::testing {
namespace {

Plain json(std::string_view text) { return *parse_json(text); }

std::string shown(const DataPeer& peer) { return *print_json(peer.view()); }

/// Rules J2 and R2.
TEST(Import, OfWhatIsShownLeavesWhatLostReadable) {
    DataPeer a(1);
    DataPeer b(2);
    a.import(json(R"({"list":[{"id":1,"w":0}],"x":0})"), WallTime(1));
    exchange(a, b);
    a.import(json(R"({"list":[{"id":1,"w":1}],"x":1})"), WallTime(2));
    b.import(json(R"({"list":[{"id":1,"w":2}],"x":2})"), WallTime(3));
    exchange(a, b);
    EXPECT_EQ(shown(a), R"({"list":[{"id":1,"w":2}],"x":2})");
    EXPECT_FALSE(a.import(a.view(), WallTime(4)));
    for (const char* path : {"/x", "/list/0/w"}) {
        const auto lost = a.document().alternatives(path);
        ASSERT_TRUE(lost.has_value());
        EXPECT_EQ(lost->size(), 1U) << path;
    }
}

/// What two peers show after one imports @p left and the other @p right on @p base.
std::string merged(std::string_view base, std::string_view left, std::string_view right) {
    DataPeer a(1);
    DataPeer b(2);
    a.import(json(base), WallTime(1));
    exchange(a, b);
    a.import(json(left), WallTime(2));
    b.import(json(right), WallTime(3));
    exchange(a, b);
    EXPECT_EQ(a.digest(), b.digest());
    return shown(a);
}

/// Rule J2, as the next two.
TEST(Import, OfARenumberedElementLeavesAloneWhatOthersDoUnderTheOldNumber) {
    EXPECT_EQ(merged(R"({"panels":[{"a":1,"b":2,"c":3,"id":7}]})",
                     R"({"panels":[{"a":1,"b":2,"c":3,"id":8}]})",
                     R"({"panels":[{"a":1,"b":2,"c":3,"id":7},{"a":5,"id":9}]})"),
              R"({"panels":[{"a":1,"b":2,"c":3,"id":8},{"a":5,"id":9}]})");
}

TEST(Import, TellsANewElementFromAnEditedOneBesideIt) {
    EXPECT_EQ(merged(R"({"items":[{"q":1,"t":"x","w":2}]})",
                     R"({"items":[{"new":true,"text":"front"},{"q":5,"t":"x","w":2}]})",
                     R"({"items":[{"q":1,"t":"x","w":3}]})"),
              R"({"items":[{"new":true,"text":"front"},{"q":5,"t":"x","w":3}]})");
}

TEST(Import, TakesAnElementInItsPlaceForTheOneThatWasThereHoweverEdited) {
    EXPECT_EQ(merged(R"({"items":[1,{"q":1,"t":"x"},3]})",
                     R"({"items":[1,{"q":2,"t":"y"},3]})",
                     R"({"items":[1,{"q":1,"t":"x","w":3},3]})"),
              R"({"items":[1,{"q":2,"t":"y","w":3},3]})");
}

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
