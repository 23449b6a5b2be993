// Speaks the --external protocol of the peers' harness: --workload NAME [--quick], and --streams.

#include "bench/hub.h"
#include "bench/streams.h"
#include "bench/workloads.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace joinery::bench {

std::vector<Metric> run_workload(std::string_view name, const Size& size) {
    if (name == "W8") return {};  // There is no text yet.
    if (name == "W7" || name == "W9") return run_others(name, size);
    if (name == "W10" || name == "store") return run_stores(name, size);
    if (name == "W11" || name == "W12") return run_links(name, size);
    if (name == "W14" || name == "W15") return run_crowd(name, size);
    if (name == "W16") return run_w16(size);
    if (name == "live") return run_live(size);
    return run_maps(name, size);
}

namespace {

void print_streams() {
    for (const StreamHash& stream : describe_streams()) {
        std::printf("%s: %zu lines, FNV-1a-32 %08x\n",
                    stream.name.c_str(),
                    stream.line_count,
                    stream.fnv1a);
    }
}

void print_metrics(const std::vector<Metric>& metrics) {
    auto all = nlohmann::json::array();
    for (const Metric& metric : metrics) {
        all.push_back(
            {{"metric", metric.name},
             {"unit", metric.unit},
             {"better", metric.unit == "ops/s" || metric.unit == "%" ? "higher" : "lower"},
             {"value", metric.value},
             {"n", metric.count},
             {"full", metric.count}});
    }
    std::printf("%s\n", all.dump().c_str());
}

int run(int argc, char** argv) {
    CLI::App app("Runs one workload of the peers' harness and prints its metrics as JSON.");
    std::string workload;
    bool is_quick = false;
    bool wants_streams = false;
    std::string served;
    app.add_option("--workload", workload)
        ->check(CLI::IsMember({"W1",
                               "W2",
                               "W3",
                               "W4",
                               "W5",
                               "W6",
                               "W7",
                               "W8",
                               "W9",
                               "W10",
                               "W11",
                               "W12",
                               "W14",
                               "W15",
                               "W16",
                               "store",
                               "live"}));
    app.add_flag("--quick", is_quick, "a twentieth of every size");
    app.add_flag("--streams", wants_streams, "print the hashes of the operation streams");
    app.add_option("--serve", served, "be the hub of W14 and W15 on the store in this folder");
    CLI11_PARSE(app, argc, argv);
    if (wants_streams) {
        print_streams();
    } else if (!served.empty()) {
        serve_hub(served);
    } else if (workload.empty()) {
        std::fputs(app.help().c_str(), stderr);
        return 2;
    } else {
        print_metrics(run_workload(workload, {is_quick ? std::size_t{20} : std::size_t{1}}));
    }
    return 0;
}

}  // namespace
}  // namespace joinery::bench

int main(int argc, char** argv) {
    try {
        return joinery::bench::run(argc, argv);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "joinery_bench: %s\n", error.what());
        return 1;
    }
}
