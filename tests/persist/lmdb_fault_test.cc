// A system that refuses: full disk, full map, failing syncs. The functions of the C library that
// LMDB calls are replaced here, for this program, by ones that can be told to fail.
#include "persist/files.h"
#include "tests/persist/support.h"

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <gtest/gtest.h>
#include <string>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

namespace {

/// A failure that waits for its call. Once it was met, all is well again.
struct Fault {
    std::atomic<int> code{0};   ///< Errno, or 0 for none.
    std::atomic<int> after{0};  ///< How many calls succeed first.

    void arm(int errno_value, int calls_before = 0) {
        after = calls_before;
        code = errno_value;
    }
    /// @return Whether it was still waiting.
    bool disarm() { return code.exchange(0) != 0; }
    /// Whether this call fails, with errno set.
    bool strikes() {
        if (code == 0 || after-- > 0) return false;
        errno = code.exchange(0);
        return true;
    }
};

Fault sync_fault;
Fault write_fault;

}  // namespace

extern "C" int fdatasync(int descriptor) {
    if (sync_fault.strikes()) return -1;
    return static_cast<int>(::syscall(SYS_fdatasync, descriptor));
}

extern "C" int fsync(int descriptor) {
    if (sync_fault.strikes()) return -1;
    return static_cast<int>(::syscall(SYS_fsync, descriptor));
}

// Two names of one call: LMDB is built with the one, this program with the other.
extern "C" ::ssize_t pwrite_or_fail(int descriptor,
                                    const void* bytes,
                                    std::size_t size,
                                    ::off_t offset) __asm__("pwrite");
extern "C" ::ssize_t pwrite_or_fail(int descriptor,
                                    const void* bytes,
                                    std::size_t size,
                                    ::off_t offset) {
    if (write_fault.strikes()) return -1;
    return ::syscall(SYS_pwrite64, descriptor, bytes, size, offset);
}

extern "C" ::ssize_t pwrite64_or_fail(int descriptor,
                                      const void* bytes,
                                      std::size_t size,
                                      ::off_t offset) __asm__("pwrite64");
extern "C" ::ssize_t pwrite64_or_fail(int descriptor,
                                      const void* bytes,
                                      std::size_t size,
                                      ::off_t offset) {
    return pwrite_or_fail(descriptor, bytes, size, offset);
}

extern "C" ::ssize_t writev(int descriptor, const ::iovec* parts, int count) {
    if (write_fault.strikes()) return -1;
    return ::syscall(SYS_writev, descriptor, parts, count);
}

namespace joinery::persist::test {
namespace {

class LmdbFaults : public ::testing::Test {
  protected:
    std::unique_ptr<Store> open(const LmdbOptions& options = test_options()) {
        auto store = open_lmdb_store(dir / "store", options, random);
        if (!store) {
            ADD_FAILURE() << store.error().what;
            std::abort();
        }
        return *std::move(store);
    }
    void TearDown() override {
        // A fault that nobody met would be a test that tests nothing.
        EXPECT_FALSE(sync_fault.disarm());
        EXPECT_FALSE(write_fault.disarm());
    }

