// Several processes on one store. Children fork before the parent opens anything.
#include "tests/persist/support.h"

#include <filesystem>
#include <gtest/gtest.h>
#include <string>

namespace joinery::persist::test {
namespace {

class LmdbProcesses : public ::testing::Test {
  protected:
    std::unique_ptr<Store> open() {
        auto store = open_lmdb_store(dir / "store", test_options(), random);
        if (!store) {
            ADD_FAILURE() << store.error().what;
            std::abort();
        }
        return *std::move(store);
    }
    static std::string key_of(std::uint64_t number) {
        std::string out = std::to_string(number);
        return std::string(20 - out.size(), '0') + out;
    }

    TempDir dir;
    SeededRandom random;
};

TEST_F(LmdbProcesses, AnothersCommitMovesTheCountAndShows) {
    const Signal go;
    Child child([&](int pipe) {
        go.await();
        const auto store = open();
        if (!put_one(*store, Table::log, "from", "child")) ::_exit(1);
        Child::report(pipe, 1);
        go.await();
    });
    const auto store = open();
    const auto reader = *store->read();
    const std::uint64_t before = store->commit_count();
    go.give();
    ASSERT_EQ(child.next_report(), 1U);
    EXPECT_GT(store->commit_count(), before);
    EXPECT_EQ(*get_one(*store, Table::log, "from"), "child");
    EXPECT_FALSE((*reader->get(Table::log, as_bytes("from"))).has_value());
    go.give();
    EXPECT_EQ(child.wait(), 0);
}

TEST_F(LmdbProcesses, EachLeasesTheLowestFreeSlotOfOneIncarnation) {
    const Signal go;
    Child child([&](int pipe) {
        go.await();
        {
            const auto store = open();
            Child::report(pipe, store->writer_slot());
            Child::report(pipe, store->incarnation().bytes[0]);
            go.await();
        }
        Child::report(pipe, 1000);
        go.await();
        const auto store = open();
        Child::report(pipe, store->writer_slot());
        Child::report(pipe, store->writer_generation());
    });
    auto store = open();
    EXPECT_EQ(store->writer_slot(), 0U);
    go.give();
    EXPECT_EQ(child.next_report(), 1U);
    EXPECT_EQ(child.next_report(), store->incarnation().bytes[0]);
    go.give();
    EXPECT_EQ(child.next_report(), 1000U);
    store.reset();
    go.give();
    EXPECT_EQ(child.next_report(), 0U);
    EXPECT_EQ(child.next_report(), 0U);
    EXPECT_EQ(child.wait(), 0);
}

TEST_F(LmdbProcesses, WritersOfTwoProcessesTakeTurns) {
    constexpr std::uint64_t kRounds = 200;
    const auto count_up = [this] {
        const auto store = open();
        for (std::uint64_t i = 0; i < kRounds; ++i) {
            const auto writer = *store->write();
            const auto old = *writer->get(Table::meta, as_bytes("sum"));
            const auto sum = std::to_string((old ? std::stoull(text_of(*old)) : 0) + 1);
            if (!writer->put(Table::meta, as_bytes("sum"), as_bytes(sum))) ::_exit(1);
            if (!writer->commit()) ::_exit(2);
        }
    };
    Child one([&](int) { count_up(); });
    Child two([&](int) { count_up(); });
    EXPECT_EQ(one.wait(), 0);
    EXPECT_EQ(two.wait(), 0);
    EXPECT_EQ(*get_one(*open(), Table::meta, "sum"), std::to_string(2 * kRounds));
}

TEST_F(LmdbProcesses, OpeningAtOnceIsSafe) {
    const Signal go;
    std::vector<std::unique_ptr<Child>> children;
    for (int i = 0; i < 6; ++i) {
        children.push_back(std::make_unique<Child>([&](int pipe) {
            go.await();
            for (std::uint64_t round = 0; round < 10; ++round) {
                const auto store = open();
                Child::report(pipe, store->writer_slot());
                const std::string key = key_of(store->writer_slot());
                if (!put_one(*store, Table::log, key, "v")) ::_exit(1);
            }
        }));
    }
    for (std::size_t i = 0; i < children.size(); ++i)
        go.give();
    for (const auto& child : children) {
        for (int round = 0; round < 10; ++round)
            EXPECT_LT(child->next_report(), children.size());
        EXPECT_EQ(child->wait(), 0);
    }
    const auto store = open();
    EXPECT_EQ(store->writer_slot(), 0U);
    EXPECT_EQ(store->writer_generation(), 0U);
}

TEST_F(LmdbProcesses, EveryReportedCommitSurvivesKillAndTheActorIsRetired) {
    Incarnation incarnation = open()->incarnation();
    std::uint64_t written = 0;
    for (std::uint32_t round = 0; round < 8; ++round) {
        Child child([&](int pipe) {
            const auto store = open();
            for (std::uint64_t number = written;; ++number) {
                const auto writer = *store->write();
                const std::string value(1 + number % 3000, 'v');
                if (!writer->put(Table::log, as_bytes(key_of(number)), as_bytes(value)) ||
                    !writer->put(Table::index, as_bytes(key_of(number)), {}) || !writer->commit()) {
                    ::_exit(1);
                }
                Child::report(pipe, number);
            }
        });
        // A different number of commits each round, so that the kill falls at different moments.
        std::uint64_t reported = 0;
        for (std::uint32_t i = 0; i < 20 + 7 * round; ++i)
            reported = child.next_report().value();
        child.kill_hard();
        while (const auto late = child.next_report())
            reported = *late;

        const auto store = open();
        EXPECT_EQ(store->writer_slot(), 0U);
        EXPECT_EQ(store->writer_generation(), round + 1);
        EXPECT_EQ(store->incarnation(), incarnation);
        const Model log = *scan(*store, Table::log);
        ASSERT_GT(log.size(), reported);
        ASSERT_LE(log.size(), reported + 2);  // One may have been committed and not reported.
        EXPECT_EQ(log.size(), scan(*store, Table::index)->size());
        EXPECT_EQ(log.rbegin()->first, key_of(log.size() - 1));
        for (const auto& [key, value] : log) {
            EXPECT_EQ(value, std::string(1 + std::stoull(key) % 3000, 'v'));
        }
        written = log.size();
        // This handle ends cleanly: the generation stays for the next child, which is killed.
    }
}

TEST_F(LmdbProcesses, AnOlderDataFilePutBackAfterAKillIsAnotherIncarnation) {
    const Signal go;
    JOINERY_ASSERT_OK(put_one(*open(), Table::log, "k", "old"));
    const Incarnation before = open()->incarnation();
    const std::string older = read_whole(dir / "store/data.mdb");
    Child child([&](int pipe) {
        const auto store = open();
        if (!put_one(*store, Table::log, "k", "new")) ::_exit(1);
        Child::report(pipe, 1);
        go.await();
    });
    ASSERT_EQ(child.next_report(), 1U);
    child.kill_hard();
    write_whole(dir / "store/data.mdb", older);
    const auto store = open();
    EXPECT_EQ(*get_one(*store, Table::log, "k"), "old");
    EXPECT_NE(store->incarnation(), before);
    EXPECT_EQ(store->writer_generation(), 1U);
}

TEST_F(LmdbProcesses, AKilledWriterLeavesNothingLockedOrHalfWritten) {
    const Signal go;
    Child child([&](int pipe) {
        go.await();
        const auto store = open();
        const auto writer = *store->write();
        if (!writer->put(Table::log, as_bytes("half"), as_bytes("x"))) ::_exit(1);
        Child::report(pipe, 1);
        go.await();
    });
    const auto store = open();
    go.give();
    ASSERT_EQ(child.next_report(), 1U);
    child.kill_hard();
    JOINERY_ASSERT_OK(put_one(*store, Table::log, "whole", "y"));
    EXPECT_EQ(*scan(*store, Table::log), (Model{{"whole", "y"}}));
}

TEST_F(LmdbProcesses, ReadersOfADeadProcessMakeRoomForNewOnes) {
    const Signal go;
    Child child([&](int pipe) {
        go.await();
        const auto store = open();
        std::vector<std::unique_ptr<StoreReader>> readers;
        for (;;) {
            auto reader = store->read();
            if (!reader) {
                Child::report(pipe, reader.error().code == Errc::busy ? readers.size() : 0);
                break;
            }
            readers.push_back(*std::move(reader));
        }
        go.await();
    });
    const auto store = open();
    go.give();
    ASSERT_GT(child.next_report().value(), 100U);
    EXPECT_EQ(code_of(store->read()), "busy");
    child.kill_hard();
    JOINERY_ASSERT_OK(store->read());
}

TEST_F(LmdbProcesses, ReadersOfADeadProcessDoNotKeepTheFileGrowing) {
    const Signal go;
    Child child([&](int pipe) {
        go.await();
        const auto store = open();
        const auto reader = *store->read();
        Child::report(pipe, 1);
        go.await();
    });
    const auto store = open();
    JOINERY_ASSERT_OK(put_one(*store, Table::log, "k", std::string(100000, 'v')));
    go.give();
    ASSERT_EQ(child.next_report(), 1U);
    child.kill_hard();
    for (int i = 0; i < 200; ++i) {
        JOINERY_ASSERT_OK(put_one(*store, Table::log, "k", std::string(100000, 'v')));
    }
    EXPECT_LT(std::filesystem::file_size(dir / "store/data.mdb"), 40U * 100000U);
}

TEST_F(LmdbProcesses, AnothersLiveStoreCanBeBackedUp) {
    const Signal go;
    Child child([&](int pipe) {
        const auto store = open();
        if (!put_one(*store, Table::log, "k", "v")) ::_exit(1);
        const auto writer = *store->write();
        if (!writer->put(Table::log, as_bytes("pending"), {})) ::_exit(2);
        Child::report(pipe, 1);
        go.await();
        if (!writer->commit()) ::_exit(3);
    });
    ASSERT_EQ(child.next_report(), 1U);
    EXPECT_EQ(code_of(check_lmdb_store(dir / "store")), "busy");
    JOINERY_ASSERT_OK(backup_lmdb_store(dir / "store", dir / "backup"));
    go.give();
    EXPECT_EQ(child.wait(), 0);
    JOINERY_ASSERT_OK(restore_lmdb_store(dir / "backup", dir / "restored"));
    const auto restored = *open_lmdb_store(dir / "restored", test_options(), random);
    EXPECT_EQ(*scan(*restored, Table::log), (Model{{"k", "v"}}));
    EXPECT_EQ(scan(*open(), Table::log)->size(), 2U);
    EXPECT_EQ(open()->writer_generation(), 0U);
}

TEST_F(LmdbProcesses, AChildMayNotUseAStoreItInheritedButMayOpenItsOwn) {
    const auto store = open();
    JOINERY_ASSERT_OK(put_one(*store, Table::log, "k", "v"));
    Child child([&](int pipe) {
        auto& inherited = const_cast<std::unique_ptr<Store>&>(store);
        if (code_of(inherited->read()) != "conflict") ::_exit(1);
        if (code_of(inherited->write()) != "conflict") ::_exit(2);
        if (code_of(inherited->renew_incarnation(IncarnationReason::overtaken, WallTime(7))) !=
            "conflict")
            ::_exit(3);
        inherited.reset();
        const auto own = open();
        if (own->writer_slot() != 1) ::_exit(4);
        if (!put_one(*own, Table::log, "child", "v")) ::_exit(5);
        Child::report(pipe, 1);
    });
    EXPECT_EQ(child.next_report(), 1U);
    EXPECT_EQ(child.wait(), 0);
    JOINERY_ASSERT_OK(put_one(*store, Table::log, "parent", "v"));
    EXPECT_EQ(scan(*store, Table::log)->size(), 3U);
}

}  // namespace
}  // namespace joinery::persist::test
