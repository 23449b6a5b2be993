#include "base/assert.h"
#include "crdt/packed.h"
#include "crdt/packed_detail.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <optional>

namespace joinery::crdt {

namespace {

// First byte of a real column: a scale; a scale plus kHeadExceptions; or kHeadRaw. Written on disk:
// never change them.
constexpr unsigned kScaleMax = 9;
constexpr unsigned kHeadExceptions = 10;
constexpr unsigned kHeadRaw = 20;

// A decimal column may have one exception in this many values.
constexpr std::size_t kExceptionShare = 4;

// Mantissas are below 2^51. So near ones have quotients more than two doubles apart: a double has
// at most one mantissa for a scale, and rounding value * 10^scale finds it, since that is off by
// less than 3/8.
constexpr double kMantissaLimit = 2251799813685248.0;
constexpr std::int64_t kMantissaMax = (std::int64_t{1} << 51) - 1;

constexpr std::array<double, kScaleMax + 1> kPowers = {
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};
constexpr std::array<std::int64_t, kScaleMax + 1> kIntegerPowers = {
    1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000};

struct Decimals {
    std::int64_t mantissa = 0;
    bool exact = false;    // The value is mantissa / 10^scale to the bit.
    bool too_big = false;  // The mantissa would pass kMantissaMax; smaller scales may do.
};

Decimals decimals_at(double value, unsigned scale) noexcept {
    const double product = value * kPowers[scale];
    Decimals found;
    // A NaN compares false, and is neither.
    found.too_big = std::fabs(product) >= kMantissaLimit;
    if (!(std::fabs(product) < kMantissaLimit)) return found;
    // Adding and taking away 1.5 * 2^52 rounds to an integer without a library call.
    constexpr double kRounder = 6755399441055744.0;
    const double rounded = (product + kRounder) - kRounder;
    found.too_big = std::fabs(rounded) >= kMantissaLimit;
    found.mantissa = static_cast<std::int64_t>(rounded);
    const double back = static_cast<double>(found.mantissa) / kPowers[scale];
    found.exact =
        !found.too_big && std::bit_cast<std::uint64_t>(back) == std::bit_cast<std::uint64_t>(value);
    return found;
}

// The scales at which a value is a decimal are an interval: a zero more makes no difference until
// the mantissa gets too big.
struct ScaleRange {
    unsigned least = 0;
    unsigned greatest = 0;
};

// @p hint: how many zeros the value before had; only for speed.
std::optional<ScaleRange> scales_of(double value, unsigned& hint) noexcept {
    unsigned scale = kScaleMax;
    Decimals found = decimals_at(value, scale);
    while (found.too_big && scale > 0)
        found = decimals_at(value, --scale);
    if (!found.exact) return std::nullopt;
    std::int64_t mantissa = found.mantissa;
    unsigned zeros = 0;
    if (hint <= scale && mantissa % kIntegerPowers[hint] == 0) {
        zeros = hint;
        mantissa /= kIntegerPowers[hint];
    }
    while (zeros < scale && mantissa % 10 == 0) {
        mantissa /= 10;
        ++zeros;
    }
    hint = zeros;
    return ScaleRange{scale - zeros, scale};
}

struct RealPlan {
    unsigned head = kHeadRaw;
    unsigned scale = 0;
    std::size_t exception_count = 0;
    std::vector<std::uint64_t> places;    // Of the exceptions.
    std::vector<std::int64_t> mantissas;  // Of the others.
};

// The scale at which most values are decimals, the smallest of equals; nothing if there are too
// many exceptions even so.
std::optional<unsigned> best_scale(std::span<const double> values) noexcept {
    const std::size_t exceptions_max = values.size() / kExceptionShare;
    std::array<std::size_t, kScaleMax + 2> starts{};
    std::array<std::size_t, kScaleMax + 2> ends{};
    std::size_t never = 0;
    unsigned hint = 0;
    for (const double value : values) {
        if (const auto range = scales_of(value, hint)) {
            ++starts[range->least];
            ++ends[range->greatest + 1];
        } else if (++never > exceptions_max) {
            return std::nullopt;
        }
    }
    unsigned best = 0;
    std::size_t best_count = 0;
    std::size_t count = 0;
    for (unsigned scale = 0; scale <= kScaleMax; ++scale) {
        count += starts[scale];
        count -= ends[scale];
        if (count > best_count) {
            best = scale;
            best_count = count;
        }
    }
    if (values.size() - best_count > exceptions_max) return std::nullopt;
    return best;
}

RealPlan plan_reals(std::span<const double> values) {
    RealPlan plan;
    const std::optional<unsigned> scale = best_scale(values);
    if (!scale) return plan;
    plan.mantissas.reserve(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
        const Decimals found = decimals_at(values[i], *scale);
        if (found.exact) {
            plan.mantissas.push_back(found.mantissa);
        } else {
            plan.places.push_back(i);
        }
    }
    plan.exception_count = plan.places.size();
    std::uint64_t size = detail::plan_integers(plan.mantissas).size;
    if (plan.exception_count > 0) {
        size += varint_size(plan.exception_count) + detail::plan_integers(plan.places).size +
                8 * plan.exception_count;
    }
    if (size > 8 * values.size()) return plan;
    plan.scale = *scale;
    plan.head = *scale + (plan.exception_count > 0 ? kHeadExceptions : 0);
    return plan;
}

bool same_layout(const RealPlan& plan, unsigned head, std::size_t exception_count) noexcept {
    return plan.head == head && (head == kHeadRaw || plan.exception_count == exception_count);
}

// Reads mantissas and turns them into reals; fails the reader on one out of range.
void read_decimals(ByteReader& in,
                   std::size_t count,
                   const ColumnLimits& limits,
                   unsigned scale,
                   std::vector<std::int64_t>& mantissas) {
    const std::uint64_t at = in.offset();
    if (!decode_signed(in, count, limits, mantissas)) return;
    std::int64_t least = 0;
    std::int64_t greatest = 0;
    for (const std::int64_t mantissa : mantissas) {
        least = std::min(least, mantissa);
        greatest = std::max(greatest, mantissa);
    }
    if (least < -kMantissaMax || greatest > kMantissaMax || scale > kScaleMax) {
        in.refuse(Errc::malformed, "mantissa of a real column is out of range", at);
    }
}

// A column of decimals only is canonical if a smaller scale would not do and raw is not smaller.
void read_exact(ByteReader& in,
                std::size_t count,
                const ColumnLimits& limits,
                unsigned scale,
                std::vector<double>& out) {
    const std::uint64_t at = in.offset();
    std::vector<std::int64_t> mantissas;
    read_decimals(in, count, limits, scale, mantissas);
    if (!in.ok()) return;
    const bool least_scale =
        scale == 0 ||
        std::any_of(mantissas.begin(), mantissas.end(), [](auto m) { return m % 10 != 0; });
    if (!least_scale || in.offset() - at > 8 * std::uint64_t{count}) {
        in.refuse(Errc::malformed, detail::kNotCanonical, at - 1);
        return;
    }
    out.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
        out[i] = static_cast<double>(mantissas[i]) / kPowers[scale];
    }
}

void read_mixed(ByteReader& in,
                std::size_t count,
                const ColumnLimits& limits,
                unsigned scale,
                std::vector<double>& out) {
    const std::uint64_t at = in.offset();
    const std::size_t exception_count = in.count(8);
    if (exception_count == 0 || exception_count > count / kExceptionShare) {
        in.refuse(Errc::malformed, "number of exceptions of a column is out of range", at);
        return;
    }
    std::vector<std::uint64_t> places;
    if (!decode_integers(in, exception_count, limits, places)) return;
    const bool rising =
        std::adjacent_find(places.begin(), places.end(), std::greater_equal<>()) == places.end();
    if (!rising || places.back() >= count) {
        in.refuse(Errc::malformed, "exceptions of a column are not in order", at);
        return;
    }
    ByteReader exceptions = in.slice(8 * exception_count);
    std::vector<std::int64_t> mantissas;
    read_decimals(in, count - exception_count, limits, scale, mantissas);
    if (!in.ok()) return;
    out.resize(count);
    std::size_t taken = 0;
    for (std::size_t i = 0; i < count; ++i) {
        if (taken < exception_count && places[taken] == i) {
            out[i] = std::bit_cast<double>(exceptions.u64());
            ++taken;
        } else {
            out[i] = static_cast<double>(mantissas[i - taken]) / kPowers[scale];
        }
    }
    if (!same_layout(plan_reals(out), scale + kHeadExceptions, exception_count)) {
        in.refuse(Errc::malformed, detail::kNotCanonical, at - 1);
    }
}

void read_raw(ByteReader& in, std::size_t count, std::vector<double>& out) {
    const std::uint64_t at = in.offset();
    ByteReader values = in.slice(8 * std::uint64_t{count});
    if (!in.ok()) return;
    out.resize(count);
    for (double& value : out)
        value = std::bit_cast<double>(values.u64());
    if (!same_layout(plan_reals(out), kHeadRaw, 0)) {
        in.refuse(Errc::malformed, detail::kNotCanonical, at - 1);
    }
}

void read_reals(ByteReader& in,
                std::size_t count,
                const ColumnLimits& limits,
                std::vector<double>& out) {
    if (!detail::check_count(in, count, limits) || count == 0) return;
    const std::uint64_t at = in.offset();
    const unsigned head = in.u8();
    if (!in.ok()) return;
    if (head < kHeadExceptions) return read_exact(in, count, limits, head, out);
    if (head < kHeadRaw) return read_mixed(in, count, limits, head - kHeadExceptions, out);
    if (head == kHeadRaw) return read_raw(in, count, out);
    in.refuse(Errc::malformed, "unknown real column encoding", at);
}

}  // namespace

void encode_reals(std::span<const double> values, ByteWriter& out) {
    JOINERY_ASSERT(values.size() <= kColumnCountMax);
    if (values.empty()) return;
    const RealPlan plan = plan_reals(values);
    out.u8(static_cast<std::uint8_t>(plan.head));
    if (plan.head == kHeadRaw) {
        for (const double value : values)
            out.u64(std::bit_cast<std::uint64_t>(value));
        return;
    }
    if (plan.exception_count > 0) {
        out.varint(plan.exception_count);
        encode_integers(plan.places, out);
        for (const std::uint64_t place : plan.places) {
            out.u64(std::bit_cast<std::uint64_t>(values[static_cast<std::size_t>(place)]));
        }
    }
    encode_signed(plan.mantissas, out);
}

Result<void> decode_reals(ByteReader& in,
                          std::size_t count,
                          const ColumnLimits& limits,
                          std::vector<double>& out) {
    out.clear();
    read_reals(in, count, limits, out);
    if (in.ok()) return {};
    out.clear();
    return in.error();
}

}  // namespace joinery::crdt
