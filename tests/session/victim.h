/// @file
/// A session whose other side is made of bytes, and keeps to nothing.
#pragma once

#include "session/rig.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <utility>
#include <vector>

namespace joinery::test {

/// @par Use
/// The test puts documents into the peer, says a hello, and then what it likes.
struct Victim {
    explicit Victim(session::Options options = {}) : end(peer, std::move(options)) {}

    template <class M>
    void say(const M& message) {
        Bytes bytes;
        writer.write(message, bytes);
        say_bytes(bytes);
    }
    void say_bytes(ByteView bytes) {
        end.session->on_message(bytes, MonotonicTime(1));
        pull();
        end.take_events();
    }
    /// Announces a document as what has the frontier hash @p fill.
    void say_have(std::uint8_t fill = 0x77, std::string_view id = "d") {
        session::State state;
        state.frontier.bytes.fill(fill);
        say(session::Have{{{id, 0, state}}});
    }
    void pull() {
        Bytes out;
        while (end.session->next_message(out))
            said.push_back(out);
    }
    std::size_t count_said(session::MessageType type) const {
        return static_cast<std::size_t>(std::ranges::count_if(said, [&](const Bytes& message) {
            return message[1] == static_cast<std::uint8_t>(type);
        }));
    }
    /// Expects that the session has ended with @p code and told so.
    void expect_ended(Errc code) {
        using Kind = session::Event::Kind;
        ASSERT_TRUE(end.session->is_closed());
        ASSERT_EQ(end.count(Kind::closed), 1U);
        EXPECT_EQ(end.last(Kind::closed)->error->code, code) << end.last(Kind::closed)->error->what;
        EXPECT_FALSE(end.last(Kind::closed)->is_theirs);
        EXPECT_EQ(said.back()[1], static_cast<std::uint8_t>(session::MessageType::bye));
    }

    Peer peer{1};
    End end;
    session::MessageWriter writer;
    std::vector<Bytes> said;
};

}  // namespace joinery::test
