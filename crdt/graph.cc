#include "crdt/graph.h"

#include <algorithm>

namespace joinery::crdt {
namespace {

const ChangeHash kZeroHash{};

}  // namespace

const ChangeHash& Graph::tip_hash(ChainIndex chain) const noexcept {
    return chain < chains_.size() ? chains_[chain].tip : kZeroHash;
}

void Graph::set_tip_hash(ChainIndex chain, const ChangeHash& hash) {
    ensure_chain(chain);
    chains_[chain].tip = hash;
}

void Graph::grow_chains(ChainIndex chain) {
    chains_.resize(chain + 1);
    limits_.resize(chain + 1, UINT64_MAX);
}

std::uint64_t Graph::last_lv_of(const Chain& chain) const {
    const Run& run = runs_[chain.runs.back()];
    return run.lv + run.count - 1;
}

bool Graph::is_linear(ChainIndex chain) const noexcept {
    if (heads_.empty()) return true;
    return heads_.size() == 1 && chain < chains_.size() && chains_[chain].last_seq != 0 &&
           heads_[0] == last_lv_of(chains_[chain]);
}

std::vector<Dependency> Graph::heads() const {
    std::vector<Dependency> out;
    out.reserve(heads_.size());
    for (const std::uint64_t lv : heads_)
        out.push_back(change_at(lv));
    std::ranges::sort(out, {}, &Dependency::chain);
    return out;
}

std::uint32_t Graph::run_index_at(std::uint64_t lv) const {
    const auto after = std::ranges::upper_bound(runs_, lv, {}, &Run::lv);
    JOINERY_ASSERT(after != runs_.begin());
    return static_cast<std::uint32_t>(after - runs_.begin() - 1);
}

std::uint64_t Graph::lv_of(ChainIndex chain, std::uint64_t seq) const {
    JOINERY_ASSERT(seq >= 1 && seq <= last_seq(chain));
    const auto& indices = chains_[chain].runs;
    const auto after = std::ranges::upper_bound(
        indices, seq, {}, [&](std::uint32_t index) { return runs_[index].seq; });
    const Run& run = runs_[*(after - 1)];
    return run.lv + (seq - run.seq);
}

Dependency Graph::change_at(std::uint64_t lv) const {
    const Run& run = runs_[run_index_at(lv)];
    JOINERY_ASSERT(lv < run.lv + run.count);
    return {run.chain, run.seq + (lv - run.lv)};
}

std::uint64_t Graph::counter_after(ChainIndex chain, std::uint64_t seq) const {
    if (seq == 0) return 1;
    const auto& steps = chains_[chain].steps;
    const auto after = std::ranges::upper_bound(steps, seq, {}, &Step::seq);
    const Step& step = *(after - 1);
    return step.counter + (seq - step.seq + 1) * step.op_count;
}

std::uint64_t Graph::seq_of_counter(ChainIndex chain, std::uint64_t counter) const {
    const auto& steps = chains_[chain].steps;
    // Of steps that start at one counter (changes without operations), the last one holds it.
    const auto after = std::ranges::upper_bound(steps, counter, {}, &Step::counter);
    JOINERY_ASSERT(after != steps.begin());
    const Step& step = *(after - 1);
    JOINERY_ASSERT(step.op_count != 0);
    return step.seq + (counter - step.counter) / step.op_count;
}

Context Graph::context(ChainIndex chain, std::span<const Dependency> dependencies) {
    ensure_chain(chain);
    if (dependencies.empty() && is_linear(chain)) return Context(*this, nullptr);
    const Chain& own = chains_[chain];
    if (dependencies.empty() && own.last_seq != 0 && limits_lv_ == last_lv_of(own) &&
        limits_lv_ + 1 == change_count_) {
        ++limits_lv_;
        return Context(*this, limits_.data());
    }
    seen_.clear();
    if (own.last_seq != 0) seen_.push_back(last_lv_of(own));
    for (const Dependency& dep : dependencies)
        seen_.push_back(lv_of(dep.chain, dep.seq));
    std::ranges::sort(seen_);
    if (std::ranges::includes(seen_, heads_)) return Context(*this, nullptr);
    clear_limits();
    mark_unseen(seen_);
    limits_lv_ = change_count_;
    return Context(*this, limits_.data());
}

void Graph::clear_limits() {
    for (const ChainIndex chain : limited_)
        limits_[chain] = UINT64_MAX;
    limited_.clear();
    limits_lv_ = UINT64_MAX;
}

void Graph::limit_to(const Run& run, std::uint64_t first_unseen_lv) {
    const std::uint64_t seq = run.seq + (first_unseen_lv - run.lv);
    const std::uint64_t limit = counter_after(run.chain, seq - 1) - 1;
    if (limits_[run.chain] == UINT64_MAX) limited_.push_back(run.chain);
    limits_[run.chain] = std::min(limits_[run.chain], limit);
}

/// Walks back from the heads and from @p seen at once, newest first. What only the heads reach is
/// unseen; the walk ends when nothing is left that only they reach.
void Graph::mark_unseen(std::span<const std::uint64_t> seen) {
    heap_.clear();
    std::size_t unseen_count = 0;
    // Ordered by lv, then seen before unseen, so that equal lvs are settled by the first.
    const auto push = [&](std::uint64_t lv, bool is_seen) {
        heap_.emplace_back(lv, is_seen);
        std::ranges::push_heap(heap_);
        if (!is_seen) ++unseen_count;
    };
    const auto pop = [&] {
        std::ranges::pop_heap(heap_);
        const auto top = heap_.back();
        heap_.pop_back();
        if (!top.second) --unseen_count;
        return top;
    };
    for (const std::uint64_t lv : seen)
        push(lv, true);
    for (const std::uint64_t lv : heads_)
        push(lv, false);
    while (unseen_count != 0) {
        const auto [lv, is_seen] = pop();
        while (!heap_.empty() && heap_.front().first == lv)
            pop();
        const Run& run = runs_[run_index_at(lv)];
        // A walk that enters the same run further back settles the rest of it.
        if (!heap_.empty() && heap_.front().first >= run.lv) {
            const std::uint64_t next = heap_.front().first;
            if (!is_seen) limit_to(run, next + 1);
            push(next, is_seen);
            continue;
        }
        if (!is_seen) limit_to(run, run.lv);
        if (run.seq > 1) push(lv_of(run.chain, run.seq - 1), is_seen);
        for (const std::uint64_t parent : parents_of(run))
            push(parent, is_seen);
    }
}

void Graph::add(ChainIndex chain,
                std::uint64_t op_count,
                std::span<const Dependency> dependencies,
                const ChangeHash& hash) {
    ensure_chain(chain);
    Chain& own = chains_[chain];
    const std::uint64_t lv = change_count_;
    const std::uint64_t seq = own.last_seq + 1;
    const bool follows = seq > 1 && dependencies.empty() && last_lv_of(own) + 1 == lv;
    if (dependencies.empty() && is_linear(chain)) {
        heads_.assign(1, lv);
    } else {
        const auto drop = [&](std::uint64_t parent) { std::erase(heads_, parent); };
        // The predecessor is most often the newest head.
        const std::uint64_t own_last = seq > 1 ? last_lv_of(own) : UINT64_MAX;
        if (heads_.back() == own_last) {
            heads_.pop_back();
        } else if (seq > 1) {
            drop(own_last);
        }
        for (const Dependency& dep : dependencies)
            drop(lv_of(dep.chain, dep.seq));
        heads_.push_back(lv);
    }
    if (follows) {
        ++runs_[own.runs.back()].count;
    } else {
        const auto begin = static_cast<std::uint32_t>(parents_.size());
        for (const Dependency& dep : dependencies)
            parents_.push_back(lv_of(dep.chain, dep.seq));
        own.runs.push_back(static_cast<std::uint32_t>(runs_.size()));
        runs_.push_back(
            {lv, 1, seq, chain, begin, static_cast<std::uint32_t>(dependencies.size())});
    }
    lengthen(own, op_count, hash);
}

void Graph::follow(ChainIndex chain, std::uint64_t op_count, const ChangeHash& hash) {
    JOINERY_ASSERT(!runs_.empty() && runs_.back().chain == chain);
    const std::uint64_t before = change_count_ - 1;
    JOINERY_ASSERT(heads_.back() == before);
    heads_.back() = change_count_;
    if (limits_lv_ == before) limits_lv_ = change_count_;
    ++runs_.back().count;
    lengthen(chains_[chain], op_count, hash);
}

void Graph::lengthen(Chain& chain, std::uint64_t op_count, const ChangeHash& hash) {
    ++chain.last_seq;
    if (chain.steps.empty() || chain.steps.back().op_count != op_count) {
        chain.steps.push_back({chain.last_seq, chain.next_counter, op_count});
    }
    chain.next_counter += op_count;
    chain.tip = hash;
    ++change_count_;
}

Graph::Checkpoint Graph::checkpoint() const {
    return {change_count_, runs_.size(), parents_.size(), heads_};
}

Graph::ChainCheckpoint Graph::chain_checkpoint(ChainIndex chain) const {
    if (chain >= chains_.size()) return {0, 1, 0, 0, {}};
    const Chain& own = chains_[chain];
    return {own.last_seq, own.next_counter, own.runs.size(), own.steps.size(), own.tip};
}

void Graph::restore(const Checkpoint& graph,
                    std::span<const std::pair<ChainIndex, ChainCheckpoint>> chains) {
    for (const auto& [chain, before] : chains) {
        Chain& own = chains_[chain];
        own.last_seq = before.last_seq;
        own.next_counter = before.next_counter;
        own.tip = before.tip;
        own.runs.resize(before.run_count);
        own.steps.resize(before.step_count);
    }
    runs_.resize(graph.run_count);
    parents_.resize(graph.parent_count);
    heads_ = graph.heads;
    change_count_ = graph.change_count;
    if (!runs_.empty()) runs_.back().count = change_count_ - runs_.back().lv;
    clear_limits();
}

std::size_t Graph::memory_size() const noexcept {
    std::size_t size = runs_.capacity() * sizeof(Run) + parents_.capacity() * 8 +
                       chains_.capacity() * sizeof(Chain) + limits_.capacity() * 8;
    for (const Chain& chain : chains_) {
        size += chain.runs.capacity() * 4 + chain.steps.capacity() * sizeof(Step);
    }
    return size;
}

}  // namespace joinery::crdt
