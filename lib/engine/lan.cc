#include "engine/lan.h"

#include "transport/url.h"

#include <algorithm>
#include <array>

namespace joinery::detail {
namespace {

constexpr std::chrono::milliseconds kTickInterval{1000};

/// What @p url, of a listener, is in a beacon; none where nobody who hears that can use it.
std::optional<session::Endpoint> endpoint_of(std::string_view url, bool is_heard_here_only) {
    const auto parts = transport::parse_url(url);
    // The group is one of IPv4, and so is the host that a beacon comes from.
    if (!parts || parts->host.find(':') != std::string::npos) return std::nullopt;
    if (transport::is_loopback(parts->host) && !is_heard_here_only) return std::nullopt;
    session::Endpoint endpoint{parts->scheme, parts->port.value_or(0), parts->path};
    if (!session::is_endpoint(endpoint)) return std::nullopt;
    return endpoint;
}

}  // namespace

Lan::Lan(const Links::Surroundings& surroundings,
         Options options,
         Links& links,
         std::unique_ptr<DatagramGroup> group)
    : strand_(surroundings.strand),
      identity_(surroundings.identity),
      clock_(surroundings.clock),
      random_(surroundings.random),
      options_(std::move(options)),
      links_(links),
      group_(std::move(group)),
      discovery_({identity_.public_key(), options_.admits, [this](std::string_view url) {
                      return links_.can_dial(url);
                  }}) {
    strand_.post([this] {
        if (!group_) return;  // It was closed before.
        say();
        tick();
    });
}

void Lan::close() {
    beacon_timer_.reset();
    ticker_.reset();
    group_.reset();
}

/// The network may come later than the peer, and go meanwhile.
void Lan::join() {
    if (is_joined_) return;
    const auto joined =
        group_->start([this](std::string_view host, ByteView datagram) { heard(host, datagram); });
    if (!joined) return complain(joined.error());
    is_joined_ = true;
}

void Lan::heard(std::string_view host, ByteView datagram) {
    discovery_.take(host, datagram, clock_.monotonic_now());
    dial_who_is_wished();
}

void Lan::say() {
    join();
    const auto listens_at = endpoints();
    if (is_joined_ && !listens_at.empty()) {
        session::Beacon beacon;
        beacon.device = identity_.public_key();
        beacon.instance = links_.instance();
        beacon.counter = ++counter_;
        // Three may be lost.
        beacon.lifetime = options_.discover.interval * 7 / 2;
        beacon.name = options_.name;
        beacon.endpoints = listens_at;
        const auto sent = group_->send(session::encode_beacon(beacon, identity_));
        if (sent) {
            complaint_.clear();
        } else {
            complain(sent.error());
        }
    }
    // Not all in step: those that started with the power do not speak at once for ever.
    std::array<std::uint8_t, 1> chance{};
    random_.fill(chance);
    const auto half = std::chrono::nanoseconds(options_.discover.interval) / 2;
    beacon_timer_ = strand_.start_timer(half + half * chance[0] / 255, [this] { say(); });
}

void Lan::tick() {
    discovery_.on_time(clock_.monotonic_now());
    dial_who_is_wished();
    ticker_ = strand_.start_timer(kTickInterval, [this] { tick(); });
}

void Lan::dial_who_is_wished() {
    for (const Discovery::Wish& wish : discovery_.take_wishes())
        links_.keep_found(wish.device, wish.urls);
}

std::vector<session::Endpoint> Lan::endpoints() const {
    const bool is_heard_here_only = transport::is_loopback(options_.discover.interface_address);
    std::vector<session::Endpoint> out;
    for (const std::string& url : links_.listening()) {
        const auto endpoint = endpoint_of(url, is_heard_here_only);
        if (endpoint) out.push_back(*endpoint);
    }
    std::ranges::sort(out);
    out.erase(std::ranges::unique(out).begin(), out.end());
    out.resize(std::min(out.size(), session::kEndpointsMax));
    return out;
}

void Lan::complain(const Error& error) {
    if (complaint_ == error.what) return;
    complaint_ = error.what;
    options_.log({LogLevel::warning,
                  "discovery.failed",
                  "finding peers: " + complaint_ + "; trying again",
                  {},
                  {},
                  {},
                  error.code});
}

}  // namespace joinery::detail
