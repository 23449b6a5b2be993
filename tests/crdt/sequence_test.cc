// Attacks docs/semantics.md L1, L2: Sequence against two dumb models of FugueMax, each from its
// definition.
#include "crdt/sequence.h"

#include <algorithm>
#include <array>
#include <gtest/gtest.h>
#include <map>
#include <numeric>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace joinery::crdt {
namespace {

/// Small deterministic random numbers (splitmix64).
class Source {
  public:
    explicit Source(std::uint64_t seed) : state_(seed) {}
    std::uint64_t next() {
        std::uint64_t z = state_ += 0x9e3779b97f4a7c15U;
        z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
        z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
        return z ^ (z >> 31U);
    }
    std::size_t below(std::size_t limit) { return static_cast<std::size_t>(next() % limit); }
    bool chance(std::size_t percent) { return below(100) < percent; }

  private:
    std::uint64_t state_;
};

/// An insert as every peer knows it. Operations are named by their index in one global log.
constexpr std::size_t kEdge = SIZE_MAX;
struct Insert {
    std::uint32_t actor = 0;
    std::uint64_t counter = 0;
    std::size_t left = kEdge;
    std::size_t right = kEdge;
};
using Log = std::vector<Insert>;
using Order = std::vector<std::size_t>;

std::pair<std::uint32_t, std::uint64_t> name(const Insert& op) { return {op.actor, op.counter}; }

/// The paper's definition: a tree of left and right children, whose traversal is the list.
class TreeModel {
  public:
    explicit TreeModel(const Log& log) : log_(log) {}

    void insert(std::size_t op) {
        const Insert& in = log_[op];
        const bool is_left = in.right != kEdge && is_below(in.right, in.left);
        const std::size_t parent = is_left ? in.right : in.left;
        parents_[op] = parent;
        Order& siblings = is_left ? left_[parent] : right_[parent];
        siblings.push_back(op);
        std::sort(siblings.begin(), siblings.end(), [&](std::size_t a, std::size_t b) {
            const std::size_t ra = position(log_[a].right);
            const std::size_t rb = position(log_[b].right);
            if (!is_left && ra != rb) return ra > rb;
            return name(log_[a]) < name(log_[b]);
        });
        order_.clear();
        for (const std::size_t child : right_[kEdge])
            visit(child);
    }
    const Order& order() const { return order_; }

  private:
    bool is_below(std::size_t op, std::size_t ancestor) const {
        while (op != kEdge && op != ancestor)
            op = parents_.at(op);
        return op == ancestor;
    }
    std::size_t position(std::size_t op) const {
        return static_cast<std::size_t>(std::find(order_.begin(), order_.end(), op) -
                                        order_.begin());
    }
    void visit(std::size_t op) {
        for (const std::size_t child : left_[op])
            visit(child);
        order_.push_back(op);
        for (const std::size_t child : right_[op])
            visit(child);
    }

    const Log& log_;
    std::map<std::size_t, std::size_t> parents_;
    std::map<std::size_t, Order> left_, right_;
    Order order_;
};

/// The rule as a scan: from the left neighbour on, past what has a left neighbour farther right, or
/// the same one and a right neighbour farther right, or both the same and a smaller name. Only for
/// neighbours that some peer saw next to each other.
void scan_insert(const Log& log, Order& order, std::size_t op) {
    const auto position = [&](std::size_t of) {
        return std::find(order.begin(), order.end(), of) - order.begin() + 1;
    };
    const auto left_position = [&](std::size_t of) { return of == kEdge ? 0 : position(of); };
    const auto left = left_position(log[op].left);
    const auto right = position(log[op].right);
    auto found = left;
    bool is_skipping = false;
    for (auto i = left;; ++i) {
        if (!is_skipping) found = i;
        if (i + 1 >= right) break;
        const std::size_t other = order[static_cast<std::size_t>(i)];
        const auto other_left = left_position(log[other].left);
        const auto other_right = position(log[other].right);
        if (other_left < left) break;
        if (other_left > left) continue;
        if (other_right == right && name(log[op]) < name(log[other])) break;
        is_skipping = other_right < right;
    }
    order.insert(order.begin() + found, op);
}

/// A peer: the sequence under test and what it holds, item by item. Chains are numbered by arrival.
struct Replica {
    Sequence sequence;
    Order arrived;  ///< Operation of each item.
    std::map<std::size_t, Item> item_of;
    std::vector<std::uint32_t> actors;  ///< Of each chain.
    std::vector<bool> visible;          ///< Of each item.

