// Real processes that write to one LMDB store through Peer, and are killed.

#include "joinery/peer.h"
#include "joinery/verify.h"

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>
#include <mutex>
#include <set>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace joinery {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

/// A running tests/engine/peer_writer.
class WriterProcess {
  public:
    WriterProcess(const std::filesystem::path& store, const std::string& count) {
        // Each end is closed in every process that is started later: else its input never ended.
        int ends[2];
        int input[2];
        if (::pipe2(ends, O_CLOEXEC) != 0 || ::pipe2(input, O_CLOEXEC) != 0) std::abort();
        id_ = ::fork();
        if (id_ == 0) {
            ::dup2(input[0], STDIN_FILENO);
            ::dup2(ends[1], STDOUT_FILENO);
            ::execl(JOINERY_PEER_WRITER,
                    JOINERY_PEER_WRITER,
                    store.c_str(),
                    "d",
                    count.c_str(),
                    static_cast<char*>(nullptr));
            ::_exit(127);
        }
        ::close(input[0]);
        ::close(ends[1]);
        input_ = input[1];
        output_ = ::fdopen(ends[0], "r");
    }
    WriterProcess(const WriterProcess&) = delete;
    WriterProcess& operator=(const WriterProcess&) = delete;
    ~WriterProcess() {
        if (id_ != 0) kill();
        static_cast<void>(std::fclose(output_));
    }

    struct Report {
        std::string actor;
        std::int64_t count = 0;
    };
    /// The next durable change; count 0 at the end.
    Report next() {
        char actor[64] = "";
        long long count = 0;
        if (std::fscanf(output_, "%63s %lld", actor, &count) != 2) return {};
        return {actor, count};
    }
    /// Reads reports up to that of @p count, which the process was given; it stays with its store
    /// open. False if it ended before.
    bool has_written(std::int64_t count) {
        Report report = next();
        while (report.count != 0 && report.count != count)
            report = next();
        return report.count == count;
    }
    void kill() {
        ::kill(id_, SIGKILL);
        wait();
    }
    /// Lets the process close its store, and gives its exit status.
    int wait() {
        ::close(std::exchange(input_, -1));
        int status = 0;
        ::waitpid(std::exchange(id_, 0), &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }

  private:
    pid_t id_ = 0;
    int input_ = -1;
    std::FILE* output_ = nullptr;
};

class PeerProcesses : public testing::Test {
  protected:
    PeerProcesses() {
        std::string name = (std::filesystem::temp_directory_path() / "joinery-XXXXXX").string();
        directory_ = mkdtemp(name.data());
    }
    ~PeerProcesses() override { std::filesystem::remove_all(directory_); }
    std::filesystem::path store() const { return directory_ / "store"; }
    std::unique_ptr<Peer> open() const {
        auto opened = open_store(store());
        EXPECT_TRUE(opened.has_value());
        Options options;
        options.poll_interval = 10ms;
        return *Peer::open(*std::move(opened), std::move(options));
    }
    static std::int64_t count_of(const Document& document) {
        const auto count = document.read("/count");
        return count ? count->scalar().as_integer() : -1;
    }

