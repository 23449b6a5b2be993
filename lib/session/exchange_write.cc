// The part of Exchange that makes messages of what is owed.

#include "base/link.h"
#include "session/exchange.h"

#include <algorithm>

namespace joinery::session {

State Exchange::announce(std::uint64_t ref) {
    ref_ = ref;
    const Own own = this->own();
    if (own.is_durable) announced_ = own.hash;
    // They announced the same; what changed since then is acknowledged by itself.
    if (own.is_durable && agreed_ && agreed_ == own.hash) mark_ack_said(own.frontier);
    State state = state_of(own);
    if (context_.has_live) state.live = live_.announce(port_);
    return state;
}

bool Exchange::has_control() const noexcept {
    if (!is_announced() || !heard_) return false;
    if (is_refused()) return refuse_due_;
    const bool answers = held_ && !waiting_;
    // An answer may say by the way what an acknowledgement would.
    const bool acknowledges = ack_due_ && !answers;
    const bool checks = check_due_ && knows_theirs_ && !waiting_ && !dirty_ && !asked_;
    return live_.has_want() || ask_due_ || reply_due_ || resync_due_ || restart_due_ || answers ||
           acknowledges || checks;
}

bool Exchange::has_changes() const noexcept {
    return has_logged() || (live_.has_values() && !is_refused());
}

bool Exchange::has_logged() const noexcept {
    return is_announced() && heard_ && knows_theirs_ && dirty_ && !is_refused() && !restart_due_ &&
           !awaiting_;
}

bool Exchange::write_control(Bytes& out) {
    if (refuse_due_) {
        refuse_due_ = false;
        context_.writer.write(Refuse{*ref_, refuse_code_}, out);
        return true;
    }
    if (ask_due_ || reply_due_) return write_frontier(out);
    if (resync_due_) return write_resync(out);
    if (restart_due_) {
        restart_due_ = false;
        context_.writer.write(Restart{*ref_, their_resync_number_}, out);
        return true;
    }
    if (held_ && !waiting_ && write_answer(out)) return true;
    if (ack_due_ && write_ack(out)) return true;
    if (live_.has_want()) {
        context_.writer.write(live_.make_want(*ref_, port_), out);
        return true;
    }
    const bool checks = check_due_ && knows_theirs_ && !waiting_ && !dirty_ && !asked_;
    return checks && write_check(out);
}

bool Exchange::write_frontier(Bytes& out) {
    Own own = this->own();
    if (own.frontier.size() > kFrontierEntryMax) {
        refuse(fail(Errc::over_limit, "document of more actors than the protocol takes"), false);
        return false;
    }
    // Never both in one: the other side takes a question that meets its own for the answer.
    const bool asks = !reply_due_;
    FrontierNote message{*ref_, asks, own.is_durable, own.digest, std::move(own.frontier)};
    (asks ? ask_due_ : reply_due_) = false;
    awaiting_ = asks;
    context_.writer.write(message, out);
    return true;
}

bool Exchange::write_resync(Bytes& out) {
    resync_due_ = false;
    awaiting_restart_ = true;
    const Frontier known = port_ != nullptr ? port_->known_frontier() : Frontier();
    context_.writer.write(Resync{*ref_, resync_number_, known}, out);
    return true;
}

bool Exchange::write_answer(Bytes& out) {
    const Own own = this->own();
    if (port_ != nullptr && (!own.digest || !own.is_durable)) {
        // document_changed() will say when it can be told, and that all of it is durable as well.
        waiting_ = true;
        return false;
    }
    const Check check = *held_;
    held_.reset();
    Verdict verdict = Verdict::other;
    const bool is_empty = own.frontier.empty();
    const bool is_same =
        check.state.is_empty == is_empty && (is_empty || check.state.frontier == own.hash);
    if (is_same && check.state.digest && own.digest && *check.state.digest != *own.digest) {
        verdict = Verdict::diverged;
        diverge(own.hash);
        begin_round();
    } else if (is_same) {
        verdict = own.is_durable ? Verdict::same_durable : Verdict::same;
        agree(own);
        if (check.state.is_durable) mark_acked(own.frontier);
        mark_heard(own.frontier);
        if (own.is_durable) mark_ack_said(own.frontier);
    } else if (check.received_count == sent_count_ && lacks_nothing(own.frontier) &&
               !awaiting_restart_ && !resync_due_) {
        // Both have all that the other sent, and yet they differ: what one believes of the other is
        // wrong.
        begin_round();
        if (exhausted_) verdict = Verdict::stuck;
    }
    context_.writer.write(Answer{*ref_, verdict}, out);
    return true;
}

bool Exchange::write_ack(Bytes& out) {
    ack_due_ = false;
    if (port_ == nullptr || marks_.empty()) return false;
    const Frontier durable = port_->durable_frontier();
    Ack message{*ref_, {}};
    auto entry = durable.begin();
    for (ChainMark& mark : marks_) {
        if (mark.ack_said >= mark.heard) continue;
        while (entry != durable.end() && entry->actor < mark.actor)
            ++entry;
        if (entry == durable.end()) break;
        if (entry->actor != mark.actor) continue;
        const std::uint64_t seq = std::min(entry->seq, mark.heard);
        if (seq <= mark.ack_said) continue;
        mark.ack_said = seq;
        message.entries.push_back({mark.actor, seq});
    }
    if (message.entries.empty()) return false;
    context_.writer.write(message, out);
    return true;
}

bool Exchange::write_check(Bytes& out) {
    Own own = this->own();
    if (port_ != nullptr && (!own.digest || !own.is_durable)) {
        waiting_ = true;
        return false;
    }
    if (agreed_ == own.hash) {
        check_due_ = false;
        return false;
    }
    if (flow_.gives && !lacks_nothing(own.frontier)) {
        // A change came between: it goes first.
        dirty_ = true;
        return false;
    }
    check_due_ = false;
    context_.writer.write(Check{*ref_, received_count_, state_of(own)}, out);
    asked_ = std::make_unique<Asked>(Asked{std::move(own.frontier), own.hash, own.is_durable});
    return true;
}

bool Exchange::write_changes(Bytes& out) {
    if (has_logged() && write_logged(out)) return true;
    return live_.has_values() && !is_refused() && write_live(out);
}

bool Exchange::write_logged(Bytes& out) {
    if (port_ == nullptr) {
        dirty_ = false;
        return false;
    }
    auto missing = port_->encode_missing(theirs_, streams().encoder, context_.changes_size_target);
    if (!missing) {
        refuse(missing.error(), false);
        return false;
    }
    if (missing->changes.empty()) {
        dirty_ = false;
        own_hash_ = hash_of(port_->frontier());
        return false;
    }
    context_.writer.write(Changes{*ref_, std::move(missing->seals), missing->changes}, out);
    if (out.size() > kMessageSizeMax) {
        out.clear();
        refuse(fail(Errc::over_limit, "change larger than a message can be"), false);
        return false;
    }
    ++sent_count_;
    changes_sent_ += missing->change_count;
    context_.counters.changes_sent += missing->change_count;
    dirty_ = missing->more;
    check_due_ = true;
    agreed_.reset();
    own_hash_.reset();
    count_names();
    if (streams_->sent_names > kDictionarySizeMax) restart_dictionary();
    return true;
}

}  // namespace joinery::session