    ChainIndex chain_of(std::uint32_t actor) {
        const auto at = std::find(actors.begin(), actors.end(), actor);
        if (at == actors.end()) {
            actors.push_back(actor);
            return static_cast<ChainIndex>(actors.size() - 1);
        }
        return static_cast<ChainIndex>(at - actors.begin());
    }
    bool less(ChainIndex a, ChainIndex b) const { return actors[a] < actors[b]; }
    Item item(std::size_t op) const { return op == kEdge ? kNoItem : item_of.at(op); }

    Item insert(const Log& log, std::size_t op) {
        const Insert& in = log[op];
        const Item made = sequence.insert(
            chain_of(in.actor), in.counter, item(in.left), item(in.right), [this](auto a, auto b) {
                return less(a, b);
            });
        EXPECT_EQ(made, arrived.size());
        arrived.push_back(op);
        item_of[op] = made;
        visible.push_back(false);
        return made;
    }
    void show(Item at, bool on) {
        sequence.set_visible(at, on);
        visible[at] = on;
    }
    void pop() {
        sequence.pop();
        item_of.erase(arrived.back());
        arrived.pop_back();
        visible.pop_back();
    }
    Order order() const {
        Order found;
        sequence.for_each([&](Item at, bool) { found.push_back(arrived[at]); });
        return found;
    }
    std::vector<LoadedPlace> places() const {
        std::vector<Item> index_of(arrived.size());
        std::vector<LoadedPlace> found;
        sequence.for_each([&](Item at, bool on) {
            index_of[at] = static_cast<Item>(found.size());
            found.push_back({sequence.id_of(at), sequence.left_of(at), sequence.right_of(at), on});
        });
        for (LoadedPlace& place : found) {
            if (place.left != kNoItem) place.left = index_of[place.left];
            if (place.right != kNoItem) place.right = index_of[place.right];
        }
        return found;
    }
};

/// Every query of @p replica against its arrays and the given order of operations.
void expect_equal(const Replica& replica, const Log& log, const Order& order) {
    const Sequence& sequence = replica.sequence;
    sequence.check();
    ASSERT_EQ(replica.order(), order);
    ASSERT_EQ(sequence.item_count(), order.size());
    std::uint32_t shown = 0;
    Item previous = kNoItem;
    std::vector<Item> visible;
    for (const std::size_t op : order) {
        const Item item = replica.item_of.at(op);
        ASSERT_EQ(sequence.next_item(previous), item);
        ASSERT_EQ(sequence.previous_item(item), previous);
        ASSERT_EQ(sequence.left_of(item), replica.item(log[op].left));
        ASSERT_EQ(sequence.right_of(item), replica.item(log[op].right));
        const Dot id = sequence.id_of(item);
        ASSERT_EQ(replica.actors[id.chain], log[op].actor);
        ASSERT_EQ(id.counter, log[op].counter);
        ASSERT_EQ(sequence.find(id.chain, id.counter), item);
        ASSERT_EQ(sequence.is_visible(item), replica.visible[item]);
        ASSERT_EQ(sequence.visible_index_of(item), shown);
        if (previous != kNoItem) {
            ASSERT_TRUE(sequence.precedes(previous, item));
            ASSERT_FALSE(sequence.precedes(item, previous));
        }
        if (replica.visible[item]) {
            ASSERT_EQ(sequence.item_at(shown), item);
            visible.push_back(item);
            ++shown;
        }
        previous = item;
    }
    ASSERT_EQ(sequence.next_item(previous), kNoItem);
    ASSERT_EQ(sequence.previous_item(kNoItem), previous);
    ASSERT_EQ(sequence.visible_count(), shown);
    for (std::uint32_t from : {0U, shown / 2, shown}) {
        std::vector<Item> walked;
        sequence.for_each_visible([&](Item item) { walked.push_back(item); }, from);
        ASSERT_EQ(walked, std::vector<Item>(visible.begin() + from, visible.end()));
    }
}

/// Several peers that insert, show, hide and merge prefixes of one another's logs.
class World {
  public:
    World(std::uint64_t seed, std::size_t peers)
        : source(seed), replicas(peers), next_counter(peers, 1) {}

