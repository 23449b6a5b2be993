#include "session/presence.h"

#include <algorithm>
#include <limits>

namespace joinery::session {
namespace {

using std::chrono::milliseconds;

/// What an item takes in a message, about.
std::size_t size_of(const PresenceItem& item) {
    return 64 + item.id.key.size() + item.value.content().size();
}

Result<void> check(std::string_view key, const Value& value, milliseconds time_to_live) {
    if (key.size() > kPresenceKeySizeMax) {
        return fail(Errc::over_limit, "key of presence longer than 256 bytes");
    }
    if (value.content().size() > kPresenceValueSizeMax) {
        return fail(Errc::over_limit, "value of presence longer than 4 KiB");
    }
    const bool is_text = value.type() == ValueType::string;
    if (!is_utf8(as_bytes(key)) || (is_text && !is_utf8(value.content()))) {
        return fail(Errc::malformed, "presence that is not UTF-8");
    }
    if (time_to_live < kPresenceTimeMin || time_to_live > kPresenceTimeMax) {
        return fail(Errc::over_limit, "presence lives for 1 s to 1 h");
    }
    return {};
}

}  // namespace

// --- What this peer shows ------------------------------------------------------------------------

Result<bool> PresenceBoard::set(std::string_view key,
                                Value value,
                                milliseconds time_to_live,
                                MonotonicTime now) {
    JOINERY_TRY_VOID(check(key, value, time_to_live));
    const PresenceId id{own_, std::string(key)};
    const auto known = entries_.find(id);
    const bool is_shown = known != entries_.end() && !known->second.is_gone;
    if (is_shown && known->second.value == value && known->second.time_to_live == time_to_live) {
        return false;
    }
    if (!is_shown && value_count(own_) >= kPresenceKeysMax) {
        return fail(Errc::over_limit, "more than 64 keys of presence in one document");
    }
    const auto place = add(id);
    JOINERY_ASSERT(place.has_value());
    (*place)->second.time_to_live = time_to_live;
    show(*place, std::move(value), now);
    return true;
}

bool PresenceBoard::clear(std::string_view key, MonotonicTime now) {
    const auto place = entries_.find({own_, std::string(key)});
    if (place == entries_.end() || place->second.is_gone) return false;
    withdraw(place, now);
    return true;
}

/// Says of our own that it is so now.
void PresenceBoard::show(Place place, Value value, MonotonicTime now) {
    Entry next;
    next.counter = ++own_counter_;
    next.value = std::move(value);
    next.is_gone = false;
    next.time_to_live = place->second.time_to_live;
    next.deadline = now + next.time_to_live;
    next.due = now + next.time_to_live / 2;
    write(place, std::move(next));
}

/// Says of our own that it is gone.
void PresenceBoard::withdraw(Place place, MonotonicTime now) {
    Entry next;
    next.counter = ++own_counter_;
    // As long as somebody may still show it.
    next.due = next.deadline = std::max(place->second.deadline, now) + kPresenceGoneTime;
    write(place, std::move(next));
}

// --- What others show ----------------------------------------------------------------------------

std::uint32_t PresenceBoard::join(const PeerRun& run, std::string_view name) {
    Linked& linked = linked_[run];
    ++linked.count;
    linked.name = name;
    links_.emplace(++last_link_, run);
    return last_link_;
}

void PresenceBoard::leave(std::uint32_t link, MonotonicTime now) {
    const auto known = links_.find(link);
    if (known == links_.end()) return;
    const PeerRun run = known->second;
    links_.erase(known);
    const auto linked = linked_.find(run);
    if (--linked->second.count != 0) return;
    linked_.erase(linked);
    if (run == own_) return;
    for (Place place = entries_.lower_bound({run, {}});
         place != entries_.end() && place->first.run == run;
         ++place) {
        if (place->second.is_gone) continue;
        Entry next;
        next.counter = place->second.counter;
        next.due = next.deadline = std::max(place->second.deadline, now) + kPresenceGoneTime;
        write(place, std::move(next));
    }
}

PresenceReceived PresenceBoard::receive(std::span<const PresenceItem> items,
                                        std::uint32_t link,
                                        MonotonicTime now) {
    PresenceReceived received;
    for (const PresenceItem& item : items) {
        const PeerRun* from = run_of(link);
        const bool is_first_hand = from != nullptr && item.id.run == *from;
        const bool is_hearsay = item.is_gone && !is_first_hand && is_linked(item.id.run);
        if (is_own(item.id)) {
            answer(item, now);
        } else if (is_hearsay) {
            doubt(item);
        } else {
            merge(item, link, now, received);
        }
    }
    return received;
}

void PresenceBoard::merge(const PresenceItem& item,
                          std::uint32_t link,
                          MonotonicTime now,
                          PresenceReceived& received) {
    const auto known = entries_.find(item.id);
    if (known != entries_.end()) {
        const Entry& entry = known->second;
        const bool is_going = item.counter == entry.counter && item.is_gone && !entry.is_gone;
        if (item.counter <= entry.counter && !is_going) {
            // They show what is gone: it may be that they were never told.
            if (entry.is_gone && !entry.is_quiet && !item.is_gone) tell_again(known);
            return;
        }
    }
    const auto place = add(item.id);
    if (!place) {
        ++received.dropped;
        return;
    }
    Entry next;
    next.counter = item.counter;
    next.value = item.value;
    next.is_gone = item.is_gone;
    next.origin = link;
    next.due = next.deadline = now + item.time_left;
    write(*place, std::move(next));
    ++received.taken;
}

/// Others say that a run is gone to which there is a link.
void PresenceBoard::doubt(const PresenceItem& item) {
    const auto place = entries_.find(item.id);
    if (place == entries_.end()) return;
    const Entry& entry = place->second;
    if (entry.is_gone || entry.is_doubted || item.counter < entry.counter) return;
    place->second.is_doubted = true;
    tell_again(place);
}

/// Others speak of us. What beats our last word is answered by a greater counter; one that we have
/// not given yet is a lie, which would only drive ours up.
void PresenceBoard::answer(const PresenceItem& item, MonotonicTime now) {
    if (item.counter > own_counter_) return;
    const auto known = entries_.find(item.id);
    if (known == entries_.end()) {
        // We have forgotten it, and somebody still shows it.
        if (item.is_gone) return;
        const auto place = add(item.id);
        if (!place) return;
        (*place)->second.deadline = now + item.time_left;
        return withdraw(*place, now);
    }
    const Entry& entry = known->second;
    const bool is_going = item.counter == entry.counter && item.is_gone && !entry.is_gone;
    if (item.counter <= entry.counter && !is_going) return;
    if (entry.is_gone) {
        withdraw(known, now);
    } else {
        show(known, Value(entry.value), now);
    }
}

std::vector<PresenceItem> PresenceBoard::collect(PresenceCursor& cursor,
                                                 std::size_t size_max,
                                                 MonotonicTime now) const {
    std::vector<PresenceItem> items;
    std::size_t size = 0;
    for (auto at = by_version_.upper_bound(cursor.version);
         at != by_version_.end() && size < size_max;
         ++at) {
        cursor.version = at->first;
        auto item = item_for(*at->second, cursor, now);
        if (!item) continue;
        size += size_of(*item);
        items.push_back(*std::move(item));
    }
    return items;
}

std::optional<PresenceItem> PresenceBoard::item_for(const Entries::value_type& at,
                                                    const PresenceCursor& cursor,
                                                    MonotonicTime now) const {
    const auto& [id, entry] = at;
    const PeerRun* to = run_of(cursor.link);
    const bool is_theirs = to != nullptr && id.run == *to;
    // Nobody needs to hear what he shows himself; but that others believe him gone he must.
    const bool is_question = is_theirs && entry.is_doubted;
    if (!is_question) {
        const bool came_from_there = cursor.link != 0 && entry.origin == cursor.link;
        if (entry.is_quiet || came_from_there || (is_theirs && !entry.is_gone)) return std::nullopt;
    }
    MonotonicTime left = entry.deadline - now;
    if (!is_own(id)) left -= kPresenceHopTime;
    PresenceItem item;
    item.time_left = std::min(std::chrono::floor<milliseconds>(left), kPresenceTimeLeftMax);
    if (item.time_left <= milliseconds(0)) return std::nullopt;
    item.id = id;
    item.counter = entry.counter;
    item.is_gone = entry.is_gone || is_question;
    if (!item.is_gone) item.value = entry.value;
    return item;
}

// --- Time ----------------------------------------------------------------------------------------

void PresenceBoard::expire(MonotonicTime now) {
    while (!shown_dues_.empty() && shown_dues_.begin()->first.first <= now) {
        const Place place = shown_dues_.begin()->second;
        if (is_own(place->first)) {
            show(place, Value(place->second.value), now);
            continue;
        }
        Entry next;
        next.counter = place->second.counter;
        next.is_quiet = true;
        next.due = next.deadline = now + kPresenceGoneTime;
        write(place, std::move(next));
    }
    while (!gone_dues_.empty() && gone_dues_.begin()->first.first <= now)
        remove(gone_dues_.begin()->second);
}

std::optional<MonotonicTime> PresenceBoard::next_due() const {
    std::optional<MonotonicTime> due;
    for (const Dues* dues : {&shown_dues_, &gone_dues_}) {
        if (dues->empty()) continue;
        const MonotonicTime first = dues->begin()->first.first;
        due = due ? std::min(*due, first) : first;
    }
    return due;
}

// --- Reading -------------------------------------------------------------------------------------

std::vector<PresenceEntry> PresenceBoard::list() const {
    Told nobody;
    return tell(nobody).set;
}

PresenceEvent PresenceBoard::tell(Told& told) const {
    PresenceEvent event;
    Told now;
    for (const auto& [id, entry] : entries_) {
        if (entry.is_gone) continue;
        const auto known = told.find(id);
        const bool is_known = known != told.end();
        if (!is_known || known->second != entry.shown_version) {
            const auto linked = linked_.find(id.run);
            std::optional<std::string> name;
            if (linked != linked_.end()) name = linked->second.name;
            event.set.push_back({id, std::move(name), entry.value, is_own(id)});
        }
        now.emplace_hint(now.end(), id, entry.shown_version);
        if (is_known) told.erase(known);
    }
    for (const auto& [id, version] : told)
        event.left.push_back(id);
    told = std::move(now);
    return event;
}

// --- Entries -------------------------------------------------------------------------------------

const PeerRun* PresenceBoard::run_of(std::uint32_t link) const {
    const auto known = links_.find(link);
    return known != links_.end() ? &known->second : nullptr;
}

std::size_t PresenceBoard::value_count(const PeerRun& run) const {
    std::size_t count = 0;
    for (auto at = entries_.lower_bound({run, {}}); at != entries_.end() && at->first.run == run;
         ++at) {
        if (!at->second.is_gone) ++count;
    }
    return count;
}

std::optional<PresenceBoard::Place> PresenceBoard::add(const PresenceId& id) {
    if (const auto known = entries_.find(id); known != entries_.end()) return known;
    if (!make_room(id.run)) return std::nullopt;
    return entries_.emplace(id, Entry()).first;
}

/// Where a run, or the board, is full, what has been gone for longest is forgotten.
bool PresenceBoard::make_room(const PeerRun& run) {
    std::size_t count = 0;
    std::optional<Place> oldest;
    for (Place at = entries_.lower_bound({run, {}}); at != entries_.end() && at->first.run == run;
         ++at) {
        ++count;
        if (!at->second.is_gone) continue;
        if (!oldest || at->second.version < (*oldest)->second.version) oldest = at;
    }
    if (count >= kPresenceKeysMax) {
        if (!oldest) return false;
        remove(*oldest);
        return true;
    }
    if (run == own_ || entries_.size() < entries_max_) return true;
    if (gone_dues_.empty()) return false;
    remove(gone_dues_.begin()->second);
    return true;
}

void PresenceBoard::write(Place place, Entry next) {
    Entry& entry = place->second;
    unlist(place);
    next.version = ++version_;
    const bool is_same = next.is_gone ? entry.is_gone : !entry.is_gone && entry.value == next.value;
    next.shown_version = is_same ? entry.shown_version : ++shown_version_;
    entry = std::move(next);
    by_version_.emplace(entry.version, place);
    (entry.is_gone ? gone_dues_ : shown_dues_).emplace(std::pair(entry.due, entry.version), place);
}

void PresenceBoard::tell_again(Place place) {
    Entry again = place->second;
    // Also to where it came from.
    if (again.is_gone) again.origin = 0;
    write(place, std::move(again));
}

void PresenceBoard::unlist(Place place) {
    const Entry& entry = place->second;
    by_version_.erase(entry.version);
    (entry.is_gone ? gone_dues_ : shown_dues_).erase(std::pair(entry.due, entry.version));
}

void PresenceBoard::remove(Place place) {
    unlist(place);
    entries_.erase(place);
}

}  // namespace joinery::session
