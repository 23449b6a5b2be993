/// @file
/// A peer: one store, its documents and its links to other peers.
#pragma once

#include "base/access.h"
#include "base/bytes.h"
#include "base/env.h"
#include "base/result.h"
#include "base/store.h"
#include "joinery/authority.h"
#include "joinery/document.h"
#include "joinery/metrics.h"

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace joinery {

/// The system's clock and random source, for apps.
Clock& system_clock();
Random& system_random();

/// Opens or makes the LMDB store in @p directory. `not_found` if it is missing and @p create is
/// false; else as persist says, with what to do next.
Result<std::unique_ptr<Store>> open_store(const std::filesystem::path& directory,
                                          bool create = true);
/// Copies the store in @p directory to @p target, empty or not there, while others may use it. The
/// copy is of one moment, checked and durable. Errors as persist says.
Result<void> backup_store(const std::filesystem::path& directory,
                          const std::filesystem::path& target);
/// Makes a store in @p target, empty or not there, from a backup; it opens under a new incarnation,
/// so that it never writes as an actor that went on elsewhere.
Result<void> restore_store(const std::filesystem::path& backup,
                           const std::filesystem::path& target);

/// Bytes of the name of a trusted key, and keys that a store trusts.
inline constexpr std::size_t kTrustedNameSizeMax = 64;
inline constexpr std::size_t kTrustedPeersMax = 65536;

/// A device that a store's owner lets in.
struct TrustedPeer {
    DeviceKey device;
    std::string name{};  ///< What the owner calls it; may be empty.
    Access access{};     ///< What it may read and write.
    friend bool operator==(const TrustedPeer&, const TrustedPeer&) = default;
};

/// Somebody at the other end of a link, who has proved that the key is his.
struct LinkRequest {
    DeviceKey device;
    std::string_view url;
    bool is_dialled = false;  ///< By this peer.
    bool is_named = false;    ///< Its key was given with the URL, or the URLs, dialled.
    /// This peer dialled, or would dial, because it heard a beacon: nobody said whom he wants.
    bool is_found = false;
    /// This peer dialled, and at first another key answered there.
    bool has_changed = false;
    /// Whether the store trusts the key, or it is the store's own: a copy's of it.
    bool is_trusted = false;
    /// What is answered without Options::authorize; none: it is not let in.
    std::optional<Access> granted;
};

/// For Options::authorize: lets everybody in, whom the store does not limit to do everything.
std::optional<Access> let_everybody_in(const LinkRequest& request);

/// URLs of one peer, for Peer::connect().
inline constexpr std::size_t kUrlsMax = 16;

enum class LogLevel : std::uint8_t { debug, info, warning, error };

/// Something that happened. docs/metrics.md has all events.
struct LogEntry {
    LogLevel level = LogLevel::info;
    std::string_view event;             ///< Which, as "link.online"; static, and stays the same.
    std::string text;                   ///< For people: a sentence that says all that follows.
    std::string document{};             ///< Its id, where it is about one.
    std::string url{};                  ///< Of the link that it is about, or where it came from.
    std::optional<DeviceKey> device{};  ///< Of the other side, where it has proved one.
    std::optional<Errc> error{};
};

/// How patient a peer is with its links, and how many it takes and makes in a second. Times are
/// from kTimeMin to kTimeMax, rates from 1 to kRateMax.
struct LinkOptions {
    static constexpr std::chrono::milliseconds kTimeMin{10};
    static constexpr std::chrono::milliseconds kTimeMax = std::chrono::hours(24);
    /// For both ends to prove who they are; who does not is cut off. Longer suits slower networks,
    /// and lets strangers hold links for longer.
    std::chrono::milliseconds handshake_time{5000};
    /// After so long without a sign of the other side it is asked for one. Shorter finds dead links
    /// sooner and says more.
    std::chrono::milliseconds heartbeat_idle{5000};
    /// After so long without an answer the link is cut, and dialled again where it is kept.
    std::chrono::milliseconds answer_time{5000};
    /// Before a link that was lost is dialled again: from nothing to so long, drawn at random,
    /// twice as long each time, up to the most. At most retry_delay_max.
    std::chrono::milliseconds retry_delay_min{200};
    std::chrono::milliseconds retry_delay_max{30000};

    static constexpr std::uint32_t kRateMax = 10000;
    /// Dials of all links that are kept: those that are due wait for one another, at even
    /// distances. Fewer spare the network after an outage, and take longer until the last one is
    /// dialled.
    std::uint32_t dials_per_second = 50;
    /// Links that arrive and may begin to prove who dialled them (about 0.3 ms of work each); those
    /// beyond are cut, for PeerStatus::cut_count. Fewer leave more time for links that are up, and
    /// let strangers keep others out more easily.
    std::uint32_t handshakes_per_second = 200;
    /// Of these, from one host; programs of this machine count in all alone.
    std::uint32_t handshakes_of_host_per_second = 20;
};

/// How a peer finds others on the local network, and is found: docs/discovery.md. Who finds it
/// learns its key, its name and where it listens, so does everybody on that network.
struct DiscoverOptions {
    static constexpr std::chrono::milliseconds kIntervalMin{100};
    static constexpr std::chrono::milliseconds kIntervalMax = std::chrono::minutes(10);
    /// Whether it says where it listens, in beacons, and dials those whom it hears and lets in.
    bool is_enabled = false;
    /// An IPv4 multicast address and a UDP port; who is to be found must have the same.
    std::string group = "239.255.77.77";
    std::uint16_t port = 7717;
    /// The IPv4 address of the one interface to use, 127.0.0.1 for this machine alone; empty: all
    /// that have multicast.
    std::string interface_address;
    /// Between two beacons at most, at least half of it; a peer is forgotten after 3.5 of its own.
    /// Shorter is found sooner and says more.
    std::chrono::milliseconds interval{5000};
};

/// How a peer speaks WebSocket, for browsers and through proxies: docs/websocket.md.
struct WebSocketOptions {
    /// Entries of a list, and bytes of an entry and of the token.
    static constexpr std::size_t kEntriesMax = 64, kEntrySizeMax = 256, kTokenSizeMax = 128;

    /// For listening at wss: files in PEM, a certificate with those that lead to its root, and its
    /// private key.
    std::string certificate_file{}, key_file{};
    /// For dialling wss: a file in PEM of whom to believe; empty: those whom the system believes.
    std::string authorities_file{};
    /// Names, beside loopback's and the address itself, under which browsers may reach this peer.
    std::vector<std::string> hosts{};
    /// Pages, as `https://app.example`, that may link to this peer, beside those that it serves.
    std::vector<std::string> origins{};
    /// What a page has to show to link, in letters, digits, '-', '_' and '.'; empty: nothing. Also
    /// shown to others when dialling. It keeps strangers' pages from a peer that lets every key in.
    std::string token{};
    /// A folder whose files are served at the port of each ws and wss URL that is listened at;
    /// empty: none is.
    std::string files{};
};

struct Options {
    /// Bytes of a name.
    static constexpr std::size_t kNameSizeMax = 64;
    /// Of flush_interval, poll_interval and callback_interval.
    static constexpr std::chrono::milliseconds kIntervalMax = std::chrono::minutes(1);

    /// What other peers and the history call this peer; at most kNameSizeMax bytes. Effect: none on
    /// data.
    std::string name;
    /// Longest time that a local change waits for its group commit, up to a minute. Longer groups
    /// more.
    std::chrono::milliseconds flush_interval{4};
    /// Whether changes leave for others only once they are durable here. Costs them the flush
    /// interval and the store's time to write; without it no more is lost by a crash, since others
    /// then give back what they were sent.
    bool durable_first = false;
    /// Changes since a document's snapshot after which the next one is made; 1 or more. Fewer:
    /// faster opening, more writing.
    std::uint64_t snapshot_interval = 2048;
    /// How often to look for what other processes wrote to the store, from 1 ms to a minute.
    std::chrono::milliseconds poll_interval{200};
    LinkOptions links;
    DiscoverOptions discover;
    WebSocketOptions websocket;
    /// Between two runs of the app's callbacks at least, up to a minute: what changes meanwhile is
    /// told by one (Document::observe). 16 ms is about a frame of a screen; 0: each as soon as it
    /// can be. Longer spares work, and shows what others do later. Not used with an executor.
    std::chrono::milliseconds callback_interval{0};
    /// Runs the app's callbacks in order, one at a time; empty: a thread of the peer's own.
    std::function<void(std::function<void()>)> executor;
    /// Says who may exchange which documents with this peer; none: the link ends. Asked when the
    /// other side of a link has proved its key, and again about once a second: who is no longer
    /// let in is turned out, and where something else is answered than before the link begins
    /// anew. On the peer's thread of links; must not block, nor call the peer. Empty:
    /// LinkRequest::granted. Of those who dial, that lets in whom the store trusts (Peer::trust)
    /// and nobody else; where this peer dials, also who answers there for the first time, and from
    /// then on no other (docs/secure-channel.md 4). With Options::discover it is also asked about
    /// each who is nearby, once a second, whether to dial him: LinkRequest::is_found.
    std::function<std::optional<Access>(const LinkRequest&)> authorize;
    /// Judges the changes of others in the documents whose authority this peer's device is
    /// (docs/authority.md). Every process that takes changes into the store must have it. Changes
    /// of these documents then leave once they are durable, as with durable_first. Empty: all may
    /// stand.
    Judge judge;
    /// Called from the peer's threads; must not block. Empty: nothing is logged.
    std::function<void(const LogEntry&)> log;
    /// Where time and randomness come from; must outlive the peer. Null: the system's.
    Clock* clock = nullptr;
    Random* random = nullptr;
};

/// How it stands with a link.
enum class LinkState : std::uint8_t {
    offline,     ///< Not there; a link that is kept is dialled again, later each time.
    connecting,  ///< Dialling, or proving to one another who they are.
    online,      ///< The other side is known and let in.
    degraded,    ///< Online, but something is wrong: LinkStatus::error.
    refused,     ///< One side does not want the other, or cannot speak with it; tried again as
                 ///< offline.
};
/// "offline", "connecting"...
std::string_view link_state_name(LinkState state) noexcept;

/// A link to another peer, for people.
struct LinkStatus {
    std::string url;   ///< The one in use, of several; else the one to be dialled next.
    std::string name;  ///< As the other side says; empty until its hello came.
    DeviceKey device;  ///< As it has proved; zero until then.
    LinkState state = LinkState::offline;
    bool in_step = false;  ///< Neither side lacked anything when last heard.
    std::uint64_t received_size = 0, sent_size = 0;  ///< Bytes, encrypted.
    /// How long the last sign of life took that the other side was asked for; none before one was.
    std::optional<std::chrono::nanoseconds> round_trip;
    std::string error;  ///< Why it is not online; the last reason while connecting again.
};

/// Somebody whose beacon was heard on the local network, and who signed it.
struct NearbyPeer {
    DeviceKey device;
    std::string name;         ///< As he says, any UTF-8; may be empty.
    std::string url;          ///< Where he says he listens, the first of them.
    bool is_trusted = false;  ///< This peer lets him in, and dials him.
    friend bool operator==(const NearbyPeer&, const NearbyPeer&) = default;
};

struct PeerStatus {
    std::string name;
    DeviceKey device;
    ActorId actor;  ///< That this process writes as.
    std::vector<LinkStatus> links;
    /// Changes made here, of all documents in memory, that no other device is known to have.
    std::uint64_t unacknowledged_count = 0;
    /// By key; empty without Options::discover. A key is here once for each run of its peer.
    std::vector<NearbyPeer> nearby;
    std::uint64_t divergence_count = 0;  ///< Alarms: equal frontiers with unequal digests.
    /// Links that arrived and were cut, for too many were there, or came in a second.
    std::uint64_t cut_count = 0;
    /// Bytes over all links since the peer opened, those that ended too.
    std::uint64_t received_size = 0, sent_size = 0;
};

/// What one exchange with another peer moved.
struct SyncReport {
    std::uint64_t document_count = 0;
    std::uint64_t received_count = 0, sent_count = 0;  ///< Changes.
    /// Documents with changes here that the other side lacks and does not take from this peer.
    std::vector<std::string> untaken;
    std::uint64_t received_size = 0, sent_size = 0;  ///< Bytes.
};

/// @par Thread safety
/// All calls are safe from any thread.
class Peer {
  public:
    /// Takes over @p store and starts. Errors are the store's, `damaged`, and `over_limit` for an
    /// option that is not within its limits, `malformed` for a group that Options::discover cannot
    /// name.
    static Result<std::unique_ptr<Peer>> open(std::unique_ptr<Store> store, Options options = {});
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;
    /// Makes pending changes durable, closes links, stops. Document handles must not be used any
    /// more.
    virtual ~Peer() = default;

    /// The document @p id, made if it does not exist; `not_found` with @p create false.
    virtual Result<Document> document(std::string_view id, bool create = true) = 0;
    /// The ids of all documents, sorted.
    virtual Result<std::vector<std::string>> documents() = 0;

    /// Waits until every change made before the call is durable.
    virtual Result<void> flush() = 0;

    /// Accepts links at @p url (tcp://127.0.0.1:0 picks a port, tcp://0.0.0.0:7700 takes links of
    /// other machines; ws://ADDRESS:PORT/PATH and wss:// likewise, see Options::websocket); the URL
    /// really bound. Who may come in: Options::authorize.
    virtual Result<std::string> listen(std::string_view url) = 0;
    /// Keeps a link to @p url, dialling again when it breaks. `unsupported` for an unknown scheme.
    /// With `#KEY` at its end, 64 hexadecimal digits, nobody else may answer there; `malformed` for
    /// another KEY.
    virtual Result<void> connect(std::string_view url) = 0;
    /// The same for a peer that may be found at any of @p urls, 1 to kUrlsMax: it is dialled at one
    /// after the other, the one that worked last first, and after all of them a pause begins. The
    /// first at which it answers is used until that link breaks. A KEY of one is the KEY of all,
    /// and `malformed` if two differ; without one, who answered first must be who answers at the
    /// others. `over_limit` for too many.
    virtual Result<void> connect(std::vector<std::string> urls) = 0;
    /// Ends the link that connect() keeps to @p url, or to it among others, and dials none of them
    /// any more; `not_found` without one.
    virtual Result<void> disconnect(std::string_view url) = 0;
    /// Dials @p url, as connect(), exchanges the documents that match @p patterns (globs; none:
    /// all) until neither side lacks anything, and hangs up. `disconnected`, or `busy` after @p
    /// timeout.
    virtual Result<SyncReport> sync(std::string_view url,
                                    std::vector<std::string> patterns,
                                    std::chrono::milliseconds timeout) = 0;

    /// Lets @p peer in from now on, in every process of the store; durable on return. Also gives
    /// one that is let in another name or access. `over_limit`, `malformed` for the name and the
    /// patterns; the store's.
    virtual Result<void> trust(const TrustedPeer& peer) = 0;
    /// Lets it in no more, and forgets where it answered; links to it end within about a second.
    /// `not_found`; the store's.
    virtual Result<void> distrust(const DeviceKey& device) = 0;
    /// Those who are let in, by key.
    virtual Result<std::vector<TrustedPeer>> trusted() = 0;

    virtual PeerStatus status() = 0;
    /// What the peer has counted since it was opened, by name. Costs a walk over its links.
    virtual std::vector<Metric> metrics() = 0;
    /// Answers `GET /metrics` at @p address, ADDRESS:PORT of loopback, with what metrics() counts,
    /// as Prometheus reads it, to programs of this machine; the URL. `malformed` for another
    /// address, `io` for one that is in use.
    virtual Result<std::string> serve_metrics(std::string_view address) = 0;
    /// When the store took which incarnation, and why, oldest first: each is a fresh actor.
    virtual Result<std::vector<IncarnationChange>> incarnations() = 0;

  protected:
    Peer() = default;
};

}  // namespace joinery
