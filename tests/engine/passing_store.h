/// @file
/// A store that passes everything on to another, for tests that change one thing of it.
#pragma once

#include "base/store.h"

#include <memory>
#include <utility>
#include <vector>

namespace joinery::detail {

/// @tparam Base  StoreReader or StoreWriter.
template <class Base>
class PassingReader : public Base {
  public:
    explicit PassingReader(std::unique_ptr<Base> inner) : inner_(std::move(inner)) {}
    Result<std::optional<ByteView>> get(Table table, ByteView key) override {
        return inner_->get(table, key);
    }
    Result<std::optional<StoreReader::Record>> first_at_or_after(Table table,
                                                                 ByteView key) override {
        return inner_->first_at_or_after(table, key);
    }
    Result<std::optional<StoreReader::Record>> last_before(Table table, ByteView key) override {
        return inner_->last_before(table, key);
    }
    ByteView damaged_key() const override { return inner_->damaged_key(); }

  protected:
    Base& inner() { return *inner_; }

  private:
    std::unique_ptr<Base> inner_;
};

class PassingWriter : public PassingReader<StoreWriter> {
  public:
    using PassingReader::PassingReader;
    Result<void> put(Table table, ByteView key, ByteView value) override {
        return inner().put(table, key, value);
    }
    Result<void> erase(Table table, ByteView key) override { return inner().erase(table, key); }
    Result<void> commit() override { return inner().commit(); }
};

class PassingStore : public Store {
  public:
    explicit PassingStore(std::unique_ptr<Store> inner) : inner_(std::move(inner)) {}
    Result<std::unique_ptr<StoreReader>> read() override { return inner_->read(); }
    Result<std::unique_ptr<StoreWriter>> write() override { return inner_->write(); }
    std::uint64_t commit_count() override { return inner_->commit_count(); }
    Incarnation incarnation() const override { return inner_->incarnation(); }
    Result<void> renew_incarnation(IncarnationReason reason, WallTime now) override {
        return inner_->renew_incarnation(reason, now);
    }
    Result<bool> follow_incarnation() override { return inner_->follow_incarnation(); }
    Result<std::vector<IncarnationChange>> incarnation_changes() override {
        return inner_->incarnation_changes();
    }
    void mark_unclean() noexcept override { inner_->mark_unclean(); }
    std::uint32_t writer_slot() const override { return inner_->writer_slot(); }
    std::uint32_t writer_generation() const override { return inner_->writer_generation(); }

  protected:
    Store& inner() { return *inner_; }

  private:
    std::unique_ptr<Store> inner_;
};

}  // namespace joinery::detail
