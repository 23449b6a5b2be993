#include "bench/replica.h"

#include "crdt/snapshot.h"
#include "crdt/transaction.h"

#include <algorithm>

namespace joinery::bench {
namespace {

using namespace crdt;  // NOLINT(google-build-using-namespace): every name here is the core's.

ActorId actor_of(std::uint32_t number) {
    // Spread as real ones are: they are hashes.
    Generator random(0x00ac7000 + number);
    ActorId actor;
    for (std::uint8_t& byte : actor.bytes)
        byte = static_cast<std::uint8_t>(random.below(256));
    return actor;
}

template <class T>
T must(Result<T> result) {
    JOINERY_ASSERT(result.has_value());
    return *std::move(result);
}

void must(const Result<void>& result) { JOINERY_ASSERT(result.has_value()); }

/// Changes and operations of one batch of a stream: those of a segment in the engine's log. More
/// leave the cache between their decoding and their use: with 65,536 a third of the speed is lost.
constexpr std::size_t kStreamBatch = 4096;

std::string_view root_key(Shape shape) {
    switch (shape) {
        case Shape::map: return "widgets";
        case Shape::counter: return "counters";
        case Shape::list: return "list";
    }
    return "";
}

}  // namespace

std::unique_ptr<Document> load_snapshot(const Bytes& bytes) { return must(decode_snapshot(bytes)); }

Base make_base(Shape shape) {
    Document document("bench");
    {
        Transaction t(document, actor_of(1), WallTime(1'600'000'000'000));
        const Kind kind = shape == Shape::list ? Kind::list : Kind::map;
        const ContainerIndex top = must(t.make(kRoot, must(t.key(root_key(shape))), kind));
        for (std::uint32_t i = 0; shape == Shape::map && i < kWidgetCount; ++i)
            must(t.make(top, must(t.key("w" + std::to_string(i))), Kind::map));
        for (std::uint32_t i = 0; shape == Shape::counter && i < kCounterCount; ++i)
            must(t.make(top, must(t.key("c" + std::to_string(i))), Kind::counter));
        must(t.commit());
    }
    Base base;
    EncoderDictionary dictionary;
    encode_changes(document.names(), document.outgoing().batch, 0, 1, dictionary, base.changes);
    base.snapshot = encode_snapshot(document);
    return base;
}

Replica::Replica(Shape shape, const Base& base, std::uint32_t actor)
    : document_(load_snapshot(base.snapshot)) {
    Names& names = document_->names();
    chain_ = names.intern_actor(actor_of(actor));
    const KeyIndex key = names.intern_key(root_key(shape));
    if (shape == Shape::list) {
        handles_.push_back(names.intern_container(kRoot, key, Kind::list));
        return;
    }
    const bool is_map = shape == Shape::map;
    const ContainerIndex top = names.intern_container(kRoot, key, Kind::map);
    for (std::uint32_t i = 0; i < (is_map ? kWidgetCount : kCounterCount); ++i) {
        const KeyIndex child = names.intern_key((is_map ? "w" : "c") + std::to_string(i));
        handles_.push_back(names.intern_container(top, child, is_map ? Kind::map : Kind::counter));
    }
    for (std::uint32_t field = 0; is_map && field < kFieldCount; ++field)
        keys_.push_back(names.intern_key(field_name(field)));
}

void Replica::put(Transaction& transaction, const MapOp& op) {
    must(transaction.put(handles_[op.widget], keys_[op.field], op.value));
}

void Replica::put(Transaction& transaction, const CounterOp& op) {
    must(transaction.increment(handles_[op.counter], op.delta));
}

void Replica::put(Transaction& transaction, const ListOp& op) {
    const ContainerIndex list = handles_.front();
    if (op.is_insert) {
        must(transaction.insert(list, op.position, {Kind::none, Value(op.value)}));
    } else {
        must(transaction.erase(list, must(transaction.element_at(list, op.position))));
    }
}

void Replica::send(Sends sends) {
    if (sends == Sends::later) return;
    if (sends == Sends::messages) {
        const Batch& batch = document_->outgoing().batch;
        changes_.clear();
        encode_changes(document_->names(), batch, 0, batch.changes.size(), encoder_, changes_);
        Bytes& message = messages_.emplace_back();
        writer_.write(session::Changes{0, {}, changes_}, message);
    }
    document_->clear_outgoing();
}

template <class Op>
void Replica::write(const std::vector<Op>& ops, std::size_t count, std::size_t every, Sends sends) {
    if (sends == Sends::messages) messages_.reserve(messages_.size() + count / every + 1);
    for (std::size_t i = 0; i < count;) {
        Transaction transaction(*document_, chain_, ++now_);
        for (const std::size_t end = std::min(count, i + every); i < end; ++i)
            put(transaction, ops[i]);
        // No change is made where a bool was set twice within one commit, and stands as it was.
        if (must(transaction.commit())) send(sends);
    }
}

template void Replica::write(const std::vector<MapOp>&, std::size_t, std::size_t, Sends);
template void Replica::write(const std::vector<CounterOp>&, std::size_t, std::size_t, Sends);
template void Replica::write(const std::vector<ListOp>&, std::size_t, std::size_t, Sends);

std::vector<Bytes> Replica::since() const {
    std::vector<Bytes> stream;
    EncoderDictionary dictionary;
    const Batch& batch = document_->outgoing().batch;
    for (std::size_t begin = 0; begin < batch.changes.size();) {
        std::size_t end = begin;
        for (std::size_t ops = 0; end < batch.changes.size() && end - begin < kStreamBatch; ++end) {
            ops += batch.changes[end].op_count;
            if (ops > kStreamBatch && end != begin) break;
        }
        encode_changes(document_->names(), batch, begin, end, dictionary, stream.emplace_back());
        begin = end;
    }
    return stream;
}

void Replica::apply(const Batch& batch) {
    const auto hashes = must(document_->check(batch));
    must(document_->apply(batch, hashes));
}

void Replica::decode_message(const Bytes& message, Batch& batch) {
    const auto read = must(reader_.read(message));
    JOINERY_ASSERT(read.has_value());
    const auto* changes = std::get_if<session::Changes>(&*read);
    JOINERY_ASSERT(changes != nullptr);
    must(decode_changes(changes->batch, document_->names(), decoder_, batch));
}

void Replica::apply_each(const std::vector<Bytes>& messages) {
    for (const Bytes& message : messages) {
        batch_.clear();
        decode_message(message, batch_);
        apply(batch_);
    }
}

void Replica::apply_backlog(const std::vector<Bytes>& messages) {
    // Few enough at a time that a group stays in the cache between its decoding and its use.
    constexpr std::size_t kGroupSize = 256;
    for (std::size_t begin = 0; begin < messages.size(); begin += kGroupSize) {
        batch_.clear();
        const std::size_t end = std::min(messages.size(), begin + kGroupSize);
        for (std::size_t i = begin; i < end; ++i)
            decode_message(messages[i], batch_);
        apply(batch_);
    }
}

void Replica::apply_stream(const std::vector<Bytes>& stream) {
    DecoderDictionary dictionary;
    for (const Bytes& bytes : stream) {
        batch_.clear();
        must(decode_changes(bytes, document_->names(), dictionary, batch_));
        apply(batch_);
    }
}

void Replica::apply_streams(const std::vector<std::vector<Bytes>>& streams) {
    for (const auto& stream : streams)
        apply_stream(stream);
}

void Replica::apply_atomically(const std::vector<std::vector<Bytes>>& streams) {
    batch_.clear();
    for (const auto& stream : streams) {
        DecoderDictionary dictionary;
        for (const Bytes& bytes : stream)
            must(decode_changes(bytes, document_->names(), dictionary, batch_));
    }
    apply(batch_);
}

}  // namespace joinery::bench
