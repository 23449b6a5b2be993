// Google Benchmark's view of the same workloads: time an operation, for one change at a time of the
// code under it.

#include "bench/measure.h"
#include "crdt/transaction.h"

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

/// The same changes as they come when they waited: message by message, and as one update.
template <class Apply>
void apply_map_writes(benchmark::State& state, Sends sends, Apply&& apply) {
    const Base base = make_base(Shape::map);
    const auto ops = map_ops(kCount);
    Replica writer(Shape::map, base, 2);
    writer.write(ops, ops.size(), 1, sends);
    const std::vector<Bytes> made =
        sends == Sends::later ? writer.since() : std::vector<Bytes>(writer.messages());
    for (auto _ : state) {
        state.PauseTiming();
        Replica reader(Shape::map, base, 3);
        state.ResumeTiming();
        apply(reader, made);
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(ops.size()));
}
void w2_backlog(benchmark::State& state) {
    apply_map_writes(state, Sends::messages, [](Replica& reader, const auto& messages) {
        reader.apply_backlog(messages);
    });
}
void w2_bulk(benchmark::State& state) {
    apply_map_writes(state, Sends::later, [](Replica& reader, const auto& stream) {
        reader.apply_stream(stream);
    });
}

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

/// A document of one container with @p count entries.
class Large {
  public:
    Large(crdt::Kind kind, std::size_t count) {
        {
            crdt::Transaction t(document_, chain_, WallTime(1));
            container_ = *t.make(crdt::kRoot, *t.key("large"), kind);
            check(t.commit().has_value(), "commit");
        }
        // A change holds 8 MiB.
        for (std::size_t end = 0; slots_.size() < count;) {
            end = std::min(count, end + 10'000);
            fill(kind, end);
        }
        document_.digest();
    }
    void write_one() {
        random_ = random_ * 6364136223846793005U + 1442695040888963407U;
        const std::uint32_t slot = slots_[(random_ >> 33U) % slots_.size()];
        crdt::Transaction t(document_, chain_, WallTime(2));
        check(t.put(container_, slot, Value(static_cast<std::int64_t>(random_ >> 1U))).has_value(),
              "put");
        check(t.commit().has_value(), "commit");
        document_.clear_outgoing();
    }
    crdt::Document& document() { return document_; }

  private:
    void fill(crdt::Kind kind, std::size_t end) {
        crdt::Transaction t(document_, chain_, WallTime(1));
        for (std::size_t i = slots_.size(); i < end; ++i) {
            const Value value(static_cast<std::int64_t>(i));
            if (kind == crdt::Kind::list) {
                slots_.push_back(*t.insert(container_, i, {crdt::Kind::none, value}));
            } else {
                slots_.push_back(*t.key("key " + std::to_string(i)));
                check(t.put(container_, slots_.back(), value).has_value(), "put");
            }
        }
        check(t.commit().has_value(), "commit");
        document_.clear_outgoing();
    }

    crdt::Document document_{"bench"};
    crdt::ChainIndex chain_ = document_.names().intern_actor(ActorId{});
    crdt::ContainerIndex container_ = crdt::kRoot;
    std::vector<std::uint32_t> slots_;
    std::uint64_t random_ = 1;
};

/// What a session pays after an exchange that brought one write.
void digest_after_write(benchmark::State& state, crdt::Kind kind) {
    Large large(kind, static_cast<std::size_t>(state.range(0)));
    for (auto _ : state) {
        large.write_one();
        benchmark::DoNotOptimize(large.document().digest());
    }
}
void digest_of_map(benchmark::State& state) { digest_after_write(state, crdt::Kind::map); }
void digest_of_list(benchmark::State& state) { digest_after_write(state, crdt::Kind::list); }

BENCHMARK(digest_of_map)->Arg(100)->Arg(10'000)->Arg(1'000'000)->Unit(benchmark::kMicrosecond);
BENCHMARK(digest_of_list)->Arg(100)->Arg(10'000)->Arg(1'000'000)->Unit(benchmark::kMicrosecond);
BENCHMARK(w1)->Arg(1)->Arg(100)->Unit(benchmark::kMillisecond);
BENCHMARK(w1_with_messages)->Arg(1)->Arg(100)->Unit(benchmark::kMillisecond);
BENCHMARK(w2)->Arg(1)->Arg(100)->Unit(benchmark::kMillisecond);
BENCHMARK(w2_backlog)->Unit(benchmark::kMillisecond);
BENCHMARK(w2_bulk)->Unit(benchmark::kMillisecond);
BENCHMARK(w3_batch)->Unit(benchmark::kMillisecond);
BENCHMARK(w5_load)->Unit(benchmark::kMillisecond);
BENCHMARK(w7)->Arg(1)->Arg(100)->Unit(benchmark::kMillisecond);
BENCHMARK(w7_remote)->Arg(1)->Unit(benchmark::kMillisecond);
BENCHMARK(w9)->Arg(1)->Arg(100)->Unit(benchmark::kMillisecond);
BENCHMARK(w9_remote)->Arg(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace joinery::bench

BENCHMARK_MAIN();
