#include "crdt/sequence.h"

#include "base/assert.h"

#include <algorithm>

namespace joinery::crdt {

// --- Inserting -------------------------------------------------------------------------------

bool Sequence::accepts(Item left, Item right) const {
    JOINERY_ASSERT(left == kNoItem || left < item_count());
    JOINERY_ASSERT(right == kNoItem || right < item_count());
    if (left != kNoItem && right != kNoItem && !precedes(left, right)) return false;
    if (right != kNoItem) {
        const Item bound = left_of(right);
        if (bound != left && bound != kNoItem && (left == kNoItem || precedes(left, bound))) {
            return false;
        }
    }
    if (left != kNoItem) {
        const Item bound = right_of(left);
        if (bound != right && bound != kNoItem && (right == kNoItem || precedes(bound, right))) {
            return false;
        }
    }
    return true;
}

Item Sequence::insert(
    ChainIndex chain, std::uint64_t counter, Item left, Item right, ChainOrder order) {
    const Dot dot{chain, counter};
    const OrderTree::Position at = place(dot, left, right, order);
    if (!extends_last_run(dot, left, right)) {
        Run run = make_run(item_count(), dot, left, right);
        const bool is_left = must_be_left_child(left, right);
        run.is_left_child = is_left ? 1 : 0;
        run.ancestor_after = ancestor_after(left, right, is_left);
        std::vector<ChainRun>& of_chain = runs_of_chain(chain);
        if (!of_chain.empty()) {
            const std::uint32_t last = of_chain.back().run;
            JOINERY_ASSERT(counter >= runs_[last].counter() + (run_end(last) - runs_[last].first));
        }
        if (runs_.size() == runs_.capacity()) runs_.reserve(runs_.size() + runs_.size() / 4 + 1);
        of_chain.push_back({counter, static_cast<std::uint32_t>(runs_.size())});
        runs_.push_back(run);
    }
    return tree_.insert(at, false);
}

void Sequence::pop() {
    JOINERY_ASSERT(item_count() > loaded_count_);
    tree_.remove_last();
    if (runs_.back().first == item_count()) {
        runs_of_chain(runs_.back().chain).pop_back();
        runs_.pop_back();
    }
}

/// The gap where the place belongs.
OrderTree::Position Sequence::place(Dot dot, Item left, Item right, ChainOrder order) const {
    JOINERY_ASSERT(left == kNoItem || left < item_count());
    JOINERY_ASSERT(right == kNoItem || right < item_count());
    OrderTree::Position at = tree_.after(left);
    OrderTree::Position right_side = at;
    // Neighbours that still are: whatever child it is, the subtree where it belongs is empty.
    if (tree_.stretch_after(right_side).first == right) return at;
    JOINERY_ASSERT(accepts(left, right));
    return tree_.before(must_be_left_child(left, right)
                            ? place_left_child(dot, right, order)
                            : place_right_child(dot, left, right, order));
}

/// The item before which a new right child of @p left belongs.
///
/// The subtree to the right of L starts right after L, one right child's subtree after the other.
/// Of a place X after L: X's left neighbour is L if X is a right child of L, or stands to the left
/// of one in its subtree by left links alone; so the first place of each child's subtree is of this
/// kind, and after the child itself none is. X's left neighbour stands after L if X is deeper
/// inside, before L if X is beyond the subtree.
Item Sequence::place_right_child(Dot dot, Item left, Item right, ChainOrder order) const {
    OrderTree::Position at = tree_.after(left);
    // Where the subtree starts that is now walked.
    Item found = kNoItem;
    // Its child stands before the new place; the next subtree is still to come.
    bool is_passed = true;
    for (;;) {
        const OrderTree::Stretch stretch = tree_.stretch_after(at);
        if (stretch.length == 0 || stretch.first == right) {
            return is_passed ? stretch.first : found;
        }
        const Item item = stretch.first;
        const std::uint32_t index = run_of(item);
        const Run& run = runs_[index];
        const Item item_left = item == run.first ? run.left : item - 1;
        if (item_left == left) {
            if (is_passed) found = item;
            is_passed = false;
            if (!is_left_child(run, item)) {
                const bool is_before =
                    run.right == right
                        ? dot_less(id_of(item), dot, order)
                        : right != kNoItem && (run.right == kNoItem || precedes(right, run.right));
                if (!is_before) return found;
                is_passed = true;
            }
        } else if (left != kNoItem && (item_left == kNoItem || precedes(item_left, left))) {
            return is_passed ? item : found;
        }
        // The rest of the run is to the right of this item: deeper inside.
        at.offset += std::min(stretch.length, run_end(index) - item);
    }
}

/// The item before which a new left child of @p right belongs.
///
/// The mirror image, from right to left: the subtree to the left of R ends right before R. A place
/// X before R has R as nearest ancestor after it if it is a left child of R, or stands to the right
/// of one by right links alone; so the last place of each child's subtree is of this kind. That
/// ancestor stands before R if X is deeper inside, after R if X is beyond the subtree.
Item Sequence::place_left_child(Dot dot, Item right, ChainOrder order) const {
    OrderTree::Position at = tree_.before(right);
    // The leftmost item met.
    Item met = right;
    // Where the subtree starts that stands right of the one now walked.
    Item found = right;
    // Met a child that stands after the new place, not yet the start of its subtree.
    bool is_passed = false;
    for (;;) {
        const OrderTree::Stretch stretch = tree_.stretch_before(at);
        if (stretch.length == 0) break;
        const Item last = stretch.first + stretch.length - 1;
        const Run& run = runs_[run_of(last)];
        const Item item = std::max(stretch.first, run.first);
        if (run.ancestor_after == right) {
            if (is_passed) found = met;
            is_passed = false;
            if (is_left_child(run, item)) {
                if (dot_less(id_of(item), dot, order)) return found;
                is_passed = true;
            }
        } else if (run.ancestor_after == kNoItem || precedes(right, run.ancestor_after)) {
            break;
        }
        met = item;
        at.offset -= last - item + 1;
    }
    return is_passed ? met : found;
}

bool Sequence::dot_less(Dot a, Dot b, ChainOrder order) const {
    return a.chain == b.chain ? a.counter < b.counter : order.less(a.chain, b.chain);
}

/// Whether R stands in the subtree to the right of L. Its nearest ancestor before it is its left
/// neighbour, and that does not stand after L by accepts(): so L is such an ancestor only if it is
/// that neighbour.
bool Sequence::must_be_left_child(Item left, Item right) const {
    return right != kNoItem && left_of(right) == left;
}

Item Sequence::ancestor_after(Item left, Item right, bool is_left_child) const {
    if (is_left_child) return right;
    return left == kNoItem ? kNoItem : runs_[run_of(left)].ancestor_after;
}

// --- Runs ------------------------------------------------------------------------------------

Sequence::Run Sequence::make_run(Item first, Dot dot, Item left, Item right) {
    JOINERY_ASSERT(dot.chain < (1U << 31U));
    Run run{};
    run.first = first;
    run.chain = dot.chain & 0x7fffffffU;
    run.counter_low = static_cast<std::uint32_t>(dot.counter);
    run.counter_high = static_cast<std::uint32_t>(dot.counter >> 32U);
    run.left = left;
    run.right = right;
    return run;
}

bool Sequence::extends_last_run(Dot dot, Item left, Item right) const {
    if (runs_.empty()) return false;
    const Run& last = runs_.back();
    // The left neighbour is the last item, so the right one is older and not below it: a right
    // child.
    return left != kNoItem && left + 1 == item_count() && last.chain == dot.chain &&
           last.right == right && dot.counter == last.counter() + (item_count() - last.first);
}

/// Each run holds at least one item, which bounds the run of an item from both sides: where most
/// runs are of one item, next to nothing is left to search.
std::uint32_t Sequence::run_of(Item item) const {
    JOINERY_ASSERT(item < item_count());
    const auto run_count = static_cast<std::uint32_t>(runs_.size());
    const std::uint32_t behind = item_count() - item;
    std::uint32_t low = run_count > behind ? run_count - behind : 0;
    std::uint32_t high = std::min(item, run_count - 1) + 1;
    while (high - low > 1) {
        const std::uint32_t middle = low + (high - low) / 2;
        (runs_[middle].first <= item ? low : high) = middle;
    }
    return low;
}

std::uint32_t Sequence::run_end(std::uint32_t run) const {
    return run + 1 < runs_.size() ? runs_[run + 1].first : item_count();
}

std::vector<Sequence::ChainRun>& Sequence::runs_of_chain(ChainIndex chain) {
    const auto at = std::lower_bound(
        chains_.begin(), chains_.end(), chain, [](const ChainRuns& entry, ChainIndex wanted) {
            return entry.chain < wanted;
        });
    if (at != chains_.end() && at->chain == chain) return at->runs;
    return chains_.insert(at, ChainRuns{chain, {}})->runs;
}

// --- Queries ---------------------------------------------------------------------------------

std::optional<Item> Sequence::find(ChainIndex chain, std::uint64_t counter) const {
    const auto of_chain = std::lower_bound(
        chains_.begin(), chains_.end(), chain, [](const ChainRuns& entry, ChainIndex wanted) {
            return entry.chain < wanted;
        });
    if (of_chain == chains_.end() || of_chain->chain != chain) return std::nullopt;
    const std::span<const ChainRun> runs = of_chain->runs;
    if (runs.empty() || counter < runs.front().counter) return std::nullopt;
    const auto [first_counter, run] = runs[last_not_above(runs, counter)];
    const std::uint64_t offset = counter - first_counter;
    if (offset >= run_end(run) - runs_[run].first) return std::nullopt;
    return runs_[run].first + static_cast<std::uint32_t>(offset);
}

/// The index in @p runs of the last one that starts at @p counter or below; the first one does.
/// Counters of a chain are spread rather evenly, so it guesses by proportion, then widens around
/// the guess until it holds.
std::size_t Sequence::last_not_above(std::span<const ChainRun> runs, std::uint64_t counter) {
    const auto start = [&](std::size_t index) { return runs[index].counter; };
    const std::size_t last = runs.size() - 1;
    if (counter >= start(last)) return last;
    const double part =
        static_cast<double>(counter - start(0)) / static_cast<double>(start(last) - start(0));
    const auto guess = static_cast<std::size_t>(part * static_cast<double>(last));
    std::size_t low = std::min(last - 1, guess);
    std::size_t high = low + 1;
    for (std::size_t step = 4; start(low) > counter; step *= 4) {
        high = low;
        low -= std::min(low, step);
    }
    for (std::size_t step = 4; start(high) <= counter; step *= 4) {
        low = high;
        high += std::min(last - high, step);
    }
    while (high - low > 1) {
        const std::size_t middle = low + (high - low) / 2;
        (start(middle) <= counter ? low : high) = middle;
    }
    return low;
}

Dot Sequence::id_of(Item item) const {
    const Run& run = runs_[run_of(item)];
    return {run.chain, run.counter() + (item - run.first)};
}

Item Sequence::left_of(Item item) const {
    const Run& run = runs_[run_of(item)];
    return item == run.first ? run.left : item - 1;
}

Item Sequence::right_of(Item item) const { return runs_[run_of(item)].right; }

Item Sequence::next_item(Item item) const {
    OrderTree::Position at = tree_.after(item);
    return tree_.stretch_after(at).first;
}

Item Sequence::previous_item(Item item) const {
    OrderTree::Position at = tree_.before(item);
    const OrderTree::Stretch stretch = tree_.stretch_before(at);
    return stretch.length == 0 ? kNoItem : stretch.first + stretch.length - 1;
}

std::size_t Sequence::memory_size() const noexcept {
    std::size_t size = tree_.memory_size() + runs_.capacity() * sizeof(Run) +
                       chains_.capacity() * sizeof(ChainRuns);
    for (const ChainRuns& entry : chains_)
        size += entry.runs.capacity() * sizeof(ChainRun);
    return size;
}

void Sequence::check_run(std::uint32_t index) const {
    const Run& run = runs_[index];
    JOINERY_ASSERT(index == 0 ? run.first == 0 : runs_[index - 1].first < run.first);
    const bool is_left = must_be_left_child(run.left, run.right);
    JOINERY_ASSERT((run.is_left_child != 0) == is_left);
    JOINERY_ASSERT(run.ancestor_after == ancestor_after(run.left, run.right, is_left));
    for (Item item = run.first; item < run_end(index); ++item) {
        JOINERY_ASSERT(find(run.chain, run.counter() + (item - run.first)) == item);
        const Item left = left_of(item);
        JOINERY_ASSERT(left == kNoItem || (left < item && precedes(left, item)));
        JOINERY_ASSERT(run.right == kNoItem || precedes(item, run.right));
        JOINERY_ASSERT(accepts(left, run.right));
    }
}

void Sequence::check() const {
    tree_.check();
    JOINERY_ASSERT(runs_.empty() == (item_count() == 0));
    for (std::uint32_t run = 0; run < runs_.size(); ++run)
        check_run(run);
    std::size_t run_count = 0;
    for (std::size_t i = 0; i < chains_.size(); ++i) {
        JOINERY_ASSERT(i == 0 || chains_[i - 1].chain < chains_[i].chain);
        run_count += chains_[i].runs.size();
        for (std::size_t j = 1; j < chains_[i].runs.size(); ++j) {
            const std::uint32_t before = chains_[i].runs[j - 1].run;
            const std::uint64_t end =
                runs_[before].counter() + (run_end(before) - runs_[before].first);
            const ChainRun& next = chains_[i].runs[j];
            JOINERY_ASSERT(end <= next.counter && next.counter == runs_[next.run].counter());
        }
    }
    JOINERY_ASSERT(run_count == runs_.size());
}

}  // namespace joinery::crdt
