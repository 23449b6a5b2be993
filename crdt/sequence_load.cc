// Sequence::load: proving that a list of places, which may be anybody's, is in the prescribed
// order.
#include "base/assert.h"
#include "crdt/sequence.h"

#include <algorithm>
#include <array>

namespace joinery::crdt {

namespace {

/// Sorts by counter, digit by digit: a comparing sort would take half the time of a load.
template <class Run>
void sort_by_counter(std::vector<Run>& starts) {
    const auto less = [](const Run& a, const Run& b) { return a.counter < b.counter; };
    if (std::is_sorted(starts.begin(), starts.end(), less)) return;
    const auto [least, greatest] = std::minmax_element(starts.begin(), starts.end(), less);
    const std::uint64_t base = least->counter;
    const std::uint64_t range = greatest->counter - base;
    constexpr std::uint32_t kDigitBits = 8;
    if (starts.size() < (std::size_t{1} << kDigitBits)) {
        std::sort(starts.begin(), starts.end(), less);
        return;
    }
    std::vector<Run> sorted(starts.size());
    for (std::uint32_t shift = 0; shift < 64 && (range >> shift) != 0; shift += kDigitBits) {
        std::array<std::size_t, (std::size_t{1} << kDigitBits) + 1> ends{};
        const auto digit = [&](const Run& start) {
            return static_cast<std::uint8_t>((start.counter - base) >> shift);
        };
        for (const Run& start : starts)
            ++ends[digit(start) + 1U];
        for (std::size_t i = 1; i < ends.size(); ++i)
            ends[i] += ends[i - 1];
        for (const Run& start : starts)
            sorted[ends[digit(start)]++] = start;
        starts.swap(sorted);
    }
}

/// The tree of FugueMax over places that are numbered in their claimed order: builds it from the
/// neighbours alone, then reads it from left to right. The claim is true if that gives 0, 1, 2...
class TreeProof {
  public:
    TreeProof(std::span<const LoadedPlace> places, ChainOrder order)
        : places_(places),
          order_(order),
          left_heads_(places.size(), kNoItem),
          right_heads_(places.size(), kNoItem),
          siblings_(places.size(), kNoItem) {}

    bool holds() {
        const auto count = static_cast<Item>(places_.size());
        for (Item item = 0; item < count; ++item) {
            if (!are_neighbours_sound(item)) return false;
        }
        // From the last to the first, so that each joins its siblings at the front.
        for (Item item = count; item-- > 0;) {
            Item& head = is_left_child(item) ? left_heads_[places_[item].right]
                                             : right_head(places_[item].left);
            if (head != kNoItem && !stands_before(item, head)) return false;
            siblings_[item] = head;
            head = item;
        }
        return read_from_left_to_right(count);
    }

  private:
    // kNoItem compares as greater than any item, which is right for the end and wrong for the
    // start.
    bool are_neighbours_sound(Item item) const {
        const Item left = places_[item].left;
        const Item right = places_[item].right;
        if (places_[item].dot.counter > kCounterMax) return false;
        if (left != kNoItem && left >= item) return false;
        if (right != kNoItem && (right <= item || right >= places_.size())) return false;
        if (right != kNoItem) {
            const Item bound = places_[right].left;
            // Neither can be older than the other. (Runs rely on it: see load_runs.)
            if (bound == item) return false;
            // This and the last line are accepts().
            if (bound != kNoItem && (left == kNoItem || left < bound)) return false;
        }
        return left == kNoItem || right <= places_[left].right;
    }

    bool is_left_child(Item item) const {
        const Item right = places_[item].right;
        return right != kNoItem && places_[right].left == places_[item].left;
    }

    Item& right_head(Item parent) { return parent == kNoItem ? root_head_ : right_heads_[parent]; }

    bool stands_before(Item a, Item b) const {
        const LoadedPlace& x = places_[a];
        const LoadedPlace& y = places_[b];
        if (x.right != y.right) return x.right > y.right;
        if (x.dot.chain != y.dot.chain) return order_.less(x.dot.chain, y.dot.chain);
        return x.dot.counter < y.dot.counter;
    }

    Item leftmost(Item item) const {
        while (left_heads_[item] != kNoItem)
            item = left_heads_[item];
        return item;
    }

    bool read_from_left_to_right(Item count) const {
        Item item = leftmost(root_head_);
        for (Item expected = 0;; ++expected) {
            if (item != expected) return false;
            if (right_heads_[item] != kNoItem) {
                item = leftmost(right_heads_[item]);
                continue;
            }
            // Climb to the next sibling's subtree, or to the parent that stands after all its left
            // children.
            while (siblings_[item] == kNoItem && !is_left_child(item)) {
                item = places_[item].left;
                if (item == kNoItem) return expected + 1 == count;
            }
            item = siblings_[item] != kNoItem ? leftmost(siblings_[item]) : places_[item].right;
        }
    }

    std::span<const LoadedPlace> places_;
    ChainOrder order_;
    Item root_head_ = kNoItem;
    std::vector<Item> left_heads_;
    std::vector<Item> right_heads_;
    std::vector<Item> siblings_;
};

}  // namespace

bool Sequence::load(std::span<const LoadedPlace> places, ChainOrder order) {
    JOINERY_ASSERT(item_count() == 0);
    if (places.empty()) return true;
    if (places.size() > kItemCountMax || !TreeProof(places, order).holds()) return false;
    std::vector<std::uint8_t> visible;
    visible.reserve(places.size());
    for (const LoadedPlace& place : places)
        visible.push_back(place.visible ? 1 : 0);
    tree_.build(visible);
    if (!load_runs(places)) {
        clear();
        return false;
    }
    loaded_count_ = item_count();
    return true;
}

/// Makes the runs and their index; false if a dot comes twice.
bool Sequence::load_runs(std::span<const LoadedPlace> places) {
    std::vector<Item> ancestors(places.size());
    for (Item item = 0; item < places.size(); ++item) {
        const LoadedPlace& place = places[item];
        const bool is_left = place.right != kNoItem && places[place.right].left == place.left;
        ancestors[item] = is_left                 ? place.right
                          : place.left == kNoItem ? kNoItem
                                                  : ancestors[place.left];
        // Then it is a right child: its right neighbour's left one cannot be the item before it.
        if (item > 0 && place.left == item - 1 && place.right == runs_.back().right) {
            const Run& last = runs_.back();
            if (last.chain == place.dot.chain &&
                place.dot.counter == last.counter() + (item - last.first)) {
                continue;
            }
        }
        Run run = make_run(item, place.dot, place.left, place.right);
        run.is_left_child = is_left ? 1 : 0;
        run.ancestor_after = ancestors[item];
        runs_of_chain(place.dot.chain)
            .push_back({place.dot.counter, static_cast<std::uint32_t>(runs_.size())});
        runs_.push_back(run);
    }
    for (ChainRuns& entry : chains_) {
        sort_by_counter(entry.runs);
        for (std::size_t i = 1; i < entry.runs.size(); ++i) {
            const ChainRun& before = entry.runs[i - 1];
            const std::uint32_t length = run_end(before.run) - runs_[before.run].first;
            if (entry.runs[i].counter - before.counter < length) return false;
        }
    }
    return true;
}

void Sequence::clear() {
    tree_ = OrderTree();
    runs_.clear();
    chains_.clear();
}

}  // namespace joinery::crdt