    /// Inserts at @p index of all places.
    Item insert_at(std::size_t peer, std::size_t index) {
        Replica& replica = replicas[peer];
        const Order order = replica.order();
        return insert_between(peer,
                              index == 0 ? kEdge : order[index - 1],
                              index == order.size() ? kEdge : order[index]);
    }
    Item insert_between(std::size_t peer, std::size_t left, std::size_t right) {
        log.push_back({static_cast<std::uint32_t>(peer), next_counter[peer], left, right});
        next_counter[peer] += source.chance(80) ? 1U : 3U;
        return replicas[peer].insert(log, log.size() - 1);
    }
    /// Hands @p to what it lacks of the first @p count operations that @p from holds.
    void pull(std::size_t to, std::size_t from, std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
            const std::size_t op = replicas[from].arrived[i];
            if (replicas[to].item_of.count(op) == 0) replicas[to].insert(log, op);
        }
    }
    void random_insert(std::size_t peer) {
        const std::size_t count = replicas[peer].arrived.size();
        const std::size_t style = source.below(4);
        std::size_t index = style == 0 ? 0 : style == 1 ? count : source.below(count + 1);
        const std::size_t length = source.chance(40) ? 1 + source.below(6) : 1;
        const bool is_backward = source.chance(50);
        for (std::size_t i = 0; i < length; ++i) {
            const Item made = insert_at(peer, index);
            if (source.chance(60)) replicas[peer].show(made, true);
            if (!is_backward) ++index;
        }
    }
    void step() {
        const std::size_t peer = source.below(replicas.size());
        Replica& replica = replicas[peer];
        if (source.chance(50)) {
            random_insert(peer);
        } else if (source.chance(40) && !replica.arrived.empty()) {
            const std::size_t item = source.below(replica.arrived.size());
            replica.show(static_cast<Item>(item), source.chance(50));
        } else {
            const std::size_t from = source.below(replicas.size());
            pull(peer, from, source.below(replicas[from].arrived.size() + 1));
        }
    }
    void merge_all() {
        for (std::size_t to = 0; to < replicas.size(); ++to) {
            for (std::size_t from = 0; from < replicas.size(); ++from) {
                pull(to, from, replicas[from].arrived.size());
            }
        }
    }
    Order by_tree(const Order& arrived) const {
        TreeModel model(log);
        for (const std::size_t op : arrived)
            model.insert(op);
        return model.order();
    }
    Order by_scan(const Order& arrived) const {
        Order order;
        for (const std::size_t op : arrived)
            scan_insert(log, order, op);
        return order;
    }

    Source source;
    Log log;
    std::vector<Replica> replicas;
    std::vector<std::uint64_t> next_counter;
};

TEST(Sequence, EqualsBothDefinitionsOnRandomConcurrentHistories) {
    for (std::uint64_t seed = 0; seed < 400; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        World world(seed, 2 + seed % 4);
        for (int i = 0; i < 30; ++i)
            world.step();
        world.merge_all();
        for (const Replica& replica : world.replicas) {
            ASSERT_EQ(world.by_scan(replica.arrived), world.by_tree(replica.arrived));
            ASSERT_NO_FATAL_FAILURE(
                expect_equal(replica, world.log, world.by_tree(replica.arrived)));
            ASSERT_EQ(replica.order(), world.replicas[0].order());
        }
    }
}

