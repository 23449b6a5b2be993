#include "support/fake_host.h"

#include "base/value.h"
#include "crdt/limits.h"
#include "crdt/transaction.h"

#include <algorithm>
#include <array>
#include <set>

namespace joinery::test {
namespace {

std::unique_ptr<crdt::SigningKey> key_of(std::uint8_t seed) {
    std::array<std::uint8_t, 32> bytes{};
    bytes.fill(seed);
    return std::make_unique<crdt::SigningKey>(bytes);
}

}  // namespace

// --- FakeDocument
// ---------------------------------------------------------------------------------

FakeDocument::FakeDocument(FakeHost& host, std::string id)
    : host_(host), presence_(host, id), document_(std::move(id)) {
    document_.set_hash_source(
        [this](const ActorId& actor, std::uint64_t seq) -> Result<ChangeHash> {
            for (std::size_t i = 0; i < log_.changes.size(); ++i) {
                const crdt::ChangeHeader& change = log_.changes[i];
                if (change.seq == seq && document_.names().actor(change.chain) == actor) {
                    return hashes_[i];
                }
            }
            return fail(Errc::not_found, "no such change");
        });
}

session::Frontier FakeDocument::frontier_at(std::size_t count) const {
    std::map<ActorId, std::size_t> last;
    for (std::size_t i = 0; i < count; ++i) {
        last[document_.names().actor(log_.changes[i].chain)] = i;
    }
    session::Frontier frontier;
    for (const auto& [actor, index] : last) {
        session::FrontierEntry entry{actor, log_.changes[index].seq, {}};
        std::copy_n(hashes_[index].bytes.begin(), 16, entry.hash_prefix.begin());
        frontier.push_back(entry);
    }
    return frontier;
}

session::Frontier FakeDocument::frontier() const {
    session::Frontier frontier = frontier_at(stored_);
    if (understates && !frontier.empty()) frontier.pop_back();
    return frontier;
}

session::Frontier FakeDocument::durable_frontier() const { return frontier_at(durable_); }

std::optional<Digest> FakeDocument::digest() const {
    if (stored_ != log_.changes.size()) return std::nullopt;
    Digest digest = document_.digest();
    if (lies) digest.bytes[0] ^= 1U;
    return digest;
}

Result<session::DocumentPort::Missing> FakeDocument::encode_missing(
    session::Frontier& theirs, crdt::EncoderDictionary& dictionary, std::size_t size_max) {
    std::map<ActorId, std::uint64_t> known;
    for (const session::FrontierEntry& entry : theirs)
        known[entry.actor] = entry.seq;
    Missing missing;
    crdt::Batch batch;
    std::set<ActorId> unsealed;  // Chains whose last change in the batch has no seal.
    std::map<ActorId, std::size_t> ends;
    std::size_t size = 0;
    for (std::size_t i = 0; i < stored_; ++i) {
        const crdt::ChangeHeader& change = log_.changes[i];
        const ActorId& actor = document_.names().actor(change.chain);
        if (change.seq <= known[actor]) continue;
        if (size >= size_max && unsealed.empty()) {
            missing.more = true;
            break;
        }
        batch.append(log_, i);
        ends[actor] = i;
        if (seals_.contains({actor, change.seq})) {
            unsealed.erase(actor);
        } else {
            unsealed.insert(actor);
        }
        for (const crdt::Op& op : log_.ops_of(change))
            size += 16 + op.value.content().size();
    }
    if (batch.empty()) return missing;
    for (const auto& [actor, index] : ends) {
        session::FrontierEntry entry{actor, log_.changes[index].seq, {}};
        std::copy_n(hashes_[index].bytes.begin(), 16, entry.hash_prefix.begin());
        const auto place =
            std::ranges::lower_bound(theirs, actor, {}, &session::FrontierEntry::actor);
        if (place != theirs.end() && place->actor == actor) {
            *place = entry;
        } else {
            theirs.insert(place, entry);
        }
        missing.seals.push_back(seals_.at({actor, entry.seq}));
    }
    missing.change_count = batch.changes.size();
    crdt::encode_changes(
        document_.names(), batch, 0, batch.changes.size(), dictionary, missing.changes);
    return missing;
}

Result<void> FakeDocument::check_seals(const crdt::Batch& batch,
                                       std::span<const ChangeHash> hashes,
                                       std::span<const crdt::Seal> seals) const {
    std::map<crdt::ChainIndex, std::size_t> ends;
    for (std::size_t i = 0; i < batch.changes.size(); ++i) {
        if (!hashes[i].is_zero()) ends[batch.changes[i].chain] = i;
    }
    for (const auto& [chain, index] : ends) {
        const ActorId& actor = document_.names().actor(chain);
        const auto seal = std::ranges::find_if(seals, [&](const crdt::Seal& s) {
            return s.seq == batch.changes[index].seq && crdt::actor_of(s.proof) == actor;
        });
        if (seal == seals.end()) return fail(Errc::untrusted, "changes without a seal", index);
        JOINERY_TRY_VOID(crdt::check_seal(*seal, id(), hashes[index]));
    }
    return {};
}

Result<session::DocumentPort::Received> FakeDocument::receive(ByteView changes,
                                                              crdt::DecoderDictionary& dictionary,
                                                              std::span<const crdt::Seal> seals) {
    crdt::Batch batch;
    JOINERY_TRY_VOID(crdt::decode_changes(changes, document_.names(), dictionary, batch));
    if (next_failure) {
        const Error error = *next_failure;
        next_failure.reset();
        return error;
    }
    JOINERY_TRY(const auto hashes, document_.check(batch));
    JOINERY_TRY_VOID(check_seals(batch, hashes, seals));
    JOINERY_TRY(const crdt::ApplyReport report, document_.apply(batch, hashes));
    for (std::size_t i = 0; i < batch.changes.size(); ++i) {
        if (hashes[i].is_zero()) continue;
        log_.append(batch, i);
        hashes_.push_back(hashes[i]);
    }
    for (const crdt::Seal& seal : seals)
        seals_[{crdt::actor_of(seal.proof), seal.seq}] = seal;
    if (report.applied != 0) host_.settle(*this);
    return Received{report, {}};
}

session::DocumentPort::LiveState FakeDocument::live_state() const {
    return {document_.live().hash(), document_.live().version()};
}

session::DocumentPort::LivePart FakeDocument::collect_live(crdt::LiveCursor& cursor,
                                                           std::size_t size_max) const {
    auto batches = document_.live().collect(cursor, size_max);
    return {std::move(batches), document_.live().has_news(cursor)};
}

Result<std::size_t> FakeDocument::receive_live(std::span<const crdt::LiveBatch> batches,
                                               std::uint32_t origin) {
    JOINERY_TRY(const std::size_t changed, document_.live().join(batches, origin));
    if (changed != 0) host_.settle(*this);
    return changed;
}

void FakeDocument::take_local() {
    const crdt::Document::Outgoing& made = document_.outgoing();
    for (std::size_t i = 0; i < made.batch.changes.size(); ++i) {
        log_.append(made.batch, i);
        hashes_.push_back(made.hashes[i]);
        const std::uint64_t seq = made.batch.changes[i].seq;
        seals_[{host_.actor(), seq}] =
            crdt::make_seal(host_.key(), host_.proof(), id(), seq, made.hashes[i]);
    }
    document_.clear_outgoing();
    host_.settle(*this);
}

void FakeDocument::settle() {
    if (host_.stores_at_once) stored_ = log_.changes.size();
    if (host_.is_durable_at_once) durable_ = stored_;
}

// --- FakePresence
// ---------------------------------------------------------------------------------

FakePresence::FakePresence(FakeHost& host, std::string id)
    : board(host.run()), host_(host), id_(std::move(id)) {}

void FakePresence::note() {
    if (host_.on_presence) host_.on_presence(id_);
}

void FakePresence::set(std::string_view key, Value value, std::chrono::milliseconds time_to_live) {
    JOINERY_ASSERT(board.set(key, std::move(value), time_to_live, host_.now).has_value());
    note();
}

void FakePresence::clear(std::string_view key) {
    board.clear(key, host_.now);
    note();
}

void FakePresence::leave(std::uint32_t link) {
    board.leave(link, host_.now);
    note();
}

session::PresenceReceived FakePresence::receive(std::span<const session::PresenceItem> items,
                                                std::uint32_t link) {
    const auto received = board.receive(items, link, host_.now);
    note();
    return received;
}

std::vector<session::PresenceItem> FakePresence::collect(session::PresenceCursor& cursor,
                                                         std::size_t size_max) {
    return board.collect(cursor, size_max, host_.now);
}

std::optional<MonotonicTime> FakePresence::tend() {
    board.expire(host_.now);
    note();
    return board.next_due();
}

// --- FakeHost
// -------------------------------------------------------------------------------------

FakeHost::FakeHost(std::uint8_t seed) : key_(key_of(seed)), seed_(seed) {
    proof_.device = key_->public_key();
    proof_.incarnation.bytes.fill(seed);
}

PeerRun FakeHost::run() const {
    PeerRun run{key_->public_key(), {}};
    run.instance.bytes.fill(seed_);
    return run;
}

void FakeHost::tend_presence() {
    for (const auto& [id, document] : documents_)
        document->presence()->tend();
}

std::vector<std::string> FakeHost::documents() const {
    std::vector<std::string> ids;
    for (const auto& [id, document] : documents_)
        ids.push_back(id);
    return ids;
}

Result<session::DocumentPort*> FakeHost::find(std::string_view id) {
    const auto known = documents_.find(id);
    if (known == documents_.end()) return fail(Errc::not_found, "no such document");
    return static_cast<session::DocumentPort*>(known->second.get());
}

Result<session::DocumentPort*> FakeHost::document(std::string_view id) {
    if (id.empty() || id.size() > crdt::kKeySizeMax || !is_utf8(as_bytes(id))) {
        return fail(Errc::malformed, "no id of a document");
    }
    auto known = documents_.find(id);
    if (known == documents_.end()) {
        const std::string name(id);
        known = documents_.emplace(name, std::make_unique<FakeDocument>(*this, name)).first;
    }
    return static_cast<session::DocumentPort*>(known->second.get());
}

FakeDocument& FakeHost::at(std::string_view id) {
    return static_cast<FakeDocument&>(**document(id));
}

void FakeHost::put(std::string_view id, std::string_view key, std::string_view value) {
    FakeDocument& document = at(id);
    {
        crdt::Transaction tx(document.document(), actor(), WallTime(++time_ms_));
        JOINERY_ASSERT(tx.put(crdt::kRoot, *tx.key(key), Value(value)).has_value());
        JOINERY_ASSERT(tx.commit().has_value());
    }
    document.take_local();
}

void FakeHost::write_live(std::string_view id,
                          std::size_t count,
                          std::string_view prefix,
                          std::int64_t value) {
    FakeDocument& document = at(id);
    crdt::Live& live = document.document().live();
    const Value number(value);
    ++time_ms_;
    for (std::size_t i = 0; i < count; ++i) {
        const std::string key = std::string(prefix) + std::to_string(i);
        JOINERY_ASSERT(
            live.write(crdt::PathId(), key, &number, WallTime(time_ms_), proof_).has_value());
    }
    live.seal(*key_, proof_);
    settle(document);
}

void FakeHost::put_many(std::string_view id, std::size_t count, std::string_view prefix) {
    FakeDocument& document = at(id);
    {
        crdt::Transaction tx(document.document(), actor(), WallTime(++time_ms_));
        for (std::size_t i = 0; i < count; ++i) {
            const std::string key = std::string(prefix) + std::to_string(i);
            const Value value(static_cast<std::int64_t>(i));
            JOINERY_ASSERT(tx.put(crdt::kRoot, *tx.key(key), value).has_value());
        }
        JOINERY_ASSERT(tx.commit().has_value());
    }
    document.take_local();
}

void FakeHost::increment(std::string_view id, std::string_view key, std::int64_t delta) {
    FakeDocument& document = at(id);
    {
        crdt::Transaction tx(document.document(), actor(), WallTime(++time_ms_));
        const auto counter = tx.counter_at(crdt::kRoot, *tx.key(key));
        JOINERY_ASSERT(counter.has_value());
        JOINERY_ASSERT(tx.increment(*counter, delta).has_value());
        JOINERY_ASSERT(tx.commit().has_value());
    }
    document.take_local();
}

void FakeHost::settle(FakeDocument& document) {
    document.settle();
    if (on_changed) on_changed(document.id());
}

void FakeHost::store() {
    for (const auto& [id, document] : documents_) {
        if (document->stored_ == document->log_.changes.size()) continue;
        document->stored_ = document->log_.changes.size();
        settle(*document);
    }
}

void FakeHost::make_durable() {
    for (const auto& [id, document] : documents_) {
        if (document->durable_ == document->stored_) continue;
        document->durable_ = document->stored_;
        settle(*document);
    }
}

std::size_t FakeHost::change_count() const {
    std::size_t count = 0;
    for (const auto& [id, document] : documents_)
        count += document->change_count();
    return count;
}

std::map<std::string, Digest> FakeHost::digests() {
    std::map<std::string, Digest> digests;
    for (const auto& [id, document] : documents_) {
        if (document->change_count() != 0) digests[id] = document->document().digest();
    }
    return digests;
}

void FakeHost::renew_actor() { ++proof_.writer_generation; }

void FakeHost::impersonate(const FakeHost& other) {
    key_ = key_of(other.seed_);
    seed_ = other.seed_;
    proof_ = other.proof_;
}

}  // namespace joinery::test
