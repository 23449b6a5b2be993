#include "engine/match.h"

#include "crdt/cursor.h"
#include "crdt/hash.h"
#include "engine/similar.h"

#include <algorithm>
#include <map>

namespace joinery::detail {
namespace {

constexpr std::size_t kPairMax = 4'000'000;
/// Thousandths of two elements that are equal if one is the other after an edit.
constexpr std::uint64_t kEditedShareMin = 500;

/// Bytes that are equal exactly for equal plain data.
void append_canonical(const Plain& value, crdt::ByteWriter& out) {
    if (value.is_object()) {
        out.u8('{');
        out.varint(value.object().size());
        for (const auto& [key, member] : value.object()) {
            out.sized(as_bytes(key));
            append_canonical(member, out);
        }
    } else if (value.is_array()) {
        out.u8('[');
        out.varint(value.array().size());
        for (const Plain& element : value.array())
            append_canonical(element, out);
    } else {
        const Value& scalar = value.scalar();
        out.u8(static_cast<std::uint8_t>(scalar.type()));
        if (scalar.type() == ValueType::string || scalar.type() == ValueType::bytes) {
            out.sized(scalar.content());
        } else {
            out.u64(scalar.payload());
        }
    }
}

Bytes canonical_bytes(const Plain& value) {
    Bytes bytes;
    crdt::ByteWriter out(bytes);
    append_canonical(value, out);
    return bytes;
}

/// Matches in order what stands between matched elements: scalars with scalars, and elements of one
/// sort where both sides have as many.
void match_by_place(const PlainArray& current,
                    const PlainArray& target,
                    std::size_t c0,
                    std::size_t c1,
                    std::size_t t0,
                    std::size_t t1,
                    ListMatch& match) {
    const bool as_many = c1 - c0 == t1 - t0;
    for (; c0 < c1 && t0 < t1; ++c0, ++t0) {
        const bool fits = as_many || (current[c0].is_scalar() && target[t0].is_scalar());
        if (fits && current[c0].data.index() == target[t0].data.index()) match.current_of[t0] = c0;
    }
}

/// Matches the stretch [c0, c1) of current with [t0, t1) of target, between equal elements: first
/// those that are similar, then by place.
void match_stretch(const PlainArray& current,
                   std::size_t c0,
                   std::size_t c1,
                   const PlainArray& target,
                   std::size_t t0,
                   std::size_t t1,
                   ListMatch& match) {
    const auto pairs = similar_pairs_in_order(std::span(current).subspan(c0, c1 - c0),
                                              std::span(target).subspan(t0, t1 - t0),
                                              kEditedShareMin);
    std::size_t c = c0;
    std::size_t t = t0;
    for (const auto& [i, j] : pairs) {
        match_by_place(current, target, c, c0 + i, t, t0 + j, match);
        match.current_of[t0 + j] = c0 + i;
        c = c0 + i + 1;
        t = t0 + j + 1;
    }
    match_by_place(current, target, c, c1, t, t1, match);
}

/// The pairs of a longest common subsequence of the middle parts, in order.
std::vector<std::pair<std::size_t, std::size_t>> common_pairs(std::span<const Bytes> current,
                                                              std::span<const Bytes> target) {
    const std::size_t width = target.size() + 1;
    std::vector<std::uint32_t> length((current.size() + 1) * width, 0);
    for (std::size_t i = current.size(); i-- > 0;) {
        for (std::size_t j = target.size(); j-- > 0;) {
            length[i * width + j] = current[i] == target[j] ? length[(i + 1) * width + j + 1] + 1
                                                            : std::max(length[(i + 1) * width + j],
                                                                       length[i * width + j + 1]);
        }
    }
    std::vector<std::pair<std::size_t, std::size_t>> pairs;
    std::size_t i = 0;
    std::size_t j = 0;
    while (i < current.size() && j < target.size()) {
        if (current[i] == target[j]) {
            pairs.emplace_back(i++, j++);
        } else if (length[(i + 1) * width + j] >= length[i * width + j + 1]) {
            ++i;
        } else {
            ++j;
        }
    }
    return pairs;
}

/// Common pairs for long lists: each element of the target takes the next equal one.
std::vector<std::pair<std::size_t, std::size_t>> greedy_pairs(std::span<const Bytes> current,
                                                              std::span<const Bytes> target) {
    std::map<Bytes, std::vector<std::size_t>> places;
    for (std::size_t i = 0; i < current.size(); ++i)
        places[current[i]].push_back(i);
    std::vector<std::pair<std::size_t, std::size_t>> pairs;
    std::size_t next = 0;
    for (std::size_t j = 0; j < target.size(); ++j) {
        const auto found = places.find(target[j]);
        if (found == places.end()) continue;
        const auto at = std::ranges::lower_bound(found->second, next);
        if (at == found->second.end()) continue;
        pairs.emplace_back(*at, j);
        next = *at + 1;
    }
    return pairs;
}

std::vector<Bytes> canonical_all(std::span<const Plain> values) {
    std::vector<Bytes> out;
    out.reserve(values.size());
    for (const Plain& value : values)
        out.push_back(canonical_bytes(value));
    return out;
}

}  // namespace

std::string_view key_field(const PlainArray& target, std::span<const std::string> fields) {
    if (target.empty()) return {};
    for (const std::string& field : fields) {
        std::set<Bytes> values;
        const bool names_all = std::ranges::all_of(target, [&](const Plain& element) {
            if (!element.is_object()) return false;
            const Plain* value = find_member(element.object(), field);
            return value != nullptr && value->is_scalar() && !value->scalar().is_null() &&
                   values.insert(canonical_bytes(*value)).second;
        });
        if (names_all && !field.empty()) return field;
    }
    return {};
}

ListMatch match_by_key(const PlainArray& current,
                       const PlainArray& target,
                       std::string_view field) {
    std::map<Bytes, std::size_t> by_key;
    for (std::size_t i = 0; i < current.size(); ++i) {
        if (!current[i].is_object()) continue;
        const Plain* value = find_member(current[i].object(), field);
        if (value != nullptr && value->is_scalar()) by_key.emplace(canonical_bytes(*value), i);
    }
    ListMatch match;
    for (const Plain& element : target) {
        const auto found = by_key.find(canonical_bytes(*find_member(element.object(), field)));
        match.current_of.push_back(found == by_key.end() ? std::nullopt
                                                         : std::optional(found->second));
    }
    return match;
}

ListMatch match_by_content(const PlainArray& current, const PlainArray& target) {
    ListMatch match;
    match.current_of.resize(target.size());
    std::size_t front = 0;
    while (front < current.size() && front < target.size() && current[front] == target[front]) {
        match.current_of[front] = front;
        ++front;
    }
    std::size_t back = 0;
    while (front + back < current.size() && front + back < target.size() &&
           current[current.size() - back - 1] == target[target.size() - back - 1]) {
        ++back;
        match.current_of[target.size() - back] = current.size() - back;
    }
    const auto middle_of = [&](const PlainArray& all) {
        return std::span(all).subspan(front, all.size() - front - back);
    };
    const std::vector<Bytes> current_middle = canonical_all(middle_of(current));
    const std::vector<Bytes> target_middle = canonical_all(middle_of(target));
    const bool few = (current_middle.size() + 1) * (target_middle.size() + 1) <= kPairMax;
    const auto pairs = few ? common_pairs(current_middle, target_middle)
                           : greedy_pairs(current_middle, target_middle);
    std::size_t c = front;
    std::size_t t = front;
    for (const auto& [i, j] : pairs) {
        match_stretch(current, c, front + i, target, t, front + j, match);
        match.current_of[front + j] = front + i;
        c = front + i + 1;
        t = front + j + 1;
    }
    match_stretch(current, c, current.size() - back, target, t, target.size() - back, match);
    return match;
}

std::set<std::size_t> longest_increasing(std::span<const std::optional<std::size_t>> values) {
    // tails[n] is the index of the smallest value that ends an increasing subsequence of n + 1.
    std::vector<std::size_t> tails;
    std::vector<std::optional<std::size_t>> before(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (!values[i]) continue;
        const auto at = std::ranges::lower_bound(
            tails, *values[i], {}, [&](std::size_t tail) { return *values[tail]; });
        if (at != tails.begin()) before[i] = *(at - 1);
        if (at == tails.end()) {
            tails.push_back(i);
        } else {
            *at = i;
        }
    }
    std::set<std::size_t> out;
    if (tails.empty()) return out;
    for (std::optional<std::size_t> at = tails.back(); at; at = before[*at])
        out.insert(*at);
    return out;
}

Value content_key(const Plain& value) {
    if (value.is_scalar()) return value.scalar();
    std::array<std::uint8_t, 16> hash{};
    crdt::hash_into(canonical_bytes(value), hash);
    return Value(ByteView(hash));
}

}  // namespace joinery::detail
