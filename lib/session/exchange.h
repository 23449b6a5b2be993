/// @file
/// One document in one session: what the other side has of it, what is owed to it, what is awaited.
///
/// It goes like this. Both sides announce a State. Where the hashes differ, one asks for the
/// other's whole frontier, or both do, and each sends what the other lacks. Whoever sent changes
/// then asks with a Check whether both are equal; the answer, or the question itself, is what makes
/// the document "in step". The same goes on for every later change. Nothing is queued as bytes:
/// flags say what is owed, and a message is made of the document as it is when the link takes it.
///
/// Where one side takes no changes of the other's (Flow), that one sends none, and the two are in
/// step once it has all that the first has; it may have more.
#pragma once

#include "session/access.h"
#include "session/event.h"
#include "session/frontier.h"
#include "session/host.h"
#include "session/live_exchange.h"
#include "session/messages.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace joinery::session {

/// Rounds of asking anew, without a change that arrives or an agreement, before a document is left
/// as it is.
inline constexpr int kRoundsMax = 8;
/// Names and runs in the dictionary of one document and direction, and in all of one direction. A
/// sender whose dictionary holds more begins it anew (Restart) before it sends changes again.
inline constexpr std::size_t kDictionarySizeMax = std::size_t{1} << 16U;
inline constexpr std::size_t kDictionaryTotalMax = std::size_t{1} << 20U;

/// Answers changes of a document from a side that has been told that none are taken of it.
inline Error not_taken() {
    return fail(Errc::untrusted, "changes of a document that this side may not write");
}

/// What the exchanges of a session share.
struct ExchangeContext {
    Host& host;
    MessageWriter writer;
    std::vector<Event> events;
    Counters counters;
    std::size_t changes_size_target = 0;
    std::size_t sent_names = 0;      ///< In all encoder dictionaries.
    std::size_t received_names = 0;  ///< In all decoder dictionaries.
    std::size_t stated_entries = 0;  ///< Frontier entries that the other side made us keep.
    bool has_live = false;           ///< Both sides speak of live values.
    /// Who the other side is, where both speak of presence.
    std::optional<PeerRun> presence_run{};
    std::string name{};  ///< As the other side calls itself.
};

/// Ends the other side's presence in a document: with the session, or before.
struct LeavePresence {
    std::uint32_t link = 0;
    void operator()(PresencePort* port) const { port->leave(link); }
};

class Exchange {
  public:
    Exchange(ExchangeContext& context, std::string id, Flow flow = {});

    // What happens. A Result is an Error only where the other side broke the protocol.
    void document_changed();
    Result<void> on_have(const State& state);
    Result<void> take(const Changes& message);
    Result<void> take(const FrontierNote& message);
    Result<void> take(const Check& message);
    Result<void> take(const Answer& message);
    Result<void> take(const Ack& message);
    Result<void> take(const Resync& message);
    Result<void> take(const Restart& message);
    Result<void> take(const Refuse& message);
    Result<void> take(const LiveWant& message);
    Result<void> take(const LiveValues& message);
    Result<void> take(const PresenceNote& message);
    /// Somebody's presence in the document changed.
    void presence_changed() { find_port(); }
    /// The other side's presence here has come to its end.
    void leave_presence() noexcept { presence_.reset(); }
    /// Asks whether both are equal, if nothing else is going on though they are not known to be.
    void probe();
    /// Begins the dictionary of what is sent anew.
    void restart_dictionary();

    // What is to be said.
    /// The state to announce under the number @p ref of ours; it then counts as announced.
    State announce(std::uint64_t ref);
    bool has_control() const noexcept;
    bool has_changes() const noexcept;
    bool has_presence() const;
    /// Each writes one message to @p out and says whether it did; a false has settled that there
    /// was none to write. Control goes before changes.
    bool write_control(Bytes& out);
    bool write_changes(Bytes& out);
    bool write_presence(Bytes& out);

    const std::string& id() const noexcept { return id_; }
    bool is_announced() const noexcept { return ref_.has_value(); }
    /// The number under which the other side announced it.
    const std::optional<std::uint64_t>& their_ref() const noexcept { return their_ref_; }
    void set_their_ref(std::uint64_t ref) { their_ref_ = ref; }
    bool is_in_step() const noexcept;
    /// Whether nothing more will be exchanged until something changes.
    bool is_settled() const noexcept;
    bool is_acknowledged() const noexcept;
    bool has_acknowledged() const noexcept;
    bool is_refused() const noexcept { return refused_ || refused_by_them_; }
    /// As DocumentStatus says.
    bool has_untaken() const;
    Frontier acknowledged() const;
    std::uint64_t changes_sent() const noexcept { return changes_sent_; }
    std::uint64_t changes_received() const noexcept { return changes_received_; }
    std::size_t memory_size() const noexcept;

