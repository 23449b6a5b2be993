/// @file
/// Durable storage as the engine sees it: ordered tables of byte keys and byte values with
/// transactions. A Store knows nothing of documents; docs/storage-format.md says what the engine
/// keeps in which table.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "base/bytes.h"
#include "base/result.h"

namespace joinery {

/// The tables of a store. The numbers are written on disk: never change them.
enum class Table : std::uint8_t {
    meta = 0,       ///< Format version, identity, counters.
    documents = 1,  ///< One record a document.
    log = 2,        ///< Segments of changes in order of arrival.
    index = 3,      ///< Where a (document, chain, seq) stands in the log.
    snapshots = 4,  ///< Newest snapshots of documents.
    seals = 5,      ///< Signatures over chain hashes.
    live = 6,       ///< Live-lane registers, overwritten in place.
};
inline constexpr std::size_t kTableCount = 7;

/// Longest key that a store accepts, in bytes.
inline constexpr std::size_t kStoreKeySizeMax = 500;

/// A consistent view of the store at one moment. Views it returns live until it is destroyed, or,
/// in a StoreWriter, until the next put or erase.
///
/// @par Thread safety
/// One thread at a time; a StoreWriter only on the thread that began it.
class StoreReader {
  public:
    StoreReader() = default;
    StoreReader(const StoreReader&) = delete;
    StoreReader& operator=(const StoreReader&) = delete;
    virtual ~StoreReader() = default;

    struct Record {
        ByteView key;
        ByteView value;
    };

    /// The value at exactly @p key. `damaged` if its checksum fails, `io` if the system does.
    virtual Result<std::optional<ByteView>> get(Table table, ByteView key) = 0;
    /// The record with the smallest key that is not less than @p key.
    virtual Result<std::optional<Record>> first_at_or_after(Table table, ByteView key) = 0;
    /// The record with the greatest key that is less than @p key.
    virtual Result<std::optional<Record>> last_before(Table table, ByteView key) = 0;
};

/// The one write transaction of a store; sees its own writes. Destroyed uncommitted, it undoes them.
class StoreWriter : public StoreReader {
  public:
    /// Sets the value at @p key (1 to kStoreKeySizeMax bytes). `over_limit` for a key too long, `io`
    /// with "the disk is full" or "the store's map is full".
    virtual Result<void> put(Table table, ByteView key, ByteView value) = 0;
    /// Removes @p key; absent is success.
    virtual Result<void> erase(Table table, ByteView key) = 0;
    /// Makes the writes visible and durable (survive power loss) before it returns. Afterwards only
    /// destruction is allowed. On an Error nothing was written.
    virtual Result<void> commit() = 0;
};

/// An open store. Held by unique_ptr; closing is destruction.
///
/// @par Thread safety
/// read() and write() are safe from any thread; write() waits for the writer before it, in this
/// process or another.
class Store {
  public:
    Store() = default;
    Store(const Store&) = delete;
    Store& operator=(const Store&) = delete;
    virtual ~Store() = default;

    virtual Result<std::unique_ptr<StoreReader>> read() = 0;
    virtual Result<std::unique_ptr<StoreWriter>> write() = 0;

    /// Counts commits by anybody, in this process or another: equal numbers mean that nothing was
    /// written between. Cheap: no transaction, no lock.
    virtual std::uint64_t commit_count() = 0;

    /// This store's incarnation: 16 random bytes, new on creation, restore and copy.
    virtual FixedBytes<16, struct IncarnationTag> incarnation() const = 0;
    /// The writer slot that this process leases while the store is open; 0 is the lowest.
    virtual std::uint32_t writer_slot() const = 0;
    /// How often the slot's actor was retired by an unclean end; part of the actor's name.
    virtual std::uint32_t writer_generation() const = 0;
};

using Incarnation = FixedBytes<16, struct IncarnationTag>;

}  // namespace joinery
