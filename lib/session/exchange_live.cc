// The part of Exchange that is about live values.

#include "session/exchange.h"

#include <algorithm>

namespace joinery::session {

/// The document, made if it is not here; false where it is refused.
bool Exchange::make_port() {
    if (port_ != nullptr) return true;
    const auto made = context_.host.document(id_);
    if (!made) {
        refuse(made.error(), false);
        return false;
    }
    port_ = *made;
    return true;
}

Result<void> Exchange::take(const LiveWant& message) {
    if (is_refused()) return {};
    return live_.take(message);
}

Result<void> Exchange::take(const LiveValues& message) {
    if (is_refused()) return {};
    if (!flow_.takes) return not_taken();
    JOINERY_TRY_VOID(live_.take(message));
    if (message.batches.empty() || !make_port()) return {};
    const auto changed = port_->receive_live(message.batches, live_.origin_at(*port_));
    if (changed) {
        context_.counters.live_received += *changed;
    } else {
        refuse(changed.error(), false);
    }
    return {};
}

bool Exchange::is_in_step() const noexcept { return is_logged_in_step() && live_.is_settled(); }

bool Exchange::write_live(Bytes& out) {
    if (port_ == nullptr) {
        // Nothing was announced, so nothing can be wanted.
        live_.on_nothing();
        return false;
    }
    const auto values = live_.make_values(*ref_, *port_, context_.changes_size_target);
    if (!values) return false;
    for (const crdt::LiveBatch& batch : values->batches) {
        context_.counters.live_sent += static_cast<std::uint64_t>(std::ranges::count_if(
            batch.items, [](const crdt::LiveItem& item) { return item.write.has_value(); }));
    }
    context_.writer.write(*values, out);
    return true;
}

}  // namespace joinery::session
