/// @file
/// What writing and reading a snapshot share: the columns of the state, and what is predicted so
/// that it need not be written. Private to crdt/snapshot*.cc. Layout: docs/snapshot-format.md 2.
#pragma once

#include "crdt/cursor.h"
#include "crdt/graph.h"
#include "crdt/packed.h"
#include "crdt/snapshot.h"
#include "crdt/state.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>
#include <vector>

namespace joinery::crdt::detail {

/// Integer columns of the state, in their order in the bytes: never change it.
enum class SnapshotField : std::uint8_t {
    key_symbol,
    form_symbol,
    entry_count,
    entry_head,
    entry_actor,
    place_count,
    run_length,
    run_actor,
    run_counter,
    run_left,
    run_right,
    place_head,
    place_reference,
    by_key_field,
    by_key_occurrence,
    by_key_type,
    cell_count,
    cell_actor,
    cell_age,
    cell_span,
    cell_total_low,
    cell_total_high,
    cleared_distance,
    cleared_total_low,
    cleared_total_high,
};
inline constexpr std::size_t kSnapshotFieldCount = 25;

/// Boolean columns of the state, in their order, after the integers.
enum class SnapshotFlag : std::uint8_t {
    place_current,
    element_live,
    entry_is_insert,
    cell_cleared
};
inline constexpr std::size_t kSnapshotFlagCount = 4;

// --- Forms ---------------------------------------------------------------------------------------

/// What a slot holds, as one number: the head of its only entry in the low four bits (kHeadNone for
/// no entry, kHeadMany for several, whose heads are written one by one), above them a bit for each
/// kind of child attached to it.
inline constexpr unsigned kHeadNone = 0;
inline constexpr unsigned kHeadPut = 1;   ///< Plus the ValueType.
inline constexpr unsigned kHeadMake = 7;  ///< Plus the Kind.
inline constexpr unsigned kHeadMany = 15;
inline constexpr unsigned kHeadBits = 4;
inline constexpr unsigned kFormMax = (1U << (kHeadBits + kKindMax)) - 1;

inline unsigned head_of(const Entry& entry) {
    if (entry.made != Kind::none) return kHeadMake + static_cast<unsigned>(entry.made);
    return kHeadPut + static_cast<unsigned>(entry.value.type());
}
inline unsigned child_bit(Kind kind) { return 1U << (kHeadBits - 1 + static_cast<unsigned>(kind)); }

/// How the element of a place is named.
inline constexpr std::uint64_t kPlaceOwnElement = 0;  ///< By the place's own dot.
inline constexpr std::uint64_t kPlaceByKey = 1;       ///< By key, and this is its first place.
inline constexpr std::uint64_t kPlaceReference = 2;   ///< The element of another place.

/// Whether @p place, next to @p before which stands at @p before_at, is of the same run: the next
/// operation of the actor, inserted right after it. (As in Sequence::Run.)
inline bool continues_run(const LoadedPlace& before,
                          std::size_t before_at,
                          const LoadedPlace& place) {
    return place.left == before_at && place.right == before.right &&
           place.dot == Dot{before.dot.chain, before.dot.counter + 1};
}

__extension__ typedef unsigned __int128 UInt128;

/// Maps 0, -1, 1, -2... to 0, 1, 2, 3..., as zigzag_of() does.
inline UInt128 zigzag_of_total(Int128 total) noexcept {
    return (static_cast<UInt128>(total) << 1U) ^ static_cast<UInt128>(total >> 127);
}
inline Int128 total_of_zigzag(UInt128 number) noexcept {
    return static_cast<Int128>((number >> 1U) ^ (0 - (number & 1U)));
}

// --- Predictions ---------------------------------------------------------------------------------

/// Predicts the next key of a map: the one that followed the same key last time, at first the next
/// one of the table. So maps of like keys cost next to nothing, and neither do keys used but once.
class KeyOrder {
  public:
    explicit KeyOrder(std::uint32_t key_count) : key_count_(key_count), next_(key_count + 1) {
        for (std::uint32_t key = 0; key < key_count; ++key)
            next_[key] = key + 1;
        next_[key_count] = 0;
    }
    /// Stands for both "before the first key" and "after the last".
    std::uint32_t edge() const noexcept { return key_count_; }
    std::uint32_t predict(std::uint32_t key) const { return next_[key]; }
    void learn(std::uint32_t key, std::uint32_t next) { next_[key] = next; }

