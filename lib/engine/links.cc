#include "engine/links.h"

#include <algorithm>

namespace joinery {

std::string_view link_state_name(LinkState state) noexcept {
    switch (state) {
        case LinkState::offline: return "offline";
        case LinkState::connecting: return "connecting";
        case LinkState::online: return "online";
        case LinkState::degraded: return "degraded";
        case LinkState::refused: break;
    }
    return "refused";
}

namespace detail {
namespace {

constexpr std::chrono::milliseconds kTickInterval{1000};
/// Between two ticks: then this process or its machine was stopped, or the clock was set.
constexpr std::chrono::seconds kAwayTime{5};

/// Whether dialling again cannot help, unless somebody changes the URL.
bool is_for_good(const Error& error) {
    return error.code == Errc::malformed || error.code == Errc::unsupported;
}

}  // namespace

Links::Links(const Surroundings& surroundings,
             Options options,
             std::vector<std::unique_ptr<Transport>> transports)
    : strand_(surroundings.strand),
      host_(surroundings.host),
      identity_(surroundings.identity),
      clock_(surroundings.clock),
      random_(surroundings.random),
      options_(std::move(options)),
      transports_(std::move(transports)),
      arrivals_({options_.patience.handshakes_per_second,
                 options_.patience.handshakes_of_host_per_second}),
      instance_(surroundings.instance) {
    strand_.post([this] { tick(); });
}

Links::~Links() { close(); }

void Links::close() {
    if (closed_) return;
    closed_ = true;
    ticker_.reset();
    presence_timer_.reset();
    presence_retry_.reset();
    turn_timer_.reset();
    listeners_.clear();
    for (const Handle& connection : connections_)
        finish_sync(*connection, fail(Errc::disconnected, "the peer was closed"));
    session_count_ = 0;
    connections_.clear();
    transports_.clear();
}

void Links::log(const LogEntry& entry) const {
    if (options_.log) options_.log(entry);
}

LogEntry Links::entry_of(const Connection& connection,
                         LogLevel level,
                         std::string_view event,
                         const std::string& text) {
    LogEntry entry{level, event, text};
    entry.url = connection.url;
    if (connection.other_side) entry.device = connection.other_side->device;
    return entry;
}

Transport* Links::transport_for(std::string_view url) {
    const auto found = std::ranges::find_if(
        transports_, [&](const auto& transport) { return transport->accepts(url); });
    return found == transports_.end() ? nullptr : found->get();
}

Result<std::string> Links::listen(std::string_view url) {
    Transport* transport = transport_for(url);
    if (transport == nullptr) return no_transport();
    JOINERY_TRY(auto listener, transport->listen(url, [this](Result<std::unique_ptr<Link>> link) {
        if (!link) return not_made(link.error());
        arrived(*std::move(link));
    }));
    listeners_.push_back(std::move(listener));
    return listeners_.back()->url();
}

std::vector<std::string> Links::listening() const {
    std::vector<std::string> urls;
    for (const auto& listener : listeners_)
        urls.push_back(listener->url());
    return urls;
}

Links::Handle Links::add(std::string url, bool is_dialled) {
    connections_.push_back(std::make_shared<Connection>());
    connections_.back()->address = url;
    connections_.back()->url = std::move(url);
    connections_.back()->is_dialled = is_dialled;
    return connections_.back();
}

void Links::attach(const Handle& connection, std::unique_ptr<Link> link) {
    session::ChannelOptions channel;
    channel.role = connection->is_dialled ? session::ChannelOptions::Role::dialler
                                          : session::ChannelOptions::Role::listener;
    channel.instance = instance_;
    channel.is_kept = connection->keep;
    channel.expected = connection->expected ? connection->expected : connection->met;
    connection->link = std::make_unique<SecureLink>(
        std::move(link), identity_, random_, clock_, options_.patience, channel);
    SecureLink::Events events;
    events.on_open = with(connection, [this](const Handle& it, const session::ChannelPeer& peer) {
        admit(it, peer);
    });
    events.on_message = with(connection, [this](const Handle& it, ByteView message) {
        if (!it->session) return;  // It was not let in, and has not heard of it yet.
        it->session->on_message(message, clock_.monotonic_now());
        pump(it);
    });
    events.on_closed =
        with(connection, [this](const Handle& it, const Result<void>& how) { ended(it, how); });
    events.on_writable = with(connection, [this](const Handle& it) { pump(it); });
    const auto give_up = [](const Handle& it) {
        if (!it->link || !it->link->is_in_handshake()) return;
        it->link->close(fail(Errc::disconnected, "the other side did not say who it is in time"));
    };
    connection->handshake_timer =
        strand_.start_timer(options_.patience.handshake_time, with(connection, give_up));
    connection->link->start(std::move(events));
}

/// Moves what the session has to say to the link, as long as there is room.
void Links::pump(const Handle& connection) {
    if (!connection->session) return;
    take_events(connection);
    while (connection->link && !connection->closing) {
        if (!connection->has_held) {
            pace_presence(*connection);
            if (!connection->session->next_message(connection->held)) break;
            connection->has_held = true;
        }
        const auto sent = connection->link->send(connection->held);
        if (!sent && sent.error().code == Errc::busy) return;
        connection->has_held = false;
        if (!sent) break;
        note_presence(*connection);
    }
    take_events(connection);
    if (connection->session->is_closed() && !connection->closing) {
        connection->closing = true;
        connection->link->close(std::nullopt);
    }
}

void Links::take_events(const Handle& connection) {
    for (const session::Event& event : connection->session->take_events()) {
        switch (event.kind) {
            case session::Event::Kind::hello:
                connection->retry_delay = {};
                connection->has_worked = true;
                connection->state = LinkState::online;
                connection->error.clear();
                log(entry_of(
                    *connection, LogLevel::info, "link.online", connection->url + " is online"));
                break;
            case session::Event::Kind::diverged:
                ++divergence_count_;
                log_document(*connection,
                             event,
                             LogLevel::error,
                             "document.diverged",
                             " diverged: equal changes, unequal digests");
                break;
            case session::Event::Kind::forked:
                log_document(*connection,
                             event,
                             LogLevel::warning,
                             "document.forked",
                             ": an actor has two histories; both are taken, and kept as proof");
                break;
            case session::Event::Kind::refused:
                log_document(*connection,
                             event,
                             LogLevel::error,
                             "document.refused",
                             " refused: " + std::string(event.error ? event.error->what : "") +
                                 (event.text.empty() ? "" : " (" + event.text + ")"));
                break;
            case session::Event::Kind::closed:
                if (event.error) {
                    connection->error = event.error->what;
                    LogEntry entry = entry_of(*connection,
                                              LogLevel::warning,
                                              "session.ended",
                                              "session with " + connection->url +
                                                  " ended: " + std::string(event.error->what));
                    entry.error = event.error->code;
                    log(entry);
                    finish_sync(*connection, *event.error);
                } else {
                    finish_sync(*connection, report_of(*connection));
                }
                break;
            case session::Event::Kind::acknowledged:
                options_.on_acknowledged(event.document,
                                         connection->other_side->device,
                                         connection->session->acknowledged(event.document));
                break;
            case session::Event::Kind::received:
            case session::Event::Kind::in_step:
            case session::Event::Kind::stalled: break;
        }
    }
}

/// @p what goes behind the name of the document.
void Links::log_document(const Connection& connection,
                         const session::Event& event,
                         LogLevel level,
                         std::string_view name,
                         const std::string& what) const {
    LogEntry entry = entry_of(connection, level, name, "document " + event.document + what);
    entry.document = event.document;
    if (event.error) entry.error = event.error->code;
    log(entry);
}

SyncReport Links::report_of(const Connection& connection) const {
    const session::Counters& counters = connection.session->counters();
    SyncReport report;
    report.received_count = counters.changes_applied;
    report.sent_count = counters.changes_sent;
    report.received_size = connection.link->received_size();
    report.sent_size = connection.link->sent_size();
    std::vector<session::DocumentStatus> documents = connection.session->documents();
    report.document_count = documents.size();
    for (session::DocumentStatus& document : documents) {
        if (document.has_untaken) report.untaken.push_back(std::move(document.id));
    }
    return report;
}

void Links::finish_sync(Connection& connection, Result<SyncReport> report) {
    if (!connection.on_synced) return;
    const OnSynced done = std::exchange(connection.on_synced, {});
    done(std::move(report));
}

/// The link is gone, or could not be had.
void Links::ended(const Handle& connection, const Result<void>& how) {
    // A time limit and a broken link may both come.
    if (std::exchange(connection->is_ending, true)) return;
    if (!how) {
        metrics_.ended.note(how.error().code);
        const bool is_news = connection->error != how.error().what;
        if (is_news && connection->keep && is_for_good(how.error())) {
            LogEntry entry = entry_of(*connection,
                                      LogLevel::warning,
                                      "link.refused",
                                      connection->url + ": " + std::string(how.error().what));
            entry.error = how.error().code;
            log(entry);
        }
        connection->error = how.error().what;
    }
    if (connection->session) {
        take_events(connection);
        LogEntry entry = entry_of(
            *connection,
            LogLevel::info,
            "link.ended",
            connection->url + " has ended" + (how ? "" : ": " + std::string(how.error().what)));
        if (!how) entry.error = how.error().code;
        log(entry);
    }
    const bool is_refused =
        !how && (is_for_good(how.error()) || how.error().code == Errc::untrusted);
    connection->state = is_refused ? LinkState::refused : LinkState::offline;
    if (!how && how.error().code == Errc::conflict) connection->twin = connection->other_side;
    finish_sync(*connection,
                how ? fail(Errc::disconnected, "the other side hung up early") : how.error());
    strand_.post(with(connection, [this](const Handle& it) { let_go(it); }));
}

void Links::document_changed(std::string_view id) {
    for (const Handle& connection : connections_) {
        if (!connection->session || connection->closing) continue;
        connection->session->document_changed(id);
        pump(connection);
    }
}

void Links::tick() {
    if (closed_) return;
    turn_out();
    const MonotonicTime now = clock_.monotonic_now();
    const WallTime wall = clock_.wall_now();
    const bool was_away =
        last_tick_ && (now - last_tick_->now > kAwayTime || wall - last_tick_->wall > kAwayTime);
    last_tick_ = Tick{now, wall};
    if (was_away) come_back(now);
    for (const Handle& connection : connections_) {
        if (connection->twin && !connection->link && !find_kept(*connection->twin, *connection)) {
            connection->twin.reset();
            dial_in_turn(connection);
        }
        if (connection->link && !connection->is_ending) connection->link->on_time(now);
        if (connection->link) {
            const auto trip = connection->link->take_round_trip();
            if (trip) metrics_.round_trips.note(*trip);
        }
        if (!connection->session || connection->closing) continue;
        connection->session->on_time(now);
        pump(connection);
    }
    ticker_ = strand_.start_timer(kTickInterval, [this] { tick(); });
}

std::uint64_t Links::received_size() const {
    std::uint64_t size = ended_received_size_;
    for (const Handle& connection : connections_) {
        if (connection->link) size += connection->link->received_size();
    }
    return size;
}

std::uint64_t Links::sent_size() const {
    std::uint64_t size = ended_sent_size_;
    for (const Handle& connection : connections_) {
        if (connection->link) size += connection->link->sent_size();
    }
    return size;
}

std::vector<LinkStatus> Links::status() const {
    std::vector<LinkStatus> out;
    for (const Handle& connection : connections_) {
        LinkStatus status;
        status.url = connection->url;
        status.state = connection->state;
        status.error = connection->error;
        if (connection->link) {
            status.round_trip = connection->link->round_trip();
            const bool is_silent = connection->link->is_silent(clock_.monotonic_now());
            if (status.state == LinkState::online && is_silent) {
                status.state = LinkState::degraded;
                status.error = "the other side does not answer";
            }
        }
        // Where another link is kept instead, that one's standing is this one's.
        const Handle kept = connection->twin ? find_kept(*connection->twin, *connection) : nullptr;
        const Connection& standing = kept ? *kept : *connection;
        if (standing.other_side) status.device = standing.other_side->device;
        if (standing.session) {
            const auto& peer = standing.session->peer();
            if (peer) status.name = peer->name;
            status.in_step = standing.session->is_in_step();
        }
        if (connection->link) {
            status.received_size = connection->link->received_size();
            status.sent_size = connection->link->sent_size();
        }
        out.push_back(std::move(status));
    }
    return out;
}

}  // namespace detail
}  // namespace joinery
