/// @file
/// The live registers of one document (docs/semantics.md I2 to I9): high-rate values, the last
/// write of each, outside the chain and without history.
///
/// A register is found by the id of its map and its key, so the structure knows nothing of the
/// document's names and state: it holds values of maps that have not come yet as well. Laid out as
/// flat arrays; a write to a register that is there allocates nothing but for a long value.
///
/// @par Memory
/// Some 250 bytes a register, 24 an item of each batch that has one left, and what long keys and
/// values take: at most 120 MB a document, where somebody fills all 32,768 registers with the
/// longest of both and has each stand alone in a batch of its own.
#pragma once

#include "base/env.h"
#include "crdt/flat_index.h"
#include "crdt/live_batch.h"

#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace joinery::crdt {

/// Registers of one document (I6).
inline constexpr std::size_t kLiveCountMax = std::size_t{1} << 15U;

/// What a side says of one register that it has, to whoever asks for what it lacks.
struct LiveMark {
    LiveHash slot;
    std::uint64_t stamp = 0;
    std::uint64_t tag = 0;  ///< The first 8 bytes of the item hash.
    friend bool operator==(const LiveMark&, const LiveMark&) = default;
};
/// By slot, each once.
using LiveMarks = std::vector<LiveMark>;

/// How far somebody was told of a Live.
struct LiveCursor {
    std::uint64_t version = 0;
    /// What they have, where all that they lack is due; none where only news are.
    std::optional<LiveMarks> theirs;
    /// Registers that came from there are not told again; 0: nobody.
    std::uint32_t origin = 0;
};

class Live {
  public:
    /// @param document  Its id, which signatures cover.
    /// @param count_max  kLiveCountMax, but for tests.
    explicit Live(std::string document, std::size_t count_max = kLiveCountMax)
        : document_(std::move(document)), count_max_(count_max) {}

    // --- Reading -------------------------------------------------------------------------------
    bool empty() const noexcept { return count_ == 0; }
    /// Registers kept, those that hold nothing too.
    std::size_t count() const noexcept { return count_; }
    /// What register (@p map, @p key) holds; nullptr for nothing. Borrowed until the next change.
    const Value* find(const PathId& map, std::string_view key) const;
    /// Calls @p visit(key, value) for each register of @p map that holds something, in no set
    /// order.
    template <class Visit>
    void for_each(const PathId& map, Visit&& visit) const {
        const std::uint32_t at = find_map(map);
        if (at == kNone) return;
        for (auto i = maps_[at].first; i != kNone; i = entries_[i].next_in_map) {
            if (!entries_[i].is_nothing) visit(entries_[i].key, entries_[i].value);
        }
    }
    /// Every register as it was last signed, in no set order.
    std::vector<std::pair<ActorId, LiveWrite>> writes() const;
    std::size_t memory_size() const noexcept;

    // --- Writing -------------------------------------------------------------------------------
    /// Writes @p value, or nothing, as @p actor (I4). It takes part in what others are told once it
    /// is sealed. `over_limit` for a key or value past I9 or a register whose stamp is at its end.
    Result<void> write(const PathId& map,
                       std::string_view key,
                       const Value* value,
                       WallTime now,
                       const ActorProof& actor);
    bool has_unsealed() const noexcept { return !unsealed_.empty(); }
    /// Signs what was written since the last call, in batches. @p key is @p actor's device's, and
    /// @p actor the one that wrote.
    void seal(const SigningKey& key, const ActorProof& actor);

    // --- Joining -------------------------------------------------------------------------------
    /// Takes what @p batches, well-formed each, have over what is here; whoever has nothing new is
    /// not looked at. All or none: `untrusted` if the signature of one that is needed is false.
    /// @param origin  As in LiveCursor.
    /// @return How many registers changed.
    Result<std::size_t> join(std::span<const LiveBatch> batches, std::uint32_t origin = 0);

    // --- Telling others ------------------------------------------------------------------------
    /// Grows with every register that changes.
    std::uint64_t version() const noexcept { return version_; }
    /// The name of all registers together; zero for none. O(n log n).
    LiveHash hash() const;
    LiveMarks marks() const;
    /// The next part, about @p size_max bytes, of what @p cursor's owner lacks; advances it. Empty:
    /// there is no more, and `theirs` is dropped.
    std::vector<LiveBatch> collect(LiveCursor& cursor, std::size_t size_max) const;
    bool has_news(const LiveCursor& cursor) const noexcept {
        return cursor.theirs.has_value() || cursor.version < version_;
    }

