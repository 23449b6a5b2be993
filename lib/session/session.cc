#include "session/session.h"

#include "base/value.h"
#include "crdt/limits.h"

#include <algorithm>
#include <utility>

namespace joinery::session {

Session::Session(Host& host, Options options)
    : options_(std::move(options)), context_{host, {}, {}, {}, options_.changes_size_target} {
    auto patterns = Patterns::of(options_.patterns);
    if (!patterns) {
        end(patterns.error(), false, {});
    } else if (options_.name.size() > kPeerNameSizeMax || !is_utf8(as_bytes(options_.name))) {
        end(fail(Errc::malformed, "name that is too long or not UTF-8"), false, {});
    } else if (const auto access = check_access(options_.access); !access) {
        end(access.error(), false, {});
    } else if (!is_everything(options_.access) && (options_.features & kAccessFeature) == 0) {
        end(fail(Errc::unsupported, "the other side knows no limits of what it may read and write"),
            false,
            {});
    } else {
        patterns_ = std::move(*patterns);
    }
    context_.has_live = (options_.features & kLiveFeature) != 0;
    if ((options_.features & kPresenceFeature) != 0) context_.presence_run = options_.other_side;
}

Counters& Counters::operator+=(const Counters& more) noexcept {
    messages_sent += more.messages_sent;
    messages_received += more.messages_received;
    bytes_sent += more.bytes_sent;
    bytes_received += more.bytes_received;
    changes_sent += more.changes_sent;
    changes_applied += more.changes_applied;
    changes_duplicate += more.changes_duplicate;
    live_sent += more.live_sent;
    live_received += more.live_received;
    presence_sent += more.presence_sent;
    presence_received += more.presence_received;
    presence_dropped += more.presence_dropped;
    messages_skipped += more.messages_skipped;
    divergences += more.divergences;
    forks += more.forks;
    resyncs += more.resyncs;
    stalls += more.stalls;
    refusals += more.refusals;
    return *this;
}

// --- In -----------------------------------------------------------------------------------------

void Session::on_message(ByteView message, MonotonicTime now) {
    if (is_closed_) return;
    ++context_.counters.messages_received;
    context_.counters.bytes_received += message.size();
    last_message_ = now;
    last_probe_ = now;
    is_stall_noted_ = false;
    auto read = reader_.read(message);
    if (!read) return end(read.error(), false, {});
    if (!read->has_value()) {
        ++context_.counters.messages_skipped;
        return;
    }
    const auto taken = take(**read, message.size());
    if (!taken) return end(taken.error(), false, {});
    if (context_.stated_entries > options_.stated_entry_max) {
        end(fail(Errc::over_limit, "frontiers of too many actors"), false, {});
    }
}

// Before its use: clang 19 forgets to instantiate it for the lambda below otherwise.
template <class M>
Result<void> Session::pass(const M& message, std::size_t size) {
    if (message.document >= their_documents_.size()) {
        return fail(Errc::malformed, "message of a document that was not announced");
    }
    const Index index = their_documents_[static_cast<std::size_t>(message.document)];
    Slot& slot = slots_[index];
    if (!slot.exchange.is_announced()) {
        return fail(Errc::malformed, "message of a document before both announced it");
    }
    slot.bytes_received += size;
    Result<void> taken = slot.exchange.take(message);
    update(index);
    return taken;
}

Result<void> Session::take(const Message& message, std::size_t size) {
    if (const auto* bye = std::get_if<Bye>(&message)) {
        take_bye(*bye);
        return {};
    }
    if (const auto* hello = std::get_if<Hello>(&message)) return take_hello(*hello);
    if (!peer_) return fail(Errc::malformed, "message before the hello");
    return std::visit(
        [&]<class M>(const M& m) -> Result<void> {
            if constexpr (requires(Exchange& exchange) { exchange.take(m); }) {
                return pass(m, size);
            } else if constexpr (std::is_same_v<M, Have>) {
                return take_have(m);
            } else {
                if (listed_heard_) return fail(Errc::malformed, "documents listed twice");
                listed_heard_ = true;
                return {};
            }
        },
        message);
}

Result<void> Session::take_hello(const Hello& message) {
    if (peer_) return fail(Errc::malformed, "second hello");
    JOINERY_TRY(their_patterns_, Patterns::of(message.patterns));
    peer_ = PeerInfo{message.name, message.patterns, message.is_once, message.access};
    context_.name = message.name;
    // Who is here for a moment has nothing to show, and nobody to show it to.
    if (message.is_once || options_.is_once) context_.presence_run.reset();
    their_document_max_ = message.document_max;
    context_.events.push_back({Event::Kind::hello, {}, std::nullopt, true, message.name, {}});
    list_documents();
    return {};
}

Result<void> Session::take_have(const Have& message) {
    // First all that may be wrong, so that nothing of a bad message is taken.
    if (their_documents_.size() + message.entries.size() > options_.document_max) {
        return fail(Errc::over_limit, "more documents than this side takes");
    }
    for (const Have::Entry& entry : message.entries) {
        if (entry.id.empty() && entry.theirs >= our_documents_.size()) {
            return fail(Errc::malformed, "announcement of an unknown number");
        }
        const bool is_wanted = entry.id.empty() || takes_part(entry.id);
        if (!is_wanted) return fail(Errc::malformed, "announcement of an unwanted document");
    }
    for (const Have::Entry& entry : message.entries)
        JOINERY_TRY_VOID(take_entry(entry));
    return {};
}

Result<void> Session::take_entry(const Have::Entry& entry) {
    Index index = 0;
    if (entry.id.empty()) {
        index = our_documents_[static_cast<std::size_t>(entry.theirs)];
    } else if (const auto known = by_id_.find(entry.id); known != by_id_.end()) {
        index = known->second;
    } else {
        index = add_document(std::string(entry.id));
    }
    Exchange& exchange = slots_[index].exchange;
    JOINERY_TRY_VOID(exchange.on_have(entry.state));
    exchange.set_their_ref(their_documents_.size());
    their_documents_.push_back(index);
    update(index);
    return {};
}

void Session::take_bye(const Bye& message) {
    std::optional<Error> error;
    if (message.code) error = Error{*message.code, "the other side ended the session"};
    end(error, true, message.text);
}

void Session::on_time(MonotonicTime now) {
    if (!last_message_) last_message_ = last_probe_ = now;
    if (is_closed_ || is_settled()) return;
    if (peer_ && now - last_probe_ >= options_.probe_interval) {
        last_probe_ = now;
        for (Index index = 0; index < slots_.size(); ++index) {
            if (slots_[index].is_settled) continue;
            slots_[index].exchange.probe();
            update(index);
        }
    }
    if (now - *last_message_ >= options_.stall_time && !is_stall_noted_) {
        is_stall_noted_ = true;
        ++context_.counters.stalls;
        context_.events.push_back({Event::Kind::stalled, {}, std::nullopt, false, {}, {}});
    }
}

void Session::document_changed(std::string_view id) {
    if (is_closed_ || !peer_) return;
    if (const auto known = by_id_.find(id); known != by_id_.end()) {
        slots_[known->second].exchange.document_changed();
        return update(known->second);
    }
    if (takes_part(id)) add_document(std::string(id));
}

void Session::presence_changed(std::string_view id) {
    if (is_closed_ || !peer_ || !context_.presence_run) return;
    if (const auto known = by_id_.find(id); known != by_id_.end()) {
        slots_[known->second].exchange.presence_changed();
        return update(known->second);
    }
    if (takes_part(id)) add_document(std::string(id));
}

void Session::close(const std::optional<Error>& reason) {
    if (!is_closed_) end(reason, false, {});
}

void Session::end(const std::optional<Error>& error, bool is_theirs, std::string text) {
    is_closed_ = true;
    for (Slot& slot : slots_)
        slot.exchange.leave_presence();
    if (!is_theirs) {
        Bye bye;
        if (error) bye = {error->code, std::string(error->what.substr(0, kByeTextSizeMax))};
        bye_ = std::move(bye);
    }
    context_.events.push_back({Event::Kind::closed, {}, error, is_theirs, std::move(text), {}});
}

// --- Documents ----------------------------------------------------------------------------------

void Session::list_documents() {
    for (std::string& id : context_.host.documents()) {
        if (takes_part(id) && !by_id_.contains(id)) add_document(std::move(id));
    }
}

Flow Session::flow_of(std::string_view id) const noexcept {
    return {takes(options_.access, id), takes(peer_->access, id)};
}

/// Nothing that is not shown to the other side makes a difference to it, whether it exists or not.
bool Session::takes_part(std::string_view id) const noexcept {
    if (!patterns_.wants(id) || !their_patterns_.wants(id)) return false;
    if (!shows(options_.access, id) || !shows(peer_->access, id)) return false;
    const Flow flow = flow_of(id);
    return flow.takes || flow.gives;
}

Session::Index Session::add_document(std::string id) {
    const auto index = static_cast<Index>(slots_.size());
    const Flow flow = flow_of(id);
    by_id_.emplace(id, index);
    slots_.push_back(Slot{Exchange(context_, std::move(id), flow)});
    to_announce_.push_back(index);
    return index;
}

void Session::update(Index index) {
    Slot& slot = slots_[index];
    const auto enqueue = [&](Queue& queue, bool is_due) {
        if (is_due && !std::exchange(slot.*queue.is_in, true)) queue.slots.push_back(index);
    };
    enqueue(control_, slot.exchange.has_control());
    enqueue(changes_, slot.exchange.has_changes());
    enqueue(presence_, slot.exchange.has_presence());
    const auto recount = [](std::size_t& count, bool& counted, bool now) {
        if (counted != now) now ? ++count : --count;
        counted = now;
    };
    const bool was_in_step = slot.is_in_step;
    recount(in_step_count_, slot.is_in_step, slot.exchange.is_in_step());
    recount(settled_count_, slot.is_settled, slot.exchange.is_settled());
    const bool is_acknowledged =
        slot.is_in_step && slot.exchange.is_acknowledged() && slot.exchange.has_acknowledged();
    recount(acknowledged_count_, slot.is_acknowledged, is_acknowledged);
    if (slot.is_in_step && !was_in_step) {
        context_.events.push_back(
            {Event::Kind::in_step, slot.exchange.id(), std::nullopt, false, {}, {}});
    }
}

// --- Out ----------------------------------------------------------------------------------------

bool Session::next_message(Bytes& out) {
    out.clear();
    if (!write_next(out)) return false;
    ++context_.counters.messages_sent;
    context_.counters.bytes_sent += out.size();
    return true;
}

bool Session::write_next(Bytes& out) {
    if (bye_) {
        context_.writer.write(*std::exchange(bye_, std::nullopt), out);
        return true;
    }
    if (is_closed_) return false;
    if (!hello_said_) {
        hello_said_ = true;
        context_.writer.write(hello(), out);
        return true;
    }
    if (!peer_) return false;
    if (write_have(out)) return true;
    if (!listed_said_) {
        listed_said_ = true;
        context_.writer.write(Listed{}, out);
        return true;
    }
    if (write_control(out) || write_fairly(out)) return true;
    // Where no change was missing after all, the question that comes after them is due.
    if (write_control(out)) return true;
    if (!options_.is_once || !is_settled()) return false;
    // Documents that were given up are not waited for.
    if (acknowledged_count_ != in_step_count_) return false;
    end(std::nullopt, false, {});
    return write_next(out);
}

Hello Session::hello() const {
    Hello hello;
    hello.name = options_.name;
    hello.patterns = patterns_.list();
    hello.is_once = options_.is_once;
    hello.document_max = options_.document_max;
    hello.access = options_.access;
    return hello;
}

void Session::leave_out() {
    if (left_out_count_ == 0) {
        const Error error = fail(Errc::over_limit, "more documents than the other side takes");
        context_.events.push_back({Event::Kind::refused, {}, error, true, {}, {}});
    }
    left_out_count_ += to_announce_.size();
    to_announce_.clear();
}

bool Session::write_have(Bytes& out) {
    Have message;
    std::size_t size = 0;
    while (!to_announce_.empty() && message.entries.size() < kHaveCountMax &&
           size < context_.changes_size_target) {
        if (our_documents_.size() >= their_document_max_) {
            leave_out();
            break;
        }
        const Index index = to_announce_.front();
        to_announce_.pop_front();
        Exchange& exchange = slots_[index].exchange;
        Have::Entry entry;
        if (const auto& theirs = exchange.their_ref()) {
            entry.theirs = *theirs;
        } else {
            entry.id = exchange.id();
        }
        entry.state = exchange.announce(our_documents_.size());
        our_documents_.push_back(index);
        size += entry.id.size() + 40;
        message.entries.push_back(entry);
        update(index);
    }
    if (message.entries.empty()) return false;
    context_.writer.write(message, out);
    return true;
}

template <class Write>
bool Session::write_from(Queue& queue, const Write& write, Bytes& out) {
    while (!queue.slots.empty()) {
        const Index index = queue.slots.front();
        queue.slots.pop_front();
        Slot& slot = slots_[index];
        slot.*queue.is_in = false;
        const bool wrote = write(slot.exchange);
        if (context_.sent_names > kDictionaryTotalMax) {
            for (Slot& each : slots_)
                each.exchange.restart_dictionary();
            for (Index each = 0; each < slots_.size(); ++each)
                update(each);
        }
        update(index);
        slot.bytes_sent += out.size();
        if (wrote) return true;
    }
    return false;
}

bool Session::write_control(Bytes& out) {
    const auto write = [&out](Exchange& it) { return it.has_control() && it.write_control(out); };
    return write_from(control_, write, out);
}

bool Session::write_changes(Bytes& out) {
    const auto write = [&out](Exchange& it) { return it.has_changes() && it.write_changes(out); };
    return write_from(changes_, write, out);
}

bool Session::write_presence(Bytes& out) {
    if (is_presence_held_) return false;
    const auto write = [&out](Exchange& it) { return it.has_presence() && it.write_presence(out); };
    return write_from(presence_, write, out);
}

/// Presence goes first, for it is small and of this moment. But on a slow link there is always
/// more of it: so one message of changes goes after each.
bool Session::write_fairly(Bytes& out) {
    const bool is_turn_of_changes = std::exchange(presence_was_last_, false);
    if (is_turn_of_changes && write_changes(out)) return true;
    if (write_presence(out)) {
        presence_was_last_ = true;
        return true;
    }
    return !is_turn_of_changes && write_changes(out);
}

// --- Questions ----------------------------------------------------------------------------------

bool Session::is_in_step() const noexcept {
    return is_settled() && in_step_count_ == slots_.size();
}

bool Session::is_settled() const noexcept {
    return peer_ && listed_said_ && listed_heard_ && to_announce_.empty() &&
           settled_count_ + left_out_count_ == slots_.size();
}

bool Session::is_acknowledged() const noexcept {
    return is_in_step() && acknowledged_count_ == slots_.size();
}

std::vector<Event> Session::take_events() { return std::exchange(context_.events, {}); }

std::vector<DocumentStatus> Session::documents() const {
    std::vector<DocumentStatus> statuses;
    statuses.reserve(slots_.size());
    for (const Slot& slot : slots_) {
        const Exchange& exchange = slot.exchange;
        statuses.push_back({exchange.id(),
                            slot.is_in_step,
                            slot.is_acknowledged,
                            exchange.is_refused(),
                            exchange.has_untaken(),
                            exchange.changes_sent(),
                            exchange.changes_received(),
                            slot.bytes_sent,
                            slot.bytes_received});
    }
    return statuses;
}

Frontier Session::acknowledged(std::string_view id) const {
    const auto known = by_id_.find(id);
    return known != by_id_.end() ? slots_[known->second].exchange.acknowledged() : Frontier();
}

std::size_t Session::memory_size() const noexcept {
    std::size_t size = sizeof *this;
    for (const Slot& slot : slots_) {
        // Its id again, and a node of the map.
        size += sizeof slot + slot.exchange.memory_size() + slot.exchange.id().capacity() + 64;
    }
    size += (their_documents_.capacity() + our_documents_.capacity() + to_announce_.size() +
             control_.slots.size() + changes_.slots.size() + presence_.slots.size()) *
            sizeof(Index);
    return size;
}

}  // namespace joinery::session
