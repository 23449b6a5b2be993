#include "crdt/live.h"

#include "crdt/hash.h"

#include <algorithm>
#include <tuple>

namespace joinery::crdt {
namespace {

std::uint64_t hash_bytes(ByteView bytes) noexcept {
    std::uint64_t hash = bytes.size();
    std::size_t at = 0;
    for (; at + 8 <= bytes.size(); at += 8)
        hash = mix_hash(hash, load_u64(bytes.data() + at));
    std::uint64_t tail = 0;
    for (; at < bytes.size(); ++at)
        tail = (tail << 8U) | bytes[at];
    return mix_hash(hash, tail);
}

template <class T>
std::uint32_t take_free(std::vector<std::uint32_t>& free, std::vector<T>& all) {
    if (free.empty()) {
        all.emplace_back();
        return static_cast<std::uint32_t>(all.size() - 1);
    }
    const std::uint32_t index = free.back();
    free.pop_back();
    return index;
}

/// The least stamp that follows the clock (I4).
std::uint64_t stamp_of(WallTime now) {
    constexpr std::int64_t kMax = static_cast<std::int64_t>(kLiveStampMax >> 16U);
    return static_cast<std::uint64_t>(std::clamp<std::int64_t>(now.count(), 0, kMax)) << 16U;
}

}  // namespace

// --- Maps, entries -------------------------------------------------------------------------------

std::uint32_t Live::find_map(const PathId& id) const {
    return map_index_.find(hash_bytes(id.view()),
                           [&](std::uint32_t i) { return maps_[i].id == id; });
}

std::uint64_t Live::entry_hash(std::uint32_t map, std::string_view key) const {
    return mix_hash(map, hash_bytes(as_bytes(key)));
}

std::uint32_t Live::find_entry(const PathId& map, std::string_view key) const {
    const std::uint32_t at = find_map(map);
    if (at == kNone) return kNone;
    return entry_index_.find(entry_hash(at, key), [&](std::uint32_t i) {
        return entries_[i].map == at && entries_[i].key == key;
    });
}

const Value* Live::find(const PathId& map, std::string_view key) const {
    const std::uint32_t index = find_entry(map, key);
    if (index == kNone || entries_[index].is_nothing) return nullptr;
    return &entries_[index].value;
}

std::uint32_t Live::add_entry(const PathId& map, std::string_view key) {
    std::uint32_t at = find_map(map);
    if (at == kNone) {
        at = take_free(free_maps_, maps_);
        maps_[at].id = map;
        map_index_.insert(at, [&](std::uint32_t i) { return hash_bytes(maps_[i].id.view()); });
    }
    const std::uint32_t index = take_free(free_entries_, entries_);
    Entry& entry = entries_[index];
    entry.map = at;
    entry.key = key;
    entry.slot = live_slot(map, key);
    entry.is_nothing = true;
    entry.next_in_map = maps_[at].first;
    if (entry.next_in_map != kNone) entries_[entry.next_in_map].previous_in_map = index;
    maps_[at].first = index;
    entry_index_.insert(
        index, [&](std::uint32_t i) { return entry_hash(entries_[i].map, entries_[i].key); });
    ++count_;
    return index;
}

void Live::remove_entry(std::uint32_t index) {
    touch(entries_[index]);
    release(index);
    Entry& entry = entries_[index];
    entry_index_.erase(
        index, [&](std::uint32_t i) { return entry_hash(entries_[i].map, entries_[i].key); });
    if (entry.previous_in_map != kNone) {
        entries_[entry.previous_in_map].next_in_map = entry.next_in_map;
    } else {
        maps_[entry.map].first = entry.next_in_map;
    }
    if (entry.next_in_map != kNone) {
        entries_[entry.next_in_map].previous_in_map = entry.previous_in_map;
    }
    if (maps_[entry.map].first == kNone) {
        map_index_.erase(entry.map,
                         [&](std::uint32_t i) { return hash_bytes(maps_[i].id.view()); });
        maps_[entry.map] = Map{};
        free_maps_.push_back(entry.map);
    }
    entry = Entry{};
    free_entries_.push_back(index);
    --count_;
}

void Live::touch(Entry& entry) {
    if (!recording_ || entry.is_touched) return;
    entry.is_touched = true;
    Before before{maps_[entry.map].id, entry.key, std::nullopt};
    if (!entry.is_nothing) before.value = entry.value;
    touched_.push_back(std::move(before));
}

void Live::clear_touched() {
    for (const Before& before : touched_) {
        const std::uint32_t index = find_entry(before.map, before.key);
        if (index != kNone) entries_[index].is_touched = false;
    }
    touched_.clear();
}

// --- Order of change -----------------------------------------------------------------------------

void Live::link_newest(std::uint32_t index) {
    Entry& entry = entries_[index];
    entry.version = ++version_;
    entry.older = newest_;
    entry.newer = kNone;
    (newest_ == kNone ? oldest_ : entries_[newest_].newer) = index;
    newest_ = index;
}

void Live::unlink_order(std::uint32_t index) {
    Entry& entry = entries_[index];
    (entry.older == kNone ? oldest_ : entries_[entry.older].newer) = entry.newer;
    (entry.newer == kNone ? newest_ : entries_[entry.newer].older) = entry.older;
    entry.older = entry.newer = kNone;
}

// --- Batches -------------------------------------------------------------------------------------

std::uint32_t Live::find_batch(const LiveHash& name) const {
    return batch_index_.find(hash_bytes(name.view()),
                             [&](std::uint32_t i) { return batches_[i].name == name; });
}

std::uint32_t Live::add_batch(const LiveHash& name, const LiveBatch& batch) {
    const std::uint32_t index = take_free(free_batches_, batches_);
    Batch& made = batches_[index];
    made.name = name;
    made.proof = batch.proof;
    made.actor = actor_of(batch.proof);
    made.signature = batch.signature;
    for (const LiveItem& item : batch.items)
        made.items.push_back({item.hash, kNone});
    // One that was let go of and comes again need not be removed any more.
    made.is_stored = gone_.erase(name) != 0;
    batch_index_.insert(index,
                        [&](std::uint32_t i) { return hash_bytes(batches_[i].name.view()); });
    return index;
}

void Live::free_batch(std::uint32_t index) {
    Batch& batch = batches_[index];
    batch_index_.erase(index, [&](std::uint32_t i) { return hash_bytes(batches_[i].name.view()); });
    if (batch.is_stored) gone_.insert(batch.name);
    dirty_.erase(index);
    storing_.erase(index);
    std::vector<Batch::Item> items = std::move(batch.items);
    items.clear();
    batch = Batch{};
    batch.items = std::move(items);  // Its memory serves the next one.
    free_batches_.push_back(index);
}

void Live::mark_dirty(std::uint32_t batch) { dirty_.insert(batch); }

void Live::release(std::uint32_t index) {
    Entry& entry = entries_[index];
    if (entry.batch == kUnsealed) return;
    unlink_order(index);
    Batch& batch = batches_[entry.batch];
    batch.items[entry.item].entry = kNone;
    --batch.standing;
    if (batch.standing == 0) {
        free_batch(entry.batch);
    } else {
        mark_dirty(entry.batch);
    }
    entry.batch = kUnsealed;
}

LiveWrite Live::write_at(const Entry& entry) const {
    LiveWrite write{maps_[entry.map].id, entry.key, entry.stamp, std::nullopt};
    if (!entry.is_nothing) write.value = entry.value;
    return write;
}

LiveHash Live::hash_at(const Entry& entry) const {
    if (entry.batch != kUnsealed) return batches_[entry.batch].items[entry.item].hash;
    return live_item_hash(own_actor_, write_at(entry));
}

LiveBatch Live::batch_at(std::uint32_t index) const {
    const Batch& from = batches_[index];
    LiveBatch batch{from.proof, from.signature, {}};
    batch.items.reserve(from.items.size());
    for (const Batch::Item& item : from.items) {
        batch.items.push_back({item.hash, std::nullopt});
        if (item.entry != kNone) batch.items.back().write = write_at(entries_[item.entry]);
    }
    return batch;
}

// --- Writing -------------------------------------------------------------------------------------

Result<void> Live::write(const PathId& map,
                         std::string_view key,
                         const Value* value,
                         WallTime now,
                         const ActorProof& actor) {
    const bool has_content = value != nullptr && (value->type() == ValueType::string ||
                                                  value->type() == ValueType::bytes);
    if (key.size() > kKeySizeMax) return fail(Errc::over_limit, "key longer than 1 KiB");
    if (has_content && value->content().size() > kLiveValueSizeMax) {
        return fail(Errc::over_limit, "live value longer than 1 KiB");
    }
    std::uint32_t index = find_entry(map, key);
    std::uint64_t stamp = stamp_of(now);
    if (index != kNone) {
        if (entries_[index].stamp == kLiveStampMax) {
            return fail(Errc::over_limit, "the register's stamps are used up; put a value there");
        }
        stamp = std::max(stamp, entries_[index].stamp + 1);
    } else {
        index = add_entry(map, key);
    }
    if (unsealed_.empty() && own_ != actor) {
        own_ = actor;
        own_actor_ = actor_of(actor);
    }
    JOINERY_ASSERT(own_ == actor);
    Entry& entry = entries_[index];
    touch(entry);
    if (entry.batch != kUnsealed || entry.stamp == 0) {
        release(index);
        unsealed_.push_back(index);
    }
    entry.stamp = stamp;
    entry.origin = 0;
    entry.is_nothing = value == nullptr;
    entry.value = value != nullptr ? *value : Value();
    if (count_ > count_max_) trim();
    return {};
}

void Live::seal(const SigningKey& key, const ActorProof& actor) {
    if (unsealed_.empty()) return;
    JOINERY_ASSERT(own_ == actor);
    const auto is_done = [&](std::uint32_t i) {
        return entries_[i].map == kNone || entries_[i].batch != kUnsealed;
    };
    std::erase_if(unsealed_, is_done);
    std::ranges::sort(unsealed_, {}, [&](std::uint32_t i) {
        return std::tie(maps_[entries_[i].map].id, entries_[i].key);
    });
    unsealed_.erase(std::ranges::unique(unsealed_).begin(), unsealed_.end());
    std::vector<LiveWrite> writes;
    for (std::size_t begin = 0; begin < unsealed_.size(); begin += writes.size()) {
        const std::size_t size = std::min(kLiveBatchMax, unsealed_.size() - begin);
        writes.clear();
        for (std::size_t i = begin; i < begin + size; ++i)
            writes.push_back(write_at(entries_[unsealed_[i]]));
        const LiveBatch batch = make_live_batch(key, actor, document_, writes);
        LiveHash name;
        hash_into(live_signed_bytes(document_, own_actor_, batch.items), name.bytes);
        const std::uint32_t at = add_batch(name, batch);
        for (std::size_t i = 0; i < size; ++i) {
            Entry& entry = entries_[unsealed_[begin + i]];
            entry.batch = at;
            entry.item = static_cast<std::uint32_t>(i);
            batches_[at].items[i].entry = unsealed_[begin + i];
            link_newest(unsealed_[begin + i]);
        }
        batches_[at].standing = static_cast<std::uint32_t>(size);
        mark_dirty(at);
    }
    unsealed_.clear();
}

// --- Joining -------------------------------------------------------------------------------------

/// Whether @p item, a write by @p actor, is greater than what its register holds (I2).
bool Live::is_news(const ActorId& actor, const LiveItem& item) const {
    if (!item.write) return false;
    const std::uint32_t index = find_entry(item.write->map, item.write->key);
    if (index == kNone) return true;
    const Entry& entry = entries_[index];
    if (item.write->stamp != entry.stamp) return item.write->stamp > entry.stamp;
    const ActorId& holder = entry.batch == kUnsealed ? own_actor_ : batches_[entry.batch].actor;
    if (actor != holder) return holder < actor;
    return hash_at(entry) < item.hash;
}

bool Live::take(const LiveBatch& batch, const ActorId& actor, std::uint32_t origin) {
    std::uint32_t at = kNone;
    bool is_taken = false;
    for (std::size_t i = 0; i < batch.items.size(); ++i) {
        const LiveItem& item = batch.items[i];
        if (!is_news(actor, item)) continue;
        if (at == kNone) {
            LiveHash name;
            hash_into(live_signed_bytes(document_, actor, batch.items), name.bytes);
            at = find_batch(name);
            if (at == kNone) at = add_batch(name, batch);
            // Lest it is freed with the last of its items that an entry lets go of.
            ++batches_[at].standing;
            is_taken = true;
        }
        std::uint32_t index = find_entry(item.write->map, item.write->key);
        if (index == kNone) index = add_entry(item.write->map, item.write->key);
        touch(entries_[index]);
        release(index);
        Entry& entry = entries_[index];
        entry.batch = at;
        entry.item = static_cast<std::uint32_t>(i);
        entry.stamp = item.write->stamp;
        entry.origin = origin;
        entry.is_nothing = !item.write->value.has_value();
        entry.value = item.write->value.value_or(Value());
        batches_[at].items[i].entry = index;
        ++batches_[at].standing;
        link_newest(index);
    }
    if (is_taken) {
        --batches_[at].standing;
        mark_dirty(at);
    }
    return is_taken;
}

Result<std::size_t> Live::join(std::span<const LiveBatch> batches, std::uint32_t origin) {
    for (const LiveBatch& batch : batches) {
        const ActorId actor = actor_of(batch.proof);
        const bool is_needed = std::ranges::any_of(
            batch.items, [&](const LiveItem& item) { return is_news(actor, item); });
        if (is_needed) JOINERY_TRY_VOID(check_live_batch(batch, document_));
    }
    const std::uint64_t before = version_;
    for (const LiveBatch& batch : batches)
        take(batch, actor_of(batch.proof), origin);
    if (count_ > count_max_) trim();
    return static_cast<std::size_t>(version_ - before);
}

/// Rule I6.
void Live::trim() {
    std::vector<std::uint32_t> all;
    all.reserve(count_);
    for (std::uint32_t i = 0; i < entries_.size(); ++i) {
        if (entries_[i].map != kNone) all.push_back(i);
    }
    const auto kept = all.begin() + static_cast<std::ptrdiff_t>(count_max_);
    std::ranges::nth_element(all, kept, [&](std::uint32_t a, std::uint32_t b) {
        return std::tie(entries_[a].stamp, entries_[a].slot) >
               std::tie(entries_[b].stamp, entries_[b].slot);
    });
    for (auto it = kept; it != all.end(); ++it)
        remove_entry(*it);
}

}  // namespace joinery::crdt
