// The part of DocumentCore that sessions use: what others lack, and what comes from them.

#include "crdt/seed.h"
#include "crdt/transaction.h"
#include "engine/document_core.h"
#include "engine/history.h"
#include "engine/tx_core.h"
#include "session/frontier.h"

#include <algorithm>

namespace joinery::detail {
namespace {

/// Bytes of the changes of one message: the names in them take more where they are sent on.
constexpr std::size_t kReceivedSizeMax = std::size_t{12} << 20U;

}  // namespace

session::Frontier DocumentCore::frontier() const {
    const std::lock_guard lock(mutex_);
    if (forked_) return forked_->frontier();
    session::Frontier frontier;
    for (crdt::ChainIndex chain = 0; chain < stored_.size(); ++chain) {
        if (stored_[chain].seq == 0) continue;
        session::FrontierEntry entry;
        entry.actor = document_->names().actor(chain);
        entry.seq = stored_[chain].seq;
        std::ranges::copy(std::span(stored_[chain].hash.bytes).first(entry.hash_prefix.size()),
                          entry.hash_prefix.begin());
        frontier.push_back(entry);
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
    const bool pending =
        !unstored_.empty() || !writing_.empty() || !document_->outgoing().batch.empty();
    if (pending) return std::nullopt;
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

Result<void> DocumentCore::gather_missing(std::span<const std::uint64_t> theirs,
                                          std::size_t size_max,
                                          crdt::Batch& out,
                                          bool& more) const {
    std::size_t size = 0;
    crdt::Batch::Mark whole_flushes = out.mark();
    const auto take = [&](const crdt::Batch& batch, std::size_t index, bool starts_flush) {
        const crdt::ChangeHeader& change = batch.changes[index];
        if (starts_flush) {
            if (size >= size_max) {
                more = true;
                return false;
            }
            whole_flushes = out.mark();
        }
        if (change.chain >= stored_.size() || change.seq > stored_[change.chain].seq ||
            change.seq <= theirs[change.chain]) {
            return true;
        }
        out.append(batch, index);
        if (whole_flushes.changes != 0 && !crdt::fits_batch(out.changes.size(), out.ops.size())) {
            // No batch that anybody takes: the flush goes with the next message.
            out.truncate(whole_flushes);
            more = true;
            return false;
        }
        size += encoded_size_of(batch, change);
        return true;
    };
    if (recent_covers(theirs)) {
        for (std::size_t i = 0; i < recent_.change_count(); ++i) {
            if (!take(recent_.batch(), i, std::ranges::binary_search(recent_flushes_, i))) break;
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
                if (!take(segment.batch, i, starts)) return false;
            }
            return true;
        });
}

Result<crdt::Seal> DocumentCore::seal_at(crdt::ChainIndex chain, std::uint64_t seq) const {
    const ActorId& actor = document_->names().actor(chain);
    const auto newest = seals_.find(actor);
    if (newest != seals_.end() && newest->second.seq == seq) return newest->second;
    JOINERY_TRY(const auto reader, context_.store.read());
    return History(*reader, record_.number, document_->names()).seal_of(actor, seq);
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
    for (crdt::ChainIndex chain = 0; chain < stored_.size(); ++chain) {
        lacks = lacks || their_seq[chain] < stored_[chain].seq;
    }
    Missing missing;
    if (!lacks) return missing;
    crdt::Batch batch;
    JOINERY_TRY_VOID(gather_missing(their_seq, size_max, batch, missing.more));
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

Result<std::vector<crdt::Seal>> DocumentCore::check_seals(const crdt::Batch& batch,
                                                          std::span<const ChangeHash> hashes,
                                                          std::span<const crdt::Seal> seals) const {
    std::map<crdt::ChainIndex, std::size_t> ends;
    for (std::size_t i = 0; i < batch.changes.size(); ++i) {
        if (!hashes[i].is_zero()) ends[batch.changes[i].chain] = i;
    }
    std::vector<crdt::Seal> checked;
    for (const auto& [chain, index] : ends) {
        const ActorId& actor = document_->names().actor(chain);
        const auto seal = std::ranges::find_if(seals, [&](const crdt::Seal& s) {
            return s.seq == batch.changes[index].seq && crdt::actor_of(s.proof) == actor;
        });
        if (seal == seals.end()) return fail(Errc::untrusted, "changes without a seal", index);
        JOINERY_TRY_VOID(crdt::check_seal(*seal, id_, hashes[index]));
        if (crdt::is_seed(seal->proof)) {
            JOINERY_TRY_VOID(crdt::check_seed(document_->names(), batch, index, seal->proof, id_));
        }
        checked.push_back(*seal);
    }
    return checked;
}

Result<session::DocumentPort::Received> DocumentCore::take_changes(
    ByteView changes, crdt::DecoderDictionary& dictionary, std::span<const crdt::Seal> seals) {
    if (changes.size() > kReceivedSizeMax) {
        return fail(Errc::over_limit, "changes that no message could pass on");
    }
    crdt::Batch batch;
    JOINERY_TRY_VOID(crdt::decode_changes(changes, change_names(), dictionary, batch));
    document_->set_recording(!watches_.empty());
    if (forked_) return take_forked(batch, seals);
    Received received;
    if (batch.links.empty()) {
        linked_.reset();
        JOINERY_TRY(received.report, take_plain(batch, seals));
    } else {
        JOINERY_TRY(received, take_linked(batch, seals));
    }
    return received;
}

/// A chain that parted from ours counts its operations otherwise.
bool DocumentCore::may_be_fork(const crdt::Batch& batch, const Error& error) const {
    if (error.code != Errc::malformed || error.at >= batch.changes.size()) return false;
    const crdt::ChangeHeader& change = batch.changes[static_cast<std::size_t>(error.at)];
    return change.seq == document_->graph().last_seq(change.chain) + 1 &&
           change.counter != document_->graph().next_counter(change.chain);
}

Result<crdt::ApplyReport> DocumentCore::take_plain(const crdt::Batch& batch,
                                                   std::span<const crdt::Seal> seals) {
    const auto checked_hashes = document_->check(batch);
    if (!checked_hashes && may_be_fork(batch, checked_hashes.error())) {
        return fail(
            Errc::untrusted, "changes that do not follow what is here", checked_hashes.error().at);
    }
    JOINERY_TRY(const auto hashes, checked_hashes);
    JOINERY_TRY(const auto checked, check_seals(batch, hashes, seals));
    look_for_own(batch);
    JOINERY_TRY(const crdt::ApplyReport report, document_->apply(batch, hashes));
    if (report.applied == 0) return report;
    for (std::size_t i = 0; i < batch.changes.size(); ++i) {
        if (!hashes[i].is_zero()) unstored_.append(batch, i, hashes[i]);
    }
    unstored_.end_span(checked);
    for (const crdt::Seal& seal : checked)
        keep_newest(seal);
    return report;
}

// --- Others who write as we do -------------------------------------------------------------------

void DocumentCore::look_for_own(const crdt::Batch& batch) {
    const crdt::ChainIndex own = document_->names().find_actor(author_.actor);
    if (own == crdt::kNone) return;
    const std::uint64_t known = document_->graph().last_seq(own);
    for (const crdt::ChangeHeader& change : batch.changes) {
        if (change.chain != own || change.seq <= known) continue;
        overtaken_ = Overtaken{author_.actor, id_, change.seq, true};
    }
}

void DocumentCore::look_for_own(const session::Frontier& theirs) {
    const crdt::ChainIndex own = document_->names().find_actor(author_.actor);
    const std::uint64_t known = own != crdt::kNone ? document_->graph().last_seq(own) : 0;
    const auto ends =
        std::ranges::equal_range(theirs, author_.actor, {}, &session::FrontierEntry::actor);
    for (const session::FrontierEntry& entry : ends) {
        bool is_ours = entry.seq <= known;
        if (forked_) {
            is_ours = forked_->find(entry) != crdt::kNone;
        } else if (is_ours) {
            // A hash that cannot be had says nothing.
            const auto hash = document_->hash_of(own, entry.seq);
            is_ours = !hash || crdt::prefix_of(*hash).bytes == entry.hash_prefix;
        }
        if (is_ours || overtaken_) continue;
        overtaken_ = Overtaken{author_.actor, id_, entry.seq, false};
    }
}

void DocumentCore::look_for_branches(session::Frontier& theirs, Hearing how) {
    session::Frontier kept;
    for (auto at = theirs.begin(); at != theirs.end();) {
        const ActorId actor = at->actor;
        const auto end =
            std::find_if(at, theirs.end(), [&](const auto& entry) { return entry.actor != actor; });
        const crdt::ChainIndex chain = document_->names().find_actor(actor);
        const std::uint64_t last = chain != crdt::kNone ? document_->graph().last_seq(chain) : 0;
        const bool is_one = end - at == 1;
        std::optional<session::FrontierEntry> best;
        session::Frontier ahead;
        bool is_suspect = !is_one && last != 0;
        for (; at != end; ++at) {
            if (at->seq > last) {
                // They are ahead; of several ends, or where something does not fit, nobody knows on
                // which branch.
                const bool is_sure = last == 0 || (is_one && how == Hearing::usual);
                if (is_sure) ahead.push_back(*at);
                is_suspect = is_suspect || !is_sure;
                continue;
            }
            std::optional<ChangeHash> hash = document_->remembered_hash(chain, at->seq);
            if (!hash && (how == Hearing::in_doubt || !is_one)) {
                const auto found = document_->hash_of(chain, at->seq);
                if (found) hash = *found;
            }
            // Where the hash is too old to be at hand it is taken for ours; if it is not, their
            // next word will be in doubt.
            if (hash && crdt::prefix_of(*hash).bytes != at->hash_prefix) {
                is_suspect = true;
            } else if (!best || best->seq < at->seq) {
                best = *at;
            }
        }
        if (is_suspect) kept.push_back(doubt_of(actor));
        if (best) kept.push_back(*best);
        kept.insert(kept.end(), ahead.begin(), ahead.end());
    }
    theirs = std::move(kept);
}

void DocumentCore::hear(session::Frontier& theirs, Hearing how) {
    {
        const std::lock_guard lock(mutex_);
        look_for_own(theirs);
        if (!forked_) {
            // What came with links has come: the next exchange begins, or this one is over.
            linked_.reset();
            look_for_branches(theirs, how);
        } else {
            forked_->doubt(theirs, how == Hearing::in_doubt);
        }
        if (!overtaken_) return;
    }
    static_cast<void>(leave_overtaken_actor().has_value());
}

void DocumentCore::advance(session::Frontier& theirs, const session::Frontier& more) const {
    const std::lock_guard lock(mutex_);
    if (forked_) return forked_->advance(theirs, more);
    session::merge(theirs, more);
}

bool DocumentCore::is_covered(const session::Frontier& ours,
                              const session::Frontier& theirs) const {
    const std::lock_guard lock(mutex_);
    return forked_ ? forked_->is_covered(ours, theirs) : session::covers(theirs, ours);
}

Result<void> DocumentCore::leave_overtaken_actor() {
    Overtaken overtaken;
    {
        const std::lock_guard lock(mutex_);
        if (!overtaken_) return {};
        overtaken = *overtaken_;
    }
    JOINERY_TRY_VOID(context_.on_overtaken(overtaken));
    const std::lock_guard lock(mutex_);
    // A claim that was not believed is over, too.
    if (overtaken_ && overtaken_->actor == overtaken.actor) overtaken_.reset();
    return {};
}

Result<session::DocumentPort::Received> DocumentCore::receive(ByteView changes,
                                                              crdt::DecoderDictionary& dictionary,
                                                              std::span<const crdt::Seal> seals) {
    return take_in(changes, dictionary, seals, false);
}

Result<Receipt> DocumentCore::init_once(const std::function<Result<void>(Tx&)>& body) {
    crdt::Document draft(id_);
    {
        crdt::Transaction transaction(draft, crdt::kSeedDraft, WallTime(0));
        TxCore tx_core(transaction);
        Tx tx(tx_core);
        JOINERY_TRY_VOID(body(tx));
        JOINERY_TRY(const bool any, transaction.commit());
        if (!any) return Receipt();
    }
    JOINERY_TRY(const crdt::Seed seed, crdt::make_seed(draft));
    crdt::DecoderDictionary dictionary;
    JOINERY_TRY(const auto received,
                take_in(seed.changes, dictionary, std::span(&seed.seal, 1), true));
    return Receipt{received.report.applied != 0, crdt::actor_of(seed.seal.proof), 1};
}

Result<session::DocumentPort::Received> DocumentCore::take_in(ByteView changes,
                                                              crdt::DecoderDictionary& dictionary,
                                                              std::span<const crdt::Seal> seals,
                                                              bool local) {
    Received received;
    bool is_to_tell = false;
    {
        const std::lock_guard lock(mutex_);
        take_outgoing();
        const crdt::Names::Mark names_before = change_names().mark();
        auto taken = take_changes(changes, dictionary, seals);
        if (!taken) {
            // What was refused must not fill the memory with names. The caller drops the
            // dictionary.
            linked_.reset();
            change_names().truncate(names_before);
            if (!forked_) document_->mutable_state().forget_truncated_names();
            view_before_.reset();
            return taken;
        }
        received = *std::move(taken);
        if (received.report.applied == 0) return received;
        is_to_tell = note_events(local);
    }
    // If the store cannot take a new incarnation now, the next local change tries again.
    static_cast<void>(leave_overtaken_actor().has_value());
    context_.on_pending(*this);
    if (is_to_tell) tell();
    return received;
}

}  // namespace joinery::detail
