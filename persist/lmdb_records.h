/// @file
/// Reading the records of a store through LMDB: the handles of its tables, and the checksum of
/// every record that is read.
#pragma once

#include "base/assert.h"
#include "base/result.h"
#include "base/store.h"
#include "persist/lmdb_env.h"

#include <array>
#include <memory>
#include <optional>

namespace joinery::persist::detail {

struct TableHandles {
    TableHandle own = 0;
    std::array<TableHandle, kTableCount> tables{};

    TableHandle of(Table table) const {
        const auto number = static_cast<std::size_t>(table);
        JOINERY_ASSERT(number < tables.size());
        return tables[number];
    }
};

/// Opens all tables of a store. `malformed` if it is none, `unsupported` if its format is newer
/// than this build, `damaged` if a table is missing.
Result<TableHandles> open_tables(LmdbEnv& env);
/// The same for the life of @p txn alone.
Result<TableHandles> open_tables(LmdbTxn& txn);

/// What a StoreReader answers, from one transaction.
class LmdbRecords {
  public:
    using Record = StoreReader::Record;

    /// @p env and @p handles Must outlive this.
    LmdbRecords(LmdbEnv& env, const TableHandles& handles, std::unique_ptr<LmdbTxn> txn)
        : env_(env), handles_(handles), txn_(std::move(txn)) {}

    Result<std::optional<ByteView>> get(Table table, ByteView key);
    Result<std::optional<Record>> first_at_or_after(Table table, ByteView key);
    Result<std::optional<Record>> last_before(Table table, ByteView key);
    ByteView damaged_key() const { return damaged_key_; }

    LmdbTxn& txn() { return *txn_; }
    TableHandle handle(Table table) const { return handles_.of(table); }
    /// Ends the transaction; nothing may be called after it.
    void end() { txn_.reset(); }

  private:
    Result<void> require_sound() const;
    Error without_key(Error error);
    Result<ByteView> decode(Table table, ByteView key, ByteView stored);
    Result<std::optional<Record>> decode(Table table, const Result<std::optional<Record>>& found);

    LmdbEnv& env_;
    const TableHandles& handles_;
    std::unique_ptr<LmdbTxn> txn_;
    Bytes damaged_key_;
};

}  // namespace joinery::persist::detail
