/// @file
/// A store that tells of its commits.
#pragma once

#include "base/store.h"

#include <functional>
#include <memory>
#include <utility>
#include <vector>

namespace joinery::detail {

/// A store on which something happens at its commits.
class BusyStore final : public Store {
  public:
    /// @param before  Before each commit.
    /// @param then    After the next one that succeeds.
    BusyStore(std::unique_ptr<Store> store,
              std::function<void()> before,
              std::function<void()> then)
        : store_(std::move(store)), hooks_{std::move(before), std::move(then)} {}
    Result<std::unique_ptr<StoreReader>> read() override { return store_->read(); }
    Result<std::unique_ptr<StoreWriter>> write() override {
        JOINERY_TRY(auto writer, store_->write());
        return std::unique_ptr<StoreWriter>(std::make_unique<Writer>(std::move(writer), hooks_));
    }
    std::uint64_t commit_count() override { return store_->commit_count(); }
    Incarnation incarnation() const override { return store_->incarnation(); }
    Result<void> renew_incarnation(IncarnationReason reason, WallTime now) override {
        return store_->renew_incarnation(reason, now);
    }
    Result<bool> follow_incarnation() override { return store_->follow_incarnation(); }
    Result<std::vector<IncarnationChange>> incarnation_changes() override {
        return store_->incarnation_changes();
    }
    void mark_unclean() noexcept override { store_->mark_unclean(); }
    std::uint32_t writer_slot() const override { return store_->writer_slot(); }
    std::uint32_t writer_generation() const override { return store_->writer_generation(); }

  private:
    struct Hooks {
        std::function<void()> before, then;
    };
    class Writer final : public StoreWriter {
      public:
        Writer(std::unique_ptr<StoreWriter> writer, Hooks& hooks)
            : writer_(std::move(writer)), hooks_(hooks) {}
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
            if (hooks_.before) hooks_.before();
            JOINERY_TRY_VOID(writer_->commit());
            if (hooks_.then) std::exchange(hooks_.then, {})();
            return {};
        }

      private:
        std::unique_ptr<StoreWriter> writer_;
        Hooks& hooks_;
    };

    std::unique_ptr<Store> store_;
    Hooks hooks_;
};

}  // namespace joinery::detail
