#include "engine/links.h"

#include <algorithm>

namespace joinery::detail {
namespace {

constexpr std::chrono::milliseconds kTickInterval{1000};
constexpr std::chrono::milliseconds kRetryDelayMin{200};
constexpr std::chrono::milliseconds kRetryDelayMax{30000};

}  // namespace

Links::Links(Strand& strand,
             session::Host& host,
             Clock& clock,
             Options options,
             std::vector<std::unique_ptr<Transport>> transports)
    : strand_(strand),
      host_(host),
      clock_(clock),
      options_(std::move(options)),
      transports_(std::move(transports)) {
    strand_.post([this] { tick(); });
}

Links::~Links() { close(); }

void Links::close() {
    if (closed_) return;
    closed_ = true;
    ticker_.reset();
    listeners_.clear();
    for (Connection& connection : connections_) {
        if (connection.on_synced) {
            connection.on_synced(fail(Errc::disconnected, "the peer was closed"));
        }
    }
    connections_.clear();
    transports_.clear();
}

void Links::log(LogLevel level, std::string text) {
    if (options_.log) options_.log(level, std::move(text));
}

Transport* Links::transport_for(std::string_view url) {
    const auto found = std::ranges::find_if(
        transports_, [&](const auto& transport) { return transport->accepts(url); });
    return found == transports_.end() ? nullptr : found->get();
}

Result<std::string> Links::listen(std::string_view url) {
    Transport* transport = transport_for(url);
    if (transport == nullptr) {
        return fail(Errc::unsupported, "no transport for that URL; this version speaks tcp://");
    }
    JOINERY_TRY(auto listener, transport->listen(url, [this](Result<std::unique_ptr<Link>> link) {
        if (!link) return log(LogLevel::warning, std::string(link.error().what));
        const Handle connection = connections_.emplace(connections_.end());
        connection->url = (*link)->remote();
        attach(connection, *std::move(link));
    }));
    listeners_.push_back(std::move(listener));
    return listeners_.back()->url();
}

void Links::keep_connected(std::string url) {
    const Handle connection = connections_.emplace(connections_.end());
    connection->url = std::move(url);
    connection->keep = true;
    dial(connection);
}

void Links::sync(std::string url,
                 std::vector<std::string> patterns,
                 std::chrono::milliseconds timeout,
                 OnSynced done) {
    const Handle connection = connections_.emplace(connections_.end());
    connection->url = std::move(url);
    connection->patterns = std::move(patterns);
    connection->is_once = true;
    connection->on_synced = std::move(done);
    connection->timer = strand_.start_timer(timeout, [this, connection] {
        finish_sync(connection, fail(Errc::busy, "the time limit passed before both were equal"));
        ended(connection, fail(Errc::busy, "time limit"));
    });
    dial(connection);
}

void Links::dial(Handle connection) {
    Transport* transport = transport_for(connection->url);
    if (transport == nullptr) {
        const Error error =
            fail(Errc::unsupported, "no transport for that URL; this version speaks tcp://");
        strand_.post([this, connection, error] {
            if (!closed_) ended(connection, error);
        });
        return;
    }
    transport->connect(connection->url, [this, connection](Result<std::unique_ptr<Link>> link) {
        if (!link) return ended(connection, link.error());
        attach(connection, *std::move(link));
    });
}

void Links::attach(Handle connection, std::unique_ptr<Link> link) {
    session::Options options;
    options.name = options_.name;
    options.device = options_.device;
    options.patterns = connection->patterns;
    options.is_once = connection->is_once;
    connection->link = std::move(link);
    connection->session = std::make_unique<session::Session>(host_, std::move(options));
    connection->error.clear();
    Link::Events events;
    events.on_message = [this, connection](ByteView message) {
        connection->session->on_message(message, clock_.monotonic_now());
        pump(connection);
    };
    events.on_closed = [this, connection](const Result<void>& how) { ended(connection, how); };
    events.on_writable = [this, connection] { pump(connection); };
    connection->link->start(std::move(events));
    pump(connection);
}

/// Moves what the session has to say to the link, as long as there is room.
void Links::pump(Handle connection) {
    take_events(connection);
    while (connection->link && !connection->closing) {
        if (!connection->has_held) {
            if (!connection->session->next_message(connection->held)) break;
            connection->has_held = true;
        }
        const auto sent = connection->link->send(connection->held);
        if (!sent && sent.error().code == Errc::busy) return;
        connection->has_held = false;
        if (!sent) break;
    }
    take_events(connection);
    if (connection->session->is_closed() && !connection->closing) {
        connection->closing = true;
        connection->link->close();
    }
}

void Links::take_events(Handle connection) {
    for (const session::Event& event : connection->session->take_events()) {
        switch (event.kind) {
            case session::Event::Kind::hello: connection->retry_delay = {}; break;
            case session::Event::Kind::diverged:
                ++divergence_count_;
                log(LogLevel::error,
                    "document " + event.document + " diverged: equal changes, unequal digests");
                break;
            case session::Event::Kind::forked:
                log(LogLevel::error,
                    "document " + event.document +
                        ": an actor has two histories; it is not exchanged");
                break;
            case session::Event::Kind::refused:
                log(LogLevel::error,
                    "document " + event.document +
                        " refused: " + std::string(event.error ? event.error->what : "") +
                        (event.text.empty() ? "" : " (" + event.text + ")"));
                break;
            case session::Event::Kind::closed:
                if (event.error) {
                    connection->error = event.error->what;
                    log(LogLevel::warning,
                        "session with " + connection->url +
                            " ended: " + std::string(event.error->what));
                    finish_sync(connection, *event.error);
                } else {
                    finish_sync(connection, report_of(*connection));
                }
                break;
            case session::Event::Kind::received:
            case session::Event::Kind::in_step:
            case session::Event::Kind::acknowledged:
            case session::Event::Kind::stalled: break;
        }
    }
}

SyncReport Links::report_of(const Connection& connection) const {
    const session::Counters& counters = connection.session->counters();
    SyncReport report;
    report.document_count = connection.session->documents().size();
    report.received_count = counters.changes_applied;
    report.sent_count = counters.changes_sent;
    report.received_size = counters.bytes_received;
    report.sent_size = counters.bytes_sent;
    return report;
}

void Links::finish_sync(Handle connection, Result<SyncReport> report) {
    if (!connection->on_synced) return;
    const OnSynced done = std::exchange(connection->on_synced, {});
    done(std::move(report));
}

/// The link is gone, or could not be had.
void Links::ended(Handle connection, const Result<void>& how) {
    if (!how) connection->error = how.error().what;
    if (connection->session) take_events(connection);
    finish_sync(connection,
                how ? fail(Errc::disconnected, "the other side hung up early") : how.error());
    // The link may be what called this: let go of it later.
    strand_.post([this, connection] {
        if (closed_) return;
        connection->link.reset();
        connection->session.reset();
        connection->has_held = false;
        connection->closing = false;
        if (!connection->keep) {
            connections_.erase(connection);
            return;
        }
        connection->retry_delay =
            std::clamp(connection->retry_delay * 2, kRetryDelayMin, kRetryDelayMax);
        connection->timer =
            strand_.start_timer(connection->retry_delay, [this, connection] { dial(connection); });
    });
}

void Links::document_changed(std::string_view id) {
    for (auto connection = connections_.begin(); connection != connections_.end(); ++connection) {
        if (!connection->session || connection->closing) continue;
        connection->session->document_changed(id);
        pump(connection);
    }
}

void Links::tick() {
    if (closed_) return;
    for (auto connection = connections_.begin(); connection != connections_.end(); ++connection) {
        if (!connection->session || connection->closing) continue;
        connection->session->on_time(clock_.monotonic_now());
        pump(connection);
    }
    ticker_ = strand_.start_timer(kTickInterval, [this] { tick(); });
}

std::vector<LinkStatus> Links::status() const {
    std::vector<LinkStatus> out;
    for (const Connection& connection : connections_) {
        LinkStatus status;
        status.url = connection.url;
        status.error = connection.error;
        if (connection.session) {
            const auto& peer = connection.session->peer();
            status.online = peer.has_value();
            if (peer) status.name = peer->name;
            status.in_step = connection.session->is_in_step();
            status.received_size = connection.session->counters().bytes_received;
            status.sent_size = connection.session->counters().bytes_sent;
        }
        out.push_back(std::move(status));
    }
    return out;
}

}  // namespace joinery::detail
