// The part of DocumentCore that tells others: how far it is, and the changes that they lack.
//
// A change may leave before it is durable here: an actor whose process ended uncleanly is never
// written as again, so no number is given twice (docs/storage-format.md). So what is told is what
// is sealed, and what is acknowledged is what is stored.

#include "engine/document_core.h"
#include "engine/history.h"
#include "session/frontier.h"

#include <algorithm>

namespace joinery::detail {

session::Frontier DocumentCore::frontier() const {
    const std::lock_guard lock(mutex_);
    return forked_ ? forked_->frontier() : frontier_of(told());
}

session::Frontier DocumentCore::durable_frontier() const {
    const std::lock_guard lock(mutex_);
    return forked_ ? forked_->frontier() : frontier_of(stored_);
}

session::Frontier DocumentCore::frontier_of(const std::vector<Stored>& chains) const {
    session::Frontier frontier;
    for (crdt::ChainIndex chain = 0; chain < chains.size(); ++chain) {
        if (chains[chain].seq == 0) continue;
        frontier.push_back({document_->names().actor(chain),
                            chains[chain].seq,
                            crdt::prefix_of(chains[chain].hash).bytes});
    }
    std::ranges::sort(frontier, {}, &session::FrontierEntry::actor);
    return frontier;
}

session::Frontier DocumentCore::known_frontier() const {
    const std::lock_guard lock(mutex_);
    if (forked_) return forked_->known_frontier();
    session::Frontier frontier;
    const crdt::Graph& graph = document_->graph();
    for (crdt::ChainIndex chain = 0; chain < document_->names().actor_count(); ++chain) {
        if (graph.last_seq(chain) == 0) continue;
        frontier.push_back({document_->names().actor(chain),
                            graph.last_seq(chain),
                            crdt::prefix_of(graph.tip_hash(chain)).bytes});
    }
    std::ranges::sort(frontier);
    return frontier;
}

std::optional<Digest> DocumentCore::digest() const {
    const std::lock_guard lock(mutex_);
    const bool is_unsealed =
        !document_->outgoing().batch.empty() || sealed_spans_ < unstored_.spans().size();
    const bool is_unstored = !unstored_.empty() || !writing_.empty();
    if (is_unsealed || (is_unstored && (forked_ || is_durable_first()))) return std::nullopt;
    return document_->digest();
}

bool DocumentCore::recent_covers(std::span<const std::uint64_t> theirs) const {
    for (crdt::ChainIndex chain = 0; chain < stored_.size(); ++chain) {
        if (theirs[chain] >= stored_[chain].seq) continue;
        if (chain >= recent_from_.size() || recent_from_[chain] == 0) return false;
        if (theirs[chain] + 1 < recent_from_[chain]) return false;
    }
    return true;
}

/// A message's worth of changes that somebody lacks, in the making.
class DocumentCore::Gathering {
  public:
    /// @p theirs  By chain. @p told  How far they may learn of each.
    Gathering(std::vector<std::uint64_t> theirs,
              const std::vector<Stored>& told,
              std::size_t size_max,
              crdt::Batch& out)
        : theirs_(std::move(theirs)),
          told_(told),
          size_max_(size_max),
          out_(out),
          whole_flushes_(out.mark()) {}

    /// Takes a change, if it is lacking; false once the message is full.
    bool take(const crdt::Batch& batch, std::size_t index, bool starts_flush) {
        const crdt::ChangeHeader& change = batch.changes[index];
        if (starts_flush) {
            if (size_ >= size_max_) return stop();
            whole_flushes_ = out_.mark();
        }
        if (change.chain >= told_.size() || change.seq > told_[change.chain].seq ||
            change.seq <= theirs_[change.chain]) {
            return true;
        }
        out_.append(batch, index);
        if (whole_flushes_.changes != 0 &&
            !crdt::fits_batch(out_.changes.size(), out_.ops.size())) {
            // No batch that anybody takes: the flush goes with the next message.
            out_.truncate(whole_flushes_);
            return stop();
        }
        // What another process of the store stored may be in a queue here as well.
        theirs_[change.chain] = change.seq;
        size_ += encoded_size_of(batch, change);
        return true;
    }
    bool take_all(const ChangeQueue& queue, std::size_t span_count) {
        std::size_t at = 0;
        for (std::size_t number = 0; number < span_count; ++number) {
            const ChangeQueue::Span& span = queue.spans()[number];
            for (bool is_first = span.starts_flush; at < span.end; ++at, is_first = false) {
                if (!take(queue.batch(), at, is_first)) return false;
            }
        }
        return true;
    }
    std::span<const std::uint64_t> theirs() const { return theirs_; }
    bool is_full() const { return is_full_; }

