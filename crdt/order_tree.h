/// @file
/// A total order of numbered items in which single items are shown or hidden: which item stands at
/// an index, at which index an item stands, which of two stands first. It holds no ids and decides
/// no positions; that is crdt/sequence.h.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace joinery::crdt {

/// The number of an item: 0, 1, 2... in order of insertion.
using Item = std::uint32_t;
/// No item: the start of the order (as something's left) or its end (as something's right).
inline constexpr Item kNoItem = UINT32_MAX;
/// Items of one order: a bit of their leaf's number is taken.
inline constexpr std::uint32_t kItemCountMax = 1U << 30U;

// A counted B-tree.
//
//   leaf:   up to kSpanMax spans {first item, length, visible}: items first, first + 1, ... stand
//           next to each other and are all visible or all hidden. Leaves form a list in sequence
//           order.
//   branch: up to kFanout children and the number of visible items below each. All leaves are at
//           one depth.
//
// homes_ names the leaf of each item, so that its place is found from below: a scan of one leaf,
// then one branch a level. Nodes live in two pools and are named by index; freed ones are chained
// through `parent`. Hidden items are counted nowhere: nobody asks for an index among all items.

/// The order of the items of one sequence.
///
/// @par Cost
/// O(log n) unless said otherwise; n is the count of spans, at most that of items. No operation
/// allocates but for the growth of the pools.
/// @par Thread safety
/// const methods may run concurrently; others not.
class OrderTree {
  public:
    /// A gap between two items, or the one before the first or after the last. Dies with any
    /// change.
    struct Position {
        std::uint32_t leaf = 0;
        std::uint32_t span = 0;
        std::uint32_t offset = 0;
    };
    /// Consecutive numbers that stand next to each other: first, first + 1, ...
    struct Stretch {
        Item first = kNoItem;
        std::uint32_t length = 0;
        bool visible = false;
    };

    std::uint32_t item_count() const noexcept { return static_cast<std::uint32_t>(homes_.size()); }
    std::uint32_t visible_count() const noexcept { return visible_count_; }

    /// Puts the next item into the gap @p at and returns its number.
    Item insert(Position at, bool visible);
    /// Takes the last inserted item out again.
    void remove_last();
    /// Shows or hides @p item.
    void set_visible(Item item, bool visible);
    /// Fills an empty tree with items 0 to visible.size() - 1, which stand in the order of their
    /// numbers, in O(items). @p visible says for each whether it is (nonzero).
    void build(std::span<const std::uint8_t> visible);

    /// O(1).
    bool is_visible(Item item) const noexcept { return (homes_[item] & 1U) != 0; }
    /// The visible item with @p visible_index visible ones before it; the index must be less than
    /// their count.
    Item item_at(std::uint32_t visible_index) const;
    /// How many visible items stand before @p item, which may be hidden.
    std::uint32_t visible_index_of(Item item) const;
    /// Whether @p first stands before @p second. Items only.
    bool precedes(Item first, Item second) const;

    /// The gap right after @p left; after the start if kNoItem.
    Position after(Item left) const;
    /// The gap right before @p right; before the end if kNoItem.
    Position before(Item right) const;
    /// The gap right before the visible item at @p visible_index; the end if there is none.
    Position at_visible(std::uint32_t visible_index) const;
    /// The items right after @p at up to some change of numbering or visibility, O(1); length 0 at
    /// the end. Moves @p at to the same gap seen from its right side.
    Stretch stretch_after(Position& at) const;
    /// The items right before @p at, likewise; length 0 at the start.
    Stretch stretch_before(Position& at) const;
    /// The first gap after @p at beyond leaves that show nothing; O(1) a leaf.
    void skip_hidden_leaves(Position& at) const;

    /// Bytes held, unused capacity included.
    std::size_t memory_size() const noexcept;
    /// Asserts every invariant of the structure. O(items).
    void check() const;

  private:
    static constexpr std::uint32_t kNoNode = UINT32_MAX;
    static constexpr std::uint32_t kSpanMax = 32;
    static constexpr std::uint32_t kSpanLengthMax = 64;
    static constexpr std::uint32_t kFanout = 32;
    // Of kSpanMax and kFanout: room for a few edits.
    static constexpr std::uint32_t kBuildFill = 28;
    static_assert(kSpanMax * kSpanLengthMax <= UINT16_MAX && kSpanLengthMax < 128);

