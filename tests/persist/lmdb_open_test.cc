// Opening, and when a store is still the one it was.
#include "persist/format.h"
#include "persist/identity.h"
#include "persist/lmdb_env.h"
#include "tests/persist/support.h"

#include <filesystem>
#include <gtest/gtest.h>
#include <string>
#include <sys/stat.h>

namespace joinery::persist::test {
namespace {

namespace fs = std::filesystem;

class LmdbOpen : public ::testing::Test {
  protected:
    Result<std::unique_ptr<Store>> open(const fs::path& path,
                                        const LmdbOptions& options = test_options()) {
        return open_lmdb_store(path, options, random);
    }
    Result<std::unique_ptr<Store>> open() { return open(dir / "store"); }
    Incarnation incarnation_of(const fs::path& path) { return (*open(path))->incarnation(); }
    void make_store(std::string_view value = "v") {
        const auto store = open();
        JOINERY_ASSERT_OK(store);
        JOINERY_ASSERT_OK(put_one(**store, Table::log, "k", value));
    }

    TempDir dir;
    SeededRandom random;
};

// Runs @p body as a user whom permissions bind, since root may do anything.
int as_nobody(const std::function<void(int)>& body) {
    Child child([&body](int pipe) {
        if (::geteuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0)) ::_exit(98);
        body(pipe);
    });
    return child.wait();
}

TEST_F(LmdbOpen, AMissingDirectoryIsMadeOrNotFound) {
    LmdbOptions options = test_options();
    options.create = false;
    EXPECT_EQ(code_of(open(dir / "store", options)), "not found");
    EXPECT_FALSE(fs::exists(dir / "store"));
    JOINERY_ASSERT_OK(open(dir / "store"));
    JOINERY_ASSERT_OK(open(dir / "store", options));
    EXPECT_EQ(code_of(open(dir / "no parent/store")), "not found");
}

TEST_F(LmdbOpen, AnEmptyDirectoryWithoutLeaveToCreateStaysEmpty) {
    fs::create_directory(dir / "store");
    LmdbOptions options = test_options();
    options.create = false;
    EXPECT_EQ(code_of(open(dir / "store", options)), "not found");
    EXPECT_TRUE(fs::is_empty(dir / "store"));
}

TEST_F(LmdbOpen, APathThatIsNoDirectoryIsMalformed) {
    write_whole(dir / "store", "text");
    EXPECT_EQ(code_of(open()), "malformed");
    EXPECT_EQ(code_of(open(dir / "store/below")), "malformed");
}

TEST_F(LmdbOpen, ADirectoryOfOtherFilesIsLeftAlone) {
    fs::create_directory(dir / "store");
    write_whole(dir / "store/letter.txt", "dear");
    EXPECT_EQ(code_of(open()), "conflict");
    EXPECT_EQ(std::distance(fs::directory_iterator(dir / "store"), fs::directory_iterator()), 1);
}

TEST_F(LmdbOpen, ADataFileThatIsNoStoreIsATypedError) {
    fs::create_directory(dir / "store");
    const auto data = dir / "store/data.mdb";
    write_whole(data, "");
    EXPECT_EQ(code_of(open()), "damaged");
    write_whole(data, "x");
    EXPECT_EQ(code_of(open()), "malformed");
    std::string garbage(100000, '\0');
    std::mt19937 engine(7);
    for (char& byte : garbage)
        byte = static_cast<char>(engine());
    write_whole(data, garbage);
    EXPECT_EQ(code_of(open()), "malformed");
    write_whole(data, std::string(1 << 20, '\0'));
    EXPECT_EQ(code_of(open()), "malformed");
    fs::remove(data);
    fs::create_directory(data);
    EXPECT_EQ(code_of(open()), "malformed");
}

TEST_F(LmdbOpen, AnotherProgramsDatabaseIsNoStore) {
    fs::create_directory(dir / "store");
    {
        const auto env = *detail::LmdbEnv::open(dir / "store", {.map_size = 1U << 20U});
        const auto txn = *env->begin_write();
        const auto table = *txn->create_table("theirs");
        JOINERY_ASSERT_OK(txn->put(table, as_bytes("k"), as_bytes("v")));
        JOINERY_ASSERT_OK(txn->commit());
    }
    const std::string before = read_whole(dir / "store/data.mdb");
    EXPECT_EQ(code_of(open()), "malformed");
    EXPECT_EQ(read_whole(dir / "store/data.mdb"), before);
}

TEST_F(LmdbOpen, ANewerFormatIsUnsupportedHoweverLargeTheFile) {
    make_store();
    {
        const auto env = *detail::LmdbEnv::open(dir / "store", {.map_size = 256U << 20U});
        const auto txn = *env->begin_write();
        const auto own = *txn->open_table(detail::kOwnTableName);
        Bytes format;
        detail::append_u32(format, detail::kStoreFormat + 1);
        JOINERY_ASSERT_OK(detail::put_own(*txn, own, as_bytes(detail::kFormatKey), format));
        JOINERY_ASSERT_OK(txn->commit());
    }
    const auto refused = open();
    ASSERT_EQ(code_of(refused), "unsupported");
    EXPECT_NE(refused.error().what.find("newer"), std::string_view::npos);
    LmdbOptions unchecked = test_options();
    unchecked.check_size_max = 0;
    EXPECT_EQ(code_of(open(dir / "store", unchecked)), "unsupported");
}

TEST_F(LmdbOpen, AStoreWhoseDataFileIsGoneIsNotSilentlyMadeAnew) {
    make_store();
    fs::remove(dir / "store/data.mdb");
    EXPECT_EQ(code_of(open()), "damaged");
}

TEST_F(LmdbOpen, ACrashDuringCreationLeavesAStoreThatOpens) {
    fs::create_directory(dir / "store");
    fs::create_directory(dir / "store/creating");
    write_whole(dir / "store/creating/data.mdb", "half");
    write_whole(dir / "store/open.lock", "");
    write_whole(dir / "store/users.lock", "");
    JOINERY_ASSERT_OK(open());
    EXPECT_FALSE(fs::exists(dir / "store/creating"));
}

TEST_F(LmdbOpen, OneProcessCannotOpenAStoreTwiceByAnyPath) {
    const auto store = open();
    JOINERY_ASSERT_OK(store);
    fs::create_directory_symlink(dir / "store", dir / "link");
    EXPECT_EQ(code_of(open()), "busy");
    EXPECT_EQ(code_of(open(dir / "link")), "busy");
    EXPECT_EQ(code_of(open(dir / "store/.")), "busy");
    EXPECT_EQ(code_of(check_lmdb_store(dir / "store")), "busy");
    EXPECT_EQ(code_of(backup_lmdb_store(dir / "store", dir / "backup")), "busy");
}

TEST_F(LmdbOpen, AMapSizeTooSmallIsRefused) {
    LmdbOptions options = test_options();
    options.map_size = 4096;
    EXPECT_EQ(code_of(open(dir / "store", options)), "malformed");
}

TEST_F(LmdbOpen, ADirectoryWithoutPermissionIsATypedError) {
    make_store();  // Only its owner may read it, as may be of the directory above.
    EXPECT_EQ(as_nobody([this](int) {
                  const auto refused = open();
                  ::_exit(code_of(refused) == "io" && refused.error().what == "permission denied"
                              ? 0
                              : 1);
              }),
              0);
}

TEST_F(LmdbOpen, AReadOnlyDirectoryIsATypedError) {
    make_store();
    fs::permissions(dir.path(), fs::perms(0755));
    for (const auto& entry : fs::recursive_directory_iterator(dir.path())) {
        fs::permissions(entry.path(), entry.is_directory() ? fs::perms(0555) : fs::perms(0444));
    }
    EXPECT_EQ(as_nobody([this](int) { ::_exit(code_of(open()) == "io" ? 0 : 1); }), 0);
    fs::permissions(dir / "store", fs::perms(0755));
}

TEST_F(LmdbOpen, ReopeningKeepsIncarnationSlotAndGeneration) {
    make_store();
    const auto first = incarnation_of(dir / "store");
    for (int i = 0; i < 5; ++i) {
        const auto store = open();
        JOINERY_ASSERT_OK(store);
        EXPECT_EQ((*store)->incarnation(), first);
        EXPECT_EQ((*store)->writer_slot(), 0U);
        EXPECT_EQ((*store)->writer_generation(), 0U);
    }
}

TEST_F(LmdbOpen, ACopiedDirectoryIsAnotherIncarnationAndTheOriginalIsNot) {
    make_store();
    const auto first = incarnation_of(dir / "store");
    fs::copy(dir / "store", dir / "copy", fs::copy_options::recursive);
    const auto copied = incarnation_of(dir / "copy");
    EXPECT_NE(copied, first);
    EXPECT_EQ(incarnation_of(dir / "copy"), copied);
    EXPECT_EQ(incarnation_of(dir / "store"), first);
    EXPECT_EQ(*get_one(**open(dir / "copy"), Table::log, "k"), "v");
}

TEST_F(LmdbOpen, TheLogOfIncarnationsSaysWhatHappenedToTheStore) {
    LmdbOptions options = test_options();
    options.now = WallTime(1);
    EXPECT_TRUE(open(dir / "store", options).has_value());
    fs::rename(dir / "store", dir / "moved");
    options.now = WallTime(2);
    EXPECT_TRUE(open(dir / "moved", options).has_value());
    fs::remove(dir / "moved/sidecar");
    options.now = WallTime(3);
    const auto store = open(dir / "moved", options);
    JOINERY_ASSERT_OK(store);
    const auto log = (*store)->incarnation_changes();
    JOINERY_ASSERT_OK(log);
    ASSERT_EQ(log->size(), 3U);
    const std::vector<IncarnationReason> reasons{
        IncarnationReason::created, IncarnationReason::moved, IncarnationReason::unmarked};
    for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_EQ((*log)[i].reason, reasons[i]);
        EXPECT_EQ((*log)[i].time, WallTime(static_cast<std::int64_t>(i) + 1));
    }
    EXPECT_EQ(log->back().incarnation, (*store)->incarnation());
}

