// Attacks docs/semantics.md C3 and C4: contexts on random graphs against the transitive closure.
#include "crdt/graph.h"

#include "crdt/random_history.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <set>
#include <utility>
#include <vector>

namespace joinery::crdt::test {
namespace {

struct Node {
    ChainIndex chain = 0;
    std::uint64_t seq = 0;
    std::uint64_t counter = 0;
    std::uint64_t op_count = 0;
    std::vector<Dependency> dependencies;
    std::vector<bool> seen;  // By node: what it saw.
};

/// Changes of chains that hear of one another at random; dependencies are what was newest of that.
std::vector<Node> random_nodes(Source& source, std::size_t chains, std::size_t count) {
    std::vector<Node> nodes;
    std::vector<std::vector<bool>> knows(chains, std::vector<bool>(count, false));
    for (std::size_t n = 0; n < count; ++n) {
        const std::size_t chain = source.below(chains);
        std::vector<bool>& known = knows[chain];
        if (n != 0 && source.chance(60)) {
            const std::size_t heard = source.below(n);
            known[heard] = true;
            for (std::size_t i = 0; i < heard; ++i)
                known[i] = known[i] || nodes[heard].seen[i];
        }
        Node node;
        node.chain = static_cast<ChainIndex>(chain);
        node.seq = 1;
        node.counter = 1;
        node.op_count = source.chance(70) ? 1 : source.below(4);
        node.seen = known;
        for (std::size_t i = 0; i < n; ++i) {
            if (nodes[i].chain == chain) {
                node.seq = nodes[i].seq + 1;
                node.counter = nodes[i].counter + nodes[i].op_count;
            }
            bool is_head = known[i];
            for (std::size_t j = i + 1; j < n; ++j) {
                is_head = is_head && !(known[j] && nodes[j].seen[i]);
            }
            if (is_head && nodes[i].chain != chain) {
                node.dependencies.push_back({nodes[i].chain, nodes[i].seq});
            }
        }
        known[n] = true;
        nodes.push_back(std::move(node));
    }
    return nodes;
}

/// A random order of all nodes in which each comes after what it saw.
std::vector<std::size_t> random_order(Source& source, const std::vector<Node>& nodes) {
    std::vector<std::size_t> order;
    std::vector<bool> done(nodes.size(), false);
    const bool is_depth_first = source.chance(50);
    while (order.size() < nodes.size()) {
        std::vector<std::size_t> ready;
        for (std::size_t n = 0; n < nodes.size(); ++n) {
            bool is_ready = !done[n];
            for (std::size_t i = 0; i < n; ++i)
                is_ready = is_ready && (!nodes[n].seen[i] || done[i]);
            if (is_ready) ready.push_back(n);
        }
        std::size_t next = source.pick(ready);
        for (const std::size_t n : ready) {
            const bool follows = !order.empty() && nodes[n].chain == nodes[order.back()].chain;
            if (is_depth_first && follows && source.chance(80)) next = n;
        }
        done[next] = true;
        order.push_back(next);
    }
    return order;
}

void expect_context(const Context& context,
                    const std::vector<Node>& nodes,
                    const std::vector<std::size_t>& arrived,
                    const Node& node) {
    for (const std::size_t i : arrived) {
        for (std::uint64_t n = 0; n < nodes[i].op_count; ++n) {
            ASSERT_EQ(context.covers(nodes[i].chain, nodes[i].counter + n), node.seen[i])
                << "of " << node.chain << "#" << node.seq << ": " << nodes[i].chain << "#"
                << nodes[i].seq;
        }
    }
}

void expect_queries(const Graph& graph,
                    const std::vector<Node>& nodes,
                    const std::vector<std::size_t>& arrived) {
    std::vector<Dependency> heads;
    for (std::size_t at = 0; at < arrived.size(); ++at) {
        const Node& node = nodes[arrived[at]];
        ASSERT_EQ(graph.lv_of(node.chain, node.seq), at);
        ASSERT_EQ(graph.change_at(at), (Dependency{node.chain, node.seq}));
        ASSERT_EQ(graph.counter_after(node.chain, node.seq), node.counter + node.op_count);
        for (std::uint64_t n = 0; n < node.op_count; ++n) {
            ASSERT_EQ(graph.seq_of_counter(node.chain, node.counter + n), node.seq);
        }
        const bool is_head = std::ranges::none_of(
            arrived, [&](std::size_t other) { return nodes[other].seen[arrived[at]]; });
        if (is_head) heads.push_back({node.chain, node.seq});
    }
    std::ranges::sort(heads, {}, &Dependency::chain);
    ASSERT_EQ(graph.heads(), heads);
    ASSERT_EQ(graph.change_count(), arrived.size());
}

/// Adds @p node, asking for its context first, as a document does.
void add(Graph& graph, const Node& node) {
    (void)graph.context(node.chain, node.dependencies);
    ChangeHash hash;
    hash.bytes[0] = static_cast<std::uint8_t>(node.seq);
    graph.add(node.chain, node.op_count, node.dependencies, hash);
}

/// Whether @p node depends on the one that arrived last alone, of its own chain.
bool follows(const std::vector<Node>& nodes,
             const std::vector<std::size_t>& arrived,
             const Node& node) {
    return !arrived.empty() && nodes[arrived.back()].chain == node.chain &&
           node.dependencies.empty();
}

// Rule C4.
TEST(Graph, ContextsAreTheTransitiveClosureWhateverTheOrderOfArrival) {
    for (std::uint64_t seed = 1; seed <= iterations(1500); ++seed) {
        SCOPED_TRACE(seed);
        SeededSource source(seed);
        const auto nodes = random_nodes(source, 1 + source.below(5), 5 + source.below(30));
        Graph graph;
        Context context(graph, nullptr);
        std::vector<std::size_t> arrived;
        for (const std::size_t n : random_order(source, nodes)) {
            const Node& node = nodes[n];
            ASSERT_EQ(graph.last_seq(node.chain), node.seq - 1);
            ASSERT_EQ(graph.next_counter(node.chain), node.counter);
            // Of one that follows, the context of the one before it holds on.
            const bool is_next = follows(nodes, arrived, node) && source.chance(50);
            if (!is_next) context = graph.context(node.chain, node.dependencies);
            expect_context(context, nodes, arrived, node);
            if (is_next) {
                graph.follow(node.chain, node.op_count, ChangeHash{});
            } else {
                graph.add(node.chain, node.op_count, node.dependencies, ChangeHash{});
            }
            arrived.push_back(n);
        }
        expect_queries(graph, nodes, arrived);
        ASSERT_FALSE(HasFailure());
    }
}

TEST(Graph, RestoringACheckpointForgetsWhatCameAfter) {
    for (std::uint64_t seed = 1; seed <= iterations(700); ++seed) {
        SCOPED_TRACE(seed);
        SeededSource source(seed);
        const auto nodes = random_nodes(source, 1 + source.below(4), 5 + source.below(20));
        const auto order = random_order(source, nodes);
        Graph graph;
        std::vector<std::size_t> arrived;
        for (std::size_t at = 0; at < order.size();) {
            // Some come and go again, then come to stay.
            const auto before = graph.checkpoint();
            std::map<ChainIndex, Graph::ChainCheckpoint> chains;
            const std::size_t passing = source.below(std::min<std::size_t>(6, order.size() - at));
            for (std::size_t i = at; i < at + passing; ++i) {
                const ChainIndex chain = nodes[order[i]].chain;
                chains.try_emplace(chain, graph.chain_checkpoint(chain));
                add(graph, nodes[order[i]]);
            }
            const std::vector<std::pair<ChainIndex, Graph::ChainCheckpoint>> list(chains.begin(),
                                                                                  chains.end());
            graph.restore(before, list);
            const Node& node = nodes[order[at]];
            expect_context(graph.context(node.chain, node.dependencies), nodes, arrived, node);
            add(graph, node);
            arrived.push_back(order[at++]);
            expect_queries(graph, nodes, arrived);
            ASSERT_EQ(graph.tip_hash(node.chain).bytes[0], static_cast<std::uint8_t>(node.seq));
            ASSERT_FALSE(HasFailure());
        }
    }
}

// Rule C3.
TEST(Graph, AChangeThatFollowsTheOnlyHeadIsLinear) {
    Graph graph;
    EXPECT_TRUE(graph.is_linear(0));
    graph.add(0, 1, {}, ChangeHash{});
    EXPECT_TRUE(graph.is_linear(0));
    EXPECT_FALSE(graph.is_linear(1));
    graph.add(1, 1, {}, ChangeHash{});
    EXPECT_FALSE(graph.is_linear(0));
    const std::vector<Dependency> both{{1, 1}};
    graph.add(0, 1, both, ChangeHash{});
    EXPECT_TRUE(graph.is_linear(0));
    EXPECT_EQ(graph.heads(), (std::vector<Dependency>{{0, 2}}));
}

}  // namespace
}  // namespace joinery::crdt::test
