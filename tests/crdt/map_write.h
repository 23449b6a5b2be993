/// @file
/// The documents of the benchmark workload "map write": 1,000 widgets of 8 fields, written at
/// random.
#pragma once

#include "crdt/document.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace joinery::crdt::test {

/// Writes fields of 1,000 widgets as the workload W1 does; every document gets the same writes.
class MapWrite {
  public:
    /// One change by another actor makes the widgets.
    explicit MapWrite(Document& document);
    /// The next @p count writes, a change each, one millisecond apart.
    void write(std::size_t count);
    /// Writes every field once, a change each.
    void write_each_field();

  private:
    void put(std::uint32_t widget, std::uint32_t field);
    Value random_value(std::uint32_t widget, std::uint32_t field);
    std::uint32_t next();
    std::uint32_t below(std::uint32_t limit);

    Document& document_;
    std::vector<ContainerIndex> widgets_;
    std::vector<bool> last_flags_;  // By field of a widget.
    std::uint32_t state_ = 0x5eed0001;
    std::int64_t time_ms_ = 1'700'000'000'000;
};

}  // namespace joinery::crdt::test
