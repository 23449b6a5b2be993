/// @file
/// A shared document: reading it, changing it, watching it.
///
/// Paths are JSON Pointers (RFC 6901): "" is the whole document, "/widgets/cpu/title" a member of a
/// member, "/panels/3" the element at index 3, "/panels/-" the end of a list. Not for scratch data
/// of one process: every change is kept, signed and sent.
#pragma once

#include "base/bytes.h"
#include "base/env.h"
#include "base/plain.h"
#include "base/presence.h"
#include "base/result.h"
#include "joinery/outbox.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace joinery {

namespace detail {
class DocumentCore;
class DocumentPresence;
class TxCore;
}  // namespace detail

/// A moment of a document: heads as (actor, seq), the change that came n-th to this store, or a
/// time.
struct Version {
    enum class Form : std::uint8_t { head, arrival, heads, time };
    struct Head {
        ActorId actor;  ///< Behind a fork the name of the branch.
        std::uint64_t seq = 0;
    };
    Form form = Form::head;
    std::uint64_t arrival = 0;  ///< #N: after the first N changes that came to this store.
    std::vector<Head> heads;
    WallTime time{0};

    /// Before the first change.
    static Version none() {
        Version version;
        version.form = Form::arrival;
        return version;
    }
    /// Parses "head", "#12", "ACTOR@SEQ[,ACTOR@SEQ...]" or an RFC 3339 time; `malformed` for
    /// others.
    static Result<Version> parse(std::string_view text);
};

/// How Tx::set() matches the elements of arrays.
struct SetOptions {
    /// The fields that may name an element, the best first: the first one that every element of an
    /// array has as a scalar, each with a value of its own, is its key.
    std::vector<std::string> array_keys{"id", "uid", "name"};
};

/// The change in the making, inside Document::transact(). Reads see what was done so far.
///
/// Every verb answers `not_found` for a missing parent or index, `malformed` for a path that does
/// not parse or a container of another kind, `over_limit`; after an Error the document is as before
/// the verb, and the change may go on.
class Tx {
  public:
    explicit Tx(detail::TxCore& core) noexcept : core_(core) {}

    /// Makes the value at @p path equal to @p value by the smallest change (rule J2): nothing where
    /// it is equal, members by key, elements by their key field or else by longest common
    /// subsequence.
    Result<void> set(std::string_view path, const Plain& value, const SetOptions& options = {});
    Result<void> set(std::string_view path, Value value);
    /// Erases the member or element at @p path.
    Result<void> erase(std::string_view path);
    /// Adds @p delta to the counter at @p path, which is made if nothing is there; `conflict` if
    /// what is there is no counter.
    Result<void> increment(std::string_view path, std::int64_t delta);
    /// Inserts @p value so that it stands at the index that ends @p path; "-" appends.
    Result<void> insert(std::string_view path, const Plain& value);
    /// Moves the element at @p from so that it stands at the index that ends @p to, in the same
    /// list.
    Result<void> move(std::string_view from, std::string_view to);
    /// What is at @p path now.
    Result<Plain> read(std::string_view path = "") const;

  private:
    detail::TxCore& core_;
};

/// What a transaction made, and what becomes of it. Cheap to copy; its calls are good while the
/// Peer lives, and safe from any thread. Of a receipt without a change they are `not_found`.
struct Receipt {
    bool changed = false;  ///< False: all was so already, and no change was made.
    ActorId actor;
    std::uint64_t seq = 0;
    /// Of the document; none in a receipt that nobody gave.
    std::shared_ptr<detail::DocumentCore> core{};

    /// How far the change has come.
    Result<ChangeStatus> status() const;
    /// Waits until it is durable on @p peers other devices. `busy` when @p timeout has passed,
    /// `disconnected` where the peer is closed meanwhile, `conflict` once the change is rejected.
    /// Blocks: not for a thread that draws. That it is durable does not say that an authority
    /// lets it stand.
    Result<void> wait(std::size_t peers, std::chrono::milliseconds timeout) const;
    /// What was at @p path before the change, by replaying from the nearest snapshot; `not_found`
    /// where nothing was, and while the changes before it are not stored yet (Peer::flush).
    Result<Plain> original(std::string_view path = "") const;
};