  private:
    std::uint32_t key_count_;
    std::vector<std::uint32_t> next_;
};

/// A run of places of one list, [begin, end) in the order of the list, with the rank of its first
/// operation: (local version in the order of a loaded graph, counter).
struct PlaceRun {
    Item begin, end;
    std::pair<std::uint64_t, std::uint64_t> rank;
};
inline std::pair<std::uint64_t, std::uint64_t> rank_of(const Graph& graph, Dot dot) {
    return {graph.lv_of(dot.chain, graph.seq_of_counter(dot.chain, dot.counter)), dot.counter};
}
/// The neighbours that a run's first place was inserted between, if all of smaller rank were there
/// and nothing else: the nearest of those on either side. True of every history without
/// concurrency.
struct Neighbours {
    Item left, right;
};
std::vector<Neighbours> predict_neighbours(std::span<const PlaceRun> runs);

// --- Groups --------------------------------------------------------------------------------------

/// Values of slots are kept by key, as the values of one key are alike: each key's values of one
/// sort are a column of their own where there are kGroupMin of them, else they are among the common
/// ones. Elements count as one key more, the keys of elements by key as another.
enum class GroupColumn : std::uint8_t { age, boolean, integer, real, string, bytes, timestamp };
inline constexpr std::size_t kGroupColumnCount = 7;
inline constexpr std::uint32_t kGroupMin = 16;

/// The column of a value of @p type, which is not null.
inline GroupColumn column_of(ValueType type) { return static_cast<GroupColumn>(type); }

// --- Stamps --------------------------------------------------------------------------------------

/// An operation as a number: all operations of the first actor, then all of the second...; with the
/// index of what it stamped.
struct NumberedDot {
    std::uint64_t number;
    std::uint32_t index;
};
/// Sorts by number, keeping the order of equals. O(dots), a pass for each 11 bits of the numbers.
void sort_by_number(std::vector<NumberedDot>& dots);

// --- Writing -------------------------------------------------------------------------------------

class SnapshotSink {
  public:
    void integer(SnapshotField field, std::uint64_t value) {
        integers_[static_cast<std::size_t>(field)].push_back(value);
    }
    void flag(SnapshotFlag field, bool value) {
        flags_[static_cast<std::size_t>(field)].push_back(value ? 1 : 0);
    }
    void write(ByteWriter& out) const;

  private:
    std::array<std::vector<std::uint64_t>, kSnapshotFieldCount> integers_;
    std::array<std::vector<std::uint8_t>, kSnapshotFlagCount> flags_;
};

class GroupSink {
  public:
    void age(std::uint32_t group, std::uint64_t age) {
        items_.push_back({group, GroupColumn::age, age, {}});
    }
    /// @p value Must outlive the sink.
    void value(std::uint32_t group, const Value& value);
    /// @p group_count More than every group.
    void write(std::uint32_t group_count, ByteWriter& out) const;

  private:
    struct Item {
        std::uint32_t group;
        GroupColumn column;
        std::uint64_t bits;
        ByteView text;
    };
    struct Bucket {
        std::uint32_t group;
        GroupColumn column;
        std::vector<std::uint64_t> words;
        std::vector<ByteView> texts;
        std::size_t size() const { return std::max(words.size(), texts.size()); }
    };
    std::vector<Bucket> distribute(std::uint32_t group_count) const;
    static void write_bucket(const Bucket& bucket, ByteWriter& out);

