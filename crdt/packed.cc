#include "crdt/packed.h"

#include "base/assert.h"
#include "crdt/packed_detail.h"

#include <algorithm>
#include <array>
#include <bit>
#include <optional>

namespace joinery::crdt {

namespace detail {
namespace {

// First byte of an integer column: packed width, delta width plus 65, or one of these. Written on
// disk: never change them.
constexpr unsigned kHeadDelta = 65;
constexpr unsigned kHeadPatched = 130;
constexpr unsigned kHeadDeltaPatched = 131;
constexpr unsigned kHeadRuns = 132;

// The layout with exceptions is considered only for widths at least this much below the full one
// and at most one exception in kPatchShare values: so that one pass over the top bits rules it out
// for most columns.
constexpr unsigned kPatchGain = 2;
constexpr std::size_t kPatchShare = 8;

// Runs are considered only for at most kRunsSpare runs and one more in kRunsShare values.
constexpr std::size_t kRunsSpare = 2;
constexpr std::size_t kRunsShare = 4;

std::uint64_t code_of(std::uint64_t value) noexcept { return value; }
std::uint64_t code_of(std::int64_t value) noexcept { return zigzag_of(value); }

template <class T>
T value_of_code(std::uint64_t code) noexcept {
    if constexpr (std::is_signed_v<T>) {
        return zigzag_inverse(code);
    } else {
        return code;
    }
}

// Differences wrap, so that every column has them.
template <class T>
std::uint64_t difference(T later, T earlier) noexcept {
    return static_cast<std::uint64_t>(later) - static_cast<std::uint64_t>(earlier);
}

template <class T>
struct Extent {
    T min;
    T max;
    std::int64_t delta_min;
    std::int64_t delta_max;
    std::size_t run_count;
};

template <class T>
Extent<T> measure(std::span<const T> values) noexcept {
    Extent<T> extent{values[0], values[0], 0, 0, 1};
    if (values.size() == 1) return extent;
    T previous = values[0];
    extent.delta_min = extent.delta_max =
        static_cast<std::int64_t>(difference(values[1], previous));
    for (const T value : values.subspan(1)) {
        const auto delta = static_cast<std::int64_t>(difference(value, previous));
        extent.min = std::min(extent.min, value);
        extent.max = std::max(extent.max, value);
        extent.delta_min = std::min(extent.delta_min, delta);
        extent.delta_max = std::max(extent.delta_max, delta);
        extent.run_count += static_cast<std::size_t>(delta != 0);
        previous = value;
    }
    return extent;
}

struct Patch {
    unsigned width = 0;
    std::uint64_t exception_count = 0;
    std::uint64_t size = 0;
};

// Whether at most limit of the residuals need more than width bits.
template <class Get>
bool few_exceed(std::size_t count, unsigned width, std::size_t limit, Get residual) {
    constexpr std::size_t kBlock = 512;
    std::size_t exceeding = 0;
    for (std::size_t i = 0; i < count && exceeding <= limit;) {
        const std::size_t end = std::min(count, i + kBlock);
        for (; i < end; ++i)
            exceeding += static_cast<std::size_t>((residual(i) >> width) != 0);
    }
    return exceeding <= limit;
}

// The smallest layout with exceptions of residuals that need full_width bits; the smallest width of
// equals. Its size counts what stands after base and delta.
template <class Get>
std::optional<Patch> plan_patch(std::size_t count, unsigned full_width, Get residual) {
    const std::size_t limit = count / kPatchShare;
    if (limit == 0 || full_width < kPatchGain) return std::nullopt;
    if (!few_exceed(count, full_width - kPatchGain, limit, residual)) return std::nullopt;
    std::array<std::size_t, 65> width_counts{};
    for (std::size_t i = 0; i < count; ++i) {
        ++width_counts[static_cast<std::size_t>(std::bit_width(residual(i)))];
    }
    const auto place_width = static_cast<unsigned>(std::bit_width(count - 1));
    std::optional<Patch> best;
    std::size_t exception_count = 0;
    for (unsigned width = full_width; width-- > 0;) {
        exception_count += width_counts[width + 1];
        if (exception_count > limit) break;
        if (width + kPatchGain > full_width) continue;
        const std::uint64_t size = 2 + varint_size(exception_count) + bits_size(count, width) +
                                   bits_size(exception_count, place_width) +
                                   bits_size(exception_count, full_width - width);
        if (!best || size <= best->size) best = Patch{width, exception_count, size};
    }
    return best;
}

void take_smaller(IntegerPlan& plan, const IntegerHead& head, std::uint64_t size) noexcept {
    if (size < plan.size) plan = {head, size};
}

// Calls each(value, length) for the maximal runs of equal values.
template <class T, class Each>
void for_each_run(std::span<const T> values, Each each) {
    for (std::size_t i = 0; i < values.size();) {
        std::size_t end = i + 1;
        while (end < values.size() && values[end] == values[i])
            ++end;
        each(values[i], end - i);
        i = end;
    }
}

// Candidates in the order of IntegerKind: an equal size does not replace an earlier one.
template <class T>
IntegerPlan plan_column(std::span<const T> values) {
    if (values.empty()) return {};
    const std::size_t count = values.size();
    const Extent<T> extent = measure(values);
    const std::uint64_t base = code_of(extent.min);
    const auto width = static_cast<unsigned>(std::bit_width(difference(extent.max, extent.min)));
    const std::uint64_t front = 1 + varint_size(base);
    IntegerPlan plan{{IntegerKind::packed, width, 0, 0, base, 0}, front + bits_size(count, width)};
    if (width == 0) return plan;
    const auto patch =
        plan_patch(count, width, [&](std::size_t i) { return difference(values[i], extent.min); });
    if (patch) {
        take_smaller(plan,
                     {IntegerKind::patched,
                      patch->width,
                      width - patch->width,
                      patch->exception_count,
                      base,
                      0},
                     front + patch->size);
    }

    const std::uint64_t first = code_of(values[0]);
    const std::uint64_t delta = zigzag_of(extent.delta_min);
    const auto delta_width =
        static_cast<unsigned>(std::bit_width(difference(extent.delta_max, extent.delta_min)));
    const std::uint64_t delta_front = 1 + varint_size(first) + varint_size(delta);
    take_smaller(plan,
                 {IntegerKind::delta, delta_width, 0, 0, first, delta},
                 delta_front + bits_size(count - 1, delta_width));
    const auto delta_patch = plan_patch(count - 1, delta_width, [&](std::size_t i) {
        return difference(values[i + 1], values[i]) - static_cast<std::uint64_t>(extent.delta_min);
    });
    if (delta_patch) {
        take_smaller(plan,
                     {IntegerKind::delta_patched,
                      delta_patch->width,
                      delta_width - delta_patch->width,
                      delta_patch->exception_count,
                      first,
                      delta},
                     delta_front + delta_patch->size);
    }

    if (extent.run_count > kRunsSpare + count / kRunsShare) return plan;
    std::uint64_t runs_size = 1;
    for_each_run(values, [&](T value, std::size_t length) {
        runs_size += varint_size(code_of(value)) + varint_size(length);
    });
    take_smaller(plan, {IntegerKind::runs, 0, 0, 0, 0, 0}, runs_size);
    return plan;
}

bool is_patched(IntegerKind kind) noexcept {
    return kind == IntegerKind::patched || kind == IntegerKind::delta_patched;
}
bool is_delta(IntegerKind kind) noexcept {
    return kind == IntegerKind::delta || kind == IntegerKind::delta_patched;
}

void write_head(const IntegerHead& head, ByteWriter& out) {
    switch (head.kind) {
        case IntegerKind::packed: out.u8(static_cast<std::uint8_t>(head.width)); break;
        case IntegerKind::patched: out.u8(kHeadPatched); break;
        case IntegerKind::delta: out.u8(static_cast<std::uint8_t>(kHeadDelta + head.width)); break;
        case IntegerKind::delta_patched: out.u8(kHeadDeltaPatched); break;
        case IntegerKind::runs: out.u8(kHeadRuns); return;
    }
    out.varint(head.base);
    if (is_delta(head.kind)) out.varint(head.delta);
    if (!is_patched(head.kind)) return;
    out.u8(static_cast<std::uint8_t>(head.width));
    out.u8(static_cast<std::uint8_t>(head.high_width));
    out.varint(head.exception_count);
}

// Fails the reader on bytes that are no head. A width too large is left to the check of the plan.
IntegerHead read_head(ByteReader& in) noexcept {
    const std::uint64_t at = in.offset();
    const unsigned byte = in.u8();
    IntegerHead head;
    if (byte < kHeadDelta) {
        head.width = byte;
    } else if (byte < kHeadPatched) {
        head.kind = IntegerKind::delta;
        head.width = byte - kHeadDelta;
    } else if (byte == kHeadPatched) {
        head.kind = IntegerKind::patched;
    } else if (byte == kHeadDeltaPatched) {
        head.kind = IntegerKind::delta_patched;
    } else if (byte == kHeadRuns) {
        head.kind = IntegerKind::runs;
        return head;
    } else {
        in.refuse(Errc::malformed, "unknown integer column encoding", at);
    }
    head.base = in.varint();
    if (is_delta(head.kind)) head.delta = in.varint();
    if (!is_patched(head.kind)) return head;
    head.width = in.u8();
    head.high_width = in.u8();
    head.exception_count = in.varint();
    if (head.width + head.high_width > 64 || head.high_width < kPatchGain) {
        in.refuse(Errc::malformed, "widths of an integer column are out of range");
    }
    return head;
}

template <class Get>
void write_residuals(const IntegerHead& head, std::size_t count, ByteWriter& out, Get residual) {
    const unsigned width = head.width;
    if (!is_patched(head.kind)) return pack_bits(out, count, width, residual);
    const std::uint64_t mask = low_bits(width);
    std::vector<std::uint64_t> places;
    std::vector<std::uint64_t> highs;
    places.reserve(static_cast<std::size_t>(head.exception_count));
    highs.reserve(static_cast<std::size_t>(head.exception_count));
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint64_t value = residual(i);
        if (value <= mask) continue;
        places.push_back(i);
        highs.push_back(value >> width);
    }
    pack_bits(out, count, width, [&](std::size_t i) { return residual(i) & mask; });
    const auto place_width = static_cast<unsigned>(std::bit_width(count - 1));
    pack_bits(out, places.size(), place_width, [&](std::size_t i) { return places[i]; });
    pack_bits(out, highs.size(), head.high_width, [&](std::size_t i) { return highs[i]; });
}

template <class T>
void encode_column(std::span<const T> values, ByteWriter& out) {
    JOINERY_ASSERT(values.size() <= kColumnCountMax);
    if (values.empty()) return;
    const IntegerHead head = plan_integers(values).head;
    write_head(head, out);
    if (head.kind == IntegerKind::runs) {
        for_each_run(values, [&](T value, std::size_t length) {
            out.varint(code_of(value));
            out.varint(length);
        });
    } else if (is_delta(head.kind)) {
        const auto least = static_cast<std::uint64_t>(zigzag_inverse(head.delta));
        write_residuals(head, values.size() - 1, out, [&](std::size_t i) {
            return difference(values[i + 1], values[i]) - least;
        });
    } else {
        const T least = value_of_code<T>(head.base);
        write_residuals(
            head, values.size(), out, [&](std::size_t i) { return difference(values[i], least); });
    }
}

bool unpack_checked(ByteReader& in, std::size_t count, unsigned width, auto put) {
    const ByteView bits = in.raw(bits_size(count, width));
    if (!in.ok()) return false;
    if (unpack_bits(bits, count, width, put)) return true;
    in.refuse(Errc::malformed, "unused bits of a column are not zero", in.offset() - 1);
    return false;
}

// Adds what the exceptions of a patched column have above its low bits.
template <class T>
void patch_residuals(ByteReader& in, const IntegerHead& head, std::span<T> residuals) {
    const std::uint64_t at = in.offset();
    const std::size_t count = residuals.size();
    if (head.exception_count == 0 || head.exception_count > count / kPatchShare ||
        head.exception_count > in.remaining()) {
        in.refuse(Errc::malformed, "number of exceptions of a column is out of range", at);
        return;
    }
    const auto exception_count = static_cast<std::size_t>(head.exception_count);
    const auto place_width = static_cast<unsigned>(std::bit_width(count - 1));
    std::vector<std::size_t> places(exception_count);
    if (!unpack_checked(in, exception_count, place_width, [&](std::size_t i, std::uint64_t place) {
            places[i] = static_cast<std::size_t>(place);
        })) {
        return;
    }
    const bool rising =
        std::adjacent_find(places.begin(), places.end(), std::greater_equal<>()) == places.end();
    if (!rising || places.back() >= count) {
        in.refuse(Errc::malformed, "exceptions of a column are not in order", at);
        return;
    }
    bool zero = false;
    unpack_checked(in, exception_count, head.high_width, [&](std::size_t i, std::uint64_t high) {
        residuals[places[i]] |= static_cast<T>(high << head.width);
        zero = zero || high == 0;
    });
    if (zero) in.refuse(Errc::malformed, "exception of a column is none", at);
}

// Reads residuals, then makes them values: from the least, or each from the one before.
template <class T>
void read_residuals(ByteReader& in, const IntegerHead& head, std::span<T> values) {
    const T base = value_of_code<T>(head.base);
    const auto least = static_cast<std::uint64_t>(
        is_delta(head.kind) ? zigzag_inverse(head.delta) : static_cast<std::int64_t>(base));
    const std::span<T> residuals = values.subspan(is_delta(head.kind) ? 1 : 0);
    if (head.kind == IntegerKind::packed) {
        unpack_checked(in, values.size(), head.width, [&](std::size_t i, std::uint64_t residual) {
            values[i] = static_cast<T>(least + residual);
        });
        return;
    }
    if (!unpack_checked(in, residuals.size(), head.width, [&](std::size_t i, std::uint64_t low) {
            residuals[i] = static_cast<T>(low);
        })) {
        return;
    }
    if (is_patched(head.kind)) patch_residuals(in, head, residuals);
    std::uint64_t value = 0;
    if (is_delta(head.kind)) {
        values[0] = base;
        value = static_cast<std::uint64_t>(base);
    }
    for (T& residual : residuals) {
        const std::uint64_t sum = value + least + static_cast<std::uint64_t>(residual);
        residual = static_cast<T>(sum);
        if (is_delta(head.kind)) value = sum;
    }
}

template <class T>
void read_runs(ByteReader& in, std::span<T> values) {
    for (std::size_t filled = 0; filled < values.size() && in.ok();) {
        const std::uint64_t at = in.offset();
        const T value = value_of_code<T>(in.varint());
        const std::uint64_t length = in.varint();
        const bool repeats = filled > 0 && values[filled - 1] == value;
        if (length == 0 || length > values.size() - filled || repeats) {
            in.refuse(Errc::malformed, "run of a column is empty, too long or not whole", at);
            return;
        }
        std::fill_n(values.begin() + static_cast<std::ptrdiff_t>(filled), length, value);
        filled += static_cast<std::size_t>(length);
    }
}

template <class T>
void read_column(ByteReader& in,
                 std::size_t count,
                 const ColumnLimits& limits,
                 std::vector<T>& out) {
    if (!check_count(in, count, limits) || count == 0) return;
    const std::uint64_t at = in.offset();
    const IntegerHead head = read_head(in);
    if (!in.ok()) return;
    const std::size_t residual_count = is_delta(head.kind) ? count - 1 : count;
    if (bits_size(residual_count, head.width) > in.remaining()) {
        in.refuse(Errc::malformed, "column is longer than the input", at);
        return;
    }
    out.resize(count);
    if (head.kind == IntegerKind::runs) {
        read_runs(in, std::span<T>(out));
    } else {
        read_residuals(in, head, std::span<T>(out));
    }
    if (in.ok() && plan_integers(std::span<const T>(out)).head != head) {
        in.refuse(Errc::malformed, kNotCanonical, at);
    }
}

template <class T>
Result<void> decode_column(ByteReader& in,
                           std::size_t count,
                           const ColumnLimits& limits,
                           std::vector<T>& out) {
    // Former values stay until overwritten: reuse then costs no clearing.
    if (count == 0) out.clear();
    read_column(in, count, limits, out);
    if (in.ok()) return {};
    out.clear();
    return in.error();
}

}  // namespace

bool check_count(ByteReader& in, std::size_t count, const ColumnLimits& limits) noexcept {
    if (count > limits.count_max || count > kColumnCountMax) {
        in.refuse(Errc::over_limit, "column has too many values");
    }
    return in.ok();
}

IntegerPlan plan_integers(std::span<const std::uint64_t> values) { return plan_column(values); }
IntegerPlan plan_integers(std::span<const std::int64_t> values) { return plan_column(values); }

}  // namespace detail

void encode_integers(std::span<const std::uint64_t> values, ByteWriter& out) {
    detail::encode_column(values, out);
}

void encode_signed(std::span<const std::int64_t> values, ByteWriter& out) {
    detail::encode_column(values, out);
}

Result<void> decode_integers(ByteReader& in,
                             std::size_t count,
                             const ColumnLimits& limits,
                             std::vector<std::uint64_t>& out) {
    return detail::decode_column(in, count, limits, out);
}

Result<void> decode_signed(ByteReader& in,
                           std::size_t count,
                           const ColumnLimits& limits,
                           std::vector<std::int64_t>& out) {
    return detail::decode_column(in, count, limits, out);
}

}  // namespace joinery::crdt