/// One step of a change of the view; a JSON Patch (RFC 6902) that turns the view before into the
/// view after, step by step.
struct Patch {
    enum class Kind : std::uint8_t { add, remove, replace };
    Kind kind = Kind::replace;
    std::string path;
    Plain value;  ///< Not for remove.
};

/// Longest window of Document::set_transient().
inline constexpr std::chrono::milliseconds kTransientWindowMax = std::chrono::minutes(1);

/// What became visible at once, or since the last event (Document::observe).
struct Event {
    bool local = false;  ///< Made by this peer's process.
    std::vector<Patch> patches;
};

/// Stops a watch when destroyed; then its callback is not called again, and is not running unless
/// on this very thread.
class Subscription {
  public:
    Subscription() = default;
    explicit Subscription(std::shared_ptr<void> stop) noexcept : stop_(std::move(stop)) {}

  private:
    std::shared_ptr<void> stop_;
};

/// One change, as the history has it.
struct ChangeInfo {
    std::uint64_t arrival = 0;  ///< #N.
    ActorId actor;
    std::uint64_t seq = 0;
    /// Where its actor has forked before it: what names its branch. A version then has it in the
    /// actor's place.
    std::optional<ActorId> branch;
    WallTime time{0};
    std::vector<Version::Head> dependencies;
    /// Of an authority's refusal (rule U3): the change refused, one of the dependencies. The
    /// message is the reason.
    std::optional<Version::Head> refused;
    std::string message;
    struct Op {
        std::string kind;  ///< put, make, increment, erase, insert, move.
        std::string path;  ///< Elements by "~id" of their name where they have no index any more.
        std::optional<Plain> value;
    };
    std::vector<Op> ops;
};

/// That an actor signed two histories or more, so that anybody can check it: a seal over each,
/// which is its device's Ed25519 signature of docs/change-format.md 3.
struct Fork {
    struct Branch {
        ActorId name;  ///< Stands for the actor in versions and heads.
        /// The first change on the branch that is sealed; 0 until one is stored here.
        std::uint64_t sealed_seq = 0;
        ChangeHash sealed_hash;
        Signature signature;
    };
    ActorId actor;
    DeviceKey device;              ///< Whose signatures they are; zero while none is stored here.
    std::uint64_t seq = 0;         ///< Of the changes that each branch begins with.
    std::vector<Branch> branches;  ///< By name: two at least.
};

struct DocumentStatus {
    std::string id;
    std::uint64_t change_count = 0;
    std::uint64_t actor_count = 0;
    std::uint64_t live_count = 0;     ///< Live registers kept, shown or not.
    std::uint64_t stored_size = 0;    ///< Bytes in the store: changes, snapshots, seals.
    std::uint64_t pending_count = 0;  ///< Local changes that are not durable yet.
    std::vector<Version::Head> heads;
    std::vector<Fork> forks;  ///< By actor and seq.
    Digest digest;
};

/// A value that was put concurrently with the one that a register shows, and lost.
struct Alternative {
    Value value;
    ActorId actor;      ///< Who put it.
    WallTime stamp{0};  ///< What it was compared by (rule R2).
};

/// A live register: a value that changes often, such as a meter or a position. Each write takes the
/// place of the last one: no history, no receipt, the cost of one however many there are. It is not
/// part of changes, versions, digests and imports, and shows only where nothing logged does.
///
/// The handle stays with its object, also where that is an element that moves. Cheap to copy, valid
/// while the Peer lives.
///
/// @par Thread safety
/// All calls are safe from any thread.
class LiveRegister {
  public:
    /// Writes @p value: seen by reads at once; told to those who watch, sent, and stored at the
    /// next flush, what was written last alone. Where two peers write, the later one wins.
    ///
    /// @return `not_found` while its object does not show; `conflict` where a logged value shows
    ///         at the key, which would hide it; `over_limit` for a string past 1,024 bytes.
    Result<void> set(const Value& value) const;
    /// Makes the register hold nothing, so that nothing shows. Errors as set().
    Result<void> clear() const;

