// Changes and snapshots, byte for byte: what is written now, and what was written once.

#include "crdt/codec.h"
#include "crdt/forks.h"
#include "crdt/put_back.h"
#include "crdt/snapshot.h"
#include "crdt/transaction.h"
#include "support/vectors.h"

#include <array>
#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace joinery::crdt {
namespace {

constexpr ActorId kAnn{{0xaa, 1}};
constexpr ActorId kBob{{0xbb, 2}};

void take(Document& document, const Batch& batch) {
    const auto hashes = document.check(batch);
    ASSERT_TRUE(hashes.has_value()) << hashes.error().what;
    ASSERT_TRUE(document.apply(batch, *hashes).has_value());
}

/// What @p document has to send, as another document reads it.
void send(Document& from, Document& to) {
    Bytes bytes;
    EncoderDictionary encoder;
    const Batch& batch = from.outgoing().batch;
    encode_changes(from.names(), batch, 0, batch.changes.size(), encoder, bytes);
    Batch read;
    DecoderDictionary decoder;
    ASSERT_TRUE(decode_changes(bytes, to.names(), decoder, read).has_value());
    take(to, read);
}

/// Every operation, type of value and kind that this version writes.
void begin(Document& document) {
    Transaction t(document, kAnn, WallTime(1'000));
    const auto map = *t.make(kRoot, *t.key("widgets"), Kind::map);
    const Bytes blob{0, 0xff, 7};
    const std::vector<Value> values{Value(),
                                    Value(true),
                                    Value(std::int64_t{-5}),
                                    Value(0.5),
                                    Value("gr\xc3\xbc\xc3\x9f"),
                                    Value(ByteView(blob)),
                                    Value(WallTime(1'700'000'000'000))};
    for (std::size_t i = 0; i < values.size(); ++i)
        ASSERT_TRUE(t.put(map, *t.key("v" + std::to_string(i)), values[i]).has_value());
    const auto list = *t.make(kRoot, *t.key("rows"), Kind::list);
    ASSERT_TRUE(t.insert(list, 0, {Kind::none, Value("one")}).has_value());
    ASSERT_TRUE(t.insert(list, 1, {Kind::map, Value()}).has_value());
    const Names::ElementKey by_id{*t.key("id"), 0, Value(std::int64_t{7})};
    ASSERT_TRUE(t.insert(list, 2, {Kind::map, Value()}, by_id).has_value());
    ASSERT_TRUE(t.increment(*t.counter_at(kRoot, *t.key("visits")), 3).has_value());
    ASSERT_TRUE(*t.commit("first"));
}

void go_on(Document& document) {
    Transaction t(document, kAnn, WallTime(2'000));
    const auto map = *t.make(kRoot, *t.key("widgets"), Kind::map);
    ASSERT_TRUE(t.put(map, *t.key("v2"), Value(std::int64_t{6})).has_value());
    ASSERT_TRUE(t.erase(map, *t.key("v3")).has_value());
    ASSERT_TRUE(t.move(*t.make(kRoot, *t.key("rows"), Kind::list), 2, 0).has_value());
    ASSERT_TRUE(*t.commit());
}

/// Meanwhile, by a clock that is behind.
void clash(Document& document) {
    Transaction t(document, kBob, WallTime(500));
    const auto map = *t.make(kRoot, *t.key("widgets"), Kind::map);
    ASSERT_TRUE(t.put(map, *t.key("v2"), Value(std::int64_t{7})).has_value());
    ASSERT_TRUE(t.increment(*t.counter_at(kRoot, *t.key("visits")), -1).has_value());
    ASSERT_TRUE(t.erase(kRoot, *t.key("visits")).has_value());
    ASSERT_TRUE(*t.commit());
}

/// Enough for columns; it depends on both.
void fill(Document& document) {
    Transaction t(document, kAnn, WallTime(3'000));
    const auto map = *t.make(kRoot, *t.key("many"), Kind::map);
    for (std::int64_t i = 0; i < 70; ++i)
        ASSERT_TRUE(t.put(map, *t.key("k" + std::to_string(i)), Value(i * i)).has_value());
    ASSERT_TRUE(*t.commit());
}

/// A document with all of it; the changes are its outgoing ones and, in the middle, Bob's.
struct Story {
    Story() {
        Document bob("vector");
        begin(ann);
        send(ann, bob);
        bob.clear_outgoing();
        clash(bob);
        go_on(ann);
        for (std::size_t i = 0; i < 2; ++i)
            add(i);
        ann.clear_outgoing();
        send(bob, ann);
        Bytes bytes;
        EncoderDictionary encoder;
        encode_changes(bob.names(), bob.outgoing().batch, 0, 1, encoder, bytes);
        DecoderDictionary decoder;
        EXPECT_TRUE(decode_changes(bytes, ann.names(), decoder, changes).has_value());
        hashes.push_back(bob.outgoing().hashes.front());
        fill(ann);
        add(0);
    }
    void add(std::size_t index) {
        changes.append(ann.outgoing().batch, index);
        hashes.push_back(ann.outgoing().hashes[index]);
    }

    Document ann{"vector"};
    Batch changes;
    std::vector<ChangeHash> hashes;
};

Bytes joined(std::span<const ChangeHash> hashes) {
    Bytes out;
    for (const ChangeHash& hash : hashes)
        out.insert(out.end(), hash.bytes.begin(), hash.bytes.end());
    return out;
}

TEST(Vectors, AStreamOfChangesIsWrittenAndReadAsEver) {
    Story story;
    const test::Vectors vectors("change-1/batches.hex");
    EXPECT_EQ(vectors.size(), 6U);
    ASSERT_EQ(story.changes.changes.size(), 4U);
    EncoderDictionary encoder;
    DecoderDictionary decoder;
    Document reader("vector");
    EncoderDictionary again;
    for (std::size_t i = 0; i < 4; ++i) {
        const std::string name = "stream-" + std::to_string(i + 1);
        Bytes written;
        encode_changes(story.ann.names(), story.changes, i, i + 1, encoder, written);
        vectors.expect(name, written);
        Batch read;
        const auto done = decode_changes(vectors.at(name), reader.names(), decoder, read);
        ASSERT_TRUE(done.has_value()) << name << ": " << done.error().what;
        take(reader, read);
        Bytes rewritten;
        encode_changes(reader.names(), read, 0, 1, again, rewritten);
        vectors.expect(name, rewritten);
    }
    EXPECT_EQ(reader.digest(), story.ann.digest());
}

TEST(Vectors, ManyChangesInColumnsHaveTheHashesOfEver) {
    Story story;
    const test::Vectors vectors("change-1/batches.hex");
    Bytes written;
    EncoderDictionary encoder;
    encode_changes(story.ann.names(), story.changes, 0, 4, encoder, written);
    vectors.expect("columns", written);
    vectors.expect("hashes", joined(story.hashes));
    Document reader("vector");
    Batch read;
    DecoderDictionary decoder;
    ASSERT_TRUE(decode_changes(vectors.at("columns"), reader.names(), decoder, read).has_value());
    const auto hashes = reader.check(read);
    ASSERT_TRUE(hashes.has_value());
    vectors.expect("hashes", joined(*hashes));
}

/// Ann's second change, of which there are two; Bob has both, and names an element of each.
struct ForkStory {
    ForkStory() {
        Document first("vector");
        Document second("vector");
        begin(first);
        send(first, second);
        add(first);
        append(first, "left");
        append(second, "right");
        add(first);
        add(second);
        Document& inner = all.document();
        Transaction t(inner, kBob, WallTime(5'000));
        const auto list = *t.make(kRoot, *t.key("rows"), Kind::list);
        for (const std::size_t index : std::array<std::size_t, 2>{3, 4})
            EXPECT_TRUE(t.put(list, *t.element_at(list, index), Value(true)).has_value());
        EXPECT_TRUE(t.insert(list, 4, {Kind::none, Value("between")}).has_value());
        EXPECT_TRUE(all.commit(t).has_value());
        batch = all.history();
        for (std::size_t i = 0; i < batch.changes.size(); ++i)
            link(i);
    }
    static void append(Document& document, const char* text) {
        Transaction t(document, kAnn, WallTime(4'000));
        const auto list = *t.make(kRoot, *t.key("rows"), Kind::list);
        EXPECT_TRUE(t.insert(list, 3, {Kind::none, Value(text)}).has_value());
        EXPECT_TRUE(*t.commit());
    }
    /// The last change of @p from.
    void add(Document& from) {
        const Batch& made = from.outgoing().batch;
        Bytes bytes;
        EncoderDictionary encoder;
        encode_changes(from.names(), made, 0, made.changes.size(), encoder, bytes);
        from.clear_outgoing();
        Batch read;
        DecoderDictionary decoder;
        EXPECT_TRUE(decode_changes(bytes, all.names(), decoder, read).has_value());
        const bool is_first = read.changes[0].seq == 1;
        const ChangeHash previous =
            is_first ? chain_origin("vector", kAnn) : all.nodes().front().hash;
        EXPECT_TRUE(*all.add(read, 0, {previous, {}}));
    }
    void link(std::size_t index) {
        const ForkedDocument::Node& node = all.nodes()[index];
        ChangeLinks links;
        links.change = index;
        if (node.previous != kNone) links.after = prefix_of(all.nodes()[node.previous].hash);
        for (const auto dependency : node.dependencies)
            links.dependencies.push_back(prefix_of(all.nodes()[dependency].hash));
        if (links.after || !links.dependencies.empty()) batch.links.push_back(links);
    }

    ForkedDocument all{"vector"};
    Batch batch;
};

TEST(Vectors, ChangesBehindAForkAreWrittenAndReadAsEver) {  // F1, F3, F7
    ForkStory story;
    const test::Vectors vectors("change-1/forks.hex");
    EXPECT_EQ(vectors.size(), 6U);
    ASSERT_EQ(story.batch.changes.size(), 4U);
    EncoderDictionary encoder;
    DecoderDictionary decoder;
    ForkedDocument reader("vector");
    for (std::size_t i = 0; i < 4; ++i) {
        const std::string name = "stream-" + std::to_string(i + 1);
        Bytes written;
        encode_changes(story.all.names(), story.batch, i, i + 1, encoder, written);
        vectors.expect(name, written);
        Batch read;
        const auto done = decode_changes(vectors.at(name), reader.names(), decoder, read);
        ASSERT_TRUE(done.has_value()) << name << ": " << done.error().what;
        const auto resolved = reader.resolve(read);
        ASSERT_TRUE(resolved.has_value()) << name << ": " << resolved.error().what;
        EXPECT_EQ(resolved->front().hash, story.all.nodes()[i].hash);
        EXPECT_TRUE(reader.add_all(read, *resolved).has_value());
    }
    EXPECT_EQ(reader.digest(), story.all.digest());
    vectors.expect("digest", reader.digest().view());
    Bytes columns;
    EncoderDictionary fresh;
    Batch twice = story.batch;
    for (std::size_t i = 0; i < 70; ++i)  // Enough for columns.
        twice.append(story.batch, 1);
    encode_changes(story.all.names(), twice, 0, twice.changes.size(), fresh, columns);
    vectors.expect("columns", columns);
    Batch read;
    DecoderDictionary again;
    ASSERT_TRUE(decode_changes(vectors.at("columns"), reader.names(), again, read).has_value());
    EXPECT_EQ(read.links, story.batch.links);
}

TEST(Vectors, ASnapshotIsWrittenAndReadAsEver) {
    Story story;
    const test::Vectors vectors("snapshot-1/snapshots.hex");
    EXPECT_EQ(vectors.size(), 3U);
    vectors.expect("empty", encode_snapshot(Document("vector")));
    vectors.expect("story", encode_snapshot(story.ann));
    vectors.expect("story-digest", story.ann.digest().view());
    for (const char* name : {"empty", "story"}) {
        const auto read = decode_snapshot(vectors.at(name));
        ASSERT_TRUE(read.has_value()) << name << ": " << read.error().what;
        EXPECT_EQ((*read)->id(), "vector");
        vectors.expect(name, encode_snapshot(**read));
    }
    const auto read = decode_snapshot(vectors.at("story"));
    vectors.expect("story-digest", (*read)->digest().view());
}

TEST(Vectors, ARefusalIsWrittenReadAndHashedAsEver) {  // U3, U4
    Document ann("vector"), bob("vector");
    const auto put = [](Document& document, const ActorId& actor, std::string_view key) {
        Transaction t(document, actor, WallTime(1'000));
        ASSERT_TRUE(t.put(kRoot, *t.key(key), Value(std::int64_t{1})).has_value());
        ASSERT_TRUE(*t.commit());
    };
    put(bob, kBob, "x");
    send(bob, ann);
    put(ann, kAnn, "y");
    ann.clear_outgoing();
    bob.clear_outgoing();
    put(bob, kBob, "x2");
    send(bob, ann);
    Transaction t(ann, kAnn, WallTime(2'000));
    t.refuse({ann.names().find_actor(kBob), 2});
    PutBackStep step;
    step.kind = OpKind::put;
    step.key = *t.key("x");
    step.value = Value(std::int64_t{1});
    step.stamp = 1'000;
    ASSERT_TRUE(t.put_back(step).has_value());
    ASSERT_TRUE(*t.commit("not that"));
    Bytes written;
    EncoderDictionary encoder;
    encode_changes(ann.names(), ann.outgoing().batch, 0, 1, encoder, written);
    const test::Vectors vectors("change-1/refusal.hex");
    EXPECT_EQ(vectors.size(), 2U);
    vectors.expect("refusal", written);
    vectors.expect("hash", ann.outgoing().hashes[0].view());
    DecoderDictionary decoder;
    Batch read;
    ASSERT_TRUE(decode_changes(vectors.at("refusal"), bob.names(), decoder, read).has_value());
    EXPECT_EQ(read.changes[0].refused, 0U);
}

}  // namespace
}  // namespace joinery::crdt