  private:
    /// How far one chain is confirmed.
    struct ChainMark {
        ActorId actor;
        std::uint64_t heard = 0;     ///< The other side said or sent that it has it.
        std::uint64_t ack_said = 0;  ///< We said that it is durable here.
        std::uint64_t acked = 0;     ///< It said that it is durable there.
    };
    /// The document as it is now.
    struct Own {
        Frontier frontier;
        FrontierHash hash;
        std::optional<DigestPrefix> digest;  ///< None while the document is between two frontiers.
        bool is_durable = false;
    };
    struct Streams {
        crdt::EncoderDictionary encoder;
        crdt::DecoderDictionary decoder;
        std::size_t sent_names = 0, received_names = 0;
    };
    struct Asked {
        Frontier frontier;
        FrontierHash hash;
        bool is_durable = false;
    };

    /// The presence in the document, of which the other side takes part from now on; or null.
    PresencePort* join_presence();
    bool find_port();
    bool make_port();
    bool is_logged_in_step() const noexcept;
    bool has_logged() const noexcept;
    bool write_logged(Bytes& out);
    bool write_live(Bytes& out);
    Own own();
    State state_of(const Own& own) const;
    Streams& streams();
    void count_names();
    ChainMark& mark_of(const ActorId& actor);
    void take_stated(const Frontier& frontier, const Own& own, DocumentPort::Hearing how);
    void take_theirs(const Frontier& more);
    bool lacks_nothing(const Frontier& own) const;
    void raise_heard(const ActorId& actor, std::uint64_t seq);
    void mark_heard(const Frontier& frontier);
    bool raise_acked(const ActorId& actor, std::uint64_t seq);
    void mark_acked(const Frontier& frontier);
    void mark_ack_said(const Frontier& frontier);
    void keep_stated(std::size_t entry_count);
    void agree(const Own& own);
    void settle();
    void cover(const Own& own);
    void diverge(const FrontierHash& at);
    void begin_round();
    void give_up();
    void ask();
    void refuse(const Error& error, bool is_theirs);
    void note(Event::Kind kind);
    Result<void> take_received(const Changes& message,
                               const Result<DocumentPort::Received>& received);
    bool take_one_way(const FrontierNote& message, const Own& own);
    bool is_to_resync(const Error& error);
    bool judge_round_of_theirs();

    bool write_frontier(Bytes& out);
    bool write_resync(Bytes& out);
    bool write_answer(Bytes& out);
    bool write_ack(Bytes& out);
    bool write_check(Bytes& out);

    ExchangeContext& context_;
    std::string id_;
    Flow flow_;
    DocumentPort* port_ = nullptr;  // Null while the host does not have the document.

    std::optional<std::uint64_t> ref_, their_ref_;
    std::optional<FrontierHash> announced_;  // As durable; none otherwise.
    bool heard_ = false;                     // They announced it.

    Frontier theirs_;  // What they have or have on the way: at least.
    bool knows_theirs_ = false;
    std::vector<ChainMark> marks_;  // Sorted by actor.
    // All of it is durable there: what acknowledges actors of several ends.
    std::optional<FrontierHash> acked_whole_;
    std::size_t stated_entries_ = 0;
    std::optional<FrontierHash> agreed_;    // Both were here, and nothing was exchanged since.
    std::optional<FrontierHash> own_hash_;  // Of the document now; none when it may have changed.
    bool is_covering_ = false;              // All that they had is here. Where nothing is given.
    std::optional<FrontierHash> alarmed_;   // Where the last alarm was raised.

    bool dirty_ = false;      // They may lack something.
    bool ask_due_ = false;    // Owed: our frontier, with a request for theirs.
    bool reply_due_ = false;  // Owed: our frontier.
    bool awaiting_ = false;   // They owe theirs.
    bool check_due_ = false;
    bool ack_due_ = false;
    bool waiting_ = false;          // Nothing can be judged until the document has settled.
    std::unique_ptr<Asked> asked_;  // The check that they have not answered.
    std::unique_ptr<Check> held_;   // The check that we have not answered.
    std::uint64_t sent_count_ = 0, received_count_ = 0;  // Messages of changes.
    std::uint64_t changes_sent_ = 0, changes_received_ = 0;

    LiveExchange live_;
    std::unique_ptr<PresencePort, LeavePresence> presence_;  // Once some was exchanged.
    std::uint64_t presence_version_ = 0;                     // So far they were told.
    std::unique_ptr<Streams> streams_;
    std::uint64_t resync_number_ = 0;        // The last that we asked for.
    std::uint64_t their_resync_number_ = 0;  // The last that they asked for.
    bool resync_due_ = false;
    bool awaiting_restart_ = false;
    bool restart_due_ = false;
    bool refuse_due_ = false;
    Errc refuse_code_ = Errc::malformed;

    int rounds_ = 0, their_rounds_ = 0;
    bool exhausted_ = false;
    bool forked_ = false;
    bool doubted_ = false;  // A seal that failed was laid to a fork.
    bool refused_ = false, refused_by_them_ = false;
};

}  // namespace joinery::session
