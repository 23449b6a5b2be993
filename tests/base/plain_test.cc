#include "base/plain.h"

#include <cstdint>
#include <gtest/gtest.h>
#include <string>

namespace joinery {
namespace {

Plain integer(std::int64_t number) { return Plain{Value(number)}; }

TEST(Plain, KnowsWhichOfTheThreeItIs) {
    const Plain scalar = integer(1);
    const Plain array{PlainArray{integer(1)}};
    const Plain object{PlainObject{{"a", integer(1)}}};
    EXPECT_TRUE(scalar.is_scalar() && array.is_array() && object.is_object());
    EXPECT_EQ(scalar.scalar().as_integer(), 1);
    EXPECT_EQ(array.array().size(), 1U);
    EXPECT_EQ(object.object().size(), 1U);
    EXPECT_TRUE(Plain{}.scalar().is_null());
}

TEST(Plain, EqualsByContentOrderAndTypes) {
    const Plain array{PlainArray{integer(1), integer(2)}};
    EXPECT_EQ(array, (Plain{PlainArray{integer(1), integer(2)}}));
    EXPECT_NE(array, (Plain{PlainArray{integer(2), integer(1)}}));
    EXPECT_NE(integer(1), Plain{Value(1.0)});
    EXPECT_NE(Plain{PlainArray{}}, Plain{PlainObject{}});
}

TEST(Plain, FindsEachMemberAndNoOther) {
    PlainObject object;
    EXPECT_EQ(find_member(object, "a"), nullptr);
    // Sorted as bytes: an umlaut stands after every ASCII letter.
    for (const char* key : {"", "A", "a", "ab", "b", "\xc3\xa4"}) {
        object.emplace_back(key, integer(static_cast<std::int64_t>(object.size())));
    }
    for (std::size_t i = 0; i < object.size(); ++i) {
        const Plain* found = find_member(object, object[i].first);
        ASSERT_NE(found, nullptr);
        EXPECT_EQ(found, &object[i].second);
    }
    for (const char* key : {"B", "aa", "abc", "c", "\xc3", "\xff"}) {
        EXPECT_EQ(find_member(object, key), nullptr) << key;
    }
}

}  // namespace
}  // namespace joinery
