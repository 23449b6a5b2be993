#include "persist/lmdb_records.h"

#include "persist/format.h"
#include "persist/identity.h"

namespace joinery::persist::detail {

Result<TableHandles> open_tables(LmdbTxn& txn) {
    TableHandles handles;
    const auto own = txn.open_table(kOwnTableName);
    if (!own) return fail(Errc::malformed, "data.mdb is not a Joinery store");
    handles.own = *own;
    JOINERY_TRY(const auto format, get_own(txn, *own, as_bytes(kFormatKey)));
    if (!format || format->size() != 4) {
        return fail(Errc::malformed, "data.mdb is not a Joinery store");
    }
    if (const std::uint32_t version = read_u32(*format); version != kStoreFormat) {
        return fail(Errc::unsupported,
                    "the store was written by a newer Joinery: update this program",
                    version);
    }
    for (std::size_t i = 0; i < kTableCount; ++i) {
        const auto handle = txn.open_table(kTableNames[i]);
        if (!handle) return fail(Errc::damaged, "a table of the store is missing");
        handles.tables[i] = *handle;
    }
    return handles;
}

Result<TableHandles> open_tables(LmdbEnv& env) {
    JOINERY_TRY(const auto txn, env.begin_read());
    JOINERY_TRY(const TableHandles handles, open_tables(*txn));
    // Handles opened in a transaction that does not commit would be gone after it.
    JOINERY_TRY_VOID(txn->commit());
    return handles;
}

Result<std::optional<ByteView>> LmdbRecords::get(Table table, ByteView key) {
    JOINERY_TRY_VOID(require_sound());
    const auto stored = txn_->get(handle(table), key);
    if (!stored) return without_key(stored.error());
    if (!*stored) return std::optional<ByteView>();
    JOINERY_TRY(const ByteView value, decode(table, key, **stored));
    return std::optional<ByteView>(value);
}

Result<std::optional<LmdbRecords::Record>> LmdbRecords::first_at_or_after(Table table,
                                                                          ByteView key) {
    JOINERY_TRY_VOID(require_sound());
    return decode(table, txn_->first_at_or_after(handle(table), key));
}

Result<std::optional<LmdbRecords::Record>> LmdbRecords::last_before(Table table, ByteView key) {
    JOINERY_TRY_VOID(require_sound());
    return decode(table, txn_->last_before(handle(table), key));
}

Result<void> LmdbRecords::require_sound() const {
    if (!env_.is_failed()) return {};
    return fail(Errc::io, "the store failed earlier: close and reopen it");
}

/// Damage that is not of one record has no key.
Error LmdbRecords::without_key(Error error) {
    if (error.code == Errc::damaged) damaged_key_.clear();
    return error;
}

Result<ByteView> LmdbRecords::decode(Table table, ByteView key, ByteView stored) {
    const auto value = decode_record(static_cast<std::uint8_t>(table), key, stored);
    if (value) return *value;
    // By way of a copy: a scan that goes on behind damaged_key() passes it as the key.
    damaged_key_ = Bytes(key.begin(), key.end());
    return fail(Errc::damaged, "a record fails its checksum");
}

Result<std::optional<LmdbRecords::Record>> LmdbRecords::decode(
    Table table, const Result<std::optional<Record>>& found) {
    if (!found) return without_key(found.error());
    if (!*found) return found;
    const Record record = **found;
    JOINERY_TRY(const ByteView value, decode(table, record.key, record.value));
    return std::optional<Record>({record.key, value});
}

}  // namespace joinery::persist::detail
