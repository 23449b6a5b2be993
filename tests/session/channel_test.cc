// The secure channel: what it carries, and what it holds against.

#include "session/channel.h"

#include "session/channel_rig.h"
#include "session/envelope.h"
#include "support/vectors.h"

#include <algorithm>
#include <utility>

namespace joinery::session {
namespace {

using test::ChannelEnd;
using test::ChannelPair;
using test::SeededRandom;
using test::Vectors;

Bytes text(std::string_view words) {
    const ByteView bytes = as_bytes(words);
    return {bytes.begin(), bytes.end()};
}

void expect_over(ChannelEnd& end, Errc code) {
    EXPECT_EQ(end.channel().state(), Channel::State::over);
    ASSERT_TRUE(end.channel().error().has_value());
    EXPECT_EQ(end.channel().error()->code, code) << end.channel().error()->what;
}

/// Signs nothing; for handshakes that a test writes itself.
struct HandMade {
    explicit HandMade(NoiseXx::Role role, std::string_view prologue = "joinery channel 1")
        : static_key(NoiseKey{1}),
          ephemeral(NoiseKey{2}),
          noise(role, as_bytes(prologue), static_key, ephemeral) {}
    NoiseKeyPair static_key, ephemeral;
    NoiseXx noise;

    Bytes write(std::uint8_t number, const std::function<void(EnvelopeWriter&)>& payload) {
        Bytes out{number}, bytes;
        EXPECT_TRUE(noise.write_keys(out).has_value());
        EnvelopeWriter writer(bytes);
        payload(writer);
        EXPECT_TRUE(noise.write_payload(bytes, out).has_value());
        return out;
    }
    void read(ByteView message) {
        ByteView rest = message.subspan(1);
        ASSERT_TRUE(noise.read_keys(rest).has_value());
        Bytes payload;
        ASSERT_TRUE(noise.read_payload(rest, payload).has_value());
    }
};

void write_offer(EnvelopeWriter& out, std::uint64_t newest, std::uint64_t oldest) {
    out.array(5);
    out.text("joinery");
    out.integer(newest);
    out.integer(oldest);
    out.integer(kFeatures);
    out.integer(kPeerRole);
}

TEST(ChannelTest, BothSidesKnowOneAnotherBeforeAMessageIsSaid) {
    ChannelPair pair;
    pair.run();
    ASSERT_TRUE(pair.is_open());
    EXPECT_EQ(pair.dialler.channel().peer()->device, pair.listener.device());
    EXPECT_EQ(pair.listener.channel().peer()->device, pair.dialler.device());
    EXPECT_EQ(pair.listener.channel().peer()->version, kWireVersion);
    EXPECT_EQ(pair.listener.channel().peer()->features, kFeatures);
    pair.dialler.say(text("hello"));
    pair.listener.say({});
    pair.run();
    EXPECT_EQ(pair.listener.received, std::vector<Bytes>{text("hello")});
    EXPECT_EQ(pair.dialler.received, std::vector<Bytes>{Bytes()});
}

TEST(ChannelTest, ItsBytesAreThoseOfTheVectors) {
    const Vectors vectors("channel-1/records.hex");
    ChannelOptions options;
    options.features = kLiveFeature;
    ChannelPair pair(options, options);
    std::size_t number = 0;
    const auto carry = [&](ChannelEnd& from, ChannelEnd& to, const std::string& name) {
        ASSERT_EQ(from.outbox.size(), 1U) << name;
        vectors.expect(name, from.outbox.front());
        ChannelPair::step(from, to);
        ++number;
    };
    carry(pair.dialler, pair.listener, "offer");
    carry(pair.listener, pair.dialler, "choice");
    carry(pair.dialler, pair.listener, "proof");
    pair.dialler.say(text("hi"));
    carry(pair.dialler, pair.listener, "last");
    // An hour later the next record says that the key is another one from then on.
    pair.dialler.say(text("on"), kRekeyTime);
    ASSERT_EQ(pair.dialler.outbox.size(), 2U);
    vectors.expect("rekey", pair.dialler.outbox.front());
    ChannelPair::step(pair.dialler, pair.listener);
    ++number;
    carry(pair.dialler, pair.listener, "last.rekeyed");
    EXPECT_EQ(pair.listener.received, (std::vector<Bytes>{text("hi"), text("on")}));
    pair.dialler.ping(0x0102030405060708U);
    carry(pair.dialler, pair.listener, "ping");
    carry(pair.listener, pair.dialler, "pong");
    EXPECT_EQ(pair.dialler.channel().take_pong(), 0x0102030405060708U);
    EXPECT_EQ(pair.dialler.channel().take_pong(), std::nullopt);
    pair.dialler.close();
    carry(pair.dialler, pair.listener, "end");
    EXPECT_FALSE(pair.listener.channel().error().has_value());

    ChannelPair refused;
    refused.dialler.outbox.clear();
    refused.listener.take(text("GET / HTTP/1.1"));
    carry(refused.listener, refused.dialler, "refusal");
    EXPECT_EQ(vectors.size(), number);
}

TEST(ChannelTest, MessagesOfAnySizeArriveWholeAndInOrder) {
    ChannelPair pair;
    pair.run();
    SeededRandom random(7);
    std::vector<Bytes> said;
    for (const std::size_t size : {std::size_t{0},
                                   std::size_t{1},
                                   kRecordBodyMax - 1,
                                   kRecordBodyMax,
                                   kRecordBodyMax + 1,
                                   2 * kRecordBodyMax,
                                   std::size_t{1000},
                                   kMessageSizeMax,
                                   std::size_t{3}}) {
        Bytes message(size);
        random.fill(message);
        said.push_back(std::move(message));
    }
    for (const Bytes& message : said)
        pair.dialler.say(message);
    for (const Bytes& record : pair.dialler.outbox)
        EXPECT_LE(record.size(), kNoiseMessageSizeMax);
    pair.run();
    EXPECT_EQ(pair.listener.received, said);
}

TEST(ChannelTest, AKeyIsReplacedInTime) {
    ChannelPair pair;
    pair.run();
    MonotonicTime now{};
    std::vector<Bytes> said;
    for (int i = 0; i < 10; ++i) {
        now += std::chrono::minutes(25);
        said.push_back({static_cast<std::uint8_t>(i)});
        pair.dialler.say(said.back(), now);
        pair.listener.say(said.back(), now);
    }
    // The hour begins with the first one, at 0:25: so new keys at 1:40, 2:55, 4:10.
    EXPECT_EQ(pair.dialler.outbox.size(), 10U + 3U);
    pair.run();
    EXPECT_EQ(pair.listener.received, said);
    EXPECT_EQ(pair.dialler.received, said);
}

TEST(ChannelTest, OfManySignsThatAreAskedForTheLastIsAnswered) {
    ChannelPair pair;
    pair.run();
    for (std::uint64_t token = 1; token <= 1000; ++token) {
        pair.dialler.channel().ping(token);
        Bytes record;
        ASSERT_TRUE(pair.dialler.channel().next_message(record));
        static_cast<void>(pair.listener.channel().take(record));
    }
    Bytes answer;
    ASSERT_TRUE(pair.listener.channel().next_message(answer));
    pair.dialler.take(answer);
    EXPECT_EQ(pair.dialler.channel().take_pong(), 1000U);
    EXPECT_FALSE(pair.listener.channel().next_message(answer));
}

TEST(ChannelTest, AnEndIsToldFromACut) {
    {
        ChannelPair pair;
        pair.run();
        pair.dialler.say(text("last words"));
        pair.dialler.close();
        pair.run();
        EXPECT_EQ(pair.listener.received.size(), 1U);
        EXPECT_EQ(pair.listener.channel().state(), Channel::State::over);
        EXPECT_TRUE(pair.listener.channel().on_link_ended().has_value());
        EXPECT_TRUE(pair.dialler.channel().on_link_ended().has_value());
    }
    {
        ChannelPair pair;
        pair.run();
        pair.dialler.say(text("last words"));
        pair.dialler.close();
        pair.dialler.outbox.pop_back();
        pair.run();
        const auto how = pair.listener.channel().on_link_ended();
        ASSERT_FALSE(how.has_value());
        EXPECT_EQ(how.error().code, Errc::disconnected);
    }
    {
        ChannelPair pair;
        pair.run();
        pair.listener.close(fail(Errc::untrusted, "not on the list"));
        pair.run();
        expect_over(pair.dialler, Errc::untrusted);
        EXPECT_EQ(pair.dialler.channel().their_text(), "not on the list");
    }
}

TEST(ChannelTest, AnEndBetweenThePartsOfAMessageIsNone) {
    ChannelPair pair;
    pair.run();
    Bytes record;
    const Bytes message(kRecordBodyMax + 1);
    const auto part = pair.dialler.channel().write(message, {}, record);
    ASSERT_TRUE(part.has_value() && !part->is_whole);
    pair.listener.take(record);
    pair.dialler.close();
    pair.run();
    expect_over(pair.listener, Errc::malformed);
    EXPECT_TRUE(pair.listener.received.empty());
}

TEST(ChannelTest, VersionsAndFeaturesAreWhatBothHave) {
    ChannelOptions newer;
    newer.version = 9;
    newer.version_min = 0;
    newer.features = ~std::uint64_t{0};
    ChannelPair pair(newer);
    pair.run();
    ASSERT_TRUE(pair.is_open());
    for (ChannelEnd* end : {&pair.dialler, &pair.listener}) {
        EXPECT_EQ(end->channel().peer()->version, kWireVersion);
        EXPECT_EQ(end->channel().peer()->features, kFeatures);
    }
    ChannelOptions too_new = newer;
    too_new.version_min = 9;
    for (const bool is_diallers : {true, false}) {
        ChannelPair none(is_diallers ? too_new : ChannelOptions(),
                         is_diallers ? ChannelOptions() : too_new);
        none.run();
        expect_over(none.listener, Errc::unsupported);
        expect_over(none.dialler, Errc::unsupported);
        EXPECT_NE(none.dialler.channel().their_text().find("version"), std::string::npos);
    }
}

// Bad input 8 of the field's list: what was offered is in the keys.
TEST(ChannelTest, AnOfferThatIsChangedOnItsWayEndsTheChannel) {
    ChannelOptions newer;
    newer.version = 9;
    newer.version_min = 0;
    ChannelPair pair(newer);
    Bytes& offer = pair.dialler.outbox.front();
    const auto nine = std::find(offer.begin() + 33, offer.end(), 9);
    ASSERT_NE(nine, offer.end());
    *nine = 1;  // "I speak 1 at most."
    pair.run();
    EXPECT_FALSE(pair.is_open());
    expect_over(pair.dialler, Errc::untrusted);
}

// Bad input 12: each bit of each message of a handshake, and of a record.
TEST(ChannelTest, NoBitCanBeChanged) {
    std::size_t tried = 0;
    for (std::size_t at = 0; at < 5; ++at) {
        for (std::size_t bit = 0;; ++bit) {
            ChannelPair pair;
            std::size_t carried = 0;
            bool is_flipped = false, is_past_end = false;
            bool is_diallers_turn = true;
            const auto meddle = [&](Bytes& message) {
                if (carried++ != at) return;
                is_past_end = bit / 8 >= message.size();
                if (is_past_end) return;
                message[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
                is_flipped = true;
            };
            for (int i = 0; i < 5; ++i, is_diallers_turn = !is_diallers_turn) {
                ChannelEnd& from = is_diallers_turn ? pair.dialler : pair.listener;
                ChannelEnd& to = is_diallers_turn ? pair.listener : pair.dialler;
                if (i >= 3) {
                    if (from.channel().is_open()) from.say(text("secret"));
                }
                if (from.outbox.empty()) break;
                meddle(from.outbox.front());
                ChannelPair::step(from, to);
            }
            if (is_past_end) break;
            ASSERT_TRUE(is_flipped);
            ++tried;
            // The dialler's bits of X25519 that have no meaning are in the hash all the same.
            EXPECT_TRUE(pair.dialler.channel().error() || pair.listener.channel().error())
                << "message " << at << " bit " << bit;
            for (const ChannelEnd* end : {&pair.dialler, &pair.listener}) {
                for (const Bytes& message : end->received)
                    EXPECT_EQ(message, text("secret"));
            }
        }
    }
    EXPECT_GT(tried, 3000U);
}

// Bad input 13.
TEST(ChannelTest, RecordsThatAreLostRepeatedOrSwappedEndTheChannel) {
    for (int what = 0; what < 3; ++what) {
        ChannelPair pair;
        pair.run();
        for (int i = 0; i < 3; ++i)
            pair.dialler.say(Bytes{static_cast<std::uint8_t>(i)});
        auto& records = pair.dialler.outbox;
        if (what == 0) records.erase(records.begin() + 1);
        if (what == 1) records.insert(records.begin() + 1, records.front());
        if (what == 2) std::swap(records[1], records[2]);
        pair.run();
        expect_over(pair.listener, Errc::untrusted);
        EXPECT_EQ(pair.listener.received, std::vector<Bytes>{Bytes{0}});
    }
}

// Bad input 4 and 5: a recorded handshake, whole, to the same listener or its first message to
// another.
TEST(ChannelTest, AHandshakeCannotBePlayedAgain) {
    ChannelPair first;
    const Bytes offer = first.dialler.outbox.front();
    ChannelPair::step(first.dialler, first.listener);
    ChannelPair::step(first.listener, first.dialler);
    const Bytes proof = first.dialler.outbox.front();
    first.run();
    ASSERT_TRUE(first.is_open());

    ChannelOptions options;
    options.role = ChannelOptions::Role::listener;
    ChannelEnd again(2, 77, options);
    again.take(offer);
    again.take(proof);
    expect_over(again, Errc::untrusted);
    EXPECT_FALSE(again.channel().peer().has_value());
}

// Bad input 6.
TEST(ChannelTest, ASideThatHearsItselfIsNotFooled) {
    ChannelPair pair;
    const Bytes offer = pair.dialler.outbox.front();
    pair.dialler.take(offer);
    expect_over(pair.dialler, Errc::malformed);

    ChannelPair open;
    open.run();
    open.dialler.say(text("echo"));
    open.dialler.take(open.dialler.outbox.front());
    expect_over(open.dialler, Errc::untrusted);
    EXPECT_TRUE(open.dialler.received.empty());
}

// Bad input 7 and 11: who has the ephemeral keys but not the device's cannot sign.
TEST(ChannelTest, AManInTheMiddleCannotSpeakForALength) {
    HandMade middle(NoiseXx::Role::listener);
    ChannelPair honest;
    middle.read(honest.dialler.outbox.front());
    const Bytes choice = middle.write(2, [&](EnvelopeWriter& out) {
        out.array(7);
        out.integer(kWireVersion);
        out.integer(kFeatures);
        out.integer(kPeerRole);
        // The listener's key, and a signature that it made for another handshake.
        out.bytes(honest.listener.device().view());
        out.bytes(Bytes(64, 1));
        out.bytes(Bytes(16, 1));
        out.integer(0);
    });
    honest.dialler.take(choice);
    expect_over(honest.dialler, Errc::untrusted);
    EXPECT_FALSE(honest.dialler.channel().peer().has_value());
}

TEST(ChannelTest, AnotherKeyThanTheExpectedOneIsRefused) {
    ChannelOptions options;
    options.expected = DeviceKey{{1, 2, 3}};
    ChannelPair pair(options);
    pair.run();
    expect_over(pair.dialler, Errc::untrusted);
    EXPECT_FALSE(pair.is_open());
    ChannelOptions right;
    right.expected = pair.listener.device();
    ChannelPair good(right);
    good.run();
    EXPECT_TRUE(good.is_open());
}

// Bad input 9: keys with which every secret is zero.
TEST(ChannelTest, KeysOfLowOrderAreRefused) {
    for (const NoiseKey& low : {NoiseKey{}, NoiseKey{1}}) {
        ChannelPair pair;
        Bytes offer = pair.dialler.outbox.front();
        std::ranges::copy(low, offer.begin() + 1);
        pair.listener.take(offer);
        expect_over(pair.listener, Errc::untrusted);
    }
}

// Bad input 1.
TEST(ChannelTest, WhatIsNoHandshakeIsAnsweredWithARefusalForPeople) {
    const std::vector<Bytes> garbage{
        {},
        text("GET / HTTP/1.1\r\n\r\n"),
        text("SSH-2.0-OpenSSH_9.2\r\n"),
        {0x16, 0x03, 0x01, 0x02},
        {1},
        {2},
        {3, 4, 5},
        Bytes(kHandshakeSizeMax + 1, 1),
    };
    for (const Bytes& message : garbage) {
        ChannelPair pair;
        pair.listener.take(message);
        EXPECT_EQ(pair.listener.channel().state(), Channel::State::over);
        ASSERT_EQ(pair.listener.outbox.size(), 1U);
        EXPECT_EQ(pair.listener.outbox.front().at(0), 0);
        // Told once; nothing that comes later is looked at.
        pair.listener.take(message);
        EXPECT_EQ(pair.listener.outbox.size(), 1U);
        pair.dialler.take(pair.listener.outbox.front());
        EXPECT_EQ(pair.dialler.channel().state(), Channel::State::over);
        EXPECT_TRUE(pair.dialler.outbox.size() == 1 && pair.dialler.outbox[0].at(0) == 1)
            << "a refusal is not answered";
    }
}

TEST(ChannelTest, PayloadsThatAreNotTheirsAreRefused) {
    const auto offer_of = [](const std::function<void(EnvelopeWriter&)>& payload) {
        HandMade dialler(NoiseXx::Role::dialler);
        return dialler.write(1, payload);
    };
    const auto expect = [](const Bytes& offer, Errc code) {
        ChannelPair pair;
        pair.listener.take(offer);
        expect_over(pair.listener, code);
    };
    expect(offer_of([](EnvelopeWriter& out) { out.array(0); }), Errc::malformed);
    expect(offer_of([](EnvelopeWriter& out) { write_offer(out, 9, 9); }), Errc::unsupported);
    expect(offer_of([](EnvelopeWriter& out) {
               out.array(5);
               out.text("joinerx");
               for (int i = 0; i < 4; ++i)
                   out.integer(0);
           }),
           Errc::malformed);
    expect(offer_of([](EnvelopeWriter& out) {
               out.array(5);
               out.text("joinery");
               out.integer(kWireVersion);
               out.integer(0);
               out.integer(0);
               out.integer(1);
           }),
           Errc::unsupported);
    // A later version may say more.
    HandMade later(NoiseXx::Role::dialler);
    ChannelPair pair;
    pair.listener.take(later.write(1, [](EnvelopeWriter& out) {
        out.array(6);
        out.text("joinery");
        out.integer(9);
        out.integer(0);
        out.integer(0);
        out.integer(0);
        out.text("more");
    }));
    EXPECT_EQ(pair.listener.channel().state(), Channel::State::handshake);
    // Another prologue is another protocol: it shows with the first thing that is encrypted.
    HandMade other(NoiseXx::Role::dialler, "joinery channel 2");
    ChannelPair wrong;
    wrong.listener.take(other.write(1, [](EnvelopeWriter& out) { write_offer(out, 1, 0); }));
    ByteView choice = ByteView(wrong.listener.outbox.front()).subspan(1);
    EXPECT_FALSE(other.noise.read_keys(choice).has_value());
}

TEST(ChannelTest, AKeyIsReplacedAfterSoManyBytesAndAPeerThatDoesNotIsCutOff) {
    constexpr std::uint64_t kSize = 1U << 20U;
    const Bytes message(kRecordBodyMax);
    for (const bool is_listener_stricter : {false, true}) {
        ChannelOptions usual, strict;
        usual.rekey_size = kSize;
        strict.rekey_size = is_listener_stricter ? kSize / 4 : kSize;
        ChannelPair pair(usual, strict);
        pair.run();
        std::size_t record_count = 0;
        for (std::size_t i = 0; i < 40 && pair.listener.channel().is_open(); ++i) {
            pair.dialler.say(message);
            record_count += pair.dialler.outbox.size();
            while (ChannelPair::step(pair.dialler, pair.listener)) {
            }
        }
        if (is_listener_stricter) {
            expect_over(pair.listener, Errc::over_limit);
            EXPECT_EQ(pair.listener.received.size(), kSize / 2 / kNoiseMessageSizeMax);
        } else {
            EXPECT_EQ(record_count, 40U + 2U);
            EXPECT_EQ(pair.listener.received.size(), 40U);
        }
    }
}

}  // namespace
}  // namespace joinery::session
