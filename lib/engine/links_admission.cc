// Who arrives over a link, whether it may come in, and which link stays where there are two to one
// peer.

#include "engine/links.h"

#include <algorithm>

namespace joinery::detail {
namespace {

/// Links that arrived and have not proved anything yet: in all, and of one address. Programs of one
/// machine are all at one address.
constexpr std::size_t kHandshakesMax = 256;
constexpr std::size_t kHandshakesOfAddressMax = 16;

/// `SCHEME://HOST` of `SCHEME://HOST:PORT`.
std::string_view address_of(std::string_view url) {
    const std::size_t host = url.find("://");
    const std::size_t port = url.rfind(':');
    return host == std::string_view::npos || port <= host ? url : url.substr(0, port);
}

bool is_loopback(std::string_view address) {
    return address.find("://127.") != std::string_view::npos || address.ends_with("://[::1]");
}

}  // namespace

void Links::arrived(std::unique_ptr<Link> link) {
    std::string remote = link->remote();
    const std::string_view address = address_of(remote);
    std::size_t all = 0, of_address = 0;
    for (const Handle& connection : connections_) {
        if (connection->is_dialled || !connection->link || !connection->link->is_in_handshake())
            continue;
        ++all;
        if (address_of(connection->url) == address) ++of_address;
    }
    if (all >= kHandshakesMax || (of_address >= kHandshakesOfAddressMax && !is_loopback(address))) {
        log(LogLevel::warning, "too many links from " + remote + " at once: one was cut");
        return;
    }
    attach(add(std::move(remote), false), std::move(link));
}

void Links::admit(const Handle& connection, const session::ChannelPeer& peer) {
    connection->handshake_timer.reset();
    connection->device = peer.device;
    connection->instance = peer.instance;
    connection->is_kept = connection->is_dialled ? connection->keep : peer.is_kept;
    const auto admits = options_.admits({peer.device, connection->url, connection->is_dialled});
    if (!admits) {
        connection->closing = true;
        connection->link->close(admits.error());
        return;
    }
    if (!*admits) {
        log(LogLevel::warning,
            connection->url + ": its key " + to_hex(peer.device.view()) + " is not let in");
        connection->closing = true;
        connection->link->close(fail(Errc::untrusted, "this key is not let in"));
        return;
    }
    session::Options options;
    options.name = options_.name;
    options.features = peer.features;
    options.patterns = connection->patterns;
    options.is_once = connection->is_once;
    connection->session = std::make_unique<session::Session>(host_, std::move(options));
    keep_one(connection);
    pump(connection);
}

Links::Handle Links::find_twin(const Connection& connection) const {
    const auto found = std::ranges::find_if(connections_, [&](const Handle& it) {
        return it.get() != &connection && it->session && !it->closing && !it->is_ending &&
               it->is_kept && it->device == connection.device &&
               it->instance == connection.instance;
    });
    return found == connections_.end() ? nullptr : *found;
}

Links::Handle Links::find_kept(const Connection& connection) const {
    const auto found = std::ranges::find_if(connections_, [&](const Handle& it) {
        return it->session && !it->closing && !it->is_ending &&
               it->device == connection.twin->first && it->instance == connection.twin->second;
    });
    return found == connections_.end() ? nullptr : *found;
}

void Links::keep_one(const Handle& connection) {
    if (!connection->is_kept) return;
    const Handle other = find_twin(*connection);
    if (!other) return;
    if (other->is_dialled == connection->is_dialled) {
        // Who dialled both sees to it.
        if (connection->is_dialled) end_twin(connection);
        return;
    }
    const bool is_ours_kept = std::pair(identity_.public_key(), instance_) <
                              std::pair(connection->device, connection->instance);
    end_twin(connection->is_dialled == is_ours_kept ? other : connection);
}

void Links::end_twin(const Handle& connection) {
    connection->closing = true;
    connection->link->close(fail(Errc::conflict, "there is another link between these two"));
}

void Links::turn_out() {
    for (const Handle& connection : connections_) {
        if (!connection->session || connection->closing) continue;
        const auto admits =
            options_.admits({connection->device, connection->url, connection->is_dialled});
        if (admits.value_or(true)) continue;
        log(LogLevel::warning, connection->url + ": its key is no longer let in");
        connection->closing = true;
        connection->link->close(fail(Errc::untrusted, "this key is no longer let in"));
    }
}

}  // namespace joinery::detail
