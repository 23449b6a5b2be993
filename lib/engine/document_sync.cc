// The part of DocumentCore that takes what comes from others.

#include "crdt/seed.h"
#include "crdt/transaction.h"
#include "engine/document_core.h"
#include "engine/history.h"
#include "engine/tx_core.h"
#include "session/frontier.h"

#include <algorithm>
#include <utility>

namespace joinery::detail {
namespace {

/// Bytes of the changes of one message: the names in them take more where they are sent on.
constexpr std::size_t kReceivedSizeMax = std::size_t{12} << 20U;

}  // namespace

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
    ByteView changes,
    crdt::DecoderDictionary& dictionary,
    std::span<const crdt::Seal> seals,
    bool is_judged) {
    if (changes.size() > kReceivedSizeMax) {
        return fail(Errc::over_limit, "changes that no message could pass on");
    }
    crdt::Batch batch;
    JOINERY_TRY_VOID(crdt::decode_changes(changes, change_names(), dictionary, batch));
    document_->set_recording(!watches_.empty());
    JOINERY_TRY_VOID(check_refusals(batch, seals));
    Received received;
    if (forked_) {
        JOINERY_TRY(received, take_forked(batch, seals, is_judged));
    } else if (batch.links.empty()) {
        linked_.reset();
        JOINERY_TRY(received.report, take_plain(batch, seals, is_judged));
    } else {
        JOINERY_TRY(received, take_linked(batch, seals, is_judged));
    }
    note_refusals(batch, 0, false);
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
                                                   std::span<const crdt::Seal> seals,
                                                   bool is_judged) {
    const auto checked_hashes = document_->check(batch);
    if (!checked_hashes && may_be_fork(batch, checked_hashes.error())) {
        return fail(
            Errc::untrusted, "changes that do not follow what is here", checked_hashes.error().at);
    }
    JOINERY_TRY(const auto hashes, checked_hashes);
    JOINERY_TRY(const auto checked, check_seals(batch, hashes, seals));
    look_for_own(batch);
    if (is_judged) {
        JOINERY_TRY(const crdt::ApplyReport judged, take_judged(batch, hashes, checked));
        keep_newest(checked);
        return judged;
    }
    JOINERY_TRY(const crdt::ApplyReport report, document_->apply(batch, hashes));
    if (report.applied == 0) return report;
    for (std::size_t i = 0; i < batch.changes.size(); ++i) {
        if (!hashes[i].is_zero()) unstored_.append(batch, i, hashes[i]);
    }
    unstored_.end_span(checked);
    keep_newest(checked);
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
    std::vector<LogEntry> to_log;
    {
        std::unique_lock lock(mutex_);
        const bool is_judged = !local && judges();
        while (is_judged && overtaken_) {
            // A refusal, too, is made as an actor of our own.
            lock.unlock();
            JOINERY_TRY_VOID(leave_overtaken_actor());
            lock.lock();
        }
        take_outgoing();
        const bool was_forked = forked_ != nullptr;
        const crdt::Names::Mark names_before = change_names().mark();
        auto taken = take_changes(changes, dictionary, seals, is_judged);
        if (!taken) {
            // What was not taken must not fill the memory with names. The caller drops the
            // dictionary.
            linked_.reset();
            if (was_forked == (forked_ != nullptr)) change_names().truncate(names_before);
            if (!forked_) document_->mutable_state().forget_truncated_names();
            view_before_.reset();
            to_log_.clear();
            lock.unlock();
            if (is_judged) static_cast<void>(leave_overtaken_actor().has_value());
            return taken;
        }
        received = *std::move(taken);
        if (received.report.applied == 0) return received;
        is_to_tell = note_events(local);
        to_log = std::exchange(to_log_, {});
    }
    // If the store cannot take a new incarnation now, the next local change tries again.
    static_cast<void>(leave_overtaken_actor().has_value());
    context_.on_unsent(*this);
    context_.on_pending(*this);
    if (is_to_tell) tell();
    tell_rejections();
    for (const LogEntry& entry : to_log) {
        if (context_.log) context_.log(entry);
    }
    return received;
}

}  // namespace joinery::detail
