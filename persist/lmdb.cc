#include "persist/files.h"
#include "persist/lmdb_env.h"

#include <lmdb.h>

#include <cerrno>
#include <cstring>
#include <sys/statvfs.h>
#include <unistd.h>

namespace joinery::persist::detail {
namespace {

// Bytes before a page's content, and the places of what in_bounds() reads there.
constexpr std::size_t kPageHeaderSize = 16;
constexpr std::size_t kPageFlagsAt = 10;
constexpr std::size_t kPageCountAt = 12;
constexpr std::uint16_t kOverflowPage = 0x04;

/// A disk with less than this left counts as full: LMDB answers EIO to a short write.
constexpr std::uint64_t kFullDiskSize = 1U << 20U;

Error lmdb_error(int code) noexcept {
    switch (code) {
        case MDB_MAP_FULL:
            return fail(Errc::io, "the store's map is full: open it with a larger map size");
        case MDB_CORRUPTED:
        case MDB_PAGE_NOTFOUND:
        case MDB_CURSOR_FULL:
        case MDB_PAGE_FULL: return fail(Errc::damaged, "the database's pages are damaged");
        case MDB_PANIC:
            return fail(Errc::io, "the database failed earlier: close and reopen the store");
        case MDB_INVALID: return fail(Errc::malformed, "not a database");
        case MDB_VERSION_MISMATCH:
            return fail(Errc::unsupported, "the database is of another LMDB version");
        case MDB_READERS_FULL: return fail(Errc::busy, "too many open readers");
        case MDB_TXN_FULL: return fail(Errc::over_limit, "too much in one transaction");
        case MDB_MAP_RESIZED:
            return fail(Errc::conflict, "another process opened the store with a larger map size");
        case MDB_INCOMPATIBLE: return fail(Errc::damaged, "the database's tables are damaged");
        case MDB_NOTFOUND: return fail(Errc::not_found, "no such table");
        default: break;
    }
    if (code < 0) {
        return fail(Errc::io,
                    "LMDB refused; the number is its code, negated",
                    static_cast<std::uint64_t>(-static_cast<std::int64_t>(code)));
    }
    return system_error(code);
}

MDB_val to_val(ByteView bytes) noexcept {
    return {bytes.size(), const_cast<std::uint8_t*>(bytes.data())};
}

ByteView to_view(const MDB_val& value) noexcept {
    return {static_cast<const std::uint8_t*>(value.mv_data), value.mv_size};
}

bool is_disk_full(MDB_env* env) noexcept {
    int descriptor = -1;
    struct ::statvfs status{};
    if (mdb_env_get_fd(env, &descriptor) != 0 || ::fstatvfs(descriptor, &status) != 0) return false;
    return static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize < kFullDiskSize;
}

// Whether a failed commit certainly left the database as it was: LMDB only writes to free pages
// before it syncs, so a write that was refused changed nothing that anybody reads.
bool is_harmless(int code) noexcept {
    return code == ENOSPC || code == EDQUOT || code == EFBIG || code == ENOMEM ||
           code == MDB_MAP_FULL || code == MDB_TXN_FULL || code == MDB_BAD_TXN;
}

}  // namespace

LmdbTxn::LmdbTxn(MDB_txn* txn, Kind kind, std::atomic<bool>& env_failed) noexcept
    : txn_(txn), kind_(kind), env_failed_(env_failed) {
    MDB_stat stat{};
    mdb_env_stat(mdb_txn_env(txn), &stat);
    page_size_ = stat.ms_psize;
}

LmdbTxn::~LmdbTxn() {
    if (txn_ == nullptr) return;
    for (MDB_cursor* cursor : cursors_) {
        if (cursor != nullptr) mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn_);
}

Result<TableHandle> LmdbTxn::open_table(const char* name) {
    MDB_dbi handle = 0;
    if (const int code = mdb_dbi_open(txn_, name, 0, &handle); code != 0) return lmdb_error(code);
    return handle;
}

Result<TableHandle> LmdbTxn::create_table(const char* name) {
    MDB_dbi handle = 0;
    if (const int code = mdb_dbi_open(txn_, name, MDB_CREATE, &handle); code != 0) {
        return spoil(code);
    }
    return handle;
}

Result<std::optional<ByteView>> LmdbTxn::get(TableHandle table, ByteView key) {
    if (spoilt_) return *spoilt_;
    if (key.empty() || key.size() > kStoreKeySizeMax) return std::optional<ByteView>();
    MDB_val mdb_key = to_val(key);
    MDB_val value{};
    const int code = mdb_get(txn_, table, &mdb_key, &value);
    JOINERY_TRY(const auto record, record_of(code, key, to_view(value)));
    if (!record) return std::optional<ByteView>();
    return std::optional<ByteView>(record->value);
}

Result<std::optional<LmdbTxn::Record>> LmdbTxn::first_at_or_after(TableHandle table, ByteView key) {
    JOINERY_TRY(MDB_cursor* const at, cursor(table));
    MDB_val found = to_val(key);
    MDB_val value{};
    const int code = mdb_cursor_get(at, &found, &value, key.empty() ? MDB_FIRST : MDB_SET_RANGE);
    release(at);
    return record_of(code, to_view(found), to_view(value));
}

Result<std::optional<LmdbTxn::Record>> LmdbTxn::last_before(TableHandle table, ByteView key) {
    if (key.empty()) return std::optional<Record>();
    JOINERY_TRY(MDB_cursor* const at, cursor(table));
    MDB_val found = to_val(key);
    MDB_val value{};
    int code = mdb_cursor_get(at, &found, &value, MDB_SET_RANGE);
    if (code == 0) {
        code = mdb_cursor_get(at, &found, &value, MDB_PREV);
    } else if (code == MDB_NOTFOUND) {
        code = mdb_cursor_get(at, &found, &value, MDB_LAST);
    }
    release(at);
    return record_of(code, to_view(found), to_view(value));
}

Result<void> LmdbTxn::put(TableHandle table, ByteView key, ByteView stored) {
    if (spoilt_) return *spoilt_;
    MDB_val mdb_key = to_val(key);
    MDB_val value = to_val(stored);
    if (const int code = mdb_put(txn_, table, &mdb_key, &value, 0); code != 0) return spoil(code);
    return {};
}

Result<void> LmdbTxn::erase(TableHandle table, ByteView key) {
    if (spoilt_) return *spoilt_;
    MDB_val mdb_key = to_val(key);
    const int code = mdb_del(txn_, table, &mdb_key, nullptr);
    if (code != 0 && code != MDB_NOTFOUND) return spoil(code);
    return {};
}

Result<void> LmdbTxn::commit() {
    if (spoilt_) return *spoilt_;
    JOINERY_ASSERT(txn_ != nullptr);
    MDB_env* const env = mdb_txn_env(txn_);
    for (MDB_cursor*& cursor : cursors_) {
        if (cursor != nullptr) mdb_cursor_close(cursor);
        cursor = nullptr;
    }
    const int code = mdb_txn_commit(txn_);  // Frees the transaction even when it fails.
    txn_ = nullptr;
    if (code == 0) return {};
    spoilt_ = lmdb_error(code);
    if (code == EIO && is_disk_full(env)) {
        spoilt_ = system_error(ENOSPC);
    } else if (!is_harmless(code)) {
        env_failed_ = true;
    }
    return *spoilt_;
}

Result<MDB_cursor*> LmdbTxn::cursor(TableHandle table) {
    if (spoilt_) return *spoilt_;
    JOINERY_ASSERT(table < cursors_.size());
    if (cursors_[table] != nullptr) return cursors_[table];
    MDB_cursor* made = nullptr;
    if (const int code = mdb_cursor_open(txn_, table, &made); code != 0) return lmdb_error(code);
    if (kind_ == Kind::read) cursors_[table] = made;
    return made;
}

// A writing transaction keeps no cursor: LMDB 0.9 moves open cursors along with every write, and
// most of its bugs were there.
void LmdbTxn::release(MDB_cursor* cursor) noexcept {
    if (kind_ == Kind::write) mdb_cursor_close(cursor);
}

// A damaged size must not lead us past the end of the file, where reading kills the process. Only
// pages in the map are aligned: a writer's may be in memory, and a database made where pages are
// larger than here is aligned to ours; those are taken as they are.
bool LmdbTxn::in_bounds(ByteView value) const noexcept {
    if (kind_ == Kind::write || value.empty()) return true;
    if (page_size_ > static_cast<std::size_t>(::sysconf(_SC_PAGESIZE))) return true;
    const std::size_t offset = reinterpret_cast<std::uintptr_t>(value.data()) % page_size_;
    // Content that starts right behind a header is a page run of its own; in a leaf, pointers do.
    if (offset != kPageHeaderSize) return value.size() <= page_size_ - offset;
    std::uint64_t number = 0;
    std::uint16_t flags = 0;
    std::uint32_t count = 0;
    const std::uint8_t* const header = value.data() - kPageHeaderSize;
    std::memcpy(&number, header, sizeof number);
    std::memcpy(&flags, header + kPageFlagsAt, sizeof flags);
    std::memcpy(&count, header + kPageCountAt, sizeof count);
    MDB_envinfo info{};
    mdb_env_info(mdb_txn_env(txn_), &info);
    return flags == kOverflowPage && number + count <= info.me_last_pgno + 1 && count > 0 &&
           value.size() <= count * page_size_ - kPageHeaderSize;
}

Result<std::optional<LmdbTxn::Record>> LmdbTxn::record_of(int code, ByteView key, ByteView value) {
    if (code == MDB_NOTFOUND) return std::optional<Record>();
    if (code != 0) return kind_ == Kind::write ? spoil(code) : lmdb_error(code);
    if (!in_bounds(value)) return lmdb_error(MDB_CORRUPTED);
    return std::optional<Record>(Record{key, value});
}

Error LmdbTxn::spoil(int code) noexcept {
    if (code == MDB_PANIC) env_failed_ = true;
    spoilt_ = lmdb_error(code);
    return *spoilt_;
}

Result<std::unique_ptr<LmdbEnv>> LmdbEnv::open(const std::filesystem::path& directory,
                                               const LmdbEnvOptions& options) {
    MDB_env* raw = nullptr;
    if (const int code = mdb_env_create(&raw); code != 0) return lmdb_error(code);
    auto env = std::make_unique<LmdbEnv>(raw);
    int code = mdb_env_set_maxdbs(raw, static_cast<MDB_dbi>(kTableHandleCountMax));
    if (code == 0 && options.map_size != 0) code = mdb_env_set_mapsize(raw, options.map_size);
    if (code == 0) {
        // MDB_NOTLS lets a reader move between threads. Never MDB_WRITEMAP: with it a full disk is
        // a SIGBUS. Never MDB_NOSYNC: commit promises durability.
        const unsigned flags = MDB_NOTLS | (options.read_only ? unsigned{MDB_RDONLY} : 0U) |
                               (options.no_lock ? unsigned{MDB_NOLOCK} : 0U);
        code = mdb_env_open(raw, directory.c_str(), flags, 0600);
    }
    if (code != 0) return lmdb_error(code);
    env->clear_dead_readers();
    return env;
}

LmdbEnv::~LmdbEnv() {
    if (env_ != nullptr) mdb_env_close(env_);
}

Result<std::unique_ptr<LmdbTxn>> LmdbEnv::begin_read() { return begin(LmdbTxn::Kind::read); }
Result<std::unique_ptr<LmdbTxn>> LmdbEnv::begin_write() { return begin(LmdbTxn::Kind::write); }

Result<std::unique_ptr<LmdbTxn>> LmdbEnv::begin(LmdbTxn::Kind kind) {
    if (failed_) return lmdb_error(MDB_PANIC);
    const unsigned flags = kind == LmdbTxn::Kind::read ? unsigned{MDB_RDONLY} : 0U;
    MDB_txn* txn = nullptr;
    int code = mdb_txn_begin(env_, nullptr, flags, &txn);
    if (code == MDB_READERS_FULL && clear_dead_readers() > 0) {
        code = mdb_txn_begin(env_, nullptr, flags, &txn);
    }
    if (code != 0) {
        if (code == MDB_PANIC) failed_ = true;
        return lmdb_error(code);
    }
    return std::make_unique<LmdbTxn>(txn, kind, failed_);
}

std::uint64_t LmdbEnv::last_transaction() const noexcept {
    MDB_envinfo info{};
    mdb_env_info(env_, &info);
    return info.me_last_txnid;
}

std::optional<std::uint64_t> LmdbEnv::visible_transaction() noexcept {
    MDB_txn* txn = nullptr;
    if (failed_ || mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn) != 0) return std::nullopt;
    const std::uint64_t number = mdb_txn_id(txn);
    mdb_txn_abort(txn);
    return number;
}

std::uint32_t LmdbEnv::clear_dead_readers() noexcept {
    int dead = 0;
    if (mdb_reader_check(env_, &dead) != 0 || dead < 0) return 0;
    return static_cast<std::uint32_t>(dead);
}

Result<void> LmdbEnv::copy_to(int descriptor) {
    int code = mdb_env_copyfd2(env_, descriptor, MDB_CP_COMPACT);
    if (code == MDB_INCOMPATIBLE) {
        // The compacting copy refuses a database with leaked pages, which are harmless; a plain one
        // takes them along. It starts over in the same file.
        if (::lseek(descriptor, 0, SEEK_SET) != 0 || ::ftruncate(descriptor, 0) != 0) {
            return system_error(errno);
        }
        code = mdb_env_copyfd2(env_, descriptor, 0);
    }
    if (code != 0) return lmdb_error(code);
    return {};
}

}  // namespace joinery::persist::detail
