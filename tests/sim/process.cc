#include "sim/process.h"

#include "support/json_patch.h"

#include <algorithm>

namespace joinery::sim {
namespace {

/// What a peer among honest ones may complain of: what the simulator did to it.
bool is_expected(std::string_view text) {
    static const std::vector<std::string_view> kExpected{
        "changes could not be stored, trying again: the disk",
        "changes could not be stored, trying again: the store failed earlier",
        "a snapshot could not be made: the disk",
        "a snapshot could not be made: the store failed earlier",
    };
    const auto begins = [&](std::string_view start) { return text.starts_with(start); };
    return std::ranges::any_of(kExpected, begins) ||
           text.find("its key could not be noted: the ") != std::string_view::npos ||
           text.starts_with("what others acknowledged could not be stored: the ");
}

}  // namespace

Process::Process(ProcessSetup setup,
                 const Now& now,
                 persist::MemoryDisk& disk,
                 transport::MemoryNetwork& network,
                 OnFault on_fault)
    : setup_(std::move(setup)),
      disk_(disk),
      network_(network),
      on_fault_(std::move(on_fault)),
      random_(setup_.random_seed),
      clock_(now, setup_.skew),
      strands_{SimStrand(now), SimStrand(now), SimStrand(now), SimStrand(now)} {}

void Process::start() {
    auto store = persist::open_memory_store(disk_, random_, clock_.wall_now());
    if (!store) return on_fault_("store does not open: " + std::string(store.error().what));
    Options options;
    options.name = setup_.host;
    options.flush_interval = setup_.flush_interval;
    options.snapshot_interval = setup_.snapshot_interval;
    options.links = setup_.links;
    options.clock = &clock_;
    options.random = &random_;
    options.authorize = setup_.authorize;
    options.judge = setup_.judge;
    options.log = [this](const LogEntry& entry) { log(entry.level, entry.text); };
    std::vector<std::unique_ptr<Transport>> transports;
    transports.push_back(network_.make_transport(setup_.host));
    auto engine = detail::Engine::open(
        *std::move(store),
        std::move(options),
        {strands_[0],
         strands_[1],
         strands_[2],
         [this](std::function<void()> callback) { strands_[3].post(std::move(callback)); }},
        std::move(transports),
        setup_.lan == nullptr ? nullptr : setup_.lan->join(setup_.host));
    if (!engine) return on_fault_("engine does not open: " + std::string(engine.error().what));
    engine_ = *std::move(engine);
    const auto url = engine_->links().listen("mem://" + setup_.host);
    if (!url) on_fault_("cannot listen: " + std::string(url.error().what));
    for (const std::string& dial : setup_.dials)
        if (!engine_->links().keep_connected(dial)) on_fault_("cannot dial " + dial);
    open_all();
}

void Process::drop() {
    // Nothing that was still to run may run: its process is gone.
    for (SimStrand& strand : strands_)
        strand.clear();
    documents_.clear();
    engine_.reset();
    for (SimStrand& strand : strands_)
        strand.clear();
}

void Process::kill() {
    disk_.kill(core().store());
    drop();
}

Process::Watched* Process::open(const std::string& id, bool create) {
    const auto known = documents_.find(id);
    if (known != documents_.end()) return &known->second;
    const auto core = engine_->core().open_document(id, create);
    if (!core) {
        on_fault_("document does not open: " + std::string(core.error().what));
        return nullptr;
    }
    Watched& watched = documents_[id];
    watched.core = *core;
    watched.copy = *(*core)->read("");
    watched.subscription =
        (*core)->observe("", [this, &watched](const Event& event) { follow(watched, event); });
    return &watched;
}

void Process::open_all() {
    for (const std::string& id : engine_->core().documents())
        open(id, false);
}

void Process::follow(Watched& watched, const Event& event) {
    for (const Patch& patch : event.patches) {
        if (!test::apply_patch(watched.copy, patch)) {
            on_fault_("a patch of " + watched.core->id() + " does not fit at " + patch.path);
        }
    }
}

void Process::log(LogLevel level, std::string_view text) {
    if (level < LogLevel::warning || is_expected(text)) return;
    const bool is_renewal = text.find("of this store's own actor") != std::string_view::npos;
    if (setup_.may_be_put_back && is_renewal) return;
    const bool is_turned_away =
        text.find(" let in") != std::string_view::npos ||
        text.find("; where that is right,") != std::string_view::npos ||
        text.find("finding peers: the network is down") != std::string_view::npos ||
        text.find("too many links") != std::string_view::npos;
    if (setup_.may_turn_away && is_turned_away) return;
    const bool is_fork = text.find("an actor has two histories") != std::string_view::npos;
    if (setup_.may_meet_forks && is_fork) return;
    on_fault_("log: " + std::string(text));
}

}  // namespace joinery::sim
