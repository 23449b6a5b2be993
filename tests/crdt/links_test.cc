// Hashes that a change names what it builds on by, where an actor has forked (rules F1 and F7;
// change-format.md 4): what is read, what is refused, what is never written without a fork.

#include "crdt/codec.h"
#include "crdt/cursor.h"
#include "crdt/document.h"
#include "crdt/transaction.h"

#include <array>
#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace joinery::crdt {
namespace {

constexpr std::uint64_t kPlainFlags = 1 | 8;  // Numbered, one operation.

/// A stream's first batch, by hand: one change of actor 0 that puts null at x. @p middle is what
/// stands between its counter and its operation.
Bytes batch_of(std::uint64_t flags, const Bytes& middle) {
    Bytes bytes;
    ByteWriter out(bytes);
    out.u8(3);                                                  // Fresh, new names.
    const std::uint8_t actor_count = (flags & 2) != 0 ? 2 : 1;  // The second is depended on.
    out.varint(actor_count);
    for (std::uint8_t i = 0; i < actor_count; ++i) {
        ActorId actor;
        actor.bytes[0] = i;
        out.raw(actor.view());
    }
    out.varint(1);
    out.sized(as_bytes("x"));
    out.varint(0);
    out.varint(1);  // Changes.
    out.varint(0);
    out.varint(flags);
    out.varint(0);  // Time.
    out.varint(1);
    out.varint(1);
    out.raw(middle);
    for (const std::uint64_t field :
         std::array<std::uint64_t, 3>{1, 0, 0})  // Put of null, at the root's first key.
        out.varint(field);
    return bytes;
}

Bytes hash_text(std::uint8_t fill, std::size_t size = 16) {
    Bytes bytes;
    ByteWriter(bytes).sized(Bytes(size, fill));
    return bytes;
}

/// Dependencies on actor 1's changes of these seqs.
Bytes dependencies(const std::vector<std::uint8_t>& seqs) {
    Bytes bytes{static_cast<std::uint8_t>(seqs.size())};
    for (const std::uint8_t seq : seqs) {
        bytes.push_back(1);
        bytes.push_back(static_cast<std::uint8_t>(2 * seq));  // Zigzag.
    }
    return bytes;
}

Bytes joined(const std::vector<Bytes>& parts) {
    Bytes out;
    for (const Bytes& part : parts)
        out.insert(out.end(), part.begin(), part.end());
    return out;
}

struct Read {
    Result<void> done;
    Batch batch;
};

Read read(std::uint64_t flags, const Bytes& middle) {
    Document document("d");
    DecoderDictionary decoder;
    Read out;
    const Bytes bytes = batch_of(flags, middle);
    out.done = decode_changes(bytes, document.names(), decoder, out.batch);
    if (!out.done) return out;
    // One encoding.
    Bytes again;
    EncoderDictionary encoder;
    encode_changes(document.names(), out.batch, 0, 1, encoder, again);
    EXPECT_EQ(to_hex(again), to_hex(bytes));
    return out;
}

void expect_refused(std::uint64_t flags, const Bytes& middle, Errc code) {
    const Read got = read(flags, middle);
    ASSERT_FALSE(got.done.has_value());
    EXPECT_EQ(got.done.error().code, code) << got.done.error().what;
    EXPECT_TRUE(got.batch.empty() && got.batch.links.empty());
}

TEST(Links, AreReadAndWrittenAlike) {  // F7
    EXPECT_TRUE(read(kPlainFlags, {}).batch.links.empty());
    const Batch after = read(kPlainFlags | 16, hash_text(7)).batch;
    ASSERT_EQ(after.links.size(), 1U);
    ASSERT_TRUE(after.links[0].after.has_value());
    EXPECT_EQ(after.links[0].after->bytes[3], 7);
    EXPECT_TRUE(after.links[0].dependencies.empty());
    // Two of one actor, by hash.
    const Bytes both = joined({dependencies({4, 4}), hash_text(9), hash_text(1), hash_text(2)});
    const Batch all = read(kPlainFlags | 2 | 16 | 32, both).batch;
    ASSERT_EQ(all.links.size(), 1U);
    EXPECT_EQ(all.links[0].after->bytes[0], 9);
    ASSERT_EQ(all.links[0].dependencies.size(), 2U);
    EXPECT_EQ(all.links[0].dependencies[1].bytes[0], 2);
    EXPECT_EQ(all.links_of(0), all.links.data());
    EXPECT_EQ(all.links_of(1), nullptr);
}

TEST(Links, OfAnotherFormAreRefused) {
    expect_refused(kPlainFlags | 16, {}, Errc::malformed);
    expect_refused(kPlainFlags | 16, hash_text(7, 15), Errc::malformed);
    expect_refused(kPlainFlags | 16, hash_text(7, 17), Errc::malformed);
    expect_refused(kPlainFlags | 32, {}, Errc::malformed);
    expect_refused(kPlainFlags | 32, hash_text(1), Errc::malformed);
    expect_refused(kPlainFlags | 2 | 32, dependencies({4}), Errc::malformed);
    expect_refused(kPlainFlags | 64, {}, Errc::malformed);  // It refuses no dependency.
    expect_refused(kPlainFlags | 128, {}, Errc::unsupported);
}

TEST(Links, DependenciesOnOneActorStandInTheOrderOfTheirHashes) {  // F7
    const auto two = [](std::uint8_t first, std::uint8_t second) {
        return joined({dependencies({4, 4}), hash_text(first), hash_text(second)});
    };
    EXPECT_TRUE(read(kPlainFlags | 2 | 32, two(1, 2)).done);
    expect_refused(kPlainFlags | 2 | 32, two(1, 1), Errc::malformed);
    expect_refused(kPlainFlags | 2 | 32, two(2, 1), Errc::malformed);
    // C3: without hashes there is one an actor.
    expect_refused(kPlainFlags | 2, dependencies({4, 4}), Errc::malformed);
}

TEST(Links, ADocumentWithoutForksDoesNotTakeThem) {
    Document document("d");
    Batch batch;
    DecoderDictionary decoder;
    ASSERT_TRUE(
        decode_changes(batch_of(kPlainFlags | 16, hash_text(7)), document.names(), decoder, batch));
    const auto refused = document.check(batch);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, Errc::conflict);
}

TEST(Links, StayBehindWhereAChangeIsAppendedAndGoWithABatchThatIsCutOff) {
    Batch batch = read(kPlainFlags | 16, hash_text(7)).batch;
    Batch other;
    other.append(batch, 0);
    EXPECT_TRUE(other.links.empty());
    const Batch::Mark mark = other.mark();
    other.append(batch, 0);
    other.links.push_back({1, std::nullopt, {}});
    other.truncate(mark);
    EXPECT_TRUE(other.links.empty());
    batch.clear();
    EXPECT_TRUE(batch.links.empty());
}

}  // namespace
}  // namespace joinery::crdt
