// Links over a memory network, moved by hand: what comes too late, and what comes twice.

#include "sim/links_rig.h"

namespace joinery::sim {
namespace {

using std::chrono_literals::operator""ms;

TEST_F(LinksTest, AnAnswerToADialThatNobodyWaitsForAnyMoreIsDropped) {
    sync();
    network_.step();  // The dial arrives; its answer is under way.
    now_ += 200ms;
    run_tasks(a());
    ASSERT_EQ(answer_count_, 1);
    EXPECT_EQ(answer_->error().code, Errc::busy);
    network_.run(1000);
    run_tasks(a());
    run_tasks(b());
    network_.run(1000);
    EXPECT_EQ(answer_count_, 1);
    EXPECT_TRUE(a().engine().links().status().empty());
    run_tasks(b());
    EXPECT_TRUE(b().engine().links().status().empty());
}

TEST_F(LinksTest, ATimeLimitAndABrokenLinkAtOnceEndTheSameSyncOnce) {
    sync();
    network_.run(2);
    now_ += 200ms;
    SimStrand& strand = a().strands()[0];
    network_.cut_between("a", "b");
    ASSERT_TRUE(strand.is_due());
    strand.run_one();  // The time limit.
    network_.run(1000);
    run_tasks(a());
    run_tasks(b());
    EXPECT_EQ(answer_count_, 1);
    EXPECT_TRUE(a().engine().links().status().empty());
    EXPECT_TRUE(b().engine().links().status().empty());
}

}  // namespace
}  // namespace joinery::sim
