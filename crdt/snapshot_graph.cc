#include "crdt/snapshot_graph.h"

#include <algorithm>
#include <functional>
#include <queue>

namespace joinery::crdt {
namespace {

/// Sums over all chains of changes and of operations: what real documents never reach, and what
/// keeps the numbers made of them within 64 bits.
constexpr std::uint64_t kSumMax = std::uint64_t{1} << 62U;

/// The columns of the changes that have dependencies ("joins") beside their predecessor.
struct JoinColumns {
    std::vector<std::uint64_t> counts;    ///< By chain: its joins.
    std::vector<std::uint64_t> seqs;      ///< By join: above the seq of the join before, or 0.
    std::vector<std::uint64_t> sizes;     ///< By join: its dependencies.
    std::vector<std::uint64_t> actors;    ///< By dependency.
    std::vector<std::uint64_t> dep_seqs;  ///< By dependency: zigzag of the difference to the
                                          ///< chain's last dependency on that actor, or to 0.
};

/// Differences between a chain's successive dependencies on each actor.
class DependencySeqs {
  public:
    explicit DependencySeqs(std::size_t chain_count) : last_(chain_count) {}
    std::uint64_t& last(std::size_t chain) {
        touched_.push_back(chain);
        return last_[chain];
    }
    void next_chain() {
        for (const std::size_t chain : touched_)
            last_[chain] = 0;
        touched_.clear();
    }

  private:
    std::vector<std::uint64_t> last_;
    std::vector<std::size_t> touched_;
};

}  // namespace

std::vector<ChainIndex> SnapshotGraph::chains_of(const Graph& graph, const Names& names) {
    std::vector<ChainIndex> order;
    for (ChainIndex chain = 0; chain < names.actor_count(); ++chain) {
        if (graph.last_seq(chain) != 0) order.push_back(chain);
    }
    std::ranges::sort(order, [&](ChainIndex a, ChainIndex b) { return names.actor_less(a, b); });
    return order;
}

namespace {

JoinColumns join_columns(const Graph& graph, std::span<const ChainIndex> order) {
    std::vector<std::vector<const Graph::Run*>> joins(order.size());
    ChainIndex chain_max = 0;
    for (const ChainIndex chain : order)
        chain_max = std::max(chain_max, chain);
    std::vector<std::uint32_t> number_of(chain_max + 1, kNone);
    for (std::uint32_t i = 0; i < order.size(); ++i)
        number_of[order[i]] = i;
    for (const Graph::Run& run : graph.runs()) {
        if (run.parent_count != 0) joins[number_of[run.chain]].push_back(&run);
    }
    JoinColumns columns;
    DependencySeqs seqs(order.size());
    std::vector<std::pair<std::uint32_t, std::uint64_t>> parents;
    for (const auto& of_chain : joins) {
        columns.counts.push_back(of_chain.size());
        std::uint64_t seq = 0;
        for (const Graph::Run* run : of_chain) {
            columns.seqs.push_back(run->seq - std::exchange(seq, run->seq));
            parents.clear();
            for (const std::uint64_t lv : graph.parents_of(*run)) {
                const Dependency dep = graph.change_at(lv);
                parents.emplace_back(number_of[dep.chain], dep.seq);
            }
            std::ranges::sort(parents);
            const std::size_t before = columns.actors.size();
            for (std::size_t i = 0; i < parents.size(); ++i) {
                const auto [actor, dep_seq] = parents[i];
                // Of several on one chain, the last says it all.
                if (i + 1 < parents.size() && parents[i + 1].first == actor) continue;
                columns.actors.push_back(actor);
                std::uint64_t& last = seqs.last(actor);
                columns.dep_seqs.push_back(
                    zigzag_of(static_cast<std::int64_t>(dep_seq - std::exchange(last, dep_seq))));
            }
            columns.sizes.push_back(columns.actors.size() - before);
        }
        seqs.next_chain();
    }
    return columns;
}

}  // namespace

void SnapshotGraph::write(const Graph& graph,
                          const Names& names,
                          std::span<const ChainIndex> order,
                          ByteWriter& out) {
    out.varint(order.size());
    for (const ChainIndex chain : order)
        out.raw(names.actor(chain).view());
    for (const ChainIndex chain : order)
        out.raw(graph.tip_hash(chain).view());
    std::vector<std::uint64_t> last_seqs;
    std::vector<std::uint64_t> step_counts;
    std::vector<std::uint64_t> op_counts;
    std::vector<std::uint64_t> lengths;  // Of all steps but each chain's last.
    for (const ChainIndex chain : order) {
        last_seqs.push_back(graph.last_seq(chain));
        const auto& steps = graph.chains_[chain].steps;
        step_counts.push_back(steps.size());
        for (std::size_t i = 0; i < steps.size(); ++i) {
            op_counts.push_back(steps[i].op_count);
            if (i != 0) lengths.push_back(steps[i].seq - steps[i - 1].seq);
        }
    }
    encode_integers(last_seqs, out);
    encode_integers(step_counts, out);
    encode_integers(op_counts, out);
    encode_integers(lengths, out);
    const JoinColumns joins = join_columns(graph, order);
    encode_integers(joins.counts, out);
    encode_integers(joins.seqs, out);
    encode_integers(joins.sizes, out);
    encode_integers(joins.actors, out);
    encode_integers(joins.dep_seqs, out);
}

/// A segment is the changes of a chain from a join, or from the first, to the next join: they
/// follow one another, so each becomes one run of the graph. Segments are ordered as if changes
/// were applied one by one, always that of the smallest actor that can be; a segment counts as one.
class SnapshotGraph::Reader {
  public:
    Reader(ByteReader& in, detail::SnapshotBudget& budget, Graph& graph, Names& names)
        : in_(in), budget_(budget), graph_(graph), names_(names) {}

