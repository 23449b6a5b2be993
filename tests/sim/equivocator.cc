#include "sim/equivocator.h"

#include "crdt/codec.h"
#include "crdt/transaction.h"
#include "engine/tx_core.h"
#include "support/random_tx.h"

#include <array>

namespace joinery::sim {
namespace {

std::array<std::uint8_t, 32> secret_of(std::uint64_t seed) {
    std::array<std::uint8_t, 32> secret{};
    for (std::size_t i = 0; i < 8; ++i)
        secret[i] = static_cast<std::uint8_t>(seed >> (8 * i));
    secret[31] = 1;
    return secret;
}

}  // namespace

Equivocator::Equivocator(std::uint64_t seed) : key_(secret_of(seed)) {
    proof_.device = key_.public_key();
    actor_ = crdt::actor_of(proof_);
}

Equivocator::History Equivocator::copy(const std::string& id,
                                       const History& from,
                                       std::size_t count) const {
    History out;
    out.document = std::make_unique<crdt::Document>(id);
    if (count == 0) return out;
    Bytes bytes;
    crdt::EncoderDictionary encoder;
    crdt::encode_changes(from.document->names(), from.changes, 0, count, encoder, bytes);
    crdt::DecoderDictionary decoder;
    const auto read = crdt::decode_changes(bytes, out.document->names(), decoder, out.changes);
    JOINERY_ASSERT(read.has_value());
    const auto hashes = out.document->check(out.changes);
    JOINERY_ASSERT(hashes.has_value());
    out.hashes.assign(hashes->begin(), hashes->end());
    JOINERY_ASSERT(out.document->apply(out.changes, out.hashes).has_value());
    return out;
}

Result<void> Equivocator::lie_to(detail::DocumentCore& victim, test::Dice& dice, WallTime now) {
    std::vector<History>& all = histories_[victim.id()];
    if (all.empty()) all.push_back(copy(victim.id(), {}, 0));
    std::size_t at = dice.below(all.size());
    if (all.size() < kHistoryMax && dice.chance(40)) {
        const std::size_t count = dice.below(all[at].hashes.size() + 1);
        all.push_back(copy(victim.id(), all[at], count));
        at = all.size() - 1;
    }
    History& history = all[at];
    crdt::Document& document = *history.document;
    {
        crdt::Transaction transaction(document, actor_, now);
        detail::TxCore core(transaction);
        Tx tx(core);
        const auto edited = test::edit_randomly(dice, tx);
        const auto made = edited ? transaction.commit() : Result<bool>(false);
        JOINERY_ASSERT(made.has_value());
    }
    for (std::size_t i = 0; i < document.outgoing().hashes.size(); ++i) {
        history.changes.append(document.outgoing().batch, i);
        history.hashes.push_back(document.outgoing().hashes[i]);
    }
    document.clear_outgoing();
    if (history.hashes.empty()) return {};
    return tell(victim, history);
}

Result<void> Equivocator::tell(detail::DocumentCore& victim, const History& history) const {
    crdt::Batch batch = history.changes;
    batch.links.push_back({0, crdt::prefix_of(crdt::chain_origin(victim.id(), actor_)), {}});
    Bytes bytes;
    crdt::EncoderDictionary encoder;
    crdt::encode_changes(history.document->names(), batch, 0, batch.changes.size(), encoder, bytes);
    const crdt::Seal seal =
        crdt::make_seal(key_, proof_, victim.id(), batch.changes.back().seq, history.hashes.back());
    crdt::DecoderDictionary decoder;
    JOINERY_TRY_VOID(victim.receive(bytes, decoder, std::span(&seal, 1)));
    return {};
}

}  // namespace joinery::sim
