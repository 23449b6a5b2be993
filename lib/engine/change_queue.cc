#include "engine/change_queue.h"

#include <utility>

namespace joinery::detail {

std::size_t encoded_size_of(const crdt::Batch& batch, const crdt::ChangeHeader& change) {
    std::size_t size = 16 + change.message_size;
    for (const crdt::Op& op : batch.ops_of(change))
        size += 16 + op.value.content().size() + std::size_t{32} * op.extra_count;
    return size;
}

void ChangeQueue::clear() {
    batch_.clear();
    hashes_.clear();
    spans_.clear();
    open_op_count_ = open_size_ = size_ = 0;
}

void ChangeQueue::append(const crdt::Batch& other, std::size_t index, const ChangeHash& hash) {
    batch_.append(other, index);
    hashes_.push_back(hash);
    const std::size_t size = encoded_size_of(batch_, batch_.changes.back());
    open_op_count_ += batch_.changes.back().op_count;
    open_size_ += size;
    size_ += size;
}

bool ChangeQueue::end_span(std::span<const crdt::Seal> seals, bool starts_flush) {
    const std::size_t end = batch_.changes.size();
    if (end == begin_of(spans_.size())) return false;
    spans_.push_back({end,
                      std::exchange(open_op_count_, 0),
                      std::exchange(open_size_, 0),
                      {seals.begin(), seals.end()},
                      starts_flush});
    return true;
}

std::size_t ChangeQueue::flush_end(std::size_t first) const {
    const std::size_t begin = begin_of(first);
    std::size_t op_count = spans_[first].op_count;
    std::size_t size = spans_[first].size;
    std::size_t end = first + 1;
    for (; end < spans_.size(); ++end) {
        op_count += spans_[end].op_count;
        size += spans_[end].size;
        if (size > kFlushSizeMax || !crdt::fits_batch(spans_[end].end - begin, op_count)) break;
    }
    return end;
}

std::size_t ChangeQueue::whole_flush_end(std::size_t first) const {
    std::size_t end = flush_end(first);
    // A flush alone fits: it was made so.
    while (end < spans_.size() && end > first + 1 && !spans_[end].starts_flush)
        --end;
    while (end < spans_.size() && !spans_[end].starts_flush)
        ++end;
    return end;
}

const crdt::Seal* ChangeQueue::Span::find_seal(const ActorId& actor, std::uint64_t seq) const {
    for (const crdt::Seal& seal : seals) {
        if (seal.seq == seq && crdt::actor_of(seal.proof) == actor) return &seal;
    }
    return nullptr;
}

const crdt::Seal* ChangeQueue::find_seal(const ActorId& actor, std::uint64_t seq) const {
    for (const Span& span : spans_) {
        if (const crdt::Seal* seal = span.find_seal(actor, seq)) return seal;
    }
    return nullptr;
}

}  // namespace joinery::detail
