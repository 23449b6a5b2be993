// Attacks docs/semantics.md I2 and I4 to I8 by random histories: whatever the order, the batching
// and the duplicates, live registers come out alike and like tests/model.
#include "crdt/live.h"

#include "crdt/random_history.h"
#include "model/live.h"

#include <array>
#include <gtest/gtest.h>
#include <memory>

namespace joinery::crdt::test {
namespace {

using model::LiveModel;

struct Writer {
    explicit Writer(std::uint8_t number)
        : key([&] {
              std::array<std::uint8_t, 32> seed{};
              seed.fill(number);
              return seed;
          }()) {
        proof.device = key.public_key();
    }
    ActorId actor() const { return actor_of(proof); }
    SigningKey key;
    ActorProof proof;
};

PathId map_id(std::uint8_t number) {
    PathId id;
    id.bytes[0] = number;
    return id;
}

std::set<std::string> text_of(const Live& live) {
    std::set<std::string> out;
    for (const auto& [actor, write] : live.writes())
        out.insert(LiveModel::text(actor, write));
    return out;
}

Bytes encode(const LiveBatch& batch) {
    Bytes bytes;
    ByteWriter out(bytes);
    encode_live_batch(batch, out);
    return bytes;
}

/// Through bytes and back, which must be the same bytes.
std::vector<LiveBatch> transfer(const std::vector<LiveBatch>& batches) {
    std::vector<LiveBatch> out;
    for (const LiveBatch& batch : batches) {
        const Bytes bytes = encode(batch);
        ByteReader in(bytes);
        out.push_back(decode_live_batch(batch.proof, in));
        EXPECT_TRUE(in.finish().has_value());
        EXPECT_EQ(out.back(), batch);
        EXPECT_EQ(encode(out.back()), bytes);
    }
    return out;
}

/// All that @p live has, as a peer would ask for it.
std::vector<LiveBatch> all_of(const Live& live) {
    LiveCursor cursor;
    return live.collect(cursor, SIZE_MAX);
}

/// A document's registers on one peer, with what the model makes of the same writes, and a store.
struct Holder {
    Holder(std::uint8_t number, std::size_t count_max)
        : writer(number), live("doc", count_max), known(count_max), count_max_(count_max) {}

    void seal() {
        live.seal(writer.key, writer.proof);
        for (const auto& [actor, write] : live.writes()) {
            if (actor == writer.actor()) known.add(actor, write);
        }
    }
    void join(const std::vector<LiveBatch>& batches) {
        ASSERT_TRUE(live.join(transfer(batches)).has_value());
        for (const LiveBatch& batch : batches) {
            for (const LiveItem& item : batch.items) {
                if (item.write) known.add(actor_of(batch.proof), *item.write);
            }
        }
    }
    void store() {
        const Live::Unstored unstored = live.begin_store();
        for (const LiveHash& name : unstored.erase)
            disk.erase(name);
        for (const auto& [name, batch] : unstored.put)
            disk.insert_or_assign(name, batch);
    }
    std::unique_ptr<Live> reopen() const {
        auto fresh = std::make_unique<Live>("doc", count_max_);
        for (const auto& [name, batch] : disk)
            fresh->load(name, batch);
        return fresh;
    }

    Writer writer;
    Live live;
    LiveModel known;
    std::map<LiveHash, LiveBatch> disk;

  private:
    std::size_t count_max_;
};

class LiveHistory {
  public:
    LiveHistory(SeededSource& source, std::size_t count_max) : source_(source) {
        const std::size_t count = 2 + source.below(3);
        for (std::size_t i = 0; i < count; ++i)
            holders_.push_back(
                std::make_unique<Holder>(static_cast<std::uint8_t>(i + 1), count_max));
    }

