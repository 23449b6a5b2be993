/// @file
/// The causal graph in a snapshot: written per chain, so that no trace of the order of arrival is
/// left, and put in a fixed topological order when read. Private to crdt/snapshot*.cc. Layout:
/// docs/snapshot-format.md 2.2.
#pragma once

#include "crdt/graph.h"
#include "crdt/snapshot_detail.h"

#include <span>
#include <vector>

namespace joinery::crdt {

class SnapshotGraph {
  public:
    /// The chains that have changes, sorted by actor: their numbers in a snapshot are their places
    /// here.
    static std::vector<ChainIndex> chains_of(const Graph& graph, const Names& names);

    /// Writes the graph; @p order as chains_of() gave it.
    static void write(const Graph& graph,
                      const Names& names,
                      std::span<const ChainIndex> order,
                      ByteWriter& out);

    /// Fills the empty @p graph and @p names with chains 0, 1, 2... in the order of their actors.
    /// Where it fails, so has @p in, and both are of no use.
    static void read(ByteReader& in, detail::SnapshotBudget& budget, Graph& graph, Names& names);

  private:
    class Reader;
};

}  // namespace joinery::crdt