    void run() {
        read_actors();
        read_steps();
        read_joins();
        if (!in_.ok()) return;
        find_targets();
        if (in_.ok()) place_segments();
    }

  private:
    struct Segment {
        std::uint64_t seq = 0;
        std::uint64_t count = 0;
        std::uint64_t lv = 0;
        ChainIndex chain = kNone;
        std::uint32_t parent_begin = 0, parent_count = 0;
        std::uint32_t pending = 0;  ///< Parents that are not placed yet.
    };
    struct Parent {
        Dependency change;
        std::uint32_t segment = kNone;  ///< The one that holds it.
    };

    void refuse(std::string_view what) { in_.refuse(Errc::malformed, what); }

    void read_actors() {
        const std::size_t count = in_.count(ActorId::kSize + ChangeHash::kSize);
        if (!budget_.spend(in_, count)) return;
        graph_.chains_.resize(count);
        for (ChainIndex chain = 0; chain < count; ++chain) {
            const auto actor = in_.fixed<ActorId>();
            if (chain != 0 && !(names_.actor(chain - 1) < actor)) {
                return refuse("actors are not in order");
            }
            names_.intern_actor(actor);
        }
        for (Graph::Chain& chain : graph_.chains_)
            chain.tip = in_.fixed<ChangeHash>();
        const auto last_seqs = detail::read_integers(in_, budget_, count);
        if (!in_.ok()) return;
        for (std::size_t chain = 0; chain < count; ++chain) {
            graph_.chains_[chain].last_seq = last_seqs[chain];
            if (last_seqs[chain] == 0 || last_seqs[chain] > kCounterMax) {
                return refuse("impossible seq of an actor");
            }
            graph_.change_count_ += last_seqs[chain];
            if (graph_.change_count_ > kSumMax) return refuse("too many changes");
        }
        graph_.limits_.resize(count, UINT64_MAX);
    }

    /// The sum of @p counts, which other columns have as their sizes; it is spent.
    std::size_t spend_sum(std::span<const std::uint64_t> counts) {
        std::size_t sum = 0;
        for (const std::uint64_t count : counts) {
            if (!budget_.spend(in_, count)) return 0;
            sum += static_cast<std::size_t>(count);
        }
        return sum;
    }

    void read_steps() {
        const auto counts = detail::read_integers(in_, budget_, graph_.chains_.size());
        for (const std::uint64_t count : counts) {
            if (count == 0) refuse("actor without steps");
        }
        const std::size_t sum = spend_sum(counts);
        const auto op_counts = detail::read_integers(in_, sum);
        const auto lengths =
            detail::read_integers(in_, budget_, in_.ok() ? sum - counts.size() : 0);
        std::size_t step = 0;
        std::size_t length = 0;
        std::uint64_t op_sum = 0;
        for (ChainIndex chain = 0; chain < counts.size() && in_.ok(); ++chain) {
            Graph::Chain& own = graph_.chains_[chain];
            std::uint64_t seq = 1;
            own.steps.reserve(static_cast<std::size_t>(counts[chain]));
            for (std::uint64_t i = 0; i < counts[chain] && in_.ok(); ++i) {
                const bool is_last = i + 1 == counts[chain];
                const std::uint64_t rest = own.last_seq + 1 - seq;
                const std::uint64_t size = is_last ? rest : lengths[length++];
                if (size == 0 || size > rest) return refuse("impossible step of an actor");
                add_step(own, {seq, own.next_counter, op_counts[step++]}, size);
                seq += size;
            }
            op_sum += own.next_counter;
            if (op_sum > kSumMax) return refuse("too many operations");
        }
    }

