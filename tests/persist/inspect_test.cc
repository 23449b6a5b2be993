// Looking at a store on disk without touching it, while others use it and where nobody can open it.
#include "persist/inspect.h"

#include "persist/format.h"
#include "persist/identity.h"
#include "persist/lmdb_env.h"
#include "persist/page_file.h"
#include "tests/persist/support.h"

#include <filesystem>
#include <gtest/gtest.h>
#include <map>
#include <string>

namespace joinery::persist::test {
namespace {

namespace fs = std::filesystem;

class Inspect : public ::testing::Test {
  protected:
    fs::path root() const { return dir / "store"; }
    std::unique_ptr<Store> open() {
        auto store = open_lmdb_store(root(), test_options(), random);
        if (!store) {
            ADD_FAILURE() << store.error().what;
            std::abort();
        }
        return *std::move(store);
    }
    /// A closed store with records in pages of all sorts.
    void fill() {
        const auto store = open();
        for (int round = 0; round < 3; ++round) {
            const auto writer = *store->write();
            for (int i = 0; i < 400; ++i) {
                const std::string key = std::string(60, 'k') + std::to_string(i);
                const std::string value(i % 50 == 0 ? 9000 : 40, static_cast<char>('a' + round));
                JOINERY_ASSERT_OK(writer->put(Table::log, as_bytes(key), as_bytes(value)));
            }
            JOINERY_ASSERT_OK(writer->commit());
        }
    }
    /// Everything that lasts.
    static std::map<std::string, std::string> files_in(const fs::path& directory) {
        std::map<std::string, std::string> out;
        for (const auto& entry : fs::recursive_directory_iterator(directory)) {
            if (!entry.is_regular_file() || entry.path().filename() == "lock.mdb") continue;
            out[entry.path().string()] = read_whole(entry.path());
        }
        return out;
    }
    /// A record of the store's own, with its checksum, as a later build might write it.
    void put_own(std::string_view key, const Bytes& value) const {
        const auto env = *detail::LmdbEnv::open(root(), {.map_size = 0, .read_only = false});
        const auto txn = *env->begin_write();
        const auto own = *txn->open_table(detail::kOwnTableName);
        JOINERY_ASSERT_OK(detail::put_own(*txn, own, as_bytes(key), value));
        JOINERY_ASSERT_OK(txn->commit());
    }
    void edit(const fs::path& file, std::size_t at) const {
        std::string bytes = read_whole(root() / file);
        bytes.at(at) = static_cast<char>(bytes[at] ^ 1);
        write_whole(root() / file, bytes);
    }

