#include "crdt/order_tree.h"

#include "base/assert.h"

#include <algorithm>

namespace joinery::crdt {

namespace {

/// Appends with growth by a quarter: there may be many sequences, and none shrinks.
template <class T>
std::uint32_t append(std::vector<T>& pool, const T& value) {
    if (pool.size() == pool.capacity()) pool.reserve(pool.size() + pool.size() / 4 + 1);
    pool.push_back(value);
    return static_cast<std::uint32_t>(pool.size() - 1);
}

template <class Array>
void open_gap(Array& array, std::uint32_t at, std::uint32_t count) {
    std::copy_backward(array.begin() + at, array.begin() + count, array.begin() + count + 1);
}

template <class Array>
void close_gap(Array& array, std::uint32_t at, std::uint32_t count) {
    std::copy(array.begin() + at + 1, array.begin() + count, array.begin() + at);
}

}  // namespace

Item OrderTree::insert(Position at, bool visible) {
    const Item item = item_count();
    JOINERY_ASSERT(item < kItemCountMax);
    if (root_ == kNoNode) {
        root_ = new_leaf();
        at = {root_, 0, 0};
    } else if (at.offset == 0 && at.span > 0) {
        --at.span;
        at.offset = leaves_[at.leaf].length(at.span);
    }
    Leaf& leaf = leaves_[at.leaf];
    if (at.offset > 0 && at.offset == leaf.length(at.span) &&
        leaf.firsts[at.span] + at.offset == item && leaf.is_visible(at.span) == visible &&
        at.offset < kSpanLengthMax) {
        leaf.set_length(at.span, at.offset + 1);
    } else {
        at = make_room(at);
        if (at.offset > 0) {
            cut(at.leaf, at.span, at.offset);
            at = {at.leaf, at.span + 1, 0};
        }
        insert_span(at.leaf, at.span, item, Leaf::mark(1, visible));
    }
    append(homes_, home(at.leaf, visible));
    if (visible) add_visible(at.leaf, 1);
    last_ = at;
    is_last_known_ = true;
    return item;
}

void OrderTree::remove_last() {
    JOINERY_ASSERT(!homes_.empty());
    const Item item = item_count() - 1;
    if (is_visible(item)) add_visible(leaf_of(item), -1);
    const Position at = locate(item);
    homes_.pop_back();
    is_last_known_ = false;
    // The greatest number ends its span.
    Leaf& leaf = leaves_[at.leaf];
    leaf.set_length(at.span, at.offset);
    if (at.offset == 0) {
        erase_span(at.leaf, at.span);
        if (at.span > 0) join(at.leaf, at.span - 1);
        shrink(at.leaf);
    }
}

void OrderTree::set_visible(Item item, bool visible) {
    JOINERY_ASSERT(item < item_count());
    if (is_visible(item) == visible) return;
    Position at = is_last_known_ && item + 1 == item_count() ? last_ : locate(item);
    is_last_known_ = false;
    if (leaves_[at.leaf].length(at.span) > 1) {
        at = make_room(at);
        if (at.offset + 1 < leaves_[at.leaf].length(at.span)) cut(at.leaf, at.span, at.offset + 1);
        if (at.offset > 0) {
            cut(at.leaf, at.span, at.offset);
            ++at.span;
        }
    }
    leaves_[at.leaf].marks[at.span] = Leaf::mark(1, visible);
    homes_[item] ^= 1U;
    add_visible(at.leaf, visible ? 1 : -1);
    join(at.leaf, at.span);
    if (at.span > 0) join(at.leaf, at.span - 1);
    shrink(at.leaf);
}

// --- Building --------------------------------------------------------------------------------

void OrderTree::fill_leaves(std::span<const std::uint8_t> visible) {
    const auto count = static_cast<Item>(visible.size());
    for (Item first = 0; first < count;) {
        if (leaves_.empty() || leaves_.back().span_count == kBuildFill) {
            const std::uint32_t fresh = new_leaf();
            leaves_[fresh].previous = fresh == 0 ? kNoNode : fresh - 1;
            if (fresh > 0) leaves_[fresh - 1].next = fresh;
        }
        const bool is_shown = visible[first] != 0;
        const Item limit = std::min(count, first + kSpanLengthMax);
        Item end = first + 1;
        while (end < limit && (visible[end] != 0) == is_shown)
            ++end;
        const auto node = static_cast<std::uint32_t>(leaves_.size() - 1);
        const std::uint32_t length = end - first;
        insert_span(node, leaves_[node].span_count, first, Leaf::mark(length, is_shown));
        homes_.insert(homes_.end(), length, home(node, is_shown));
        if (is_shown) {
            Leaf& leaf = leaves_[node];
            leaf.visible_count = static_cast<std::uint16_t>(leaf.visible_count + length);
            visible_count_ += length;
        }
        first = end;
    }
}

void OrderTree::build(std::span<const std::uint8_t> visible) {
    JOINERY_ASSERT(homes_.empty() && root_ == kNoNode);
    JOINERY_ASSERT(visible.size() <= kItemCountMax);
    if (visible.empty()) return;
    leaves_.clear();
    branches_.clear();
    free_leaves_ = free_branches_ = kNoNode;
    homes_.reserve(visible.size());
    fill_leaves(visible);
    std::vector<std::uint32_t> nodes(leaves_.size());
    for (std::uint32_t i = 0; i < nodes.size(); ++i)
        nodes[i] = i;
    std::uint32_t level = 0;
    for (; nodes.size() > 1; ++level) {
        std::vector<std::uint32_t> above;
        for (std::size_t begin = 0; begin < nodes.size(); begin += kBuildFill) {
            const std::uint32_t fresh = new_branch();
            Branch& branch = branches_[fresh];
            const std::size_t end = std::min<std::size_t>(nodes.size(), begin + kBuildFill);
            for (std::size_t i = begin; i < end; ++i) {
                branch.visible_counts[branch.child_count] = visible_in(level, nodes[i]);
                branch.children[branch.child_count++] = nodes[i];
                set_parent(level, nodes[i], fresh);
            }
            above.push_back(fresh);
        }
        nodes.swap(above);
    }
    root_ = nodes.front();
    height_ = level;
}

// --- Nodes -----------------------------------------------------------------------------------

std::uint32_t OrderTree::parent_of(std::uint32_t level, std::uint32_t node) const {
    return level == 0 ? leaves_[node].parent : branches_[node].parent;
}

void OrderTree::set_parent(std::uint32_t level, std::uint32_t node, std::uint32_t parent) {
    (level == 0 ? leaves_[node].parent : branches_[node].parent) = parent;
}

std::uint32_t OrderTree::visible_in(std::uint32_t level, std::uint32_t node) const {
    if (level == 0) return leaves_[node].visible_count;
    const Branch& branch = branches_[node];
    std::uint32_t sum = 0;
    for (std::uint32_t i = 0; i < branch.child_count; ++i)
        sum += branch.visible_counts[i];
    return sum;
}

std::uint32_t OrderTree::slot_of(const Branch& branch, std::uint32_t child) {
    // Without an early exit, which would be mispredicted each time: compilers make vectors of this.
    const std::uint32_t count = branch.child_count;
    std::uint32_t slot = 0;
    for (std::uint32_t i = 0; i < kFanout; ++i) {
        const std::uint32_t wanted = i < count ? child : kNoNode;
        slot |= branch.children[i] == wanted ? i : 0;
    }
    return slot;
}

std::uint32_t OrderTree::new_leaf() {
    if (free_leaves_ == kNoNode) return append(leaves_, Leaf{});
    const std::uint32_t leaf = free_leaves_;
    free_leaves_ = leaves_[leaf].parent;
    leaves_[leaf] = Leaf{};
    return leaf;
}

std::uint32_t OrderTree::new_branch() {
    if (free_branches_ == kNoNode) return append(branches_, Branch());
    const std::uint32_t branch = free_branches_;
    free_branches_ = branches_[branch].parent;
    branches_[branch] = Branch{};
    return branch;
}

void OrderTree::free_leaf(std::uint32_t leaf) {
    leaves_[leaf].span_count = 0;
    leaves_[leaf].parent = free_leaves_;
    free_leaves_ = leaf;
}

void OrderTree::free_branch(std::uint32_t branch) {
    branches_[branch].parent = free_branches_;
    free_branches_ = branch;
}

void OrderTree::add_visible(std::uint32_t leaf, std::int32_t change) {
    Leaf& base = leaves_[leaf];
    base.visible_count = static_cast<std::uint16_t>(base.visible_count + change);
    // Unsigned arithmetic wraps, so adding the converted change subtracts where it is negative.
    visible_count_ += static_cast<std::uint32_t>(change);
    std::uint32_t node = leaf;
    for (std::uint32_t at = base.parent; at != kNoNode; at = branches_[at].parent) {
        Branch& branch = branches_[at];
        branch.visible_counts[slot_of(branch, node)] += static_cast<std::uint32_t>(change);
        node = at;
    }
}

void OrderTree::rehome(std::uint32_t leaf, std::uint32_t span_from) {
    const Leaf& to = leaves_[leaf];
    for (std::uint32_t i = span_from; i < to.span_count; ++i) {
        const auto begin = homes_.begin() + to.firsts[i];
        std::fill(begin, begin + to.length(i), home(leaf, to.is_visible(i)));
    }
}

/// Makes @p fresh the right neighbour of @p node under the same parent, and counts both anew:
/// together they show what @p node showed.
void OrderTree::link_after(std::uint32_t level, std::uint32_t node, std::uint32_t fresh) {
    if (parent_of(level, node) == kNoNode) {
        const std::uint32_t top = new_branch();
        branches_[top].children[0] = node;
        branches_[top].child_count = 1;
        set_parent(level, node, top);
        root_ = top;
        ++height_;
    } else if (branches_[parent_of(level, node)].child_count == kFanout) {
        split_branch(level + 1, parent_of(level, node));
    }
    const std::uint32_t parent = parent_of(level, node);
    Branch& branch = branches_[parent];
    const std::uint32_t slot = slot_of(branch, node);
    open_gap(branch.children, slot + 1, branch.child_count);
    open_gap(branch.visible_counts, slot + 1, branch.child_count);
    ++branch.child_count;
    branch.children[slot + 1] = fresh;
    branch.visible_counts[slot] = visible_in(level, node);
    branch.visible_counts[slot + 1] = visible_in(level, fresh);
    set_parent(level, fresh, parent);
}

void OrderTree::split_branch(std::uint32_t level, std::uint32_t branch) {
    const std::uint32_t fresh = new_branch();
    Branch& from = branches_[branch];
    Branch& to = branches_[fresh];
    const std::uint32_t half = from.child_count / 2;
    to.child_count = from.child_count - half;
    std::copy_n(from.children.begin() + half, to.child_count, to.children.begin());
    std::copy_n(from.visible_counts.begin() + half, to.child_count, to.visible_counts.begin());
    from.child_count = half;
    for (std::uint32_t i = 0; i < to.child_count; ++i)
        set_parent(level - 1, to.children[i], fresh);
    link_after(level, branch, fresh);
}

/// Moves the spans from @p span on to a new leaf on the right; it may be left empty for the caller
/// to fill.
void OrderTree::split_leaf(std::uint32_t leaf, std::uint32_t span) {
    const std::uint32_t fresh = new_leaf();
    Leaf& from = leaves_[leaf];
    Leaf& to = leaves_[fresh];
    to.span_count = static_cast<std::uint16_t>(from.span_count - span);
    std::copy_n(from.firsts.begin() + span, to.span_count, to.firsts.begin());
    std::copy_n(from.marks.begin() + span, to.span_count, to.marks.begin());
    from.span_count = static_cast<std::uint16_t>(span);
    std::uint32_t moved = 0;
    for (std::uint32_t i = 0; i < to.span_count; ++i)
        moved += to.shown(i);
    to.visible_count = static_cast<std::uint16_t>(moved);
    from.visible_count = static_cast<std::uint16_t>(from.visible_count - moved);
    to.previous = leaf;
    to.next = from.next;
    from.next = fresh;
    if (to.next != kNoNode) leaves_[to.next].previous = fresh;
    rehome(fresh, 0);
    link_after(0, leaf, fresh);
}

/// Takes a node that shows nothing out of its parent, and ancestors that it leaves empty.
void OrderTree::unlink(std::uint32_t level, std::uint32_t node) {
    const std::uint32_t parent = parent_of(level, node);
    if (parent == kNoNode) {
        root_ = kNoNode;
        height_ = 0;
        return;
    }
    Branch& branch = branches_[parent];
    const std::uint32_t slot = slot_of(branch, node);
    close_gap(branch.children, slot, branch.child_count);
    close_gap(branch.visible_counts, slot, branch.child_count);
    --branch.child_count;
    if (branch.child_count > 0) return;
    unlink(level + 1, parent);
    free_branch(parent);
}

void OrderTree::drop_tall_root() {
    while (height_ > 0 && branches_[root_].child_count == 1) {
        const std::uint32_t top = root_;
        root_ = branches_[top].children[0];
        --height_;
        set_parent(height_, root_, kNoNode);
        free_branch(top);
    }
}

// --- Spans -----------------------------------------------------------------------------------

/// Makes room for two more spans in the leaf of @p at; returns the same gap, perhaps in a new leaf.
OrderTree::Position OrderTree::make_room(Position at) {
    const std::uint32_t count = leaves_[at.leaf].span_count;
    if (count + 2 <= kSpanMax) return at;
    // At an edge, go on there with nearly empty leaves and leave a full one behind: lists mostly
    // grow at ends.
    if (at.span + 1 == count && at.offset == leaves_[at.leaf].length(at.span)) {
        split_leaf(at.leaf, count);
        return {leaves_[at.leaf].next, 0, 0};
    }
    const std::uint32_t half = at.span == 0 ? 1 : count / 2;
    split_leaf(at.leaf, half);
    return at.span < half ? at : Position{leaves_[at.leaf].next, at.span - half, at.offset};
}

void OrderTree::insert_span(std::uint32_t leaf, std::uint32_t span, Item first, std::uint8_t mark) {
    Leaf& to = leaves_[leaf];
    open_gap(to.firsts, span, to.span_count);
    open_gap(to.marks, span, to.span_count);
    to.firsts[span] = first;
    to.marks[span] = mark;
    ++to.span_count;
}

void OrderTree::erase_span(std::uint32_t leaf, std::uint32_t span) {
    Leaf& from = leaves_[leaf];
    close_gap(from.firsts, span, from.span_count);
    close_gap(from.marks, span, from.span_count);
    --from.span_count;
}

/// Cuts a span in two of lengths @p offset and the rest, if there is a rest.
void OrderTree::cut(std::uint32_t leaf, std::uint32_t span, std::uint32_t offset) {
    Leaf& in = leaves_[leaf];
    const std::uint32_t rest = in.length(span) - offset;
    if (rest == 0) return;
    in.set_length(span, offset);
    insert_span(leaf, span + 1, in.firsts[span] + offset, Leaf::mark(rest, in.is_visible(span)));
}

/// Joins a span and the next one of its leaf where they make one.
void OrderTree::join(std::uint32_t leaf, std::uint32_t span) {
    Leaf& in = leaves_[leaf];
    if (span + 1 >= in.span_count) return;
    const std::uint32_t length = in.length(span) + in.length(span + 1);
    if (in.firsts[span] + in.length(span) != in.firsts[span + 1] ||
        in.is_visible(span) != in.is_visible(span + 1) || length > kSpanLengthMax) {
        return;
    }
    in.set_length(span, length);
    erase_span(leaf, span + 1);
}

/// Takes a leaf out that is empty, or so nearly empty that a neighbour holds its spans too.
void OrderTree::shrink(std::uint32_t leaf) {
    const std::uint32_t count = leaves_[leaf].span_count;
    if (count > kSpanMax / 4) return;
    if (count > 0) {
        if (height_ == 0) return;
        const Branch& branch = branches_[leaves_[leaf].parent];
        const std::uint32_t slot = slot_of(branch, leaf);
        // The right one of the two gives its spans to the left one.
        if (slot + 1 == branch.child_count && slot == 0) return;
        if (slot + 1 < branch.child_count) leaf = branch.children[slot + 1];
        const std::uint32_t left = leaves_[leaf].previous;
        Leaf& from = leaves_[leaf];
        Leaf& to = leaves_[left];
        if (to.span_count + from.span_count > kSpanMax * 3 / 4) return;
        const std::uint32_t kept = to.span_count;
        std::copy_n(from.firsts.begin(), from.span_count, to.firsts.begin() + kept);
        std::copy_n(from.marks.begin(), from.span_count, to.marks.begin() + kept);
        to.span_count = static_cast<std::uint16_t>(kept + from.span_count);
        rehome(left, kept);
        const auto moved = static_cast<std::int32_t>(from.visible_count);
        add_visible(leaf, -moved);
        add_visible(left, moved);
        if (kept > 0) join(left, kept - 1);
    }
    const Leaf& gone = leaves_[leaf];
    if (gone.previous != kNoNode) leaves_[gone.previous].next = gone.next;
    if (gone.next != kNoNode) leaves_[gone.next].previous = gone.previous;
    unlink(0, leaf);
    free_leaf(leaf);
    drop_tall_root();
}

}  // namespace joinery::crdt
