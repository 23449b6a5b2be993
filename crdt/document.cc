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

std::optional<ChangeHash> Document::remembered_hash(ChainIndex chain, std::uint64_t seq) const {
    const std::uint64_t last = graph_.last_seq(chain);
    if (seq == 0 || seq > last) return std::nullopt;
    if (seq == last) return graph_.tip_hash(chain);
    if (chain < recent_.size() && last - seq < RecentHashes::kCount) {
        const auto& ring = recent_[chain].ring;
        const std::size_t at = seq % RecentHashes::kCount;
        if (at < ring.size() && !ring[at].is_zero()) return ring[at];
    }
    return std::nullopt;
}

// Flat, for every change made one by one asks for the hash before it.
[[gnu::flatten]] Result<ChangeHash> Document::hash_of(ChainIndex chain, std::uint64_t seq) const {
    if (seq == 0 || seq > graph_.last_seq(chain)) {
        return fail(Errc::not_found, "change that is not there", seq);
    }
    if (const auto hash = remembered_hash(chain, seq)) return *hash;
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

    /// Where a chain ends before the change at hand.
    struct Tip {
        std::uint64_t last_seq, next_counter;
        std::size_t index;  ///< Of the last change in the batch; kBefore where that has none.
    };
    static constexpr std::size_t kBefore = SIZE_MAX;

    Tip tip(ChainIndex chain) const {
        const Chain* found = find(chain);
        if (found == nullptr) return {graph_.last_seq(chain), graph_.next_counter(chain), kBefore};
        return found->tip;
    }
    void add(const ChangeHeader& change, std::size_t index) {
        if (find(change.chain) == nullptr) {
            chains_.push_back({change.chain, {}, {}});
            last_ = static_cast<std::uint32_t>(chains_.size() - 1);
            index_.insert(last_, [&](std::uint32_t i) { return mix_hash(chains_[i].chain, 0); });
        }
        Chain& chain = chains_[last_];
        chain.tip = {change.seq, change.counter + change.op_count, index};
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
        Tip tip;
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

Result<void> check_numbers(const ChangeHeader& change,
                           const BatchWalk::Tip& tip,
                           std::size_t index) {
    if (change.seq > tip.last_seq + 1) {
        return fail(Errc::not_found, "change whose predecessor is missing", index);
    }
    if (change.counter != tip.next_counter || change.seq > kCounterMax ||
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
    if (!batch.links.empty()) return fail(Errc::conflict, "changes of an actor that has forked");
    std::vector<ChangeHash>& hashes = checked_hashes_;
    // What one bulk needed is not kept for ever.
    constexpr std::size_t kKept = 1024;
    if (hashes.capacity() > kKept && batch.changes.size() <= kKept) hashes = {};
    hashes.assign(batch.changes.size(), ChangeHash{});
    BatchWalk walk(graph_);
    for (std::size_t i = 0; i < batch.changes.size(); ++i) {
        const ChangeHeader& change = batch.changes[i];
        const BatchWalk::Tip tip = walk.tip(change.chain);
        if (change.seq <= tip.last_seq) continue;  // A duplicate.
        JOINERY_TRY_VOID(check_numbers(change, tip, i));
        dependency_hashes_.clear();
        for (const Dependency& dep : batch.dependencies_of(change)) {
            if (dep.chain == change.chain || dep.seq == 0 ||
                dep.seq > walk.tip(dep.chain).last_seq) {
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
        if (tip.index != BatchWalk::kBefore) {
            previous = hashes[tip.index];
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

/// While an operation is applied, the memory that later ones of the batch need is on its way: an
/// operation's slot and alternatives are found in three jumps, each a miss in a large document.
class LookAhead {
  public:
    LookAhead(const State& state, std::span<const Op> ops) : state_(state), ops_(ops) {
        guesses_.fill(kNone);
    }
    /// To be called for each operation in turn: its slot, where that was found already.
    [[gnu::always_inline]] std::optional<SlotIndex> step(std::size_t at) {
        if (kEntriesAhead < ops_.size() - at) look(at);
        const SlotIndex guess = guesses_[at % kRing];
        if (guess == kNone || !state_.is_at(guess, ops_[at].container, ops_[at].key)) return {};
        return guess;
    }

  private:
    static constexpr std::size_t kIndexAhead = 12, kSlotAhead = 8, kEntriesAhead = 4, kRing = 16;

    JOINERY_PREFETCHES void look(std::size_t at) {
        const std::size_t left = ops_.size() - at;
        state_.prefetch_entries(guesses_[(at + kEntriesAhead) % kRing]);
        if (kSlotAhead >= left) return;
        const Op& later = ops_[at + kSlotAhead];
        const SlotIndex guess = state_.guess_slot(later.container, later.key);
        guesses_[(at + kSlotAhead) % kRing] = guess;
        state_.prefetch_slot(guess);
        if (kIndexAhead >= left) return;
        const Op& last = ops_[at + kIndexAhead];
        state_.prefetch_index(last.container, last.key);
    }

    const State& state_;
    std::span<const Op> ops_;
    std::array<SlotIndex, kRing> guesses_;
};

/// Whether change @p i of @p batch depends on the one before it in the batch alone.
bool follows(const Batch& batch, std::size_t i) {
    if (i == 0) return false;
    const ChangeHeader& change = batch.changes[i];
    const ChangeHeader& before = batch.changes[i - 1];
    return change.chain == before.chain && change.seq == before.seq + 1 &&
           change.dependency_count == 0;
}

}  // namespace

Result<ApplyReport> Document::apply(const Batch& batch, std::span<const ChangeHash> hashes) {
    return apply(batch, hashes, true);
}

Result<void> Document::try_apply(const Batch& batch, std::span<const ChangeHash> hashes) {
    JOINERY_TRY_VOID(apply(batch, hashes, false));
    return {};
}

Result<ApplyReport> Document::apply(const Batch& batch,
                                    std::span<const ChangeHash> hashes,
                                    bool is_kept) {
    JOINERY_ASSERT(!transaction_open_ && hashes.size() == batch.changes.size());
    ApplyReport report;
    // A single change fails before the graph knows it: nothing to go back to.
    const bool is_single = is_kept && batch.changes.size() == 1;
    const Graph::Checkpoint before = is_single ? Graph::Checkpoint() : graph_.checkpoint();
    std::vector<std::pair<ChainIndex, Graph::ChainCheckpoint>> chains;
    LookAhead ahead(state_, batch.ops);
    Context context(graph_, nullptr);
    std::size_t last_applied = SIZE_MAX;
    for (std::size_t i = 0; i < batch.changes.size(); ++i) {
        const ChangeHeader& change = batch.changes[i];
        if (hashes[i].is_zero() || change.seq <= graph_.last_seq(change.chain)) {
            ++report.duplicate;
            continue;
        }
        const bool is_next = last_applied == i - 1 && follows(batch, i);
        const auto is_chain = [&](const auto& pair) { return pair.first == change.chain; };
        if (!is_single && !is_next && std::ranges::none_of(chains, is_chain)) {
            chains.emplace_back(change.chain, graph_.chain_checkpoint(change.chain));
        }
        if (!is_next) context = graph_.context(change.chain, batch.dependencies_of(change));
        OpSite site{{change.chain, change.counter}, change.time_ms, context};
        Result<void> done;
        for (std::size_t op = 0; op < change.op_count && done; ++op, ++site.dot.counter) {
            site.slot = ahead.step(change.op_begin + op);
            done = apply_op(state_, names_, batch, batch.ops[change.op_begin + op], site);
        }
        if (!done) {
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
        if (is_next) {
            graph_.follow(change.chain, change.op_count, hashes[i]);
        } else {
            graph_.add(change.chain, change.op_count, batch.dependencies_of(change), hashes[i]);
        }
        last_applied = i;
        ++report.applied;
    }
    if (!is_kept) {
        state_.undo();
        graph_.restore(before, chains);
        return report;
    }
    state_.keep();
    remember_hashes(batch, hashes);
    return report;
}

void Document::remember_hashes(const Batch& batch, std::span<const ChangeHash> hashes) {
    for (std::size_t i = 0; i < batch.changes.size(); ++i) {
        const ChangeHeader& change = batch.changes[i];
        if (hashes[i].is_zero()) continue;
        // One that the ring is to have in its place soon need not be written at all.
        const std::size_t later = i + RecentHashes::kCount;
        if (later < hashes.size() && batch.changes[later].chain == change.chain &&
            batch.changes[later].seq == change.seq + RecentHashes::kCount &&
            !hashes[later].is_zero()) {
            continue;
        }
        remember_hash(change.chain, change.seq, hashes[i]);
    }
}

std::size_t Document::memory_size() const noexcept {
    std::size_t size = names_.memory_size() + graph_.memory_size() + state_.memory_size() +
                       live_.memory_size() + finder_.memory_size() + sizeof(Document);
    for (const RecentHashes& recent : recent_)
        size += recent.ring.capacity() * sizeof(ChangeHash);
    return size;
}

}  // namespace joinery::crdt
