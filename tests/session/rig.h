/// @file
/// Sessions between fake hosts over queues of messages that nothing reorders.
#pragma once

#include "session/session.h"
#include "support/fake_host.h"

#include <chrono>
#include <deque>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <vector>

namespace joinery::test {

using session::Event;
using session::Session;

/// A host and the sessions that are told of its changes, as an engine would.
struct Peer {
    explicit Peer(std::uint8_t seed) : host(seed) {
        host.on_changed = [this](const std::string& id) {
            for (Session* session : sessions)
                session->document_changed(id);
        };
        host.on_presence = [this](const std::string& id) {
            for (Session* session : sessions)
                session->presence_changed(id);
        };
    }
    FakeHost host;
    std::vector<Session*> sessions;
};

inline session::Options options_of(const Peer& peer, std::vector<std::string> patterns = {}) {
    session::Options options;
    options.name = "peer " + std::to_string(peer.host.proof().incarnation.bytes[0]);
    options.patterns = std::move(patterns);
    return options;
}

/// One end of a link.
struct End {
    End(Peer& its, session::Options options)
        : peer(its), session(std::make_unique<Session>(its.host, std::move(options))) {
        peer.sessions.push_back(session.get());
    }
    End(const End&) = delete;
    End& operator=(const End&) = delete;
    ~End() { std::erase(peer.sessions, session.get()); }

    void take_events() {
        for (Event& event : session->take_events())
            events.push_back(std::move(event));
    }
    std::size_t count(Event::Kind kind) const {
        return static_cast<std::size_t>(
            std::ranges::count(events, kind, [](const Event& event) { return event.kind; }));
    }
    const Event* last(Event::Kind kind) const {
        const Event* found = nullptr;
        for (const Event& event : events) {
            if (event.kind == kind) found = &event;
        }
        return found;
    }

    Peer& peer;
    std::unique_ptr<Session> session;
    std::vector<Event> events;
    std::deque<Bytes> inbox;
};

/// Two ends. Messages in the queues are lost when it goes.
class Wire {
  public:
    Wire(Peer& a, Peer& b) : Wire(a, options_of(a), b, options_of(b)) {}
    Wire(Peer& a, session::Options a_options, Peer& b, session::Options b_options)
        : left(a, between(std::move(a_options), b)), right(b, between(std::move(b_options), a)) {}

    /// Moves at most one message in one direction; false if there was none.
    bool step(End& from, End& to) {
        Bytes out;
        if (!from.session->next_message(out)) return false;
        note(out);
        if (on_message) on_message(from, out);
        to.session->on_message(out, now);
        from.take_events();
        to.take_events();
        return true;
    }
    /// Runs until nothing moves, or @p messages_max did.
    std::size_t run(std::size_t messages_max = 100000) {
        std::size_t count = 0;
        for (bool moved = true; moved && count < messages_max;) {
            moved = step(left, right);
            count += moved ? 1 : 0;
            if (count < messages_max && step(right, left)) {
                moved = true;
                ++count;
            }
        }
        return count;
    }
    /// Both ends write all that they have before either reads: messages cross.
    std::size_t run_crossing() {
        std::size_t count = 0;
        for (bool moved = true; moved;) {
            moved = false;
            for (End* end : {&left, &right}) {
                Bytes out;
                while (end->session->next_message(out)) {
                    (end == &left ? right : left).inbox.push_back(out);
                    note(out);
                    moved = true;
                    ++count;
                }
            }
            for (End* end : {&left, &right}) {
                for (; !end->inbox.empty(); end->inbox.pop_front()) {
                    end->session->on_message(end->inbox.front(), now);
                }
                end->take_events();
            }
        }
        return count;
    }
    static session::Options between(session::Options options, const Peer& other) {
        options.other_side = other.host.run();
        return options;
    }
    bool is_in_step() const { return left.session->is_in_step() && right.session->is_in_step(); }

    End left, right;
    MonotonicTime now{std::chrono::seconds(1)};
    void note(const Bytes& message) {
        sizes.push_back(message.size());
        ++types[static_cast<session::MessageType>(message[1])];
    }
    std::vector<std::size_t> sizes;
    std::map<session::MessageType, std::size_t> types;
    std::function<void(const End&, const Bytes&)> on_message;
};

/// Runs all wires until nothing moves on any.
inline void run_all(std::vector<Wire*> wires) {
    for (bool moved = true; moved;) {
        moved = false;
        for (Wire* wire : wires)
            moved = wire->run(1) != 0 || moved;
    }
}

}  // namespace joinery::test
