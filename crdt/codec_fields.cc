#include "crdt/codec_fields.h"

#include "crdt/codec.h"

#include <algorithm>

namespace joinery::crdt::detail {

void ColumnSource::load() {
    const std::uint64_t present = in_.varint();
    if (present >> (kFieldCount + 2) != 0) refuse(Errc::malformed, "unknown column");
    // Columns may say much in few bytes; this bounds what they may make us hold.
    size_max_ = std::max<std::size_t>(4 * kBatchOpMax, 16 * in_.remaining());
    const ColumnLimits limits{size_max_, std::uint64_t{64} << 20U};
    const auto count = [&](std::size_t column) -> std::size_t {
        if ((present >> column & 1U) == 0 || !in_.ok()) return 0;
        const std::uint64_t value = in_.varint_at_most(size_max_, "column too long");
        if (value == 0) refuse(Errc::malformed, "empty column");
        return in_.ok() ? static_cast<std::size_t>(value) : 0;
    };
    // A decoder that fails has failed in_ too, which finish() and ok() report.
    const auto note = [&](const Result<void>& done) {
        if (!done) refuse(done.error().code, done.error().what);
    };
    for (std::size_t i = 0; i < kFieldCount; ++i) {
        if (const std::size_t n = count(i)) note(decode_integers(in_, n, limits, columns_[i]));
    }
    if (const std::size_t n = count(kFieldCount)) note(decode_reals(in_, n, limits, reals_));
    if (const std::size_t n = count(kFieldCount + 1)) {
        note(decode_strings(in_, n, limits, texts_));
    }
    for (std::size_t i = 0; i < kFieldCount; ++i)
        cursors_[i] = {columns_[i].data(), columns_[i].data() + columns_[i].size()};
}

}  // namespace joinery::crdt::detail
