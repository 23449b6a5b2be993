/// @file
/// The two ways in which the fields of a batch are laid out: one after the other (a row), or each
/// kind of field as a column. The codec is written once over either. Private to crdt/codec*.cc.
#pragma once

#include "crdt/cursor.h"
#include "crdt/packed.h"

#include <array>
#include <vector>

namespace joinery::crdt::detail {

/// Integer fields. Their order is that of the columns: never change it.
enum class Field : std::uint8_t {
    actor,
    change_flags,
    time,
    op_count,
    seq,
    counter,
    dependency_count,
    dependency_actor,
    dependency_seq,
    refused,
    op_head,
    container,
    key,
    stamp,
    integer,
    place_left_form,
    place_left_counter,
    place_right_form,
    place_right_counter,
    delta,
    origin,
    previous,
    total_low,
    total_high,
    cell_count,
    cell_actor,
};
inline constexpr std::size_t kFieldCount = 26;

/// Writes fields in a row.
class RowSink {
  public:
    explicit RowSink(Bytes& out) : out_(out) {}
    void integer(Field /*field*/, std::uint64_t value) { out_.varint(value); }
    void real(double value) {
        std::uint64_t bits = 0;
        std::memcpy(&bits, &value, sizeof bits);
        out_.u64(bits);
    }
    void text(ByteView value) { out_.sized(value); }
    void finish() {}

  private:
    ByteWriter out_;
};

/// Gathers fields by kind and writes them as columns.
class ColumnSink {
  public:
    explicit ColumnSink(Bytes& out) : out_(out) {}
    void integer(Field field, std::uint64_t value) {
        columns_[static_cast<std::size_t>(field)].push_back(value);
    }
    void real(double value) { reals_.push_back(value); }
    void text(ByteView value) { texts_.push_back(value); }
    /// Counts first, so that the reader knows what to expect: a bit for each column that is not
    /// empty.
    void finish() {
        std::uint64_t present = 0;
        for (std::size_t i = 0; i < kFieldCount; ++i) {
            if (!columns_[i].empty()) present |= std::uint64_t{1} << i;
        }
        if (!reals_.empty()) present |= std::uint64_t{1} << kFieldCount;
        if (!texts_.empty()) present |= std::uint64_t{1} << (kFieldCount + 1);
        out_.varint(present);
        for (const auto& column : columns_) {
            if (column.empty()) continue;
            out_.varint(column.size());
            encode_integers(column, out_);
        }
        if (!reals_.empty()) {
            out_.varint(reals_.size());
            encode_reals(reals_, out_);
        }
        if (!texts_.empty()) {
            out_.varint(texts_.size());
            encode_strings(texts_, out_);
        }
    }

  private:
    ByteWriter out_;
    std::array<std::vector<std::uint64_t>, kFieldCount> columns_;
    std::vector<double> reals_;
    std::vector<ByteView> texts_;
};

/// Reads fields in a row.
class RowSource {
  public:
    explicit RowSource(ByteReader& in) : in_(in) {}
    std::uint64_t integer(Field /*field*/) { return in_.varint(); }
    double real() {
        const std::uint64_t bits = in_.u64();
        double value = 0;
        std::memcpy(&value, &bits, sizeof value);
        return value;
    }
    ByteView text() { return in_.sized(); }
    std::uint64_t refuse(Errc code, std::string_view what) { return in_.refuse(code, what); }
    bool ok() const { return in_.ok(); }
    /// A count of things of which each takes at least a byte.
    std::size_t count(Field /*field*/) { return in_.count(1); }
    Result<void> finish() { return in_.finish(); }

  private:
    ByteReader& in_;
};

/// Reads fields from columns, decoded whole.
class ColumnSource {
  public:
    /// @p in Must outlive the source.
    explicit ColumnSource(ByteReader& in) : in_(in), base_(in.offset()) { load(); }

