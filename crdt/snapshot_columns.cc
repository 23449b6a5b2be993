// The columns of a snapshot's state, written and read.
#include "crdt/snapshot_detail.h"

#include <algorithm>
#include <bit>

namespace joinery::crdt::detail {

void sort_by_number(std::vector<NumberedDot>& dots) {
    constexpr unsigned kDigitBits = 11;
    constexpr std::uint64_t kDigitMask = (1U << kDigitBits) - 1;
    std::uint64_t used = 0;
    bool sorted = true;
    for (std::size_t i = 0; i < dots.size(); ++i) {
        used |= dots[i].number;
        sorted = sorted && (i == 0 || dots[i - 1].number <= dots[i].number);
    }
    if (sorted) return;
    std::vector<NumberedDot> other(dots.size());
    const auto width = static_cast<unsigned>(std::bit_width(used));
    for (unsigned shift = 0; shift < width; shift += kDigitBits) {
        std::array<std::size_t, kDigitMask + 1> places{};
        for (const NumberedDot& dot : dots)
            ++places[(dot.number >> shift) & kDigitMask];
        std::size_t sum = 0;
        for (std::size_t& place : places)
            sum += std::exchange(place, sum);
        for (const NumberedDot& dot : dots)
            other[places[(dot.number >> shift) & kDigitMask]++] = dot;
        dots.swap(other);
    }
}

/// The nearest smaller on either side, each found by way of those of the runs between.
std::vector<Neighbours> predict_neighbours(std::span<const PlaceRun> runs) {
    const auto count = static_cast<std::uint32_t>(runs.size());
    std::vector<Neighbours> predicted(count);
    std::vector<std::uint32_t> nearest(count);
    for (std::uint32_t run = 0; run < count; ++run) {
        std::uint32_t other = run - 1;  // kNone before the first.
        while (other != kNone && runs[other].rank >= runs[run].rank)
            other = nearest[other];
        nearest[run] = other;
        predicted[run].left = other == kNone ? kNoItem : runs[other].end - 1;
    }
    for (std::uint32_t run = count; run-- > 0;) {
        std::uint32_t other = run + 1;
        while (other != count && runs[other].rank >= runs[run].rank)
            other = nearest[other];
        nearest[run] = other;
        predicted[run].right = other == count ? kNoItem : runs[other].begin;
    }
    return predicted;
}

// --- Writing -------------------------------------------------------------------------------------

void SnapshotSink::write(ByteWriter& out) const {
    std::uint64_t present = 0;
    for (std::size_t i = 0; i < kSnapshotFieldCount; ++i) {
        if (!integers_[i].empty()) present |= std::uint64_t{1} << i;
    }
    for (std::size_t i = 0; i < kSnapshotFlagCount; ++i) {
        if (!flags_[i].empty()) present |= std::uint64_t{1} << (kSnapshotFieldCount + i);
    }
    out.varint(present);
    for (const auto& column : integers_) {
        if (column.empty()) continue;
        out.varint(column.size());
        encode_integers(column, out);
    }
    for (const auto& column : flags_) {
        if (column.empty()) continue;
        out.varint(column.size());
        encode_booleans(column, out);
    }
}

void GroupSink::value(std::uint32_t group, const Value& value) {
    switch (value.type()) {
        case ValueType::null: return;
        case ValueType::string:
        case ValueType::bytes:
            items_.push_back({group, column_of(value.type()), 0, value.content()});
            return;
        default: items_.push_back({group, column_of(value.type()), value.payload(), {}});
    }
}

/// The common buckets, by column, then the others by group and column.
std::vector<GroupSink::Bucket> GroupSink::distribute(std::uint32_t group_count) const {
    std::vector<std::array<std::uint32_t, kGroupColumnCount>> buckets_of(group_count);
    for (const Item& item : items_) {
        ++buckets_of[item.group][static_cast<std::size_t>(item.column)];
    }
    std::vector<Bucket> buckets;
    for (std::size_t column = 0; column < kGroupColumnCount; ++column) {
        buckets.push_back({kNone, static_cast<GroupColumn>(column), {}, {}});
    }
    for (std::uint32_t group = 0; group < group_count; ++group) {
        for (std::size_t column = 0; column < kGroupColumnCount; ++column) {
            std::uint32_t& count = buckets_of[group][column];
            const bool is_own = count >= kGroupMin;
            count = static_cast<std::uint32_t>(is_own ? buckets.size() : column);
            if (is_own) buckets.push_back({group, static_cast<GroupColumn>(column), {}, {}});
        }
    }
    for (const Item& item : items_) {
        Bucket& bucket = buckets[buckets_of[item.group][static_cast<std::size_t>(item.column)]];
        const bool is_text =
            item.column == GroupColumn::string || item.column == GroupColumn::bytes;
        if (is_text) {
            bucket.texts.push_back(item.text);
        } else {
            bucket.words.push_back(item.bits);
        }
    }
    return buckets;
}

void GroupSink::write_bucket(const Bucket& bucket, ByteWriter& out) {
    switch (bucket.column) {
        case GroupColumn::age: return encode_integers(bucket.words, out);
        case GroupColumn::string:
        case GroupColumn::bytes: return encode_strings(bucket.texts, out);
        case GroupColumn::boolean: {
            std::vector<std::uint8_t> bits;
            for (const std::uint64_t word : bucket.words)
                bits.push_back(word != 0 ? 1 : 0);
            return encode_booleans(bits, out);
        }
        case GroupColumn::integer:
        case GroupColumn::timestamp: {
            std::vector<std::int64_t> numbers;
            for (const std::uint64_t word : bucket.words) {
                numbers.push_back(static_cast<std::int64_t>(word));
            }
            return encode_signed(numbers, out);
        }
        case GroupColumn::real: {
            std::vector<double> reals;
            for (const std::uint64_t word : bucket.words) {
                reals.push_back(std::bit_cast<double>(word));
            }
            return encode_reals(reals, out);
        }
    }
}

void GroupSink::write(std::uint32_t group_count, ByteWriter& out) const {
    const std::vector<Bucket> buckets = distribute(group_count);
    for (std::size_t i = 0; i < kGroupColumnCount; ++i) {
        out.varint(buckets[i].size());
        write_bucket(buckets[i], out);
    }
    const std::span own = std::span(buckets).subspan(kGroupColumnCount);
    std::vector<std::uint64_t> groups;
    std::vector<std::uint64_t> columns;
    std::vector<std::uint64_t> sizes;
    for (const Bucket& bucket : own) {
        groups.push_back(bucket.group);
        columns.push_back(static_cast<std::uint64_t>(bucket.column));
        sizes.push_back(bucket.size() - kGroupMin);
    }
    out.varint(own.size());
    encode_integers(groups, out);
    encode_integers(columns, out);
    encode_integers(sizes, out);
    for (const Bucket& bucket : own)
        write_bucket(bucket, out);
}

// --- Budget --------------------------------------------------------------------------------------

bool SnapshotBudget::spend(ByteReader& in, std::uint64_t count) {
    if (count > values_) in.refuse(Errc::over_limit, "snapshot of more values than allowed");
    if (!in.ok()) return false;
    values_ -= static_cast<std::size_t>(count);
    return true;
}

bool SnapshotBudget::spend_text(ByteReader& in, std::uint64_t size) {
    if (size > text_) in.refuse(Errc::over_limit, "snapshot of more text than allowed");
    if (!in.ok()) return false;
    text_ -= size;
    return true;
}

std::size_t SnapshotBudget::count(ByteReader& in) {
    const std::uint64_t count = in.varint();
    return spend(in, count) ? static_cast<std::size_t>(count) : 0;
}

std::vector<std::uint64_t> read_integers(ByteReader& in, std::size_t count) {
    std::vector<std::uint64_t> values;
    if (in.ok() && !decode_integers(in, count, {count, 0}, values)) values.clear();
    return values;
}

std::vector<std::uint64_t> read_integers(ByteReader& in,
                                         SnapshotBudget& budget,
                                         std::size_t count) {
    if (!budget.spend(in, count)) return {};
    return read_integers(in, count);
}

// --- Reading -------------------------------------------------------------------------------------

void SnapshotSource::read(SnapshotBudget& budget) {
    const std::uint64_t present = in_.varint();
    if ((present >> (kSnapshotFieldCount + kSnapshotFlagCount)) != 0) {
        in_.refuse(Errc::malformed, "unknown column of a snapshot");
    }
    const auto count = [&](std::size_t bit) -> std::size_t {
        if (((present >> bit) & 1U) == 0) return 0;
        const std::size_t size = budget.count(in_);
        if (size == 0) in_.refuse(Errc::malformed, "column of nothing");
        return size;
    };
    for (std::size_t i = 0; i < kSnapshotFieldCount && in_.ok(); ++i) {
        integers_[i] = read_integers(in_, count(i));
    }
    for (std::size_t i = 0; i < kSnapshotFlagCount && in_.ok(); ++i) {
        const std::size_t size = count(kSnapshotFieldCount + i);
        if (!in_.ok() || !decode_booleans(in_, size, {size, 0}, flags_[i])) return;
    }
}

void SnapshotSource::check_used_up() {
    bool used_up = true;
    for (std::size_t i = 0; i < kSnapshotFieldCount; ++i) {
        used_up = used_up && integers_at_[i] == integers_[i].size();
    }
    for (std::size_t i = 0; i < kSnapshotFlagCount; ++i) {
        used_up = used_up && flags_at_[i] == flags_[i].size();
    }
    if (!used_up) in_.refuse(Errc::malformed, "column longer than used");
}

void GroupSource::read_bucket(SnapshotBudget& budget, Bucket& bucket) {
    const ColumnLimits limits = budget.limits(bucket.size);
    bool read = false;
    switch (bucket.column) {
        case GroupColumn::age:
            read = decode_integers(in_, bucket.size, limits, bucket.ages).has_value();
            break;
        case GroupColumn::boolean:
            read = decode_booleans(in_, bucket.size, limits, bucket.booleans).has_value();
            break;
        case GroupColumn::integer:
        case GroupColumn::timestamp:
            read = decode_signed(in_, bucket.size, limits, bucket.integers).has_value();
            break;
        case GroupColumn::real:
            read = decode_reals(in_, bucket.size, limits, bucket.reals).has_value();
            break;
        case GroupColumn::string:
        case GroupColumn::bytes:
            read = decode_strings(in_, bucket.size, limits, bucket.texts).has_value();
            break;
    }
    if (!read) return;  // Then the reader has failed.
    std::uint64_t text_size = 0;
    for (const ByteView text : bucket.texts.values)
        text_size += text.size();
    budget.spend_text(in_, text_size);
}

void GroupSource::read(SnapshotBudget& budget, std::uint32_t group_count) {
    buckets_.resize(kGroupColumnCount);
    for (std::size_t i = 0; i < kGroupColumnCount && in_.ok(); ++i) {
        buckets_[i].column = static_cast<GroupColumn>(i);
        buckets_[i].size = budget.count(in_);
        if (in_.ok()) read_bucket(budget, buckets_[i]);
    }
    own_.resize(group_count, kNone);
    common_counts_.resize(group_count);
    if (in_.ok()) read_own(budget, group_count);
}

void GroupSource::read_own(SnapshotBudget& budget, std::uint32_t group_count) {
    const std::size_t count = budget.count(in_);
    const auto groups = read_integers(in_, count);
    const auto columns = read_integers(in_, budget, count);
    const auto sizes = read_integers(in_, budget, count);
    if (!in_.ok()) return;
    buckets_.resize(kGroupColumnCount + count);
    for (std::size_t i = 0; i < count; ++i) {
        const bool rises = i == 0 || groups[i] > groups[i - 1] ||
                           (groups[i] == groups[i - 1] && columns[i] > columns[i - 1]);
        if (groups[i] >= group_count || columns[i] >= kGroupColumnCount || !rises) {
            in_.refuse(Errc::malformed, "groups of values are not in order");
            return;
        }
        if (sizes[i] > kColumnCountMax || !budget.spend(in_, sizes[i] + kGroupMin)) {
            in_.refuse(Errc::over_limit, "group of too many values");
            return;
        }
        const auto group = static_cast<std::size_t>(groups[i]);
        if (own_[group] == kNone) {
            own_[group] = static_cast<std::uint32_t>(own_buckets_.size());
            own_buckets_.emplace_back().fill(kNone);
        }
        Bucket& bucket = buckets_[kGroupColumnCount + i];
        own_buckets_[own_[group]][static_cast<std::size_t>(columns[i])] =
            static_cast<std::uint32_t>(kGroupColumnCount + i);
        bucket.column = static_cast<GroupColumn>(columns[i]);
        bucket.size = static_cast<std::size_t>(sizes[i]) + kGroupMin;
        read_bucket(budget, bucket);
        if (!in_.ok()) return;
    }
}

GroupSource::Bucket* GroupSource::take(std::uint32_t group, GroupColumn column) {
    const auto index = static_cast<std::size_t>(column);
    std::uint32_t own = own_[group];
    if (own != kNone) own = own_buckets_[own][index];
    if (own == kNone && ++common_counts_[group][index] == kGroupMin) {
        in_.refuse(Errc::malformed, "values that belong in a group");
        return nullptr;
    }
    Bucket& bucket = buckets_[own != kNone ? own : index];
    if (bucket.at < bucket.size && in_.ok()) return &bucket;
    in_.refuse(Errc::malformed, "column shorter than used");
    return nullptr;
}

std::uint64_t GroupSource::age(std::uint32_t group) {
    Bucket* bucket = take(group, GroupColumn::age);
    return bucket != nullptr ? bucket->ages[bucket->at++] : 0;
}

Value GroupSource::value(std::uint32_t group, ValueType type) {
    if (type == ValueType::null) return {};
    Bucket* bucket = take(group, column_of(type));
    if (bucket == nullptr) return {};
    const std::size_t at = bucket->at++;
    switch (type) {
        case ValueType::null: break;
        case ValueType::boolean: return Value(bucket->booleans[at] != 0);
        case ValueType::real: return Value(bucket->reals[at]);
        case ValueType::integer:
        case ValueType::timestamp:
            return Value::of_payload(type, static_cast<std::uint64_t>(bucket->integers[at]));
        case ValueType::string:
        case ValueType::bytes: {
            const ByteView text = bucket->texts.values[at];
            if (text.size() > kStringSizeMax) {
                in_.refuse(Errc::over_limit, "string longer than 1 MiB");
            } else if (type == ValueType::string && !is_utf8(text)) {
                in_.refuse(Errc::malformed, "string is not UTF-8");
            } else {
                return Value(type, text);
            }
        }
    }
    return {};
}

void GroupSource::check_used_up() {
    for (const Bucket& bucket : buckets_) {
        if (bucket.at != bucket.size) in_.refuse(Errc::malformed, "column longer than used");
    }
}

}  // namespace joinery::crdt::detail
