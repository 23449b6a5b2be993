#include "joinery/document.h"

#include "engine/document_core.h"

namespace joinery {

Document::Document(std::shared_ptr<detail::DocumentCore> core) noexcept : core_(std::move(core)) {}

const std::string& Document::id() const noexcept { return core_->id(); }

Result<Receipt> Document::transact(const std::function<Result<void>(Tx&)>& body,
                                   std::string_view message) {
    return core_->transact(body, message);
}

Result<Receipt> Document::init_once(const std::function<Result<void>(Tx&)>& body) {
    return core_->init_once(body);
}

Result<LiveRegister> Document::live(std::string_view path) const {
    JOINERY_TRY(auto slot, core_->live_slot(path));
    return LiveRegister(core_, slot.map, std::move(slot.key));
}

Result<void> LiveRegister::set(const Value& value) const {
    return core_->write_live(map_, key_, &value);
}

Result<void> LiveRegister::clear() const { return core_->write_live(map_, key_, nullptr); }

Presence Document::presence() const { return Presence(core_->presence()->shared_from_this()); }

Result<void> Presence::set(std::string_view key,
                           Value value,
                           std::chrono::milliseconds time_to_live) const {
    return core_->set(key, std::move(value), time_to_live);
}

void Presence::clear(std::string_view key) const { core_->clear(key); }

std::vector<PresenceEntry> Presence::list() const { return core_->list(); }

Subscription Presence::observe(std::function<void(const PresenceEvent&)> callback) const {
    return core_->observe(std::move(callback));
}

Result<Plain> Document::read(std::string_view path, Lanes lanes) const {
    return core_->read(path, lanes);
}

Result<Plain> Document::read_at(const Version& version, std::string_view path) const {
    return core_->read_at(version, path);
}

Result<std::vector<Alternative>> Document::alternatives(std::string_view path) const {
    return core_->alternatives(path);
}

Subscription Document::observe(std::string path, std::function<void(const Event&)> callback) {
    return core_->observe(std::move(path), std::move(callback));
}

Result<std::vector<ChangeInfo>> Document::log(std::size_t limit, const Version& since) const {
    return core_->log(limit, since);
}

Result<DocumentStatus> Document::status() const { return core_->status(); }

}  // namespace joinery