// A malicious peer may name neighbours that were never next to each other.
TEST(Sequence, ConvergesToTheTreeForAnyNeighboursThatItAccepts) {
    for (std::uint64_t seed = 0; seed < 600; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        World world(seed, 2 + seed % 3);
        for (int i = 0; i < 40; ++i) {
            const std::size_t peer = world.source.below(world.replicas.size());
            const Replica& replica = world.replicas[peer];
            const std::size_t count = replica.arrived.size();
            if (world.source.chance(25)) {
                const std::size_t from = world.source.below(world.replicas.size());
                world.pull(peer, from, world.source.below(world.replicas[from].arrived.size() + 1));
                continue;
            }
            const auto any = [&] {
                const std::size_t at = world.source.below(count + 1);
                return at == count ? kEdge : replica.arrived[at];
            };
            const std::size_t left = any();
            const std::size_t right = any();
            if (left != right || left == kEdge) {
                if (!replica.sequence.accepts(replica.item(left), replica.item(right))) continue;
                world.insert_between(peer, left, right);
            }
        }
        world.merge_all();
        for (const Replica& replica : world.replicas) {
            ASSERT_NO_FATAL_FAILURE(
                expect_equal(replica, world.log, world.by_tree(replica.arrived)));
            ASSERT_EQ(replica.order(), world.replicas[0].order());
            Sequence loaded;
            ASSERT_TRUE(
                loaded.load(replica.places(), [&](auto a, auto b) { return replica.less(a, b); }));
            loaded.check();
        }
    }
}

// Three peers, each with two inserts at every index, merged in every order of peers.
TEST(Sequence, ConvergesInEverySmallWorld) {
    std::array<std::size_t, 3> cases{};
    for (std::size_t world_index = 0; world_index < 12 * 12 * 12; ++world_index) {
        cases = {world_index % 12, world_index / 12 % 12, world_index / 144};
        World world(0, 3);
        world.insert_at(0, 0);
        world.insert_at(0, 1);
        world.pull(1, 0, 2);
        world.pull(2, 0, 2);
        for (std::size_t peer = 0; peer < 3; ++peer) {
            world.insert_at(peer, cases[peer] % 3);
            world.insert_at(peer, cases[peer] / 3);
        }
        const std::vector<Replica> start = world.replicas;
        const Order truth = world.by_tree(Order{0, 1, 2, 3, 4, 5, 6, 7});
        std::array<std::size_t, 3> turns{0, 1, 2};
        do {
            Replica merged = start[turns[0]];
            for (const std::size_t from : {turns[1], turns[2]}) {
                for (const std::size_t op : start[from].arrived) {
                    if (merged.item_of.count(op) == 0) merged.insert(world.log, op);
                }
            }
            ASSERT_EQ(merged.order(), truth) << "world " << world_index;
        } while (std::next_permutation(turns.begin(), turns.end()));
    }
}

TEST(Sequence, PutsTheSmallerActorFirstAndKeepsRunsWhole) {
    for (const bool is_backward : {false, true}) {
        for (const std::size_t length : {1U, 3U, 100U}) {
            World world(0, 2);
            for (std::size_t i = 0; i < length; ++i) {
                world.insert_at(0, is_backward ? 0 : i);
                world.insert_at(1, is_backward ? 0 : i);
            }
            world.merge_all();
            std::vector<std::uint32_t> actors;
            for (const std::size_t op : world.replicas[0].order()) {
                actors.push_back(world.log[op].actor);
            }
            std::vector<std::uint32_t> expected(length, 0);
            expected.resize(2 * length, 1);
            EXPECT_EQ(actors, expected);
            EXPECT_EQ(world.replicas[0].order(), world.replicas[1].order());
        }
    }
}

TEST(Sequence, KeepsRunsWholeWhereverTheyAreTyped) {
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        World world(seed, 3);
        const std::size_t base = world.source.below(5);
        for (std::size_t i = 0; i < base; ++i)
            world.insert_at(0, i);
        world.pull(1, 0, base);
        world.pull(2, 0, base);
        const std::size_t gap = world.source.below(base + 1);
        for (std::size_t peer = 0; peer < 3; ++peer) {
            const bool is_backward = world.source.chance(50);
            for (std::size_t i = 0; i < 5; ++i) {
                world.insert_at(peer, gap + (is_backward ? 0 : i));
            }
        }
        world.merge_all();
        std::vector<std::uint32_t> actors;
        for (const std::size_t op : world.replicas[1].order()) {
            if (op >= base) actors.push_back(world.log[op].actor);
        }
        actors.erase(std::unique(actors.begin(), actors.end()), actors.end());
        EXPECT_EQ(actors.size(), 3U);
    }
}

