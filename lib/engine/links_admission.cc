// Who arrives over a link, whether it may come in, and which link stays where there are two to one
// peer.

#include "engine/fault_entry.h"
#include "engine/links.h"
#include "transport/url.h"

#include <algorithm>

namespace joinery::detail {
namespace {

/// Links that arrived and have not proved anything yet: in all, and of one host. Programs of this
/// machine are all of one.
constexpr std::size_t kHandshakesMax = 256;
constexpr std::size_t kHandshakesOfHostMax = 16;

/// The host that @p url names.
std::string host_of(std::string_view url) {
    const auto parts = transport::parse_url(url);
    return parts ? parts->host : std::string(url);
}

}  // namespace

void Links::arrived(std::unique_ptr<Link> link) {
    ++metrics_.arrived_count;
    std::string remote = link->remote();
    const std::string host = host_of(remote);
    std::size_t all = 0, of_host = 0;
    for (const Handle& connection : connections_) {
        if (connection->is_dialled || !connection->link || !connection->link->is_in_handshake())
            continue;
        ++all;
        if (host_of(connection->url) == host) ++of_host;
    }
    if (all >= kHandshakesMax ||
        (of_host >= kHandshakesOfHostMax && !transport::is_loopback(host))) {
        return cut_arrival("too many links from " + remote + " at once: one was cut", remote);
    }
    const std::string_view counted = transport::is_loopback(host) ? std::string_view() : host;
    if (!arrivals_.admits(clock_.monotonic_now(), counted)) {
        return cut_arrival("too many links in a second: one from " + remote + " was cut", remote);
    }
    attach(add(std::move(remote), false), std::move(link));
}

void Links::cut_arrival(const std::string& what, const std::string& remote) {
    ++cut_count_;
    log_at_times(last_cut_log_,
                 {LogLevel::warning,
                  "link.cut",
                  what + ", " + std::to_string(cut_count_) + " so far",
                  {},
                  remote,
                  {},
                  Errc::over_limit});
}

void Links::not_made(const Error& error) {
    metrics_.not_made.note(error.code);
    log_at_times(
        last_not_made_log_,
        fault_entry(LogLevel::warning, "link.not_made", "a connection made no link", error));
}

void Links::log_at_times(std::optional<MonotonicTime>& last, const LogEntry& entry) {
    const MonotonicTime now = clock_.monotonic_now();
    if (last && now - *last < std::chrono::seconds(1)) return;
    last = now;
    log(entry);
}

void Links::admit(const Handle& connection, const session::ChannelPeer& peer) {
    connection->handshake_timer.reset();
    connection->other_side = PeerRun{peer.device, peer.instance};
    connection->is_kept = connection->is_dialled ? connection->keep : peer.is_kept;
    const auto admits = options_.admits(request_of(*connection));
    if (!admits) return turn_away(connection, admits.error());
    if (!*admits) {
        log(entry_of(
            *connection,
            LogLevel::warning,
            "link.untrusted",
            connection->url + ": its key " + to_hex(peer.device.view()) + " is not let in"));
        return turn_away(connection, fail(Errc::untrusted, "this key is not let in"));
    }
    connection->access = **admits;
    session::Options options;
    options.access = connection->access;
    options.name = options_.name;
    options.features = peer.features;
    options.other_side = connection->other_side;
    options.patterns = connection->patterns;
    options.is_once = connection->is_once;
    connection->session = std::make_unique<session::Session>(host_, std::move(options));
    ++session_count_;
    keep_one(connection);
    pump(connection);
}

Links::Handle Links::find_kept(const PeerRun& run, const Connection& except) const {
    const auto found = std::ranges::find_if(connections_, [&](const Handle& it) {
        return it.get() != &except && it->session && !it->closing && !it->is_ending &&
               it->is_kept && it->other_side == run;
    });
    return found == connections_.end() ? nullptr : *found;
}

LinkRequest Links::request_of(const Connection& connection) const {
    LinkRequest request;
    request.device = connection.other_side->device;
    request.url = connection.address;
    request.is_dialled = connection.is_dialled;
    request.is_found = connection.is_found;
    request.is_named = connection.expected.has_value() && !connection.is_found;
    return request;
}

void Links::keep_one(const Handle& connection) {
    if (!connection->is_kept) return;
    const Handle other = find_kept(*connection->other_side, *connection);
    if (!other) return;
    if (other->is_dialled == connection->is_dialled) {
        // Who dialled both sees to it.
        if (connection->is_dialled) end_twin(connection);
        return;
    }
    const bool is_ours_kept = PeerRun{identity_.public_key(), instance_} < *connection->other_side;
    end_twin(connection->is_dialled == is_ours_kept ? other : connection);
}

void Links::end_twin(const Handle& connection) {
    turn_away(connection, fail(Errc::conflict, "there is another link between these two"));
}

void Links::turn_out() {
    for (const Handle& connection : connections_) {
        if (!connection->session || connection->closing) continue;
        const auto admits = options_.admits(request_of(*connection));
        if (!admits || (*admits && **admits == connection->access)) continue;
        if (*admits) {
            turn_away(connection,
                      fail(Errc::disconnected, "what this key may read and write has changed"));
            continue;
        }
        log(entry_of(*connection,
                     LogLevel::warning,
                     "link.untrusted",
                     connection->url + ": its key is no longer let in"));
        turn_away(connection, fail(Errc::untrusted, "this key is no longer let in"));
    }
}

void Links::turn_away(const Handle& connection, const Error& why) {
    if (why.code == Errc::untrusted) ++metrics_.turned_away_count;
    connection->closing = true;
    connection->link->close(why);
}

}  // namespace joinery::detail
