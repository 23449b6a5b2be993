// The part of Live that tells others, and the store, what is here.

#include "crdt/hash.h"
#include "crdt/live.h"

#include <algorithm>

namespace joinery::crdt {

std::vector<std::pair<ActorId, LiveWrite>> Live::writes() const {
    std::vector<std::pair<ActorId, LiveWrite>> out;
    for (auto i = oldest_; i != kNone; i = entries_[i].newer)
        out.emplace_back(batches_[entries_[i].batch].actor, write_at(entries_[i]));
    return out;
}

LiveMarks Live::marks() const {
    LiveMarks marks;
    marks.reserve(count_);
    for (auto i = oldest_; i != kNone; i = entries_[i].newer) {
        const Entry& entry = entries_[i];
        marks.push_back({entry.slot, entry.stamp, load_u64(hash_at(entry).bytes.data())});
    }
    std::ranges::sort(marks, {}, &LiveMark::slot);
    return marks;
}

LiveHash Live::hash() const {
    LiveHash hash;
    if (oldest_ == kNone) return hash;
    std::vector<std::pair<LiveHash, LiveHash>> all;
    all.reserve(count_);
    for (auto i = oldest_; i != kNone; i = entries_[i].newer)
        all.emplace_back(entries_[i].slot, hash_at(entries_[i]));
    std::ranges::sort(all);
    Bytes input;
    ByteWriter out(input);
    out.raw(as_bytes("joinery live set 1"));
    for (const auto& [slot, item] : all)
        out.raw(item.view());
    hash_into(input, hash.bytes);
    return hash;
}

std::vector<LiveBatch> Live::collect(LiveCursor& cursor, std::size_t size_max) const {
    std::vector<LiveBatch> out;
    std::uint32_t next = newest_;
    if (cursor.version >= version_) next = kNone;
    while (next != kNone && entries_[next].older != kNone &&
           entries_[entries_[next].older].version > cursor.version) {
        next = entries_[next].older;
    }
    const auto is_known = [&](const Entry& entry) {
        if (cursor.origin != 0 && entry.origin == cursor.origin) return true;
        if (!cursor.theirs) return false;
        const auto mark = std::ranges::lower_bound(*cursor.theirs, entry.slot, {}, &LiveMark::slot);
        if (mark == cursor.theirs->end() || mark->slot != entry.slot) return false;
        return mark->stamp > entry.stamp ||
               (mark->stamp == entry.stamp && mark->tag == load_u64(hash_at(entry).bytes.data()));
    };
    std::uint32_t batch = kNone;
    std::size_t size = 0;
    for (; next != kNone; next = entries_[next].newer) {
        const Entry& entry = entries_[next];
        if (is_known(entry)) {
            cursor.version = entry.version;
            continue;
        }
        if (entry.batch != batch) {
            if (size >= size_max) return out;
            batch = entry.batch;
            out.push_back({batches_[batch].proof, batches_[batch].signature, {}});
            for (const Batch::Item& item : batches_[batch].items)
                out.back().items.push_back({item.hash, std::nullopt});
            size += 128 + 17 * batches_[batch].items.size();
        }
        out.back().items[entry.item].write = write_at(entry);
        size += 32 + entry.key.size() + entry.value.content().size();
        cursor.version = entry.version;
    }
    cursor.version = version_;
    cursor.theirs.reset();
    return out;
}

// --- The store -----------------------------------------------------------------------------------

Live::Unstored Live::begin_store() {
    // What was begun and not kept failed: it is to be done again.
    storing_.merge(dirty_);
    dirty_.clear();
    removing_.merge(gone_);
    gone_.clear();
    Unstored out;
    out.erase.assign(removing_.begin(), removing_.end());
    for (const std::uint32_t index : storing_) {
        // Taken for stored even if that fails: to remove what is not there is no error.
        batches_[index].is_stored = true;
        out.put.emplace_back(batches_[index].name, batch_at(index));
    }
    return out;
}

void Live::keep_stored() {
    storing_.clear();
    removing_.clear();
}

void Live::load(const LiveHash& name, const LiveBatch& batch) {
    take(batch, actor_of(batch.proof), 0);
    const std::uint32_t index = find_batch(name);
    if (index == kNone) {
        gone_.insert(name);
        return;
    }
    Batch& here = batches_[index];
    here.is_stored = true;
    bool is_same = true;
    for (std::size_t i = 0; i < here.items.size(); ++i)
        is_same = is_same && (here.items[i].entry != kNone) == batch.items[i].write.has_value();
    if (is_same) {
        dirty_.erase(index);
    } else {
        mark_dirty(index);
    }
    if (count_ > count_max_) trim();
}

std::size_t Live::memory_size() const noexcept {
    std::size_t size = entries_.capacity() * sizeof(Entry) + maps_.capacity() * sizeof(Map) +
                       batches_.capacity() * sizeof(Batch) + map_index_.memory_size() +
                       entry_index_.memory_size() + batch_index_.memory_size();
    for (const Entry& entry : entries_) {
        size += entry.key.capacity() > 15 ? entry.key.capacity() + 1 : 0;
        const bool is_long =
            entry.value.type() == ValueType::string || entry.value.type() == ValueType::bytes;
        if (is_long && entry.value.content().size() > Value::kInlineSizeMax) {
            size += entry.value.content().size();
        }
    }
    for (const Batch& batch : batches_)
        size += batch.items.capacity() * sizeof(Batch::Item);
    return size;
}

}  // namespace joinery::crdt
