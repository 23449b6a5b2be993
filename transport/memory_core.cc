#include "transport/memory_core.h"

#include <algorithm>
#include <utility>

namespace joinery::transport::detail {

namespace {

using State = MemorySide::State;

constexpr std::string_view kNoAnswer = "the address did not answer in time";

MemorySide& other_side(MemoryPair& pair, std::size_t side) noexcept { return pair.sides[1 - side]; }

// Ends @p me with a last callback, which may run right now or stand in me.notices.
void end_side(MemorySide& me) {
    me.state = State::ended;
    me.stream.clear();
    me.notices.clear();
}

void call_closed(MemorySide& me, Result<void> result) {
    const auto events = std::exchange(me.events, nullptr);
    if (events && events->on_closed) events->on_closed(result);
}

}  // namespace

// ---- The list of what may be delivered.

MonotonicTime MemoryCore::now() const {
    return options_.clock != nullptr ? options_.clock->monotonic_now() : MonotonicTime{};
}

MemoryItem MemoryCore::make_item(DeliveryKind kind, ByteView message) {
    is_listed_ = false;
    return {kind, ++sequence_, now(), Bytes(message.begin(), message.end())};
}

std::span<const Delivery> MemoryCore::pending() {
    if (is_listed_) return pending_;
    pending_.clear();
    places_.clear();
    list_dials();
    for (const auto& [number, pair] : pairs_) {
        for (std::size_t side = 0; side < pair->sides.size(); ++side)
            list_side(pair, side);
    }
    // The place of each Delivery goes with it: sort an order, then apply it to both lists.
    std::vector<std::size_t> order(pending_.size());
    for (std::size_t i = 0; i < order.size(); ++i)
        order[i] = i;
    std::ranges::sort(order, {}, [this](std::size_t i) { return pending_[i].sequence; });
    std::vector<Delivery> deliveries;
    std::vector<Place> places;
    for (const std::size_t i : order) {
        deliveries.push_back(pending_[i]);
        places.push_back(std::move(places_[i]));
    }
    pending_ = std::move(deliveries);
    places_ = std::move(places);
    is_listed_ = true;
    return pending_;
}

void MemoryCore::list_dials() {
    for (const auto& [sequence, dial] : dials_) {
        pending_.push_back(
            {dial.kind, dial.number, sequence, dial.from, dial.to, 0, {}, dial.queued_at});
        places_.push_back({Lane::dial, nullptr, 0});
    }
}

void MemoryCore::list_side(const std::shared_ptr<MemoryPair>& pair, std::size_t side) {
    const MemorySide& me = pair->sides[side];
    const auto list = [&](const MemoryItem& item, const std::string& from, Lane lane) {
        pending_.push_back({item.kind,
                            pair->number,
                            item.sequence,
                            from,
                            me.host,
                            item.message.size(),
                            item.message,
                            item.queued_at});
        places_.push_back({lane, pair, side});
    };
    if (!me.notices.empty() && me.events) list(me.notices.front(), me.host, Lane::notice);
    // A closing side reads on, to find the other's end; see TcpConnection.
    const bool is_reading =
        me.state == State::closing || (me.state == State::open && me.events && !me.is_paused);
    if (!me.stream.empty() && is_reading) {
        list(me.stream.front(), pair->sides[1 - side].host, Lane::stream);
    }
}

// ---- What the simulator does.

void MemoryCore::deliver(std::size_t index) {
    JOINERY_ASSERT(!is_delivering_);
    JOINERY_ASSERT(index < pending().size());
    const Place place = places_[index];
    const std::uint64_t sequence = pending_[index].sequence;
    const DeliveryKind kind = pending_[index].kind;
    is_listed_ = false;
    is_delivering_ = true;
    switch (place.lane) {
        case Lane::stream: deliver_stream(*place.pair, place.side); break;
        case Lane::notice: deliver_notice(*place.pair, place.side); break;
        case Lane::dial:
            if (kind == DeliveryKind::dial) {
                deliver_dial(dials_.extract(sequence));
            } else {
                deliver_answer(dials_.extract(sequence));
            }
            break;
    }
    is_delivering_ = false;
    if (place.pair) forget_if_over(*place.pair);
}

bool MemoryCore::drop(std::size_t index) {
    JOINERY_ASSERT(!is_delivering_);
    JOINERY_ASSERT(index < pending().size());
    const Delivery& delivery = pending_[index];
    if (delivery.from == delivery.to && places_[index].lane != Lane::stream) return false;
    if (places_[index].lane == Lane::dial) {
        fail_dial(dials_.find(delivery.sequence));
    } else {
        cut(delivery.link);
    }
    return true;
}

void MemoryCore::cut(LinkNumber link) {
    const auto is_this = [link](const auto& entry) { return entry.second.number == link; };
    const auto dial = std::ranges::find_if(dials_, is_this);
    if (dial != dials_.end() && dial->second.kind == DeliveryKind::dial) fail_dial(dial);
    const auto pair = pairs_.find(link);
    if (pair != pairs_.end()) cut_pair(*pair->second);
}

std::size_t MemoryCore::cut_between(std::string_view host, std::string_view other_host) {
    const auto is_between = [&](std::string_view a, std::string_view b) {
        return (a == host && b == other_host) || (a == other_host && b == host);
    };
    std::vector<LinkNumber> links;
    for (const auto& [sequence, dial] : dials_) {
        const bool is_on_its_way = dial.kind == DeliveryKind::dial;
        if (is_on_its_way && is_between(dial.from, dial.to)) links.push_back(dial.number);
    }
    for (const auto& [number, pair] : pairs_) {
        const bool is_up = pair->sides[0].state != State::ended;
        if (is_up && is_between(pair->sides[0].host, pair->sides[1].host)) links.push_back(number);
    }
    for (const LinkNumber link : links)
        cut(link);
    return links.size();
}

void MemoryCore::shut_down() {
    is_down_ = true;
    is_listed_ = false;
    places_.clear();
    // Moved out first: the callbacks may own Links and Listeners, whose end comes back to here.
    const auto dials = std::exchange(dials_, {});
    const auto listeners = std::exchange(listeners_, {});
    std::vector<std::shared_ptr<const Link::Events>> all_events;
    for (const auto& [number, pair] : std::exchange(pairs_, {})) {
        for (MemorySide& side : pair->sides) {
            end_side(side);
            all_events.push_back(std::exchange(side.events, nullptr));
        }
    }
}

// ---- Dialling.

Result<void> MemoryCore::listen(const std::string& host, Transport::OnLink on_link) {
    const bool is_new =
        listeners_.emplace(host, std::make_shared<const Transport::OnLink>(std::move(on_link)))
            .second;
    if (!is_new) return fail(Errc::io, "the address is in use; choose another name");
    return {};
}

void MemoryCore::stop_listening(const std::string& host) {
    const auto node = listeners_.extract(host);  // Its callback dies last, when we are done.
}

void MemoryCore::dial(MemoryDial dial) {
    if (is_down_) return;
    is_listed_ = false;
    dial.number = LinkNumber{++dial_count_};
    dial.queued_at = now();
    dials_.emplace(++sequence_, std::move(dial));
}

void MemoryCore::abandon_dials(std::uint64_t transport_id) {
    is_listed_ = false;
    std::vector<Dials::node_type> nodes;  // Die last: their callbacks may come back to here.
    for (auto dial = dials_.begin(); dial != dials_.end();) {
        const auto next = std::next(dial);
        if (dial->second.transport_id == transport_id) nodes.push_back(dials_.extract(dial));
        dial = next;
    }
}

void MemoryCore::deliver_dial(Dials::node_type node) {
    const auto found = listeners_.find(node.mapped().to);
    if (found == listeners_.end()) {
        const Error refused =
            fail(Errc::disconnected, "connection refused; nothing listens at the address");
        return requeue_as_answer(std::move(node), refused);
    }
    const std::shared_ptr<const Transport::OnLink> on_link = found->second;
    const SendLimit limit(options_.queue_size_max);
    auto pair = std::make_shared<MemoryPair>(
        MemoryPair{node.mapped().number,
                   {MemorySide{node.mapped().from, limit}, MemorySide{node.mapped().to, limit}}});
    pairs_.emplace(pair->number, pair);
    requeue_as_answer(std::move(node), make_memory_link(shared_from_this(), pair, 0));
    (*on_link)(make_memory_link(shared_from_this(), pair, 1));
}

void MemoryCore::deliver_answer(Dials::node_type node) {
    MemoryDial& dial = node.mapped();
    dial.on_link(std::move(dial.answer));
}

void MemoryCore::requeue_as_answer(Dials::node_type node, Result<std::unique_ptr<Link>> answer) {
    is_listed_ = false;
    MemoryDial& dial = node.mapped();
    if (dial.kind == DeliveryKind::dial) std::swap(dial.from, dial.to);
    dial.kind = DeliveryKind::answer;
    dial.queued_at = now();
    // The Link of an answer that is lost dies here, and its other side hears of it.
    std::swap(dial.answer, answer);
    node.key() = ++sequence_;
    dials_.insert(std::move(node));
}

void MemoryCore::fail_dial(Dials::iterator dial) {
    Dials::node_type node = dials_.extract(dial);
    MemoryDial& failed = node.mapped();
    // The dialling side's own clock tells it, so the failure cannot be lost.
    const std::string dialler = failed.kind == DeliveryKind::dial ? failed.from : failed.to;
    failed.from = dialler;
    failed.to = dialler;
    requeue_as_answer(std::move(node), fail(Errc::disconnected, kNoAnswer));
}

// ---- Links.

void MemoryCore::start(MemorySide& me, Link::Events events) {
    JOINERY_ASSERT(!me.events);
    if (is_down_) return;
    is_listed_ = false;
    me.events = std::make_shared<const Link::Events>(std::move(events));
}

Result<void> MemoryCore::send(MemoryPair& pair, std::size_t side, ByteView message) {
    MemorySide& me = pair.sides[side];
    if (me.state != State::open) return fail(Errc::disconnected, "the link is closed");
    JOINERY_ASSERT(me.events);
    if (message.size() > kMessageSizeMax) {
        return fail(Errc::over_limit, "a message is longer than 16 MiB");
    }
    if (!me.limit.admit(message.size() + kMessageOverhead)) {
        return fail(Errc::busy, "the outbound queue is full; wait until it is writable");
    }
    MemorySide& other = other_side(pair, side);
    if (other.state == State::open) {
        other.stream.push_back(make_item(DeliveryKind::message, message));
    } else {
        me.limit.release(message.size() + kMessageOverhead);  // A closing side drops what comes.
    }
    return {};
}

void MemoryCore::pause(MemorySide& me) {
    is_listed_ = false;
    me.is_paused = true;
}

void MemoryCore::resume(MemorySide& me) {
    is_listed_ = false;
    me.is_paused = false;
}

void MemoryCore::close(MemoryPair& pair, std::size_t side) {
    MemorySide& me = pair.sides[side];
    if (me.state != State::open) return;
    me.state = State::closing;
    me.notices.clear();
    MemorySide& other = other_side(pair, side);
    for (const MemoryItem& item : std::exchange(me.stream, {})) {
        if (item.kind == DeliveryKind::message) {
            release(other, item.message.size() + kMessageOverhead);
        } else {
            me.stream.push_back(item);
        }
    }
    other.stream.push_back(make_item(DeliveryKind::end));
}

void MemoryCore::abandon(MemoryPair& pair, std::size_t side) {
    is_listed_ = false;
    MemorySide& me = pair.sides[side];
    const auto events = std::exchange(me.events, nullptr);
    if (me.state != State::ended) cut_pair(pair);
    me.notices.clear();
    forget_if_over(pair);
}

void MemoryCore::deliver_stream(MemoryPair& pair, std::size_t side) {
    MemorySide& me = pair.sides[side];
    MemorySide& other = other_side(pair, side);
    const MemoryItem item = std::move(me.stream.front());
    me.stream.pop_front();
    if (item.kind == DeliveryKind::message && item.message.size() > me.receive_max) {
        end_side(me);
        end_side(other);
        other.notices.push_back(make_item(DeliveryKind::cut));
        call_closed(me, fail(Errc::over_limit, "a message longer than is taken"));
        return;
    }
    if (item.kind == DeliveryKind::message) {
        release(other, item.message.size() + kMessageOverhead);
        const auto events = me.events;
        if (events->on_message) events->on_message(item.message);
        return;
    }
    JOINERY_ASSERT(item.kind == DeliveryKind::end);
    end_side(me);
    end_side(other);
    other.notices.push_back(make_item(DeliveryKind::end));
    call_closed(me, {});
}

void MemoryCore::deliver_notice(MemoryPair& pair, std::size_t side) {
    MemorySide& me = pair.sides[side];
    const MemoryItem item = std::move(me.notices.front());
    me.notices.pop_front();
    if (item.kind == DeliveryKind::writable) {
        const auto events = me.events;
        if (events->on_writable) events->on_writable();
    } else if (item.kind == DeliveryKind::end) {
        call_closed(me, {});
    } else {
        call_closed(me, fail(Errc::disconnected, "the connection was cut"));
    }
}

void MemoryCore::release(MemorySide& sender, std::size_t size) {
    sender.limit.release(size);
    if (sender.state == State::open && sender.limit.take_writable()) {
        sender.notices.push_back(make_item(DeliveryKind::writable));
    }
}

void MemoryCore::cut_pair(MemoryPair& pair) {
    for (MemorySide& side : pair.sides) {
        if (side.state == State::ended) continue;
        end_side(side);
        side.notices.push_back(make_item(DeliveryKind::cut));
    }
}

void MemoryCore::forget_if_over(const MemoryPair& pair) {
    const bool is_over = std::ranges::all_of(pair.sides, [](const MemorySide& side) {
        return side.state == State::ended && side.notices.empty();
    });
    if (is_over) pairs_.erase(pair.number);
}

}  // namespace joinery::transport::detail