    void add_step(Graph::Chain& chain, const Graph::Step& step, std::uint64_t size) {
        const bool repeats = !chain.steps.empty() && chain.steps.back().op_count == step.op_count;
        if (step.op_count > kOpCountMax || repeats ||
            (step.op_count != 0 && size > (kCounterMax - chain.next_counter) / step.op_count)) {
            return refuse("impossible operations of an actor");
        }
        chain.steps.push_back(step);
        chain.next_counter += size * step.op_count;
    }

    void read_joins() {
        const auto counts = detail::read_integers(in_, budget_, graph_.chains_.size());
        const std::size_t join_count = spend_sum(counts);
        const auto seqs = detail::read_integers(in_, join_count);
        const auto sizes = detail::read_integers(in_, budget_, join_count);
        const std::size_t parent_count = spend_sum(sizes);
        const auto actors = detail::read_integers(in_, parent_count);
        const auto dep_seqs = detail::read_integers(in_, budget_, parent_count);
        DependencySeqs last_seqs(graph_.chains_.size());
        segments_.reserve(graph_.chains_.size() + join_count);
        parents_.reserve(parent_count);
        std::size_t join = 0;
        for (ChainIndex chain = 0; chain < counts.size() && in_.ok(); ++chain) {
            const std::uint64_t last_seq = graph_.chains_[chain].last_seq;
            first_segments_.push_back(static_cast<std::uint32_t>(segments_.size()));
            std::uint64_t seq = 0;
            if (counts[chain] == 0 || seqs[join] != 1) add_segment(chain, 1, 0);
            for (std::uint64_t i = 0; i < counts[chain] && in_.ok(); ++i, ++join) {
                if (seqs[join] == 0 || seqs[join] > last_seq - seq || sizes[join] == 0 ||
                    sizes[join] > kDepCountMax) {
                    return refuse("impossible change with dependencies");
                }
                seq += seqs[join];
                add_segment(chain, seq, static_cast<std::uint32_t>(sizes[join]));
                for (std::uint64_t d = 0; d < sizes[join] && in_.ok(); ++d) {
                    const std::size_t at = parents_.size();
                    add_parent(chain, d == 0, actors[at], dep_seqs[at], last_seqs);
                }
            }
            if (in_.ok()) end_segment(last_seq + 1);
            last_seqs.next_chain();
        }
        first_segments_.push_back(static_cast<std::uint32_t>(segments_.size()));
    }

    void add_segment(ChainIndex chain, std::uint64_t seq, std::uint32_t parent_count) {
        if (seq != 1) end_segment(seq);
        Segment segment;
        segment.chain = chain;
        segment.seq = seq;
        segment.parent_begin = static_cast<std::uint32_t>(parents_.size());
        segment.parent_count = segment.pending = parent_count;
        segments_.push_back(segment);
    }
    void end_segment(std::uint64_t next_seq) {
        segments_.back().count = next_seq - segments_.back().seq;
    }

    void add_parent(ChainIndex chain,
                    bool is_first,
                    std::uint64_t actor,
                    std::uint64_t difference,
                    DependencySeqs& last_seqs) {
        if (actor >= graph_.chains_.size() || actor == chain ||
            (!is_first && actor <= parents_.back().change.chain)) {
            return refuse("dependencies are not in order");
        }
        const auto parent = static_cast<ChainIndex>(actor);
        std::uint64_t& seq = last_seqs.last(parent);
        seq += static_cast<std::uint64_t>(zigzag_inverse(difference));
        if (seq == 0 || seq > graph_.last_seq(parent)) {
            return refuse("dependency on a change that is not there");
        }
        parents_.push_back({{parent, seq}, kNone});
    }