    // --- The store -----------------------------------------------------------------------------
    /// What a store has to put and remove to hold what is here.
    struct Unstored {
        std::vector<std::pair<LiveHash, LiveBatch>> put;  ///< By the batch's name.
        std::vector<LiveHash> erase;
    };
    bool has_unstored() const noexcept {
        return !dirty_.empty() || !gone_.empty() || !storing_.empty() || !removing_.empty();
    }
    /// All since the last keep_stored(); asked again, it gives the same and what came since.
    Unstored begin_store();
    /// What begin_store() gave is stored.
    void keep_stored();
    /// Joins a batch that the store holds under @p name, without looking at its signature.
    void load(const LiveHash& name, const LiveBatch& batch);
    /// Has the record under @p name, which cannot be read, removed.
    void drop_stored(const LiveHash& name) { gone_.insert(name); }

    // --- Patches -------------------------------------------------------------------------------
    struct Before {
        PathId map;
        std::string key;
        std::optional<Value> value;
    };
    void set_recording(bool on) noexcept { recording_ = on; }
    /// Registers that changed since clear_touched(), with what they held; the first one counts.
    std::span<const Before> touched() const noexcept { return touched_; }
    void clear_touched();

  private:
    static constexpr std::uint32_t kUnsealed = kNone - 1;  // In place of a batch.

    struct Entry {
        std::uint32_t map = kNone;  ///< kNone: free.
        std::uint32_t batch = kUnsealed;
        std::uint32_t item = 0;  ///< In its batch.
        std::uint32_t next_in_map = kNone, previous_in_map = kNone;
        std::uint32_t newer = kNone, older = kNone;  ///< By version; not while unsealed.
        std::uint32_t origin = 0;
        std::uint64_t version = 0;
        std::uint64_t stamp = 0;
        LiveHash slot;
        std::string key;
        Value value;
        bool is_nothing = false;
        bool is_touched = false;
    };
    struct Map {
        PathId id;
        std::uint32_t first = kNone;  ///< kNone: free.
    };
    struct Batch {
        struct Item {
            LiveHash hash;
            std::uint32_t entry = kNone;  ///< kNone: overwritten.
        };
        LiveHash name;
        ActorProof proof;
        ActorId actor;
        Signature signature;
        std::vector<Item> items;  ///< Empty: free.
        std::uint32_t standing = 0;
        bool is_stored = false;
    };

    std::uint32_t find_map(const PathId& id) const;
    std::uint32_t find_entry(const PathId& map, std::string_view key) const;
    std::uint32_t add_entry(const PathId& map, std::string_view key);
    void remove_entry(std::uint32_t index);
    std::uint64_t entry_hash(std::uint32_t map, std::string_view key) const;
    void touch(Entry& entry);
    void link_newest(std::uint32_t index);
    void unlink_order(std::uint32_t index);
    /// Takes the entry out of its batch.
    void release(std::uint32_t index);
    void mark_dirty(std::uint32_t batch);
    std::uint32_t find_batch(const LiveHash& name) const;
    std::uint32_t add_batch(const LiveHash& name, const LiveBatch& batch);
    void free_batch(std::uint32_t index);
    LiveBatch batch_at(std::uint32_t index) const;
    LiveWrite write_at(const Entry& entry) const;
    LiveHash hash_at(const Entry& entry) const;
    bool is_news(const ActorId& actor, const LiveItem& item) const;
    bool take(const LiveBatch& batch, const ActorId& actor, std::uint32_t origin);
    void trim();

    std::string document_;
    std::size_t count_max_;
    std::size_t count_ = 0;
    std::vector<Entry> entries_;
    std::vector<Map> maps_;
    std::vector<Batch> batches_;
    std::vector<std::uint32_t> free_entries_, free_maps_, free_batches_;
    FlatIndex map_index_, entry_index_, batch_index_;
    std::uint32_t newest_ = kNone, oldest_ = kNone;
    std::uint64_t version_ = 0;
    std::vector<std::uint32_t> unsealed_;  // May name entries that are sealed or free by now.
    ActorProof own_;                       // Of what is unsealed.
    ActorId own_actor_;

    std::set<std::uint32_t> dirty_, storing_;  // Batches.
    std::set<LiveHash> gone_, removing_;       // Their names.

    bool recording_ = false;
    std::vector<Before> touched_;
};

}  // namespace joinery::crdt
