/// @file
/// The order of the places of one list (docs/semantics.md L1, L2): where a place stands among those
/// inserted concurrently, which places show, and at which index. It knows nothing of elements,
/// values or contexts.
#pragma once

#include "crdt/names.h"
#include "crdt/order_tree.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

namespace joinery::crdt {

/// A borrowed `bool less(ChainIndex a, ChainIndex b)`: whether the actor of a is less than that of
/// b. Lives no longer than the callable that it was made from: pass it on, do not keep it.
class ChainOrder {
  public:
    template <class Less>
        requires(std::is_invocable_r_v<bool, const Less&, ChainIndex, ChainIndex>)
    // NOLINTNEXTLINE(google-explicit-constructor): a lambda is passed where an order is taken.
    ChainOrder(const Less& less) noexcept
        : less_(std::addressof(less)), call_([](const void* borrowed, ChainIndex a, ChainIndex b) {
              return static_cast<bool>((*static_cast<const Less*>(borrowed))(a, b));
          }) {}
    ChainOrder(const ChainOrder&) noexcept = default;
    ChainOrder& operator=(const ChainOrder&) noexcept = default;

    bool less(ChainIndex a, ChainIndex b) const { return call_(less_, a, b); }

  private:
    const void* less_;
    bool (*call_)(const void*, ChainIndex, ChainIndex);
};

/// One place of a list that is loaded whole. Neighbours are indices into the same list, or kNoItem.
struct LoadedPlace {
    Dot dot;
    Item left = kNoItem;
    Item right = kNoItem;
    bool visible = false;
};

/// The places of one list in order. Each is an *item*: a number, dense, in order of arrival (after
/// a load: in the order of the list, then of arrival). Numbers are local to this object and never
/// go to other peers.
///
/// The order is FugueMax. Its definition as a tree: a place is a *left child* of its right
/// neighbour R where R stands in the subtree to the right of its left neighbour L, else a *right
/// child* of L. Left children of one place stand before it, by (actor, counter); right children
/// after it, those with the farther right neighbour first, then by (actor, counter). Read from left
/// to right, the tree is the list.
///
/// @par Source
/// Weidner and Kleppmann, "The Art of the Fugue: Minimizing Interleaving in Collaborative Text
/// Editing" (2023), section on FugueMax.
/// @par Cost
/// O(log n) unless said otherwise, n = items; no allocation but for the growth of arrays.
/// @par Thread safety
/// const methods may run concurrently; others not.
class Sequence {
  public:
    // --- Verbs ---------------------------------------------------------------------------------

    /// Whether a place may be inserted between these neighbours: L stands before R, not before R's
    /// own left neighbour, and R not after L's own right neighbour. This holds for whatever two
    /// places were ever next to each other on any peer, and depends on nothing but them: a place
    /// for which it fails is malformed, on every peer. Both must exist (find); kNoItem is the
    /// start, or the end.
    bool accepts(Item left, Item right) const;

    /// Adds a place, hidden, and returns its item. Counters of one chain must grow from call to
    /// call.
    ///
    /// @pre accepts(left, right), which is asserted.
    /// @par Cost
    /// O(log n) where no place stands between the neighbours, or none that competes; else O(log n)
    /// for each run of places in the competing subtrees.
    Item insert(ChainIndex chain, std::uint64_t counter, Item left, Item right, ChainOrder order);

    /// Takes out the last item again. Not for loaded items.
    void pop();

    /// Shows or hides @p item.
    void set_visible(Item item, bool visible) { tree_.set_visible(item, visible); }

    /// Fills an empty sequence with @p places, given in the order of the list; item i is places[i].
    ///
    /// @return Whether they are the list that inserting them one by one makes: neighbours exist and
    ///         stand on either side, no dot comes twice, the order is the one prescribed. If not,
    ///         the sequence stays empty. So @p places may be untrusted.
    /// @par Cost
    /// O(places). Allocates up to 40 bytes a place for the time of the call.
    [[nodiscard]] bool load(std::span<const LoadedPlace> places, ChainOrder order);

    // --- Queries -------------------------------------------------------------------------------

    std::uint32_t item_count() const noexcept { return tree_.item_count(); }
    std::uint32_t visible_count() const noexcept { return tree_.visible_count(); }
    /// O(1).
    bool is_visible(Item item) const noexcept { return tree_.is_visible(item); }
    /// Whether @p first stands before @p second. Items only.
    bool precedes(Item first, Item second) const { return tree_.precedes(first, second); }

    /// The item of a dot; nullopt if there is none.
    std::optional<Item> find(ChainIndex chain, std::uint64_t counter) const;
    Dot id_of(Item item) const;
    /// The neighbours with which @p item was inserted.
    Item left_of(Item item) const;
    Item right_of(Item item) const;

