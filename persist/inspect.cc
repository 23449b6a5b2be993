#include "persist/inspect.h"

#include "persist/directory.h"
#include "persist/files.h"
#include "persist/format.h"
#include "persist/identity.h"
#include "persist/lease.h"
#include "persist/lmdb_env.h"
#include "persist/lmdb_records.h"
#include "persist/page_check.h"
#include "persist/page_file.h"

#include <algorithm>
#include <system_error>
#include <utility>

namespace joinery::persist {
namespace {

using detail::LmdbEnv;
using detail::LmdbRecords;
using detail::LmdbTxn;
using detail::MetaPage;
using detail::PageFile;
using detail::StoreDirectory;
using detail::TableHandles;
using Heads = std::optional<std::array<MetaPage, 2>>;

/// How often it is tried to read a meta page before the next commit is over.
constexpr int kMomentTryMax = 1000;
/// Bytes of two of the store's own records.
constexpr std::size_t kPlaceSize = 48;
constexpr std::size_t kRenewalSize = 25;
/// More than any of the small files has.
constexpr std::size_t kSmallFileSizeMax = 256;

/// Everything that the reader needs, in the order in which it can end.
struct Opened {
    StoreDirectory directory;
    std::unique_ptr<LmdbEnv> env;
    TableHandles handles;
};

class InspectionReader final : public StoreReader {
  public:
    InspectionReader(Opened opened, std::unique_ptr<LmdbTxn> txn)
        : opened_(std::move(opened)), records_(*opened_.env, opened_.handles, std::move(txn)) {}

    Result<std::optional<ByteView>> get(Table table, ByteView key) override {
        return records_.get(table, key);
    }
    Result<std::optional<Record>> first_at_or_after(Table table, ByteView key) override {
        return records_.first_at_or_after(table, key);
    }
    Result<std::optional<Record>> last_before(Table table, ByteView key) override {
        return records_.last_before(table, key);
    }
    ByteView damaged_key() const override { return records_.damaged_key(); }