    /// Finds the segment of each parent, and of each segment those that wait for it.
    void find_targets() {
        std::vector<std::uint32_t> ends(segments_.size() + 1);
        for (Parent& parent : parents_) {
            const auto begin = segments_.begin() + first_segments_[parent.change.chain];
            const auto end = segments_.begin() + first_segments_[parent.change.chain + 1];
            const auto after =
                std::ranges::upper_bound(begin, end, parent.change.seq, {}, &Segment::seq);
            parent.segment = static_cast<std::uint32_t>(after - segments_.begin() - 1);
            ++ends[parent.segment];
        }
        std::uint32_t sum = 0;
        for (std::uint32_t& end : ends)
            sum += std::exchange(end, sum);
        waiting_.resize(parents_.size());
        for (std::uint32_t i = 0; i < segments_.size(); ++i) {
            for (const Parent& parent : parents_of(segments_[i])) {
                waiting_[ends[parent.segment]++] = i;
            }
        }
        waiting_ends_ = std::move(ends);
    }
    std::span<const Parent> parents_of(const Segment& segment) const {
        return std::span(parents_).subspan(segment.parent_begin, segment.parent_count);
    }
    std::span<const std::uint32_t> waiting_for(std::uint32_t segment) const {
        const std::uint32_t begin = segment == 0 ? 0 : waiting_ends_[segment - 1];
        return std::span(waiting_).subspan(begin, waiting_ends_[segment] - begin);
    }

    void place_segments() {
        const std::size_t chain_count = graph_.chains_.size();
        std::vector<std::uint32_t> next(first_segments_.begin(), first_segments_.end() - 1);
        std::priority_queue<ChainIndex, std::vector<ChainIndex>, std::greater<>> ready;
        for (ChainIndex chain = 0; chain < chain_count; ++chain) {
            if (segments_[next[chain]].pending == 0) ready.push(chain);
        }
        graph_.runs_.reserve(segments_.size());
        graph_.parents_.reserve(parents_.size());
        while (!ready.empty()) {
            const ChainIndex chain = ready.top();
            ready.pop();
            const std::uint32_t placed = next[chain]++;
            place(segments_[placed]);
            if (next[chain] != first_segments_[chain + 1] && segments_[next[chain]].pending == 0) {
                ready.push(chain);
            }
            for (const std::uint32_t waiting : waiting_for(placed)) {
                Segment& segment = segments_[waiting];
                if (--segment.pending == 0 && next[segment.chain] == waiting) {
                    ready.push(segment.chain);
                }
            }
        }
        if (graph_.runs_.size() != segments_.size()) return refuse("changes depend on each other");
        find_heads();
    }

    void place(Segment& segment) {
        const auto run = static_cast<std::uint32_t>(graph_.runs_.size());
        segment.lv = lv_;
        lv_ += segment.count;
        graph_.runs_.push_back({segment.lv,
                                segment.count,
                                segment.seq,
                                segment.chain,
                                static_cast<std::uint32_t>(graph_.parents_.size()),
                                segment.parent_count});
        graph_.chains_[segment.chain].runs.push_back(run);
        for (const Parent& parent : parents_of(segment)) {
            const Segment& target = segments_[parent.segment];
            graph_.parents_.push_back(target.lv + (parent.change.seq - target.seq));
        }
    }

    /// The last changes of chains on which no other depends.
    void find_heads() {
        std::vector<bool> has_dependent(graph_.chains_.size());
        for (const Parent& parent : parents_) {
            if (parent.change.seq == graph_.last_seq(parent.change.chain)) {
                has_dependent[parent.change.chain] = true;
            }
        }
        for (ChainIndex chain = 0; chain < graph_.chains_.size(); ++chain) {
            if (!has_dependent[chain]) {
                graph_.heads_.push_back(graph_.last_lv_of(graph_.chains_[chain]));
            }
        }
        std::ranges::sort(graph_.heads_);
    }

    ByteReader& in_;
    detail::SnapshotBudget& budget_;
    Graph& graph_;
    Names& names_;
    std::vector<Segment> segments_;              // By chain, then seq.
    std::vector<std::uint32_t> first_segments_;  // By chain, and the end.
    std::vector<Parent> parents_;
    std::vector<std::uint32_t> waiting_;       // Segments, by the one that they wait for.
    std::vector<std::uint32_t> waiting_ends_;  // By that one.
    std::uint64_t lv_ = 0;
};

void SnapshotGraph::read(ByteReader& in,
                         detail::SnapshotBudget& budget,
                         Graph& graph,
                         Names& names) {
    Reader(in, budget, graph, names).run();
}

}  // namespace joinery::crdt
