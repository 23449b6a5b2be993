// Links over a memory network, moved by hand: what comes too late, and what comes twice.

#include "engine/links.h"

#include "sim/process.h"

#include <gtest/gtest.h>
#include <memory>
#include <optional>

namespace joinery::sim {
namespace {

using std::chrono_literals::operator""ms;

class LinksTest : public testing::Test {
  protected:
    LinksTest() {
        for (const char* host : {"a", "b"}) {
            ProcessSetup setup;
            setup.host = host;
            auto& process = processes_[processes_[0] ? 1 : 0];
            process = std::make_unique<Process>(
                setup, now_, disks_[processes_[1] ? 1 : 0], network_, [](const std::string& what) {
                    ADD_FAILURE() << what;
                });
            process->start();
        }
    }
    void run_tasks(Process& process) {
        for (SimStrand& strand : process.strands()) {
            while (strand.is_due())
                strand.run_one();
        }
    }
    void sync() {
        a().engine().links().sync("mem://b", {}, 100ms, [this](const Result<SyncReport>& report) {
            ++answer_count_;
            answer_ = report;
        });
    }
    Process& a() { return *processes_[0]; }
    Process& b() { return *processes_[1]; }

    Now now_{0};
    persist::MemoryDisk disks_[2];
    transport::MemoryNetwork network_;
    std::unique_ptr<Process> processes_[2];
    int answer_count_ = 0;
    std::optional<Result<SyncReport>> answer_;
};

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