    TempDir dir;
    SeededRandom random;
};

TEST_F(LmdbFaults, AFailingSyncIsFatalForTheOpenStore) {
    auto store = open();
    JOINERY_ASSERT_OK(put_one(*store, Table::log, "safe", "1"));
    const auto reader = *store->read();
    const auto writer = *store->write();
    JOINERY_ASSERT_OK(writer->put(Table::log, as_bytes("lost"), as_bytes("2")));
    sync_fault.arm(EIO);
    EXPECT_EQ(code_of(writer->commit()), "io");
    EXPECT_EQ(code_of(writer->commit()), "io");
    EXPECT_EQ(code_of(reader->get(Table::log, as_bytes("safe"))), "io");
    EXPECT_EQ(code_of(store->read()), "io");
    EXPECT_EQ(code_of(store->write()), "io");
    EXPECT_EQ(code_of(store->renew_incarnation(IncarnationReason::overtaken, WallTime(7))), "io");
}

TEST_F(LmdbFaults, AfterAFailingSyncTheStoreReopensWithAFreshActor) {
    auto store = open();
    JOINERY_ASSERT_OK(put_one(*store, Table::log, "safe", "1"));
    sync_fault.arm(EIO);
    EXPECT_EQ(code_of(put_one(*store, Table::log, "lost", "2")), "io");
    store.reset();
    store = open();
    EXPECT_EQ(*scan(*store, Table::log), (Model{{"safe", "1"}}));
    EXPECT_EQ(store->writer_generation(), 1U);
    JOINERY_ASSERT_OK(put_one(*store, Table::log, "more", "3"));
}

TEST_F(LmdbFaults, ADiskThatFillsUpDuringACommitLosesThatCommitAlone) {
    auto store = open();
    JOINERY_ASSERT_OK(put_one(*store, Table::log, "before", "1"));
    write_fault.arm(ENOSPC);
    const auto refused = put_one(*store, Table::log, "lost", std::string(50000, 'x'));
    ASSERT_EQ(code_of(refused), "io");
    EXPECT_EQ(refused.error().what, "the disk is full");
    EXPECT_EQ(*scan(*store, Table::log), (Model{{"before", "1"}}));
    JOINERY_ASSERT_OK(put_one(*store, Table::log, "after", "2"));
    store.reset();
    store = open();
    EXPECT_EQ(*scan(*store, Table::log), (Model{{"after", "2"}, {"before", "1"}}));
    EXPECT_EQ(store->writer_generation(), 1U);  // The lost commit may have left this process.
}

TEST_F(LmdbFaults, AFullMapIsATypedErrorAndSpaceCanBeMadeAgain) {
    LmdbOptions options = test_options();
    options.map_size = 1U << 20U;
    const auto store = open(options);
    std::size_t stored = 0;
    Result<void> refused;
    for (; refused && stored < 1000; ++stored) {
        refused = put_one(*store, Table::log, std::to_string(stored), std::string(3000, 'x'));
    }
    ASSERT_EQ(code_of(refused), "io");
    EXPECT_NE(refused.error().what.find("map is full"), std::string_view::npos);
    EXPECT_EQ(scan(*store, Table::log)->size(), stored - 1);
    const auto writer = *store->write();
    for (std::size_t i = 0; i + 1 < stored; ++i) {
        JOINERY_ASSERT_OK(writer->erase(Table::log, as_bytes(std::to_string(i))));
    }
    JOINERY_ASSERT_OK(writer->commit());
    JOINERY_ASSERT_OK(put_one(*store, Table::log, "fits", std::string(3000, 'x')));
}

TEST_F(LmdbFaults, ATransactionThatRanIntoTheFullMapCannotBeCommitted) {
    LmdbOptions options = test_options();
    options.map_size = 1U << 20U;
    const auto store = open(options);
    const auto writer = *store->write();
    JOINERY_ASSERT_OK(writer->put(Table::log, as_bytes("first"), as_bytes("1")));
    EXPECT_EQ(code_of(writer->put(Table::log, as_bytes("big"), Bytes(2U << 20U))), "io");
    EXPECT_EQ(code_of(writer->put(Table::log, as_bytes("small"), as_bytes("2"))), "io");
    EXPECT_EQ(code_of(writer->commit()), "io");
    EXPECT_TRUE(scan(*store, Table::log)->empty());
}

TEST_F(LmdbFaults, PutsStopBeforeTheDiskIsFullAndErasesDoNot) {
    JOINERY_ASSERT_OK(put_one(*open(), Table::log, "k", "v"));
    LmdbOptions options = test_options();
    options.free_size_min = ~std::uint64_t{0};
    const auto store = open(options);
    const auto refused = put_one(*store, Table::log, "more", "v");
    ASSERT_EQ(code_of(refused), "io");
    EXPECT_EQ(refused.error().what, kNearlyFull);
    const auto writer = *store->write();
    JOINERY_ASSERT_OK(writer->erase(Table::log, as_bytes("k")));
    JOINERY_ASSERT_OK(writer->commit());
    EXPECT_TRUE(scan(*store, Table::log)->empty());
}

TEST_F(LmdbFaults, NoStoreIsMadeOnADiskThatIsNearlyFull) {
    LmdbOptions options = test_options();
    options.free_size_min = ~std::uint64_t{0};
    const auto refused = open_lmdb_store(dir / "store", options, random);
    ASSERT_EQ(code_of(refused), "io");
    EXPECT_EQ(refused.error().what, kNearlyFull);
    EXPECT_FALSE(std::filesystem::exists(dir / "store" / "data.mdb"));
    JOINERY_ASSERT_OK(put_one(*open(), Table::log, "k", "v"));
}

TEST_F(LmdbFaults, AnOpenThatCannotWriteFailsAndTheNextSucceeds) {
    JOINERY_ASSERT_OK(put_one(*open(), Table::log, "k", "v"));
    for (const int code : {ENOSPC, EIO, EDQUOT}) {
        write_fault.arm(code);
        EXPECT_EQ(code_of(open_lmdb_store(dir / "store", test_options(), random)), "io");
        EXPECT_EQ(*get_one(*open(), Table::log, "k"), "v");
    }
}

// Each write and each sync of a store's life fails in turn, from its creation to its last close.
TEST_F(LmdbFaults, WhicheverCallFailsTheStoreOpensAgainWithAllThatWasCommitted) {
    for (Fault* const fault : {&sync_fault, &write_fault}) {
        for (const int code : {EIO, ENOSPC}) {
            for (int nth = 0;; ++nth) {
                std::filesystem::remove_all(dir / "store");
                Model committed;
                Model attempted;
                fault->arm(code, nth);
                for (int session = 0; session < 2; ++session) {
                    auto store = open_lmdb_store(dir / "store", test_options(), random);
                    for (int i = 0; store && i < 3; ++i) {
                        const std::string key = std::to_string(session) + std::to_string(i);
                        const std::string value(i == 1 ? 30000U : 10U, 'v');
                        attempted[key] = value;
                        if (put_one(**store, Table::log, key, value)) committed[key] = value;
                    }
                }
                const bool struck = !fault->disarm();
                auto store = open();
                const Model found = *scan(*store, Table::log);
                for (const auto& [key, value] : committed)
                    ASSERT_EQ(found.count(key), 1U) << nth;
                for (const auto& [key, value] : found)
                    ASSERT_EQ(attempted[key], value) << nth;
                if (!struck) break;
            }
        }
    }
}

TEST_F(LmdbFaults, ABackupThatCannotBeWrittenLeavesNone) {
    const auto store = open();
    JOINERY_ASSERT_OK(put_one(*store, Table::log, "k", "v"));
    JOINERY_ASSERT_OK(backup_lmdb_store(*store, dir / "good"));
    write_fault.arm(ENOSPC);
    const auto refused = restore_lmdb_store(dir / "good", dir / "target");
    ASSERT_EQ(code_of(refused), "io");
    EXPECT_TRUE(std::filesystem::is_empty(dir / "target"));
    JOINERY_ASSERT_OK(restore_lmdb_store(dir / "good", dir / "target"));
}

TEST(RemoteFileSystems, AreKnownByTheirNumbers) {
    for (const std::uint64_t remote : {0x6969U, 0x517bU, 0xff534d42U, 0x01021997U, 0x65735546U}) {
        EXPECT_TRUE(detail::is_remote_file_system(remote)) << remote;
    }
    // CIFS in a signed field of 32 bits.
    EXPECT_TRUE(detail::is_remote_file_system(0xffffffffff534d42U));
    for (const std::uint64_t local :
         {0xef53U, 0x01021994U, 0x9123683eU, 0x58465342U, 0x794c7630U}) {
        EXPECT_FALSE(detail::is_remote_file_system(local)) << local;
    }
}

}  // namespace
}  // namespace joinery::persist::test
