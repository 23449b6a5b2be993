#include "base/result.h"

#include <cstdio>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <unistd.h>

namespace joinery {
namespace {

Result<int> half(int number) {
    if (number % 2 != 0) return fail(Errc::malformed, "odd", static_cast<std::uint64_t>(number));
    return number / 2;
}

Result<std::string> quarter_as_text(int number) {
    JOINERY_TRY(const int first, half(number));
    JOINERY_TRY(const int second, half(first));
    return std::to_string(second);
}

Result<void> check_even(int number) {
    JOINERY_TRY_VOID(half(number));
    return {};
}

TEST(Result, HoldsTheValueThatItWasMadeOf) {
    const Result<int> result = 7;
    ASSERT_TRUE(result.has_value());
    EXPECT_TRUE(static_cast<bool>(result));
    EXPECT_EQ(*result, 7);
    EXPECT_EQ(result.value_or(9), 7);
}

TEST(Result, HoldsTheErrorWithItsPlace) {
    const Result<int> result = half(5);
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().code, Errc::malformed);
    EXPECT_EQ(result.error().what, "odd");
    EXPECT_EQ(result.error().at, 5U);
    EXPECT_EQ(result.value_or(9), 9);
}

TEST(Result, TryPassesTheFirstErrorUp) {
    EXPECT_EQ(*quarter_as_text(12), "3");
    EXPECT_EQ(quarter_as_text(7).error().at, 7U);
    EXPECT_EQ(quarter_as_text(10).error().at, 5U);
}

TEST(Result, TryVoidPassesTheErrorUp) {
    EXPECT_TRUE(check_even(4).has_value());
    EXPECT_EQ(check_even(3).error().at, 3U);
}

TEST(Result, CarriesWhatCanOnlyBeMoved) {
    Result<std::unique_ptr<int>> result = std::make_unique<int>(3);
    const std::unique_ptr<int> taken = *std::move(result);
    EXPECT_EQ(*taken, 3);
}

TEST(Result, HoldsABoolWithoutMistakingItForSuccess) {
    const Result<bool> result = false;
    EXPECT_TRUE(result.has_value());
    EXPECT_FALSE(*result);
}

TEST(ResultDeathTest, AsksForAValueOnlyWhereThereIsOne) {
    EXPECT_DEATH((void)half(5).value(), "invariant broken: has_value");
    EXPECT_DEATH((void)half(4).error(), "invariant broken: !has_value");
}

TEST(AssertDeathTest, CallsTheHandlerOfTheHostFirst) {
    const auto fall_with_handler = [] {
        set_assert_handler([](const char* condition, const char* /*file*/, int /*line*/) {
            ::fputs(condition, stderr);
            ::_exit(3);
        });
        JOINERY_ASSERT(1 + 1 == 3);
    };
    EXPECT_EXIT(fall_with_handler(), ::testing::ExitedWithCode(3), "1 \\+ 1 == 3");
}

TEST(Errc, EveryCodeHasItsOwnName) {
    for (int code = 1; code <= 10; ++code) {
        EXPECT_NE(errc_name(static_cast<Errc>(code)), "unknown") << code;
        for (int other = 1; other < code; ++other) {
            EXPECT_NE(errc_name(static_cast<Errc>(code)), errc_name(static_cast<Errc>(other)));
        }
    }
    EXPECT_EQ(errc_name(static_cast<Errc>(200)), "unknown");
}

}  // namespace
}  // namespace joinery
