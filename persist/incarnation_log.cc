#include "persist/incarnation_log.h"

#include "persist/format.h"
#include "persist/identity.h"

#include <algorithm>
#include <optional>

namespace joinery::persist::detail {
namespace {

// An entry: incarnation 16, time in ms 8 (two's complement), reason 1.
constexpr std::size_t kEntrySize = Incarnation::kSize + 8 + 1;
constexpr auto kKept = static_cast<std::uint32_t>(kIncarnationLogMax);

Bytes key_of(std::uint32_t number) {
    const ByteView prefix = as_bytes(kRenewalKeyPrefix);
    Bytes out(prefix.begin(), prefix.end());
    append_u32(out, number);
    return out;
}

std::optional<std::uint32_t> number_of(ByteView key) {
    const ByteView prefix = as_bytes(kRenewalKeyPrefix);
    if (key.size() != prefix.size() + 4) return std::nullopt;
    if (!std::ranges::equal(key.first(prefix.size()), prefix)) return std::nullopt;
    return read_u32(key.subspan(prefix.size()));
}

/// The number of the last entry, or none.
Result<std::optional<std::uint32_t>> last_number(LmdbTxn& txn, TableHandle own) {
    Bytes behind = key_of(UINT32_MAX);
    behind.push_back(0);
    JOINERY_TRY(const auto last, txn.last_before(own, behind));
    return last ? number_of(last->key) : std::nullopt;
}

}  // namespace

Result<Incarnation> put_new_incarnation(LmdbTxn& txn,
                                        TableHandle own,
                                        const Occasion& occasion,
                                        Random& random) {
    Incarnation out;
    random.fill(out.bytes);
    JOINERY_TRY_VOID(put_own(txn, own, as_bytes(kIncarnationKey), out.view()));
    JOINERY_TRY(const auto last, last_number(txn, own));
    const std::uint32_t number = last ? *last + 1 : 0;
    Bytes entry(out.bytes.begin(), out.bytes.end());
    append_u64(entry, static_cast<std::uint64_t>(occasion.time.count()));
    entry.push_back(static_cast<std::uint8_t>(occasion.reason));
    JOINERY_TRY_VOID(put_own(txn, own, key_of(number), entry));
    if (number >= kKept) JOINERY_TRY_VOID(txn.erase(own, key_of(number - kKept)));
    return out;
}

Result<std::vector<IncarnationChange>> read_incarnation_log(LmdbTxn& txn, TableHandle own) {
    std::vector<IncarnationChange> out;
    JOINERY_TRY(const auto last, last_number(txn, own));
    if (!last) return out;
    const std::uint32_t first = *last < kKept ? 0 : *last - kKept + 1;
    for (std::uint32_t number = first; number <= *last; ++number) {
        JOINERY_TRY(const auto bytes, get_own(txn, own, key_of(number)));
        if (!bytes) continue;
        if (bytes->size() != kEntrySize) {
            return fail(Errc::damaged, "the log of incarnations is damaged");
        }
        IncarnationChange change;
        std::ranges::copy(bytes->first(Incarnation::kSize), change.incarnation.bytes.begin());
        change.time =
            WallTime(static_cast<std::int64_t>(read_u64(bytes->subspan(Incarnation::kSize))));
        const std::uint8_t reason = bytes->back();
        constexpr auto kLast = static_cast<std::uint8_t>(IncarnationReason::overtaken);
        if (reason >= 1 && reason <= kLast) change.reason = static_cast<IncarnationReason>(reason);
        out.push_back(change);
    }
    return out;
}

}  // namespace joinery::persist::detail
