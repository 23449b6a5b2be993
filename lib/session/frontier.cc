#include "session/frontier.h"

#include "crdt/cursor.h"
#include "crdt/hash.h"
#include "crdt/limits.h"

#include <algorithm>

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
    auto l = left.begin();
    auto r = right.begin();
    while (l != left.end() || r != right.end()) {
        if (r == right.end() || (l != left.end() && l->actor < r->actor)) {
            difference.left_ahead = true;
            ++l;
        } else if (l == left.end() || r->actor < l->actor) {
            difference.right_ahead = true;
            ++r;
        } else {
            difference.left_ahead = difference.left_ahead || l->seq > r->seq;
            difference.right_ahead = difference.right_ahead || r->seq > l->seq;
            difference.forked = difference.forked || is_fork(*l, *r);
            ++l;
            ++r;
        }
    }
    return difference;
}

bool covers(const Frontier& left, const Frontier& right) {
    auto l = left.begin();
    for (const FrontierEntry& entry : right) {
        while (l != left.end() && l->actor < entry.actor)
            ++l;
        if (l == left.end() || l->actor != entry.actor || l->seq < entry.seq) return false;
    }
    return true;
}

const FrontierEntry* find_entry(const Frontier& frontier, const ActorId& actor) {
    const auto place = place_of(frontier, actor);
    return place != frontier.end() && place->actor == actor ? &*place : nullptr;
}

void advance(Frontier& frontier, const FrontierEntry& entry) {
    const auto place = place_of(frontier, entry.actor);
    if (place == frontier.end() || place->actor != entry.actor) {
        frontier.insert(place, entry);
    } else if (place->seq < entry.seq || (place->seq == entry.seq && !is_known(*place))) {
        *place = entry;
    }
}

void merge(Frontier& into, const Frontier& from) {
    Frontier merged;
    merged.reserve(std::max(into.size(), from.size()));
    auto place = into.begin();
    for (const FrontierEntry& entry : from) {
        while (place != into.end() && place->actor < entry.actor)
            merged.push_back(*place++);
        if (place != into.end() && place->actor == entry.actor) {
            const bool is_raised =
                place->seq < entry.seq || (place->seq == entry.seq && !is_known(*place));
            merged.push_back(is_raised ? entry : *place);
            ++place;
        } else {
            merged.push_back(entry);
        }
    }
    merged.insert(merged.end(), place, into.end());
    into = std::move(merged);
}

bool is_canonical(const Frontier& frontier) {
    const auto is_bad_seq = [](const FrontierEntry& entry) {
        return entry.seq == 0 || entry.seq > crdt::kCounterMax;
    };
    const auto not_ascending = [](const FrontierEntry& a, const FrontierEntry& b) {
        return !(a.actor < b.actor);
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
