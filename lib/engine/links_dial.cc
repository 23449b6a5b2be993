// Which links this peer dials, when it dials again, and what becomes of a link that ended.

#include "engine/links.h"

#include <algorithm>
#include <array>

namespace joinery::detail {
namespace {

/// For a sign of life of each link after this process or its machine was stopped.
constexpr std::chrono::seconds kAwayAnswerTime{2};

/// The key that @p url demands of who answers there.
Result<std::optional<DeviceKey>> key_behind(std::string_view url) {
    const std::size_t mark = url.find('#');
    if (mark == std::string_view::npos) return std::optional<DeviceKey>();
    DeviceKey key;
    if (!parse_hex(url.substr(mark + 1), key.bytes)) {
        return fail(Errc::malformed,
                    "what follows the # of a URL is a key of 64 hexadecimal digits",
                    mark + 1);
    }
    return std::optional(key);
}

}  // namespace

Error Links::no_transport() {
    return fail(Errc::unsupported,
                "no transport for that URL; this version speaks tcp://, ws:// and wss://");
}

Result<std::vector<Links::Target>> Links::read_targets(std::vector<std::string> urls) {
    if (urls.empty()) return fail(Errc::malformed, "there is no URL to dial");
    if (urls.size() > kUrlsMax) {
        return fail(Errc::over_limit, "a peer has at most 16 URLs");
    }
    std::vector<Target> targets;
    std::optional<DeviceKey> named;
    for (std::string& url : urls) {
        Target target;
        target.address = url.substr(0, url.find('#'));
        target.url = std::move(url);
        JOINERY_TRY(const auto key, key_behind(target.url));
        if (key && named && *key != *named) {
            return fail(Errc::malformed, "the URLs of one peer name two keys");
        }
        if (key) named = key;
        if (transport_for(target.address) == nullptr) return no_transport();
        targets.push_back(std::move(target));
    }
    for (Target& target : targets)
        target.expected = named;
    return targets;
}

Result<Links::Handle> Links::add_dialled(std::vector<std::string> urls) {
    JOINERY_TRY(auto targets, read_targets(std::move(urls)));
    const Handle connection = add({}, true);
    connection->targets = std::move(targets);
    aim(*connection, 0);
    return connection;
}

void Links::aim(Connection& connection, std::size_t index) {
    const Target& target = connection.targets[index];
    connection.target_index = index;
    connection.url = target.url;
    connection.address = target.address;
    connection.expected = target.expected;
    connection.error = target.error;
}

bool Links::has_next_target(Connection& connection) {
    auto& targets = connection.targets;
    targets[connection.target_index].error = connection.error;
    if (std::exchange(connection.has_worked, false)) {
        const auto worked = targets.begin() + static_cast<std::ptrdiff_t>(connection.target_index);
        std::rotate(targets.begin(), worked, worked + 1);
    } else if (connection.target_index + 1 < targets.size()) {
        aim(connection, connection.target_index + 1);
        return true;
    }
    aim(connection, 0);
    return false;
}

Result<void> Links::keep_connected(std::vector<std::string> urls) {
    JOINERY_TRY(const Handle connection, add_dialled(std::move(urls)));
    connection->keep = true;
    dial_in_turn(connection);
    return {};
}

Result<void> Links::keep_connected(std::string url) {
    std::vector<std::string> urls;
    urls.push_back(std::move(url));
    return keep_connected(std::move(urls));
}

void Links::keep_found(const DeviceKey& device, std::vector<std::string> urls) {
    const auto known = std::ranges::find_if(
        connections_, [&](const Handle& it) { return it->is_found && it->expected == device; });
    Handle connection = known == connections_.end() ? nullptr : *known;
    auto targets = read_targets(std::move(urls));
    if (!targets) {
        if (!connection) return;
        connection->keep = false;
        if (!connection->link && !connection->is_ending) std::erase(connections_, connection);
        return;
    }
    for (Target& target : *targets)
        target.expected = device;
    if (!connection) {
        connection = add({}, true);
        connection->is_found = true;
        connection->state = LinkState::offline;
    }
    connection->keep = true;
    aim_anew(*connection, *std::move(targets));
    const bool is_waiting = !connection->link && !connection->is_ending && !connection->twin &&
                            connection->state != LinkState::connecting;
    if (is_waiting) dial_soon(connection);
}

void Links::aim_anew(Connection& connection, std::vector<Target> targets) {
    const auto current = std::ranges::find(targets, connection.address, &Target::address);
    if (current != targets.end()) std::rotate(targets.begin(), current, current + 1);
    connection.targets = std::move(targets);
    connection.target_index = 0;
    if (!connection.link) aim(connection, 0);
}

void Links::dial_soon(const Handle& connection) {
    connection->retry_delay = {};
    connection->timer =
        strand_.start_timer(up_to(options_.patience.retry_delay_min),
                            with(connection, [this](const Handle& it) { dial_in_turn(it); }));
}

Result<void> Links::drop(std::string_view url) {
    const auto found = std::ranges::find_if(connections_, [&](const Handle& it) {
        return it->keep && std::ranges::find(it->targets, url, &Target::url) != it->targets.end();
    });
    if (found == connections_.end()) {
        return fail(Errc::not_found, "no link to that URL is kept");
    }
    const Handle& connection = *found;
    connection->keep = false;
    if (connection->link && !connection->closing) {
        connection->closing = true;
        connection->link->close(std::nullopt);
    } else if (!connection->link && !connection->is_ending) {
        // A dial or a wait finds nobody when it comes back.
        connections_.erase(found);
    }
    return {};
}

void Links::sync(std::string url,
                 std::vector<std::string> patterns,
                 std::chrono::milliseconds timeout,
                 OnSynced done) {
    std::vector<std::string> urls;
    urls.push_back(std::move(url));
    const auto added = add_dialled(std::move(urls));
    if (!added) return done(added.error());
    const Handle& connection = *added;
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

void Links::dial_in_turn(const Handle& connection) {
    connection->state = LinkState::connecting;
    waiting_.emplace_back(connection);
    dial_those_whose_turn_it_is();
}

/// At even distances: a time slot each, taken in advance, would let all that became due while the
/// machine slept go at once.
void Links::dial_those_whose_turn_it_is() {
    const MonotonicTime distance =
        MonotonicTime(std::chrono::seconds(1)) / options_.patience.dials_per_second;
    while (!turn_timer_ && !waiting_.empty()) {
        const MonotonicTime now = clock_.monotonic_now();
        if (last_dial_ && now - *last_dial_ < distance) {
            return wait_for_turn(*last_dial_ + distance - now);
        }
        const Handle next = waiting_.front().lock();
        waiting_.pop_front();
        if (!next) continue;  // It was dropped meanwhile.
        last_dial_ = now;
        dial(next);
    }
}

void Links::wait_for_turn(MonotonicTime delay) {
    turn_timer_ = strand_.start_timer(delay, [this] {
        turn_timer_.reset();
        dial_those_whose_turn_it_is();
    });
}

void Links::dial(const Handle& connection) {
    connection->state = LinkState::connecting;
    connection->has_worked = false;
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
    if (connection->session) {
        ended_counters_ += connection->session->counters();
        --session_count_;
    }
    if (connection->has_worked && connection->targets.size() > 1) {
        connection->met = connection->other_side->device;
    }
    connection->link.reset();
    connection->session.reset();
    connection->handshake_timer.reset();
    connection->other_side.reset();
    connection->has_held = false;
    connection->presence = {};
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
    if (has_next_target(*connection)) return dial_in_turn(connection);
    connection->retry_delay = std::clamp(connection->retry_delay * 2,
                                         options_.patience.retry_delay_min,
                                         options_.patience.retry_delay_max);
    connection->timer =
        strand_.start_timer(up_to(connection->retry_delay),
                            with(connection, [this](const Handle& it) { dial_in_turn(it); }));
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
            dial_in_turn(connection);
        }
    }
}

}  // namespace joinery::detail
