#include "persist/memory_disk.h"

#include "base/assert.h"
#include "persist/format.h"

#include <algorithm>
#include <iterator>

namespace joinery::persist {
namespace detail {

bool KeyLess::operator()(ByteView a, ByteView b) const {
    return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end());
}

const VersionedTables::Records& VersionedTables::records(Table table) const {
    const auto number = static_cast<std::size_t>(table);
    JOINERY_ASSERT(number < tables_.size());
    return tables_[number];
}

StoredPtr VersionedTables::visible(const Chain& chain, std::uint64_t version) {
    const auto found = std::find_if(
        chain.rbegin(), chain.rend(), [version](const Version& v) { return v.number <= version; });
    return found == chain.rend() ? nullptr : found->stored;
}

std::optional<FoundRecord> VersionedTables::get(Table table,
                                                ByteView key,
                                                std::uint64_t version) const {
    const Records& all = records(table);
    const auto at = all.find(key);
    if (at == all.end()) return std::nullopt;
    const Bytes* const stored = visible(at->second, version).get();
    if (stored == nullptr) return std::nullopt;
    return FoundRecord{at->first, stored};
}

std::optional<FoundRecord> VersionedTables::first_at_or_after(Table table,
                                                              ByteView key,
                                                              std::uint64_t version) const {
    const Records& all = records(table);
    for (auto at = all.lower_bound(key); at != all.end(); ++at) {
        const Bytes* const stored = visible(at->second, version).get();
        if (stored != nullptr) return FoundRecord{at->first, stored};
    }
    return std::nullopt;
}

std::optional<FoundRecord> VersionedTables::last_before(Table table,
                                                        ByteView key,
                                                        std::uint64_t version) const {
    const Records& all = records(table);
    for (auto at = all.lower_bound(key); at != all.begin();) {
        --at;
        const Bytes* const stored = visible(at->second, version).get();
        if (stored != nullptr) return FoundRecord{at->first, stored};
    }
    return std::nullopt;
}

void VersionedTables::apply(Changes changes) {
    ++newest_;
    for (std::size_t table = 0; table < kTableCount; ++table) {
        for (auto& [key, stored] : changes[table]) {
            tables_[table][key].push_back({newest_, std::move(stored)});
            untidy_.emplace(table, key);
        }
    }
}

void VersionedTables::damage(Table table, ByteView key, StoredPtr stored) {
    Records& all = tables_[static_cast<std::size_t>(table)];
    const auto at = all.find(key);
    JOINERY_ASSERT(at != all.end() && !at->second.empty());
    // Readers may hold views of the old bytes.
    damaged_.push_back(std::exchange(at->second.back().stored, std::move(stored)));
}

VersionedTables VersionedTables::at(std::uint64_t version) const {
    VersionedTables out;
    out.newest_ = version;
    for (std::size_t table = 0; table < kTableCount; ++table) {
        for (const auto& [key, chain] : tables_[table]) {
            StoredPtr stored = visible(chain, version);
            if (stored == nullptr) continue;
            out.tables_[table].emplace(key, Chain{{version, std::move(stored)}});
        }
    }
    return out;
}

void VersionedTables::tidy(std::uint64_t oldest) {
    const std::uint64_t keep = held_.empty() ? oldest : std::min(oldest, *held_.begin());
    for (auto entry = untidy_.begin(); entry != untidy_.end();) {
        Records& all = tables_[entry->first];
        const auto at = all.find(entry->second);
        Chain& chain = at->second;
        while (chain.size() > 1 && chain[1].number <= keep)
            chain.erase(chain.begin());
        const bool erased = chain.size() == 1 && chain[0].stored == nullptr;
        if (erased && chain[0].number <= keep) all.erase(at);
        const bool tidied = all.find(entry->second) == all.end() || (chain.size() == 1 && !erased);
        entry = tidied ? untidy_.erase(entry) : std::next(entry);
    }
}

void MemoryDiskState::tidy() { tables->tidy(durable); }

void MemoryDiskState::renew_incarnation(IncarnationReason reason, WallTime now, Random& random) {
    incarnation.emplace();
    random.fill(incarnation->bytes);
    incarnation_log.push_back({*incarnation, reason, now});
    if (incarnation_log.size() > kIncarnationLogMax) incarnation_log.erase(incarnation_log.begin());
}

void MemoryDiskState::take_content_of(const MemoryDiskState& other) {
    tables = std::make_shared<VersionedTables>(other.tables->at(other.tables->newest()));
    durable = tables->newest();
    incarnation = other.incarnation;
    incarnation_log = other.incarnation_log;
    moved = other.moved;
    closed_at = other.closed_at;
    slots = other.slots;
    for (MemorySlot& slot : slots) {
        if (slot.leased) slot.clean = false;
        slot.leased = false;
    }
}

}  // namespace detail

