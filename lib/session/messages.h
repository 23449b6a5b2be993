/// @file
/// The messages of the sync protocol, wire version 1, and their bytes: docs/wire-format.md.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "crdt/live.h"
#include "crdt/seal.h"
#include "session/access.h"
#include "session/envelope.h"
#include "session/frontier.h"
#include "session/intern.h"
#include "session/presence.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace joinery::session {

/// Wire versions that this build speaks. The secure channel's handshake chooses one; version 0 was
/// spoken before there was a channel, and is gone.
inline constexpr std::uint64_t kWireVersion = 1;
inline constexpr std::uint64_t kWireVersionMin = 1;
/// Bytes of a peer's name.
inline constexpr std::size_t kPeerNameSizeMax = 256;
/// Bytes of the text of a bye.
inline constexpr std::size_t kByeTextSizeMax = 256;
/// Documents that one message announces.
inline constexpr std::size_t kHaveCountMax = 256;
/// Types with this bit are skipped by a side that does not know them; the others end the session.
inline constexpr std::uint64_t kOptionalType = 0x40;
/// Feature bits of the channel's handshake. What both sides set is in force.
inline constexpr std::uint64_t kLiveFeature = 1;
/// Hellos say what the other side may read and write.
inline constexpr std::uint64_t kAccessFeature = 2;
/// Presence is exchanged.
inline constexpr std::uint64_t kPresenceFeature = 4;
/// Those that this build has.
inline constexpr std::uint64_t kFeatures = kLiveFeature | kAccessFeature | kPresenceFeature;
/// Bytes of the batches of one message of live values.
inline constexpr std::size_t kLiveSizeMax = std::size_t{1} << 20U;
/// Bytes of the items of one message of presence.
inline constexpr std::size_t kPresenceSizeMax = std::size_t{1} << 16U;

/// The first value of each message. The numbers are on the wire: never change them.
enum class MessageType : std::uint8_t {
    hello = 0,
    have = 1,
    listed = 2,
    changes = 3,
    frontier = 4,
    check = 5,
    answer = 6,
    ack = 7,
    resync = 8,
    restart = 9,
    refuse = 10,
    bye = 11,
    live_want = 64,
    live_values = 65,
    presence = 66,
};

/// The first 16 bytes of a Digest: enough to tell states apart.
using DigestPrefix = FixedBytes<16, struct DigestPrefixTag>;

/// First in each direction.
struct Hello {
    std::string name;
    std::vector<std::string> patterns;
    bool is_once = false;
    std::uint64_t document_max = 0;  ///< Announcements that the sender takes.
    /// What the receiver may read and write here. On the wire only where it is not everything.
    Access access;
};

/// A document in one hash, or two.
struct State {
    bool is_empty = false;    ///< No change at all; then nothing else is said.
    bool is_durable = false;  ///< All of the frontier is durable on the sender.
    FrontierHash frontier;
    std::optional<DigestPrefix> digest;
    /// The name of all live registers; none if there are none. In announcements only.
    std::optional<crdt::LiveHash> live;
    friend bool operator==(const State&, const State&) = default;
};

/// Announces documents; each takes the next number of the sender's.
struct Have {
    struct Entry {
        std::string_view id;       ///< Empty where `theirs` names the document.
        std::uint64_t theirs = 0;  ///< The receiver's number of it.
        State state;
    };
    std::vector<Entry> entries;
};

/// All documents that the sender had at the start are announced.
struct Listed {};

struct Changes {
    std::uint64_t document = 0;
    std::vector<crdt::Seal> seals;
    ByteView batch;  ///< crdt::encode_changes
};

/// How far the sender has a document, exactly.
struct FrontierNote {
    std::uint64_t document = 0;
    bool asks = false;  ///< For the receiver's in return.
    bool is_durable = false;
    std::optional<DigestPrefix> digest;
    Frontier frontier;
};

/// "I have sent all that you lack. Are we equal?" Answered once; one at a time for each document.
struct Check {
    std::uint64_t document = 0;
    std::uint64_t received_count = 0;  ///< Messages of changes that came before it.
    State state;
};

enum class Verdict : std::uint8_t {
    other = 0,         ///< Not equal now; more is on its way, or a question.
    same = 1,          ///< Equal.
    same_durable = 2,  ///< Equal, and all of it durable on the sender.
    diverged = 3,      ///< Equal frontiers, unequal digests.
    stuck = 4,         ///< Not equal, and the sender has tried all that it knows.
};

struct Answer {
    std::uint64_t document = 0;
    Verdict verdict = Verdict::other;
};

/// Chains of the receiver's that have become durable on the sender.
struct Ack {
    struct Entry {
        ActorId actor;
        std::uint64_t seq = 0;
    };
    std::uint64_t document = 0;
    std::vector<Entry> entries;
};

