// The part of DocumentCore that knows who else has what was made here (docs/semantics.md A).

#include "engine/document_core.h"
#include "engine/tx_core.h"

#include <algorithm>

namespace joinery::detail {
namespace {

/// A record that cannot be read is nothing that anybody needs: whoever acknowledged says it again.
std::optional<Outbox::Acknowledged> read_acknowledged(ByteView value) {
    auto decoded = decode_acknowledged(value);
    return decoded ? std::optional(*std::move(decoded)) : std::nullopt;
}

}  // namespace

bool DocumentCore::is_ours(const ActorId& actor) const {
    if (own_author(actor) != nullptr) return true;
    // One of another incarnation of this store, or of another process of it.
    const auto seal = seals_.find(actor);
    return seal != seals_.end() && seal->second.proof.device == context_.key.public_key();
}

std::vector<ChainMark> DocumentCore::own_ends() const {
    std::vector<ChainMark> ends;
    const crdt::Names& names = document_->names();
    for (crdt::ChainIndex chain = 0; chain < names.actor_count(); ++chain) {
        const std::uint64_t seq = document_->graph().last_seq(chain);
        if (seq != 0 && is_ours(names.actor(chain))) ends.push_back({names.actor(chain), seq});
    }
    return ends;
}

bool DocumentCore::note_acknowledged(const DeviceKey& device, const session::Frontier& durable) {
    if (device == context_.key.public_key()) return false;
    std::vector<ChainMark> marks;
    {
        const std::lock_guard lock(mutex_);
        for (const session::FrontierEntry& entry : durable) {
            const crdt::ChainIndex chain = document_->names().find_actor(entry.actor);
            if (chain == crdt::kNone || !is_ours(entry.actor)) continue;
            // Nobody can have more of ours than there is.
            const std::uint64_t seq = std::min(entry.seq, document_->graph().last_seq(chain));
            if (seq != 0) marks.push_back({entry.actor, seq});
        }
    }
    const bool is_new = outbox_.note_acknowledged(device, marks, context_.clock.wall_now());
    if (is_new) tell_outbox();
    return is_new;
}

Subscription DocumentCore::observe_outbox(std::function<void(const OutboxStatus&)> callback) {
    auto watch = std::make_shared<Watch<OutboxStatus>>();
    watch->callback = std::move(callback);
    {
        const std::lock_guard lock(mutex_);
        outbox_watches_.push_back(watch);
    }
    return subscription_of(
        weak_from_this(), std::move(watch), &DocumentCore::outbox_watches_, &DocumentCore::mutex_);
}

/// One callback for all that came before it runs.
void DocumentCore::tell_outbox() {
    {
        const std::lock_guard lock(mutex_);
        if (outbox_watches_.empty()) return;
    }
    if (is_telling_outbox_.exchange(true)) return;
    context_.run_callback([core = shared_from_this()] {
        core->is_telling_outbox_ = false;
        const OutboxStatus status = core->outbox_status();
        std::vector<std::shared_ptr<Watch<OutboxStatus>>> watches;
        {
            const std::lock_guard lock(core->mutex_);
            watches = core->outbox_watches_;
        }
        for (const auto& watch : watches)
            watch->tell(status);
    });
}

Result<ChangeStatus> DocumentCore::change_status(const ChainMark& change) const {
    bool is_durable = false;
    {
        const std::lock_guard lock(mutex_);
        const crdt::ChainIndex chain = document_->names().find_actor(change.actor);
        const bool is_there = chain != crdt::kNone && change.seq != 0 &&
                              change.seq <= document_->graph().last_seq(chain);
        if (!is_there || !is_ours(change.actor)) {
            return fail(Errc::not_found, "no change of this store's own has that number");
        }
        is_durable = forked_ ? !is_queued(change)
                             : chain < stored_.size() && change.seq <= stored_[chain].seq;
    }
    ChangeStatus status = outbox_.status_of(change);
    status.is_durable = is_durable;
    return status;
}

bool DocumentCore::is_queued(const ChainMark& change) const {
    const crdt::ChainIndex chain = change_names().find_actor(change.actor);
    return chain != crdt::kNone && queued_hash(chain, change.seq).has_value();
}

Result<ChangeStatus> DocumentCore::path_status(std::string_view path) const {
    std::vector<ChainMark> writers;
    {
        const std::lock_guard lock(mutex_);
        JOINERY_TRY(const auto shown, path_writers(*document_, path));
        for (const crdt::Dependency& change : shown) {
            const ActorId& actor = document_->names().actor(change.chain);
            if (is_ours(actor)) writers.push_back({actor, change.seq});
        }
    }
    ChangeStatus out;
    out.state = ChangeState::acknowledged;
    out.is_durable = true;
    bool is_first = true;
    for (const ChainMark& change : writers) {
        JOINERY_TRY(const ChangeStatus status, change_status(change));
        out.state = std::min(out.state, status.state);
        out.is_durable = out.is_durable && status.is_durable;
        std::vector<DeviceKey> both;
        std::ranges::set_intersection(is_first ? status.acknowledged_by : out.acknowledged_by,
                                      status.acknowledged_by,
                                      std::back_inserter(both));
        out.acknowledged_by = std::move(both);
        if (is_first || out.acknowledged_at > status.acknowledged_at) {
            out.acknowledged_at = status.acknowledged_at;
        }
        is_first = false;
    }
    return out;
}

OutboxStatus DocumentCore::outbox_status() const {
    std::vector<ChainMark> ends;
    {
        const std::lock_guard lock(mutex_);
        ends = own_ends();
    }
    return outbox_.status(ends);
}

Result<Version> DocumentCore::version_before(const ChainMark& change) const {
    const std::lock_guard lock(mutex_);
    const crdt::Names& names = document_->names();
    const crdt::Graph& graph = document_->graph();
    const crdt::ChainIndex chain = names.find_actor(change.actor);
    if (chain == crdt::kNone || change.seq == 0 || change.seq > graph.last_seq(chain)) {
        return fail(Errc::not_found, "no change has that number");
    }
    Version version;
    version.form = Version::Form::heads;
    if (change.seq > 1) version.heads.push_back({change.actor, change.seq - 1});
    const std::uint64_t lv = graph.lv_of(chain, change.seq);
    for (const crdt::Graph::Run& run : graph.runs()) {
        if (run.lv != lv) continue;
        for (const std::uint64_t parent : graph.parents_of(run)) {
            const crdt::Dependency dependency = graph.change_at(parent);
            version.heads.push_back({names.actor(dependency.chain), dependency.seq});
        }
    }
    return version.heads.empty() ? Version::none() : version;
}

// --- The store's records -------------------------------------------------------------------------

Result<void> DocumentCore::load_acknowledged(StoreReader& reader, DocumentNumber number) {
    return for_each_sound(
        reader, Table::meta, outbox_prefix(number), [&](ByteView key, ByteView value) {
            if (!is_outbox_key(key)) return;
            const auto acknowledged = read_acknowledged(value);
            if (acknowledged) outbox_.merge(outbox_device(key), *acknowledged);
        });
}

Result<bool> DocumentCore::write_acknowledged(StoreWriter& writer) {
    DocumentNumber number = 0;
    {
        const std::lock_guard lock(mutex_);
        if (is_new_) return false;
        number = record_.number;
    }
    const auto unstored = outbox_.take_unstored();
    for (const auto& [device, acknowledged] : unstored)
        JOINERY_TRY_VOID(write_acknowledged(writer, outbox_key(number, device), acknowledged));
    return !unstored.empty();
}

Result<void> DocumentCore::write_acknowledged(StoreWriter& writer,
                                              const Bytes& key,
                                              Outbox::Acknowledged acknowledged) {
    // Another process of the store may have heard more of the same device.
    const auto there = writer.get(Table::meta, key);
    if (!there && there.error().code != Errc::damaged) return there.error();
    if (there && *there) {
        const auto known = read_acknowledged(**there);
        for (const auto& [actor, seq] : known ? known->seq : std::map<ActorId, std::uint64_t>()) {
            std::uint64_t& ours = acknowledged.seq[actor];
            ours = std::max(ours, seq);
        }
        if (known) acknowledged.at = std::max(acknowledged.at, known->at);
    }
    return writer.put(Table::meta, key, encode_acknowledged(acknowledged));
}

}  // namespace joinery::detail
