/// @file
/// The sync protocol, wire version 1, between two peers: a state machine without I/O, thread or
/// clock. Messages that came and the time go in; messages to send and events are pulled out.
///
/// A document takes part if the patterns of both sides want it, each side shows it to the other,
/// and one at least takes the other's changes of it. What a session keeps of a slow link is which
/// documents the other side may lack something of, never bytes: so the owner pulls a message only
/// while its link has room for one.
///
/// A secure channel (session/channel.h) stands between this class and the link: who the other side
/// is, the version and the features were settled there.
#pragma once

#include "base/bytes.h"
#include "base/env.h"
#include "base/result.h"
#include "session/event.h"
#include "session/exchange.h"
#include "session/host.h"
#include "session/messages.h"
#include "session/pattern.h"

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace joinery::session {

struct Options {
    /// Said to the other side, which believes it no more than any text. At most kPeerNameSizeMax
    /// bytes.
    std::string name;
    /// What both sides have, as the channel's handshake found.
    std::uint64_t features = kFeatures;
    /// Who the other side is, as the channel has proved; none: no presence is exchanged.
    std::optional<PeerRun> other_side;
    /// Documents wanted; empty wants all. See Patterns.
    std::vector<std::string> patterns;
    /// What the other side may read and write here.
    Access access;
    /// Ends the session when both have the same, durable on both sides.
    bool is_once = false;
    /// Documents that the other side may announce.
    std::size_t document_max = 65536;
    /// Frontier entries of actors that we do not know, which the other side may make us keep: some
    /// 80 bytes each.
    std::size_t stated_entry_max = std::size_t{1} << 20U;
    /// Bytes of a message of changes, about; one change may be larger.
    std::size_t changes_size_target = std::size_t{64} << 10U;
    /// After so long without a message, documents that are not in step are asked about anew.
    MonotonicTime probe_interval = std::chrono::seconds(5);
    /// After so long without a message, with something not in step, comes the event `stalled`.
    MonotonicTime stall_time = std::chrono::seconds(30);
};

/// What the other side said of itself, which is not proved by anything.
struct PeerInfo {
    std::string name;
    std::vector<std::string> patterns;
    bool is_once = false;
    Access access;  ///< What this side may read and write there.
};

/// @par Memory
/// For each document that takes part some 700 bytes, its id twice and 80 bytes an actor; once
/// changes went, 500 more and dictionaries of at most kDictionarySizeMax names a direction
/// (kDictionaryTotalMax for all documents). What the other side can make it keep beyond that is
/// bounded by the Options.
/// @par Thread safety
/// One thread at a time. The host may call document_changed() and presence_changed() from inside
/// its own functions, but for those that the destructor calls: with it the other side leaves the
/// presence of documents.
class Session {
  public:
    /// @param host  Must outlive the session.
    /// Options with a name or patterns that are over their limits are an owner's mistake: the
    /// session is born closed, with the event that says so.
    Session(Host& host, Options options);
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    /// Takes a message from the other side: untrusted, borrowed for the call. What is wrong with
    /// one closes the session (event `closed`), without a change to the host.
    void on_message(ByteView message, MonotonicTime now);
    /// Call every second or so.
    void on_time(MonotonicTime now);
    /// Says that the frontier, the durable frontier or the digest of @p id may have changed,
    /// whoever changed it, this session too; or that there is a new document. Cheap, and as often
    /// as wanted.
    void document_changed(std::string_view id);
    /// Says that somebody's presence in @p id may have changed, as document_changed().
    void presence_changed(std::string_view id);
    /// Keeps presence back until release_presence(): the link has some to send still, and what is
    /// said later is newer.
    void hold_presence() noexcept { is_presence_held_ = true; }
    void release_presence() noexcept { is_presence_held_ = false; }
    /// Whether there may be presence to say.
    bool has_presence() const noexcept { return !presence_.slots.empty(); }
    /// Ends the session; the other side is told why: nothing means "done".
    void close(const std::optional<Error>& reason);

    /// The next message for the other side, into @p out, which it overwrites. False if there is
    /// none now: ask again after any of the calls above. At most kMessageSizeMax bytes.
    bool next_message(Bytes& out);
    /// The events since the last call.
    std::vector<Event> take_events();

    /// Whether neither side lacks anything of any document, as both have confirmed.
    bool is_in_step() const noexcept;
    /// Whether nothing more will be exchanged until something changes: in step, but for documents
    /// that were refused or diverged.
    bool is_settled() const noexcept;
    /// Whether, beyond is_in_step(), both sides have said that all of it is durable.
    bool is_acknowledged() const noexcept;
    /// Whether it has ended. Pull the messages that are left (the bye), then close the link.
    bool is_closed() const noexcept { return is_closed_; }

    /// None before its hello.
    const std::optional<PeerInfo>& peer() const noexcept { return peer_; }
    const Counters& counters() const noexcept { return context_.counters; }
    /// All documents that take part, in the order in which they came up.
    std::vector<DocumentStatus> documents() const;
    /// How far the other side has @p id durable, as it said; hashes are left zero.
    Frontier acknowledged(std::string_view id) const;
    /// Bytes kept, about.
    std::size_t memory_size() const noexcept;

  private:
    struct Slot {
        Exchange exchange;
        // Whether the queues have it.
        bool in_control = false, in_changes = false, in_presence = false;
        bool is_in_step = false, is_settled = false, is_acknowledged = false;
        std::uint64_t bytes_sent = 0, bytes_received = 0;
    };
    using Index = std::uint32_t;
    /// Documents that have something of one kind to say, in turn.
    struct Queue {
        std::deque<Index> slots;
        bool Slot::* is_in;
    };

    Result<void> take(const Message& message, std::size_t size);
    Result<void> take_hello(const Hello& message);
    Result<void> take_have(const Have& message);
    Result<void> take_entry(const Have::Entry& entry);
    void take_bye(const Bye& message);
    /// Passes a message of a document to its exchange.
    template <class M>
    Result<void> pass(const M& message, std::size_t size);

    void end(const std::optional<Error>& error, bool is_theirs, std::string text);
    void list_documents();
    bool takes_part(std::string_view id) const noexcept;
    Flow flow_of(std::string_view id) const noexcept;
    Index add_document(std::string id);
    void update(Index index);
    Hello hello() const;
    void leave_out();
    bool write_have(Bytes& out);
    /// Lets documents of @p queue write, each once, until @p write wrote something.
    template <class Write>
    bool write_from(Queue& queue, const Write& write, Bytes& out);
    bool write_control(Bytes& out);
    bool write_changes(Bytes& out);
    bool write_presence(Bytes& out);
    bool write_fairly(Bytes& out);
    bool write_next(Bytes& out);

    Options options_;
    Patterns patterns_, their_patterns_;
    ExchangeContext context_;
    MessageReader reader_;
    std::optional<PeerInfo> peer_;
    std::uint64_t their_document_max_ = 0;

    std::deque<Slot> slots_;
    std::map<std::string, Index, std::less<>> by_id_;
    std::vector<Index> their_documents_;  // By their number.
    std::vector<Index> our_documents_;    // By ours.
    std::deque<Index> to_announce_;
    Queue control_{{}, &Slot::in_control};
    Queue changes_{{}, &Slot::in_changes};
    Queue presence_{{}, &Slot::in_presence};
    bool presence_was_last_ = false;  // Of what was written of it and of changes.
    bool is_presence_held_ = false;
    std::size_t in_step_count_ = 0, settled_count_ = 0, acknowledged_count_ = 0;

    bool hello_said_ = false;
    bool listed_said_ = false, listed_heard_ = false;
    std::size_t left_out_count_ = 0;  // Documents past their limit.
    bool is_stall_noted_ = false;
    std::optional<Bye> bye_;  // To be said.
    bool is_closed_ = false;
    std::optional<MonotonicTime> last_message_;
    MonotonicTime last_probe_{};
};

}  // namespace joinery::session
