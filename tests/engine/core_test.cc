// Cores as two processes on one store, and as neighbours without a link: what the simulator found,
// each by itself.

#include "engine/core.h"

#include "persist/memory_store.h"
#include "support/dice.h"

#include <gtest/gtest.h>
#include <memory>
#include <string>

namespace joinery::detail {
namespace {

class FixedClock final : public Clock {
  public:
    WallTime wall_now() override { return WallTime(1'700'000'000'000); }
    MonotonicTime monotonic_now() override { return {}; }
};

class CoreTest : public testing::Test {
  protected:
    std::unique_ptr<Core> open_on(std::unique_ptr<Store> store) {
        Core::Hooks hooks;
        hooks.on_pending = [] {};
        hooks.run_callback = [](const std::function<void()>& callback) { callback(); };
        auto core = Core::open(std::move(store), clock_, random_, std::move(hooks));
        EXPECT_TRUE(core.has_value());
        return *std::move(core);
    }
    std::unique_ptr<Core> open(persist::MemoryDisk& disk) {
        return open_on(*persist::open_memory_store(disk, random_));
    }
    static DocumentCore& document(Core& core) { return **core.open_document("d", true); }
    static void set(Core& core, const std::string& path, std::int64_t value) {
        const auto done =
            document(core).transact([&](Tx& tx) { return tx.set(path, Value(value)); }, "");
        ASSERT_TRUE(done.has_value() && done->changed);
    }
    /// Gives @p to what it lacks of @p from, as one message of a session.
    static void send(Core& from, Core& to) {
        session::Frontier theirs = document(to).frontier();
        crdt::EncoderDictionary encoder;
        crdt::DecoderDictionary decoder;
        const auto missing = document(from).encode_missing(theirs, encoder, 1U << 20U);
        ASSERT_TRUE(missing.has_value()) << missing.error().what;
        const auto report = document(to).receive(missing->changes, decoder, missing->seals);
        ASSERT_TRUE(report.has_value()) << report.error().what;
    }
    static Digest digest(Core& core) { return document(core).status()->digest; }

    FixedClock clock_;
    test::SeededRandom random_{1};
    persist::MemoryDisk disk_;
    persist::MemoryDisk other_disk_;
};

TEST_F(CoreTest, WhatAnotherProcessStoredDoesNotHideASealThatIsStillToBeStored) {
    const auto author = open(other_disk_);
    const auto one = open(disk_);
    const auto two = open(disk_);
    set(*author, "/a", 1);
    ASSERT_TRUE(author->commit().has_value());
    send(*author, *one);
    send(*author, *two);
    ASSERT_TRUE(one->commit().has_value());
    set(*author, "/a", 2);
    ASSERT_TRUE(author->commit().has_value());
    send(*author, *two);
    ASSERT_TRUE(two->commit().has_value());
    EXPECT_EQ(digest(*two), digest(*author));
    ASSERT_TRUE(one->commit().has_value());
    EXPECT_EQ(digest(*one), digest(*author));
}

TEST_F(CoreTest, ASnapshotIsMadeAlsoWhereAnotherProcessReplacedTheLastOne) {
    const auto one = open(disk_);
    const auto two = open(disk_);
    set(*one, "/a", 1);
    ASSERT_TRUE(one->commit().has_value());
    ASSERT_TRUE(two->open_document("d", false).has_value());
    EXPECT_EQ(*one->make_snapshots(1), 1U);
    set(*one, "/a", 2);
    ASSERT_TRUE(one->commit().has_value());
    ASSERT_TRUE(two->commit().has_value());
    EXPECT_EQ(*two->make_snapshots(1), 1U);
    // `one` still believes in the snapshot that is gone.
    const auto made = one->make_snapshots(1);
    ASSERT_TRUE(made.has_value()) << made.error().what;
    EXPECT_EQ(*made, 0U);
    EXPECT_EQ(digest(*open(disk_)), digest(*one));
}

/// A store on which something happens right after each of its commits.
class BusyStore final : public Store {
  public:
    BusyStore(std::unique_ptr<Store> store, std::function<void()> then)
        : store_(std::move(store)), then_(std::move(then)) {}
    Result<std::unique_ptr<StoreReader>> read() override { return store_->read(); }
    Result<std::unique_ptr<StoreWriter>> write() override {
        JOINERY_TRY(auto writer, store_->write());
        return std::unique_ptr<StoreWriter>(std::make_unique<Writer>(std::move(writer), then_));
    }
    std::uint64_t commit_count() override { return store_->commit_count(); }
    Incarnation incarnation() const override { return store_->incarnation(); }
    Result<void> renew_incarnation() override { return store_->renew_incarnation(); }
    std::uint32_t writer_slot() const override { return store_->writer_slot(); }
    std::uint32_t writer_generation() const override { return store_->writer_generation(); }

  private:
    class Writer final : public StoreWriter {
      public:
        Writer(std::unique_ptr<StoreWriter> writer, std::function<void()>& then)
            : writer_(std::move(writer)), then_(then) {}
        Result<std::optional<ByteView>> get(Table table, ByteView key) override {
            return writer_->get(table, key);
        }
        Result<std::optional<Record>> first_at_or_after(Table table, ByteView key) override {
            return writer_->first_at_or_after(table, key);
        }
        Result<std::optional<Record>> last_before(Table table, ByteView key) override {
            return writer_->last_before(table, key);
        }
        ByteView damaged_key() const override { return writer_->damaged_key(); }
        Result<void> put(Table table, ByteView key, ByteView value) override {
            return writer_->put(table, key, value);
        }
        Result<void> erase(Table table, ByteView key) override {
            return writer_->erase(table, key);
        }
        Result<void> commit() override {
            JOINERY_TRY_VOID(writer_->commit());
            if (then_) std::exchange(then_, {})();
            return {};
        }

      private:
        std::unique_ptr<StoreWriter> writer_;
        std::function<void()>& then_;
    };

    std::unique_ptr<Store> store_;
    std::function<void()> then_;
};

TEST_F(CoreTest, WhatAnotherProcessCommitsRightBehindOursIsNotOverwritten) {
    const auto two = open(disk_);
    set(*two, "/a", 1);
    ASSERT_TRUE(two->commit().has_value());
    auto store = std::make_unique<BusyStore>(*persist::open_memory_store(disk_, random_), [&] {
        set(*two, "/b", 2);
        ASSERT_TRUE(two->commit().has_value());
    });
    const auto one = open_on(std::move(store));
    set(*one, "/c", 3);
    ASSERT_TRUE(one->commit().has_value());
    EXPECT_TRUE(one->others_wrote());
    set(*one, "/d", 4);
    ASSERT_TRUE(one->commit().has_value());
    const auto three = open(disk_);
    const auto view = document(*three).read("");
    ASSERT_TRUE(view.has_value());
    EXPECT_EQ(view->object().size(), 4U);
    EXPECT_EQ(digest(*three), digest(*one));
}

}  // namespace
}  // namespace joinery::detail
