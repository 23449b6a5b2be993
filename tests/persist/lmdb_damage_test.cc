// Damage to the files of a closed store: every open gives an Error or the right data, never a crash
// and never other data.
#include "persist/page_check.h"
#include "persist/page_file.h"
#include "tests/persist/support.h"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace joinery::persist::test {
namespace {

namespace fs = std::filesystem;

/// All tables of a store.
using Content = std::map<std::uint8_t, Model>;

class LmdbDamage : public ::testing::Test {
  protected:
    // Several levels of branches, long values, and free pages: one of everything.
    void SetUp() override {
        const auto store = open();
        JOINERY_ASSERT_OK(store);
        std::mt19937 engine(5);
        for (int round = 0; round < 6; ++round) {
            const auto writer = *(*store)->write();
            for (int i = 0; i < 220; ++i) {
                const std::string key = std::string(120, 'k') + std::to_string(engine() % 600);
                const std::string value(engine() % 10 == 0 ? 6000U : engine() % 90,
                                        static_cast<char>('a' + round));
                const auto table = static_cast<Table>(engine() % 3);
                if (engine() % 3 == 0) {
                    JOINERY_ASSERT_OK(writer->erase(table, as_bytes(key)));
                    content[static_cast<std::uint8_t>(table)].erase(key);
                } else {
                    JOINERY_ASSERT_OK(writer->put(table, as_bytes(key), as_bytes(value)));
                    content[static_cast<std::uint8_t>(table)][key] = value;
                }
            }
            JOINERY_ASSERT_OK(writer->commit());
        }
        ASSERT_EQ(content.size(), 3U);
    }

    Result<std::unique_ptr<Store>> open() {
        return open_lmdb_store(dir / "store", test_options(), random);
    }

    /// Reads the closed store's files, to be put back between tries.
    void remember() {
        for (const auto& entry : fs::recursive_directory_iterator(dir / "store")) {
            if (entry.is_regular_file()) files[entry.path()] = read_whole(entry.path());
        }
    }
    void put_back() {
        for (const auto& [path, bytes] : files)
            write_whole(path, bytes);
    }
    std::string& data() { return files[data_file()]; }
    fs::path data_file() const { return dir / "store/data.mdb"; }
    /// Changes one byte from what it was when remembered.
    void flip_bit(std::size_t at, std::uint64_t bit) const { put_byte(at, 1 << (bit % 8)); }
    void put_back_byte(std::size_t at) const { put_byte(at, 0); }
    void put_byte(std::size_t at, int change) const {
        std::fstream file(data_file(), std::ios::binary | std::ios::in | std::ios::out);
        file.seekp(static_cast<std::streamoff>(at));
        file.put(static_cast<char>(files.at(data_file())[at] ^ change));
    }

    /// Whether the check finds the file as it is now damaged.
    bool is_refused() const {
        const auto file = detail::PageFile::open(data_file());
        if (!file) return true;
        const auto found = detail::check_pages(*file);
        return !found || found->damaged_record_count > 0;
    }

    /// Opens the store as it is now. @return Whether it opened, and then with all the right data.
    bool opens_right(const std::string& what) {
        const auto store = open();
        if (!store) return false;
        for (const auto& [table, model] : content) {
            const auto found = scan(**store, static_cast<Table>(table));
            EXPECT_TRUE(found.has_value()) << what;
            EXPECT_TRUE(found.value_or({}) == model) << what;
        }
        // A scan may step over what a search does not find.
        const auto reader = *(*store)->read();
        for (const auto& [table, model] : content) {
            for (const auto& [key, value] : model) {
                const auto found = reader->get(static_cast<Table>(table), as_bytes(key));
                EXPECT_TRUE(found && *found && text_of(**found) == value) << what;
            }
        }
        // Damage to what is free must not come out with the next commit either.
        const auto written = put_one(**store, Table::live, "after", std::string(20000, 'x'));
        EXPECT_TRUE(written.has_value()) << what;
        for (const auto& [table, model] : content) {
            EXPECT_TRUE(*scan(**store, static_cast<Table>(table)) == model) << what;
        }
        return true;
    }

