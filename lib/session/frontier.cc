#include "session/frontier.h"

#include "crdt/cursor.h"
#include "crdt/hash.h"
#include "crdt/limits.h"

#include <algorithm>
#include <iterator>
#include <span>

namespace joinery::session {
namespace {

constexpr std::string_view kHashPrefix = "joinery frontier 1";

auto place_of(auto& frontier, const ActorId& actor) {
    return std::ranges::lower_bound(frontier, actor, {}, &FrontierEntry::actor);
}

bool is_known(const FrontierEntry& entry) {
    return std::ranges::any_of(entry.hash_prefix, [](std::uint8_t byte) { return byte != 0; });
}

bool is_fork(const FrontierEntry& a, const FrontierEntry& b) {
    return a.seq == b.seq && a.hash_prefix != b.hash_prefix && is_known(a) && is_known(b);
}

/// Whether a chain that goes as far as @p entry goes further, or is better known, with @p by.
bool is_raised_by(const FrontierEntry& entry, const FrontierEntry& by) {
    return entry.seq < by.seq || (entry.seq == by.seq && !is_known(entry));
}

/// All entries of one actor.
using Ends = std::span<const FrontierEntry>;

/// Calls @p visit(left's ends, right's ends) for each actor of either.
template <class Visit>
void for_each_actor(const Frontier& left, const Frontier& right, Visit visit) {
    const auto ends_of = [](Ends rest, const ActorId& actor) {
        std::size_t count = 0;
        while (count < rest.size() && rest[count].actor == actor)
            ++count;
        return rest.first(count);
    };
    Ends l(left);
    Ends r(right);
    while (!l.empty() || !r.empty()) {
        const bool is_left = r.empty() || (!l.empty() && l[0].actor < r[0].actor);
        const ActorId& actor = is_left ? l[0].actor : r[0].actor;
        const Ends l_ends = ends_of(l, actor);
        const Ends r_ends = ends_of(r, actor);
        visit(l_ends, r_ends);
        l = l.subspan(l_ends.size());
        r = r.subspan(r_ends.size());
    }
}

}  // namespace

FrontierHash hash_of(const Frontier& frontier) {
    Bytes input(kHashPrefix.begin(), kHashPrefix.end());
    encode_frontier(frontier, input);
    FrontierHash hash;
    crdt::hash_into(input, hash.bytes);
    return hash;
}

FrontierDifference compare(const Frontier& left, const Frontier& right) {
    FrontierDifference difference;
    for_each_actor(left, right, [&](Ends l, Ends r) {
        if (l.size() == 1 && r.size() == 1) {
            const bool is_forked = is_fork(l[0], r[0]);
            difference.left_ahead = difference.left_ahead || is_forked || l[0].seq > r[0].seq;
            difference.right_ahead = difference.right_ahead || is_forked || r[0].seq > l[0].seq;
            difference.forked = difference.forked || is_forked;
            return;
        }
        difference.left_ahead = difference.left_ahead || !std::ranges::includes(r, l);
        difference.right_ahead = difference.right_ahead || !std::ranges::includes(l, r);
    });
    return difference;
}

bool covers(const Frontier& left, const Frontier& right) {
    bool is_covered = true;
    for_each_actor(left, right, [&](Ends l, Ends r) {
        if (l.size() == 1 && r.size() == 1) {
            is_covered = is_covered && l[0].seq >= r[0].seq;
        } else {
            is_covered = is_covered && std::ranges::includes(l, r);
        }
    });
    return is_covered;
}

const FrontierEntry* find_entry(const Frontier& frontier, const ActorId& actor) {
    const auto place = place_of(frontier, actor);
    return place != frontier.end() && place->actor == actor ? &*place : nullptr;
}

void advance(Frontier& frontier, const FrontierEntry& entry) {
    const auto ends = std::ranges::equal_range(frontier, entry.actor, {}, &FrontierEntry::actor);
    if (ends.size() == 1 && !is_fork(ends.front(), entry)) {
        if (is_raised_by(ends.front(), entry)) ends.front() = entry;
    } else if (ends.empty() || is_known(entry)) {
        const auto place = std::ranges::lower_bound(ends, entry);
        if (place == ends.end() || *place != entry) frontier.insert(place, entry);
    }
}

void merge(Frontier& into, const Frontier& from) {
    Frontier merged;
    merged.reserve(std::max(into.size(), from.size()));
    for_each_actor(into, from, [&](Ends l, Ends r) {
        if (l.size() == 1 && r.size() == 1 && !is_fork(l[0], r[0])) {
            merged.push_back(is_raised_by(l[0], r[0]) ? r[0] : l[0]);
        } else {
            std::ranges::set_union(l, r, std::back_inserter(merged));
        }
    });
    into = std::move(merged);
}

bool is_canonical(const Frontier& frontier) {
    const auto is_bad_seq = [](const FrontierEntry& entry) {
        return entry.seq == 0 || entry.seq > crdt::kCounterMax;
    };
    const auto not_ascending = [](const FrontierEntry& a, const FrontierEntry& b) {
        return !(a < b);
    };
    return std::ranges::none_of(frontier, is_bad_seq) &&
           std::ranges::adjacent_find(frontier, not_ascending) == frontier.end();
}

void encode_frontier(const Frontier& frontier, Bytes& out) {
    crdt::ByteWriter writer(out);
    writer.varint(frontier.size());
    for (const FrontierEntry& entry : frontier) {
        writer.raw(entry.actor.view());
        writer.varint(entry.seq);
        writer.raw(entry.hash_prefix);
    }
}

Result<Frontier> decode_frontier(ByteView in) {
    crdt::ByteReader reader(in);
    const std::size_t count = reader.count(33);
    if (reader.ok() && count > kFrontierEntryMax) {
        return fail(Errc::over_limit, "frontier of too many actors");
    }
    Frontier frontier(count);
    for (FrontierEntry& entry : frontier) {
        entry.actor = reader.fixed<ActorId>();
        entry.seq = reader.varint();
        std::ranges::copy(reader.raw(entry.hash_prefix.size()), entry.hash_prefix.begin());
    }
    JOINERY_TRY_VOID(reader.finish());
    if (!is_canonical(frontier)) return fail(Errc::malformed, "frontier out of order");
    return frontier;
}

}  // namespace joinery::session
