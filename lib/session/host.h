/// @file
/// What the sync protocol needs of the documents, as the engine offers it. The session decides what
/// to ask and say; the engine owns documents, locks and the store.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "crdt/dictionary.h"
#include "crdt/document.h"
#include "crdt/live.h"
#include "crdt/seal.h"
#include "session/presence.h"

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace joinery::session {

/// An end of what a document has of one actor: exact, because the hash covers all before it.
struct FrontierEntry {
    ActorId actor;
    std::uint64_t seq = 0;
    /// All zero where a session does not know the hash: the other side's changes up to seq came,
    /// but not its frontier.
    std::array<std::uint8_t, 16> hash_prefix{};
    friend auto operator<=>(const FrontierEntry&, const FrontierEntry&) = default;
};
/// Ascending. An actor is there once, or, where it has forked, once for each of its ends.
using Frontier = std::vector<FrontierEntry>;

/// One document, as a session sees it.
///
/// @par Thread safety
/// Called on the peer's strand; the engine locks inside.
class DocumentPort {
  public:
    DocumentPort() = default;
    DocumentPort(const DocumentPort&) = delete;
    DocumentPort& operator=(const DocumentPort&) = delete;
    virtual ~DocumentPort() = default;

    virtual const std::string& id() const = 0;
    /// How far the document is here, changes not yet sealed left out.
    virtual Frontier frontier() const = 0;
    /// How far it is with what is not stored yet: what nobody needs to send. Before an actor's
    /// second branch is stored, others must know of it to say which one they mean.
    virtual Frontier known_frontier() const { return frontier(); }
    /// The digest at exactly frontier(); nullopt while the document holds what frontier() leaves
    /// out: changes not yet sealed, changes that came and are not yet stored.
    virtual std::optional<Digest> digest() const = 0;

    /// A message's worth of the changes that @p theirs lacks.
    struct Missing {
        Bytes changes;  ///< As crdt::encode_changes makes them; empty if none is missing.
        std::vector<crdt::Seal> seals;  ///< One for each chain that ends in `changes`, at its end.
        std::size_t change_count = 0;
        bool more = false;  ///< Other changes are missing still.
    };
    /// Encodes changes that @p theirs lacks, in an order that respects dependencies, up to about
    /// @p size_max bytes (one change may be larger), and advances @p theirs over them. Where
    /// @p theirs is ahead of this document, those chains are left alone; a branch that they show
    /// and this document does not have says nothing of what they have before it.
    virtual Result<Missing> encode_missing(Frontier& theirs,
                                           crdt::EncoderDictionary& dictionary,
                                           std::size_t size_max) = 0;
    /// What came of a message of changes.
    struct Received {
        crdt::ApplyReport report;
        /// Where its chains end, with the hashes; empty where no actor has forked, for then the
        /// seals say it.
        Frontier ends;
    };
    /// How carefully to hear().
    enum class Hearing : std::uint8_t { usual, in_doubt };
    /// Decodes, checks hashes and seals, applies and stores. All or none. `not_found` if a
    /// predecessor or dependency is missing, `malformed`, `untrusted`, `over_limit`, `io`; then
    /// @p dictionary may not be used again.
    virtual Result<Received> receive(ByteView changes,
                                     crdt::DecoderDictionary& dictionary,
                                     std::span<const crdt::Seal> seals) = 0;
    /// The part of frontier() that is durable here.
    virtual Frontier durable_frontier() const = 0;
    /// The other side says that it has @p theirs, whose hashes are known. It may have more of an
    /// actor of ours than we do, or another branch: entries from which encode_missing() could not
    /// go on are taken out. Nobody signed it.
    /// @param how  Whether every hash is compared that can be had, at whatever cost.
    virtual void hear(Frontier& theirs, Hearing how) {
        static_cast<void>(theirs);
        static_cast<void>(how);
    }
    /// Takes into @p theirs that the other side has @p more, too. As merge(), but for documents in
    /// which actors have forked.
    virtual void advance(Frontier& theirs, const Frontier& more) const;
    /// Whether whoever has @p theirs lacks nothing of @p ours. As covers(), but for the same.
    virtual bool is_covered(const Frontier& ours, const Frontier& theirs) const;

    // --- Live registers (docs/semantics.md I2 to I9) -------------------------------------------
    /// The name of all of them, zero for none, and the version at which that is so.
    struct LiveState {
        crdt::LiveHash hash;
        std::uint64_t version = 0;
    };
    virtual LiveState live_state() const = 0;
    virtual crdt::LiveMarks live_marks() const = 0;
    struct LivePart {
        std::vector<crdt::LiveBatch> batches;
        bool more = false;
    };
    /// About @p size_max bytes of what @p cursor's owner lacks, as crdt::Live::collect().
    virtual LivePart collect_live(crdt::LiveCursor& cursor, std::size_t size_max) const = 0;
    /// Checks, joins and stores. All or none: `untrusted`. @p origin as in crdt::LiveCursor.
    /// @return How many registers changed.
    virtual Result<std::size_t> receive_live(std::span<const crdt::LiveBatch> batches,
                                             std::uint32_t origin) = 0;
    /// A number, not 0, that names one session's end of this document.
    virtual std::uint32_t new_live_origin() = 0;

    /// The presence in it, which lives as long as the document; null where the host knows of none.
    virtual PresencePort* presence() { return nullptr; }
};

/// The documents of a peer.
class Host {
  public:
    Host() = default;
    Host(const Host&) = delete;
    Host& operator=(const Host&) = delete;
    virtual ~Host() = default;

    /// The ids of all documents, sorted.
    virtual std::vector<std::string> documents() const = 0;
    /// The document @p id, which lives as long as the host; `not_found` if it does not exist. This
    /// one is right for any host, but a host knows a faster way.
    virtual Result<DocumentPort*> find(std::string_view id) {
        if (std::ranges::binary_search(documents(), id)) return document(id);
        return fail(Errc::not_found, "no such document");
    }
    /// The document @p id, made if it does not exist; lives as long as the host. `malformed` for an
    /// id that is empty, too long or not UTF-8.
    virtual Result<DocumentPort*> document(std::string_view id) = 0;
};

}  // namespace joinery::session