    std::vector<Item> items_;
};

// --- Reading -------------------------------------------------------------------------------------

/// What is left of SnapshotLimits.
class SnapshotBudget {
  public:
    explicit SnapshotBudget(const SnapshotLimits& limits)
        : values_(std::min(limits.value_count_max, kColumnCountMax)), text_(limits.text_size_max) {}

    /// A count that may be, spent.
    std::size_t count(ByteReader& in);
    bool spend(ByteReader& in, std::uint64_t count);
    bool spend_text(ByteReader& in, std::uint64_t size);
    /// For a column of @p count values, which are spent.
    ColumnLimits limits(std::size_t count) const { return {count, text_}; }

  private:
    std::size_t values_;
    std::uint64_t text_;
};

/// Reads a column of @p count values, which are spent already. Where it fails, so has @p in.
std::vector<std::uint64_t> read_integers(ByteReader& in, std::size_t count);
/// The same with @p count taken from the budget.
std::vector<std::uint64_t> read_integers(ByteReader& in, SnapshotBudget& budget, std::size_t count);

/// Columns read whole; each value is taken once, in order. Errors stay in the ByteReader.
class SnapshotSource {
  public:
    /// @p in Must outlive the source.
    explicit SnapshotSource(ByteReader& in) : in_(in) {}
    void read(SnapshotBudget& budget);

    std::uint64_t integer(SnapshotField field) {
        const auto index = static_cast<std::size_t>(field);
        if (integers_at_[index] < integers_[index].size()) {
            return integers_[index][integers_at_[index]++];
        }
        return in_.refuse(Errc::malformed, "column shorter than used");
    }
    bool flag(SnapshotFlag field) {
        const auto index = static_cast<std::size_t>(field);
        if (flags_at_[index] < flags_[index].size()) return flags_[index][flags_at_[index]++] != 0;
        return in_.refuse(Errc::malformed, "column shorter than used") != 0;
    }
    std::size_t size(SnapshotField field) const {
        return integers_[static_cast<std::size_t>(field)].size();
    }
    void check_used_up();

  private:
    ByteReader& in_;
    std::array<std::vector<std::uint64_t>, kSnapshotFieldCount> integers_;
    std::array<std::size_t, kSnapshotFieldCount> integers_at_{};
    std::array<std::vector<std::uint8_t>, kSnapshotFlagCount> flags_;
    std::array<std::size_t, kSnapshotFlagCount> flags_at_{};
};

class GroupSource {
  public:
    explicit GroupSource(ByteReader& in) : in_(in) {}
    void read(SnapshotBudget& budget, std::uint32_t group_count);

    std::uint64_t age(std::uint32_t group);
    /// A value of @p type, which is one that there is.
    Value value(std::uint32_t group, ValueType type);
    void check_used_up();

  private:
    struct Bucket {
        GroupColumn column = GroupColumn::age;
        std::size_t size = 0;
        std::size_t at = 0;
        std::vector<std::uint64_t> ages;
        std::vector<std::int64_t> integers;
        std::vector<std::uint8_t> booleans;
        std::vector<double> reals;
        StringColumn texts;
    };
    using Own = std::array<std::uint32_t, kGroupColumnCount>;

    void read_bucket(SnapshotBudget& budget, Bucket& bucket);
    void read_own(SnapshotBudget& budget, std::uint32_t group_count);
    /// The bucket of the next value, at which `at` then stands; nullptr after refusing.
    Bucket* take(std::uint32_t group, GroupColumn column);

    ByteReader& in_;
    std::vector<Bucket> buckets_;     // The common ones, by column, then the others.
    std::vector<std::uint32_t> own_;  // By group: into own_buckets_; kNone.
    std::vector<Own> own_buckets_;    // By column: into buckets_; kNone.
    std::vector<std::array<std::uint8_t, kGroupColumnCount>> common_counts_;  // By group.
};

}  // namespace joinery::crdt::detail
