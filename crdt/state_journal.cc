// The part of State that undoes, and that remembers: what slots showed, digests.

#include "crdt/state.h"

#include <algorithm>
#include <utility>

namespace joinery::crdt {

// --- Journal -------------------------------------------------------------------------------------

void State::keep() {
    journal_.clear();
    undo_cells_.clear();
    undo_places_.clear();
    before_kept_ = before_.size();
}

void State::undo() {
    while (!journal_.empty()) {
        undo_one(journal_.back());
        journal_.pop_back();
    }
    const auto hash_of = [&](std::uint32_t i) {
        return mix_hash(before_[i].container, before_[i].key);
    };
    for (; before_.size() > before_kept_; before_.pop_back())
        before_index_.erase(static_cast<std::uint32_t>(before_.size() - 1), hash_of);
    keep();
}

void State::undo_one(JournalRecord& record) {
    switch (record.what) {
        case Undo::remove_entry: {
            const SlotIndex slot = find_slot(record.container, record.key);
            const Entry& inverse = record.entry;
            const auto is_it = [&](const Entry& e) {
                return e.chain == inverse.chain && e.counter == inverse.counter;
            };
            std::size_t index = 0;
            if (!is_it(slots_[slot].entry)) {
                const auto others = alternatives(slots_[slot]);
                const auto found = std::ranges::find_if(others, is_it);
                index = static_cast<std::size_t>(found - others.begin()) + 1;
            }
            remove_entry_quietly(slot, index);
            break;
        }
        case Undo::add_entry:
            add_entry_quietly(ensure_slot(record.container, record.key), std::move(record.entry));
            break;
        case Undo::replace_entry:
            slots_[find_slot(record.container, record.key)].entry = std::move(record.entry);
            // The digest may have been asked for since.
            mark_dirty(record.container, record.key);
            break;
        case Undo::cell:
            set_cell_quietly(record.container, record.key, undo_cells_.back());
            undo_cells_.pop_back();
            break;
        case Undo::first_place:
            first_place_of_key_[static_cast<std::size_t>(names_.element(record.key).counter)] =
                first_places_.back().next;
            first_places_.pop_back();
            break;
        case Undo::place: {
            List& list = lists_[containers_[record.container].payload];
            const DigestChunks* const chunks = digest_chunks(record.container);
            // The next place takes the item's number, but stands elsewhere.
            if (chunks != nullptr && !chunks->is_below(list.places.item_count() - 1)) {
                drop_digest_chunks(record.container);
            }
            list.places.pop();
            list.element_of.pop_back();
            detach_if_empty(record.container);
            break;
        }
        case Undo::places:
            set_places_quietly(
                record.key, undo_places_.back().winner, std::move(undo_places_.back().others));
            undo_places_.pop_back();
            break;
    }
}

// --- Patches -------------------------------------------------------------------------------------

void State::touch(ContainerIndex container, std::uint32_t key) {
    if (!recording_) return;
    const auto hash_of = [&](std::uint32_t i) {
        return mix_hash(before_[i].container, before_[i].key);
    };
    const std::uint32_t known = before_index_.find(mix_hash(container, key), [&](std::uint32_t i) {
        return before_[i].container == container && before_[i].key == key;
    });
    if (known != kNone) return;
    // What an ancestor shows may hang on what is beneath it (rule M6), so ancestors come first.
    if (container != kRoot) {
        const Names::Container& name = names_.container(container);
        touch(name.parent, name.key);
    }
    Before before{container, key, Kind::none, false, {}, kNone, 0};
    const Shown now = shown(container, key);
    before.kind = now.kind;
    before.has_value = now.value != nullptr;
    if (now.value != nullptr) before.value = *now.value;
    if (now.kind == Kind::counter) before.sum = counter_sum(now.container);
    if (has_elements(names_.container(container).kind)) {
        const Element& e = element(key);
        const List* places = list(container);
        if (e.item != kNone && places != nullptr && places->places.is_visible(e.item)) {
            before.item = e.item;
        }
    }
    before_.push_back(std::move(before));
    before_index_.insert(static_cast<std::uint32_t>(before_.size() - 1), hash_of);
}

void State::clear_touched() {
    before_.clear();
    before_kept_ = 0;
    before_index_ = FlatIndex{};
}

// --- Digest cache --------------------------------------------------------------------------------

Digest& State::cached_digest(ContainerIndex container) {
    if (digests_.size() < containers_.size()) digests_.resize(containers_.size());
    return digests_[container];
}

DigestChunks* State::digest_chunks(ContainerIndex container) {
    const std::uint32_t index = containers_[container].chunks;
    return index == kNone ? nullptr : digest_chunks_[index].chunks.get();
}

DigestChunks& State::keep_digest_chunks(ContainerIndex container, DigestChunks chunks) {
    JOINERY_ASSERT(containers_[container].chunks == kNone);
    if (free_digest_chunks_.empty()) {
        free_digest_chunks_.push_back(static_cast<std::uint32_t>(digest_chunks_.size()));
        digest_chunks_.emplace_back();
    }
    const std::uint32_t index = free_digest_chunks_.back();
    free_digest_chunks_.pop_back();
    containers_[container].chunks = index;
    digest_chunks_[index] = {container, std::make_unique<DigestChunks>(std::move(chunks))};
    return *digest_chunks_[index].chunks;
}

void State::drop_digest_chunks(ContainerIndex container) {
    const std::uint32_t index = std::exchange(containers_[container].chunks, kNone);
    if (index == kNone) return;
    digest_chunks_[index] = {};
    free_digest_chunks_.push_back(index);
}

void State::forget_truncated_names() {
    const auto key_count = static_cast<std::uint32_t>(names_.key_count());
    for (const KeptChunks& kept : digest_chunks_) {
        if (!kept.chunks || names_.container(kept.container).kind != Kind::map) continue;
        // A digest of what was undone since may have known the keys.
        if (!kept.chunks->is_below(key_count)) drop_digest_chunks(kept.container);
    }
    if (containers_.size() > names_.container_count()) {
        containers_.resize(names_.container_count());
    }
    if (digests_.size() > containers_.size()) digests_.resize(containers_.size());
    if (elements_.size() > names_.element_count()) elements_.resize(names_.element_count());
}

}  // namespace joinery::crdt
