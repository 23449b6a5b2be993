// The part of Exchange that keeps what each side has of the other and has confirmed.

#include "session/exchange.h"

#include <algorithm>

namespace joinery::session {

Exchange::ChainMark& Exchange::mark_of(const ActorId& actor) {
    const auto place = std::ranges::lower_bound(marks_, actor, {}, &ChainMark::actor);
    if (place != marks_.end() && place->actor == actor) return *place;
    return *marks_.insert(place, ChainMark{actor});
}

void Exchange::take_stated(const Frontier& frontier, const Own& own, DocumentPort::Hearing how) {
    theirs_ = frontier;
    if (port_ != nullptr) port_->hear(theirs_, how);
    knows_theirs_ = true;
    // What they made of our earlier words is not known: they are said again.
    for (ChainMark& mark : marks_)
        mark.ack_said = 0;
    std::size_t unknown_count = 0;
    for (const FrontierEntry& entry : frontier) {
        if (find_entry(own.frontier, entry.actor) == nullptr) {
            ++unknown_count;
        } else {
            raise_heard(entry.actor, entry.seq);
        }
    }
    keep_stated(unknown_count);
    ack_due_ = true;
}

void Exchange::take_theirs(const Frontier& more) {
    if (port_ != nullptr) {
        port_->advance(theirs_, more);
    } else {
        merge(theirs_, more);
    }
}

bool Exchange::lacks_nothing(const Frontier& own) const {
    return port_ != nullptr ? port_->is_covered(own, theirs_) : covers(theirs_, own);
}

void Exchange::raise_heard(const ActorId& actor, std::uint64_t seq) {
    ChainMark& mark = mark_of(actor);
    mark.heard = std::max(mark.heard, seq);
}

void Exchange::mark_heard(const Frontier& frontier) {
    for (const FrontierEntry& entry : frontier)
        raise_heard(entry.actor, entry.seq);
    ack_due_ = true;
}

bool Exchange::raise_acked(const ActorId& actor, std::uint64_t seq) {
    ChainMark& mark = mark_of(actor);
    if (mark.acked >= seq) return false;
    mark.acked = seq;
    return true;
}

void Exchange::mark_acked(const Frontier& frontier) {
    bool is_raised = false;
    for (const FrontierEntry& entry : frontier) {
        is_raised = raise_acked(entry.actor, entry.seq) || is_raised;
    }
    acked_whole_ = hash_of(frontier);
    if (is_raised) note(Event::Kind::acknowledged);
}

void Exchange::mark_ack_said(const Frontier& frontier) {
    for (const FrontierEntry& entry : frontier) {
        ChainMark& mark = mark_of(entry.actor);
        mark.ack_said = std::max(mark.ack_said, entry.seq);
    }
}

void Exchange::keep_stated(std::size_t entry_count) {
    context_.stated_entries = context_.stated_entries - stated_entries_ + entry_count;
    stated_entries_ = entry_count;
}

}  // namespace joinery::session
