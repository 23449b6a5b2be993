// The part of DocumentCore that makes changes, and merges writes which the next one takes the place
// of (semantics E4).

#include "crdt/transaction.h"
#include "engine/document_core.h"
#include "engine/tx_core.h"

#include <utility>

namespace joinery::detail {

Result<Receipt> DocumentCore::transact(const std::function<Result<void>(Tx&)>& body,
                                       std::string_view message) {
    return transact_now(body, message, Before::all_transient);
}

Result<Receipt> DocumentCore::transact_now(const std::function<Result<void>(Tx&)>& body,
                                           std::string_view message,
                                           Before before) {
    Receipt receipt;
    Result<void> done;
    bool is_changed = false;
    bool is_to_tell = false;
    {
        std::unique_lock lock(mutex_);
        while (overtaken_) {
            // Written as the old actor, the change could have the number of one that others have.
            lock.unlock();
            JOINERY_TRY_VOID(leave_overtaken_actor());
            lock.lock();
        }
        if (before == Before::all_transient) {
            is_changed = make_transient(transient_.take_all());
        } else if (before == Before::due_transient) {
            is_changed = make_transient(transient_.take_due(context_.clock.monotonic_now()));
        }
        if (is_changed) is_to_tell = note_events(true);
        done = commit(body, message, receipt);
        if (done && receipt.changed) {
            is_changed = true;
            is_to_tell = note_events(true);
        }
    }
    if (is_changed) {
        context_.on_unsent(*this);
        context_.on_pending(*this);
    }
    if (is_to_tell) tell();
    if (!done) return done.error();
    return receipt;
}

Result<void> DocumentCore::commit(const std::function<Result<void>(Tx&)>& body,
                                  std::string_view message,
                                  Receipt& receipt) {
    document_->set_recording(!watches_.empty());
    crdt::Transaction transaction(*document_, author_.actor, context_.clock.wall_now());
    TxCore tx_core(transaction);
    Tx tx(tx_core);
    JOINERY_TRY_VOID(body(tx));
    if (forked_) {
        JOINERY_TRY(receipt.changed, commit_forked(transaction, message, receipt));
    } else {
        JOINERY_TRY(receipt.changed, transaction.commit(message));
    }
    if (!receipt.changed) return {};
    receipt.actor = author_.actor;
    if (!forked_) receipt.seq = document_->outgoing().batch.changes.back().seq;
    return {};
}

// --- Transient writes ----------------------------------------------------------------------------

Result<void> DocumentCore::set_transient(std::string_view path,
                                         const Plain& value,
                                         std::chrono::milliseconds window) {
    if (window < std::chrono::milliseconds(1) || window > kTransientWindowMax) {
        return fail(Errc::over_limit, "a window is from 1 ms to 1 minute");
    }
    std::optional<MonotonicTime> due;
    // Under the document's lock.
    const auto body = [&](Tx& tx) -> Result<void> {
        const MonotonicTime now = context_.clock.monotonic_now();
        if (transient_.put_off(path, value, now, window)) {
            context_.on_transient(*this);
            return {};
        }
        const auto done = tx.set(path, value);
        if (!done) {
            transient_.forget(path);
        } else if (!std::exchange(is_transient_timed_, true)) {
            due = now + window;
        }
        return done;
    };
    const auto done = transact_now(body, {}, Before::nothing);
    if (due) time_transient(*due);
    if (!done) return done.error();
    return {};
}

void DocumentCore::flush_transient() {
    const auto nothing = [](Tx&) -> Result<void> { return {}; };
    static_cast<void>(transact_now(nothing, {}, Before::all_transient).has_value());
}

void DocumentCore::time_transient(MonotonicTime due) {
    if (!context_.after) return;
    const MonotonicTime now = context_.clock.monotonic_now();
    context_.after(std::max(due - now, MonotonicTime(0)), [weak = weak_from_this()] {
        if (const auto core = weak.lock()) core->end_windows();
    });
}

void DocumentCore::end_windows() {
    const auto nothing = [](Tx&) -> Result<void> { return {}; };
    static_cast<void>(transact_now(nothing, {}, Before::due_transient).has_value());
    std::optional<MonotonicTime> due;
    {
        const std::lock_guard lock(mutex_);
        due = transient_.next_due();
        is_transient_timed_ = due.has_value();
    }
    if (due) time_transient(*due);
}

bool DocumentCore::make_transient(const TransientWrites::Writes& writes) {
    if (writes.empty()) return false;
    const auto body = [&](Tx& tx) -> Result<void> {
        for (const auto& [path, value] : writes) {
            // The object may be gone that it was in; the others are made all the same.
            static_cast<void>(tx.set(path, value).has_value());
        }
        return {};
    };
    Receipt receipt;
    const auto done = commit(body, {}, receipt);
    return done && receipt.changed;
}

}  // namespace joinery::detail
