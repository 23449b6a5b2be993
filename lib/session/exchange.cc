#include "session/exchange.h"

#include <algorithm>

namespace joinery::session {
namespace {

std::size_t size_of(const crdt::EncoderDictionary& dictionary) {
    return dictionary.size() + dictionary.progress.runs.size();
}

std::size_t size_of(const crdt::DecoderDictionary& dictionary) {
    return dictionary.actors.size() + dictionary.keys.size() + dictionary.paths.size() +
           dictionary.progress.runs.size();
}

bool is_same(const State& state, const FrontierHash& hash, bool is_empty) {
    return state.is_empty == is_empty && (is_empty || state.frontier == hash);
}

bool are_unequal(const std::optional<DigestPrefix>& a, const std::optional<DigestPrefix>& b) {
    return a && b && *a != *b;
}

}  // namespace

Exchange::Exchange(ExchangeContext& context, std::string id, Flow flow)
    : context_(context), id_(std::move(id)), flow_(flow) {
    find_port();
    live_.set_flow(flow);
}

// --- The document as it is ----------------------------------------------------------------------

bool Exchange::find_port() {
    if (port_ == nullptr) port_ = context_.host.find(id_).value_or(nullptr);
    return port_ != nullptr;
}

Exchange::Own Exchange::own() {
    Own own;
    if (port_ != nullptr) {
        own.frontier = port_->frontier();
        // Another thread may move the document between the two: then the digest is not this one's.
        const auto digest = port_->digest();
        if (digest && port_->frontier() == own.frontier) {
            own.digest.emplace();
            std::copy_n(digest->bytes.begin(), DigestPrefix::kSize, own.digest->bytes.begin());
        }
        own.is_durable = covers(port_->durable_frontier(), own.frontier);
    }
    own.hash = hash_of(own.frontier);
    own_hash_ = own.hash;
    return own;
}

State Exchange::state_of(const Own& own) const {
    State state;
    state.is_empty = own.frontier.empty();
    if (state.is_empty) return state;
    state.is_durable = own.is_durable;
    state.frontier = own.hash;
    state.digest = own.digest;
    return state;
}

Exchange::Streams& Exchange::streams() {
    if (!streams_) streams_ = std::make_unique<Streams>();
    return *streams_;
}

void Exchange::count_names() {
    if (!streams_) return;
    const auto recount = [](std::size_t& total, std::size_t& counted, std::size_t now) {
        total = total - counted + now;
        counted = now;
    };
    recount(context_.sent_names, streams_->sent_names, size_of(streams_->encoder));
    recount(context_.received_names, streams_->received_names, size_of(streams_->decoder));
}

// --- Rounds -------------------------------------------------------------------------------------

void Exchange::agree(const Own& own) {
    agreed_ = own.hash;
    if (stated_entries_ != 0) {
        // Actors that the other side named, and of which nothing came.
        const auto is_unknown = [&](const auto& entry) {
            return find_entry(own.frontier, entry.actor) == nullptr;
        };
        std::erase_if(theirs_, is_unknown);
        std::erase_if(marks_, is_unknown);
    }
    if (!flow_.takes) {
        // What they have beyond that is of no interest.
        theirs_ = own.frontier;
    } else {
        // An entry of no change is a doubt of the document's: it is settled.
        std::erase_if(theirs_, [](const FrontierEntry& entry) { return entry.seq == 0; });
        take_theirs(own.frontier);
    }
    settle();
}

void Exchange::settle() {
    is_covering_ = true;
    knows_theirs_ = true;
    dirty_ = false;
    doubted_ = false;
    keep_stated(0);
    rounds_ = 0;
    their_rounds_ = 0;
    exhausted_ = false;
    check_due_ = false;
    ask_due_ = false;
}

void Exchange::note(Event::Kind kind) {
    Event event{kind, id_, std::nullopt, false, {}, {}};
    context_.events.push_back(std::move(event));
}

void Exchange::diverge(const FrontierHash& at) {
    agreed_.reset();
    is_covering_ = false;
    if (alarmed_ == at) return;
    alarmed_ = at;
    ++context_.counters.divergences;
    note(Event::Kind::diverged);
}

void Exchange::ask() {
    if (!awaiting_) ask_due_ = true;
}

void Exchange::give_up() {
    if (exhausted_) return;
    exhausted_ = true;
    ++context_.counters.stalls;
    note(Event::Kind::stalled);
}

void Exchange::begin_round() {
    if (exhausted_) return;
    ++rounds_ <= kRoundsMax ? ask() : give_up();
}

bool Exchange::judge_round_of_theirs() {
    if (++their_rounds_ <= 2 * kRoundsMax) return true;
    refuse(fail(Errc::over_limit, "the other side begins anew without end"), false);
    return false;
}

void Exchange::refuse(const Error& error, bool is_theirs) {
    (is_theirs ? refused_by_them_ : refused_) = true;
    refuse_due_ = !is_theirs;
    refuse_code_ = error.code;
    dirty_ = ask_due_ = reply_due_ = awaiting_ = false;
    check_due_ = ack_due_ = false;
    resync_due_ = awaiting_restart_ = restart_due_ = false;
    held_.reset();
    asked_.reset();
    agreed_.reset();
    if (streams_) {
        *streams_ = Streams{{}, {}, streams_->sent_names, streams_->received_names};
        count_names();
        streams_.reset();
    }
    keep_stated(0);
    live_.stop();
    leave_presence();
    ++context_.counters.refusals;
    note(Event::Kind::refused);
    context_.events.back().error = error;
    context_.events.back().is_theirs = is_theirs;
}

// --- What happens -------------------------------------------------------------------------------

void Exchange::document_changed() {
    if (is_refused()) return;
    find_port();
    dirty_ = flow_.gives;
    waiting_ = false;
    ack_due_ = true;
    own_hash_.reset();
    if (context_.has_live && port_ != nullptr) live_.on_change(*port_);
}

Result<void> Exchange::on_have(const State& state) {
    if (heard_) return fail(Errc::malformed, "document announced twice");
    heard_ = true;
    if (context_.has_live) {
        live_.on_announced(state.live);
    } else if (state.live) {
        return fail(Errc::malformed, "live values that this session does not speak of");
    }
    const Own own = this->own();
    if (is_same(state, own.hash, own.frontier.empty())) {
        theirs_ = own.frontier;
        if (are_unequal(state.digest, own.digest)) {
            diverge(own.hash);
            begin_round();
            return {};
        }
        agree(own);
        if (state.is_durable) mark_acked(own.frontier);
        // They take our own announcement of this very state for the acknowledgement.
        mark_heard(own.frontier);
        if (is_announced() && announced_ == own.hash) mark_ack_said(own.frontier);
    } else if (state.is_empty || own.frontier.empty()) {
        // Whoever has nothing needs no question: everything is sent. What they have comes with
        // seals that say how far.
        knows_theirs_ = true;
        dirty_ = state.is_empty && flow_.gives;
        if (state.is_empty && !flow_.gives) cover(own);
        // Nothing is here, and nothing is to come.
        if (own.frontier.empty() && !flow_.takes) agree(own);
    } else {
        ask();
    }
    return {};
}

Result<void> Exchange::take(const Changes& message) {
    if (!flow_.takes) return not_taken();
    ++received_count_;
    if (is_refused() || resync_due_ || awaiting_restart_) return {};
    if (!make_port()) return {};
    crdt::DecoderDictionary& decoder = streams().decoder;
    if (size_of(decoder) > kDictionarySizeMax || context_.received_names > kDictionaryTotalMax) {
        return fail(Errc::over_limit, "dictionary too large");
    }
    const auto received = port_->receive(message.batch, decoder, message.seals);
    count_names();
    return take_received(message, received);
}

Result<void> Exchange::take_received(const Changes& message,
                                     const Result<DocumentPort::Received>& received) {
    if (!received) {
        if (!is_to_resync(received.error())) {
            refuse(received.error(), false);
            return {};
        }
        ++context_.counters.resyncs;
        ++resync_number_;
        resync_due_ = true;
        return {};
    }
    const crdt::ApplyReport& report = received->report;
    changes_received_ += report.applied + report.duplicate;
    context_.counters.changes_applied += report.applied;
    context_.counters.changes_duplicate += report.duplicate;
    for (const crdt::Seal& seal : message.seals) {
        const ActorId actor = crdt::actor_of(seal.proof);
        if (find_entry(theirs_, actor) == nullptr) keep_stated(stated_entries_ + 1);
        if (received->ends.empty()) advance(theirs_, {actor, seal.seq, {}});
        raise_heard(actor, seal.seq);
    }
    if (!received->ends.empty()) take_theirs(received->ends);
    ack_due_ = true;
    if (report.applied == 0) return {};
    agreed_.reset();
    is_covering_ = false;
    own_hash_.reset();
    if (!exhausted_) rounds_ = their_rounds_ = 0;
    doubted_ = false;
    note(Event::Kind::received);
    context_.events.back().report = report;
    return {};
}

/// Where something is missing, the other side believes something wrong of what is here. So it may
/// be where a seal does not fit: the chains of the two parted before the changes that came.
bool Exchange::is_to_resync(const Error& error) {
    const bool is_doubt = error.code == Errc::untrusted && !doubted_;
    if (!is_doubt && error.code != Errc::not_found) return false;
    doubted_ = doubted_ || is_doubt;
    return ++rounds_ <= kRoundsMax;
}

Result<void> Exchange::take(const FrontierNote& message) {
    if (is_refused()) return {};
    if (!message.asks && !awaiting_) {
        return fail(Errc::malformed, "frontier that was not asked for");
    }
    // Where both asked at once, each question is the other's answer.
    if (message.asks && !awaiting_) reply_due_ = true;
    if (message.asks && !judge_round_of_theirs()) return {};
    awaiting_ = false;
    ask_due_ = false;
    // They had another state when our announcement came, and so did not take it for what it said is
    // durable.
    for (ChainMark& mark : marks_)
        mark.ack_said = 0;
    ack_due_ = true;
    const Own own = this->own();
    take_stated(message.frontier, own, DocumentPort::Hearing::usual);
    const FrontierDifference difference = compare(own.frontier, message.frontier);
    if (difference.forked && !forked_) {
        ++context_.counters.forks;
        note(Event::Kind::forked);
    }
    forked_ = difference.forked;
    if (!difference.is_equal()) {
        if (take_one_way(message, own)) return {};
        dirty_ = flow_.gives && (dirty_ || difference.left_ahead);
    } else if (are_unequal(message.digest, own.digest)) {
        diverge(own.hash);
        begin_round();
    } else {
        agree(own);
        if (message.is_durable) mark_acked(own.frontier);
    }
    return {};
}

Result<void> Exchange::take(const Check& message) {
    if (is_refused()) return {};
    if (held_) return fail(Errc::malformed, "question before the answer to the last one");
    if (message.received_count > sent_count_) {
        return fail(Errc::malformed, "more changes received than were sent");
    }
    held_ = std::make_unique<Check>(message);
    waiting_ = false;
    return {};
}

Result<void> Exchange::take(const Answer& message) {
    if (is_refused()) return {};
    if (!asked_) return fail(Errc::malformed, "answer that was not asked for");
    const auto asked = std::move(asked_);
    const Own own = this->own();
    switch (message.verdict) {
        case Verdict::other:
            // They have more, which they send and then ask themselves. But where both asked at
            // once and have moved since, neither would.
            if (own.hash != asked->hash) {
                check_due_ = true;
            } else if (!flow_.takes) {
                // They may have what is not taken here, and what is here besides.
                begin_round();
            }
            break;
        case Verdict::same:
        case Verdict::same_durable:
            take_theirs(asked->frontier);
            if (own.hash == asked->hash) agree(own);
            if (message.verdict == Verdict::same_durable) mark_acked(asked->frontier);
            mark_heard(asked->frontier);
            if (asked->is_durable) mark_ack_said(asked->frontier);
            break;
        case Verdict::diverged: diverge(asked->hash); break;
        case Verdict::stuck: give_up(); break;
    }
    return {};
}

Result<void> Exchange::take(const Ack& message) {
    if (is_refused()) return {};
    bool is_raised = false;
    const Frontier own = port_ != nullptr ? port_->frontier() : Frontier();
    for (const Ack::Entry& entry : message.entries) {
        // Of chains that are not here nothing is kept.
        if (find_entry(own, entry.actor) == nullptr) continue;
        is_raised = raise_acked(entry.actor, entry.seq) || is_raised;
    }
    if (is_raised) note(Event::Kind::acknowledged);
    return {};
}

Result<void> Exchange::take(const Resync& message) {
    if (is_refused()) return {};
    if (message.number <= their_resync_number_) {
        return fail(Errc::malformed, "resync of a number that was");
    }
    their_resync_number_ = message.number;
    if (!judge_round_of_theirs()) return {};
    take_stated(message.frontier, own(), DocumentPort::Hearing::in_doubt);
    restart_dictionary();
    restart_due_ = true;
    dirty_ = flow_.gives;
    return {};
}

Result<void> Exchange::take(const Restart& message) {
    if (is_refused()) return {};
    if (message.number > resync_number_) {
        return fail(Errc::malformed, "answer to a resync that was not asked for");
    }
    if (message.number < resync_number_) return {};
    awaiting_restart_ = false;
    if (streams_) streams_->decoder.reset();
    count_names();
    return {};
}

Result<void> Exchange::take(const Refuse& message) {
    if (!is_refused()) refuse({message.code, "the other side refused the document"}, true);
    return {};
}

void Exchange::probe() {
    waiting_ = false;
    if (is_logged_in_step() || is_refused() || exhausted_ || port_ == nullptr || !knows_theirs_)
        return;
    const bool is_quiet = !dirty_ && !ask_due_ && !awaiting_ && !asked_ && !held_ && !resync_due_ &&
                          !awaiting_restart_;
    if (!is_quiet) return;
    // Those who have answered so often will not say anything new.
    if (++rounds_ > kRoundsMax) return give_up();
    check_due_ = true;
}

void Exchange::restart_dictionary() {
    if (!streams_ || streams_->encoder.is_fresh()) return;
    streams_->encoder.reset();
    restart_due_ = true;
    count_names();
}

// --- What is so ---------------------------------------------------------------------------------

bool Exchange::is_logged_in_step() const noexcept {
    const bool is_equal = agreed_ && own_hash_ && *agreed_ == *own_hash_;
    const bool is_agreed = is_equal || (!flow_.gives && is_covering_);
    const bool is_owing = dirty_ || ask_due_ || reply_due_ || check_due_ || held_ || resync_due_;
    return is_announced() && heard_ && !is_refused() && is_agreed && !is_owing && !awaiting_ &&
           !asked_ && !awaiting_restart_;
}

bool Exchange::is_settled() const noexcept {
    if (is_in_step() || is_refused()) return true;
    const bool is_owing = dirty_ || ask_due_ || reply_due_ || check_due_ || held_ || resync_due_;
    const bool is_hopeless = exhausted_ || (alarmed_ && alarmed_ == own_hash_);
    return is_hopeless && live_.is_settled() && !is_owing && !awaiting_ && !asked_ &&
           !awaiting_restart_;
}

bool Exchange::is_acknowledged() const noexcept {
    if (!flow_.gives) return is_in_step();
    // In step, theirs_ is our own frontier.
    auto mark = marks_.begin();
    const FrontierEntry* last = nullptr;
    for (const FrontierEntry& entry : theirs_) {
        // Of an actor of several ends a number does not tell which is meant.
        if (last != nullptr && last->actor == entry.actor && acked_whole_ != agreed_) return false;
        last = &entry;
        while (mark != marks_.end() && mark->actor < entry.actor)
            ++mark;
        if (mark == marks_.end() || mark->actor != entry.actor) return false;
        if (mark->acked < entry.seq) return false;
    }
    return is_in_step();
}

bool Exchange::has_acknowledged() const noexcept {
    return !flow_.takes || std::ranges::all_of(marks_, [](const ChainMark& mark) {
        return mark.ack_said >= mark.heard;
    });
}

Frontier Exchange::acknowledged() const {
    Frontier frontier;
    for (const ChainMark& mark : marks_) {
        if (mark.acked != 0) frontier.push_back({mark.actor, mark.acked, {}});
    }
    return frontier;
}

std::size_t Exchange::memory_size() const noexcept {
    std::size_t size = sizeof *this + live_.memory_size() + id_.capacity() +
                       theirs_.capacity() * sizeof(FrontierEntry) +
                       marks_.capacity() * sizeof(ChainMark);
    if (asked_) size += sizeof *asked_ + asked_->frontier.capacity() * sizeof(FrontierEntry);
    if (held_) size += sizeof *held_;
    // A name takes 4 to 8 bytes in a dictionary, a run some 100.
    if (streams_) size += sizeof *streams_ + 8 * (streams_->sent_names + streams_->received_names);
    return size;
}

}  // namespace joinery::session
