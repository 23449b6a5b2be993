#include "base/assert.h"
#include "crdt/packed.h"
#include "crdt/packed_detail.h"

#include <algorithm>

namespace joinery::crdt {

namespace {

// First byte of a boolean column. Written on disk: never change them.
enum class BooleanHead : std::uint8_t {
    all_false = 0,
    all_true = 1,
    bitmap = 2,
    runs_from_false = 3,
    runs_from_true = 4,
};

bool is_runs(BooleanHead head) noexcept { return head >= BooleanHead::runs_from_false; }

// Calls each(length) for the maximal runs of equal values.
template <class Each>
void for_each_run(std::span<const std::uint8_t> values, Each each) {
    for (auto from = values.begin(); from != values.end();) {
        const auto to = std::find(from, values.end(), static_cast<std::uint8_t>(*from ^ 1));
        each(static_cast<std::size_t>(to - from));
        from = to;
    }
}

// The canonical head: one value, else the smaller of bitmap and runs, the bitmap if equal.
BooleanHead plan_booleans(std::span<const std::uint8_t> values) {
    std::size_t run_count = 1;
    for (std::size_t i = 1; i < values.size(); ++i) {
        run_count += static_cast<std::size_t>(values[i] ^ values[i - 1]);
    }
    const bool first = values[0] != 0;
    if (run_count == 1) return first ? BooleanHead::all_true : BooleanHead::all_false;
    // A run takes a byte or more, so many runs are out without a closer look.
    if (run_count >= detail::bits_size(values.size(), 1)) return BooleanHead::bitmap;
    std::size_t runs_size = 0;
    for_each_run(values, [&](std::size_t length) { runs_size += varint_size(length); });
    if (runs_size >= detail::bits_size(values.size(), 1)) return BooleanHead::bitmap;
    return first ? BooleanHead::runs_from_true : BooleanHead::runs_from_false;
}

void read_runs(ByteReader& in, std::uint8_t value, std::span<std::uint8_t> values) {
    while (!values.empty() && in.ok()) {
        const std::uint64_t at = in.offset();
        const std::uint64_t length = in.varint();
        if (length == 0 || length > values.size()) {
            in.refuse(Errc::malformed, "run of a column is empty or too long", at);
            return;
        }
        std::fill_n(values.begin(), length, value);
        values = values.subspan(static_cast<std::size_t>(length));
        value ^= 1;
    }
}

void read_bitmap(ByteReader& in, std::vector<std::uint8_t>& out, std::size_t count) {
    const ByteView bits = in.raw(detail::bits_size(count, 1));
    if (!in.ok()) return;
    out.resize(count);
    const bool clean = detail::unpack_bits(bits, count, 1, [&](std::size_t i, std::uint64_t bit) {
        out[i] = static_cast<std::uint8_t>(bit);
    });
    if (!clean) {
        in.refuse(Errc::malformed, "unused bits of a column are not zero", in.offset() - 1);
    }
}

void read_booleans(ByteReader& in,
                   std::size_t count,
                   const ColumnLimits& limits,
                   std::vector<std::uint8_t>& out) {
    if (!detail::check_count(in, count, limits) || count == 0) return;
    const std::uint64_t at = in.offset();
    const std::uint8_t byte = in.u8();
    const auto head = static_cast<BooleanHead>(byte);
    if (byte > static_cast<std::uint8_t>(BooleanHead::runs_from_true)) {
        in.refuse(Errc::malformed, "unknown boolean column encoding", at);
    }
    if (!in.ok()) return;
    if (head == BooleanHead::bitmap) {
        read_bitmap(in, out, count);
    } else {
        out.resize(count, head == BooleanHead::all_true ? 1 : 0);
        if (is_runs(head)) read_runs(in, head == BooleanHead::runs_from_true ? 1 : 0, out);
    }
    if (in.ok() && plan_booleans(out) != head) {
        in.refuse(Errc::malformed, detail::kNotCanonical, at);
    }
}

}  // namespace

void encode_booleans(std::span<const std::uint8_t> values, ByteWriter& out) {
    JOINERY_ASSERT(values.size() <= kColumnCountMax);
    JOINERY_ASSERT(std::all_of(values.begin(), values.end(), [](auto value) { return value < 2; }));
    if (values.empty()) return;
    const BooleanHead head = plan_booleans(values);
    out.u8(static_cast<std::uint8_t>(head));
    if (head == BooleanHead::bitmap) {
        detail::pack_bits(out, values.size(), 1, [&](std::size_t i) { return values[i]; });
    } else if (is_runs(head)) {
        for_each_run(values, [&](std::size_t length) { out.varint(length); });
    }
}

Result<void> decode_booleans(ByteReader& in,
                             std::size_t count,
                             const ColumnLimits& limits,
                             std::vector<std::uint8_t>& out) {
    out.clear();
    read_booleans(in, count, limits, out);
    if (in.ok()) return {};
    out.clear();
    return in.error();
}

}  // namespace joinery::crdt
