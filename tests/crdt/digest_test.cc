// Attacks docs/semantics.md D1, D2: the digest that is kept up to date is that of the state,
// however large the container and whatever became of it.
#include "crdt/actors.h"
#include "crdt/cursor.h"
#include "crdt/hash.h"
#include "crdt/snapshot.h"
#include "crdt/transaction.h"

#include <gtest/gtest.h>
#include <map>
#include <random>
#include <string>

namespace joinery::crdt::test {
namespace {

/// docs/snapshot-format.md 1, as plainly as it can be written: entries by name and bytes.
Digest plain_digest(Kind kind, const std::vector<std::pair<Bytes, Bytes>>& entries) {
    Bytes chunk, chunks, group, groups;
    std::size_t chunk_count = 0;
    const auto end = [](Bytes& from, Bytes& to) {
        const auto digest = hash_as<Digest>(from);
        to.insert(to.end(), digest.bytes.begin(), digest.bytes.end());
        from.clear();
    };
    for (std::size_t i = 0; i < entries.size(); ++i) {
        const auto& [name, bytes] = entries[i];
        std::uint64_t h = 0xcbf29ce484222325U;
        for (const std::uint8_t byte : name)
            h = (h ^ byte) * 0x100000001b3U;
        const std::uint64_t g = h ^ (h >> 32U);
        const bool is_last = i + 1 == entries.size();
        chunk.insert(chunk.end(), bytes.begin(), bytes.end());
        if (g % 32 != 0 && !is_last) continue;
        const std::size_t before = chunks.size();
        end(chunk, chunks);
        group.insert(
            group.end(), chunks.begin() + static_cast<std::ptrdiff_t>(before), chunks.end());
        ++chunk_count;
        if (g % 1024 == 0 || is_last) end(group, groups);
    }
    Bytes top;
    ByteWriter out(top);
    out.u8(static_cast<std::uint8_t>(static_cast<unsigned>(kind) + (chunk_count > 64 ? 128U : 0U)));
    out.varint(entries.size());
    out.raw(chunk_count > 64 ? groups : chunks);
    return hash_as<Digest>(top);
}

/// Of a map of integers, put one by one by actor 1: @p counters has the dot of each.
Digest plain_digest(const std::map<std::string, std::pair<std::uint64_t, std::int64_t>>& puts) {
    std::vector<std::pair<Bytes, Bytes>> entries;
    for (const auto& [key, put] : puts) {
        Bytes bytes;
        ByteWriter out(bytes);
        out.sized(as_bytes(key));
        out.varint(1);
        out.raw(actor_of(1).view());
        out.varint(put.first);
        out.u8(0);
        out.u8(static_cast<std::uint8_t>(ValueType::integer));
        out.u64(static_cast<std::uint64_t>(put.second));
        out.u8(0);
        entries.push_back({Bytes(key.begin(), key.end()), bytes});
    }
    return plain_digest(Kind::map, entries);
}

TEST(Digest, IsWhatTheFormatSays) {
    Document document("doc");
    std::map<std::string, std::pair<std::uint64_t, std::int64_t>> puts;
    std::uint64_t counter = 0;
    for (const std::size_t size : {0U, 1U, 40U, 64U, 300U, 2000U, 2500U, 5000U}) {
        Transaction transaction(document, actor_of(1), WallTime(1));
        while (puts.size() < size) {
            const auto value = static_cast<std::int64_t>(puts.size());
            const std::string key = "key " + std::to_string(value);
            ASSERT_TRUE(transaction.put(kRoot, *transaction.key(key), Value(value)));
            puts[key] = {++counter, value};
        }
        ASSERT_TRUE(transaction.commit());
        EXPECT_EQ(document.digest(), plain_digest(puts)) << size;
    }
    // And back: groups become chunks again.
    while (puts.size() > 100) {
        Transaction transaction(document, actor_of(1), WallTime(2));
        for (int i = 0; i < 700 && puts.size() > 100; ++i) {
            ASSERT_TRUE(transaction.erase(kRoot, *transaction.key(puts.begin()->first)));
            puts.erase(puts.begin());
        }
        ASSERT_TRUE(transaction.commit());
        EXPECT_EQ(document.digest(), plain_digest(puts)) << puts.size();
    }
}

/// Edits one large map and one large list at random.
class Editor {
  public:
    Editor(std::uint32_t seed, std::uint32_t size) : random_(seed), size_(size) {
        Transaction t(document_, actor_of(1), WallTime(++time_ms_));
        map_ = *t.make(kRoot, *t.key("map"), Kind::map);
        list_ = *t.make(kRoot, *t.key("list"), Kind::list);
        for (std::uint32_t i = 0; i < size_; ++i)
            edit(t);
        EXPECT_TRUE(t.commit());
        document_.clear_outgoing();
    }
    Document& document() { return document_; }
    std::uint32_t below(std::uint32_t limit) {
        return static_cast<std::uint32_t>(random_() % limit);
    }

