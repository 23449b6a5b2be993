// The part of DocumentCore that judges the changes of others where this device is the document's
// authority, and that learns of refusals where it is not: docs/semantics.md U, docs/authority.md.

#include "crdt/limits.h"
#include "crdt/put_back.h"
#include "engine/change_text.h"
#include "engine/document_core.h"
#include "engine/tx_core.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

namespace joinery::detail {
namespace {

using crdt::kNone;

/// Log entries for one message; the metric counts every refusal.
constexpr std::size_t kLoggedMax = 16;
/// Bytes of one change that puts back, a step less, well within crdt/limits.h; of a refusal that
/// needs more the rest comes in changes of its own.
constexpr std::size_t kPutBackSizeMax = crdt::kChangeSizeMax / 2;
/// Bytes, about, of what came and its refusals where they are to go in one message.
constexpr std::size_t kJoinedSizeMax = std::size_t{8} << 20U;

/// Who made what @p actor signs: its name is a hash of the proof, so the seal need not be checked.
std::optional<DeviceKey> device_of(const ActorId& actor, std::span<const crdt::Seal> seals) {
    for (const crdt::Seal& seal : seals) {
        if (crdt::actor_of(seal.proof) == actor) return seal.proof.device;
    }
    return std::nullopt;
}

/// What an app says is the message of a change.
std::string message_of(std::string reason) {
    if (reason.size() > crdt::kMessageTextSizeMax) {
        // Not within a character; one has four bytes at most.
        reason.resize(crdt::kMessageTextSizeMax);
        for (int i = 0; i < 3 && !is_utf8(as_bytes(reason)); ++i)
            reason.pop_back();
    }
    return reason.empty() || !is_utf8(as_bytes(reason)) ? "refused" : reason;
}

/// By chain and number: what the refusals in @p batch refuse.
using RefusedSet = std::set<std::pair<crdt::ChainIndex, std::uint64_t>>;
RefusedSet refused_in(const crdt::Batch& batch) {
    RefusedSet out;
    for (const crdt::ChangeHeader& change : batch.changes) {
        if (const auto refused = batch.refused_by(change)) {
            out.emplace(refused->chain, refused->seq);
        }
    }
    return out;
}

std::optional<Plain> shown_before(const crdt::Document& document, const crdt::Op& op) {
    if (op.kind == crdt::OpKind::insert || op.kind == crdt::OpKind::move) return std::nullopt;
    crdt::ContainerIndex container = op.container;
    std::uint32_t key = op.key;
    if (op.kind == crdt::OpKind::increment) {
        const auto& counter = document.names().container(op.container);
        container = counter.parent;
        key = counter.key;
    }
    const crdt::Shown shown = document.state().shown(container, key);
    return shown.nothing() ? std::nullopt : std::optional(document.read(shown));
}

}  // namespace

bool DocumentCore::judges() const {
    return context_.judge && authority_ == context_.key.public_key();
}

// --- Where we are the authority ------------------------------------------------------------------

std::optional<std::string> DocumentCore::judge(const DeviceKey& device,
                                               const ChangeInfo& change,
                                               std::span<const std::optional<Plain>> before) {
    const auto read = [this](std::string_view path) { return read_path(*document_, path); };
    auto reason = context_.judge(Proposal{id_, device, change, before, read});
    if (!reason) return std::nullopt;
    std::string message = message_of(*std::move(reason));
    ++context_.refused_count;
    if (to_log_.size() == kLoggedMax) return message;
    LogEntry entry{LogLevel::info,
                   "change.refused",
                   "document " + id_ + ": change " + std::to_string(change.seq) + " of " +
                       to_hex(change.actor.view()).substr(0, 8) + " was refused: " + message};
    entry.document = id_;
    entry.device = device;
    to_log_.push_back(std::move(entry));
    return message;
}

Result<crdt::ApplyReport> DocumentCore::take_judged(const crdt::Batch& batch,
                                                    std::span<const ChangeHash> checked_hashes,
                                                    std::span<const crdt::Seal> seals) {
    // check() is asked again when a single change is applied.
    const std::vector<ChangeHash> hashes(checked_hashes.begin(), checked_hashes.end());
    JOINERY_TRY_VOID(document_->try_apply(batch, hashes));
    if (overtaken_) return fail(Errc::busy, "the authority becomes a fresh actor first");
    // A store that was put back gets its refusals from others.
    const RefusedSet refused = refused_in(batch);
    crdt::ApplyReport report;
    std::size_t size = 0, op_count = 0;
    for (std::size_t i = 0; i < batch.changes.size(); ++i) {
        if (hashes[i].is_zero()) {
            ++report.duplicate;
            continue;
        }
        const crdt::ChangeHeader& change = batch.changes[i];
        const bool is_settled = refused.contains({change.chain, change.seq});
        take_one(batch, i, hashes[i], is_settled ? std::nullopt : judged_device(change, seals));
        ++report.applied;
        size += encoded_size_of(batch, change);
        op_count += change.op_count;
    }
    queue_refusals(size, op_count, seals);
    return report;
}

std::optional<DeviceKey> DocumentCore::judged_device(const crdt::ChangeHeader& change,
                                                     std::span<const crdt::Seal> seals) const {
    const auto device = device_of(change_names().actor(change.chain), seals).value_or(DeviceKey{});
    return device == context_.key.public_key() ? std::nullopt : std::optional(device);
}

void DocumentCore::take_one(const crdt::Batch& batch,
                            std::size_t index,
                            const ChangeHash& hash,
                            const std::optional<DeviceKey>& device) {
    crdt::Batch one;
    one.append(batch, index);
    const crdt::ChangeHeader& change = one.changes.front();
    std::optional<crdt::PutBack> was;
    std::vector<std::optional<Plain>> before;
    if (device) {
        was.emplace(*document_, one, 0);
        for (const crdt::Op& op : one.ops)
            before.push_back(shown_before(*document_, op));
    }
    const auto applied = document_->apply(one, std::span(&hash, 1));
    JOINERY_ASSERT(applied.has_value());  // As try_apply() found.
    unstored_.append(batch, index, hash);
    if (!device) return;
    const auto reason = judge(*device, info_of(one, change), before);
    if (reason) refuse({change.chain, change.seq}, *was, *reason);
}

void DocumentCore::refuse(const crdt::Dependency& change,
                          const crdt::PutBack& was,
                          const std::string& reason) {
    const std::vector<crdt::PutBackStep> steps = was.steps();
    bool is_first = true;
    for (std::size_t at = 0; is_first || at < steps.size(); is_first = false) {
        crdt::Transaction transaction(*document_, author_.actor, context_.clock.wall_now());
        if (is_first) transaction.refuse(change);
        std::size_t size = 0;
        while (at < steps.size() && size < kPutBackSizeMax) {
            size += steps[at].size;
            const auto done = transaction.put_back(steps[at++]);
            JOINERY_ASSERT(done.has_value());
        }
        const auto done = transaction.commit(is_first ? reason : std::string());
        JOINERY_ASSERT(done.has_value());
    }
}

/// Behind what they refuse, and not parted from it where one message can bring both.
void DocumentCore::queue_refusals(std::size_t size,
                                  std::size_t op_count,
                                  std::span<const crdt::Seal> seals) {
    const auto& outgoing = document_->outgoing();
    for (const crdt::ChangeHeader& change : outgoing.batch.changes)
        size += encoded_size_of(outgoing.batch, change);
    const std::size_t begin = unstored_.begin_of(unstored_.spans().size());
    const std::size_t count = unstored_.change_count() - begin + outgoing.batch.changes.size();
    const bool is_joined =
        size <= kJoinedSizeMax && crdt::fits_batch(count, op_count + outgoing.batch.ops.size());
    if (!is_joined) unstored_.end_span(seals);
    for (std::size_t i = 0; i < outgoing.batch.changes.size(); ++i) {
        unstored_.append(outgoing.batch, i, outgoing.hashes[i]);
        if (!is_joined) unstored_.end_span({});
    }
    document_->clear_outgoing();
    if (is_joined) unstored_.end_span(seals);
}

// --- The same where an actor has forked ----------------------------------------------------------

Result<crdt::ApplyReport> DocumentCore::take_forked_judged(const crdt::Batch& batch,
                                                           std::span<const Resolved> changes,
                                                           std::span<const crdt::Seal> seals) {
    crdt::ForkedDocument& document = forked_->document();
    const crdt::ChainIndex own = document.names().find_actor(author_.actor);
    for (std::size_t i = 0; i < changes.size(); ++i) {
        if (changes[i].is_known || batch.changes[i].chain != own) continue;
        overtaken_ = Overtaken{author_.actor, id_, batch.changes[i].seq, true};
        return fail(Errc::busy, "the authority becomes a fresh actor first");
    }
    const crdt::ForkedDocument::Mark mark = document.mark();
    // By hash: a number may be that of several changes, of which one was refused.
    std::set<ChangeHash> refused;
    for (std::size_t i = 0; i < changes.size(); ++i) {
        const std::uint32_t at = batch.changes[i].refused;
        if (at != kNone) refused.insert(changes[i].dependencies[at]);
    }
    crdt::ApplyReport report;
    for (std::size_t i = 0; i < changes.size(); ++i) {
        if (document.has(changes[i].hash)) {
            ++report.duplicate;
            continue;
        }
        const View before = view();
        const bool is_settled = refused.contains(changes[i].hash);
        const auto device = judged_device(batch.changes[i], seals);
        const auto done = take_forked_one(batch, i, changes[i], is_settled ? std::nullopt : device);
        if (!done) document.drop_since(mark);
        follow_view(before);
        if (!done) return done.error();
        ++report.applied;
    }
    return report;
}

Result<void> DocumentCore::take_forked_one(const crdt::Batch& batch,
                                           std::size_t index,
                                           const Resolved& change,
                                           const std::optional<DeviceKey>& device) {
    crdt::ForkedDocument& document = forked_->document();
    const Plain before{document_->read_root(Lanes::logged)};
    if (document.opens_branch(std::span(&change, 1))) keep_view();
    JOINERY_TRY_VOID(document.add(batch, index, change.links()));
    document_ = &document.document();
    const auto node = static_cast<NodeIndex>(document.nodes().size() - 1);
    if (!device) return {};
    const auto reason = judge(*device, forked_info(node), {});
    if (!reason) return {};
    // What came later has a greater stamp than the refused change (U5).
    const WallTime time(batch.changes[index].time_ms);
    crdt::Transaction transaction(*document_, author_.actor, time);
    transaction.refuse(document.shown_as(node));
    TxCore tx_core(transaction);
    JOINERY_TRY_VOID(tx_core.set("", before, SetOptions{}));
    JOINERY_TRY_VOID(document.commit(transaction, *reason));
    return {};
}

/// Of the nodes from @p first_new on, our own: what came in judged is of others.
void DocumentCore::queue_forked_refusals(NodeIndex first_new) {
    const crdt::ForkedDocument& document = forked_->document();
    const crdt::ChainIndex own = document.names().find_actor(author_.actor);
    for (auto index = first_new; index < document.nodes().size(); ++index) {
        const auto& change = document.nodes()[index];
        if (change.actor == own) unstored_.append(document.history(), change.change, change.hash);
    }
}

// --- Where another device is ---------------------------------------------------------------------

/// Rule U3.
Result<void> DocumentCore::check_refusals(const crdt::Batch& batch,
                                          std::span<const crdt::Seal> seals) const {
    for (std::size_t i = 0; i < batch.changes.size(); ++i) {
        const crdt::ChangeHeader& change = batch.changes[i];
        if (change.refused == kNone) continue;
        const auto device = device_of(change_names().actor(change.chain), seals);
        if (!authority_ || device != authority_) {
            return fail(Errc::untrusted, "refusal by another than the document's authority", i);
        }
    }
    return {};
}

void DocumentCore::note_refusals(const crdt::Batch& batch, std::size_t begin, bool is_stored) {
    for (const crdt::ChangeHeader& change : std::span(batch.changes).subspan(begin)) {
        const auto refused = batch.refused_by(change);
        if (!refused) continue;
        const crdt::Names& names = change_names();
        const ChainMark mark{names.actor(refused->chain), refused->seq};
        if (!is_ours(mark.actor)) continue;
        const Rejected rejected{{names.actor(change.chain), change.seq},
                                WallTime(change.time_ms),
                                std::string(batch.message_of(change))};
        if (outbox_.note_rejected(mark, rejected, is_stored)) rejected_to_tell_.push_back(mark);
    }
}

void DocumentCore::tell_rejections() {
    std::vector<ChainMark> rejected;
    {
        const std::lock_guard lock(mutex_);
        rejected = std::exchange(rejected_to_tell_, {});
        if (rejected.empty()) return;
    }
    tell_outbox();
    context_.run_callback([core = shared_from_this(), rejected = std::move(rejected)] {
        std::vector<std::shared_ptr<Watch<Rejection>>> watches;
        {
            const std::lock_guard lock(core->mutex_);
            watches = core->rejection_watches_;
        }
        if (watches.empty()) return;
        const auto known = core->outbox_.rejected();
        for (const ChainMark& change : rejected) {
            const Rejection rejection = core->rejection_of(change, known.at(change));
            for (const auto& watch : watches)
                watch->tell(rejection);
        }
    });
}

Rejection DocumentCore::rejection_of(const ChainMark& change, const Rejected& rejected) {
    Rejection out;
    out.receipt = Receipt{true, change.actor, change.seq, shared_from_this()};
    auto info = change_info(change);
    if (info) {
        out.change = *std::move(info);
    } else {
        out.change.actor = change.actor;
        out.change.seq = change.seq;
    }
    out.reason = rejected.reason;
    out.by = authority_.value_or(DeviceKey{});
    out.at = rejected.at;
    return out;
}

std::vector<Rejection> DocumentCore::rejections() {
    std::vector<Rejection> out;
    for (const auto& [change, rejected] : outbox_.rejected())
        out.push_back(rejection_of(change, rejected));
    std::ranges::sort(out, {}, [](const Rejection& rejection) {
        return std::tuple(rejection.at, rejection.receipt.actor, rejection.receipt.seq);
    });
    return out;
}

Subscription DocumentCore::observe_rejections(std::function<void(const Rejection&)> callback) {
    auto watch = std::make_shared<Watch<Rejection>>();
    watch->callback = std::move(callback);
    {
        const std::lock_guard lock(mutex_);
        rejection_watches_.push_back(watch);
    }
    return subscription_of(weak_from_this(),
                           std::move(watch),
                           &DocumentCore::rejection_watches_,
                           &DocumentCore::mutex_);
}

// --- The store's records -------------------------------------------------------------------------

Result<void> DocumentCore::load_rejected(StoreReader& reader, DocumentNumber number) {
    return for_each_sound(
        reader, Table::meta, rejected_prefix(number), [&](ByteView key, ByteView value) {
            if (!is_rejected_key(key)) return;
            // One that cannot be read is in the log as well; `verify` tells of it.
            const auto rejected = decode_rejected(value);
            if (rejected) outbox_.note_rejected(rejected_change(key), *rejected, true);
        });
}

Result<void> DocumentCore::write_rejected(StoreWriter& writer) {
    writing_rejected_ = outbox_.unstored_rejected();
    for (const auto& [change, rejected] : writing_rejected_) {
        JOINERY_TRY_VOID(writer.put(
            Table::meta, rejected_key(writing_record_.number, change), encode_rejected(rejected)));
    }
    return {};
}

}  // namespace joinery::detail
