// Live registers: a million writes against one write each, over a real store.

#include "crdt/live.h"

#include "bench/folder.h"
#include "bench/measure.h"

namespace joinery::bench {
namespace {

constexpr std::size_t kFullCount = 1'000'000;

double disk_size(const std::filesystem::path& folder) {
    double size = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
        if (entry.is_regular_file()) size += static_cast<double>(entry.file_size());
    }
    return size;
}

/// Bytes of the records of live values in the store.
double record_size(const std::filesystem::path& folder) {
    const auto store = open_store(folder);
    check(store.has_value(), "store");
    const auto reader = (*store)->read();
    double size = 0;
    for (Bytes key;;) {
        const auto found = (*reader)->first_at_or_after(Table::live, key);
        check(found.has_value(), "live record");
        if (!*found) return size;
        size += static_cast<double>((*found)->key.size() + (*found)->value.size());
        key.assign((*found)->key.begin(), (*found)->key.end());
        key.push_back(0);
    }
}

std::vector<LiveRegister> registers_of(Document& document, std::size_t count) {
    std::vector<LiveRegister> registers;
    for (std::size_t i = 0; i < count; ++i) {
        auto live = document.live("/m" + std::to_string(i));
        check(live.has_value(), "live register");
        registers.push_back(*std::move(live));
    }
    return registers;
}

/// @p writes in all, in turn to @p count registers, then a flush; into a store of its own.
void measure_store(Report& report, std::string_view label, std::size_t count, std::size_t writes) {
    const Folder folder;
    double time = 0;
    {
        const auto peer = open_peer(folder.path() / "a");
        auto document = *peer->document("bench");
        const auto registers = registers_of(document, count);
        time = milliseconds([&] {
            for (std::size_t i = 0; i < writes; ++i) {
                const Value value(static_cast<double>(i) * 0.5);
                check(registers[i % count].set(value).has_value(), "live write");
            }
            check(peer->flush().has_value(), "flush");
        });
        const auto last = document.read("/m" + std::to_string((writes - 1) % count));
        check(last && last->scalar().as_real() == static_cast<double>(writes - 1) * 0.5, "value");
    }
    const std::string name(label);
    report.add(name + ".time", "ms", time);
    report.add(name + ".rate", "ops/s", static_cast<double>(writes) / time * 1000);
    report.add(name + ".disk", "bytes", disk_size(folder.path() / "a"));
    report.add(name + ".records", "bytes", record_size(folder.path() / "a"));
}

/// The same in memory alone: bytes of the registers, and the time of a write.
void measure_memory(Report& report, std::string_view label, std::size_t count, std::size_t writes) {
    crdt::Live live("bench");
    const crdt::ActorProof actor;
    std::vector<std::string> keys;
    for (std::size_t i = 0; i < count; ++i)
        keys.push_back("m" + std::to_string(i));
    const double time = milliseconds([&] {
        for (std::size_t i = 0; i < writes; ++i) {
            const Value value(static_cast<double>(i));
            const auto now = WallTime(static_cast<std::int64_t>(i / 1000));
            check(live.write(crdt::PathId(), keys[i % count], &value, now, actor).has_value(),
                  "live write");
        }
    });
    report.add(std::string(label) + ".state", "bytes", static_cast<double>(live.memory_size()));
    if (writes > count) {
        report.add(std::string(label) + ".memory.rate",
                   "ops/s",
                   static_cast<double>(writes) / time * 1000);
    }
}

}  // namespace

std::vector<Metric> run_live(const Size& size) {
    const std::size_t writes = size.of(kFullCount);
    Report report("live", writes);
    for (const std::size_t count : {std::size_t{1}, std::size_t{500}}) {
        const std::string label = "r" + std::to_string(count);
        measure_memory(report, label + ".once", count, count);
        measure_memory(report, label + ".many", count, writes);
        measure_store(report, label + ".once", count, count);
        measure_store(report, label + ".many", count, writes);
    }
    return report.take();
}

}  // namespace joinery::bench