TEST_F(LmdbOpen, AMovedDirectoryIsAnotherIncarnation) {
    make_store();
    const auto first = incarnation_of(dir / "store");
    fs::rename(dir / "store", dir / "moved");
    EXPECT_NE(incarnation_of(dir / "moved"), first);
}

TEST_F(LmdbOpen, ANewMachineIsAnotherIncarnation) {
    LmdbOptions options = test_options();
    options.machine_id_file = dir / "machine-id";
    write_whole(options.machine_id_file, "one\n");
    const auto first = (*open(dir / "store", options))->incarnation();
    EXPECT_EQ((*open(dir / "store", options))->incarnation(), first);
    write_whole(options.machine_id_file, "two\n");
    EXPECT_NE((*open(dir / "store", options))->incarnation(), first);
}

TEST_F(LmdbOpen, AnOlderDataFilePutBackIsAnotherIncarnation) {
    make_store("old");
    const auto first = incarnation_of(dir / "store");
    const std::string older = read_whole(dir / "store/data.mdb");
    make_store("new");
    write_whole(dir / "store/data.mdb", older);  // In place: the inode stays.
    const auto store = open();
    JOINERY_ASSERT_OK(store);
    EXPECT_NE((*store)->incarnation(), first);
    EXPECT_EQ(*get_one(**store, Table::log, "k"), "old");
}

