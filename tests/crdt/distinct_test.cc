#include "crdt/distinct.h"

#include <gtest/gtest.h>
#include <map>
#include <rapidcheck/gtest.h>
#include <string>
#include <vector>

namespace joinery::crdt::detail {
namespace {

using Strings = std::vector<std::string>;

std::uint64_t scatter(std::uint64_t index) {
    index = (index + 1) * 0x9e3779b97f4a7c15U;
    return (index ^ (index >> 29)) * 0xbf58476d1ce4e5b9U;
}

// The oracle of find_distinct().
void expect_distinct(const Strings& values, std::size_t count_max) {
    std::vector<ByteView> views;
    for (const std::string& value : values)
        views.push_back(as_bytes(value));
    std::map<std::string, std::size_t> seen;
    std::vector<std::uint64_t> ranks;
    for (const std::string& value : values) {
        ranks.push_back(seen.try_emplace(value, seen.size()).first->second);
    }
    const auto distinct = find_distinct(views, count_max);
    ASSERT_EQ(distinct.has_value(), seen.size() <= count_max);
    if (!distinct) return;
    EXPECT_EQ(distinct->ranks, ranks);
    ASSERT_EQ(distinct->firsts.size(), seen.size());
    for (const auto& [value, rank] : seen)
        EXPECT_EQ(values[distinct->firsts[rank]], value);
}

RC_GTEST_PROP(Distinct, FindsWhatASortedMapFinds, ()) {
    const auto radix = *rc::gen::inRange(1U, 20U);
    const auto count = *rc::gen::inRange<std::size_t>(0, 200);
    Strings values;
    for (std::size_t i = 0; i < count; ++i) {
        values.emplace_back(scatter(i) % 20, static_cast<char>(scatter(i + 999) % radix));
    }
    expect_distinct(values, *rc::gen::inRange<std::size_t>(0, 100));
}

// Strings whose hashes share all bits that the table looks at: built by running the hash backwards.
TEST(Distinct, ValuesMadeToCollideAreFoundAllTheSame) {
    constexpr std::uint64_t kMultiplier = 0x9e3779b97f4a7c15U;
    std::uint64_t inverse = 1;
    for (int i = 0; i < 6; ++i)
        inverse *= 2 - kMultiplier * inverse;
    Strings values;
    for (std::uint64_t i = 0; i < 4000; ++i) {
        const std::uint64_t mixed = (0x123456789abcdef0U ^ i) * inverse;
        const std::uint64_t word = ((mixed ^ (mixed >> 32)) * inverse) ^ 8;
        values.emplace_back(as_text({reinterpret_cast<const std::uint8_t*>(&word), 8}));
    }
    values.insert(values.end(), values.begin(), values.end());
    expect_distinct(values, 5000);
    expect_distinct(values, 3999);
}

}  // namespace
}  // namespace joinery::crdt::detail
