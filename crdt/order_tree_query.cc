// The const half of OrderTree: queries, and the walk of its invariants.
#include "base/assert.h"
#include "crdt/order_tree.h"

namespace joinery::crdt {

OrderTree::Position OrderTree::locate(Item item) const {
    JOINERY_ASSERT(item < item_count());
    const std::uint32_t node = leaf_of(item);
    const Leaf& leaf = leaves_[node];
    // Where the item is below a span's first, the difference wraps to more than any length.
    std::uint32_t span = 0;
    while (item - leaf.firsts[span] >= leaf.length(span))
        ++span;
    return {node, span, item - leaf.firsts[span]};
}

OrderTree::Position OrderTree::find_visible(std::uint32_t visible_index) const {
    std::uint32_t rest = visible_index;
    std::uint32_t node = root_;
    for (std::uint32_t level = height_; level > 0; --level) {
        const Branch& branch = branches_[node];
        std::uint32_t slot = 0;
        while (rest >= branch.visible_counts[slot])
            rest -= branch.visible_counts[slot++];
        node = branch.children[slot];
    }
    const Leaf& leaf = leaves_[node];
    for (std::uint32_t span = 0;; ++span) {
        const std::uint32_t shown = leaf.shown(span);
        if (rest < shown) return {node, span, rest};
        rest -= shown;
    }
}

Item OrderTree::item_at(std::uint32_t visible_index) const {
    JOINERY_ASSERT(visible_index < visible_count());
    const Position at = find_visible(visible_index);
    return leaves_[at.leaf].firsts[at.span] + at.offset;
}

OrderTree::Position OrderTree::at_visible(std::uint32_t visible_index) const {
    return visible_index < visible_count() ? find_visible(visible_index) : before(kNoItem);
}

std::uint32_t OrderTree::visible_index_of(Item item) const {
    const Position at = locate(item);
    const Leaf& leaf = leaves_[at.leaf];
    std::uint32_t sum = leaf.is_visible(at.span) ? at.offset : 0;
    for (std::uint32_t i = 0; i < at.span; ++i)
        sum += leaf.shown(i);
    std::uint32_t node = at.leaf;
    for (std::uint32_t up = leaf.parent; up != kNoNode; up = branches_[up].parent) {
        const Branch& branch = branches_[up];
        const std::uint32_t slot = slot_of(branch, node);
        for (std::uint32_t i = 0; i < slot; ++i)
            sum += branch.visible_counts[i];
        node = up;
    }
    return sum;
}

bool OrderTree::precedes(Item first, Item second) const {
    JOINERY_ASSERT(first < item_count() && second < item_count());
    std::uint32_t a = leaf_of(first);
    std::uint32_t b = leaf_of(second);
    if (a == b) {
        const Position x = locate(first);
        const Position y = locate(second);
        return x.span != y.span ? x.span < y.span : x.offset < y.offset;
    }
    std::uint32_t level = 0;
    while (parent_of(level, a) != parent_of(level, b)) {
        a = parent_of(level, a);
        b = parent_of(level, b);
        ++level;
    }
    const Branch& branch = branches_[parent_of(level, a)];
    return slot_of(branch, a) < slot_of(branch, b);
}

std::uint32_t OrderTree::edge_leaf(bool last) const {
    std::uint32_t node = root_;
    for (std::uint32_t level = height_; level > 0; --level) {
        const Branch& branch = branches_[node];
        node = branch.children[last ? branch.child_count - 1 : 0];
    }
    return node;
}

OrderTree::Position OrderTree::after(Item left) const {
    if (root_ == kNoNode) return {};
    if (left == kNoItem) return {edge_leaf(false), 0, 0};
    Position at = locate(left);
    ++at.offset;
    return at;
}

OrderTree::Position OrderTree::before(Item right) const {
    if (root_ == kNoNode) return {};
    if (right != kNoItem) return locate(right);
    const std::uint32_t node = edge_leaf(true);
    const std::uint32_t span = leaves_[node].span_count - 1U;
    return {node, span, leaves_[node].length(span)};
}

OrderTree::Stretch OrderTree::stretch_after(Position& at) const {
    if (root_ == kNoNode) return {};
    const Leaf* leaf = &leaves_[at.leaf];
    if (at.offset == leaf->length(at.span)) {
        if (at.span + 1U < leaf->span_count) {
            at = {at.leaf, at.span + 1, 0};
        } else if (leaf->next != kNoNode) {
            at = {leaf->next, 0, 0};
            leaf = &leaves_[at.leaf];
        } else {
            return {};
        }
    }
    return {leaf->firsts[at.span] + at.offset,
            leaf->length(at.span) - at.offset,
            leaf->is_visible(at.span)};
}

OrderTree::Stretch OrderTree::stretch_before(Position& at) const {
    if (root_ == kNoNode) return {};
    const Leaf* leaf = &leaves_[at.leaf];
    if (at.offset == 0) {
        if (at.span > 0) {
            --at.span;
        } else if (leaf->previous != kNoNode) {
            at.leaf = leaf->previous;
            leaf = &leaves_[at.leaf];
            at.span = leaf->span_count - 1U;
        } else {
            return {};
        }
        at.offset = leaf->length(at.span);
    }
    return {leaf->firsts[at.span], at.offset, leaf->is_visible(at.span)};
}

void OrderTree::skip_hidden_leaves(Position& at) const {
    if (root_ == kNoNode) return;
    const Leaf* leaf = &leaves_[at.leaf];
    while (leaf->visible_count == 0 && leaf->next != kNoNode) {
        at = {leaf->next, 0, 0};
        leaf = &leaves_[at.leaf];
    }
}

std::size_t OrderTree::memory_size() const noexcept {
    return leaves_.capacity() * sizeof(Leaf) + branches_.capacity() * sizeof(Branch) +
           homes_.capacity() * sizeof(std::uint32_t);
}

/// Checks what stands below @p node and returns how many items do.
std::uint32_t OrderTree::check_node(std::uint32_t level, std::uint32_t node) const {
    std::uint32_t items = 0;
    if (level > 0) {
        const Branch& branch = branches_[node];
        JOINERY_ASSERT(branch.child_count > 0 && branch.child_count <= kFanout);
        for (std::uint32_t i = 0; i < branch.child_count; ++i) {
            JOINERY_ASSERT(parent_of(level - 1, branch.children[i]) == node);
            JOINERY_ASSERT(branch.visible_counts[i] == visible_in(level - 1, branch.children[i]));
            items += check_node(level - 1, branch.children[i]);
        }
        return items;
    }
    const Leaf& leaf = leaves_[node];
    JOINERY_ASSERT(leaf.span_count > 0 && leaf.span_count <= kSpanMax);
    std::uint32_t shown = 0;
    for (std::uint32_t i = 0; i < leaf.span_count; ++i) {
        JOINERY_ASSERT(leaf.length(i) > 0 && leaf.length(i) <= kSpanLengthMax);
        for (std::uint32_t j = 0; j < leaf.length(i); ++j) {
            JOINERY_ASSERT(leaf.firsts[i] + j < item_count());
            JOINERY_ASSERT(homes_[leaf.firsts[i] + j] == home(node, leaf.is_visible(i)));
        }
        items += leaf.length(i);
        shown += leaf.shown(i);
    }
    JOINERY_ASSERT(leaf.visible_count == shown);
    return items;
}

void OrderTree::check() const {
    if (root_ == kNoNode) {
        JOINERY_ASSERT(homes_.empty() && height_ == 0 && visible_count_ == 0);
        return;
    }
    JOINERY_ASSERT(parent_of(height_, root_) == kNoNode);
    // As many items as there are, each in the leaf that it names: so each once, if spans do not
    // overlap.
    JOINERY_ASSERT(check_node(height_, root_) == item_count());
    JOINERY_ASSERT(visible_in(height_, root_) == visible_count_);
    if (is_last_known_) {
        const Position at = locate(item_count() - 1);
        JOINERY_ASSERT(at.leaf == last_.leaf && at.span == last_.span);
        JOINERY_ASSERT(at.offset == last_.offset);
    }
    std::vector<bool> met(homes_.size());
    std::uint32_t previous = kNoNode;
    for (std::uint32_t leaf = edge_leaf(false); leaf != kNoNode; leaf = leaves_[leaf].next) {
        JOINERY_ASSERT(leaves_[leaf].previous == previous);
        previous = leaf;
        for (std::uint32_t i = 0; i < leaves_[leaf].span_count; ++i) {
            for (std::uint32_t j = 0; j < leaves_[leaf].length(i); ++j) {
                JOINERY_ASSERT(!met[leaves_[leaf].firsts[i] + j]);
                met[leaves_[leaf].firsts[i] + j] = true;
            }
        }
    }
    JOINERY_ASSERT(previous == edge_leaf(true));
}

}  // namespace joinery::crdt
