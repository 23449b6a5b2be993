// W10, and what only a peer with a store can be asked: durable commits, and opening.

#include "bench/folder.h"
#include "bench/measure.h"
#include "joinery/document.h"
#include "joinery/peer.h"

namespace joinery::bench {
namespace {

constexpr std::size_t kFullCount = 100'000;

std::string path_of(const MapOp& op) {
    return "/widgets/w" + std::to_string(op.widget) + "/" + std::string(field_name(op.field));
}

void write(Document& document, const std::vector<MapOp>& ops, std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
        const auto done =
            document.transact([&](Tx& tx) { return tx.set(path_of(ops[i]), Value(ops[i].value)); });
        if (!done) throw std::runtime_error("write: " + std::string(done.error().what));
    }
}

/// The W1 document, one durable peer's.
void make_w1(Peer& peer, const std::vector<MapOp>& ops) {
    auto document = *peer.document("bench");
    const auto made = document.transact([&](Tx& tx) { return tx.set("", map_state({}, 0)); });
    check(made.has_value(), "base");
    write(document, ops, 0, ops.size());
    check(peer.flush().has_value(), "flush");
}

/// Ten changes at one peer, then both are brought in step, over real sockets and stores.
std::vector<Metric> run_w10(const Size& size) {
    constexpr int kRounds = 21;
    const auto ops = map_ops(size.of(kFullCount));
    const auto later = sync_ops(10 * kRounds);
    const Folder folder;
    const auto a = open_peer(folder.path() / "a");
    const auto b = open_peer(folder.path() / "b");
    make_w1(*a, ops);
    const auto url = a->listen("tcp://127.0.0.1:0");
    check(url.has_value(), "listen");
    check(b->sync(*url, {}, std::chrono::minutes(2)).has_value(), "first sync");
    auto document = *b->document("bench");
    Report report("W10", 10);
    std::vector<double> times, bytes;
    for (std::size_t round = 0; round < kRounds; ++round) {
        write(document, later, round * 10, round * 10 + 10);
        times.push_back(milliseconds([&] {
            check(b->flush().has_value(), "flush");
            const auto synced = b->sync(*url, {}, std::chrono::minutes(2));
            check(synced.has_value(), "sync");
            bytes.push_back(static_cast<double>(synced->received_size + synced->sent_size));
        }));
    }
    const auto other = a->document("bench");
    check(other->status()->digest == document.status()->digest, "equal digests");
    report.add("w1.bytes", "bytes", median(bytes));
    report.add("w1.first", "ms", times.front());
    report.add("w1.later", "ms", median({times.begin() + 1, times.end()}));
    return report.take();
}

std::vector<Metric> run_store(const Size& size) {
    const auto ops = map_ops(size.of(kFullCount));
    const Folder folder;
    Report report("store", ops.size());
    {
        const auto peer = open_peer(folder.path() / "a");
        double time = 0;
        time = milliseconds([&] { make_w1(*peer, ops); });
        report.rate("durable.c1", time);
    }
    std::vector<double> times;
    for (int i = 0; i < 9; ++i) {
        const auto peer = open_peer(folder.path() / "a");
        times.push_back(milliseconds([&] {
            const auto document = peer->document("bench", false);
            check(document && document->read("/widgets/w500").has_value(), "first value");
        }));
    }
    report.add("open.first.cold", "ms", times.front());
    report.add("open.first", "ms", median({times.begin() + 1, times.end()}));
    return report.take();
}

}  // namespace

std::vector<Metric> run_stores(std::string_view name, const Size& size) {
    return name == "W10" ? run_w10(size) : run_store(size);
}

}  // namespace joinery::bench
