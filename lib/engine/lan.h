/// @file
/// Finding peers on the local network: says where this one listens, and has those dialled that it
/// may dial.
#pragma once

#include "base/datagram.h"
#include "engine/discovery.h"
#include "engine/links.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace joinery::detail {

/// @par Thread safety
/// Every call on the strand, but for construction, and destruction once the strand has ended.
class Lan {
  public:
    struct Options {
        DiscoverOptions discover;
        std::string name;
        std::function<bool(const DeviceKey&, std::string_view)> admits;
        std::function<void(const LogEntry&)> log;
    };

    /// @p links  Must outlive it, as must all of @p surroundings.
    Lan(const Links::Surroundings& surroundings,
        Options options,
        Links& links,
        std::unique_ptr<DatagramGroup> group);
    Lan(const Lan&) = delete;
    Lan& operator=(const Lan&) = delete;

    /// Leaves the network; nothing is called afterwards.
    void close();
    std::vector<NearbyPeer> nearby() const { return discovery_.nearby(); }
    const Discovery::Counters& counters() const noexcept { return discovery_.counters(); }

  private:
    void join();
    void heard(std::string_view host, ByteView datagram);
    void say();
    void tick();
    void dial_who_is_wished();
    std::vector<session::Endpoint> endpoints() const;
    /// Says so, once for each text.
    void complain(const Error& error);

    Strand& strand_;
    const crdt::SigningKey& identity_;
    Clock& clock_;
    Random& random_;
    Options options_;
    Links& links_;
    std::unique_ptr<DatagramGroup> group_;
    Discovery discovery_;
    bool is_joined_ = false;
    std::uint64_t counter_ = 0;  // Of the last beacon.
    std::string complaint_;
    Strand::Timer beacon_timer_, ticker_;
};

}  // namespace joinery::detail