    void step() {
        Holder& holder = *source_.pick(holders_);
        const std::size_t what = source_.below(100);
        if (what < 50) return write(holder);
        if (what < 65) return holder.seal();
        if (what < 75) return holder.store();
        if (what < 80) {
            holder.store();
            holder.live.keep_stored();
            if (!holder.live.has_unsealed()) {
                EXPECT_EQ(text_of(*holder.reopen()), text_of(holder.live));
            }
            return;
        }
        Holder& other = *source_.pick(holders_);
        if (what < 90) return holder.join(all_of(other.live));
        exchange(holder, other);
    }
    void finish() {
        for (const auto& holder : holders_)
            holder->seal();
        for (int round = 0; round < 2; ++round) {
            for (const auto& a : holders_) {
                for (const auto& b : holders_)
                    exchange(*a, *b);
            }
        }
        LiveModel all = holders_.front()->known;
        for (const auto& holder : holders_)
            all.add(holder->known);
        for (const auto& holder : holders_) {
            EXPECT_EQ(text_of(holder->live), all.standing());
            EXPECT_EQ(holder->live.hash(), holders_.front()->live.hash());
            EXPECT_EQ(holder->live.marks(), holders_.front()->live.marks());
            // Idempotent: what is there brings nothing.
            const std::uint64_t version = holder->live.version();
            EXPECT_EQ(*holder->live.join(all_of(holders_.front()->live)), 0U);
            EXPECT_EQ(holder->live.version(), version);
            holder->store();
            holder->live.keep_stored();
            EXPECT_EQ(text_of(*holder->reopen()), all.standing());
        }
    }
    const std::vector<std::unique_ptr<Holder>>& holders() const { return holders_; }

  private:
    void write(Holder& holder) {
        const auto time = WallTime(static_cast<std::int64_t>(1 + source_.below(3)));
        static const std::vector<std::string> kKeys{"cpu", "mem", "", "a key longer than inline"};
        const Value value(static_cast<std::int64_t>(source_.below(4)));
        const PathId map = map_id(static_cast<std::uint8_t>(source_.below(3)));
        const bool is_nothing = source_.chance(10);
        ASSERT_TRUE(holder.live
                        .write(map,
                               source_.pick(kKeys),
                               is_nothing ? nullptr : &value,
                               time,
                               holder.writer.proof)
                        .has_value());
    }
    /// What @p from has and @p to lacks, in parts of random size, as a session does.
    void exchange(Holder& from, Holder& to) {
        LiveCursor cursor;
        cursor.theirs = to.live.marks();
        while (from.live.has_news(cursor))
            to.join(from.live.collect(cursor, 1 + source_.below(400)));
    }

