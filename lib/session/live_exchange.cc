#include "session/live_exchange.h"

#include <utility>

namespace joinery::session {

std::optional<crdt::LiveHash> LiveExchange::announce(DocumentPort* port) {
    is_said_ = true;
    if (port != nullptr) {
        const DocumentPort::LiveState state = port->live_state();
        cursor_.version = state.version;
        if (!state.hash.is_zero()) said_ = state.hash;
    }
    compare();
    return said_;
}

void LiveExchange::on_announced(const std::optional<crdt::LiveHash>& theirs) {
    is_heard_ = true;
    heard_ = theirs;
    compare();
}

/// Both sides compare the same two names, so each knows what the other will do.
void LiveExchange::compare() {
    if (!is_open() || said_ == heard_) return;
    want_due_ = heard_.has_value() && flow_.takes;
    expecting_want_ = said_.has_value() && flow_.gives;
}

void LiveExchange::on_change(DocumentPort& port) {
    if (!flow_.gives) return;
    cursor_.origin = origin_at(port);
    // Of no size: it passes over what came from there, and stops at what did not.
    if (!news_due_) news_due_ = port.collect_live(cursor_, 0).more;
}

Result<void> LiveExchange::take(const LiveWant& message) {
    if (is_stopped_) return {};
    if (!expecting_want_) return fail(Errc::malformed, "live values wanted that are not lacking");
    expecting_want_ = false;
    last_due_ = true;
    cursor_.version = 0;
    cursor_.theirs = message.marks;
    return {};
}

Result<void> LiveExchange::take(const LiveValues& message) {
    if (!message.is_last || is_stopped_) return {};
    if (!awaiting_last_) return fail(Errc::malformed, "the last of live values not wanted");
    awaiting_last_ = false;
    return {};
}

void LiveExchange::stop() noexcept {
    is_stopped_ = true;
    want_due_ = awaiting_last_ = expecting_want_ = last_due_ = news_due_ = false;
    cursor_.theirs.reset();
}

LiveWant LiveExchange::make_want(std::uint64_t document, DocumentPort* port) {
    want_due_ = false;
    awaiting_last_ = true;
    return {document, port != nullptr ? port->live_marks() : crdt::LiveMarks()};
}

std::optional<LiveValues> LiveExchange::make_values(std::uint64_t document,
                                                    DocumentPort& port,
                                                    std::size_t size_max) {
    cursor_.origin = origin_at(port);
    DocumentPort::LivePart part = port.collect_live(cursor_, size_max);
    news_due_ = part.more;
    LiveValues values{document, false, std::move(part.batches)};
    if (!cursor_.theirs) values.is_last = std::exchange(last_due_, false);
    if (values.batches.empty() && !values.is_last) return std::nullopt;
    return values;
}

std::uint32_t LiveExchange::origin_at(DocumentPort& port) {
    if (cursor_.origin == 0) cursor_.origin = port.new_live_origin();
    return cursor_.origin;
}

bool LiveExchange::is_settled() const noexcept {
    return !want_due_ && !awaiting_last_ && !expecting_want_ && !last_due_ && !news_due_;
}

std::size_t LiveExchange::memory_size() const noexcept {
    return cursor_.theirs ? cursor_.theirs->capacity() * sizeof(crdt::LiveMark) : 0;
}

}  // namespace joinery::session
