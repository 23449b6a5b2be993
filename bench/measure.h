/// @file
/// What the workloads share: a report, a clock, and the runs that W1, W2, W7 and W9 have in common.
#pragma once

#include "bench/replica.h"
#include "bench/workloads.h"
#include "crdt/snapshot.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <stdexcept>

namespace joinery::bench {

class Report {
  public:
    Report(std::string workload, std::size_t count)
        : workload_(std::move(workload)), count_(count) {}
    void add(std::string_view name, std::string_view unit, double value) {
        metrics_.push_back({workload_ + "." + std::string(name), std::string(unit), value, count_});
    }
    void rate(std::string_view name, double milliseconds) {
        add(name, "ops/s", static_cast<double>(count_) / milliseconds * 1000);
    }
    std::size_t count() const noexcept { return count_; }
    std::vector<Metric> take() { return std::move(metrics_); }

  private:
    std::string workload_;
    std::size_t count_;
    std::vector<Metric> metrics_;
};

/// Milliseconds that @p body takes.
template <class Body>
double milliseconds(Body&& body) {
    const auto start = std::chrono::steady_clock::now();
    body();
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
        .count();
}

inline double median(std::vector<double> values) {
    std::ranges::sort(values);
    const std::size_t middle = values.size() / 2;
    return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

inline void check(bool holds, const char* what) {
    if (!holds) throw std::runtime_error(std::string("wrong result: ") + what);
}

inline double size_of(const std::vector<Bytes>& all) {
    double size = 0;
    for (const Bytes& bytes : all)
        size += static_cast<double>(bytes.size());
    return size;
}

/// Commits of one operation and of a hundred, without and with the message of each.
template <class Op>
void local_writes(
    Report& report, Shape shape, const Base& base, const std::vector<Op>& ops, const Plain& end) {
    for (const std::size_t every : {std::size_t{1}, std::size_t{100}}) {
        for (const bool sends : {false, true}) {
            Replica replica(shape, base, 2);
            const double time = milliseconds([&] {
                replica.write(ops, ops.size(), every, sends ? Sends::messages : Sends::nothing);
            });
            check(replica.all() == end, "local writes");
            report.rate("local.c" + std::to_string(every) + (sends ? "+msg" : ""), time);
        }
    }
}

/// What a writer made, applied message by message, as a backlog and as one update.
template <class Op>
void remote_applies(
    Report& report, Shape shape, const Base& base, const std::vector<Op>& ops, const Plain& end) {
    const auto apply = [&](std::string_view name, const std::function<void(Replica&)>& body) {
        Replica reader(shape, base, 3);
        const double time = milliseconds([&] { body(reader); });
        check(reader.all() == end, "remote applies");
        report.rate(name, time);
    };
    for (const std::size_t every : {std::size_t{1}, std::size_t{100}}) {
        Replica writer(shape, base, 2);
        writer.write(ops, ops.size(), every, Sends::messages);
        const std::string name = "remote.c" + std::to_string(every);
        apply(name + ".each", [&](Replica& r) { r.apply_each(writer.messages()); });
        if (every == 1 && shape == Shape::map) {
            apply(name + ".backlog", [&](Replica& r) { r.apply_backlog(writer.messages()); });
        }
    }
    Replica writer(shape, base, 2);
    writer.write(ops, ops.size(), 1, Sends::later);
    std::vector<Bytes> bulk;
    report.add("bulk.encode", "ms", milliseconds([&] { bulk = writer.since(); }));
    report.add("bulk.bytes", "bytes", size_of(bulk));
    apply("remote.bulk", [&](Replica& r) { r.apply_stream(bulk); });
    // What a newcomer is given first: the state as it is, without the way there.
    const Bytes snapshot = crdt::encode_snapshot(writer.document());
    double time = 0;
    Plain all;
    time = milliseconds([&] { all = {load_snapshot(snapshot)->read_root()}; });
    check(all == end, "snapshot");
    report.rate("remote.snapshot", time);
}

/// Sizes of the whole document: with its history, and as it is now.
inline void sizes(Report& report, std::string_view label, Replica& writer, const Base& base) {
    const double history = size_of(writer.since()) + static_cast<double>(base.changes.size());
    report.add(std::string(label) + ".history.bytes", "bytes", history);
    const Bytes snapshot = crdt::encode_snapshot(writer.document());
    report.add(
        std::string(label) + ".current.bytes", "bytes", static_cast<double>(snapshot.size()));
}

/// Bytes of this process that are in memory.
double resident_size();

}  // namespace joinery::bench