    TempDir dir;
    SeededRandom random;
};

TEST_F(Inspect, AWholeStoreIsReadAndNothingOfItChanges) {
    fill();
    const auto before = files_in(root());
    for (int i = 0; i < 2; ++i) {
        const auto found = inspect_lmdb_store(root());
        JOINERY_ASSERT_OK(found);
        EXPECT_FALSE(found->damage || found->head_damage);
        EXPECT_TRUE(found->files.empty());
        EXPECT_TRUE(found->odd_records.empty());
        ASSERT_NE(found->reader, nullptr);
        EXPECT_EQ(scan(*found->reader, Table::log)->size(), 400U);
        EXPECT_EQ(found->check.record_count, 406U);  // Six of the store's own.
        EXPECT_EQ(found->check.damaged_record_count, 0U);
    }
    EXPECT_EQ(files_in(root()), before);
}

TEST_F(Inspect, ABackupIsReadWithoutAFileMadeBesideIt) {
    fill();
    JOINERY_ASSERT_OK(backup_lmdb_store(root(), dir / "backup"));
    const auto before = files_in(dir / "backup");
    {
        const auto found = inspect_lmdb_store(dir / "backup");
        JOINERY_ASSERT_OK(found);
        ASSERT_NE(found->reader, nullptr);
        EXPECT_EQ(scan(*found->reader, Table::log)->size(), 400U);
    }
    EXPECT_EQ(files_in(dir / "backup"), before);
    EXPECT_FALSE(fs::exists(dir / "backup/lock.mdb"));
    JOINERY_ASSERT_OK(restore_lmdb_store(dir / "backup", dir / "restored"));
}

TEST_F(Inspect, AMomentOfAStoreIsSeenThatAnotherProcessGoesOnWriting) {
    const Signal more, end;
    Child child([&](int pipe) {
        SeededRandom own;
        const auto store = *open_lmdb_store(root(), test_options(), own);
        std::uint64_t number = 0;
        const auto write_many = [&](int count) {
            for (int i = 0; i < count; ++i) {
                const std::string key = "key" + std::to_string(number % 300);
                if (!put_one(*store, Table::log, key, std::string(number % 5000, 'v'))) ::_exit(1);
                if (!put_one(*store, Table::meta, "number", std::to_string(++number))) ::_exit(1);
            }
            Child::report(pipe, number);
        };
        write_many(200);
        more.await();
        write_many(400);
        end.await();
    });
    ASSERT_EQ(child.next_report(), 200U);
    const auto found = inspect_lmdb_store(root());
    JOINERY_ASSERT_OK(found);
    ASSERT_NE(found->reader, nullptr);
    more.give();
    // While it writes: each time the pages of some moment, whole.
    std::size_t looks = 0;
    std::string last = "0";
    while (last != "600") {
        const auto now = found->reader->get(Table::meta, as_bytes("number"));
        JOINERY_ASSERT_OK(now);
        EXPECT_EQ(text_of(**now), "200");
        // Only one may be open in a process: the next look is another child's.
        Child other([&](int pipe) {
            const auto again = inspect_lmdb_store(root());
            if (!again || again->damage || again->reader == nullptr) ::_exit(1);
            const auto number = again->reader->get(Table::meta, as_bytes("number"));
            if (!number || !*number) ::_exit(2);
            Child::report(pipe, std::stoull(text_of(**number)));
        });
        const auto number = other.next_report();
        ASSERT_TRUE(number.has_value());
        ASSERT_EQ(other.wait(), 0);
        ASSERT_GE(*number, std::stoull(last));
        last = std::to_string(*number);
        ++looks;
    }
    EXPECT_GT(looks, 0U);
    ASSERT_EQ(child.next_report(), 600U);
    EXPECT_EQ(scan(*found->reader, Table::log)->size(), 200U);
    end.give();
    EXPECT_EQ(child.wait(), 0);
}

TEST_F(Inspect, AnotherProcessMayOpenTheStoreWhileItIsRead) {
    fill();
    const Signal go;
    Child child([&](int pipe) {
        go.await();
        SeededRandom own;
        const auto store = open_lmdb_store(root(), test_options(), own);
        if (!store || !put_one(**store, Table::log, "new", "x")) ::_exit(1);
        Child::report(pipe, (*store)->writer_slot());
    });
    const auto found = inspect_lmdb_store(root());
    JOINERY_ASSERT_OK(found);
    go.give();
    EXPECT_EQ(child.next_report(), 0U) << "looking takes no writer slot";
    EXPECT_EQ(child.wait(), 0);
    EXPECT_EQ(scan(*found->reader, Table::log)->size(), 400U);
}

TEST_F(Inspect, WhereThisProcessHasItOpenItIsBusy) {
    fill();
    const auto store = open();
    EXPECT_EQ(code_of(inspect_lmdb_store(root())), "busy");
}

TEST_F(Inspect, WhatIsNoStoreIsAnError) {
    EXPECT_EQ(code_of(inspect_lmdb_store(dir / "missing")), "not found");
    fs::create_directory(dir / "empty");
    EXPECT_EQ(code_of(inspect_lmdb_store(dir / "empty")), "not found");
    EXPECT_TRUE(fs::is_empty(dir / "empty"));
    fs::create_directory(dir / "other");
    write_whole(dir / "other/file", "x");
    EXPECT_EQ(code_of(inspect_lmdb_store(dir / "other")), "conflict");
    write_whole(dir / "other/data.mdb", std::string(20000, 'x'));
    EXPECT_EQ(code_of(inspect_lmdb_store(dir / "other")), "malformed");
    EXPECT_EQ(code_of(inspect_lmdb_store(dir / "other/file")), "malformed");
}

TEST_F(Inspect, ADamagedPageIsReportedWithItsNumberAndWithoutAReader) {
    fill();
    std::size_t page = 2;
    const std::string data = read_whole(root() / "data.mdb");
    const auto flags_of = [&](std::size_t number) {
        return detail::PageHeader::decode(
                   as_bytes(std::string_view(data).substr(number * 4096, 16)))
            .flags;
    };
    for (std::size_t number = 2; number < data.size() / 4096; ++number) {
        if (flags_of(number) != detail::PageHeader::kBranch) continue;
        std::string broken = data;
        broken[number * 4096 + 12] = 1;  // Where its pointers end: within the header.
        write_whole(root() / "data.mdb", broken);
        const auto found = inspect_lmdb_store(root());
        JOINERY_ASSERT_OK(found);
        if (!found->damage) continue;  // A page of the past.
        page = number;
        EXPECT_EQ(found->reader, nullptr);
        EXPECT_EQ(found->damage->at, number);
    }
    EXPECT_NE(page, 2U);
}

TEST_F(Inspect, ADamagedHeadAndALostDatabaseAreDamage) {
    fill();
    const std::string data = read_whole(root() / "data.mdb");
    for (const std::size_t at : {16U, 4096U + 16U}) {  // The magic of either head.
        edit("data.mdb", at);
        const auto found = inspect_lmdb_store(root());
        JOINERY_ASSERT_OK(found);
        EXPECT_TRUE(found->damage.has_value());
        EXPECT_EQ(found->reader, nullptr);
        write_whole(root() / "data.mdb", data);
    }
    write_whole(root() / "data.mdb", std::string_view(data).substr(0, data.size() / 2));
    EXPECT_TRUE(inspect_lmdb_store(root())->damage.has_value());
    fs::remove(root() / "data.mdb");
    const auto found = inspect_lmdb_store(root());
    JOINERY_ASSERT_OK(found);
    ASSERT_TRUE(found->damage.has_value());
    EXPECT_EQ(found->damage->what, "the store's data.mdb is missing: restore a backup");
}

TEST_F(Inspect, AHeadThatPointsBackIsTold) {
    fill();
    constexpr std::size_t kTransactionAt = 144;
    const auto file = *detail::PageFile::open(root() / "data.mdb");
    const std::size_t newer = file.metas()[1].transaction > file.metas()[0].transaction ? 1 : 0;
    std::string data = read_whole(root() / "data.mdb");
    char& low = data[newer * 4096 + kTransactionAt];
    low = static_cast<char>(low - 2);
    write_whole(root() / "data.mdb", data);
    const auto found = inspect_lmdb_store(root());
    JOINERY_ASSERT_OK(found);
    EXPECT_TRUE(found->head_damage.has_value());
    EXPECT_NE(found->reader, nullptr);
}

TEST_F(Inspect, DamagedSmallFilesAreNamed) {
    fill();
    for (const char* name : {"sidecar", "slots/0.lock"}) {
        edit(name, 13);
        const auto found = inspect_lmdb_store(root());
        JOINERY_ASSERT_OK(found);
        ASSERT_EQ(found->files.size(), 1U);
        EXPECT_EQ(found->files.front().name, name);
        EXPECT_NE(found->reader, nullptr);
        edit(name, 13);
    }
    fs::remove(root() / "sidecar");
    EXPECT_TRUE(inspect_lmdb_store(root())->files.empty()) << "an older backup put in place";
}

TEST_F(Inspect, RecordsOfTheStoreItselfThatNobodyWritesAreNamed) {
    fill();
    put_own("counter", {1});
    put_own("later", {1, 2, 3});
    fs::remove(root() / "sidecar");  // It knows another head.
    const auto found = inspect_lmdb_store(root());
    JOINERY_ASSERT_OK(found);
    EXPECT_EQ(found->odd_records, (std::vector<std::string>{"counter", "later"}));
}

TEST_F(Inspect, ANewerFormatIsAnErrorAndNotDamage) {
    fill();
    Bytes format;
    detail::append_u32(format, detail::kStoreFormat + 1);
    put_own(detail::kFormatKey, format);
    EXPECT_EQ(code_of(inspect_lmdb_store(root())), "unsupported");
}

}  // namespace
}  // namespace joinery::persist::test
