#include "crdt/document.h"

#include "crdt/limits.h"

#include <algorithm>

namespace joinery::crdt {

Document::Document(std::string id) : id_(std::move(id)), state_(names_), live_(id_) {}

void Document::remember_hash(ChainIndex chain, std::uint64_t seq, const ChangeHash& hash) {
    if (chain >= recent_.size()) recent_.resize(chain + 1);
    auto& ring = recent_[chain].ring;
    const std::size_t at = seq % RecentHashes::kCount;
    // A chain of few changes holds few hashes: the ring grows as far as it is used.
    if (at >= ring.size()) ring.resize(at + 1);
    ring[at] = hash;
}

Result<ChangeHash> Document::hash_of(ChainIndex chain, std::uint64_t seq) const {
    const std::uint64_t last = graph_.last_seq(chain);
    if (seq == 0 || seq > last) return fail(Errc::not_found, "change that is not there", seq);
    if (seq == last) return graph_.tip_hash(chain);
    if (chain < recent_.size() && last - seq < RecentHashes::kCount) {
        const auto& ring = recent_[chain].ring;
        const std::size_t at = seq % RecentHashes::kCount;
        if (at < ring.size() && !ring[at].is_zero()) return ring[at];
    }
    if (hash_source_) return hash_source_(names_.actor(chain), seq);
    return fail(Errc::not_found, "hash of an old change is not remembered", seq);
}

Result<ChangeHash> Document::previous_hash(ChainIndex chain, std::uint64_t seq) const {
    if (seq == 1) return chain_origin(id_, names_.actor(chain));
    return hash_of(chain, seq - 1);
}

namespace {

/// What a batch adds to its chains, change by change: the part of Document::check that is about
/// numbers.
class BatchWalk {
  public:
    explicit BatchWalk(const Graph& graph) : graph_(graph) {}

    std::uint64_t last_seq(ChainIndex chain) const {
        const Chain* found = find(chain);
        return found != nullptr ? found->last_seq : graph_.last_seq(chain);
    }
    std::uint64_t next_counter(ChainIndex chain) const {
        const Chain* found = find(chain);
        return found != nullptr ? found->next_counter : graph_.next_counter(chain);
    }
    void add(const ChangeHeader& change, std::size_t index) {
        if (find(change.chain) == nullptr) {
            chains_.push_back({change.chain, 0, 0, {}});
            last_ = static_cast<std::uint32_t>(chains_.size() - 1);
            index_.insert(last_, [&](std::uint32_t i) { return mix_hash(chains_[i].chain, 0); });
        }
        Chain& chain = chains_[last_];
        chain.last_seq = change.seq;
        chain.next_counter = change.counter + change.op_count;
        std::vector<Span>& spans = chain.spans;
        if (spans.empty() || spans.back().seq + spans.back().count != change.seq ||
            spans.back().index + spans.back().count != index) {
            spans.push_back({change.seq, 0, index});
        }
        ++spans.back().count;
    }
    /// The index in the batch of (chain, seq), if it is there.
    std::optional<std::size_t> find(ChainIndex chain, std::uint64_t seq) const {
        const Chain* found = find(chain);
        if (found == nullptr) return std::nullopt;
        // Most often it is the last.
        const auto after = std::ranges::upper_bound(found->spans, seq, {}, &Span::seq);
        if (after == found->spans.begin()) return std::nullopt;
        const Span& span = *(after - 1);
        if (seq - span.seq >= span.count) return std::nullopt;
        return span.index + (seq - span.seq);
    }

  private:
    struct Span {
        std::uint64_t seq, count;
        std::size_t index;
    };
    struct Chain {
        ChainIndex chain;
        std::uint64_t last_seq, next_counter;
        std::vector<Span> spans;  // Rising.
    };
    /// Leaves last_ at what it found: the next question is most often of the same chain.
    const Chain* find(ChainIndex chain) const {
        if (last_ < chains_.size() && chains_[last_].chain == chain) return &chains_[last_];
        const std::uint32_t found = index_.find(
            mix_hash(chain, 0), [&](std::uint32_t i) { return chains_[i].chain == chain; });
        if (found == kNone) return nullptr;
        last_ = found;
        return &chains_[found];
    }