  private:
    friend class Document;
    LiveRegister(std::shared_ptr<detail::DocumentCore> core,
                 std::uint32_t map,
                 std::string key) noexcept
        : core_(std::move(core)), map_(map), key_(std::move(key)) {}

    std::shared_ptr<detail::DocumentCore> core_;
    std::uint32_t map_;
    std::string key_;
};

/// What peers show of themselves in a document while they are there: cursors, selections, what
/// somebody drags. Of each (run of a peer, key) the last value; no history, never on disk, in no
/// change. For what outlives the peer that said it, a register or a LiveRegister.
///
/// An entry stays until it is cleared, its peer is gone (at once where its link is cut), or nothing
/// was heard of it for its time to live. It is passed on from peer to peer. Nobody signs it:
/// show it, but decide nothing by it.
///
/// The handle is cheap to copy, valid while the Peer lives.
///
/// @par Cost
/// A link is sent what stands when it takes a message: setting a value more often than that costs
/// nothing on the wire.
/// @par Thread safety
/// All calls are safe from any thread.
/// @see docs/semantics.md P
class Presence {
  public:
    /// Shows @p value under @p key, in place of what was there, until clear() or the end of the
    /// Peer. It need not be set again to stay.
    ///
    /// @param time_to_live  1 s to 1 h: for how long others show it at most where they hear nothing
    ///                      more. Shorter lets go sooner of who is beyond a broken link, and is
    ///                      said anew more often, at half of it.
    /// @return `over_limit` for a key past 256 bytes, a string past 4 KiB, another time to live, or
    ///         more than 64 keys in one document; `malformed` for what is not UTF-8.
    Result<void> set(std::string_view key,
                     Value value,
                     std::chrono::milliseconds time_to_live = kPresenceTimeDefault) const;
    /// Shows nothing under @p key any more.
    void clear(std::string_view key) const;
    /// All that is shown, our own too, by run and key.
    std::vector<PresenceEntry> list() const;
    /// Calls @p callback with what is different since the last time, or since observe(), on the
    /// peer's callback executor. One call waits at most, and tells of each entry once: an executor
    /// that runs callbacks once a frame gets one for each frame.
    [[nodiscard]] Subscription observe(std::function<void(const PresenceEvent&)> callback) const;

  private:
    friend class Document;
    explicit Presence(std::shared_ptr<detail::DocumentPresence> core) noexcept
        : core_(std::move(core)) {}

    std::shared_ptr<detail::DocumentPresence> core_;
};

struct Rejection;  // joinery/authority.h

/// A handle to a document of an open Peer: cheap to copy, valid while the Peer lives.
///
/// @par Thread safety
/// All calls are safe from any thread. Callbacks never run under a lock, so they may call anything.
class Document {
  public:
    explicit Document(std::shared_ptr<detail::DocumentCore> core) noexcept;

    const std::string& id() const noexcept;

    /// Makes one change: calls @p body, then commits what it did, or nothing if it answers an
    /// Error, which is passed on. Visible here at once, durable a few milliseconds later
    /// (Peer::flush waits).
    ///
    /// @p body runs under the document's lock: it must not call this or another Document, nor
    /// block.
    Result<Receipt> transact(const std::function<Result<void>(Tx&)>& body,
                             std::string_view message = {});

