// Holds that the hot path allocates nothing once it is warm: the one program whose operator new
// counts.
#include "crdt/actors.h"
#include "crdt/codec.h"
#include "crdt/transaction.h"

#include <array>
#include <cstdlib>
#include <gtest/gtest.h>
#include <new>
#include <string>

namespace {

std::size_t allocation_count = 0;

}  // namespace

// NOLINTBEGIN(cppcoreguidelines-no-malloc): what operator new is made of.
void* operator new(std::size_t size) {
    ++allocation_count;
    if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t /*size*/) noexcept { std::free(memory); }
// NOLINTEND(cppcoreguidelines-no-malloc)

namespace joinery::crdt::test {
namespace {

/// How many allocations @p body makes.
template <class Body>
std::size_t allocations(Body&& body) {
    const std::size_t before = allocation_count;
    body();
    return allocation_count - before;
}

/// A document with a map, a counter and a list, and one who follows it message by message.
class Pair {
  public:
    Pair() {
        const Transaction::Content none{Kind::none, Value(std::int64_t{0})};
        change([&](Transaction& t) {
            map_ = *t.make(kRoot, *t.key("map"), Kind::map);
            counter_ = *t.make(kRoot, *t.key("counter"), Kind::counter);
            list_ = *t.make(kRoot, *t.key("list"), Kind::list);
            for (int i = 0; i < 64; ++i)
                (void)t.insert(list_, 0, none);
            for (auto& key : keys_)
                key = *t.key("key " + std::to_string(&key - keys_.data()));
        });
    }
    /// One change, its message, and its arrival at the other side.
    template <class Verbs>
    void change(Verbs&& verbs) {
        Transaction transaction(document_, chain_, WallTime(++time_ms_));
        verbs(transaction);
        JOINERY_ASSERT(transaction.commit().value());
        message_.clear();
        const Batch& made = document_.outgoing().batch;
        encode_changes(document_.names(), made, 0, 1, encoder_, message_);
        document_.clear_outgoing();
        arrived_.clear();
        JOINERY_ASSERT(decode_changes(message_, follower_.names(), decoder_, arrived_).has_value());
        const auto hashes = follower_.check(arrived_);
        JOINERY_ASSERT(hashes.has_value());
        JOINERY_ASSERT(follower_.apply(arrived_, *hashes).has_value());
    }
    /// Allocations of @p count changes by @p verbs, after as many that warm up.
    template <class Verbs>
    std::size_t of(int count, Verbs&& verbs) {
        for (int i = 0; i < count; ++i)
            change([&](Transaction& t) { verbs(t, i); });
        return allocations([&] {
            for (int i = 0; i < count; ++i)
                change([&](Transaction& t) { verbs(t, i); });
        });
    }

    ContainerIndex map() const { return map_; }
    ContainerIndex counter() const { return counter_; }
    ContainerIndex list() const { return list_; }
    KeyIndex key(int i) const { return keys_[static_cast<std::size_t>(i) % keys_.size()]; }
    bool agree() { return document_.digest() == follower_.digest(); }

  private:
    Document document_{"doc"}, follower_{"doc"};
    ChainIndex chain_ = document_.names().intern_actor(actor_of(1));
    std::int64_t time_ms_ = 0;
    ContainerIndex map_ = kNone, counter_ = kNone, list_ = kNone;
    std::array<KeyIndex, 16> keys_{};
    EncoderDictionary encoder_;
    DecoderDictionary decoder_;
    Bytes message_;
    Batch arrived_;
};

TEST(Allocation, APutIsMadeSentAndAppliedWithoutAny) {
    Pair pair;
    std::int64_t value = 0;
    EXPECT_EQ(pair.of(1000,
                      [&](Transaction& t, int i) {
                          ASSERT_TRUE(t.put(pair.map(), pair.key(i), Value(++value)));
                      }),
              0U);
    EXPECT_TRUE(pair.agree());
}

TEST(Allocation, AnIncrementIsMadeSentAndAppliedWithoutAny) {
    Pair pair;
    EXPECT_EQ(
        pair.of(1000,
                [&](Transaction& t, int /*i*/) { ASSERT_TRUE(t.increment(pair.counter(), 2)); }),
        0U);
    EXPECT_TRUE(pair.agree());
}

TEST(Allocation, AnErasedKeyComesBackWithoutAny) {
    Pair pair;
    EXPECT_EQ(pair.of(1000,
                      [&](Transaction& t, int i) {
                          const KeyIndex key = pair.key(0);
                          if (i % 2 == 0) {
                              ASSERT_TRUE(t.put(pair.map(), key, Value(std::int64_t{i})));
                          } else {
                              ASSERT_TRUE(t.erase(pair.map(), key));
                          }
                      }),
              0U);
    EXPECT_TRUE(pair.agree());
}

// Places, the names of elements and what both ends call them stay, so their arrays grow: by a
// factor, not by an operation.
constexpr std::size_t kGrowthMax = 60;

TEST(Allocation, ElementsComeAndGoForNothingButGrowth) {
    Pair pair;
    EXPECT_LE(
        pair.of(2000,
                [&](Transaction& t, int i) {
                    if (i % 2 == 0) {
                        const Value value(std::int64_t{i});
                        ASSERT_TRUE(t.insert(
                            pair.list(), static_cast<std::size_t>(i) % 60, {Kind::none, value}));
                    } else {
                        const auto at = static_cast<std::size_t>(i * 7) % 60;
                        ASSERT_TRUE(t.erase(pair.list(), *t.element_at(pair.list(), at)));
                    }
                }),
        kGrowthMax);
    EXPECT_TRUE(pair.agree());
}

TEST(Allocation, ElementsMoveForNothingButGrowth) {
    Pair pair;
    EXPECT_LE(pair.of(2000,
                      [&](Transaction& t, int i) {
                          const auto from = static_cast<std::size_t>(i * 7) % 60;
                          ASSERT_TRUE(t.move(pair.list(), from, (from + 17) % 60));
                      }),
              kGrowthMax);
    EXPECT_TRUE(pair.agree());
}

}  // namespace
}  // namespace joinery::crdt::test
