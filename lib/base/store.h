/// @file
/// Durable storage as the engine sees it: ordered tables of byte keys and byte values with
/// transactions. A Store knows nothing of documents; docs/storage-format.md says what the engine
/// keeps in which table.
#pragma once

#include "base/bytes.h"
#include "base/env.h"
#include "base/result.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace joinery {

/// The tables of a store. The numbers are written on disk: never change them.
enum class Table : std::uint8_t {
    meta = 0,       ///< The engine's format version and counters. Identity is the store's own.
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
/// Longest value that a store accepts, in bytes.
inline constexpr std::size_t kStoreValueSizeMax = 256U << 20U;

/// 16 random bytes that name one life of a store: new on creation, restore and copy.
using Incarnation = FixedBytes<16, struct IncarnationTag>;

/// Why a store took an incarnation. The numbers are written on disk: never change them.
enum class IncarnationReason : std::uint8_t {
    created = 1,    ///< It had none.
    moved = 2,      ///< It is not where it was: copied, restored, moved, or on another machine.
    unmarked = 3,   ///< What is kept beside it is missing or of another time: a file was put back.
    older = 4,      ///< It holds less than when it was closed.
    overtaken = 5,  ///< Others have changes of an actor of this store that the store has not.
    unspecified = 6,
};

/// One entry of the log of a store's incarnations.
struct IncarnationChange {
    Incarnation incarnation;
    IncarnationReason reason = IncarnationReason::unspecified;
    WallTime time{0};  ///< By the clock of who took it; 0 if it gave none.
    friend bool operator==(const IncarnationChange&, const IncarnationChange&) = default;
};
/// Entries that a store keeps of that log: the newest.
inline constexpr std::size_t kIncarnationLogMax = 256;

/// A consistent view of the store at one moment. Views it returns live until it is destroyed, or,
/// in a StoreWriter, until the next put, erase or commit.
///
/// Keep one only as long as a scan takes: while it lives, no space that a later commit frees can
/// be used again. Destroy it before its Store.
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

    /// The value at exactly @p key; none if it is empty or longer than kStoreKeySizeMax. `damaged`
    /// if the record's checksum fails, `io` if the system does.
    virtual Result<std::optional<ByteView>> get(Table table, ByteView key) = 0;
    /// The record with the smallest key that is not less than @p key, which may be empty. Keys are
    /// compared as bytes, a prefix before what it begins. Errors as get().
    virtual Result<std::optional<Record>> first_at_or_after(Table table, ByteView key) = 0;
    /// The record with the greatest key that is less than @p key. Errors as get().
    virtual Result<std::optional<Record>> last_before(Table table, ByteView key) = 0;
    /// The key of the record that made a call answer `damaged`, the latest to do so, so that a scan
    /// can go on behind it; empty if the damage is not of one record. Borrowed until the next call.
    virtual ByteView damaged_key() const = 0;
};

/// The one write transaction of a store; sees its own writes. Destroyed uncommitted, it undoes
/// them.
///
/// Arguments may be views that this writer returned. After put or erase answered `io` the
/// transaction is spoilt: every later call, commit too, answers the same Error.
class StoreWriter : public StoreReader {
  public:
    /// Sets the value at @p key. `malformed` for an empty key, `over_limit` for a key longer than
    /// kStoreKeySizeMax, a value longer than kStoreValueSizeMax or more than one transaction holds,
    /// `io` with "the disk is full", "the disk is nearly full: ..." or "the store's map is full".
    virtual Result<void> put(Table table, ByteView key, ByteView value) = 0;
    /// Removes @p key; absent is success, also for a key that put() refuses.
    virtual Result<void> erase(Table table, ByteView key) = 0;
    /// Makes the writes visible and durable (survive power loss) before it returns. Afterwards only
    /// destruction is allowed. On an Error nothing was written. If the system failed to make pages
    /// durable nothing can be relied on: then every later call on the Store answers `io`, until it
    /// is closed and opened again.
    virtual Result<void> commit() = 0;
};

/// An open store. Held by unique_ptr; closing is destruction, after that of all its readers and
/// writers.
///
/// @par Thread safety
/// read(), write() and commit_count() are safe from any thread. write() waits for the writer before
/// it, in this process or another.
class Store {
  public:
    Store() = default;
    Store(const Store&) = delete;
    Store& operator=(const Store&) = delete;
    virtual ~Store() = default;

    /// Begins a view of what is committed now. `busy` when the readers' table is full, `io`.
    virtual Result<std::unique_ptr<StoreReader>> read() = 0;
    /// Begins the write transaction. `busy` when this thread holds the writer already, `io`.
    virtual Result<std::unique_ptr<StoreWriter>> write() = 0;

    /// Counts commits by anybody, in this process or another: equal numbers mean that nothing was
    /// written between. A commit that wrote nothing does not count. What is counted, every read()
    /// after the call sees. 0 where the store cannot tell now. Waits for no writer.
    virtual std::uint64_t commit_count() = 0;

    /// This store's incarnation, as this process sees it. Safe from any thread.
    virtual Incarnation incarnation() const = 0;
    /// Takes a new incarnation, durable on return, so that this process writes as a fresh actor:
    /// for when a peer knows more of our own actor than the store does, or when a change left that
    /// could not be stored. Other processes keep theirs, since their slots differ, until they
    /// follow or open again. Errors as write() and commit(). Safe from any thread.
    /// @param now  Goes into the log of incarnations, with @p reason.
    virtual Result<void> renew_incarnation(IncarnationReason reason, WallTime now) = 0;
    /// Takes the incarnation that another process of this store has drawn since, and says whether
    /// there was one. Errors as read(). Safe from any thread.
    virtual Result<bool> follow_incarnation() = 0;
    /// From now on the end of this store counts as unclean, so that its slot's actor is retired:
    /// for when changes are lost here that may have left. Needs no disk. Safe from any thread.
    virtual void mark_unclean() noexcept = 0;
    /// The log of incarnations, oldest first, its last entries. Errors as read().
    virtual Result<std::vector<IncarnationChange>> incarnation_changes() = 0;

    /// The writer slot that this process leases while the store is open; 0 is the lowest.
    virtual std::uint32_t writer_slot() const = 0;
    /// How often the slot's actor was retired by an unclean end; part of the actor's name.
    virtual std::uint32_t writer_generation() const = 0;
};

}  // namespace joinery