TEST_F(LmdbOpen, AnOlderDataFileOfTheSameSessionPutBackIsAnotherIncarnation) {
    Incarnation first;
    std::string older;
    {
        const auto store = open();
        JOINERY_ASSERT_OK(store);
        first = (*store)->incarnation();
        JOINERY_ASSERT_OK(put_one(**store, Table::log, "k", "old"));
        older = read_whole(dir / "store/data.mdb");
        for (int i = 0; i < 4; ++i)
            JOINERY_ASSERT_OK(put_one(**store, Table::log, "k", "new"));
    }
    write_whole(dir / "store/data.mdb", older);
    EXPECT_NE(incarnation_of(dir / "store"), first);
}

TEST_F(LmdbOpen, ALostOrDamagedSidecarIsAnotherIncarnation) {
    make_store();
    auto last = incarnation_of(dir / "store");
    fs::remove(dir / "store/sidecar");
    EXPECT_NE(incarnation_of(dir / "store"), last);
    last = incarnation_of(dir / "store");
    std::string sidecar = read_whole(dir / "store/sidecar");
    ASSERT_EQ(sidecar.size(), 64U);
    sidecar[20] = static_cast<char>(sidecar[20] ^ 1);
    write_whole(dir / "store/sidecar", sidecar);
    EXPECT_NE(incarnation_of(dir / "store"), last);
}

TEST_F(LmdbOpen, ALostOrDamagedSlotFileRetiresTheActor) {
    make_store();
    const auto slot_file = dir / "store/slots/0.lock";
    fs::remove(slot_file);
    EXPECT_EQ((*open())->writer_generation(), 1U);
    std::string content = read_whole(slot_file);
    content[17] = static_cast<char>(content[17] ^ 1);
    write_whole(slot_file, content);
    EXPECT_EQ((*open())->writer_generation(), 2U);
    EXPECT_EQ((*open())->writer_generation(), 2U);
}

TEST_F(LmdbOpen, AnEndThatTheOwnerCallsUncleanRetiresTheActor) {
    {
        const auto store = *open();
        store->mark_unclean();
    }
    EXPECT_EQ((*open())->writer_generation(), 1U);
    EXPECT_EQ((*open())->writer_generation(), 1U);
}

