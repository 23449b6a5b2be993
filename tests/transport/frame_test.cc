#include "transport/frame.h"

#include "base/link.h"
#include "tests/transport/link_rig.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <random>
#include <vector>

namespace joinery::transport {
namespace {

using test::make_message;

// All that @p queue would write, taken in writes of at most @p write_size bytes.
Bytes drain(FrameQueue& queue, std::size_t write_size) {
    Bytes stream;
    std::array<ByteView, 4> views;
    while (!queue.is_empty()) {
        const std::size_t count = queue.gather(views);
        std::size_t room = write_size;
        for (std::size_t i = 0; i < count && room != 0; ++i) {
            const std::size_t size = std::min(room, views[i].size());
            stream.insert(stream.end(),
                          views[i].begin(),
                          views[i].begin() + static_cast<std::ptrdiff_t>(size));
            room -= size;
        }
        queue.consume(write_size - room);
    }
    return stream;
}

// Feeds @p in; returns how many bytes found room.
std::size_t feed(FrameDecoder& decoder, ByteView in) {
    const std::span<std::uint8_t> room = decoder.prepare();
    const std::size_t size = std::min(room.size(), in.size());
    std::copy_n(in.begin(), size, room.begin());
    decoder.commit(size);
    return size;
}

// Moves the whole messages that @p decoder holds to @p out.
void take_messages(FrameDecoder& decoder, std::vector<Bytes>& out) {
    for (;;) {
        const auto message = decoder.next();
        if (!message) ADD_FAILURE() << message.error().what;
        if (!message || !*message) return;
        out.emplace_back((*message)->begin(), (*message)->end());
    }
}

Bytes frame_of(ByteView message) {
    FrameQueue queue;
    queue.push(message);
    return drain(queue, 1U << 30U);
}

TEST(Frame, IsABigEndianLengthThenTheMessage) {
    EXPECT_EQ(to_hex(frame_of(as_bytes("hi"))), "000000026869");
    EXPECT_EQ(to_hex(frame_of({})), "00000000");
    EXPECT_EQ(to_hex(ByteView(frame_of(Bytes(0x012345))).first(4)), "00012345");
    EXPECT_EQ(to_hex(ByteView(frame_of(Bytes(kMessageSizeMax))).first(4)), "01000000");
}

TEST(Frame, MessagesSurviveEverySplitOfTheStream) {
    std::mt19937_64 random(7);
    for (int round = 0; round < 200; ++round) {
        std::vector<Bytes> sent;
        FrameQueue queue;
        for (std::size_t i = 0; i < 20; ++i) {
            const std::size_t size_max = i % 7 == 0 ? 40000 : 50;
            sent.push_back(make_message(random() % size_max, random()));
            queue.push(sent.back());
        }
        const Bytes stream = drain(queue, 1 + random() % 5000);
        std::vector<Bytes> received;
        FrameDecoder decoder;
        for (std::size_t at = 0; at < stream.size();) {
            const std::size_t left = stream.size() - at;
            at += feed(decoder, ByteView(stream).subspan(at, std::min(left, 1 + random() % 3000)));
            take_messages(decoder, received);
        }
        ASSERT_TRUE(received == sent) << "round " << round;
        EXPECT_TRUE(decoder.is_between_frames());
    }
}

TEST(Frame, ALengthAboveTheLimitIsRefusedAtItsOffset) {
    for (const std::string_view prefix : {"\xff\xff\xff\xff", "\x01\x00\x00\x01", "GET "}) {
        FrameDecoder decoder;
        feed(decoder, frame_of(as_bytes("good")));
        ASSERT_TRUE(*decoder.next());
        feed(decoder, ByteView(reinterpret_cast<const std::uint8_t*>(prefix.data()), 4));
        const auto message = decoder.next();
        ASSERT_FALSE(message);
        EXPECT_EQ(message.error().code, Errc::over_limit);
        EXPECT_EQ(message.error().at, 8U);
    }
}

TEST(Frame, ALengthAloneReservesNothing) {
    FrameDecoder decoder;
    const Bytes hostile = {0x01, 0x00, 0x00, 0x00, 0x42};
    for (const std::uint8_t byte : hostile) {
        feed(decoder, ByteView(&byte, 1));
        ASSERT_FALSE(*decoder.next());
        EXPECT_LE(decoder.capacity(), kReceiveStep);
    }
    static_cast<void>(decoder.prepare());
    EXPECT_LE(decoder.capacity(), kReceiveStep);
    EXPECT_FALSE(decoder.is_between_frames());
}

TEST(Frame, TheBufferGrowsWithWhatArrivesAndShrinksAfter) {
    const Bytes message = make_message(kMessageSizeMax, 3);
    const Bytes stream = frame_of(message);
    FrameDecoder decoder;
    std::size_t at = 0;
    while (at < stream.size()) {
        static_cast<void>(decoder.prepare());
        ASSERT_LE(decoder.capacity(), std::max(kReceiveStep, 2 * at));
        at += feed(decoder,
                   ByteView(stream).subspan(at, std::min<std::size_t>(stream.size() - at, 100000)));
        if (at < stream.size()) {
            ASSERT_FALSE(*decoder.next());
        }
    }
    const auto whole = decoder.next();
    ASSERT_TRUE(whole && *whole);
    EXPECT_TRUE(std::ranges::equal(**whole, message));
    EXPECT_LE(decoder.capacity(), kMessageSizeMax + kFramePrefixSize);
    static_cast<void>(decoder.prepare());
    EXPECT_LE(decoder.capacity(), kReceiveStep);
}

TEST(Frame, ClearForgetsAllAndKeepsTheViewAlive) {
    FrameDecoder decoder;
    Bytes two = frame_of(as_bytes("one"));
    const Bytes second = frame_of(as_bytes("two"));
    two.insert(two.end(), second.begin(), second.end());
    feed(decoder, two);
    const auto one = decoder.next();
    decoder.clear();
    EXPECT_EQ(as_text(**one), "one");
    EXPECT_FALSE(*decoder.next());
    EXPECT_TRUE(decoder.is_between_frames());
}

TEST(FrameQueue, SmallMessagesShareBuffers) {
    FrameQueue queue;
    constexpr std::size_t kCount = 1000;
    constexpr std::size_t kFrameSize = 20;
    for (std::size_t i = 0; i < kCount; ++i) {
        queue.push(as_bytes("sixteen bytes .."));
    }
    std::array<ByteView, 64> views;
    EXPECT_EQ(queue.gather(views), (kCount * kFrameSize + kSendChunkSize - 1) / kSendChunkSize);
}

TEST(FrameQueue, ViewsOfAPendingWriteSurviveMorePushes) {
    FrameQueue queue;
    queue.push(as_bytes("first"));
    std::array<ByteView, 64> views;
    ASSERT_EQ(queue.gather(views), 1U);
    const std::uint8_t* const place = views[0].data();
    for (int i = 0; i < 5000; ++i)
        queue.push(as_bytes("more"));
    std::array<ByteView, 64> later;
    queue.gather(later);
    EXPECT_EQ(later[0].data(), place);
    EXPECT_EQ(as_text(views[0].subspan(4)), "first");
}

TEST(SendLimit, AdmitsUpToTheLimitAndOneLongMessageAlone) {
    SendLimit limit(100);
    EXPECT_TRUE(limit.admit(60));
    EXPECT_TRUE(limit.admit(40));
    EXPECT_FALSE(limit.admit(1));
    limit.release(100);
    EXPECT_TRUE(limit.take_writable());
    EXPECT_TRUE(limit.admit(1000));
    EXPECT_FALSE(limit.admit(1));
    EXPECT_EQ(limit.size(), 1000U);
}

TEST(SendLimit, TellsOnceAtHalfOrWhenTheRefusedFits) {
    SendLimit limit(100);
    ASSERT_TRUE(limit.admit(100));
    EXPECT_FALSE(limit.take_writable());
    ASSERT_FALSE(limit.admit(10));
    limit.release(49);
    EXPECT_FALSE(limit.take_writable());
    limit.release(1);
    EXPECT_TRUE(limit.take_writable());
    EXPECT_FALSE(limit.take_writable());
    ASSERT_FALSE(limit.admit(80));
    EXPECT_FALSE(limit.take_writable());
    limit.release(29);
    EXPECT_FALSE(limit.take_writable());
    limit.release(1);
    EXPECT_TRUE(limit.take_writable());
    ASSERT_FALSE(limit.admit(500));
    limit.release(19);
    EXPECT_FALSE(limit.take_writable());
    limit.release(1);
    EXPECT_TRUE(limit.take_writable());
}

}  // namespace
}  // namespace joinery::transport
