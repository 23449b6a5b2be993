#include "engine/engine.h"

#include "engine/trust.h"

namespace joinery::detail {

Result<std::unique_ptr<Engine>> Engine::open(std::unique_ptr<Store> store,
                                             joinery::Options options,
                                             Strands strands,
                                             std::vector<std::unique_ptr<Transport>> transports) {
    std::unique_ptr<Engine> engine(new Engine(std::move(options), std::move(strands)));
    Engine* const raw = engine.get();
    const joinery::Options& own = engine->options_;
    Core::Hooks hooks;
    hooks.on_pending = [raw] {
        if (raw->writer_) raw->writer_->wake();
    };
    hooks.run_callback = engine->strands_.run_callback;
    hooks.log = [raw](LogLevel level, const std::string& text) { raw->log(level, text); };
    JOINERY_TRY(engine->core_,
                Core::open(std::move(store), *own.clock, *own.random, std::move(hooks)));
    const auto log = [raw](LogLevel level, const std::string& text) { raw->log(level, text); };
    const auto admits = [raw](const LinkRequest& request) { return raw->admits(request); };
    engine->links_ = std::make_unique<Links>(
        Links::Surroundings{
            engine->strands_.links, *engine->core_, engine->core_->key(), *own.clock, *own.random},
        Links::Options{own.name, own.links, admits, log},
        std::move(transports));
    Writer::Options writer_options;
    writer_options.flush_interval = own.flush_interval;
    writer_options.poll_interval = own.poll_interval;
    writer_options.on_changed = [raw](const Core::Changed& changed) { raw->committed(changed); };
    writer_options.on_error = [raw](const Error& error) {
        raw->log(LogLevel::error,
                 "changes could not be stored, trying again: " + std::string(error.what));
    };
    engine->writer_ = std::make_unique<Writer>(
        *engine->core_, engine->strands_.writer, std::move(writer_options));
    return engine;
}

void Engine::log(LogLevel level, std::string_view text) const {
    if (options_.log) options_.log(level, text);
}

Result<bool> Engine::admits(LinkRequest request) const {
    JOINERY_TRY(const Standing standing, standing_of(core_->store(), request.device));
    request.is_trusted = standing.is_trusted || request.device == core_->device();
    request.is_let_in = request.is_trusted || standing.is_list_empty;
    return options_.authorize ? options_.authorize(request) : request.is_let_in;
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
            log(LogLevel::warning,
                "a snapshot could not be made: " + std::string(made.error().what));
        }
    });
}

}  // namespace joinery::detail