/// Makes and undoes inserts and flips at random, beside a plain vector.
void edit_and_undo(std::uint64_t seed, int steps) {
    World world(seed, 1);
    Replica& replica = world.replicas[0];
    Order order;
    const auto insert = [&] {
        const std::size_t index =
            world.source.chance(30) ? order.size() : world.source.below(order.size() + 1);
        const Item made = world.insert_at(0, index);
        order.insert(order.begin() + static_cast<std::ptrdiff_t>(index), replica.arrived[made]);
        if (world.source.chance(70)) replica.show(made, true);
    };
    const auto pop = [&] {
        order.erase(std::find(order.begin(), order.end(), replica.arrived.back()));
        replica.pop();
        world.next_counter[0] = world.log.back().counter;
        world.log.pop_back();
    };
    for (int i = 0; i < steps; ++i) {
        const std::size_t dice = world.source.below(100);
        if (dice < 50 || order.empty()) {
            insert();
        } else if (dice < 80) {
            replica.show(static_cast<Item>(world.source.below(order.size())),
                         world.source.chance(40));
        } else {
            for (std::size_t n = world.source.below(5); n > 0 && !order.empty(); --n)
                pop();
        }
    }
    ASSERT_NO_FATAL_FAILURE(expect_equal(replica, world.log, order));
    while (!order.empty())
        pop();
    ASSERT_NO_FATAL_FAILURE(expect_equal(replica, world.log, order));
}

TEST(Sequence, PopUndoesTheLastInsertWhateverStoodAround) {
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        ASSERT_NO_FATAL_FAILURE(edit_and_undo(seed, seed < 50 ? 100 : 3000));
    }
}

TEST(Sequence, LoadsWhatItHeldAndGoesOnAlike) {
    for (std::uint64_t seed = 0; seed < 150; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        World world(seed, 2 + seed % 3);
        for (int i = 0; i < 25; ++i)
            world.step();
        Replica& first = world.replicas[0];
        // The same peer, restarted from its own places.
        Replica second;
        second.actors = first.actors;
        ASSERT_TRUE(second.sequence.load(first.places(),
                                         [&](auto a, auto b) { return second.less(a, b); }));
        for (const std::size_t op : first.order()) {
            second.item_of[op] = static_cast<Item>(second.arrived.size());
            second.arrived.push_back(op);
            second.visible.push_back(first.visible[first.item_of.at(op)]);
        }
        ASSERT_NO_FATAL_FAILURE(expect_equal(second, world.log, first.order()));
        const std::size_t saved = first.arrived.size();
        for (int i = 0; i < 25; ++i)
            world.step();
        for (std::size_t i = saved; i < first.arrived.size(); ++i) {
            second.insert(world.log, first.arrived[i]);
        }
        second.visible.assign(second.arrived.size(), false);
        for (Item item = 0; item < second.arrived.size(); ++item) {
            second.show(item, first.visible[first.item_of.at(second.arrived[item])]);
        }
        ASSERT_NO_FATAL_FAILURE(expect_equal(second, world.log, first.order()));
        while (second.arrived.size() > saved)
            second.pop();
        second.sequence.check();
    }
}

/// Whether @p places are what the definition makes of them, in the order of their claim.
bool is_true_claim(const std::vector<LoadedPlace>& places) {
    Log log;
    std::set<std::pair<std::uint32_t, std::uint64_t>> names;
    for (const LoadedPlace& place : places) {
        log.push_back({place.dot.chain,
                       place.dot.counter,
                       place.left == kNoItem ? kEdge : place.left,
                       place.right == kNoItem ? kEdge : place.right});
        if (!names.insert(name(log.back())).second) return false;
    }
    // Neighbours first: any such order will do.
    TreeModel model(log);
    std::set<std::size_t> done;
    for (bool is_moving = true; is_moving;) {
        is_moving = false;
        for (std::size_t i = 0; i < log.size(); ++i) {
            const auto is_ready = [&](std::size_t op) {
                return op == kEdge || done.count(op) != 0;
            };
            if (done.count(i) != 0 || !is_ready(log[i].left) || !is_ready(log[i].right)) continue;
            model.insert(i);
            done.insert(i);
            is_moving = true;
        }
    }
    Order claim(log.size());
    std::iota(claim.begin(), claim.end(), std::size_t{0});
    return model.order() == claim;
}

