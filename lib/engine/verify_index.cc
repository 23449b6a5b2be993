#include "engine/verify_index.h"

#include <algorithm>

namespace joinery::detail {
namespace {

constexpr std::size_t kChainKeySize = 4 + ActorId::kSize + 8;

}  // namespace

std::optional<ChainKey> chain_key(ByteView key, DocumentNumber document) {
    if (key.size() != kChainKeySize) return std::nullopt;
    ChainKey out;
    std::ranges::copy(key.subspan(4, ActorId::kSize), out.chain.bytes.begin());
    const auto seq = seq_of(key, document, out.chain);
    if (!seq) return std::nullopt;
    out.seq = *seq;
    return out;
}

Result<void> check_index(CheckScope& scope,
                         const std::string& id,
                         DocumentNumber number,
                         std::span<const IndexEntry> wanted,
                         const std::function<bool(std::uint64_t)>& is_excused) {
    const auto add = [&](std::string change, std::string what, const char* remedy) {
        scope.add({"index", id, std::move(change), std::move(what), remedy});
    };
    auto next = wanted.begin();
    const auto miss_until = [&](const ChainKey* end) {
        for (; next != wanted.end() && (end == nullptr || next->first < *end); ++next)
            add(change_name(next->first.chain, next->first.seq), "it is missing", kRemedyIndex);
    };
    TableScan scan(scope, Table::index, document_prefix(number));
    while (true) {
        JOINERY_TRY(const auto item, scan.next());
        if (!item) break;
        const auto at = chain_key(item->key, number);
        if (!at) {
            add("", "a record's key is not of its form", kRemedyLeftover);
            continue;
        }
        miss_until(&*at);
        const bool is_wanted = next != wanted.end() && next->first == *at;
        const std::string name = change_name(at->chain, at->seq);
        const auto arrival =
            item->value ? decode_arrival(*item->value)
                        : Result<std::uint64_t>(fail(Errc::damaged, "it fails its checksum"));
        if (!arrival) {
            add(name, std::string(arrival.error().what), kRemedyIndex);
        } else if (is_wanted && *arrival != next->second) {
            add(name,
                "it leads to " + arrival_name(*arrival + 1) + ", but the change came as " +
                    arrival_name(next->second + 1),
                kRemedyIndex);
        } else if (is_wanted) {
            ++scope.report.index_count;
        } else if (!is_excused(*arrival)) {
            add(name, "no segment of the log goes on there", kRemedyIndex);
        }
        if (is_wanted) ++next;
    }
    miss_until(nullptr);
    return {};
}

}  // namespace joinery::detail
