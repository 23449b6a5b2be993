// The part of DocumentCore that is about live values: docs/semantics.md I2 to I10.

#include "engine/document_core.h"
#include "engine/tx_core.h"

#include <algorithm>

namespace joinery::detail {
namespace {

/// Whether @p map shows, and all above it.
bool is_shown(const crdt::Document& document, crdt::ContainerIndex map) {
    while (map != crdt::kRoot) {
        const crdt::Names::Container& name = document.names().container(map);
        const crdt::Shown shown = document.state().shown(name.parent, name.key);
        if (shown.kind != name.kind || shown.container != map) return false;
        map = name.parent;
    }
    return true;
}

}  // namespace

// --- For apps ------------------------------------------------------------------------------------

Result<DocumentCore::LiveSlot> DocumentCore::live_slot(std::string_view path) {
    JOINERY_TRY(auto tokens, parse_path(path));
    if (tokens.empty()) return fail(Errc::malformed, "the whole document is no slot");
    const std::lock_guard lock(mutex_);
    JOINERY_TRY(const crdt::ContainerIndex map, path_parent(*document_, tokens));
    if (document_->names().container(map).kind != crdt::Kind::map) {
        return fail(Errc::malformed, "live values stand at keys of objects, not in lists");
    }
    auto known = std::ranges::find(live_maps_, map);
    if (known == live_maps_.end()) known = live_maps_.insert(known, map);
    return LiveSlot{static_cast<std::uint32_t>(known - live_maps_.begin()),
                    std::move(tokens.back())};
}

Result<void> DocumentCore::write_live(std::uint32_t number,
                                      std::string_view key,
                                      const Value* value) {
    {
        const std::lock_guard lock(mutex_);
        const crdt::ContainerIndex map = live_maps_[number];
        if (map == crdt::kNone || !is_shown(*document_, map)) {
            return fail(Errc::not_found, "the object that held the live value is gone");
        }
        if (!document_->shown_at(map, key, Lanes::logged).nothing()) {
            return fail(Errc::conflict, "a logged value is there and hides live ones; erase it");
        }
        document_->set_recording(!watches_.empty());
        JOINERY_TRY_VOID(document_->live().write(document_->names().container_id(map),
                                                 key,
                                                 value,
                                                 context_.clock.wall_now(),
                                                 author_.proof));
    }
    context_.on_pending(*this);
    return {};
}

// --- For the writer thread -----------------------------------------------------------------------

void DocumentCore::flush_live() {
    bool is_to_tell = false;
    {
        const std::lock_guard lock(mutex_);
        if (!document_->live().has_unsealed()) return;
        document_->live().seal(context_.key, author_.proof);
        is_to_tell = note_events(true);
    }
    if (is_to_tell) tell();
}

Result<bool> DocumentCore::load_live(StoreReader& reader, DocumentNumber number) {
    JOINERY_TRY(const auto count_bytes, reader.get(Table::live, live_count_key(number)));
    if (!count_bytes) return false;
    JOINERY_TRY(const std::uint64_t count, decode_arrival(*count_bytes));
    if (count == live_count_) return false;
    crdt::Live& live = document_->live();
    const std::uint64_t before = live.version();
    Bytes key = live_batch_key(number, {});
    while (true) {
        const auto found = reader.first_at_or_after(Table::live, key);
        if (!found && found.error().code != Errc::damaged) return found.error();
        const ByteView at = found ? (*found ? (*found)->key : ByteView()) : reader.damaged_key();
        const auto name = live_name_of(at, number);
        if (!name) {
            // Damage that is of no record; or the end of this document's.
            if (!found && at.empty()) return found.error();
            break;
        }
        key.assign(at.begin(), at.end());
        key.push_back(0);
        // A live value that cannot be read is let go: a peer that has it gives it back.
        const auto batch = found ? decode_live_record((*found)->value) : found.error();
        if (batch) {
            live.load(*name, *batch);
        } else if (batch.error().code == Errc::unsupported) {
            return batch.error();
        } else {
            live.drop_stored(*name);
        }
    }
    live_count_ = count;
    return live.version() != before;
}

Result<void> DocumentCore::write_live_records(StoreWriter& writer) {
    crdt::Live& live = document_->live();
    writing_live_count_ = live_count_;
    if (!live.has_unstored()) return {};
    const DocumentNumber number = writing_record_.number;
    const crdt::Live::Unstored unstored = live.begin_store();
    for (const crdt::LiveHash& name : unstored.erase)
        JOINERY_TRY_VOID(writer.erase(Table::live, live_batch_key(number, name)));
    for (const auto& [name, batch] : unstored.put) {
        JOINERY_TRY_VOID(
            writer.put(Table::live, live_batch_key(number, name), encode_live_record(batch)));
    }
    // What others wrote was read under the lock of the store that this is written under.
    writing_live_count_ = live_count_ + 1;
    return writer.put(Table::live, live_count_key(number), encode_arrival(writing_live_count_));
}

// --- session::DocumentPort -----------------------------------------------------------------------

session::DocumentPort::LiveState DocumentCore::live_state() const {
    const std::lock_guard lock(mutex_);
    return {document_->live().hash(), document_->live().version()};
}

crdt::LiveMarks DocumentCore::live_marks() const {
    const std::lock_guard lock(mutex_);
    return document_->live().marks();
}

session::DocumentPort::LivePart DocumentCore::collect_live(crdt::LiveCursor& cursor,
                                                           std::size_t size_max) const {
    const std::lock_guard lock(mutex_);
    auto batches = document_->live().collect(cursor, size_max);
    return {std::move(batches), document_->live().has_news(cursor)};
}

Result<std::size_t> DocumentCore::receive_live(std::span<const crdt::LiveBatch> batches,
                                               std::uint32_t origin) {
    std::size_t changed = 0;
    bool is_to_tell = false;
    {
        const std::lock_guard lock(mutex_);
        document_->set_recording(!watches_.empty());
        JOINERY_TRY(changed, document_->live().join(batches, origin));
        if (changed == 0) return changed;
        is_to_tell = note_events(false);
    }
    context_.on_pending(*this);
    if (is_to_tell) tell();
    return changed;
}

std::uint32_t DocumentCore::new_live_origin() {
    const std::lock_guard lock(mutex_);
    return ++last_origin_;
}

}  // namespace joinery::detail
