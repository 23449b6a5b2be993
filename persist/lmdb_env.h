/// @file
/// LMDB behind types of our own: owned handles, Result instead of codes, byte views. Only lmdb.cc
/// includes <lmdb.h>. No checksums and no meaning of tables: those are in lmdb_store.cc.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "base/store.h"

#include <array>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>

struct MDB_env;
struct MDB_txn;
struct MDB_cursor;

namespace joinery::persist::detail {

/// A named table of an environment.
using TableHandle = std::uint32_t;
/// Most named tables that an environment is opened for.
inline constexpr std::size_t kTableHandleCountMax = 16;

/// A transaction; ends with destruction. A writing one belongs to the thread that began it.
/// @par Thread safety
/// One thread at a time.
class LmdbTxn {
  public:
    using Record = StoreReader::Record;
    enum class Kind : std::uint8_t { read, write };

    /// Owns @p txn. @p env_failed must outlive this: set when the environment cannot be trusted any
    /// more.
    LmdbTxn(MDB_txn* txn, Kind kind, std::atomic<bool>& env_failed) noexcept;
    LmdbTxn(const LmdbTxn&) = delete;
    LmdbTxn& operator=(const LmdbTxn&) = delete;
    ~LmdbTxn();

    /// Makes a table's handle, or fails with `not_found`. The handle lasts only if this commits.
    Result<TableHandle> open_table(const char* name);
    Result<TableHandle> create_table(const char* name);

    /// Stored bytes at @p key, if it is there; borrowed until the next write or the end.
    Result<std::optional<ByteView>> get(TableHandle table, ByteView key);
    Result<std::optional<Record>> first_at_or_after(TableHandle table, ByteView key);
    Result<std::optional<Record>> last_before(TableHandle table, ByteView key);

    /// @p key must not be empty. After an Error, commit() fails as well.
    Result<void> put(TableHandle table, ByteView key, ByteView stored);
    Result<void> erase(TableHandle table, ByteView key);
    /// Ends the transaction, whatever it answers. An Error that leaves durability unknown sets
    /// @p env_failed.
    Result<void> commit();

  private:
    Result<MDB_cursor*> cursor(TableHandle table);
    void release(MDB_cursor* cursor) noexcept;
    bool in_bounds(ByteView value) const noexcept;
    Result<std::optional<Record>> record_of(int code, ByteView key, ByteView value);
    Error spoil(int code) noexcept;

    MDB_txn* txn_;
    Kind kind_;
    std::atomic<bool>& env_failed_;
    std::size_t page_size_;
    std::optional<Error> spoilt_;
    // Of a reading transaction only: a cursor that stays makes the next step of a scan cheap.
    std::array<MDB_cursor*, kTableHandleCountMax + 2> cursors_{};
};

struct LmdbEnvOptions {
    /// Address space to reserve, in bytes; the file never grows past it. 0: as it was last time.
    std::uint64_t map_size = 0;
    bool read_only = false;
    /// Without a lock file: for a database that nobody writes. Only with read_only.
    bool no_lock = false;
};

/// An open environment. No transaction may outlive it. At most one for a directory in a process
/// (see registry.h), and never used or closed in a child made by fork.
/// @par Thread safety
/// Every member is safe from any thread.
class LmdbEnv {
  public:
    static Result<std::unique_ptr<LmdbEnv>> open(const std::filesystem::path& directory,
                                                 const LmdbEnvOptions& options);
    /// Owns @p env, or nothing.
    explicit LmdbEnv(MDB_env* env) noexcept : env_(env) {}
    LmdbEnv(const LmdbEnv&) = delete;
    LmdbEnv& operator=(const LmdbEnv&) = delete;
    ~LmdbEnv();

    Result<std::unique_ptr<LmdbTxn>> begin_read();
    /// Waits for the writer before it.
    Result<std::unique_ptr<LmdbTxn>> begin_write();
    /// The number of the newest committed transaction that wrote anything.
    std::uint64_t last_transaction() const noexcept;
    /// The number of the one that a reader who begins now is given, or an older one; none where no
    /// reader can begin. last_transaction() may be ahead of it while a commit is on its way.
    std::optional<std::uint64_t> visible_transaction() noexcept;
    /// Frees the entries of readers whose process is gone. @return How many.
    std::uint32_t clear_dead_readers() noexcept;
    /// Writes a consistent, compacted copy of the database to @p descriptor, while others write.
    Result<void> copy_to(int descriptor);
    /// Whether a commit failed in a way that leaves nothing certain but closing.
    bool is_failed() const noexcept { return failed_; }
    /// Forgets the environment without closing it: for a child made by fork.
    void abandon() noexcept { env_ = nullptr; }

  private:
    Result<std::unique_ptr<LmdbTxn>> begin(LmdbTxn::Kind kind);

    MDB_env* env_;
    std::atomic<bool> failed_{false};
};

}  // namespace joinery::persist::detail
