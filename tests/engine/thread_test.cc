// A Document used from several threads at once; ./dev tsan is its sharper judge.

#include "engine/frame_thread.h"
#include "joinery/peer.h"
#include "persist/memory_store.h"

#include <algorithm>
#include <atomic>
#include <gtest/gtest.h>
#include <string>
#include <thread>
#include <vector>

namespace joinery {
namespace {

using std::chrono_literals::operator""s;

class PeerThreads : public testing::Test {
  protected:
    std::unique_ptr<Peer> open(persist::MemoryDisk& disk) {
        Options options;
        options.authorize = let_everybody_in;
        options.snapshot_interval = 20;
        return *Peer::open(*persist::open_memory_store(disk, system_random()), std::move(options));
    }
    /// One change that puts the same number at both ends.
    static Result<Receipt> write_both(Document& document, std::int64_t value) {
        return document.transact([&](Tx& tx) -> Result<void> {
            JOINERY_TRY_VOID(tx.set("/first", Value(value)));
            return tx.set("/last", Value(value));
        });
    }
    static void expect_whole(const Plain& view) {
        const Plain* const first = find_member(view.object(), "first");
        const Plain* const last = find_member(view.object(), "last");
        ASSERT_TRUE(first != nullptr && last != nullptr);
        EXPECT_EQ(*first, *last) << "half of a change was seen";
    }

    persist::MemoryDisk disk_;
    persist::MemoryDisk other_disk_;
};

TEST_F(PeerThreads, WhoReadsWhileOthersWriteSeesWholeChanges) {
    const auto peer = open(disk_);
    auto document = *peer->document("d");
    ASSERT_TRUE(write_both(document, 0).has_value());
    std::atomic<int> writers_left{2};
    std::atomic<std::int64_t> event_count{0};
    const auto watch = document.observe("", [&](const Event& event) {
        ++event_count;
        EXPECT_EQ(event.patches.size(), 2U);
    });
    std::vector<std::thread> threads;
    for (int writer = 0; writer < 2; ++writer) {
        threads.emplace_back([&, writer, mine = document]() mutable {
            for (std::int64_t i = 1; i <= 200; ++i) {
                ASSERT_TRUE(write_both(mine, 2 * i + writer).has_value());
                if (i % 50 != 0) continue;
                ASSERT_TRUE(peer->flush().has_value());
            }
            --writers_left;
        });
    }
    for (int reader = 0; reader < 2; ++reader) {
        threads.emplace_back([&, mine = document] {
            while (writers_left != 0) {
                expect_whole(*mine.read(""));
                ASSERT_TRUE(mine.status().has_value());
                ASSERT_TRUE(mine.log(3).has_value());
                ASSERT_TRUE(peer->documents().has_value());
            }
        });
    }
    for (std::thread& thread : threads)
        thread.join();
    ASSERT_TRUE(peer->flush().has_value());
    EXPECT_EQ(document.status()->change_count, 401U);
    EXPECT_EQ(document.log()->size(), 401U);
}

TEST_F(PeerThreads, TwoPeersWriteFromAllThreadsWhileTheySync) {
    const auto a = open(disk_);
    const auto b = open(other_disk_);
    const auto url = a->listen("tcp://127.0.0.1:0");
    ASSERT_TRUE(url.has_value());
    ASSERT_TRUE(b->connect(*url).has_value());
    std::vector<std::thread> threads;
    for (Peer* const peer : {a.get(), b.get()}) {
        for (int writer = 0; writer < 2; ++writer) {
            threads.emplace_back([peer, writer] {
                auto document = *peer->document("d" + std::to_string(writer));
                for (int i = 0; i < 100; ++i) {
                    ASSERT_TRUE(document.transact([](Tx& tx) { return tx.increment("/n", 1); })
                                    .has_value());
                    static_cast<void>(peer->status());
                }
            });
        }
    }
    for (std::thread& thread : threads)
        thread.join();
    ASSERT_TRUE(a->flush().has_value());
    ASSERT_TRUE(b->sync(*url, {}, 30s).has_value());
    for (const std::string id : {"d0", "d1"}) {
        const auto of_a = a->document(id, false)->status();
        const auto of_b = b->document(id, false)->status();
        EXPECT_EQ(of_a->digest, of_b->digest);
        EXPECT_EQ(a->document(id, false)->read("/n")->scalar().as_integer(), 200);
    }
    EXPECT_EQ(a->status().divergence_count + b->status().divergence_count, 0U);
}

TEST(FrameThread, RunsAllInOrderAlsoWhatIsPostedMeanwhileAndAtItsEnd) {
    std::vector<int> ran;
    {
        detail::FrameThread thread(std::chrono::milliseconds(1));
        for (int i = 0; i < 100; i += 2) {
            thread.post([&, i] {
                ran.push_back(i);
                if (i == 98) thread.post([&] { ran.push_back(99); });
            });
        }
    }
    EXPECT_EQ(ran.size(), 51U);
    EXPECT_TRUE(std::ranges::is_sorted(ran));
}

}  // namespace
}  // namespace joinery
