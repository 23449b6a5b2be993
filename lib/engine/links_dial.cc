// Which links this peer dials, when it dials again, and what becomes of a link that ended.

#include "engine/links.h"

#include <algorithm>
#include <array>

namespace joinery::detail {
namespace {

/// For a sign of life of each link after this process or its machine was stopped.
constexpr std::chrono::seconds kAwayAnswerTime{2};

}  // namespace

Error Links::no_transport() {
    return fail(Errc::unsupported, "no transport for that URL; this version speaks tcp://");
}

Result<Links::Handle> Links::add_dialled(std::string url) {
    const std::size_t mark = url.find('#');
    std::optional<DeviceKey> expected;
    if (mark != std::string::npos) {
        expected.emplace();
        if (!parse_hex(std::string_view(url).substr(mark + 1), expected->bytes)) {
            return fail(Errc::malformed,
                        "what follows the # of a URL is a key of 64 hexadecimal digits",
                        mark + 1);
        }
    }
    if (transport_for(url) == nullptr) return no_transport();
    const Handle connection = add(std::move(url), true);
    if (mark != std::string::npos) connection->address.resize(mark);
    connection->expected = expected;
    return connection;
}

Result<void> Links::keep_connected(std::string url) {
    JOINERY_TRY(const Handle connection, add_dialled(std::move(url)));
    connection->keep = true;
    dial(connection);
    return {};
}

Result<void> Links::drop(std::string_view url) {
    const auto found = std::ranges::find_if(
        connections_, [&](const Handle& it) { return it->keep && it->url == url; });
    if (found == connections_.end()) {
        return fail(Errc::not_found, "no link to that URL is kept");
    }
    const Handle connection = *found;
    connection->keep = false;
    if (connection->link && !connection->closing) {
        connection->closing = true;
        connection->link->close(std::nullopt);
    } else if (!connection->link && !connection->is_ending) {
        // A dial or a wait finds nobody when it comes back.
        std::erase(connections_, connection);
    }
    return {};
}

void Links::sync(std::string url,
                 std::vector<std::string> patterns,
                 std::chrono::milliseconds timeout,
                 OnSynced done) {
    const auto added = add_dialled(std::move(url));
    if (!added) return done(added.error());
    const Handle connection = *added;
    connection->patterns = std::move(patterns);
    connection->is_once = true;
    connection->on_synced = std::move(done);
    const auto give_up = [this](const Handle& late) {
        finish_sync(*late, fail(Errc::busy, "the time limit passed before both were equal"));
        ended(late, fail(Errc::busy, "time limit"));
    };
    connection->timer = strand_.start_timer(timeout, with(connection, give_up));
    dial(connection);
}

void Links::dial(const Handle& connection) {
    connection->state = LinkState::connecting;
    Transport* transport = transport_for(connection->address);
    const auto answered = [this](const Handle& it, Result<std::unique_ptr<Link>> link) {
        if (it->is_ending) return;  // Too late: the link ends as it came.
        if (!link) return ended(it, link.error());
        attach(it, *std::move(link));
    };
    transport->connect(connection->address, with(connection, answered));
}

void Links::let_go(const Handle& connection) {
    if (connection->link) {
        ended_received_size_ += connection->link->received_size();
        ended_sent_size_ += connection->link->sent_size();
    }
    connection->link.reset();
    connection->session.reset();
    connection->handshake_timer.reset();
    connection->other_side.reset();
    connection->has_held = false;
    connection->closing = false;
    connection->is_ending = false;
    if (!connection->keep) {
        std::erase(connections_, connection);
        return;
    }
    if (connection->twin && find_kept(*connection->twin, *connection)) {
        connection->state = LinkState::online;
        return;  // tick() dials when that one is gone.
    }
    connection->twin.reset();
    connection->retry_delay = std::clamp(connection->retry_delay * 2,
                                         options_.patience.retry_delay_min,
                                         options_.patience.retry_delay_max);
    connection->timer = strand_.start_timer(
        up_to(connection->retry_delay), with(connection, [this](const Handle& it) { dial(it); }));
}

/// So that peers that lost the same one do not all come back to it at the same moment.
std::chrono::milliseconds Links::up_to(std::chrono::milliseconds delay) {
    std::array<std::uint8_t, 8> bytes{};
    random_.fill(bytes);
    std::uint64_t number = 0;
    for (const std::uint8_t byte : bytes)
        number = number << 8U | byte;
    return std::chrono::milliseconds(
        static_cast<std::int64_t>(number % (static_cast<std::uint64_t>(delay.count()) + 1)));
}

/// Links may have broken without a word meanwhile, and waits to dial again are over.
void Links::come_back(MonotonicTime now) {
    for (const Handle& connection : connections_) {
        if (connection->link && !connection->is_ending) {
            connection->link->probe(now, kAwayAnswerTime);
        } else if (connection->keep && !connection->is_ending && !connection->twin &&
                   connection->state != LinkState::connecting) {
            connection->timer.reset();
            dial(connection);
        }
    }
}

}  // namespace joinery::detail
