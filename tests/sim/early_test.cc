// Changes leave before they are durable (docs/storage-format.md, "Flush"), and what that may not
// cost: an acknowledgement that was not meant, a number given twice.

#include "sim/links_rig.h"

namespace joinery::sim {
namespace {

using std::chrono_literals::operator""s;
using std::chrono_literals::operator""ms;

class EarlyTest : public LinksTest {
  protected:
    void connect() {
        change(a(), 0);
        ASSERT_TRUE(a().engine().links().keep_connected("mem://b").has_value());
        pass(2s);
        ASSERT_EQ(shown(b()), 0);
    }
    static Document document(Process& process) {
        return Document(process.core().open_document("d", true).value());
    }
    static Receipt change(Process& process, std::int64_t to) {
        return document(process).transact([&](Tx& tx) { return tx.set("/x", Value(to)); }).value();
    }
    static std::int64_t shown(Process& process) {
        const auto value = document(process).read("/x");
        return value ? value->scalar().as_integer() : -1;
    }
    /// All that happens while no store writes.
    void settle_unstored() {
        for (int i = 0; i < 100; ++i) {
            network_.run(1000);
            for (Process* process : {&a(), &b()}) {
                for (const std::size_t strand : {std::size_t{0}, std::size_t{3}}) {
                    while (process->strands()[strand].is_due())
                        process->strands()[strand].run_one();
                }
            }
        }
    }
};

TEST_F(EarlyTest, AChangeIsThereBeforeItIsStoredAnywhereAndAcknowledgedOnlyThen) {
    connect();
    const Receipt receipt = change(a(), 1);
    settle_unstored();
    EXPECT_EQ(shown(b()), 1);
    EXPECT_FALSE(receipt.status()->is_durable);
    EXPECT_EQ(receipt.status()->state, ChangeState::sent);
    pass(30ms, 1ms);
    EXPECT_TRUE(receipt.status()->is_durable);
    EXPECT_EQ(receipt.status()->state, ChangeState::acknowledged);
    EXPECT_TRUE(a().engine().links().status()[0].in_step);
}

TEST_F(EarlyTest, WhatLeftAndWasLostComesBackAndItsNumberIsGivenToNothingElse) {
    connect();
    const Receipt lost = change(a(), 1);
    settle_unstored();
    ASSERT_EQ(shown(b()), 1);
    a().kill();
    a().start();
    EXPECT_EQ(shown(a()), 0) << "it was not stored here";
    const Receipt next = change(a(), 2);
    EXPECT_NE(next.actor, lost.actor);
    ASSERT_TRUE(a().engine().links().keep_connected("mem://b").has_value());
    pass(10s);
    const auto of_a = a().core().open_document("d", false).value();
    const auto of_b = b().core().open_document("d", false).value();
    EXPECT_EQ(of_a->frontier(), of_b->frontier());
    EXPECT_EQ(of_a->digest(), of_b->digest());
    EXPECT_EQ(of_a->status()->change_count, 3U);
    EXPECT_TRUE(of_a->status()->forks.empty());
}

TEST_F(EarlyTest, WhatIsMadeWhileTheStrandIsBusyLeavesUnderOneSeal) {
    connect();
    for (std::int64_t i = 1; i <= 50; ++i)
        change(a(), i);
    settle_unstored();
    EXPECT_EQ(shown(b()), 50);
    const auto of_a = a().core().open_document("d", false).value();
    EXPECT_EQ(of_a->seal_for_others(), 0U) << "all is sealed";
    pass(30ms, 1ms);
    EXPECT_EQ(of_a->status()->change_count, 51U);
}

}  // namespace
}  // namespace joinery::sim