TEST(Sequence, LoadTakesAClaimOnlyIfItIsTrue) {
    std::size_t taken = 0;
    std::size_t refused = 0;
    for (std::uint64_t seed = 0; seed < 3000; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        World world(seed, 3);
        for (int i = 0; i < 12; ++i)
            world.step();
        world.merge_all();
        std::vector<LoadedPlace> places = world.replicas[0].places();
        if (places.size() < 2) continue;
        const std::size_t count = places.size();
        LoadedPlace& victim = places[world.source.below(count)];
        const auto any = [&] { return static_cast<Item>(world.source.below(count + 1)); };
        switch (world.source.below(4)) {
            case 0: victim.left = any() == count ? kNoItem : any(); break;
            case 1: victim.right = any() == count ? kNoItem : any(); break;
            case 2: victim.dot = places[world.source.below(count)].dot; break;
            default: std::swap(victim, places[world.source.below(count)]); break;
        }
        Sequence sequence;
        const bool is_taken =
            sequence.load(places, [](ChainIndex a, ChainIndex b) { return a < b; });
        sequence.check();
        EXPECT_EQ(sequence.item_count(), is_taken ? count : 0);
        // Some true claims are refused too: those with neighbours that accepts() refuses.
        if (is_taken) {
            EXPECT_TRUE(is_true_claim(places));
        }
        ++(is_taken ? taken : refused);
    }
    EXPECT_GT(taken, 100U);
    EXPECT_GT(refused, 100U);
}

TEST(Sequence, LoadRefusesTwoPlacesThatEachNeedTheOther) {
    const std::vector<LoadedPlace> places{
        {{0, 1}, kNoItem, 2, false}, {{0, 2}, 0, 2, false}, {{1, 1}, 0, kNoItem, false}};
    Sequence sequence;
    EXPECT_FALSE(sequence.load(places, [](ChainIndex a, ChainIndex b) { return a < b; }));
    EXPECT_EQ(sequence.item_count(), 0U);
}

TEST(Sequence, RefusesNeighboursThatNoPeerEverSawTogether) {
    World world(0, 1);
    for (std::size_t i = 0; i < 3; ++i)
        world.insert_at(0, i);
    const Sequence& sequence = world.replicas[0].sequence;
    EXPECT_TRUE(sequence.accepts(0, 1));
    EXPECT_TRUE(sequence.accepts(kNoItem, 0));
    EXPECT_TRUE(sequence.accepts(2, kNoItem));
    EXPECT_FALSE(sequence.accepts(1, 0));
    EXPECT_FALSE(sequence.accepts(1, 1));
    EXPECT_FALSE(sequence.accepts(0, 2));
    EXPECT_FALSE(sequence.accepts(kNoItem, 2));
}

TEST(Sequence, AnEmptyOneHasNothingAndHoldsNoMemory) {
    const Sequence sequence;
    EXPECT_EQ(sequence.item_count(), 0U);
    EXPECT_EQ(sequence.visible_count(), 0U);
    EXPECT_EQ(sequence.next_item(kNoItem), kNoItem);
    EXPECT_EQ(sequence.previous_item(kNoItem), kNoItem);
    EXPECT_EQ(sequence.find(0, 1), std::nullopt);
    EXPECT_EQ(sequence.memory_size(), 0U);
    sequence.for_each_visible([](Item) { FAIL(); });
    sequence.check();
}