using detail::MemoryDiskState;

MemoryDisk::MemoryDisk(Durability durability) : state_(std::make_shared<MemoryDiskState>()) {
    state_->durability = durability;
}

MemoryDisk::~MemoryDisk() = default;

void MemoryDisk::sync() {
    const std::lock_guard guard(state_->mutex);
    state_->durable = state_->tables->newest();
    state_->tidy();
}

void MemoryDisk::crash() {
    const std::lock_guard guard(state_->mutex);
    state_->tables = std::make_shared<detail::VersionedTables>(state_->tables->at(state_->durable));
    ++state_->epoch;
    for (detail::MemorySlot& slot : state_->slots) {
        if (slot.leased) slot.clean = false;
        slot.leased = false;
    }
    state_->handle_count = 0;
    state_->writer.reset();
    state_->writer_gone.notify_all();
}

void MemoryDisk::fail_put(std::uint64_t nth) {
    const std::lock_guard guard(state_->mutex);
    state_->puts_until_failure = nth;
}

void MemoryDisk::fail_commit(std::uint64_t nth) {
    const std::lock_guard guard(state_->mutex);
    state_->commits_until_failure = nth;
}

void MemoryDisk::fail_syncs(bool failing) {
    const std::lock_guard guard(state_->mutex);
    state_->failing_syncs = failing;
}

Result<void> MemoryDisk::flip_bit(Table table, ByteView key, std::uint64_t bit) {
    const std::lock_guard guard(state_->mutex);
    const auto found = state_->tables->get(table, key, state_->tables->newest());
    if (!found) return fail(Errc::not_found, "no such record");
    Bytes bytes = *found->stored;
    const std::size_t value_at = detail::kChecksumSize + static_cast<std::size_t>(bit / 8);
    const std::size_t at = value_at < bytes.size() ? value_at : 0;
    bytes[at] = static_cast<std::uint8_t>(bytes[at] ^ (1U << (bit % 8)));
    state_->tables->damage(table, key, std::make_shared<const Bytes>(std::move(bytes)));
    return {};
}

std::unique_ptr<MemoryDisk> MemoryDisk::copy() const {
    auto out = std::make_unique<MemoryDisk>(state_->durability);
    const std::lock_guard guard(state_->mutex);
    out->state_->take_content_of(*state_);
    out->state_->moved = true;
    out->state_->closed_at = 0;
    return out;
}

std::unique_ptr<MemoryDisk> MemoryDisk::clone() const {
    auto out = std::make_unique<MemoryDisk>(state_->durability);
    const std::lock_guard guard(state_->mutex);
    out->state_->take_content_of(*state_);
    return out;
}

void MemoryDisk::put_back(const MemoryDisk& older) {
    const std::scoped_lock guard(state_->mutex, older.state_->mutex);
    JOINERY_ASSERT(state_->handle_count == 0);
    state_->take_content_of(*older.state_);
}

void MemoryDisk::roll_back_to(const MemoryDisk& older) {
    const std::scoped_lock guard(state_->mutex, older.state_->mutex);
    JOINERY_ASSERT(state_->handle_count == 0);
    const detail::VersionedTables& source = *older.state_->tables;
    state_->tables = std::make_shared<detail::VersionedTables>(source.at(source.newest()));
    state_->durable = state_->tables->newest();
    state_->incarnation = older.state_->incarnation;
    state_->moved = true;
}

}  // namespace joinery::persist