    /// Puts @p value at @p path as Tx::set does, where much of the kind is to come that only
    /// matters until the next, such as a slider that is dragged: the first is made at once; of
    /// those that follow within @p window, 1 ms to 1 minute, the last alone, when it is over, and
    /// another begins. So a drag makes a change a window and not one a pixel; what was between is
    /// in no history, and read() does not show it. What waits is made before the next transact()
    /// here, Peer::flush() and the end of the Peer; a crash loses it. For what is of the moment
    /// alone see live() and presence().
    ///
    /// @return Errors of the first are those of Tx::set; a later one that has no place any more is
    ///         not made. `over_limit` for the window.
    Result<void> set_transient(std::string_view path,
                               const Plain& value,
                               std::chrono::milliseconds window = std::chrono::milliseconds(100));

    /// Gives the document its first content, once for all peers: what @p body makes in an empty
    /// document. Peers that call it with the same content, offline and in any order, make the same
    /// change, so there is one copy of it. Any later write wins over it. Call it at every start:
    /// where the content is there, or was and has been erased, nothing happens.
    ///
    /// Other content, as of a newer build of the app, is another seed: the two merge.
    ///
    /// @return `unsupported` if @p body erases. @p body sees the empty document alone, on this
    ///         thread, before any lock is taken.
    Result<Receipt> init_once(const std::function<Result<void>(Tx&)>& body);

    /// The live register at @p path, a key of an object that shows, for writing. A document keeps
    /// the 32,768 registers that were written last.
    ///
    /// @return `not_found` without such an object; `malformed` for an element of a list.
    Result<LiveRegister> live(std::string_view path) const;

    /// What peers show of themselves in the document.
    Presence presence() const;

    /// What is at @p path; `not_found` if nothing is. With a version: what was there then, by
    /// replaying from the nearest snapshot; no live values are in it.
    Result<Plain> read(std::string_view path = "", Lanes lanes = Lanes::all) const;
    Result<Plain> read_at(const Version& version, std::string_view path = "") const;

    /// The values that lost against the one at @p path, the greatest first, until a later put
    /// covers them; mostly empty. `not_found` if nothing is there.
    Result<std::vector<Alternative>> alternatives(std::string_view path) const;

    /// Calls @p callback for what changes of what is shown at or beneath @p path, on the peer's
    /// callback executor, in order. One call waits at most: what changes until it runs is one
    /// event, with each path once where that can be, but what was made here and what came stay
    /// apart. So an executor that runs callbacks once a frame, or Options::callback_interval, tells
    /// of a frame at once. Who lags behind by more than 16,384 patches gets one that puts the whole
    /// in place. Live values are told at a flush, or with a change that comes before it: however
    /// often one was written, what it is then, once.
    [[nodiscard]] Subscription observe(std::string path,
                                       std::function<void(const Event&)> callback);

    /// Stored changes (Peer::flush() stores the rest), newest first, at most @p limit, those after
    /// @p since only.
    Result<std::vector<ChangeInfo>> log(std::size_t limit = SIZE_MAX,
                                        const Version& since = Version::none()) const;

    Result<DocumentStatus> status() const;

    /// How many of the changes made here nobody else is known to have, and what each device has.
    /// Known again after a restart, but for the last second.
    OutboxStatus outbox() const;
    /// How far what is shown at and beneath @p path has come, as far as it was made here: the least
    /// of all that wrote it. What others wrote, and what was erased, does not count. `not_found` if
    /// nothing is there. Costs a walk over what is shown.
    Result<ChangeStatus> status_of(std::string_view path) const;
    /// Calls @p callback when a device has acknowledged something new, on the peer's callback
    /// executor; several of one moment are one call.
    [[nodiscard]] Subscription observe_outbox(std::function<void(const OutboxStatus&)> callback);

    /// The changes made here that the document's authority has refused, oldest first; known again
    /// after a restart. Needs joinery/authority.h. The log is read for what was attempted.
    std::vector<Rejection> rejections() const;
    /// Calls @p callback for each that comes to be rejected from now on, once, on the peer's
    /// callback executor. What the change did is rolled back by then, and observe() is told so.
    [[nodiscard]] Subscription observe_rejections(std::function<void(const Rejection&)> callback);

  private:
    std::shared_ptr<detail::DocumentCore> core_;
};

}  // namespace joinery
