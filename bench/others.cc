// W7 and W9: counters and a list.

#include "bench/measure.h"

namespace joinery::bench {
namespace {

constexpr std::size_t kFullCount = 100'000;

template <class Op>
std::vector<Metric> run(Report& report, Shape shape, const std::vector<Op>& ops, const Plain& end) {
    const Base base = make_base(shape);
    local_writes(report, shape, base, ops, end);
    remote_applies(report, shape, base, ops, end);
    Replica kept(shape, base, 2);
    kept.write(ops, ops.size(), 1, Sends::later);
    sizes(report, "doc", kept, base);
    const Bytes snapshot = crdt::encode_snapshot(kept.document());
    std::vector<double> times;
    for (int i = 0; i < 8; ++i) {
        Plain all;
        times.push_back(milliseconds([&] { all = {load_snapshot(snapshot)->read_root()}; }));
        check(all == end, "loaded document");
    }
    report.add("load.current.all", "ms", median(times));
    return report.take();
}

/// Two replicas increment at once: no increment may be lost.
void check_concurrent(const std::vector<CounterOp>& ops) {
    const Base base = make_base(Shape::counter);
    Replica a(Shape::counter, base, 2), b(Shape::counter, base, 3);
    a.write(ops, 200, 1, Sends::later);
    b.write(ops, 300, 1, Sends::later);
    const auto from_a = a.since();
    a.apply_stream(b.since());
    b.apply_stream(from_a);
    std::vector<CounterOp> all(ops.begin(), ops.begin() + 300);
    all.insert(all.end(), ops.begin(), ops.begin() + 200);
    check(a.all() == counter_state(all, all.size()), "concurrent increments");
    check(a.document().digest() == b.document().digest(), "equal digests");
}

}  // namespace

std::vector<Metric> run_others(std::string_view name, const Size& size) {
    if (name == "W7") {
        const auto ops = counter_ops(size.of(kFullCount));
        check_concurrent(ops);
        Report report("W7", ops.size());
        return run(report, Shape::counter, ops, counter_state(ops, ops.size()));
    }
    const auto ops = list_ops(size.of(kFullCount));
    Report report("W9", ops.size());
    return run(report, Shape::list, ops, list_state(ops, ops.size()));
}

}  // namespace joinery::bench