    std::uint64_t integer(Field field) {
        Cursor& cursor = cursors_[static_cast<std::size_t>(field)];
        if (cursor.next == cursor.end) return refuse_short();
        return *cursor.next++;
    }
    double real() {
        if (reals_at_ == reals_.size()) return static_cast<double>(refuse_short());
        return reals_[reals_at_++];
    }
    ByteView text() {
        if (texts_at_ == texts_.values.size()) {
            refuse_short();
            return {};
        }
        return texts_.values[texts_at_++];
    }
    std::uint64_t refuse(Errc code, std::string_view what) {
        in_.refuse(code, what, base_);
        return 0;
    }
    bool ok() const { return in_.ok(); }
    /// Each thing counted has a field of its own, so a count past any column's end fails there;
    /// what is reserved for is bounded by the columns.
    std::size_t count(Field field) {
        const std::uint64_t value = integer(field);
        if (value <= size_max_) return static_cast<std::size_t>(value);
        return refuse_short();
    }
    Result<void> finish() {
        for (const Cursor& cursor : cursors_) {
            if (cursor.next != cursor.end) refuse(Errc::malformed, "column longer than used");
        }
        if (reals_at_ != reals_.size() || texts_at_ != texts_.values.size()) {
            refuse(Errc::malformed, "column longer than used");
        }
        return in_.finish();
    }

  private:
    /// What is left of a column.
    struct Cursor {
        const std::uint64_t* next = nullptr;
        const std::uint64_t* end = nullptr;
    };

    void load();
    std::uint64_t refuse_short() { return refuse(Errc::malformed, "column shorter than used"); }

    ByteReader& in_;
    std::uint64_t base_;
    std::size_t size_max_ = 0;
    std::array<std::vector<std::uint64_t>, kFieldCount> columns_;
    std::array<Cursor, kFieldCount> cursors_{};
    std::vector<double> reals_;
    std::size_t reals_at_ = 0;
    StringColumn texts_;
    std::size_t texts_at_ = 0;
};

/// The first byte of a batch.
inline constexpr std::uint8_t kFreshFlag = 1;    ///< The dictionary starts anew.
inline constexpr std::uint8_t kNamesFlag = 2;    ///< New names come first.
inline constexpr std::uint8_t kColumnsFlag = 4;  ///< Columns, not a row.
inline constexpr std::uint8_t kAllFlags = 7;

/// Flags of one change.
inline constexpr std::uint64_t kNumberedFlag = 1;  ///< Seq and counter are written out.
inline constexpr std::uint64_t kDependenciesFlag = 2;
inline constexpr std::uint64_t kMessageFlag = 4;
inline constexpr std::uint64_t kSingleOpFlag = 8;  ///< One operation: the count is left out.
inline constexpr std::uint64_t kAfterFlag = 16;    ///< Its predecessor's hash is written out.
inline constexpr std::uint64_t kHashesFlag =
    32;  ///< Its dependencies' hashes are written out; only beside kDependenciesFlag.
inline constexpr std::uint64_t kRefusalFlag =
    64;  ///< Which of its dependencies it refuses; only beside kDependenciesFlag.
inline constexpr std::uint64_t kAllChangeFlags = 127;

/// The head of an operation: kind, then what it makes or the type of its value, then flags.
inline constexpr std::uint64_t kHeadKindBits = 7;
inline constexpr std::uint64_t kHeadMadeFlag =
    8;  ///< The next three bits are a Kind, not a ValueType.
inline constexpr unsigned kHeadTypeShift = 4;
inline constexpr std::uint64_t kHeadTypeBits = 7;
inline constexpr std::uint64_t kHeadStampFlag =
    128;  ///< put, make, insert, move: a stamp is written.
inline constexpr std::uint64_t kHeadExtraFlag =
    256;  ///< boolean: true; insert: by key; increment: run written.
inline constexpr std::uint64_t kHeadMax = 511;

/// How a place's neighbour is written.
inline constexpr std::uint64_t kPlaceEdge = 0;
inline constexpr std::uint64_t kPlaceOwn = 1;    ///< Own actor: the distance back to its counter.
inline constexpr std::uint64_t kPlaceOther = 2;  ///< 2 + the actor's reference: its counter.

/// Entries of the table of new names.
inline constexpr std::uint8_t kNameElementByDot = 16;
inline constexpr std::uint8_t kNameElementByKey = 17;

}  // namespace joinery::crdt::detail