    /// The visible item with @p visible_index visible ones before it; the index must be less than
    /// their count.
    Item item_at(std::uint32_t visible_index) const { return tree_.item_at(visible_index); }
    /// How many visible items stand before @p item, which may be hidden.
    std::uint32_t visible_index_of(Item item) const { return tree_.visible_index_of(item); }
    /// The item right after @p item, hidden ones included; the first after kNoItem. kNoItem at the
    /// end.
    Item next_item(Item item) const;
    /// The item right before @p item, hidden ones included; the last before kNoItem. kNoItem at the
    /// start.
    Item previous_item(Item item) const;

    /// Calls @p visit(Item, bool visible) for each item in order. The sequence must not change
    /// meanwhile. O(n).
    template <class Visit>
    void for_each(Visit&& visit) const;
    /// Calls @p visit(Item) for each visible item in order, from the one at @p visible_index on.
    /// The sequence must not change meanwhile. O(visible ones and stretches of hidden ones).
    template <class Visit>
    void for_each_visible(Visit&& visit, std::uint32_t visible_index = 0) const;

    /// Bytes held beside the object itself, unused capacity included.
    std::size_t memory_size() const noexcept;
    /// Asserts every invariant but the order among siblings. O(n log n).
    void check() const;

  private:
    // Consecutive items whose dots are (chain, counter + i). But for the first, each is the right
    // child of the one before it, and all have the same right neighbour. A run ends where the next
    // one starts.
    struct Run {
        std::uint32_t first;
        std::uint32_t chain : 31;
        std::uint32_t is_left_child : 1;  // The first item; else it is a right child.
        std::uint32_t counter_low;
        std::uint32_t counter_high;
        std::uint32_t left;
        std::uint32_t right;
        // The nearest ancestor that stands after the items, the same for all; kNoItem if there is
        // none. The nearest one that stands before an item needs no field: accepts() makes it the
        // left neighbour.
        std::uint32_t ancestor_after;

        std::uint64_t counter() const noexcept {
            return counter_low | (static_cast<std::uint64_t>(counter_high) << 32U);
        }
    };
    static_assert(sizeof(Run) == 28);
    // A run as its chain knows it: searching for a counter reads nothing else.
    struct ChainRun {
        std::uint64_t counter;
        std::uint32_t run;
    };
    // The runs of one chain by counter.
    struct ChainRuns {
        ChainIndex chain;
        std::vector<ChainRun> runs;
    };

    std::uint32_t run_of(Item item) const;
    std::uint32_t run_end(std::uint32_t run) const;
    bool is_left_child(const Run& run, Item item) const noexcept {
        return item == run.first && run.is_left_child != 0;
    }
    bool must_be_left_child(Item left, Item right) const;
    Item ancestor_after(Item left, Item right, bool is_left_child) const;
    static Run make_run(Item first, Dot dot, Item left, Item right);
    std::vector<ChainRun>& runs_of_chain(ChainIndex chain);
    static std::size_t last_not_above(std::span<const ChainRun> runs, std::uint64_t counter);
    bool extends_last_run(Dot dot, Item left, Item right) const;
    bool dot_less(Dot a, Dot b, ChainOrder order) const;

    OrderTree::Position place(Dot dot, Item left, Item right, ChainOrder order) const;
    Item place_right_child(Dot dot, Item left, Item right, ChainOrder order) const;
    Item place_left_child(Dot dot, Item right, ChainOrder order) const;
    bool load_runs(std::span<const LoadedPlace> places);
    void check_run(std::uint32_t run) const;
    void clear();

    OrderTree tree_;
    std::vector<Run> runs_;          // By first item.
    std::vector<ChainRuns> chains_;  // By chain.
    std::uint32_t loaded_count_ = 0;
};

template <class Visit>
void Sequence::for_each(Visit&& visit) const {
    OrderTree::Position at = tree_.after(kNoItem);
    for (auto found = tree_.stretch_after(at); found.length > 0; found = tree_.stretch_after(at)) {
        for (std::uint32_t i = 0; i < found.length; ++i)
            visit(found.first + i, found.visible);
        at.offset += found.length;
    }
}

template <class Visit>
void Sequence::for_each_visible(Visit&& visit, std::uint32_t visible_index) const {
    OrderTree::Position at = tree_.at_visible(visible_index);
    for (auto found = tree_.stretch_after(at); found.length > 0; found = tree_.stretch_after(at)) {
        for (std::uint32_t i = 0; found.visible && i < found.length; ++i)
            visit(found.first + i);
        at.offset += found.length;
        tree_.skip_hidden_leaves(at);
    }
}

}  // namespace joinery::crdt
