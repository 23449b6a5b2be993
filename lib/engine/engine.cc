#include "engine/engine.h"

#include "engine/fault_entry.h"
#include "engine/trust.h"
#include "transport/url.h"

namespace joinery::detail {
namespace {

constexpr std::chrono::seconds kAcknowledgedDelay{1};
/// After a signature of 17 us and its verification of 50, before the next is made: so that under
/// load what is made meanwhile is sealed as one.
constexpr std::chrono::microseconds kSealWindow{70};

}  // namespace

Result<std::unique_ptr<Engine>> Engine::open(std::unique_ptr<Store> store,
                                             joinery::Options options,
                                             Strands strands,
                                             std::vector<std::unique_ptr<Transport>> transports,
                                             std::unique_ptr<DatagramGroup> group) {
    std::unique_ptr<Engine> engine(new Engine(std::move(options), std::move(strands)));
    Engine* const raw = engine.get();
    const joinery::Options& own = engine->options_;
    Core::Hooks hooks;
    hooks.on_pending = [raw] { raw->wake_writer(); };
    hooks.run_callback = engine->strands_.run_callback;
    hooks.after = [raw](MonotonicTime delay, std::function<void()> task) {
        raw->strands_.links.post([raw, delay, task = std::move(task)]() mutable {
            raw->run_after(delay, std::move(task));
        });
    };
    hooks.on_presence = [raw](const std::string& id) {
        raw->strands_.links.post([raw, id] { raw->links_->presence_changed(id); });
    };
    hooks.judge = own.judge;
    hooks.log = [raw](const LogEntry& entry) { raw->log(entry); };
    if (!own.durable_first) {
        hooks.on_unsent = [raw](DocumentCore& document) { raw->send_soon(document); };
    }
    JOINERY_TRY(engine->core_,
                Core::open(std::move(store), *own.clock, *own.random, std::move(hooks)));
    const auto log = [raw](const LogEntry& entry) { raw->log(entry); };
    const auto admits = [raw](const LinkRequest& request) { return raw->admits(request); };
    engine->links_ =
        std::make_unique<Links>(Links::Surroundings{engine->strands_.links,
                                                    *engine->core_,
                                                    engine->core_->key(),
                                                    *own.clock,
                                                    *own.random,
                                                    engine->core_->run()},
                                Links::Options{own.name,
                                               own.links,
                                               admits,
                                               log,
                                               [raw](std::string_view document,
                                                     const DeviceKey& device,
                                                     const session::Frontier& durable) {
                                                   raw->acknowledged(document, device, durable);
                                               }},
                                std::move(transports));
    if (group) engine->start_lan(std::move(group));
    Writer::Options writer_options;
    writer_options.clock = own.clock;
    writer_options.metrics = &engine->write_metrics_;
    writer_options.flush_interval = own.flush_interval;
    writer_options.poll_interval = own.poll_interval;
    writer_options.on_changed = [raw](const Core::Changed& changed) { raw->committed(changed); };
    writer_options.on_error = [raw](const Error& error) {
        raw->log(fault_entry(LogLevel::error,
                             "store.write_failed",
                             "changes could not be stored, trying again",
                             error));
    };
    engine->writer_ = std::make_unique<Writer>(
        *engine->core_, engine->strands_.writer, std::move(writer_options));
    return engine;
}

void Engine::start_lan(std::unique_ptr<DatagramGroup> group) {
    lan_ = std::make_unique<Lan>(
        Links::Surroundings{
            strands_.links, *core_, core_->key(), *options_.clock, *options_.random, core_->run()},
        Lan::Options{options_.discover,
                     options_.name,
                     [this](const DeviceKey& device, std::string_view url) {
                         return admits_found(device, url);
                     },
                     [this](const LogEntry& entry) { log(entry); }},
        *links_,
        std::move(group));
}

void Engine::close() {
    tasks_.clear();
    if (lan_) lan_->close();
    links_->close();
}

void Engine::log(const LogEntry& entry) const {
    if (options_.log) options_.log(entry);
}

Result<std::optional<Access>> Engine::admits(LinkRequest request) {
    JOINERY_TRY(request.granted, access_of(core_->store(), request.device));
    if (!request.granted && request.device == core_->device()) request.granted = Access();
    request.is_trusted = request.granted.has_value();
    Meeting meeting;
    if (!request.granted && request.is_dialled && !request.is_found) {
        JOINERY_TRY(meeting, meet(request));
        request.has_changed = meeting.known.has_value();
        if (!request.has_changed) request.granted = Access();
    }
    if (options_.authorize) request.granted = options_.authorize(request);
    if (request.granted && meeting.is_first) note_answer(request);
    if (request.granted || !request.has_changed) return request.granted;
    log({LogLevel::error,
         "link.other_key",
         std::string(request.url) + ": the key " + to_hex(request.device.view()) +
             " answers, at first it was " + to_hex(meeting.known->view()) +
             "; where that is right, `joinery trust remove` of the first one forgets it",
         {},
         std::string(request.url),
         request.device,
         Errc::untrusted});
    return fail(Errc::untrusted, "another key answers there than at first");
}

bool Engine::admits_found(const DeviceKey& device, std::string_view url) {
    LinkRequest request;
    request.device = device;
    request.url = url;
    request.is_dialled = true;
    request.is_found = true;
    const auto granted = admits(request);
    return granted && granted->has_value();
}

/// Whether who answers where this peer dialled is whom it meant: the key that was given with the
/// URL, or the one that answered there first. Programs of this machine come and go under one
/// address, and nobody else can answer there.
Result<Engine::Meeting> Engine::meet(const LinkRequest& request) const {
    const auto url = transport::parse_url(request.url);
    if (request.is_named || !url || transport::is_loopback(url->host)) return Meeting();
    JOINERY_TRY(const auto known, key_at(core_->store(), request.url));
    if (!known) return Meeting{true, {}};
    return *known == request.device ? Meeting() : Meeting{false, known};
}

/// On the writer's strand: a store may take its time to write.
void Engine::note_answer(const LinkRequest& request) {
    strands_.writer.post([this, at = std::string(request.url), device = request.device] {
        const auto noted = note_key_at(core_->store(), at, device);
        if (noted) return;
        LogEntry entry = fault_entry(LogLevel::warning,
                                     "store.key_not_noted",
                                     at + ": its key could not be noted",
                                     noted.error());
        entry.url = at;
        entry.device = device;
        log(entry);
    });
}

std::vector<Metric> Engine::metrics() const {
    std::vector<Metric> out;
    out.push_back(gauge_metric("joinery_documents_open",
                               "Documents that are in memory.",
                               static_cast<double>(core_->open_count())));
    out.push_back(counter_metric("joinery_changes_refused_total",
                                 "Changes of others that this peer refused, as the authority.",
                                 core_->refused_count()));
    write_metrics_.add_to(out);
    links_->add_metrics(out);
    return out;
}

void Engine::run_after(MonotonicTime delay, std::function<void()> task) {
    const std::uint64_t number = ++last_task_;
    tasks_[number] = strands_.links.start_timer(delay, [this, number, run = std::move(task)] {
        const Strand::Timer timer = std::move(tasks_[number]);  // Holds this very task.
        tasks_.erase(number);
        run();
    });
}

void Engine::wake_writer() {
    if (!writer_) return;
    if (options_.durable_first || !links_->has_sessions()) return writer_->wake();
    // To wake a thread takes its time: what goes to others goes first.
    if (is_waking_writer_.exchange(true)) return;
    strands_.links.post([this] {
        is_waking_writer_ = false;
        writer_->wake();
    });
}

void Engine::send_soon(DocumentCore& document) {
    if (!links_ || !links_->has_sessions() || document.is_send_due.exchange(true)) return;
    strands_.links.post([this, it = document.shared_from_this()] { send(it); });
}

void Engine::send(const std::shared_ptr<DocumentCore>& document) {
    to_send_.push_back(document);
    if (send_timer_) return;
    const MonotonicTime now = options_.clock->monotonic_now();
    if (now >= next_send_) return send_due();
    send_timer_ = strands_.links.start_timer(next_send_ - now, [this] { send_due(); });
}

void Engine::send_due() {
    send_timer_.reset();
    std::size_t seal_count = 0;
    for (const auto& document : std::exchange(to_send_, {})) {
        // Before, not after: what is made from now on asks again.
        document->is_send_due = false;
        seal_count += document->seal_for_others();
        links_->document_changed(document->id());
    }
    // At worst, changes leave with the commit that would have sealed them.
    const MonotonicTime window = std::min<MonotonicTime>(
        kSealWindow * static_cast<std::int64_t>(seal_count), options_.flush_interval);
    next_send_ = options_.clock->monotonic_now() + window;
}

/// What is heard is stored within a second: were it lost, whoever said it would say it again.
void Engine::acknowledged(std::string_view document,
                          const DeviceKey& device,
                          const session::Frontier& durable) {
    const bool is_due = core_->acknowledged(document, device, durable);
    if (!is_due || is_storing_acknowledged_.exchange(true)) return;
    strands_.writer.post([this] {
        acknowledged_timer_ = strands_.writer.start_timer(kAcknowledgedDelay, [this] {
            is_storing_acknowledged_ = false;
            const auto done = core_->write_acknowledged();
            if (done) return;
            log(fault_entry(LogLevel::warning,
                            "store.acknowledgements_failed",
                            "what others acknowledged could not be stored",
                            done.error()));
        });
    });
}

void Engine::committed(const Core::Changed& changed) {
    bool snapshot_due = false;
    for (const auto& document : changed) {
        snapshot_due =
            snapshot_due || document->snapshot_due(options_.snapshot_interval).has_value();
        strands_.links.post([this, document] { links_->document_changed(document->id()); });
    }
    if (!snapshot_due || snapshotting_.exchange(true)) return;
    strands_.snapshots.post([this] {
        snapshotting_ = false;
        const auto made = core_->make_snapshots(options_.snapshot_interval);
        if (!made) {
            log(fault_entry(LogLevel::warning,
                            "store.snapshot_failed",
                            "a snapshot could not be made",
                            made.error()));
        }
    });
}

}  // namespace joinery::detail
