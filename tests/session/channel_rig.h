/// @file
/// Two ends of a secure channel over queues that nothing loses, for tests to meddle with.
#pragma once

#include "session/channel.h"
#include "support/dice.h"

#include <deque>
#include <gtest/gtest.h>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace joinery::test {

using session::Channel;
using session::ChannelOptions;

/// One end: what it has said and not been asked for yet, and what it was told.
class ChannelEnd {
  public:
    ChannelEnd(std::uint8_t identity, std::uint64_t seed, const ChannelOptions& options)
        : random_(seed), identity_(seed_of(identity)), channel_(identity_, random_, options) {
        pull();
    }

    void take(ByteView message) {
        if (const auto whole = channel_.take(message)) {
            received.emplace_back(whole->begin(), whole->end());
        }
        pull();
    }
    void say(ByteView message, MonotonicTime now = {}) {
        bool is_whole = false;
        while (!is_whole) {
            Bytes record;
            const auto written = channel_.write(message, now, record);
            ASSERT_TRUE(written.has_value()) << written.error().what;
            message = message.subspan(written->size);
            is_whole = written->is_whole;
            outbox.push_back(std::move(record));
        }
    }
    void ping(std::uint64_t token) {
        channel_.ping(token);
        pull();
    }
    void close(const std::optional<Error>& reason = std::nullopt) {
        channel_.close(reason);
        pull();
    }
    Channel& channel() { return channel_; }
    const DeviceKey& device() const { return identity_.public_key(); }

    std::deque<Bytes> outbox;
    std::vector<Bytes> received;

  private:
    static std::array<std::uint8_t, 32> seed_of(std::uint8_t identity) {
        std::array<std::uint8_t, 32> seed;
        seed.fill(identity);
        return seed;
    }
    void pull() {
        Bytes message;
        while (channel_.next_message(message))
            outbox.push_back(std::move(message));
    }

    SeededRandom random_;
    crdt::SigningKey identity_;
    Channel channel_;
};

struct ChannelPair {
    explicit ChannelPair(const ChannelOptions& dialler_options = {},
                         ChannelOptions listener_options = {})
        : dialler(1, 1, dialler_options), listener(2, 2, as_listener(listener_options)) {}

    /// Carries one message; false if there is none.
    static bool step(ChannelEnd& from, ChannelEnd& to) {
        if (from.outbox.empty()) return false;
        const Bytes message = std::move(from.outbox.front());
        from.outbox.pop_front();
        to.take(message);
        return true;
    }
    void run() {
        bool moved = true;
        while (moved) {
            moved = step(dialler, listener);
            moved = step(listener, dialler) || moved;
        }
    }
    bool is_open() { return dialler.channel().is_open() && listener.channel().is_open(); }

    ChannelEnd dialler;
    ChannelEnd listener;

  private:
    static const ChannelOptions& as_listener(ChannelOptions& options) {
        options.role = ChannelOptions::Role::listener;
        return options;
    }
};

}  // namespace joinery::test