    SeededSource& source_;
    std::vector<std::unique_ptr<Holder>> holders_;
};

void run_histories(std::size_t count_max) {
    for (std::uint64_t seed = 1; seed <= iterations(300); ++seed) {
        SeededSource source(seed);
        LiveHistory history(source, count_max);
        for (std::size_t steps = 10 + source.below(60); steps != 0; --steps)
            history.step();
        history.finish();
        ASSERT_FALSE(testing::Test::HasFailure()) << "seed " << seed << ", room " << count_max;
    }
}

TEST(Live, RegistersConvergeToTheModelWhateverTheOrder) { run_histories(kLiveCountMax); }

TEST(Live, SoTheyDoWhereThereIsRoomForFew) {
    run_histories(5);
    run_histories(1);
}

TEST(Live, TheLaterStampWinsWhateverTheOrderOfArrival) {  // I2
    Holder a(1, 10);
    Holder b(2, 10);
    const Value one(std::int64_t{1});
    const Value two(std::int64_t{2});
    ASSERT_TRUE(a.live.write(map_id(1), "cpu", &one, WallTime(5), a.writer.proof));
    ASSERT_TRUE(b.live.write(map_id(1), "cpu", &two, WallTime(6), b.writer.proof));
    a.seal();
    b.seal();
    const auto from_a = all_of(a.live);
    a.join(all_of(b.live));
    b.join(from_a);
    EXPECT_EQ(*a.live.find(map_id(1), "cpu"), two);
    EXPECT_EQ(*b.live.find(map_id(1), "cpu"), two);
}

TEST(Live, WhoSawAWriteOverwritesItWhateverItsClock) {  // I4
    Holder fast(1, 10);
    Holder right(2, 10);
    const Value one(std::int64_t{1});
    const Value two(std::int64_t{2});
    ASSERT_TRUE(fast.live.write(map_id(1), "m", &one, WallTime(1'000'000), fast.writer.proof));
    fast.seal();
    right.join(all_of(fast.live));
    ASSERT_TRUE(right.live.write(map_id(1), "m", &two, WallTime(5), right.writer.proof));
    right.seal();
    fast.join(all_of(right.live));
    EXPECT_EQ(*fast.live.find(map_id(1), "m"), two);
}

TEST(Live, AMillionWritesASecondStayWithTheClock) {  // I4
    Holder a(1, 10);
    const Value value(std::int64_t{1});
    for (int ms = 1; ms <= 100; ++ms) {
        for (int i = 0; i < 1000; ++i)
            ASSERT_TRUE(a.live.write(map_id(1), "m", &value, WallTime(ms), a.writer.proof));
    }
    a.seal();
    EXPECT_EQ(a.live.writes().front().second.stamp >> 16U, 100U);
}

TEST(Live, AnErasedRegisterKeepsOlderWritesOut) {  // I5
    Holder a(1, 10);
    Holder b(2, 10);
    const Value one(std::int64_t{1});
    ASSERT_TRUE(a.live.write(map_id(1), "m", &one, WallTime(5), a.writer.proof));
    a.seal();
    ASSERT_TRUE(b.live.write(map_id(1), "m", nullptr, WallTime(6), b.writer.proof));
    b.seal();
    b.join(all_of(a.live));
    EXPECT_EQ(b.live.find(map_id(1), "m"), nullptr);
    EXPECT_EQ(b.live.count(), 1U);
}

TEST(Live, TheLeastRecentlyWrittenGoWhereThereIsNoRoom) {  // I6
    Holder old(1, 2);
    Holder a(2, 2);
    const Value one(std::int64_t{1});
    ASSERT_TRUE(old.live.write(map_id(1), "m", &one, WallTime(5), old.writer.proof));
    old.seal();
    ASSERT_TRUE(a.live.write(map_id(1), "n", &one, WallTime(6), a.writer.proof));
    ASSERT_TRUE(a.live.write(map_id(1), "o", &one, WallTime(7), a.writer.proof));
    a.seal();
    a.join(all_of(old.live));
    old.join(all_of(a.live));
    for (const Holder* holder : {&a, &old}) {
        EXPECT_EQ(holder->live.count(), 2U);
        EXPECT_EQ(holder->live.find(map_id(1), "m"), nullptr);
        EXPECT_NE(holder->live.find(map_id(1), "n"), nullptr);
    }
}

TEST(Live, TwoValuesUnderOneStampOfALiarHaveOneWinner) {  // I2
    const Writer liar(7);
    const auto batch_of = [&](std::int64_t value) {
        const LiveWrite write{map_id(1), "m", 5, Value(value)};
        return make_live_batch(liar.key, liar.proof, "doc", std::span(&write, 1));
    };
    Holder a(1, 10);
    Holder b(2, 10);
    a.join({batch_of(1)});
    a.join({batch_of(2)});
    b.join({batch_of(2)});
    b.join({batch_of(1)});
    EXPECT_EQ(text_of(a.live), text_of(b.live));
    EXPECT_EQ(a.live.hash(), b.live.hash());
}

TEST(Live, ABatchStaysProvableWhileOneOfItsItemsStands) {  // I8
    Holder a(1, 1000);
    const Value value(std::int64_t{1});
    for (int i = 0; i < 70; ++i)
        ASSERT_TRUE(
            a.live.write(map_id(1), std::to_string(i), &value, WallTime(5), a.writer.proof));
    a.seal();
    EXPECT_EQ(all_of(a.live).size(), 2U);
    for (int i = 1; i < 70; ++i)
        ASSERT_TRUE(
            a.live.write(map_id(1), std::to_string(i), &value, WallTime(6), a.writer.proof));
    a.seal();
    // One item of the first two batches stands, among 63 hashes; a third peer can check it.
    EXPECT_EQ(all_of(a.live).size(), 3U);
    Holder b(2, 1000);
    Holder c(3, 1000);
    b.join(all_of(a.live));
    c.join(all_of(b.live));
    EXPECT_EQ(text_of(c.live), text_of(a.live));
}

TEST(Live, AMillionWritesCostWhatOneCosts) {  // I8
    for (const int registers : {1, 500}) {
        Holder a(1, kLiveCountMax);
        const auto write_all = [&](int value) {
            const Value number(std::int64_t{value});
            for (int i = 0; i < registers; ++i) {
                ASSERT_TRUE(a.live.write(
                    map_id(1), std::to_string(i), &number, WallTime(value), a.writer.proof));
            }
        };
        for (int value = 1; value <= 2; ++value) {
            write_all(value);
            a.seal();
            a.store();
            a.live.keep_stored();
        }
        const std::size_t before = a.live.memory_size();
        const std::size_t records = a.disk.size();
        for (int value = 3; value < 1'000'000 / registers; ++value) {
            write_all(value);
            if (value % 1000 != 0) continue;
            a.seal();
            a.store();
            a.live.keep_stored();
        }
        EXPECT_EQ(a.live.memory_size(), before);
        EXPECT_EQ(a.disk.size(), records);
    }
}

// --- Bad input -----------------------------------------------------------------------------------

LiveBatch honest_batch() {
    static const Writer writer(9);
    const std::vector<LiveWrite> writes{{map_id(1), "a", 5, Value("text")},
                                        {map_id(1), "b", 9, Value(std::int64_t{-3})},
                                        {map_id(2), "a", 7, Value(0.5)},
                                        {map_id(2), "b", 7, std::nullopt}};
    return make_live_batch(writer.key, writer.proof, "doc", writes);
}

Errc decode_error(const Bytes& bytes) {
    ByteReader in(bytes);
    static_cast<void>(decode_live_batch(honest_batch().proof, in));
    const auto done = in.finish();
    return done ? Errc{} : done.error().code;
}

TEST(LiveRefusal, AForgedSignatureOrAForgedWordChangesNothing) {  // I8
    Live live("doc");
    LiveBatch forged = honest_batch();
    forged.signature.bytes[3] ^= 1;
    EXPECT_EQ(live.join(std::span(&forged, 1)).error().code, Errc::untrusted);
    forged = honest_batch();
    forged.items[0].write->value = Value("other");
    EXPECT_EQ(live.join(transfer({honest_batch()})).value_or(0), 4U);
    // As it would come: with its own hash, which nobody signed.
    forged.items[0].write->stamp = 100;
    forged.items[0].hash = live_item_hash(actor_of(forged.proof), *forged.items[0].write);
    const std::uint64_t version = live.version();
    EXPECT_EQ(live.join(std::span(&forged, 1)).error().code, Errc::untrusted);
    EXPECT_EQ(live.version(), version);
    EXPECT_EQ(*live.find(map_id(1), "a"), Value("text"));
}

TEST(LiveRefusal, ABatchIsOfItsDocumentAndItsActor) {  // I8
    const LiveBatch batch = honest_batch();
    Live other("another");
    EXPECT_EQ(other.join(std::span(&batch, 1)).error().code, Errc::untrusted);
    LiveBatch posing = batch;
    ++posing.proof.writer_slot;
    Live live("doc");
    EXPECT_EQ(live.join(std::span(&posing, 1)).error().code, Errc::untrusted);
}

TEST(LiveRefusal, OneBadBatchOfAMessageTakesTheOthersWithIt) {
    const Writer writer(4);
    const LiveWrite write{map_id(8), "x", 1, Value(true)};
    std::vector<LiveBatch> batches{
        make_live_batch(writer.key, writer.proof, "doc", std::span(&write, 1)), honest_batch()};
    batches[1].signature = {};
    Live live("doc");
    EXPECT_FALSE(live.join(batches).has_value());
    EXPECT_TRUE(live.empty());
}

TEST(LiveRefusal, AReplayOfWhatWasOverwrittenChangesNothing) {
    Holder a(1, 10);
    const Value one(std::int64_t{1});
    const Value two(std::int64_t{2});
    ASSERT_TRUE(a.live.write(map_id(1), "m", &one, WallTime(5), a.writer.proof));
    a.seal();
    const auto old = all_of(a.live);
    ASSERT_TRUE(a.live.write(map_id(1), "m", &two, WallTime(6), a.writer.proof));
    a.seal();
    EXPECT_EQ(a.live.join(old).value_or(9), 0U);
    EXPECT_EQ(*a.live.find(map_id(1), "m"), two);
}

TEST(LiveRefusal, EveryCutAndEveryFlippedByteIsRefusedOrUnsigned) {
    const Bytes bytes = encode(honest_batch());
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        EXPECT_NE(decode_error(Bytes(bytes.begin(), bytes.begin() + static_cast<long>(size))),
                  Errc{})
            << size;
    }
    for (std::size_t at = 0; at < bytes.size(); ++at) {
        for (const int flip : {1, 2, 16, 128}) {
            Bytes changed = bytes;
            changed[at] ^= static_cast<std::uint8_t>(flip);
            ByteReader in(changed);
            const LiveBatch batch = decode_live_batch(honest_batch().proof, in);
            if (!in.finish()) continue;
            Live live("doc");
            EXPECT_EQ(live.join(std::span(&batch, 1)).error().code, Errc::untrusted) << at;
            EXPECT_TRUE(live.empty());
        }
    }
}

/// A batch of one write, field by field.
struct Raw {
    std::uint64_t count = 1;
    Bytes before;
    std::uint8_t tag = 1;
    Bytes key{'k'};
    std::int64_t step = 5;
    Bytes value{0};
    template <class T>
    Raw with(T Raw::* field, std::type_identity_t<T> to) const {
        Raw changed = *this;
        changed.*field = std::move(to);
        return changed;
    }
    Bytes bytes() const {
        Bytes out;
        ByteWriter writer(out);
        writer.raw(Signature().view());
        writer.varint(count);
        writer.raw(before);
        writer.u8(tag);
        writer.raw(map_id(3).view());
        writer.sized(key);
        writer.zigzag(step);
        writer.raw(value);
        return out;
    }
};

Bytes one_write(std::uint8_t map, char key) {
    Bytes out;
    ByteWriter writer(out);
    writer.u8(1);
    writer.raw(map_id(map).view());
    writer.sized(Bytes{static_cast<std::uint8_t>(key)});
    writer.zigzag(5);
    writer.u8(0);
    return out;
}

TEST(LiveRefusal, WhatNoWriterMakesIsMalformedOrOverALimit) {  // I4, I9
    EXPECT_EQ(decode_error(Raw().bytes()), Errc{});
    EXPECT_EQ(decode_error(Raw().with(&Raw::count, 0).bytes()), Errc::over_limit);
    EXPECT_EQ(decode_error(Raw().with(&Raw::count, 1000).bytes()), Errc::malformed);
    EXPECT_EQ(decode_error(Raw().with(&Raw::count, UINT64_MAX).bytes()), Errc::malformed);
    EXPECT_EQ(decode_error(Raw().with(&Raw::tag, 2).bytes()), Errc::malformed);
    EXPECT_EQ(decode_error(Raw().with(&Raw::tag, 3).bytes()), Errc::malformed);
    EXPECT_EQ(decode_error(Raw().with(&Raw::key, Bytes(1025, 'k')).bytes()), Errc::over_limit);
    EXPECT_EQ(decode_error(Raw().with(&Raw::key, {0xff}).bytes()), Errc::malformed);
    EXPECT_EQ(decode_error(Raw().with(&Raw::step, -1).bytes()), Errc::malformed);
    EXPECT_EQ(decode_error(Raw().with(&Raw::step, INT64_MIN).bytes()), Errc::malformed);
    EXPECT_EQ(decode_error(Raw().with(&Raw::step, INT64_MAX).bytes()), Errc{});
    EXPECT_EQ(decode_error(Raw().with(&Raw::value, {8}).bytes()), Errc::unsupported);
    EXPECT_EQ(decode_error(Raw().with(&Raw::value, {2, 2}).bytes()), Errc::malformed);
    EXPECT_EQ(decode_error(Raw().with(&Raw::value, {5, 1, 0xff}).bytes()), Errc::malformed);
    Bytes long_text{5, 0x81, 0x08};
    long_text.resize(3 + 1025, 'x');
    EXPECT_EQ(decode_error(Raw().with(&Raw::value, long_text).bytes()), Errc::over_limit);
    // Out of order, twice, or with the map written again.
    EXPECT_EQ(
        decode_error(Raw().with(&Raw::count, 2).with(&Raw::before, one_write(2, 'k')).bytes()),
        Errc{});
    EXPECT_EQ(
        decode_error(Raw().with(&Raw::count, 2).with(&Raw::before, one_write(4, 'k')).bytes()),
        Errc::malformed);
    EXPECT_EQ(
        decode_error(Raw().with(&Raw::count, 2).with(&Raw::before, one_write(3, 'a')).bytes()),
        Errc::malformed);
    // Nothing but hashes.
    Bytes hashes(64, 0);
    hashes.push_back(1);
    hashes.resize(hashes.size() + 1 + 16);
    EXPECT_EQ(decode_error(hashes), Errc::malformed);
    // More than a batch holds, and all of it there.
    Bytes many(64, 0);
    many.push_back(65);
    many.resize(many.size() + 65 * 17);
    EXPECT_EQ(decode_error(many), Errc::over_limit);
}

TEST(LiveRefusal, AWriterIsToldOfItsLimits) {  // I4, I9
    Holder a(1, 10);
    const Value value(true);
    const Value text(std::string(1025, 'x'));
    const auto write = [&](const std::string& key, const Value& what) {
        return a.live.write(map_id(1), key, &what, WallTime(1), a.writer.proof);
    };
    EXPECT_EQ(write("m", text).error().code, Errc::over_limit);
    EXPECT_EQ(write(std::string(1025, 'k'), value).error().code, Errc::over_limit);
    EXPECT_TRUE(a.live.empty());
    const Writer liar(7);
    const LiveWrite last{map_id(1), "m", kLiveStampMax, Value(std::int64_t{1})};
    a.join({make_live_batch(liar.key, liar.proof, "doc", std::span(&last, 1))});
    EXPECT_EQ(write("m", value).error().code, Errc::over_limit);
    EXPECT_TRUE(write("n", value).has_value());
}

TEST(LiveVectors, ABatchIsTheseBytes) {  // docs/live-format.md
    const LiveBatch batch = honest_batch();
    EXPECT_EQ(to_hex(actor_of(batch.proof).view()), "c3c783df3e74ac8e4df468fc08a53fb6");
    EXPECT_EQ(to_hex(batch.items[0].hash.view()), "d1c99ced3b061603be3b293d4fe2a1ee");
    EXPECT_EQ(to_hex(encode(batch)),
              "b3dedcbe00bf9dcb1678892b17da46df2478a1e66d5db71f037826d8491c7bf8"
              "92e10dd963574177d91be2c3482bb684d61eefecc33ac707c7077be8f8f91800"
              "04"
              "0101000000000000000000000000000000"
              "0161"
              "0a"
              "050474657874"
              "02"
              "0162"
              "08"
              "0305"
              "0102000000000000000000000000000000"
              "0161"
              "03"
              "04000000000000e03f"
              "02"
              "0162"
              "00"
              "00");
}

}  // namespace
}  // namespace joinery::crdt::test