    const Graph& graph_;
    std::vector<Chain> chains_;
    FlatIndex index_;
    mutable std::uint32_t last_ = kNone;
};

Result<void> check_numbers(const ChangeHeader& change, const BatchWalk& walk, std::size_t index) {
    if (change.seq > walk.last_seq(change.chain) + 1) {
        return fail(Errc::not_found, "change whose predecessor is missing", index);
    }
    if (change.counter != walk.next_counter(change.chain) || change.seq > kCounterMax ||
        change.counter + change.op_count > kCounterMax) {
        return fail(Errc::malformed, "change whose operations are misnumbered", index);
    }
    if (change.op_count > kOpCountMax) {
        return fail(Errc::over_limit, "change of too many operations", index);
    }
    if (change.dependency_count > kDepCountMax) {
        return fail(Errc::over_limit, "change with too many dependencies", index);
    }
    return {};
}

}  // namespace

Result<std::span<const ChangeHash>> Document::check(const Batch& batch) {
    std::vector<ChangeHash>& hashes = checked_hashes_;
    // What one bulk needed is not kept for ever.
    constexpr std::size_t kKept = 1024;
    if (hashes.capacity() > kKept && batch.changes.size() <= kKept) hashes = {};
    hashes.assign(batch.changes.size(), ChangeHash{});
    BatchWalk walk(graph_);
    for (std::size_t i = 0; i < batch.changes.size(); ++i) {
        const ChangeHeader& change = batch.changes[i];
        if (change.seq <= walk.last_seq(change.chain)) continue;  // A duplicate.
        JOINERY_TRY_VOID(check_numbers(change, walk, i));
        dependency_hashes_.clear();
        for (const Dependency& dep : batch.dependencies_of(change)) {
            if (dep.chain == change.chain || dep.seq == 0 || dep.seq > walk.last_seq(dep.chain)) {
                return fail(Errc::not_found, "change whose dependency is missing", i);
            }
            const auto inside = walk.find(dep.chain, dep.seq);
            if (inside) {
                dependency_hashes_.push_back(hashes[*inside]);
            } else {
                JOINERY_TRY(const ChangeHash hash, hash_of(dep.chain, dep.seq));
                dependency_hashes_.push_back(hash);
            }
        }
        ChangeHash previous;
        if (const auto inside = walk.find(change.chain, change.seq - 1)) {
            previous = hashes[*inside];
        } else {
            JOINERY_TRY(previous, previous_hash(change.chain, change.seq));
        }
        hashes[i] = hasher_.hash(names_, batch, change, previous, dependency_hashes_);
        if (hasher_.operations_size() > kChangeSizeMax) {
            return fail(Errc::over_limit, "change too large", i);
        }
        // Nothing follows the last one, which is often the only one.
        if (i + 1 != batch.changes.size()) walk.add(change, i);
    }
    return std::span<const ChangeHash>(hashes);
}

namespace {

/// While operation @p at is applied, the memory that later ones of the batch need is on its way: an
/// operation's slot and alternatives are found in three jumps, each a miss in a large document.
JOINERY_PREFETCHES void prefetch_ahead(const State& state, const Batch& batch, std::size_t at) {
    constexpr std::size_t kIndexAhead = 12, kSlotAhead = 8, kEntriesAhead = 4;
    const std::span<const Op> ahead = std::span(batch.ops).subspan(at);
    if (kEntriesAhead >= ahead.size()) return;
    const Op& next = ahead[kEntriesAhead];
    state.prefetch_entries(next.container, next.key);
    if (kSlotAhead >= ahead.size()) return;
    const Op& later = ahead[kSlotAhead];
    state.prefetch_slot(later.container, later.key);
    if (kIndexAhead >= ahead.size()) return;
    const Op& last = ahead[kIndexAhead];
    state.prefetch_index(last.container, last.key);
}

}  // namespace

Result<void> Document::apply_change(const Batch& batch, const ChangeHeader& change) {
    const Context context = graph_.context(change.chain, batch.dependencies_of(change));
    OpSite site{{change.chain, change.counter}, change.time_ms, context};
    const std::size_t end = change.op_begin + change.op_count;
    for (std::size_t i = change.op_begin; i < end; ++i) {
        prefetch_ahead(state_, batch, i);
        JOINERY_TRY_VOID(apply_op(state_, names_, batch, batch.ops[i], site));
        ++site.dot.counter;
    }
    return {};
}

Result<ApplyReport> Document::apply(const Batch& batch, std::span<const ChangeHash> hashes) {
    JOINERY_ASSERT(!transaction_open_ && hashes.size() == batch.changes.size());
    ApplyReport report;
    // A single change fails before the graph knows it: nothing to go back to.
    const bool is_single = batch.changes.size() == 1;
    const Graph::Checkpoint before = is_single ? Graph::Checkpoint() : graph_.checkpoint();
    std::vector<std::pair<ChainIndex, Graph::ChainCheckpoint>> chains;
    for (std::size_t i = 0; i < batch.changes.size(); ++i) {
        const ChangeHeader& change = batch.changes[i];
        if (hashes[i].is_zero() || change.seq <= graph_.last_seq(change.chain)) {
            ++report.duplicate;
            continue;
        }
        const auto is_chain = [&](const auto& pair) { return pair.first == change.chain; };
        if (!is_single && (chains.empty() || (chains.back().first != change.chain &&
                                              std::ranges::none_of(chains, is_chain)))) {
            chains.emplace_back(change.chain, graph_.chain_checkpoint(change.chain));
        }
        if (auto done = apply_change(batch, change); !done) {
            state_.undo();
            if (is_single) {
                graph_.forget_context();
            } else {
                graph_.restore(before, chains);
            }
            Error error = done.error();
            error.at = i;
            return error;
        }
        graph_.add(change.chain, change.op_count, batch.dependencies_of(change), hashes[i]);
        ++report.applied;
    }
    state_.keep();
    for (std::size_t i = 0; i < batch.changes.size(); ++i) {
        if (!hashes[i].is_zero()) {
            remember_hash(batch.changes[i].chain, batch.changes[i].seq, hashes[i]);
        }
    }
    return report;
}

std::size_t Document::memory_size() const noexcept {
    std::size_t size = names_.memory_size() + graph_.memory_size() + state_.memory_size() +
                       live_.memory_size() + finder_.memory_size() + sizeof(Document);
    for (const RecentHashes& recent : recent_)
        size += recent.ring.capacity() * sizeof(ChangeHash);
    return size;
}

}  // namespace joinery::crdt
