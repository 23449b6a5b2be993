// W14: what a link and a document cost a hub. W15: one writer and many readers.

#include "bench/hub.h"

#include <algorithm>
#include <atomic>
#include <chrono>

namespace joinery::bench {
namespace {

using Moment = std::chrono::steady_clock::time_point;
using std::chrono_literals::operator""ms;

constexpr std::size_t kDocumentsOfMember = 10;

void fill_store(const std::filesystem::path& folder, std::size_t members, std::size_t documents) {
    const auto peer = open_peer(folder);
    for (std::size_t member = 0; member < members; ++member) {
        for (std::size_t i = 0; i < documents; ++i) {
            auto document =
                peer->document("of/" + std::to_string(member) + "/" + std::to_string(i));
            check(document.has_value(), "document");
            const auto body = [&](Tx& tx) {
                return tx.set("/title", Value("document " + std::to_string(i)));
            };
            check(document->transact(body).has_value(), "change");
        }
    }
    check(peer->flush().has_value(), "flush");
}

void wait_until(const std::function<bool()>& is_so) {
    const Moment end = std::chrono::steady_clock::now() + std::chrono::minutes(5);
    while (!is_so()) {
        check(std::chrono::steady_clock::now() < end, "in step within five minutes");
        std::this_thread::sleep_for(20ms);
    }
}

void join(Crowd& crowd,
          const Hub& hub,
          std::size_t count,
          const std::function<void(const Event&)>& on_event) {
    for (std::size_t i = 0; i < count; ++i)
        crowd.add(hub.url(), "all/one", on_event);
    wait_until([&] { return crowd.count_in_step() == crowd.size(); });
}

/// 1,000 links to a hub: without documents, and with ten each that nobody else has.
std::vector<Metric> run_w14(const Size& size) {
    Report report("W14", size.of(1000));
    const auto links = static_cast<double>(report.count());
    std::vector<double> per_link;
    for (const std::size_t documents : {std::size_t{0}, kDocumentsOfMember}) {
        const Folder folder;
        fill_store(folder.path() / "hub", report.count(), documents);
        const Hub hub((folder.path() / "hub").string());
        const std::uint64_t idle = hub.memory();
        Crowd crowd;
        const double time =
            milliseconds([&] { join(crowd, hub, report.count(), [](const Event&) {}); });
        per_link.push_back(static_cast<double>(hub.memory() - idle) / links);
        if (documents == 0) continue;
        report.add("idle", "bytes", static_cast<double>(idle));
        report.add("all.in.step", "ms", time);
    }
    report.add("link", "bytes", per_link[0]);
    report.add(
        "document", "bytes", (per_link[1] - per_link[0]) / static_cast<double>(kDocumentsOfMember));
    return report.take();
}

/// From a transaction of one peer to the callbacks of all others, through a hub.
std::vector<Metric> run_w15(const Size& size) {
    Report report("W15", size.of(1000));
    const Folder folder;
    const Hub hub((folder.path() / "hub").string());
    Crowd crowd;
    constexpr std::size_t kRounds = 20;
    std::vector<Moment> arrivals;
    std::atomic<std::size_t> arrived{0};
    // The crowd's thread alone.
    join(crowd, hub, report.count(), [&](const Event& event) {
        if (event.local) return;
        arrivals.push_back(std::chrono::steady_clock::now());
        ++arrived;
    });
    const auto writer = open_peer(folder.path() / "writer");
    check(writer->connect(hub.url()).has_value(), "link");
    auto document = *writer->document("all/one");
    std::vector<Moment> made;
    for (std::size_t round = 0; round < kRounds; ++round) {
        made.push_back(std::chrono::steady_clock::now());
        const auto body = [&](Tx& tx) {
            return tx.set("/n", Value(static_cast<std::int64_t>(round)));
        };
        check(document.transact(body).has_value(), "change");
        wait_until([&] { return arrived == (round + 1) * report.count(); });
    }
    std::vector<double> firsts, times;
    // The first round includes the writer's own joining.
    for (std::size_t i = report.count(); i < arrivals.size(); ++i) {
        const std::size_t round = i / report.count();
        const double time =
            std::chrono::duration<double, std::milli>(arrivals[i] - made[round]).count();
        times.push_back(time);
        if (i % report.count() == 0) firsts.push_back(time);
    }
    std::ranges::sort(times);
    report.add("first", "ms", median(firsts));
    report.add("p50", "ms", times[times.size() / 2]);
    report.add("p99", "ms", times[times.size() * 99 / 100]);
    return report.take();
}

}  // namespace

std::vector<Metric> run_crowd(std::string_view name, const Size& size) {
    return name == "W14" ? run_w14(size) : run_w15(size);
}

}  // namespace joinery::bench