  private:
    bool stop() {
        is_full_ = true;
        return false;
    }

    std::vector<std::uint64_t> theirs_;
    const std::vector<Stored>& told_;
    std::size_t size_max_;
    crdt::Batch& out_;
    crdt::Batch::Mark whole_flushes_;
    std::size_t size_ = 0;
    bool is_full_ = false;
};

/// Those that are stored, then those that are not.
Result<void> DocumentCore::gather_missing(Gathering& gathering) const {
    JOINERY_TRY_VOID(gather_stored(gathering));
    if (gathering.is_full() || is_durable_first()) return {};
    if (gathering.take_all(writing_, writing_.spans().size())) {
        gathering.take_all(unstored_, sealed_spans_);
    }
    return {};
}

Result<void> DocumentCore::gather_stored(Gathering& gathering) const {
    const std::span<const std::uint64_t> theirs = gathering.theirs();
    if (recent_covers(theirs)) {
        for (std::size_t i = 0; i < recent_.change_count(); ++i) {
            const bool starts_flush = std::ranges::binary_search(recent_flushes_, i);
            if (!gathering.take(recent_.batch(), i, starts_flush)) break;
        }
        return {};
    }
    JOINERY_TRY(const auto reader, context_.store.read());
    History history(*reader, record_.number, document_->names());
    std::uint64_t from = record_.change_count;
    for (crdt::ChainIndex chain = 0; chain < stored_.size(); ++chain) {
        if (theirs[chain] >= stored_[chain].seq) continue;
        JOINERY_TRY(const std::uint64_t at,
                    history.find(document_->names().actor(chain), theirs[chain] + 1));
        from = std::min(from, at);
    }
    return history.for_each(
        from, record_.change_count, [&](DecodedSegment& segment) -> Result<bool> {
            for (std::size_t i = 0; i < segment.batch.changes.size(); ++i) {
                const bool starts = segment.record.starts_flush && i == 0;
                if (!gathering.take(segment.batch, i, starts)) return false;
            }
            return true;
        });
}

Result<crdt::Seal> DocumentCore::seal_at(crdt::ChainIndex chain, std::uint64_t seq) const {
    const ActorId& actor = document_->names().actor(chain);
    const auto newest = seals_.find(actor);
    if (newest != seals_.end() && newest->second.seq == seq) return newest->second;
    for (const ChangeQueue* queue : {&writing_, &unstored_}) {
        if (const crdt::Seal* seal = queue->find_seal(actor, seq)) return *seal;
    }
    JOINERY_TRY(const auto reader, context_.store.read());
    return History(*reader, record_.number, document_->names()).seal_of(actor, seq);
}

std::optional<ChangeHash> DocumentCore::queued_hash(crdt::ChainIndex chain,
                                                    std::uint64_t seq) const {
    for (const ChangeQueue* queue : {&writing_, &unstored_}) {
        for (std::size_t i = queue->change_count(); i-- > 0;) {
            const crdt::ChangeHeader& change = queue->batch().changes[i];
            if (change.chain == chain && change.seq == seq) return queue->hashes()[i];
        }
    }
    return std::nullopt;
}

Result<session::DocumentPort::Missing> DocumentCore::encode_missing(
    session::Frontier& theirs, crdt::EncoderDictionary& dictionary, std::size_t size_max) {
    const std::lock_guard lock(mutex_);
    return forked_ ? encode_forked(theirs, dictionary, size_max)
                   : encode_plain(theirs, dictionary, size_max);
}

Result<session::DocumentPort::Missing> DocumentCore::encode_plain(
    session::Frontier& theirs, crdt::EncoderDictionary& dictionary, std::size_t size_max) {
    const crdt::Names& names = document_->names();
    std::vector<std::uint64_t> their_seq(names.actor_count(), 0);
    for (const session::FrontierEntry& entry : theirs) {
        const crdt::ChainIndex chain = names.find_actor(entry.actor);
        if (chain != crdt::kNone) their_seq[chain] = entry.seq;
    }
    bool lacks = false;
    for (crdt::ChainIndex chain = 0; chain < told().size(); ++chain) {
        lacks = lacks || their_seq[chain] < told()[chain].seq;
    }
    Missing missing;
    if (!lacks) return missing;
    crdt::Batch batch;
    Gathering gathering(std::move(their_seq), told(), size_max, batch);
    JOINERY_TRY_VOID(gather_missing(gathering));
    missing.more = gathering.is_full();
    if (batch.empty()) return fail(Errc::damaged, "changes that the log should have are missing");
    missing.change_count = batch.changes.size();
    std::map<crdt::ChainIndex, std::uint64_t> ends;
    for (const crdt::ChangeHeader& change : batch.changes)
        ends[change.chain] = change.seq;
    for (const auto& [chain, seq] : ends) {
        const ActorId& actor = names.actor(chain);
        auto entry = std::ranges::lower_bound(theirs, actor, {}, &session::FrontierEntry::actor);
        if (entry != theirs.end() && entry->actor == actor && is_doubt(*entry)) ++entry;
        JOINERY_TRY(const ChangeHash hash, document_->hash_of(chain, seq));
        session::FrontierEntry now{actor, seq, {}};
        std::ranges::copy(std::span(hash.bytes).first(now.hash_prefix.size()),
                          now.hash_prefix.begin());
        if (entry != theirs.end() && entry->actor == actor) {
            *entry = now;
        } else {
            theirs.insert(entry, now);
        }
        JOINERY_TRY(const crdt::Seal seal, seal_at(chain, seq));
        missing.seals.push_back(seal);
        if (is_ours(actor)) outbox_.note_sent(actor, seq);
    }
    const std::set<ActorId> suspects = suspects_in(theirs);
    if (!suspects.empty()) JOINERY_TRY_VOID(link_suspects(batch, suspects));
    crdt::encode_changes(names, batch, 0, batch.changes.size(), dictionary, missing.changes);
    return missing;
}

Result<void> DocumentCore::link_suspects(crdt::Batch& batch,
                                         const std::set<ActorId>& suspects) const {
    const auto is_suspect = [&](crdt::ChainIndex chain) {
        return suspects.contains(document_->names().actor(chain));
    };
    std::set<crdt::ChainIndex> begun;
    for (std::size_t i = 0; i < batch.changes.size(); ++i) {
        const crdt::ChangeHeader& change = batch.changes[i];
        crdt::ChangeLinks links;
        links.change = i;
        if (is_suspect(change.chain) && begun.insert(change.chain).second) {
            if (change.seq == 1) {
                const ActorId& actor = document_->names().actor(change.chain);
                links.after = crdt::prefix_of(crdt::chain_origin(id_, actor));
            } else {
                JOINERY_TRY(const ChangeHash hash,
                            document_->hash_of(change.chain, change.seq - 1));
                links.after = crdt::prefix_of(hash);
            }
        }
        const auto deps = batch.dependencies_of(change);
        if (std::ranges::any_of(deps, is_suspect, &crdt::Dependency::chain)) {
            for (const crdt::Dependency& dep : deps) {
                JOINERY_TRY(const ChangeHash hash, document_->hash_of(dep.chain, dep.seq));
                links.dependencies.push_back(crdt::prefix_of(hash));
            }
        }
        if (links.after || !links.dependencies.empty()) batch.links.push_back(std::move(links));
    }
    return {};
}

// --- Sealing -------------------------------------------------------------------------------------

std::size_t DocumentCore::seal_unstored() {
    std::size_t count = 0;
    while (sealed_spans_ < unstored_.spans().size()) {
        const std::size_t end = unstored_.flush_end(sealed_spans_);
        count += seal_flush(sealed_spans_, end);
        sealed_spans_ = end;
    }
    return count;
}

std::size_t DocumentCore::seal_flush(std::size_t first_span, std::size_t end_span) {
    unstored_.start_flush(first_span);
    struct End {
        std::size_t span = 0;
        Stored at;
    };
    std::map<crdt::ChainIndex, End> ends;
    std::size_t at = unstored_.begin_of(first_span);
    for (std::size_t span = first_span; span < end_span; ++span) {
        for (; at < unstored_.spans()[span].end; ++at) {
            const crdt::ChangeHeader& change = unstored_.batch().changes[at];
            ends[change.chain] = {span, {change.seq, unstored_.hashes()[at]}};
        }
    }
    std::size_t count = 0;
    for (const auto& [chain, end] : ends) {
        // Another process of the store may have stored it already, and more.
        if (chain >= sealed_.size()) sealed_.resize(chain + 1);
        if (sealed_[chain].seq < end.at.seq) sealed_[chain] = end.at;
        const ActorId& actor = document_->names().actor(chain);
        if (unstored_.spans()[end.span].find_seal(actor, end.at.seq) != nullptr) continue;
        // What came from elsewhere, under our actor too, came with its seal.
        const Author* const own = own_author(actor);
        JOINERY_ASSERT(own != nullptr);
        const crdt::Seal seal =
            crdt::make_seal(context_.key, own->proof, id_, end.at.seq, end.at.hash);
        keep_newest(seal);
        unstored_.add_seal(end.span, seal);
        ++count;
    }
    return count;
}

std::size_t DocumentCore::seal_for_others() {
    const std::lock_guard lock(mutex_);
    if (forked_ || is_durable_first()) return 0;
    take_outgoing();
    return seal_unstored();
}

}  // namespace joinery::detail