TEST_F(LmdbOpen, ABackupOfALiveStoreRestoresUnderAnotherIncarnation) {
    const auto store = open();
    JOINERY_ASSERT_OK(store);
    JOINERY_ASSERT_OK(put_one(**store, Table::log, "k", "v"));
    const auto reader = *(*store)->read();
    JOINERY_ASSERT_OK(backup_lmdb_store(**store, dir / "backup"));
    JOINERY_ASSERT_OK(put_one(**store, Table::log, "k", "later"));
    JOINERY_ASSERT_OK(restore_lmdb_store(dir / "backup", dir / "restored"));
    JOINERY_ASSERT_OK(restore_lmdb_store(dir / "backup", dir / "again"));
    const auto restored = open(dir / "restored");
    JOINERY_ASSERT_OK(restored);
    EXPECT_NE((*restored)->incarnation(), (*store)->incarnation());
    EXPECT_NE((*restored)->incarnation(), incarnation_of(dir / "again"));
    EXPECT_EQ(*get_one(**restored, Table::log, "k"), "v");
    EXPECT_EQ(*get_one(**store, Table::log, "k"), "later");
}

TEST_F(LmdbOpen, BackupAndRestoreRefuseTargetsThatHoldAnything) {
    make_store();
    fs::create_directory(dir / "full");
    write_whole(dir / "full/file", "x");
    write_whole(dir / "plain", "x");
    EXPECT_EQ(code_of(backup_lmdb_store(dir / "store", dir / "full")), "conflict");
    EXPECT_EQ(code_of(backup_lmdb_store(dir / "store", dir / "plain")), "conflict");
    JOINERY_ASSERT_OK(backup_lmdb_store(dir / "store", dir / "backup"));
    EXPECT_EQ(code_of(backup_lmdb_store(dir / "store", dir / "backup")), "conflict");
    EXPECT_EQ(code_of(restore_lmdb_store(dir / "backup", dir / "full")), "conflict");
    EXPECT_EQ(code_of(restore_lmdb_store(dir / "backup", dir / "store")), "conflict");
    EXPECT_EQ(code_of(restore_lmdb_store(dir / "nothing", dir / "new")), "not found");
    EXPECT_EQ(code_of(restore_lmdb_store(dir / "store", dir / "new")), "conflict");
    EXPECT_FALSE(fs::exists(dir / "new"));
}

TEST_F(LmdbOpen, ADamagedBackupIsNotRestored) {
    make_store(std::string(10000, 'v'));
    JOINERY_ASSERT_OK(backup_lmdb_store(dir / "store", dir / "backup"));
    std::string data = read_whole(dir / "backup/data.mdb");
    data[data.find(std::string(200, 'v')) + 100] = 'w';
    write_whole(dir / "backup/data.mdb", data);
    EXPECT_EQ(code_of(restore_lmdb_store(dir / "backup", dir / "new")), "damaged");
    EXPECT_TRUE(fs::is_empty(dir / "new"));
}

TEST_F(LmdbOpen, AStoreInMemoryCannotBeBackedUp) {
    MemoryDisk disk;
    const auto store = *open_memory_store(disk, random);
    EXPECT_EQ(code_of(backup_lmdb_store(*store, dir / "backup")), "unsupported");
}

TEST_F(LmdbOpen, RecordsThatAreDamagedMayBeAccepted) {
    const std::string value(50000, 'v');
    make_store(value);
    {
        const auto store = open();
        JOINERY_ASSERT_OK(put_one(**store, Table::log, "a", "1"));
        JOINERY_ASSERT_OK(put_one(**store, Table::log, "z", "2"));
    }
    std::string data = read_whole(dir / "store/data.mdb");
    data[data.find(std::string(200, 'v')) + 100] = 'w';
    write_whole(dir / "store/data.mdb", data);
    EXPECT_EQ(code_of(open()), "damaged");
    EXPECT_EQ((*check_lmdb_store(dir / "store")).damaged_record_count, 1U);
    LmdbOptions options = test_options();
    options.accept_damaged_records = true;
    const auto store = open(dir / "store", options);
    JOINERY_ASSERT_OK(store);
    EXPECT_EQ(*get_one(**store, Table::log, "a"), "1");
    EXPECT_EQ(*get_one(**store, Table::log, "z"), "2");
    EXPECT_EQ(code_of(get_one(**store, Table::log, "k")), "damaged");
    const auto reader = *(*store)->read();
    EXPECT_EQ(code_of(reader->first_at_or_after(Table::log, as_bytes("b"))), "damaged");
    EXPECT_EQ(text_of(reader->damaged_key()), "k");
    EXPECT_EQ(code_of(reader->last_before(Table::log, as_bytes("z"))), "damaged");
    EXPECT_EQ(text_of(reader->damaged_key()), "k");
    EXPECT_EQ(text_of((*reader->last_before(Table::log, reader->damaged_key()))->key), "a");
    JOINERY_ASSERT_OK(put_one(**store, Table::log, "k", "mended"));
    EXPECT_EQ(*get_one(**store, Table::log, "k"), "mended");
}

}  // namespace
}  // namespace joinery::persist::test