/// Many items, so that the tree is several levels high: against a vector of visible items.
void edit_at_large(std::uint64_t seed, std::size_t count) {
    Source source(seed);
    Sequence sequence;
    std::vector<Item> shown;
    const auto order = [](ChainIndex a, ChainIndex b) { return a < b; };
    for (std::size_t i = 0; i < count; ++i) {
        if (source.chance(25) && !shown.empty()) {
            const std::size_t index = source.below(shown.size());
            ASSERT_EQ(sequence.item_at(static_cast<std::uint32_t>(index)), shown[index]);
            sequence.set_visible(shown[index], false);
            shown.erase(shown.begin() + static_cast<std::ptrdiff_t>(index));
            continue;
        }
        const std::size_t index = source.below(shown.size() + 1);
        const Item left =
            index == 0 ? kNoItem : sequence.item_at(static_cast<std::uint32_t>(index - 1));
        const Item made = sequence.insert(0, i, left, sequence.next_item(left), order);
        sequence.set_visible(made, true);
        ASSERT_EQ(sequence.visible_index_of(made), index);
        shown.insert(shown.begin() + static_cast<std::ptrdiff_t>(index), made);
    }
    sequence.check();
    std::vector<Item> walked;
    sequence.for_each_visible([&](Item item) { walked.push_back(item); });
    ASSERT_EQ(walked, shown);
    while (sequence.item_count() > 0)
        sequence.pop();
    sequence.check();
}

TEST(Sequence, FindsDotsHoweverTheCountersAreSpread) {
    const auto order = [](ChainIndex a, ChainIndex b) { return a < b; };
    for (std::uint64_t power = 1; power < 4; ++power) {
        Sequence sequence;
        std::vector<std::uint64_t> counters;
        for (std::uint64_t i = 3; i < 1500; ++i) {
            counters.push_back(power == 1 ? 2 * i : power == 2 ? i * i : i < 1400 ? i : i * i * i);
            const bool is_first = i % 3 == 0 || counters.size() < 2;
            const Item left = is_first ? kNoItem : sequence.item_count() - 1;
            sequence.insert(0, counters.back(), left, sequence.next_item(left), order);
        }
        sequence.check();
        std::uint64_t absent = 0;
        for (std::size_t i = 0; i < counters.size(); ++i) {
            ASSERT_EQ(sequence.find(0, counters[i]), static_cast<Item>(i));
            for (; absent < counters[i]; ++absent)
                ASSERT_FALSE(sequence.find(0, absent));
            absent = counters[i] + 1;
            if (power == 1 || i + 1 == counters.size()) continue;
            absent = std::max(absent, counters[i + 1] - 9);
        }
        EXPECT_FALSE(sequence.find(0, UINT64_MAX));
        EXPECT_FALSE(sequence.find(1, counters[0]));
    }
}

TEST(Sequence, EqualsAVectorAtLargeSizes) {
    for (std::uint64_t seed = 0; seed < 3; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        ASSERT_NO_FATAL_FAILURE(edit_at_large(seed, 60000));
    }
}

TEST(Sequence, HidingAndShowingAllInAnyOrderKeepsTheTreeSound) {
    for (std::uint64_t seed = 0; seed < 3; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Source source(seed);
        std::vector<LoadedPlace> places;
        for (std::uint32_t i = 0; i < 20000; ++i) {
            const bool on = seed != 0 && source.chance(50);
            places.push_back({{0, i + 1U}, i == 0 ? kNoItem : i - 1, kNoItem, on});
        }
        Sequence sequence;
        ASSERT_TRUE(sequence.load(places, [](ChainIndex a, ChainIndex b) { return a < b; }));
        sequence.check();
        std::vector<Item> items(places.size());
        std::iota(items.begin(), items.end(), Item{0});
        for (const bool on : {true, false, true}) {
            for (std::size_t i = items.size(); i > 1; --i) {
                std::swap(items[i - 1], items[source.below(i)]);
            }
            for (const Item item : items)
                sequence.set_visible(item, on);
            sequence.check();
            EXPECT_EQ(sequence.visible_count(), on ? items.size() : 0);
        }
        EXPECT_EQ(sequence.item_at(12345), 12345U);
    }
}

}  // namespace
}  // namespace joinery::crdt
