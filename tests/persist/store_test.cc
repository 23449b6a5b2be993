// What every Store promises, run on both kinds.
#include "tests/persist/support.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <string>
#include <thread>
#include <vector>

namespace joinery::persist::test {
namespace {

class StoreTest : public ::testing::TestWithParam<const char*> {
  protected:
    StoreTest() : backend_(make_backend(GetParam())) { reopen(); }

    void reopen() {
        store_.reset();
        auto opened = backend_->open();
        if (!opened) throw std::runtime_error(std::string(opened.error().what));
        store_ = *std::move(opened);
    }
    Store& store() { return *store_; }

  private:
    std::unique_ptr<Backend> backend_;
    std::unique_ptr<Store> store_;
};

INSTANTIATE_TEST_SUITE_P(Both,
                         StoreTest,
                         ::testing::Values("lmdb", "memory"),
                         [](const auto& tested) { return std::string(tested.param); });

TEST_P(StoreTest, AnEmptyStoreHasNoRecords) {
    for (std::uint8_t table = 0; table < kTableCount; ++table) {
        const auto found = scan(store(), static_cast<Table>(table));
        JOINERY_ASSERT_OK(found);
        EXPECT_TRUE(found->empty());
    }
    const auto reader = *store().read();
    EXPECT_FALSE((*reader->last_before(Table::log, as_bytes("z"))).has_value());
}

TEST_P(StoreTest, AWriterSeesItsOwnWritesAndOthersDoNotUntilCommit) {
    const auto writer = *store().write();
    JOINERY_ASSERT_OK(writer->put(Table::log, as_bytes("k"), as_bytes("v")));
    EXPECT_EQ(text_of(**writer->get(Table::log, as_bytes("k"))), "v");
    EXPECT_EQ(scan(*writer, Table::log)->size(), 1U);
    EXPECT_EQ(text_of((*writer->last_before(Table::log, as_bytes("l")))->key), "k");
    EXPECT_FALSE((*get_one(store(), Table::log, "k")).has_value());
    JOINERY_ASSERT_OK(writer->commit());
    EXPECT_EQ(*get_one(store(), Table::log, "k"), "v");
}

TEST_P(StoreTest, AWriterDestroyedUncommittedUndoesItsWrites) {
    JOINERY_ASSERT_OK(put_one(store(), Table::log, "kept", "1"));
    {
        const auto writer = *store().write();
        JOINERY_ASSERT_OK(writer->put(Table::log, as_bytes("lost"), as_bytes("2")));
        JOINERY_ASSERT_OK(writer->erase(Table::log, as_bytes("kept")));
        EXPECT_FALSE((*writer->get(Table::log, as_bytes("kept"))).has_value());
    }
    EXPECT_EQ(*scan(store(), Table::log), (Model{{"kept", "1"}}));
}

TEST_P(StoreTest, AReaderStaysAtItsMoment) {
    JOINERY_ASSERT_OK(put_one(store(), Table::log, "a", "old"));
    JOINERY_ASSERT_OK(put_one(store(), Table::log, "b", "erased later"));
    const auto reader = *store().read();
    const ByteView view = **reader->get(Table::log, as_bytes("a"));
    for (int i = 0; i < 20; ++i) {
        JOINERY_ASSERT_OK(put_one(store(), Table::log, "a", "new" + std::to_string(i)));
        JOINERY_ASSERT_OK(put_one(store(), Table::log, "c", "added"));
        const auto writer = *store().write();
        JOINERY_ASSERT_OK(writer->erase(Table::log, as_bytes("b")));
        JOINERY_ASSERT_OK(writer->commit());
    }
    EXPECT_EQ(text_of(view), "old");
    EXPECT_EQ(*scan(*reader, Table::log), (Model{{"a", "old"}, {"b", "erased later"}}));
    EXPECT_EQ(*scan(store(), Table::log), (Model{{"a", "new19"}, {"c", "added"}}));
}

TEST_P(StoreTest, TablesDoNotMix) {
    for (std::uint8_t table = 0; table < kTableCount; ++table) {
        JOINERY_ASSERT_OK(
            put_one(store(), static_cast<Table>(table), "same key", std::to_string(table)));
    }
    for (std::uint8_t table = 0; table < kTableCount; ++table) {
        EXPECT_EQ(*scan(store(), static_cast<Table>(table)),
                  (Model{{"same key", std::to_string(table)}}));
    }
}

TEST_P(StoreTest, KeysAreOrderedAsUnsignedBytesWithPrefixesFirst) {
    const std::vector<std::string> ordered = {std::string(1, '\0'),
                                              std::string(2, '\0'),
                                              std::string("\0a", 2),
                                              "a",
                                              std::string("a\0", 2),
                                              "aa",
                                              "b",
                                              "\x7f",
                                              "\x80",
                                              "\xff",
                                              "\xff\xff"};
    std::vector<std::string> shuffled = ordered;
    std::reverse(shuffled.begin(), shuffled.end());
    for (const std::string& key : shuffled) {
        JOINERY_ASSERT_OK(put_one(store(), Table::index, key, key));
    }
    const auto reader = *store().read();
    std::vector<std::string> forwards;
    for (std::string from;;) {
        const auto record = *reader->first_at_or_after(Table::index, as_bytes(from));
        if (!record) break;
        forwards.push_back(text_of(record->key));
        from = forwards.back() + '\0';
    }
    EXPECT_EQ(forwards, ordered);
    std::vector<std::string> backwards;
    for (std::string before(kStoreKeySizeMax, '\xff');;) {
        const auto record = *reader->last_before(Table::index, as_bytes(before));
        if (!record) break;
        backwards.push_back(before = text_of(record->key));
    }
    std::reverse(backwards.begin(), backwards.end());
    EXPECT_EQ(backwards, ordered);
}

TEST_P(StoreTest, KeysAndValuesAtTheirLimitsAreTakenAndLongerOnesRefused) {
    const std::string longest(kStoreKeySizeMax, 'k');
    const std::string too_long(kStoreKeySizeMax + 1, 'k');
    const std::string big(3U << 20U, 'v');
    const auto writer = *store().write();
    JOINERY_ASSERT_OK(writer->put(Table::log, as_bytes(longest), as_bytes(big)));
    JOINERY_ASSERT_OK(writer->put(Table::log, as_bytes("empty"), {}));
    EXPECT_EQ(code_of(writer->put(Table::log, as_bytes(too_long), {})), "over limit");
    EXPECT_EQ(code_of(writer->put(Table::log, {}, as_bytes("v"))), "malformed");
    const ByteView huge(reinterpret_cast<const std::uint8_t*>(big.data()), kStoreValueSizeMax + 1);
    EXPECT_EQ(code_of(writer->put(Table::log, as_bytes("huge"), huge)), "over limit");
    JOINERY_ASSERT_OK(writer->erase(Table::log, as_bytes(too_long)));
    JOINERY_ASSERT_OK(writer->erase(Table::log, {}));
    JOINERY_ASSERT_OK(writer->commit());  // A refused argument does not spoil the transaction.
    EXPECT_EQ(*get_one(store(), Table::log, longest), big);
    EXPECT_EQ(*get_one(store(), Table::log, "empty"), "");
    EXPECT_FALSE((*get_one(store(), Table::log, too_long)).has_value());
    EXPECT_FALSE((*get_one(store(), Table::log, "")).has_value());
    const auto reader = *store().read();
    EXPECT_EQ(text_of((*reader->last_before(Table::log, as_bytes(too_long)))->key), longest);
    EXPECT_FALSE((*reader->first_at_or_after(Table::log, as_bytes(too_long))).has_value());
}

TEST_P(StoreTest, AWriterMayBeGivenItsOwnViews) {
    JOINERY_ASSERT_OK(put_one(store(), Table::log, "a", std::string(100, 'x')));
    const auto writer = *store().write();
    for (char letter = 'b'; letter < 'z'; ++letter) {
        const auto record = **writer->last_before(Table::log, as_bytes("zz"));
        std::string key(1, letter);
        JOINERY_ASSERT_OK(writer->put(Table::log, as_bytes(key), record.value));
        const auto last = **writer->last_before(Table::log, as_bytes("zz"));
        JOINERY_ASSERT_OK(writer->put(Table::seals, last.key, last.value));
    }
    const auto first = **writer->first_at_or_after(Table::log, {});
    JOINERY_ASSERT_OK(writer->erase(Table::log, first.key));
    JOINERY_ASSERT_OK(writer->commit());
    const Model log = *scan(store(), Table::log);
    EXPECT_EQ(log, *scan(store(), Table::seals));
    EXPECT_EQ(log.size(), 24U);
    for (const auto& [key, value] : log)
        EXPECT_EQ(value, std::string(100, 'x')) << key;
}

TEST_P(StoreTest, CommitCountMovesWithEveryCommitThatWroteAndOnlyThen) {
    const std::uint64_t before = store().commit_count();
    {
        const auto writer = *store().write();
    }
    {
        const auto writer = *store().write();
        JOINERY_ASSERT_OK(writer->erase(Table::log, as_bytes("absent")));
        JOINERY_ASSERT_OK(writer->commit());
    }
    static_cast<void>(*scan(store(), Table::log));
    EXPECT_EQ(store().commit_count(), before);
    JOINERY_ASSERT_OK(put_one(store(), Table::log, "k", "v"));
    EXPECT_EQ(store().commit_count(), before + 1);
}

TEST_P(StoreTest, TheSameThreadCannotHoldTwoWriters) {
    const auto writer = *store().write();
    EXPECT_EQ(code_of(store().write()), "busy");
    EXPECT_EQ(code_of(store().renew_incarnation(IncarnationReason::overtaken, WallTime(7))),
              "busy");
}

TEST_P(StoreTest, WritersOfManyThreadsTakeTurns) {
    constexpr int kThreads = 4;
    constexpr int kRounds = 25;
    std::vector<std::thread> threads;
    for (int thread = 0; thread < kThreads; ++thread) {
        threads.emplace_back([this] {
            for (int round = 0; round < kRounds; ++round) {
                const auto writer = *store().write();
                const auto old = *writer->get(Table::meta, as_bytes("sum"));
                const int sum = old ? std::stoi(text_of(*old)) : 0;
                const std::string text = std::to_string(sum + 1);
                if (!writer->put(Table::meta, as_bytes("sum"), as_bytes(text))) std::abort();
                if (!writer->commit()) std::abort();
            }
        });
    }
    for (std::thread& thread : threads)
        thread.join();
    EXPECT_EQ(*get_one(store(), Table::meta, "sum"), std::to_string(kThreads * kRounds));
}

TEST_P(StoreTest, ReadersOfOtherThreadsSeeWholeCommitsOnly) {
    std::thread writing([this] {
        for (int round = 0; round < 100; ++round) {
            const auto writer = *store().write();
            const std::string text = std::to_string(round);
            if (!writer->put(Table::meta, as_bytes("a"), as_bytes(text))) std::abort();
            if (!writer->put(Table::live, as_bytes("b"), as_bytes(text))) std::abort();
            if (!writer->commit()) std::abort();
        }
    });
    for (std::string seen; seen != "99";) {
        const auto reader = *store().read();
        const auto a = *reader->get(Table::meta, as_bytes("a"));
        const auto b = *reader->get(Table::live, as_bytes("b"));
        ASSERT_EQ(a.has_value(), b.has_value());
        if (!a) continue;
        seen = text_of(*a);
        ASSERT_EQ(seen, text_of(*b));
    }
    writing.join();
}

TEST_P(StoreTest, WhatWasCommittedIsThereAfterReopening) {
    JOINERY_ASSERT_OK(put_one(store(), Table::snapshots, "k", "v"));
    const Incarnation incarnation = store().incarnation();
    reopen();
    EXPECT_EQ(*get_one(store(), Table::snapshots, "k"), "v");
    EXPECT_EQ(store().incarnation(), incarnation);
    EXPECT_EQ(store().writer_slot(), 0U);
    EXPECT_EQ(store().writer_generation(), 0U);
}

TEST_P(StoreTest, ARenewedIncarnationHoldsAtOnceAndAfterReopening) {
    const Incarnation first = store().incarnation();
    EXPECT_FALSE(first.is_zero());
    JOINERY_ASSERT_OK(store().renew_incarnation(IncarnationReason::overtaken, WallTime(7)));
    const Incarnation second = store().incarnation();
    EXPECT_NE(second, first);
    EXPECT_FALSE(*store().follow_incarnation());
    reopen();
    EXPECT_EQ(store().incarnation(), second);
}

TEST_P(StoreTest, TheLogOfIncarnationsSaysWhenAndWhy) {
    const Incarnation first = store().incarnation();
    JOINERY_ASSERT_OK(store().renew_incarnation(IncarnationReason::overtaken, WallTime(-5)));
    const Incarnation second = store().incarnation();
    const std::vector<IncarnationChange> expected{
        {first, IncarnationReason::created, WallTime(0)},
        {second, IncarnationReason::overtaken, WallTime(-5)}};
    EXPECT_EQ(*store().incarnation_changes(), expected);
    reopen();
    EXPECT_EQ(*store().incarnation_changes(), expected);
}

TEST_P(StoreTest, TheLogOfIncarnationsKeepsTheNewest) {
    for (std::int64_t i = 1; i < 300; ++i) {
        JOINERY_ASSERT_OK(store().renew_incarnation(IncarnationReason::overtaken, WallTime(i)));
    }
    const auto log = *store().incarnation_changes();
    ASSERT_EQ(log.size(), kIncarnationLogMax);
    EXPECT_EQ(log.back().incarnation, store().incarnation());
    EXPECT_EQ(log.back().time, WallTime(299));
    EXPECT_EQ(log.front().time, WallTime(300 - 256));
}

enum class Step : std::uint8_t {
    put,
    put_big,
    erase,
    get,
    at_or_after,
    before,
    commit,
    abandon,
    reopen
};

std::string random_key() {
    // Few letters and lengths, so that keys meet; some with a long common prefix.
    const auto letters = *rc::gen::container<std::string>(*rc::gen::inRange<std::size_t>(1, 4),
                                                          rc::gen::element('\0', 'a', 'b', '\xff'));
    return *rc::gen::weightedElement<std::string>(
        {{4, letters}, {1, std::string(300, 'p') + letters}});
}

void check_equal(StoreReader& reader, const Model& model, Step step, const std::string& key) {
    if (step == Step::get) {
        const auto found = *reader.get(Table::log, as_bytes(key));
        const auto expected = model.find(key);
        RC_ASSERT(found.has_value() == (expected != model.end()));
        if (found) RC_ASSERT(text_of(*found) == expected->second);
        return;
    }
    auto expected = model.lower_bound(key);
    const bool before = step == Step::before;
    const auto found = before ? *reader.last_before(Table::log, as_bytes(key))
                              : *reader.first_at_or_after(Table::log, as_bytes(key));
    const bool exists = before ? expected != model.begin() : expected != model.end();
    RC_ASSERT(found.has_value() == exists);
    if (!exists) return;
    if (before) --expected;
    RC_ASSERT(text_of(found->key) == expected->first);
    RC_ASSERT(text_of(found->value) == expected->second);
}

// The oracle is a std::map; rapidcheck prints the seed of a failure.
void run_random_steps(Backend& backend) {
    auto store = *backend.open();
    Model committed;
    Model current;
    auto writer = *store->write();
    const auto steps = *rc::gen::container<std::vector<Step>>(
        rc::gen::weightedElement<Step>({{8, Step::put},
                                        {1, Step::put_big},
                                        {4, Step::erase},
                                        {4, Step::get},
                                        {4, Step::at_or_after},
                                        {4, Step::before},
                                        {2, Step::commit},
                                        {1, Step::abandon},
                                        {1, Step::reopen}}));
    for (const Step step : steps) {
        const std::string key = random_key();
        const std::string value(step == Step::put_big ? 9000U : 3U, key[0]);
        if (step == Step::put || step == Step::put_big) {
            RC_ASSERT(writer->put(Table::log, as_bytes(key), as_bytes(value)).has_value());
            current[key] = value;
        } else if (step == Step::erase) {
            RC_ASSERT(writer->erase(Table::log, as_bytes(key)).has_value());
            current.erase(key);
        } else if (step == Step::commit || step == Step::abandon || step == Step::reopen) {
            if (step == Step::commit) RC_ASSERT(writer->commit().has_value());
            if (step == Step::commit) committed = current;
            current = committed;
            writer.reset();
            if (step == Step::reopen) store.reset();
            if (step == Step::reopen) store = *backend.open();
            writer = *store->write();
        } else {
            check_equal(*writer, current, step, key);
            check_equal(**store->read(), committed, step, key);
        }
    }
    RC_ASSERT(*scan(*writer, Table::log) == current);
    RC_ASSERT(*scan(*store, Table::log) == committed);
}

TEST_P(StoreTest, BehavesLikeASortedMap) {
    EXPECT_TRUE(rc::check([] { run_random_steps(*make_backend(GetParam())); }));
}

}  // namespace
}  // namespace joinery::persist::test
