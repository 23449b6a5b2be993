#include "joinery/document.h"

#include "engine/document_core.h"
#include "joinery/authority.h"

namespace joinery {
namespace {

Error no_change() { return fail(Errc::not_found, "the receipt is of no change"); }

}  // namespace

Document::Document(std::shared_ptr<detail::DocumentCore> core) noexcept : core_(std::move(core)) {}

const std::string& Document::id() const noexcept { return core_->id(); }

Result<Receipt> Document::transact(const std::function<Result<void>(Tx&)>& body,
                                   std::string_view message) {
    JOINERY_TRY(Receipt receipt, core_->transact(body, message));
    receipt.core = core_;
    return receipt;
}

Result<Receipt> Document::init_once(const std::function<Result<void>(Tx&)>& body) {
    JOINERY_TRY(Receipt receipt, core_->init_once(body));
    receipt.core = core_;
    return receipt;
}

Result<ChangeStatus> Receipt::status() const {
    if (!core || !changed) return no_change();
    return core->change_status({actor, seq});
}

Result<void> Receipt::wait(std::size_t peers, std::chrono::milliseconds timeout) const {
    if (!core || !changed) return no_change();
    return core->outbox().wait({actor, seq}, peers, timeout);
}

Result<Plain> Receipt::original(std::string_view path) const {
    if (!core || !changed) return no_change();
    JOINERY_TRY(const Version before, core->version_before({actor, seq}));
    return core->read_at(before, path);
}

Result<LiveRegister> Document::live(std::string_view path) const {
    JOINERY_TRY(auto slot, core_->live_slot(path));
    return LiveRegister(core_, slot.map, std::move(slot.key));
}

Result<void> LiveRegister::set(const Value& value) const {
    return core_->write_live(map_, key_, &value);
}

Result<void> LiveRegister::clear() const { return core_->write_live(map_, key_, nullptr); }

Result<void> Document::set_transient(std::string_view path,
                                     const Plain& value,
                                     std::chrono::milliseconds window) {
    return core_->set_transient(path, value, window);
}

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

OutboxStatus Document::outbox() const { return core_->outbox_status(); }

Result<ChangeStatus> Document::status_of(std::string_view path) const {
    return core_->path_status(path);
}

Subscription Document::observe_outbox(std::function<void(const OutboxStatus&)> callback) {
    return core_->observe_outbox(std::move(callback));
}

std::vector<Rejection> Document::rejections() const { return core_->rejections(); }

Subscription Document::observe_rejections(std::function<void(const Rejection&)> callback) {
    return core_->observe_rejections(std::move(callback));
}

}  // namespace joinery