    std::filesystem::path directory_;
};

TEST_F(PeerProcesses, WhatAKilledProcessReportedAsDurableIsThereAndItsActorIsNotUsedAgain) {
    std::vector<WriterProcess::Report> durable;
    std::set<std::string> actors;
    for (int life = 0; life < 6; ++life) {
        WriterProcess process(store(), "0");
        WriterProcess::Report last;
        for (int i = 0; i < 2 + 7 * life; ++i) {
            last = process.next();
            ASSERT_GT(last.count, 0);
        }
        process.kill();
        // What it still said before it died.
        for (auto more = process.next(); more.count != 0; more = process.next())
            last = more;
        EXPECT_TRUE(actors.insert(last.actor).second) << "an actor came back";
        durable.push_back(last);
    }
    const auto peer = open();
    EXPECT_FALSE(actors.contains(to_hex(peer->status().actor.view())));
    const auto document = peer->document("d", false);
    ASSERT_TRUE(document.has_value()) << document.error().what;
    for (const WriterProcess::Report& report : durable) {
        for (std::int64_t i = 1; i <= report.count; ++i) {
            const auto value = document->read("/made/" + report.actor + "-" + std::to_string(i));
            ASSERT_TRUE(value.has_value()) << report.actor << " " << i;
            EXPECT_EQ(value->scalar().as_integer(), i);
        }
    }
    // Each change made one entry and one increment, none was lost between and none came twice.
    const Plain made = *document->read("/made");
    EXPECT_EQ(count_of(*document), static_cast<std::int64_t>(made.object().size()));
    EXPECT_EQ(document->status()->change_count, made.object().size());
}

TEST_F(PeerProcesses, TwoProcessesWriteToOneStoreAndAThirdSeesAllOfIt) {
    auto peer = open();
    auto document = *peer->document("d");
    std::mutex mutex;
    std::condition_variable moved;
    const auto watch = document.observe("/count", [&](const Event&) {
        const std::lock_guard lock(mutex);
        moved.notify_one();
    });
    WriterProcess one(store(), "60");
    WriterProcess two(store(), "60");
    // The third writes as well.
    for (int i = 0; i < 20; ++i) {
        ASSERT_TRUE(
            document.transact([](Tx& tx) { return tx.increment("/count", 1); }).has_value());
        ASSERT_TRUE(peer->flush().has_value());
    }
    // Neither ends before the other has begun: it would have left its actor to it.
    EXPECT_TRUE(one.has_written(60));
    EXPECT_TRUE(two.has_written(60));
    EXPECT_EQ(one.wait(), 0);
    EXPECT_EQ(two.wait(), 0);
    {
        std::unique_lock lock(mutex);
        EXPECT_TRUE(moved.wait_for(lock, 30s, [&] { return count_of(document) == 140; }))
            << count_of(document);
    }
    const Digest digest = document.status()->digest;
    EXPECT_EQ(document.read("/made")->object().size(), 120U);
    peer.reset();
    peer = open();
    const Document again = *peer->document("d", false);
    EXPECT_EQ(again.status()->digest, digest);
    EXPECT_EQ(again.status()->actor_count, 3U);
    EXPECT_EQ(again.log()->size(), 140U);
}

// What one had committed while the other opened the store was taken for known already, and the
// document was made a second time.
TEST_F(PeerProcesses, TwoProcessesThatMakeADocumentAtOnceMakeOne) {
    for (int round = 0; round < 20; ++round) {
        std::filesystem::remove_all(store());
        WriterProcess one(store(), "6");
        WriterProcess two(store(), "6");
        EXPECT_TRUE(one.has_written(6));
        EXPECT_TRUE(two.has_written(6));
        EXPECT_EQ(one.wait(), 0);
        EXPECT_EQ(two.wait(), 0);
        VerifyOptions options;
        options.deep = true;
        const auto report = verify_store(store(), options);
        ASSERT_TRUE(report.has_value()) << report.error().what;
        for (const Damage& damage : report->damages)
            ADD_FAILURE() << "round " << round << ": " << describe(damage);
        EXPECT_EQ(report->change_count, 12U);
    }
}

TEST_F(PeerProcesses, AStoreIsWholeWhileProcessesWriteToItAndAfterTheyWereKilled) {
    VerifyOptions options;
    options.deep = true;
    const auto is_whole = [&] {
        const auto report = verify_store(store(), options);
        EXPECT_TRUE(report.has_value()) << report.error().what;
        if (!report) return std::uint64_t{0};
        for (const Damage& damage : report->damages)
            ADD_FAILURE() << describe(damage);
        return report->change_count;
    };
    for (int life = 0; life < 3; ++life) {
        WriterProcess one(store(), "0");
        WriterProcess two(store(), "0");
        ASSERT_GT(one.next().count, 0);
        std::uint64_t before = 0;
        for (int i = 0; i < 5; ++i) {
            ASSERT_GT(two.next().count, 0);
            const std::uint64_t now = is_whole();
            EXPECT_GE(now, before);
            before = now;
        }
        one.kill();
        EXPECT_GE(is_whole(), before);
        two.kill();
        EXPECT_GE(is_whole(), before);
    }
    static_cast<void>(open());
    EXPECT_GT(is_whole(), 0U);
}

}  // namespace
}  // namespace joinery
