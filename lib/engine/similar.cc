#include "engine/similar.h"

#include <algorithm>

namespace joinery::detail {
namespace {

constexpr std::size_t kPairMax = 4096;

std::uint64_t count_of(const Plain& value) {
    std::uint64_t count = 0;
    if (value.is_object()) {
        for (const auto& [key, member] : value.object())
            count += count_of(member);
    } else if (value.is_array()) {
        for (const Plain& element : value.array())
            count += count_of(element);
    }
    return std::max<std::uint64_t>(count, 1);
}

void add(Overlap& sum, const Overlap& part) {
    sum.same_count += part.same_count;
    sum.count += part.count;
}

Overlap overlap_of_objects(const PlainObject& a, const PlainObject& b) {
    Overlap sum;
    auto at = b.begin();
    for (const auto& [key, member] : a) {
        for (; at != b.end() && at->first < key; ++at)
            sum.count += count_of(at->second);
        if (at == b.end() || at->first != key) {
            sum.count += count_of(member);
            continue;
        }
        add(sum, overlap(member, at->second));
        ++at;
    }
    for (; at != b.end(); ++at)
        sum.count += count_of(at->second);
    return sum;
}

Overlap overlap_of_arrays(const PlainArray& a, const PlainArray& b) {
    Overlap sum;
    const std::size_t both = std::min(a.size(), b.size());
    for (std::size_t i = 0; i < both; ++i)
        add(sum, overlap(a[i], b[i]));
    for (const PlainArray* longer : {&a, &b}) {
        for (std::size_t i = both; i < longer->size(); ++i)
            sum.count += count_of((*longer)[i]);
    }
    return sum;
}

/// Zero where they are no containers of one sort, or share less than @p share_min.
std::uint64_t score(const Plain& a, const Plain& b, std::uint64_t share_min) {
    if (a.is_scalar() || a.data.index() != b.data.index()) return 0;
    const std::uint64_t share = overlap(a, b).share();
    return share >= share_min ? share : 0;
}

}  // namespace

Overlap overlap(const Plain& a, const Plain& b) {
    const bool is_empty = a.is_object() ? a.object().empty() : a.is_array() && a.array().empty();
    if (a.data.index() != b.data.index()) return {0, std::max(count_of(a), count_of(b))};
    if (a.is_scalar() || is_empty) return {a == b ? 1U : 0U, count_of(b)};
    if (a.is_object()) return overlap_of_objects(a.object(), b.object());
    return overlap_of_arrays(a.array(), b.array());
}

IndexPairs similar_pairs_in_order(std::span<const Plain> current,
                                  std::span<const Plain> target,
                                  std::uint64_t share_min) {
    IndexPairs pairs;
    if (current.empty() || target.empty() || current.size() * target.size() > kPairMax) {
        return pairs;
    }
    const std::size_t width = target.size() + 1;
    std::vector<std::uint64_t> scores(current.size() * target.size());
    // best[i * width + j]: the greatest sum for what stands from i and from j on.
    std::vector<std::uint64_t> best((current.size() + 1) * width, 0);
    for (std::size_t i = current.size(); i-- > 0;) {
        for (std::size_t j = target.size(); j-- > 0;) {
            const std::uint64_t share = score(current[i], target[j], share_min);
            scores[i * target.size() + j] = share;
            const std::uint64_t paired = share == 0 ? 0 : share + best[(i + 1) * width + j + 1];
            best[i * width + j] =
                std::max({paired, best[(i + 1) * width + j], best[i * width + j + 1]});
        }
    }
    std::size_t i = 0;
    std::size_t j = 0;
    while (i < current.size() && j < target.size()) {
        const std::uint64_t share = scores[i * target.size() + j];
        const std::uint64_t here = best[i * width + j];
        if (share != 0 && here == share + best[(i + 1) * width + j + 1]) {
            pairs.emplace_back(i++, j++);
        } else if (here == best[(i + 1) * width + j]) {
            ++i;
        } else {
            ++j;
        }
    }
    return pairs;
}

}  // namespace joinery::detail
