/// @file
/// The causal graph of a document: which change depends on which. It is kept whole for ever, as
/// runs of changes that follow one another on one chain, so a linear history costs one run.
///
/// Every change has a *local version* (lv): its number in order of arrival here. A run is a range
/// of lvs of one chain in which each change but the first depends on the one before it alone.
#pragma once

#include "base/result.h"
#include "crdt/batch.h"

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace joinery::crdt {

class Graph;

/// What an operation saw (rule C4), as a test on dots. Borrowed from a Graph until its next change.
class Context {
  public:
    /// @p limits By chain, the last operation seen; nullptr for all that @p graph has.
    Context(const Graph& graph, const std::uint64_t* limits) : graph_(&graph), limits_(limits) {}
    /// Whether the operation, which the graph has, was seen.
    bool covers(ChainIndex chain, std::uint64_t counter) const noexcept {
        return limits_ == nullptr || counter <= limits_[chain];
    }
    bool covers(Dot dot) const noexcept { return covers(dot.chain, dot.counter); }
    /// Whether the graph has the operation, and it was seen.
    bool has(Dot dot) const noexcept;
    /// Whether everything that the document has was seen.
    bool covers_all() const noexcept { return limits_ == nullptr; }

  private:
    const Graph* graph_;
    const std::uint64_t* limits_;
};

class Graph {
  public:
    struct Run {
        std::uint64_t lv = 0;     ///< Of its first change.
        std::uint64_t count = 0;  ///< Changes.
        std::uint64_t seq = 0;    ///< Of its first change.
        ChainIndex chain = kNone;
        std::uint32_t parent_begin =
            0;  ///< Dependencies of its first change, as lvs, own predecessor
        std::uint32_t parent_count = 0;  ///< left out.
    };

    std::uint64_t change_count() const noexcept { return change_count_; }
    /// The last seq of @p chain; 0 if none.
    std::uint64_t last_seq(ChainIndex chain) const noexcept {
        return chain < chains_.size() ? chains_[chain].last_seq : 0;
    }
    /// The counter that the next operation of @p chain takes.
    std::uint64_t next_counter(ChainIndex chain) const noexcept {
        return chain < chains_.size() ? chains_[chain].next_counter : 1;
    }
    /// The hash of the last change of @p chain; zero if none.
    const ChangeHash& tip_hash(ChainIndex chain) const noexcept;
    void set_tip_hash(ChainIndex chain, const ChangeHash& hash);

    /// The changes that no other depends on, sorted by (chain).
    std::vector<Dependency> heads() const;
    /// Whether the only head is the last change of @p chain, or there is no change at all and none
    /// on the chain: the next change of the chain then depends on its predecessor alone.
    bool is_linear(ChainIndex chain) const noexcept;

    /// The local version of (chain, seq), which must exist.
    std::uint64_t lv_of(ChainIndex chain, std::uint64_t seq) const;
    /// The (chain, seq) of a local version, which must exist.
    Dependency change_at(std::uint64_t lv) const;
    /// The counter after the last operation of (chain, seq); 1 for seq 0.
    std::uint64_t counter_after(ChainIndex chain, std::uint64_t seq) const;
    /// The seq of the change that holds the operation @p counter of @p chain, which must exist.
    std::uint64_t seq_of_counter(ChainIndex chain, std::uint64_t counter) const;

    /// What the next change of @p chain has seen if it depends on @p dependencies beside its
    /// predecessor; all of them must exist. O(1) where they are the heads, or where the last change
    /// added was the predecessor and there are none; else it walks what is concurrent.
    Context context(ChainIndex chain, std::span<const Dependency> dependencies);

    /// Appends the next change of @p chain.
    void add(ChainIndex chain,
             std::uint64_t op_count,
             std::span<const Dependency> dependencies,
             const ChangeHash& hash);
    /// The same for a change without other dependencies where the change added last was of @p chain
    /// as well. What it saw is what the one before it saw, and that one: a Context of that one goes
    /// on being good for it.
    void follow(ChainIndex chain, std::uint64_t op_count, const ChangeHash& hash);

    /// Undoes the last add(): @p heads_before and @p tip_before as they stood.
    struct Checkpoint {
        std::uint64_t change_count = 0;
        std::size_t run_count = 0, parent_count = 0;
        std::vector<std::uint64_t> heads;
    };
    Checkpoint checkpoint() const;
    struct ChainCheckpoint {
        std::uint64_t last_seq, next_counter;
        std::size_t run_count, step_count;
        ChangeHash tip;
    };
    ChainCheckpoint chain_checkpoint(ChainIndex chain) const;
    /// Goes back to both checkpoints; every chain that grew since must be given.
    void restore(const Checkpoint& graph,
                 std::span<const std::pair<ChainIndex, ChainCheckpoint>> chains);

    /// The change that the last context() was for is not added after all.
    void forget_context() { clear_limits(); }

    std::span<const Run> runs() const noexcept { return runs_; }
    std::span<const std::uint64_t> parents_of(const Run& run) const {
        return std::span(parents_).subspan(run.parent_begin, run.parent_count);
    }
    std::size_t memory_size() const noexcept;

  private:
    friend class SnapshotGraph;

    /// From this seq on, the chain's changes have `op_count` operations each.
    struct Step {
        std::uint64_t seq, counter, op_count;
    };
    struct Chain {
        std::uint64_t last_seq = 0;
        std::uint64_t next_counter = 1;
        ChangeHash tip;
        std::vector<std::uint32_t> runs;
        std::vector<Step> steps;
    };

    void ensure_chain(ChainIndex chain) {
        if (chain >= chains_.size()) grow_chains(chain);
    }
    void grow_chains(ChainIndex chain);
    /// Notes the next change of @p chain in the chain itself.
    void lengthen(Chain& chain, std::uint64_t op_count, const ChangeHash& hash);
    std::uint32_t run_index_at(std::uint64_t lv) const;
    std::uint64_t last_lv_of(const Chain& chain) const;
    void mark_unseen(std::span<const std::uint64_t> seen);
    void limit_to(const Run& run, std::uint64_t first_unseen_lv);
    void clear_limits();

    std::vector<Run> runs_;
    std::vector<std::uint64_t> parents_;
    std::vector<Chain> chains_;
    std::vector<std::uint64_t> heads_;  // lvs, ascending.
    std::uint64_t change_count_ = 0;

    // The limits of the last context that was not everything: kept while the next change follows
    // it.
    std::vector<std::uint64_t> limits_;  // By chain; UINT64_MAX but for those in limited_.
    std::vector<ChainIndex> limited_;
    std::uint64_t limits_lv_ = UINT64_MAX;              // The change that the limits belong to.
    std::vector<std::pair<std::uint64_t, bool>> heap_;  // Scratch of mark_unseen.
    std::vector<std::uint64_t> seen_;                   // Scratch of context.
};

inline bool Context::has(Dot dot) const noexcept {
    return dot.counter != 0 && dot.counter < graph_->next_counter(dot.chain) && covers(dot);
}

}  // namespace joinery::crdt