  private:
    Opened opened_;
    LmdbRecords records_;
};

StoreCheck counts_of(const detail::PageCheck& found) {
    return {found.record_count, found.damaged_record_count, found.page_count};
}

/// The page file, and its newest meta page.
struct Moment {
    PageFile file;
    MetaPage meta;
};

/// Catches the newest moment, whose pages stay as they are while a reader lives that began before.
/// Meta pages take turns, so it is overwritten by the second commit after it: it is whole if no
/// commit was over when it had been read. That the reader may see an older moment, for the writer
/// after it was killed at its very end, does not matter.
Result<Moment> catch_moment(LmdbEnv& env, const std::filesystem::path& root) {
    Error error = fail(Errc::busy, "others commit too fast to look at the store; try again");
    for (int i = 0; i < kMomentTryMax; ++i) {
        const std::uint64_t newest = env.last_transaction();
        auto file = PageFile::open(root / detail::kDataFile);
        if (env.last_transaction() != newest) continue;
        if (!file) {
            error = file.error();
            continue;
        }
        for (const MetaPage& meta : file->metas()) {
            if (meta.transaction != newest) continue;
            const MetaPage ours = meta;
            return Moment{*std::move(file), ours};
        }
    }
    return error;
}

bool is_small_file_sound(const std::filesystem::path& path, bool (*is_sound)(ByteView)) {
    // Its owner may be writing it: what is torn now is not torn twice.
    for (int i = 0; i < 2; ++i) {
        const auto content = detail::read_file(path, kSmallFileSizeMax);
        if (!content || is_sound(*content)) return true;
    }
    return false;
}

/// With the gate held, so that nobody writes a sidecar.
Result<std::vector<DamagedFile>> check_small_files(const std::filesystem::path& root) {
    std::vector<DamagedFile> damaged;
    JOINERY_TRY(const auto sidecar, detail::read_sidecar(root));
    std::error_code error;
    if (!sidecar && std::filesystem::exists(root / detail::kSidecarFile, error)) {
        damaged.push_back({detail::kSidecarFile});
    }
    std::vector<std::string> slots;
    for (auto entry = std::filesystem::directory_iterator(root / detail::kSlotsDir, error);
         !error && entry != std::filesystem::directory_iterator();
         entry.increment(error)) {
        slots.push_back(entry->path().filename().string());
    }
    std::ranges::sort(slots);
    for (const std::string& name : slots) {
        if (is_small_file_sound(root / detail::kSlotsDir / name, detail::is_slot_content)) continue;
        damaged.push_back({std::string(detail::kSlotsDir) + "/" + name});
    }
    return damaged;
}

/// The size of an own record's value; none for a key that this build does not write.
std::optional<std::size_t> own_size(ByteView key) {
    const std::string_view name = as_text(key);
    if (name == detail::kFormatKey) return 4;
    if (name == detail::kIncarnationKey) return Incarnation::kSize;
    if (name == detail::kPlaceKey) return kPlaceSize;
    if (name == detail::kCounterKey) return 8;
    const auto is_numbered = [name](std::string_view prefix) {
        return name.starts_with(prefix) && name.size() == prefix.size() + 4;
    };
    if (is_numbered(detail::kSlotKeyPrefix)) return 4;
    if (is_numbered(detail::kRenewalKeyPrefix)) return kRenewalSize;
    return std::nullopt;
}

/// Their checksums were checked with the pages.
Result<std::vector<std::string>> find_odd_records(LmdbTxn& txn, detail::TableHandle own) {
    std::vector<std::string> odd;
    Bytes from;
    while (true) {
        JOINERY_TRY(const auto record, txn.first_at_or_after(own, from));
        if (!record) return odd;
        const auto size = own_size(record->key);
        if (!size || record->value.size() != detail::kChecksumSize + *size) {
            const bool is_plain = std::ranges::all_of(
                record->key, [](std::uint8_t c) { return c > 0x20 && c < 0x7f; });
            odd.push_back(is_plain ? std::string(as_text(record->key)) : to_hex(record->key));
        }
        from.assign(record->key.begin(), record->key.end());
        from.push_back(0);
    }
}

/// Nobody has the store open: the pages are checked before LMDB sees them.
Result<void> inspect_alone(StoreDirectory entered, bool is_backup, Inspection& out) {
    Heads heads;
    if (!is_backup) {
        JOINERY_TRY(heads, entered.check({0, true}));
    }
    JOINERY_TRY(const PageFile file, PageFile::open(entered.root() / detail::kDataFile));
    JOINERY_TRY(const auto found, detail::check_pages(file));
    out.check = counts_of(found);
    JOINERY_TRY(
        auto env,
        LmdbEnv::open(entered.root(), {.map_size = 0, .read_only = true, .no_lock = is_backup}));
    JOINERY_TRY(auto txn, env->begin_read());
    JOINERY_TRY(const TableHandles handles, detail::open_tables(*txn));
    JOINERY_TRY(out.odd_records, find_odd_records(*txn, handles.own));
    if (heads) {
        const auto head = detail::check_head(*txn, handles.own, entered.root(), *heads);
        if (!head && head.error().code != Errc::damaged) return head.error();
        if (!head) out.head_damage = head.error();
    }
    if (!is_backup) JOINERY_TRY_VOID(entered.open_gate());
    out.reader = std::make_unique<InspectionReader>(
        Opened{std::move(entered), std::move(env), handles}, std::move(txn));
    return {};
}

/// Whoever opened it first has checked what LMDB needs to be let loose; now all of it is.
Result<void> inspect_shared(StoreDirectory entered, Inspection& out) {
    JOINERY_TRY(
        auto env,
        LmdbEnv::open(entered.root(), {.map_size = 0, .read_only = true, .no_lock = false}));
    JOINERY_TRY_VOID(entered.open_gate());
    JOINERY_TRY(auto txn, env->begin_read());
    JOINERY_TRY(const auto moment, catch_moment(*env, entered.root()));
    JOINERY_TRY(const auto found, detail::check_pages(moment.file, moment.meta));
    out.check = counts_of(found);
    JOINERY_TRY(const TableHandles handles, detail::open_tables(*txn));
    JOINERY_TRY(out.odd_records, find_odd_records(*txn, handles.own));
    out.reader = std::make_unique<InspectionReader>(
        Opened{std::move(entered), std::move(env), handles}, std::move(txn));
    return {};
}

/// Damage is what we came for.
Result<void> note_damage(const Result<void>& done, Inspection& out) {
    if (done || done.error().code != Errc::damaged) return done;
    out.damage = done.error();
    return {};
}

}  // namespace

Result<Inspection> inspect_lmdb_store(const std::filesystem::path& directory) {
    Inspection out;
    if (StoreDirectory::is_unlocked(directory)) {
        JOINERY_TRY(auto entered, StoreDirectory::enter_unlocked(directory));
        JOINERY_TRY_VOID(note_damage(inspect_alone(std::move(entered), true, out), out));
        return out;
    }
    auto entered = StoreDirectory::enter(directory, false);
    if (!entered) {
        JOINERY_TRY_VOID(note_damage(entered.error(), out));
        return out;
    }
    JOINERY_TRY(out.files, check_small_files(entered->root()));
    const bool is_sole = entered->is_sole();
    auto done = is_sole ? inspect_alone(*std::move(entered), false, out)
                        : inspect_shared(*std::move(entered), out);
    // A store whose first bytes are gone looks like no database; its other files say that it was.
    if (!done && done.error().code == Errc::malformed) {
        done = fail(Errc::damaged, "the head of data.mdb is damaged: restore a backup");
    }
    JOINERY_TRY_VOID(note_damage(done, out));
    return out;
}

}  // namespace joinery::persist
