// The bytes of wire version 1, and what its reader refuses.

#include "session/messages.h"

#include <fstream>
#include <gtest/gtest.h>
#include <map>

namespace joinery::session {
namespace {

template <class T>
T filled(std::uint8_t byte) {
    T value;
    value.bytes.fill(byte);
    return value;
}

crdt::Seal seal(std::uint8_t device, std::uint64_t seq) {
    crdt::Seal made;
    made.proof.device = filled<DeviceKey>(device);
    made.proof.incarnation = filled<Incarnation>(0x22);
    made.proof.writer_slot = 1;
    made.proof.writer_generation = 2;
    made.seq = seq;
    made.signature = filled<Signature>(0x55);
    return made;
}

/// One item that was overwritten, one that stands.
crdt::LiveBatch live_batch() {
    crdt::LiveBatch batch{seal(0x33, 1).proof, filled<Signature>(0x55), {}};
    const crdt::LiveWrite write{filled<crdt::PathId>(0x77), "cpu", 5, Value(0.5)};
    batch.items.push_back({filled<crdt::LiveHash>(0x99), std::nullopt});
    batch.items.push_back({crdt::live_item_hash(crdt::actor_of(batch.proof), write), write});
    return batch;
}

State state(bool with_digest) {
    State made;
    made.is_durable = true;
    made.frontier = filled<FrontierHash>(0xf0);
    if (with_digest) made.digest = filled<DigestPrefix>(0xd0);
    return made;
}

Frontier frontier() {
    FrontierEntry a{filled<ActorId>(0x0a), 5, {}}, b{filled<ActorId>(0x0b), 300, {}};
    a.hash_prefix.fill(0xa1);
    b.hash_prefix.fill(0xb1);
    return {a, b};
}

const Bytes kBatch{0x02, 0x01, 0x00, 0x08, 0x14, 0x09, 0x00, 0x00, 0x54};

/// In this order in one direction: names are interned.
std::vector<std::pair<std::string, Message>> samples() {
    Hello hello;
    hello.name = "kiosk";
    hello.patterns = {"ops/*"};
    hello.document_max = 65536;
    Hello limited;
    limited.document_max = 65536;
    limited.access = {{"ops/*", "plan"}, {"plan"}};
    State empty;
    empty.is_empty = true;
    Have have;
    have.entries = {{"ops/main", 0, state(true)}, {"ops/new", 0, state(false)}, {"", 7, empty}};
    Have have_live;
    State with_live = state(false);
    with_live.live = empty.live = filled<crdt::LiveHash>(0xe0);
    have_live.entries = {{"d", 0, with_live}, {"", 7, empty}};
    const PeerRun run{filled<DeviceKey>(0x33), filled<PeerInstance>(0x66)};
    const auto presence = [&](std::uint64_t counter, bool is_gone, Value value) {
        return PresenceItem{{run, "xy"}, counter, is_gone, value, std::chrono::seconds(30)};
    };
    const crdt::LiveMarks marks{{filled<crdt::LiveHash>(0x0c), 5, 0x0706050403020100},
                                {filled<crdt::LiveHash>(0x0d), 6, 1}};
    return {
        {"hello", hello},
        {"have", have},
        {"listed", Listed{}},
        {"changes-first", Changes{0, {seal(0x33, 41)}, kBatch}},
        {"changes-next", Changes{0, {seal(0x33, 42)}, kBatch}},
        {"frontier", FrontierNote{1, true, true, filled<DigestPrefix>(0xd0), frontier()}},
        {"frontier-again", FrontierNote{200, false, false, std::nullopt, frontier()}},
        {"check", Check{0, 3, state(true)}},
        {"answer", Answer{0, Verdict::same_durable}},
        {"ack", Ack{0, {{filled<ActorId>(0x0a), 5}, {filled<ActorId>(0x0b), 301}}}},
        {"resync", Resync{0, 1, frontier()}},
        {"restart", Restart{0, 1}},
        {"refuse", Refuse{0, Errc::io}},
        {"bye", Bye{Errc::over_limit, "too much"}},
        {"bye-done", Bye{}},
        {"have-live", have_live},
        {"live-want", LiveWant{0, marks}},
        {"live-values", LiveValues{0, false, {live_batch()}}},
        {"live-values-last", LiveValues{0, true, {live_batch()}}},
        {"live-values-none", LiveValues{0, true, {}}},
        {"hello-limited", limited},
        {"presence", PresenceNote{0, {presence(1, false, Value("7,9"))}}},
        {"presence-next", PresenceNote{0, {presence(2, false, Value("8,9"))}}},
        {"presence-gone", PresenceNote{0, {presence(3, true, Value())}}},
    };
}

std::map<std::string, std::string> golden() {
    std::map<std::string, std::string> lines;
    std::ifstream file(JOINERY_VECTORS "/wire-1/messages.hex");
    std::string name, hex;
    while (file >> name >> hex)
        lines[name] = hex;
    return lines;
}

TEST(Messages, AreTheBytesOfTheVectors) {
    MessageWriter writer;
    MessageReader reader;
    MessageWriter again;
    auto vectors = golden();
    EXPECT_EQ(vectors.size(), samples().size());
    for (const auto& [name, message] : samples()) {
        Bytes bytes;
        std::visit([&](const auto& m) { writer.write(m, bytes); }, message);
        EXPECT_EQ(to_hex(bytes), vectors[name]) << name;
        const auto read = reader.read(bytes);
        ASSERT_TRUE(read) << name << ": " << read.error().what;
        ASSERT_TRUE(read->has_value());
        EXPECT_EQ((*read)->index(), message.index());
        Bytes rewritten;
        std::visit([&](const auto& m) { again.write(m, rewritten); }, **read);
        EXPECT_EQ(rewritten, bytes) << name;
    }
}

TEST(Messages, AOneFieldChangeAddsSevenBytesToItsBatchAndSeal) {
    MessageWriter writer;
    Bytes first, next;
    writer.write(Changes{0, {seal(0x33, 41)}, kBatch}, first);
    writer.write(Changes{0, {seal(0x33, 42)}, kBatch}, next);
    // A reference, a step of seq, a signature.
    const std::size_t seal_size = 1 + 1 + 64;
    EXPECT_EQ(next.size(), 7 + kBatch.size() + seal_size);
    EXPECT_EQ(first.size(), next.size() + 56);
}

TEST(Messages, NamesGoRoundWhenTheirPlacesAreAllTaken) {
    MessageWriter writer;
    MessageReader reader;
    const auto actor = [](std::uint32_t number) {
        ActorId made;
        for (std::size_t i = 0; i < 4; ++i) {
            made.bytes[i] = static_cast<std::uint8_t>(number >> (24 - 8 * i));
        }
        return made;
    };
    for (std::uint32_t begin = 0; begin < 20000; begin += 1500) {
        FrontierNote note;
        // Each overlaps the one before, and reaches back to what was forgotten.
        note.frontier.push_back({actor(begin / 3), 1, {}});
        for (std::uint32_t i = begin / 3 + 1; i < begin + 3000; i += 1 + i % 2) {
            note.frontier.push_back({actor(i), 1 + i, {}});
        }
        Bytes bytes;
        writer.write(note, bytes);
        const auto read = reader.read(bytes);
        ASSERT_TRUE(read) << read.error().what;
        EXPECT_EQ(std::get<FrontierNote>(**read).frontier, note.frontier);
    }
    for (std::uint32_t i = 0; i < 10000; ++i) {
        crdt::Seal one = seal(1, 1 + i), other = seal(2, 20000 - i);
        one.proof.writer_slot = i;
        other.proof.writer_slot = i % 5000;
        Bytes bytes;
        writer.write(Changes{0, {one, other}, kBatch}, bytes);
        const auto read = reader.read(bytes);
        ASSERT_TRUE(read) << read.error().what;
        EXPECT_EQ(std::get<Changes>(**read).seals, (std::vector{one, other}));
    }
}

TEST(Messages, TypesThatAreNotKnownAreSkippedOrEndTheSession) {
    MessageReader reader;
    const auto skipped = reader.read(Bytes{0x92, 0x43, 0xc1});
    ASSERT_TRUE(skipped);
    EXPECT_FALSE(skipped->has_value());
    EXPECT_EQ(reader.read(Bytes{0x92, 0x0c, 0x00}).error().code, Errc::unsupported);
    EXPECT_EQ(reader.read(Bytes{0x91, 0xcc, 0x80}).error().code, Errc::unsupported);
}

TEST(Messages, AHelloMaySayMoreThanItsFields) {
    for (const std::size_t more : {std::size_t{0}, std::size_t{4}}) {
        Bytes bytes;
        EnvelopeWriter out(bytes);
        out.array(5 + more);
        out.integer(0);
        out.text("later");
        out.array(0);
        out.integer(0);
        out.integer(9);
        if (more != 0) {
            out.array(0);
            out.array(0);
        }
        for (std::size_t i = 2; i < more; ++i)
            out.text("news");
        MessageReader reader;
        const auto read = reader.read(bytes);
        ASSERT_TRUE(read.has_value() && read->has_value());
        EXPECT_EQ(std::get<Hello>(**read).name, "later");
        EXPECT_EQ(std::get<Hello>(**read).document_max, 9U);
    }
}

TEST(Messages, EveryTruncationIsRefused) {
    MessageWriter writer;
    MessageReader good;
    for (const auto& [name, message] : samples()) {
        Bytes bytes;
        std::visit([&](const auto& m) { writer.write(m, bytes); }, message);
        for (std::size_t size = 0; size < bytes.size(); ++size) {
            MessageReader reader = good;
            EXPECT_FALSE(reader.read(ByteView(bytes).first(size))) << name << " at " << size;
        }
        Bytes longer = bytes;
        longer.push_back(0);
        MessageReader reader = good;
        // What follows a hello's fields is a later version's.
        EXPECT_EQ(reader.read(longer).has_value(), name.starts_with("hello")) << name;
        ASSERT_TRUE(good.read(bytes));
    }
}

TEST(Messages, EveryFlippedBitIsRefusedOrReadAsWhatItThenSays) {
    MessageWriter writer;
    MessageReader good;
    for (const auto& [name, message] : samples()) {
        Bytes bytes;
        std::visit([&](const auto& m) { writer.write(m, bytes); }, message);
        // A hello may announce more fields than it has: only a later version would look at them.
        for (std::size_t bit = name.starts_with("hello") ? 8 : 0; bit < 8 * bytes.size(); ++bit) {
            Bytes flipped = bytes;
            flipped[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
            MessageReader reader = good;
            const auto read = reader.read(flipped);
            if (!read || !read->has_value()) continue;
            // What is read has one encoding: this one, but for names, and fields after a hello.
            Bytes again;
            MessageWriter fresh;
            std::visit([&](const auto& m) { fresh.write(m, again); }, **read);
            EXPECT_NE(again, bytes) << name << " bit " << bit;
        }
        ASSERT_TRUE(good.read(bytes));
    }
}

TEST(Messages, CountsAndSizesPastTheEndAreRefusedAtOnce) {
    const std::vector<Bytes> inputs{
        {},
        {0x90},
        {0xdd, 0xff, 0xff, 0xff, 0xff},
        {0xdc, 0xff, 0xff, 0x01},
        {0xdc, 0x00, 0x01, 0x02},                                // one encoding: 91
        {0x92, 0x01, 0xdd, 0xff, 0xff, 0xff, 0xfe},              // have
        {0x92, 0x01, 0x90},                                      // have nothing
        {0x92, 0x01, 0x91, 0x00},                                // half an entry
        {0x92, 0x01, 0x92, 0xa0, 0xc4, 0x00},                    // no name
        {0x92, 0x01, 0x92, 0xdb, 0x7f, 0xff, 0xff, 0xff},        // str32
        {0x94, 0x03, 0x00, 0xc6, 0xff, 0xff, 0xff, 0xff},        // bin32 of 4 GiB
        {0x94, 0x03, 0x00, 0xc4, 0x00, 0xc4, 0x00},              // no batch
        {0x94, 0x03, 0x00, 0xc5, 0x00, 0x01, 0x00, 0xc4, 0x01},  // bin16 of one byte
        {0x94, 0x03, 0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc4, 0x00},
        {0x93, 0x06, 0x00, 0x05},                    // no such verdict
        {0x93, 0x06, 0x00, 0xcc, 0x01},              // one encoding: 01
        {0x93, 0x06, 0xc0, 0x01},                    // nil
        {0x93, 0x06, 0xff, 0x01},                    // a negative number
        {0x93, 0x07, 0x00, 0xc4, 0x02, 0x05, 0x01},  // an actor that was not named
        {0x93, 0x42, 0x00, 0xc4, 0x00},              // presence of nobody
        {0x93, 0x42, 0x00, 0xc4, 0x05, 0x01, 0x00, 0x01, 0x02, 0x00},  // a run that was not named
        {0x93, 0x0a, 0x00, 0x00},                                      // refusal without a reason
        {0x93, 0x0b, 0x00, 0xa1, 0xff},                                // not UTF-8
    };
    for (const Bytes& input : inputs) {
        MessageReader reader;
        const auto read = reader.read(input);
        EXPECT_FALSE(read) << to_hex(input);
    }
    Have many;
    many.entries.assign(kHaveCountMax + 1, {"x", 0, state(true)});
    Bytes bytes;
    MessageWriter().write(many, bytes);
    EXPECT_EQ(MessageReader().read(bytes).error().code, Errc::over_limit);
}

TEST(Messages, AFrontierOutOfOrderIsRefused) {
    Frontier twice = frontier();
    twice.push_back(twice.back());
    Frontier backwards{frontier()[1], frontier()[0]};
    for (const Frontier& bad : {twice, backwards}) {
        Bytes bytes;
        MessageWriter().write(Resync{0, 1, bad}, bytes);
        EXPECT_EQ(MessageReader().read(bytes).error().code, Errc::malformed);
    }
}

}  // namespace
}  // namespace joinery::session
