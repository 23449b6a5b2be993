/// @file
/// A peer without threads on a memory disk, whose keys come from a seed and whose clock is set by
/// hand, so that what it makes of real data is the same on every run.
#pragma once

#include "base/plain.h"
#include "engine/core.h"
#include "persist/memory_store.h"
#include "support/dice.h"

#include <cstdint>
#include <memory>

namespace joinery::testing {

/// A clock that stands until it is set.
class SetClock final : public Clock {
  public:
    WallTime wall_now() override { return now_; }
    MonotonicTime monotonic_now() override { return {}; }
    void set(WallTime now) { now_ = now; }

  private:
    WallTime now_{0};
};

/// Has one document. Everything throws std::runtime_error where the engine answers an Error.
class DataPeer {
  public:
    explicit DataPeer(std::uint64_t seed);

    /// Makes the document equal to @p value at @p time, durable; whether that took a change.
    bool import(const Plain& value, WallTime time);
    Plain view() const;
    Digest digest() const;
    std::uint64_t change_count() const;

    detail::Core& core() { return *core_; }
    const detail::DocumentCore& document() const { return *document_; }
    void commit();

  private:
    SetClock clock_;
    test::SeededRandom random_;
    persist::MemoryDisk disk_;
    std::unique_ptr<detail::Core> core_;
    std::shared_ptr<detail::DocumentCore> document_;
};

/// Runs sessions between the two until both have the same, durable on both sides, and have said so.
void exchange(DataPeer& a, DataPeer& b);

}  // namespace joinery::testing