/// "Something is missing that your changes need. I have this: start again from there."
struct Resync {
    std::uint64_t document = 0;
    std::uint64_t number = 0;  ///< 1, 2, 3...
    Frontier frontier;
};

/// The dictionary of the document's changes begins anew with the next ones.
struct Restart {
    std::uint64_t document = 0;
    std::uint64_t number = 0;  ///< Of the last Resync that came; 0 if none.
};

/// The sender takes and sends no more changes of a document in this session.
struct Refuse {
    std::uint64_t document = 0;
    Errc code = Errc::malformed;
};

/// Last.
struct Bye {
    std::optional<Errc> code;  ///< Why; none where the sender is done.
    std::string text;
};

/// "Your live values are not mine. These I have: send what I lack."
struct LiveWant {
    std::uint64_t document = 0;
    crdt::LiveMarks marks;
};

/// Live values that the receiver may lack.
struct LiveValues {
    std::uint64_t document = 0;
    bool is_last = false;  ///< With it all that was wanted has been sent.
    std::vector<crdt::LiveBatch> batches;
};

/// What peers show of themselves in a document.
struct PresenceNote {
    std::uint64_t document = 0;
    std::vector<PresenceItem> items;  ///< At least one.
};

using Message = std::variant<Hello,
                             Have,
                             Listed,
                             Changes,
                             FrontierNote,
                             Check,
                             Answer,
                             Ack,
                             Resync,
                             Restart,
                             Refuse,
                             Bye,
                             LiveWant,
                             LiveValues,
                             PresenceNote>;

/// Writes the messages of one direction. Each write() appends one message to @p out.
class MessageWriter {
  public:
    void write(const Hello& message, Bytes& out);
    void write(const Have& message, Bytes& out);
    void write(const Listed& message, Bytes& out);
    void write(const Changes& message, Bytes& out);
    void write(const FrontierNote& message, Bytes& out);
    void write(const Check& message, Bytes& out);
    void write(const Answer& message, Bytes& out);
    void write(const Ack& message, Bytes& out);
    void write(const Resync& message, Bytes& out);
    void write(const Restart& message, Bytes& out);
    void write(const Refuse& message, Bytes& out);
    void write(const Bye& message, Bytes& out);
    void write(const LiveWant& message, Bytes& out);
    void write(const LiveValues& message, Bytes& out);
    void write(const PresenceNote& message, Bytes& out);

  private:
    void write_seals(std::span<const crdt::Seal> seals);
    void write_frontier(const Frontier& frontier);
    void write_actor(const ActorId& actor);

    SentNames<ActorId> actors_;
    SentNames<ProofKey> proofs_;
    SentNames<ProofKey> live_proofs_;  // Apart: who skips live messages has seen none of them.
    SentNames<PeerRun> runs_;
    Bytes body_;  // Reused.
};

/// Reads the messages of one direction.
class MessageReader {
  public:
    /// Reads one message, whole.
    ///
    /// @param in  Untrusted. Views in the Message borrow it.
    /// @return nullopt for a type that is not known and may be skipped; `unsupported` for one that
    /// may
    ///         not, or a version that is not spoken here; `malformed` or `over_limit` (`at` =
    ///         offset). After an Error the direction is of no more use.
    Result<std::optional<Message>> read(ByteView in);

  private:
    struct Proof {
        crdt::ActorProof proof;
        std::uint64_t last_seq = 0;
    };

    Result<Message> read_known(MessageType type, std::size_t count, EnvelopeReader& in);
    Message read_changes(EnvelopeReader& in);
    Message read_ack(EnvelopeReader& in);
    Message read_live_values(EnvelopeReader& in);
    Message read_presence(EnvelopeReader& in);
    PresenceItem read_presence_item(crdt::ByteReader& in);
    std::vector<crdt::Seal> read_seals(crdt::ByteReader in, EnvelopeReader& out);
    Frontier read_frontier(EnvelopeReader& in);
    ActorId read_actor(crdt::ByteReader& in);

    ReceivedNames<ActorId> actors_;
    ReceivedNames<Proof> proofs_;
    ReceivedNames<crdt::ActorProof> live_proofs_;
    ReceivedNames<PeerRun> runs_;
};

/// A proof as it is written where it is named first, and read again.
void write_proof(const crdt::ActorProof& proof, crdt::ByteWriter& out);
crdt::ActorProof read_proof(crdt::ByteReader& in);
LiveWant read_live_want(EnvelopeReader& in);

/// Greatest number of a document on either side, and of messages, resyncs.
inline constexpr std::uint64_t kNumberMax = std::uint64_t{1} << 32U;

}  // namespace joinery::session