    struct Leaf {
        std::uint32_t parent = kNoNode;
        std::uint32_t previous = kNoNode;
        std::uint32_t next = kNoNode;
        std::uint16_t visible_count = 0;
        std::uint16_t span_count = 0;
        // Of each span: its first item; its length, shifted left, and whether it is visible.
        std::array<Item, kSpanMax> firsts;
        std::array<std::uint8_t, kSpanMax> marks;

        std::uint32_t length(std::uint32_t span) const noexcept { return marks[span] >> 1U; }
        bool is_visible(std::uint32_t span) const noexcept { return (marks[span] & 1U) != 0; }
        std::uint32_t shown(std::uint32_t span) const noexcept {
            return is_visible(span) ? length(span) : 0;
        }
        void set_length(std::uint32_t span, std::uint32_t length) noexcept {
            marks[span] = mark(length, is_visible(span));
        }
        static std::uint8_t mark(std::uint32_t length, bool visible) noexcept {
            return static_cast<std::uint8_t>((length << 1U) | (visible ? 1U : 0U));
        }
    };
    struct Branch {
        std::uint32_t parent = kNoNode;
        std::uint32_t child_count = 0;
        std::array<std::uint32_t, kFanout> children;
        std::array<std::uint32_t, kFanout> visible_counts;
    };

    // A level is a height above the leaves: nodes of level 0 are leaves, others branches.
    std::uint32_t parent_of(std::uint32_t level, std::uint32_t node) const;
    void set_parent(std::uint32_t level, std::uint32_t node, std::uint32_t parent);
    std::uint32_t visible_in(std::uint32_t level, std::uint32_t node) const;
    static std::uint32_t slot_of(const Branch& branch, std::uint32_t child);
    static std::uint32_t home(std::uint32_t leaf, bool visible) noexcept {
        return (leaf << 1U) | (visible ? 1U : 0U);
    }

    Position locate(Item item) const;
    Position find_visible(std::uint32_t visible_index) const;
    std::uint32_t leaf_of(Item item) const noexcept { return homes_[item] >> 1U; }
    std::uint32_t edge_leaf(bool last) const;

    std::uint32_t new_leaf();
    std::uint32_t new_branch();
    void free_leaf(std::uint32_t leaf);
    void free_branch(std::uint32_t branch);
    void split_leaf(std::uint32_t leaf, std::uint32_t span);
    void split_branch(std::uint32_t level, std::uint32_t branch);
    void link_after(std::uint32_t level, std::uint32_t node, std::uint32_t fresh);
    void unlink(std::uint32_t level, std::uint32_t node);
    void drop_tall_root();
    void rehome(std::uint32_t leaf, std::uint32_t span_from);
    Position make_room(Position at);
    void insert_span(std::uint32_t leaf, std::uint32_t span, Item first, std::uint8_t mark);
    void erase_span(std::uint32_t leaf, std::uint32_t span);
    void cut(std::uint32_t leaf, std::uint32_t span, std::uint32_t offset);
    void join(std::uint32_t leaf, std::uint32_t span);
    void shrink(std::uint32_t leaf);
    void add_visible(std::uint32_t leaf, std::int32_t change);
    void fill_leaves(std::span<const std::uint8_t> visible);
    std::uint32_t check_node(std::uint32_t level, std::uint32_t node) const;

    std::uint32_t root_ = kNoNode;
    std::uint32_t height_ = 0;  // The root's level.
    std::uint32_t visible_count_ = 0;
    std::uint32_t free_leaves_ = kNoNode;
    std::uint32_t free_branches_ = kNoNode;
    // Where the last item stands if nothing changed since its insert: most are shown at once.
    Position last_;
    bool is_last_known_ = false;
    std::vector<Leaf> leaves_;
    std::vector<Branch> branches_;
    // Of each item: its leaf, shifted left, and whether it is visible.
    std::vector<std::uint32_t> homes_;
};

}  // namespace joinery::crdt
