/// @file
/// Where live registers, which name their maps by id, meet the containers of a document.
#pragma once

#include "crdt/live.h"
#include "crdt/names.h"

namespace joinery::crdt {

/// Finds containers by their ids. It looks at a name once, so that a search costs O(1).
class ContainerFinder {
  public:
    /// The container of that id; kNone if @p names has none.
    ContainerIndex find(const Names& names, const PathId& id);
    std::size_t memory_size() const noexcept { return index_.memory_size(); }

  private:
    FlatIndex index_;
    ContainerIndex seen_ = 0;
    std::uint64_t truncation_count_ = 0;
};

/// A live register that changed, in a map that is known.
struct LiveTouch {
    ContainerIndex map = kRoot;
    const Live::Before* before = nullptr;
};

}  // namespace joinery::crdt
