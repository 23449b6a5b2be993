/// @file
/// What a Session tells its owner, and what it counts.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "crdt/document.h"

#include <cstdint>
#include <optional>
#include <string>

namespace joinery::session {

struct Event {
    enum class Kind : std::uint8_t {
        hello,         ///< The other side said who it is: Session::peer().
        received,      ///< Changes came: `document`, `report`.
        in_step,       ///< Both sides have the same of `document`, as both have confirmed.
        acknowledged,  ///< The other side has more of `document` durable: Session::acknowledged().
        diverged,      ///< Alarm: equal frontiers, unequal digests. A bug, or somebody lies.
        forked,        ///< An actor has two histories; one here, the other there.
        stalled,  ///< `document` does not get in step though all was tried; empty: no answer comes.
        refused,  ///< `document` is left alone for the rest of this session: `error`.
        closed,   ///< The session ended; `error` says why, none where a side was done.
    };
    Kind kind;
    std::string document;
    std::optional<Error> error;
    /// Whether the other side's word made it so: then the error's text is ours, and `text` theirs.
    bool is_theirs = false;
    std::string text;
    crdt::ApplyReport report;
};

/// Totals of one session.
struct Counters {
    std::uint64_t messages_sent = 0, messages_received = 0;
    std::uint64_t bytes_sent = 0, bytes_received = 0;
    std::uint64_t changes_sent = 0;
    std::uint64_t changes_applied = 0, changes_duplicate = 0;  ///< Received.
    std::uint64_t live_sent = 0,
                  live_received = 0;  ///< Live values; received: those that were new.
    std::uint64_t presence_sent = 0, presence_received = 0;  ///< Entries; received: that were new.
    std::uint64_t presence_dropped = 0;                      ///< For want of room.
    std::uint64_t messages_skipped = 0;  ///< Of optional types that are not known here.
    std::uint64_t divergences = 0, forks = 0, resyncs = 0, stalls = 0, refusals = 0;

    Counters& operator+=(const Counters& more) noexcept;
};

/// One document of a session.
struct DocumentStatus {
    std::string id;
    bool is_in_step = false;
    bool is_acknowledged = false;  ///< In step, and all of it durable on the other side.
    bool is_refused = false;
    /// There are changes here that the other side lacks and does not take from this one.
    bool has_untaken = false;
    std::uint64_t changes_sent = 0, changes_received = 0;
    std::uint64_t bytes_sent = 0, bytes_received = 0;  ///< Of messages of this document alone.
};

}  // namespace joinery::session
