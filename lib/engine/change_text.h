/// @file
/// Changes in words that people and programs read: paths of slots, names of operations.
#pragma once

#include "crdt/document.h"
#include "crdt/forks.h"
#include "joinery/document.h"

#include <cstdint>
#include <string>

namespace joinery::detail {

/// Paths of slots as they stand now: elements by index where they show, else by name.
class PathPrinter {
  public:
    /// @p document Must outlive this.
    explicit PathPrinter(const crdt::Document& document)
        : names_(document.names()), state_(document.state()) {}

    std::string slot(crdt::ContainerIndex container, std::uint32_t key) const;
    std::string container(crdt::ContainerIndex container) const;

  private:
    const crdt::Names& names_;
    const crdt::State& state_;
};

/// Operation @p op of @p batch, which stands at @p slot of the document of @p paths.
ChangeInfo::Op describe(const crdt::Batch& batch,
                        const crdt::Op& op,
                        const PathPrinter& paths,
                        const crdt::ForkedDocument::Slot& slot);

}  // namespace joinery::detail