    TempDir dir;
    SeededRandom random;
    Content content;
    std::map<fs::path, std::string> files;
};

TEST_F(LmdbDamage, AFlippedBitAnywhereInTheDataIsAnErrorOrHarmless) {
    remember();
    std::mt19937 engine(11);
    std::size_t refused = 0;
    std::size_t tried = 0;
    for (std::size_t at = 0; at < data().size(); at += 1 + engine() % 2500) {
        put_back();
        flip_bit(at, engine());
        ++tried;
        if (!opens_right("flipped at " + std::to_string(at))) ++refused;
    }
    EXPECT_GT(tried, 150U);
    EXPECT_GT(refused, tried / 3);
    put_back();
    EXPECT_TRUE(opens_right("as it was"));
}

TEST_F(LmdbDamage, AFlippedBitInAnyByteOfTheHeadIsAnErrorOrHarmless) {
    remember();
    constexpr std::size_t kMetaUsed = 160;
    std::mt19937 engine(23);
    for (const std::size_t page : {0U, 4096U}) {
        for (std::size_t bit = engine() % 4; bit < kMetaUsed * 8; bit += 1 + engine() % 7) {
            put_back();
            flip_bit(page + bit / 8, bit);
            opens_right("flipped at " + std::to_string(page + bit / 8));
        }
    }
}

// Of each of the pages that lead to others, far more is tried than of those that hold records.
TEST_F(LmdbDamage, AFlippedBitInAnyPageThatLeadsToOthersIsAnErrorOrHarmless) {
    remember();
    std::vector<std::size_t> pages;
    {
        const auto file = *detail::PageFile::open(data_file());
        pages = {file.meta().main.page, file.meta().free_pages.page};
        for (std::size_t page = 2; page < data().size() / 4096; ++page) {
            const auto head = as_bytes(std::string_view(data()).substr(page * 4096, 16));
            const auto header = detail::PageHeader::decode(head);
            if (header.flags == detail::PageHeader::kBranch) pages.push_back(page);
        }
    }
    ASSERT_GT(pages.size(), 4U);
    std::mt19937 engine(29);
    std::size_t refused = 0;
    for (const std::size_t page : pages) {
        const auto head = as_bytes(std::string_view(data()).substr(page * 4096, 16));
        const auto header = detail::PageHeader::decode(head);
        const bool dense = header.flags == detail::PageHeader::kLeaf;  // The first two.
        for (std::size_t at = 0; at < 4096; at += 1 + (dense ? 0 : engine() % 20)) {
            if (at >= header.lower && at < header.upper) at = header.upper;  // Between is nothing.
            flip_bit(page * 4096 + at, engine());
            if (is_refused()) {
                ++refused;
                put_back_byte(page * 4096 + at);
                continue;
            }
            opens_right("flipped at " + std::to_string(page * 4096 + at));
            put_back();
        }
    }
    EXPECT_GT(refused, 150U);
}

TEST_F(LmdbDamage, AHeadThatPointsBackToTheLastCommitButOneIsNoticed) {
    remember();
    // The newer head's transaction number, two lower: then the other head is the newer one, and
    // what it leads to is whole.
    constexpr std::size_t kTransactionAt = 144;
    const auto file = *detail::PageFile::open(data_file());
    const std::size_t newer = file.metas()[1].transaction > file.metas()[0].transaction ? 1 : 0;
    char& low = data()[newer * 4096 + kTransactionAt];
    ASSERT_EQ(static_cast<std::uint8_t>(low), file.meta().transaction & 0xffU);
    low = static_cast<char>(low - 2);
    put_back();
    JOINERY_ASSERT_OK(check_lmdb_store(dir / "store"));
    EXPECT_EQ(code_of(open()), "damaged");
    fs::remove(dir / "store/sidecar");  // What the Error says to do to have it opened all the same.
    JOINERY_ASSERT_OK(open());
}

TEST_F(LmdbDamage, OverwrittenPagesAreAnErrorOrHarmless) {
    remember();
    std::mt19937 engine(13);
    for (std::size_t page = 0; page < data().size() / 4096; page += 1 + engine() % 3) {
        for (const bool noise : {false, true}) {
            put_back();
            std::string broken = data();
            for (std::size_t i = 0; i < 4096; ++i) {
                broken[page * 4096 + i] = noise ? static_cast<char>(engine()) : '\0';
            }
            write_whole(data_file(), broken);
            opens_right("page " + std::to_string(page));
        }
    }
}

TEST_F(LmdbDamage, ATornTailAtAnySizeIsAnErrorOrHarmless) {
    remember();
    std::mt19937 engine(17);
    std::size_t refused = 0;
    for (std::size_t size = 0; size < data().size(); size += 1 + engine() % 3000) {
        put_back();
        write_whole(data_file(), std::string_view(data()).substr(0, size));
        if (!opens_right("cut to " + std::to_string(size))) ++refused;
    }
    EXPECT_GT(refused, 50U);
}

TEST_F(LmdbDamage, AFileThatIsTooLargeToCheckIsStillRefusedWhenItIsCut) {
    remember();
    LmdbOptions options = test_options();
    options.check_size_max = 0;
    write_whole(data_file(), std::string_view(data()).substr(0, data().size() / 2));
    EXPECT_EQ(code_of(open_lmdb_store(dir / "store", options, random)), "damaged");
}

TEST_F(LmdbDamage, FlippedBitsInValuesAreNoticedByGetWithoutACheckAtOpen) {
    remember();
    LmdbOptions options = test_options();
    options.check_size_max = 0;
    std::size_t noticed = 0;
    for (std::size_t at = data().find(std::string(5000, 'f')); noticed < 20; at += 97) {
        put_back();
        std::string flipped = data();
        flipped[at] = static_cast<char>(flipped[at] ^ 4);
        write_whole(data_file(), flipped);
        const auto store = open_lmdb_store(dir / "store", options, random);
        JOINERY_ASSERT_OK(store);
        std::size_t damaged = 0;
        for (const auto& [table, model] : content) {
            for (const auto& [key, value] : model) {
                const auto found = get_one(**store, static_cast<Table>(table), key);
                if (!found) ++damaged;
                const std::string seen = found ? found->value_or("missing") : code_of(found);
                ASSERT_EQ(seen, found ? value : "damaged");
            }
        }
        ASSERT_LE(damaged, 1U);
        noticed += damaged;
        if (damaged == 0) at = data().find(std::string(5000, 'f'), at);
        ASSERT_NE(at, std::string::npos);
    }
}

TEST_F(LmdbDamage, TheCheckAcceptsWhateverLmdbWrites) {
    std::mt19937_64 engine(19);
    auto store = *open();
    for (int round = 0; round < 60; ++round) {
        const auto writer = *store->write();
        const auto table = static_cast<Table>(engine() % kTableCount);
        const std::size_t key_size = 1 + engine() % kStoreKeySizeMax;
        for (int i = 0; i < 400; ++i) {
            std::string key = std::to_string(engine() % 300);
            key.resize(std::max(key.size(), key_size), static_cast<char>('0' + engine() % 3));
            if (round % 3 == 2) {
                JOINERY_ASSERT_OK(writer->erase(table, as_bytes(key)));
            } else {
                const std::string value(engine() % 20 == 0 ? engine() % 40000 : engine() % 60, 'v');
                JOINERY_ASSERT_OK(writer->put(table, as_bytes(key), as_bytes(value)));
            }
        }
        if (round % 5 != 4) JOINERY_ASSERT_OK(writer->commit());
        if (round % 7 != 6) continue;
        const auto file = detail::PageFile::open(data_file());
        JOINERY_ASSERT_OK(file);
        const auto found = detail::check_pages(*file);
        JOINERY_ASSERT_OK(found);
        EXPECT_EQ(found->damaged_record_count, 0U);
    }
    std::uint64_t records = 0;
    for (std::uint8_t table = 0; table < kTableCount; ++table) {
        records += scan(*store, static_cast<Table>(table))->size();
    }
    store.reset();
    const auto found = check_lmdb_store(dir / "store");
    JOINERY_ASSERT_OK(found);
    EXPECT_EQ(found->record_count, records + 6);  // Six of the store's own.
}

TEST_F(LmdbDamage, APutThatIsErasedInTheSameTransactionLeavesAFileThatOpens) {
    // LMDB counts such pages as free but never writes them: the file is shorter than it says.
    auto store = *open();
    {
        const auto writer = *store->write();
        const std::string value(8U << 20U, 'v');
        JOINERY_ASSERT_OK(writer->put(Table::log, as_bytes("big"), as_bytes(value)));
        JOINERY_ASSERT_OK(writer->erase(Table::log, as_bytes("big")));
        JOINERY_ASSERT_OK(writer->put(Table::log, as_bytes("small"), as_bytes("v")));
        JOINERY_ASSERT_OK(writer->commit());
    }
    content[static_cast<std::uint8_t>(Table::log)]["small"] = "v";
    store.reset();
    EXPECT_TRUE(opens_right("as it is"));
}

}  // namespace
}  // namespace joinery::persist::test
