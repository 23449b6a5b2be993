// Google Benchmark's view of the same workloads: time an operation, for one change at a time of the
// code under it.

#include "bench/measure.h"

#include <benchmark/benchmark.h>

namespace joinery::bench {
namespace {

constexpr std::size_t kCount = 100'000;

template <class Op>
void write_locally(benchmark::State& state, Shape shape, const std::vector<Op>& ops, Sends sends) {
    const Base base = make_base(shape);
    const auto every = static_cast<std::size_t>(state.range(0));
    for (auto _ : state) {
        state.PauseTiming();
        Replica replica(shape, base, 2);
        state.ResumeTiming();
        replica.write(ops, ops.size(), every, sends);
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(ops.size()));
}

template <class Op>
void apply_each(benchmark::State& state, Shape shape, const std::vector<Op>& ops) {
    const Base base = make_base(shape);
    Replica writer(shape, base, 2);
    writer.write(ops, ops.size(), static_cast<std::size_t>(state.range(0)), Sends::messages);
    for (auto _ : state) {
        state.PauseTiming();
        Replica reader(shape, base, 3);
        state.ResumeTiming();
        reader.apply_each(writer.messages());
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(ops.size()));
}

void w1(benchmark::State& state) {
    write_locally(state, Shape::map, map_ops(kCount), Sends::nothing);
}
void w1_with_messages(benchmark::State& state) {
    write_locally(state, Shape::map, map_ops(kCount), Sends::messages);
}
void w2(benchmark::State& state) { apply_each(state, Shape::map, map_ops(kCount)); }
void w7(benchmark::State& state) {
    write_locally(state, Shape::counter, counter_ops(kCount), Sends::nothing);
}
void w7_remote(benchmark::State& state) { apply_each(state, Shape::counter, counter_ops(kCount)); }
void w9(benchmark::State& state) {
    write_locally(state, Shape::list, list_ops(kCount), Sends::nothing);
}
void w9_remote(benchmark::State& state) { apply_each(state, Shape::list, list_ops(kCount)); }

void w3_batch(benchmark::State& state) {
    const Base base = make_base(Shape::map);
    std::vector<std::vector<Bytes>> updates;
    for (std::uint32_t i = 0; i < kReplicaCount; ++i) {
        const auto ops = map_ops(1000, kMergeSeed + i);
        Replica replica(Shape::map, base, 100 + i);
        replica.write(ops, ops.size(), 1, Sends::later);
        updates.push_back(replica.since());
    }
    for (auto _ : state) {
        state.PauseTiming();
        Replica reader(Shape::map, base, 2);
        state.ResumeTiming();
        reader.apply_streams(updates);
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kCount));
}

void w5_load(benchmark::State& state) {
    const Base base = make_base(Shape::map);
    const auto ops = map_ops(kCount);
    Replica writer(Shape::map, base, 2);
    writer.write(ops, ops.size(), 1, Sends::nothing);
    const Bytes snapshot = crdt::encode_snapshot(writer.document());
    for (auto _ : state)
        benchmark::DoNotOptimize(load_snapshot(snapshot));
}

BENCHMARK(w1)->Arg(1)->Arg(100)->Unit(benchmark::kMillisecond);
BENCHMARK(w1_with_messages)->Arg(1)->Arg(100)->Unit(benchmark::kMillisecond);
BENCHMARK(w2)->Arg(1)->Arg(100)->Unit(benchmark::kMillisecond);
BENCHMARK(w3_batch)->Unit(benchmark::kMillisecond);
BENCHMARK(w5_load)->Unit(benchmark::kMillisecond);
BENCHMARK(w7)->Arg(1)->Arg(100)->Unit(benchmark::kMillisecond);
BENCHMARK(w7_remote)->Arg(1)->Unit(benchmark::kMillisecond);
BENCHMARK(w9)->Arg(1)->Arg(100)->Unit(benchmark::kMillisecond);
BENCHMARK(w9_remote)->Arg(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace joinery::bench

BENCHMARK_MAIN();
