/// @file
/// The live values of one document in one session: what the other side lacks of them, what is
/// awaited. No I/O; Exchange owns one and makes the messages.
///
/// Announcements carry the name of all registers. Where the two differ, who hears of another's
/// registers answers with marks of what it has (want), and is sent what it lacks, the last message
/// marked as such. What changes after the announcement is sent by itself, as it is when the link
/// takes it: a register that is written a thousand times meanwhile is sent once.
#pragma once

#include "session/access.h"
#include "session/host.h"
#include "session/messages.h"

#include <cstdint>
#include <optional>

namespace joinery::session {

class LiveExchange {
  public:
    /// Before anything else.
    void set_flow(Flow flow) noexcept { flow_ = flow; }
    // What happens. A Result is an Error only where the other side broke the protocol.
    /// What to announce of @p port (null: the document is not here).
    std::optional<crdt::LiveHash> announce(DocumentPort* port);
    void on_announced(const std::optional<crdt::LiveHash>& theirs);
    /// @p port may have values that the other side was not told of.
    void on_change(DocumentPort& port);
    /// There is no document to have any.
    void on_nothing() noexcept { news_due_ = false; }
    Result<void> take(const LiveWant& message);
    /// What LiveValues say but for the values, which are the document's.
    Result<void> take(const LiveValues& message);
    /// Ends it, for the rest of the session.
    void stop() noexcept;

    // What is to be said.
    bool has_want() const noexcept { return want_due_; }
    bool has_values() const noexcept { return is_open() && (news_due_ || last_due_); }
    LiveWant make_want(std::uint64_t document, DocumentPort* port);
    /// The next values, about @p size_max bytes; none if it turns out that there are none.
    std::optional<LiveValues> make_values(std::uint64_t document,
                                          DocumentPort& port,
                                          std::size_t size_max);

    /// Whether neither side owes the other any value.
    bool is_settled() const noexcept;
    std::uint32_t origin_at(DocumentPort& port);
    std::size_t memory_size() const noexcept;

  private:
    bool is_open() const noexcept { return is_said_ && is_heard_ && !is_stopped_; }
    void compare();

    Flow flow_;
    std::optional<crdt::LiveHash> said_, heard_;
    crdt::LiveCursor cursor_;
    bool is_said_ = false, is_heard_ = false;
    bool is_stopped_ = false;
    bool want_due_ = false;        // Owed: what we have, to be sent what we lack.
    bool awaiting_last_ = false;   // They owe what we wanted.
    bool expecting_want_ = false;  // They owe theirs.
    bool last_due_ = false;        // Owed: what they wanted.
    bool news_due_ = false;        // There may be some.
};

}  // namespace joinery::session
