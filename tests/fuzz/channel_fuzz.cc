/// @file
/// libFuzzer target for the secure channel: between two honest ends somebody passes on, drops,
/// changes or makes up messages. Whatever he does, an end is given only what the other one said, in
/// its order, and says a bounded number of things itself.
#include "base/assert.h"
#include "fuzz/pieces.h"
#include "session/channel.h"
#include "support/dice.h"

#include <algorithm>
#include <deque>

using namespace joinery;

namespace {

/// Messages that one call makes a channel say of its own: the last of a handshake, and an end.
constexpr std::size_t kAnswersMax = 2;

std::array<std::uint8_t, 32> seed_of(std::uint8_t byte) {
    std::array<std::uint8_t, 32> seed;
    seed.fill(byte);
    return seed;
}

struct End {
    End(std::uint8_t number, session::ChannelOptions::Role role)
        : random(number), identity(seed_of(number)) {
        session::ChannelOptions options;
        options.role = role;
        channel.emplace(identity, random, options);
        pull();
    }

    void pull() {
        Bytes message;
        std::size_t count = 0;
        while (channel->next_message(message)) {
            JOINERY_ASSERT(++count <= kAnswersMax);
            outbox.push_back(std::move(message));
        }
    }
    void say(std::uint8_t word) {
        if (!channel->is_open()) return;
        Bytes record;
        const Bytes message{word};
        JOINERY_ASSERT(channel->write(message, {}, record).has_value());
        outbox.push_back(std::move(record));
        said.push_back(message);
    }
    void take(ByteView message, const End& other) {
        if (const auto whole = channel->take(message)) {
            JOINERY_ASSERT(heard_count < other.said.size());
            JOINERY_ASSERT(std::ranges::equal(*whole, other.said[heard_count++]));
        }
        if (channel->is_open()) JOINERY_ASSERT(channel->peer()->device == other.key());
        pull();
    }
    const DeviceKey& key() const { return identity.public_key(); }

    test::SeededRandom random;
    crdt::SigningKey identity;
    std::optional<session::Channel> channel;
    std::deque<Bytes> outbox;
    std::vector<Bytes> said;
    std::size_t heard_count = 0;
};

/// What a piece says is done with the oldest message of @p from.
void meddle(ByteView piece, End& from, End& to) {
    enum : std::uint8_t { pass, drop, change, make_up, talk, end };
    switch (piece[0] >> 1U) {
        case drop:
            if (!from.outbox.empty()) from.outbox.pop_front();
            return;
        case change:
            if (from.outbox.empty() || piece.size() < 4) return;
            if (Bytes& message = from.outbox.front(); !message.empty()) {
                message[(piece[1] + piece[2] * 256U) % message.size()] ^= piece[3];
            }
            return;
        case make_up: to.take(piece.subspan(1), from); return;
        case talk: from.say(piece.back()); return;
        case end:
            from.channel->close(std::nullopt);
            from.pull();
            return;
        default:
            if (from.outbox.empty()) return;
            const Bytes message = std::move(from.outbox.front());
            from.outbox.pop_front();
            to.take(message, from);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    End dialler(1, session::ChannelOptions::Role::dialler);
    End listener(2, session::ChannelOptions::Role::listener);
    for (fuzz::Pieces pieces(data, size); !pieces.is_empty();) {
        const ByteView piece = pieces.next();
        if (piece.empty()) continue;
        const bool is_diallers = (piece[0] & 1U) == 0;
        meddle(piece, is_diallers ? dialler : listener, is_diallers ? listener : dialler);
    }
    return 0;
}