    /// A few edits, kept or not; the digest may be asked for in between.
    void change() {
        Transaction t(
            document_, actor_of(static_cast<std::uint8_t>(1 + below(3))), WallTime(++time_ms_));
        for (std::uint32_t i = 1 + below(6); i != 0; --i) {
            edit(t);
            if (below(8) == 0) document_.digest();
        }
        if (below(4) == 0) {
            t.abort();
        } else {
            EXPECT_TRUE(t.commit());
        }
        document_.clear_outgoing();
    }

  private:
    void edit(Transaction& t) {
        const auto key = *t.key("key " + std::to_string(below(2 * size_)));
        const auto count = element_count();
        const auto at = count == 0 ? 0 : below(count);
        const Value value(static_cast<std::int64_t>(below(1000)));
        // What there is nothing for is refused, which changes nothing.
        switch (below(9)) {
            case 0:
            case 1: (void)t.put(map_, key, value); break;
            case 2: (void)t.erase(map_, key); break;
            case 3: {
                const auto child = t.make(map_, key, Kind::map);
                if (child) (void)t.put(*child, *t.key("in"), value);
                break;
            }
            case 4: (void)t.insert(list_, at, {Kind::none, value}); break;
            case 5: (void)t.insert(list_, count, {Kind::map, {}}); break;
            case 6:
                if (count != 0) (void)t.erase(list_, *t.element_at(list_, at));
                break;
            case 7:
                if (count != 0) (void)t.move(list_, at, below(count));
                break;
            default:
                if (count != 0) (void)t.put(list_, *t.element_at(list_, at), value);
                break;
        }
    }
    std::uint32_t element_count() {
        const State::List* list = document_.state().list(list_);
        return list == nullptr ? 0 : list->places.visible_count();
    }

    Document document_{"doc"};
    std::mt19937 random_;
    std::uint32_t size_;
    std::int64_t time_ms_ = 0;
    ContainerIndex map_ = kNone, list_ = kNone;
};

void expect_kept(std::uint32_t seed, std::uint32_t size, int steps) {
    Editor editor(seed, size);
    for (int step = 0; step < steps; ++step) {
        for (std::uint32_t i = 1 + editor.below(4); i != 0; --i)
            editor.change();
        const auto anew = decode_snapshot(encode_snapshot(editor.document()));
        ASSERT_TRUE(anew);
        ASSERT_EQ(editor.document().digest(), (*anew)->digest())
            << "seed " << seed << ", size " << size << ", step " << step;
    }
}

TEST(Digest, OfLargeContainersIsKeptThroughEditsAndAborts) {
    for (std::uint32_t seed = 1; seed <= 12; ++seed)
        expect_kept(seed, 40 + 60 * seed, 60);
}

TEST(Digest, OfGroupsIsKeptThroughEditsAndAborts) { expect_kept(77, 24'000, 25); }

/// The digest after many writes to few keys, more notes than are kept.
TEST(Digest, IsKeptThroughMoreWritesThanAreNoted) {
    Editor editor(5, 600);
    const Digest first = editor.document().digest();
    for (int i = 0; i < 2000; ++i)
        editor.change();
    EXPECT_NE(editor.document().digest(), first);
    const auto anew = decode_snapshot(encode_snapshot(editor.document()));
    ASSERT_TRUE(anew);
    EXPECT_EQ(editor.document().digest(), (*anew)->digest());
}

}  // namespace
}  // namespace joinery::crdt::test
