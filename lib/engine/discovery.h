/// @file
/// Who is on the local network, from beacons that were heard, and whom of them to dial: a state
/// machine without I/O, clock or thread. docs/discovery.md.
#pragma once

#include "base/env.h"
#include "engine/rate_limit.h"
#include "joinery/peer.h"
#include "session/beacon.h"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace joinery::detail {

/// Runs of peers that are remembered, and of one device.
inline constexpr std::size_t kNearbyMax = 256;
inline constexpr std::size_t kNearbyOfDeviceMax = 4;
/// Runs of devices that are let in of which the last counter is kept.
inline constexpr std::size_t kHeardMax = 1024;
/// Beacons of which the signature is looked at in a second, in all and of one host: 50 us each.
inline constexpr std::size_t kBeaconsPerSecond = 100;
inline constexpr std::size_t kBeaconsOfHostPerSecond = 20;

class Discovery {
  public:
    struct Options {
        DeviceKey device;  ///< This peer's; its beacons are passed over.
        /// Whether a device that says that it is at a URL may be dialled there.
        std::function<bool(const DeviceKey&, std::string_view)> admits;
        /// Whether there is a transport for a URL.
        std::function<bool(std::string_view)> can_dial;
    };
    /// Where to keep a link to a device from now on: at all of these; none: nowhere.
    struct Wish {
        DeviceKey device;
        std::vector<std::string> urls;
        friend bool operator==(const Wish&, const Wish&) = default;
    };
    /// What became of the datagrams, each counted once.
    struct Counters {
        std::uint64_t taken = 0;
        std::uint64_t own = 0;        ///< Of this device.
        std::uint64_t no_beacon = 0;  ///< Or of another version.
        std::uint64_t too_many = 0;   ///< By rate, or for want of room.
        std::uint64_t repeated = 0;   ///< Not later than one that was taken.
        std::uint64_t forged = 0;     ///< Not signed by the device that it names.
    };

    explicit Discovery(Options options)
        : options_(std::move(options)),
          limit_({.in_all = kBeaconsPerSecond, .of_host = kBeaconsOfHostPerSecond}) {}

    /// Takes a datagram that says it comes from @p host; untrusted, borrowed for the call.
    void take(std::string_view host, ByteView datagram, MonotonicTime now);
    /// Forgets whom nothing was heard of for too long, and asks again who may be dialled. Call
    /// every second or so.
    void on_time(MonotonicTime now);

    /// What changed since the last call.
    std::vector<Wish> take_wishes();
    /// Everybody who is there, by key.
    std::vector<NearbyPeer> nearby() const;
    const Counters& counters() const noexcept { return counters_; }

  private:
    struct Entry {
        std::uint64_t counter = 0;
        MonotonicTime expires{};
        std::string name;
        std::vector<std::string> urls;
        bool is_admitted = false;
    };
    using Entries = std::map<PeerRun, Entry>;

    /// Whether @p beacon is later than all that were taken of its run.
    bool is_news(const session::Beacon& beacon) const;
    void note_heard(const PeerRun& run, std::uint64_t counter);
    bool is_worth_a_look(std::string_view host, const session::Beacon& beacon, MonotonicTime now);
    std::vector<std::string> urls_of(const session::Beacon& beacon, std::string_view host) const;
    bool is_admitted(const DeviceKey& device, const Entry& entry) const;
    /// Makes room for one more of @p device, where there may be one.
    bool has_room(const DeviceKey& device, bool is_admitted);

    Options options_;
    RateLimit limit_;
    Entries entries_;
    /// The last counter of each run that was ever let in: what is recorded is not believed when it
    /// is said again after the run has been forgotten.
    std::map<PeerRun, std::uint64_t> heard_;
    std::map<DeviceKey, std::vector<std::string>> wished_;
    bool may_wish_ = false;  // Something was taken or forgotten since the last wishes.
    Counters counters_;
};

}  // namespace joinery::detail
