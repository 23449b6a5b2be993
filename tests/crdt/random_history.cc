#include "crdt/random_history.h"

#include "model/from_crdt.h"

#include <algorithm>
#include <limits>

namespace joinery::crdt::test {
namespace {

constexpr std::int64_t kYearMs = 365LL * 24 * 3600 * 1000;

ActorId random_actor(Source& source, std::size_t number) {
    ActorId actor;
    // Not in the order of the numbers, so that order of arrival and order of actors differ.
    actor.bytes[0] = static_cast<std::uint8_t>(source.below(256));
    actor.bytes[1] = static_cast<std::uint8_t>(number + 1);
    return actor;
}

}  // namespace

RandomHistory::RandomHistory(Source& source, Theme theme) : source_(source), theme_(theme) {
    const std::size_t count = 2 + source.below(4);
    for (std::size_t i = 0; i < count; ++i) {
        Replica replica = make_replica();
        replica.actors.push_back(random_actor(source, 2 * i));
        if (source.chance(20)) replica.actors.push_back(random_actor(source, 2 * i + 1));
        static const std::vector<std::int64_t> kSkews{0, 0, 0, 1, 3 * kYearMs, -3 * kYearMs};
        replica.skew_ms = source.pick(kSkews);
        replicas_.push_back(std::move(replica));
    }
}

Replica RandomHistory::make_replica() {
    Replica replica;
    replica.document = std::make_unique<Document>("doc");
    replica.document->set_hash_source(
        [this](const ActorId& actor, std::uint64_t seq) -> Result<ChangeHash> {
            const auto at = log_index_.find({actor, seq});
            if (at == log_index_.end()) return fail(Errc::not_found, "no such change", seq);
            return log_[at->second].hash;
        });
    return replica;
}

void RandomHistory::require(bool holds, std::string_view what) {
    if (holds || !fault_.empty()) return;
    fault_ = std::string(what) + "\n" + describe();
}

std::string RandomHistory::describe() const {
    std::string text;
    for (const model::Change& change : model::changes_of(names_, batch_)) {
        text += model::to_text(change) + "\n";
    }
    return text;
}

void RandomHistory::run(std::size_t steps) {
    for (std::size_t i = 0; i < steps && fault_.empty(); ++i) {
        Replica& replica = replicas_[source_.below(replicas_.size())];
        const std::size_t what = source_.below(100);
        if (what < 50) {
            edit(replica);
        } else if (what < 60) {
            edit_raw(replica);
        } else if (what < 65) {
            abort_edit(replica);
        } else if (what < 95) {
            sync(replica);
        } else {
            compare_with_model(replica);
        }
    }
}

// --- Changes -------------------------------------------------------------------------------------

std::int64_t RandomHistory::now(const Replica& replica) {
    // Clocks often stand still between two changes, so that stamps tie.
    clock_ms_ += static_cast<std::int64_t>(source_.below(3));
    if (source_.below(400) == 0) {
        using Limits = std::numeric_limits<std::int64_t>;
        static const std::vector<std::int64_t> kExtremes{
            Limits::max(), Limits::max() - 1, Limits::min(), 0, -1};
        return source_.pick(kExtremes);
    }
    return clock_ms_ + replica.skew_ms;
}

void RandomHistory::edit(Replica& replica) {
    Document& document = *replica.document;
    const std::size_t changes = source_.chance(80) ? 1 : 1 + source_.below(4);
    for (std::size_t i = 0; i < changes; ++i) {
        const auto before = document.outgoing().hashes.size();
        Transaction transaction(document, source_.pick(replica.actors), WallTime(now(replica)));
        RandomEdit random(*this, transaction);
        std::size_t verbs = source_.chance(50) ? 1 : source_.below(6);
        if (source_.below(200) == 0) verbs = 100;
        for (; verbs != 0; --verbs)
            random.verb();
        if (source_.chance(10)) document.digest();
        const std::size_t ops = transaction.op_count();
        const auto done = transaction.commit(source_.chance(10) ? "why" : "");
        require(done.has_value(), "commit failed");
        if (!done) return;
        require(*done == (ops != 0), "commit of nothing must make nothing");
        require(document.outgoing().hashes.size() == before + (ops != 0 ? 1 : 0), "outgoing");
    }
    if (document.outgoing().batch.empty()) return;
    note_local(replica, document.outgoing().batch, document.outgoing().hashes);
    document.clear_outgoing();
}

/// A change past the policies of Transaction; a quarter of them without any operation.
void RandomHistory::edit_raw(Replica& replica) {
    Document& document = *replica.document;
    const ActorId actor = source_.pick(replica.actors);
    const std::int64_t time_ms = now(replica);
    std::vector<Op> ops;
    if (source_.chance(75)) {
        ContainerIndex container = kRoot;
        std::uint32_t key = kNone;
        const auto kind = source_.pick(std::vector{OpKind::put, OpKind::make, OpKind::erase});
        Value value;
        Kind made = Kind::none;
        {
            // Borrows the choice of a slot, then leaves nothing of itself but names, which abort
            // takes back; so only slots with names of their own serve.
            Transaction transaction(document, actor, WallTime(time_ms));
            RandomEdit random(*this, transaction);
            container = random.pick_container(source_.chance(60) ? Kind::map : Kind::list);
            key = random.pick_slot(container);
            value = random.pick_value();
            if (kind == OpKind::make) made = random.pick_kind();
        }
        const Names& names = document.names();
        if (container >= names.container_count() || key == kNone) return;
        const bool in_list = has_elements(names.container(container).kind);
        if (key >= (in_list ? names.element_count() : names.key_count())) return;
        if (in_list && document.state().element(key).item == kNone) return;
        ops.push_back(raw_op(document, kind, container, key, time_ms, made, value));
    }
    const Batch batch = raw_change(document, actor, time_ms, ops);
    const auto hashes = document.check(batch);
    require(hashes.has_value(), "raw change refused");
    if (!hashes) return;
    require(document.apply(batch, *hashes).has_value(), "raw change not applied");
    note_local(replica, batch, *hashes);
}

/// Aborting must leave no trace.
void RandomHistory::abort_edit(Replica& replica) {
    Document& document = *replica.document;
    const Digest digest = document.digest();
    const std::string detail = model::detail_of(document);
    const auto root = document.read_root();
    {
        Transaction transaction(document, source_.pick(replica.actors), WallTime(now(replica)));
        RandomEdit random(*this, transaction);
        for (std::size_t verbs = source_.below(8); verbs != 0; --verbs) {
            random.verb();
            if (source_.chance(30)) document.digest();
        }
    }
    require(document.digest() == digest, "abort changed the digest");
    require(model::detail_of(document) == detail, "abort changed the state");
    require(document.read_root() == root, "abort changed the view");
    require(document.outgoing().batch.ops.empty(), "abort left operations");
}

void RandomHistory::note_local(Replica& replica,
                               const Batch& batch,
                               std::span<const ChangeHash> hashes) {
    const std::size_t first = batch_.changes.size();
    transfer(replica.document->names(), batch, names_, batch_, replica.to_log);
    if (batch_.changes.size() != first + hashes.size()) return;
    for (const ChangeHash& hash : hashes)
        log_change(replica, hash);
}

void RandomHistory::log_change(Replica& replica, const ChangeHash& hash) {
    const ChangeHeader& header = batch_.changes[log_.size()];
    Logged logged;
    logged.actor = names_.actor(header.chain);
    logged.seq = header.seq;
    logged.hash = hash;
    replica.known[logged.actor] = header.seq;
    logged.clock = replica.known;
    log_index_[{logged.actor, logged.seq}] = log_.size();
    log_.push_back(std::move(logged));
}

/// Encodes, decodes, and demands that the reader would write the same bytes.
void RandomHistory::transfer(
    const Names& from, const Batch& batch, Names& to, Batch& out, Stream& stream) {
    Bytes bytes;
    const std::size_t first = out.changes.size();
    encode_changes(from, batch, 0, batch.changes.size(), stream.writer, bytes);
    const auto done = decode_changes(bytes, to, stream.reader, out);
    if (!done) {
        require(false, "decode: " + std::string(done.error().what));
        return;
    }
    Bytes again;
    encode_changes(to, out, first, out.changes.size(), stream.mirror, again);
    require(bytes == again, "encoding again gave other bytes");
}

// --- Deliveries ----------------------------------------------------------------------------------

void RandomHistory::sync(Replica& replica) {
    deliver(replica, in_causal_order(replica.known, choose_unknown(replica)));
}

/// A causally closed random part of what the replica does not know.
std::vector<std::size_t> RandomHistory::choose_unknown(const Replica& replica) {
    const auto target = replicas_[source_.below(replicas_.size())].known;
    const std::size_t mode = source_.below(3);
    const std::size_t percent = source_.below(101);
    auto known = replica.known;
    std::vector<std::size_t> chosen;
    for (std::size_t i = 0; i < log_.size(); ++i) {
        const Logged& change = log_[i];
        if (known[change.actor] >= change.seq) continue;
        const auto at = target.find(change.actor);
        const bool is_targeted = at != target.end() && at->second >= change.seq;
        if (mode == 1 && !is_targeted) continue;
        if (mode == 2 && !source_.chance(percent)) continue;
        const bool is_ready = std::ranges::all_of(change.clock, [&](const auto& seen) {
            return known[seen.first] + (seen.first == change.actor ? 1 : 0) >= seen.second;
        });
        if (!is_ready) continue;
        known[change.actor] = change.seq;
        chosen.push_back(i);
    }
    return chosen;
}

/// One of the orders that respect dependencies, from kind to nasty.
std::vector<std::size_t> RandomHistory::in_causal_order(
    const std::map<ActorId, std::uint64_t>& known, std::vector<std::size_t> wanted) {
    enum Mode : std::uint8_t { as_logged, shuffled, deep_first, wide_first, last_first };
    const auto mode = static_cast<Mode>(source_.below(5));
    auto have = known;
    std::vector<std::size_t> order;
    const auto is_ready = [&](std::size_t i) {
        return std::ranges::all_of(log_[i].clock, [&](const auto& seen) {
            return have[seen.first] + (seen.first == log_[i].actor ? 1 : 0) >= seen.second;
        });
    };
    while (!wanted.empty()) {
        std::vector<std::size_t> ready;
        std::ranges::copy_if(wanted, std::back_inserter(ready), is_ready);
        if (ready.empty()) {
            require(false, "the test's own choice of changes is not closed");
            return order;
        }
        std::vector<std::size_t> best = ready;
        if (!order.empty() && (mode == deep_first || mode == wide_first)) {
            std::erase_if(best, [&](std::size_t i) {
                return (log_[i].actor == log_[order.back()].actor) != (mode == deep_first);
            });
            if (best.empty()) best = ready;
        }
        std::size_t next = source_.pick(best);
        if (mode == as_logged) next = ready.front();
        if (mode == last_first) next = ready.back();
        have[log_[next].actor] = log_[next].seq;
        order.push_back(next);
        std::erase(wanted, next);
    }
    return order;
}

/// In batches of random sizes, with duplicates.
void RandomHistory::deliver(Replica& replica, const std::vector<std::size_t>& order) {
    std::vector<std::size_t> told;
    const std::size_t duplicates = source_.chance(50) ? 0 : source_.below(40);
    const auto repeat = [&] {
        const std::size_t i = source_.below(log_.size());
        const auto at = replica.known.find(log_[i].actor);
        const bool is_known = at != replica.known.end() && at->second >= log_[i].seq;
        if (is_known || std::ranges::find(told, i) != told.end()) told.push_back(i);
    };
    for (const std::size_t i : order) {
        told.push_back(i);
        if (source_.chance(duplicates)) repeat();
    }
    for (std::size_t at = 0; at < told.size() && fault_.empty();) {
        const std::size_t left = told.size() - at;
        const std::size_t size = source_.chance(30) ? left : 1 + source_.below(left);
        deliver_batch(replica, std::span(told).subspan(at, size));
        at += size;
    }
}

void RandomHistory::deliver_batch(Replica& replica, std::span<const std::size_t> part) {
    Batch sent;
    Batch got;
    for (const std::size_t i : part)
        sent.append(batch_, i);
    Document& document = *replica.document;
    if (source_.chance(5)) {
        replica.from_log.writer.reset();
        replica.from_log.mirror.reset();
    }
    Stream fresh;
    transfer(names_, sent, document.names(), got, source_.chance(30) ? fresh : replica.from_log);
    if (!fault_.empty()) return;
    const auto hashes = document.check(got);
    if (!hashes) return require(false, "check: " + std::string(hashes.error().what));
    std::size_t expected = 0;
    for (std::size_t n = 0; n < part.size(); ++n) {
        const Logged& logged = log_[part[n]];
        std::uint64_t& known = replica.known[logged.actor];
        if (known >= logged.seq) {
            require((*hashes)[n].is_zero(), "a duplicate was hashed");
            continue;
        }
        require((*hashes)[n] == logged.hash, "the receiver's hash is not the author's");
        known = logged.seq;
        ++expected;
    }
    const auto report = document.apply(got, *hashes);
    if (!report) return require(false, "apply: " + std::string(report.error().what));
    require(report->applied == expected, "changes applied");
    require(report->duplicate == part.size() - expected, "duplicates counted");
}

// --- Comparisons ---------------------------------------------------------------------------------

void RandomHistory::compare_with_model(Replica& replica) {
    std::vector<model::Change> changes;
    for (std::size_t i = 0; i < log_.size(); ++i) {
        const auto at = replica.known.find(log_[i].actor);
        if (at == replica.known.end() || at->second < log_[i].seq) continue;
        changes.push_back(model::change_of(names_, batch_, i));
    }
    const model::Model model(changes);
    Document& document = *replica.document;
    const auto differ = [&](std::string_view what, const std::string& a, const std::string& b) {
        require(a == b, std::string(what) + "\ncrdt:\n" + a + "\nmodel:\n" + b);
    };
    differ("states differ", model::detail_of(document), model.detail());
    differ("views differ", model::to_text(document.read_root()), model::to_text(model.root()));
    require(document.read_root() == model.root(), "views differ in what text does not show");
    const Digest digest = document.digest();
    const std::string dump = model.dump();
    const auto [same_digest, is_new_digest] = dump_of_.emplace(digest, dump);
    differ("equal digests of unequal dumps (D1)", same_digest->second, dump);
    const auto [same_dump, is_new_dump] = digest_of_.emplace(dump, digest);
    require(same_dump->second == digest, "unequal digests of equal dumps (D1)\n" + dump);
}

void RandomHistory::finish() {
    std::vector<std::size_t> all(log_.size());
    for (std::size_t i = 0; i < all.size(); ++i)
        all[i] = i;
    for (Replica& replica : replicas_) {
        if (!fault_.empty()) return;
        std::vector<std::size_t> unknown;
        std::ranges::copy_if(all, std::back_inserter(unknown), [&](std::size_t i) {
            return replica.known[log_[i].actor] < log_[i].seq;
        });
        deliver(replica, in_causal_order(replica.known, unknown));
    }
    if (!fault_.empty()) return;
    compare_with_model(replicas_.front());
    const std::string detail = model::detail_of(*replicas_.front().document);
    for (Replica& replica : replicas_) {
        require(replica.document->digest() == replicas_.front().document->digest(),
                "digests differ after full exchange");
        require(model::detail_of(*replica.document) == detail, "states differ after full exchange");
        require(replica.document->read_root() == replicas_.front().document->read_root(),
                "views differ after full exchange");
    }
}

void RandomHistory::replay() {
    Replica fresh = make_replica();
    std::vector<std::size_t> all(log_.size());
    for (std::size_t i = 0; i < all.size(); ++i)
        all[i] = i;
    deliver(fresh, in_causal_order({}, all));
    if (!fault_.empty()) return;
    Document& first = *replicas_.front().document;
    require(fresh.document->digest() == first.digest(), "another order gave another digest");
    require(model::detail_of(*fresh.document) == model::detail_of(first),
            "another order gave another state");
    require(fresh.document->read_root() == first.read_root(), "another order gave another view");
}

std::unique_ptr<Document> RandomHistory::make_document(std::size_t count) {
    Replica replica = make_replica();
    std::vector<std::size_t> part(std::min(count, log_.size()));
    for (std::size_t i = 0; i < part.size(); ++i)
        part[i] = i;
    if (!part.empty()) deliver_batch(replica, part);
    return std::move(replica.document);
}

}  // namespace joinery::crdt::test
