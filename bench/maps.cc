// W1 to W6: the map-write workloads.

#include "bench/measure.h"

#include <fstream>
#include <malloc.h>
#include <map>
#include <set>
#include <unistd.h>

namespace joinery::bench {
namespace {

constexpr double kMegabyte = 1048576;
constexpr std::size_t kFullCount = 100'000;

std::vector<Metric> run_w1(const Size& size) {
    const auto ops = map_ops(size.of(kFullCount));
    Report report("W1", ops.size());
    local_writes(report, Shape::map, make_base(Shape::map), ops, map_state(ops, ops.size()));
    return report.take();
}

std::vector<Metric> run_w2(const Size& size) {
    const auto ops = map_ops(size.of(kFullCount));
    Report report("W2", ops.size());
    remote_applies(report, Shape::map, make_base(Shape::map), ops, map_state(ops, ops.size()));
    return report.take();
}

/// The updates of a hundred replicas, offline, and the values that each field may end with.
struct Offline {
    std::vector<std::vector<Bytes>> updates;
    std::map<std::pair<std::uint32_t, std::uint32_t>, std::vector<Value>> candidates;
    std::size_t count = 0;
};

Offline make_offline(const Base& base, const Size& size) {
    Offline offline;
    for (std::uint32_t i = 0; i < kReplicaCount; ++i) {
        const auto ops = map_ops(size.of(1000), kMergeSeed + i);
        Replica replica(Shape::map, base, 100 + i);
        replica.write(ops, ops.size(), 1, Sends::later);
        offline.updates.push_back(replica.since());
        offline.count += ops.size();
        std::map<std::pair<std::uint32_t, std::uint32_t>, Value> last;
        for (const MapOp& op : ops)
            last[{op.widget, op.field}] = op.value;
        for (const auto& [field, value] : last)
            offline.candidates[field].push_back(value);
    }
    return offline;
}

void check_merged(const Plain& all, const Offline& offline) {
    const Plain* widgets = find_member(all.object(), "widgets");
    std::size_t field_count = 0;
    for (const PlainMember& widget : widgets->object())
        field_count += widget.second.object().size();
    check(field_count == offline.candidates.size(), "number of merged fields");
    for (const auto& [at, values] : offline.candidates) {
        const Plain* widget = find_member(widgets->object(), "w" + std::to_string(at.first));
        const Plain* field = find_member(widget->object(), field_name(at.second));
        check(field != nullptr && std::ranges::count(values, field->scalar()) != 0,
              "field with a value that nobody wrote last");
    }
}

/// All changes of @p offline with @p base, as one stream: the document with its history.
double history_size(const Base& base, const Offline& offline) {
    crdt::Names names;
    crdt::Batch batch;
    for (const auto& stream : offline.updates) {
        crdt::DecoderDictionary dictionary;
        for (const Bytes& bytes : stream)
            check(crdt::decode_changes(bytes, names, dictionary, batch).has_value(), "decoding");
    }
    double size = static_cast<double>(base.changes.size());
    crdt::EncoderDictionary dictionary;
    for (std::size_t begin = 0; begin < batch.changes.size();) {
        const std::size_t end = std::min(begin + crdt::kBatchChangeMax, batch.changes.size());
        Bytes bytes;
        crdt::encode_changes(names, batch, begin, end, dictionary, bytes);
        size += static_cast<double>(bytes.size());
        begin = end;
    }
    return size;
}

std::vector<Metric> run_w3(const Size& size) {
    const Base base = make_base(Shape::map);
    const Offline offline = make_offline(base, size);
    Report report("W3", offline.count);
    Replica forward(Shape::map, base, 2), backward(Shape::map, base, 2);
    report.add("merge.each", "ms", milliseconds([&] {
                   for (const auto& update : offline.updates)
                       forward.apply_stream(update);
               }));
    auto reversed = offline.updates;
    std::ranges::reverse(reversed);
    report.add("merge.batch", "ms", milliseconds([&] { backward.apply_streams(reversed); }));
    Replica whole(Shape::map, base, 2);
    report.add("merge.atomic", "ms", milliseconds([&] { whole.apply_atomically(reversed); }));
    check_merged(forward.all(), offline);
    const Digest digest = forward.document().digest();
    check(digest == backward.document().digest(), "both merge orders");
    check(digest == whole.document().digest(), "the merge as one");
    double updates = 0;
    for (const auto& update : offline.updates)
        updates += size_of(update);
    report.add("updates.bytes", "bytes", updates);
    report.add("doc.history.bytes", "bytes", history_size(base, offline));
    const Bytes snapshot = crdt::encode_snapshot(forward.document());
    report.add("doc.current.bytes", "bytes", static_cast<double>(snapshot.size()));
    return report.take();
}

std::vector<Metric> run_w4(const Size& size) {
    const auto ops = map_ops(size.of(kFullCount));
    const Base base = make_base(Shape::map);
    Report report("W4", ops.size());
    Replica one(Shape::map, base, 2);
    one.write(ops, ops.size(), 1, Sends::messages);
    check(one.messages().size() == ops.size(), "one message a commit");
    const auto count = static_cast<double>(ops.size());
    const double all = size_of(one.messages());
    report.add("msg.c1.mean", "bytes", all / count);
    for (const std::string_view kind : {"int", "double", "string", "bool"}) {
        double sum = 0, messages = 0;
        for (std::size_t i = 0; i < ops.size(); ++i) {
            if (field_kind(ops[i].field) != kind) continue;
            sum += static_cast<double>(one.messages()[i].size());
            ++messages;
        }
        report.add("msg.c1." + std::string(kind), "bytes", sum / messages);
    }
    // A seal beside a proof that the session has had: two numbers and the signature.
    constexpr double kSealSize = 66;
    report.add("msg.c1.sealed.mean", "bytes", all / count + kSealSize);
    Replica hundred(Shape::map, base, 2);
    hundred.write(ops, ops.size(), 100, Sends::messages);
    report.add("msg.c100 per op", "bytes", size_of(hundred.messages()) / count);
    for (const std::size_t every : {std::size_t{1}, std::size_t{100}}) {
        Replica kept(Shape::map, base, 2);
        kept.write(ops, ops.size(), every, Sends::later);
        sizes(report, "doc.c" + std::to_string(every), kept, base);
    }
    return report.take();
}

/// Times from bytes to one field and to everything, the first in the process apart.
void loads(Report& report,
           const std::string& label,
           const std::function<std::unique_ptr<crdt::Document>()>& load,
           const Plain& end) {
    std::vector<double> first, all;
    double cold = 0;
    for (int i = 0; i < 8; ++i) {
        Value read;
        const double time = milliseconds([&] {
            const auto document = load();
            const crdt::Names& names = document->names();
            const auto widgets =
                names.find_container(crdt::kRoot, names.find_key("widgets"), crdt::Kind::map);
            const auto widget =
                names.find_container(widgets, names.find_key("w500"), crdt::Kind::map);
            const auto shown = document->state().shown(widget, names.find_key("x"));
            if (shown.value != nullptr) read = *shown.value;
        });
        if (i == 0) cold = time;
        if (i != 0) first.push_back(time);
        Plain whole;
        all.push_back(milliseconds([&] { whole = {load()->read_root()}; }));
        check(whole == end, "loaded document");
    }
    report.add(label + ".first.cold", "ms", cold);
    report.add(label + ".first", "ms", median(first));
    report.add(label + ".all", "ms", median(all));
}

std::vector<Metric> run_w5(const Size& size) {
    const Base base = make_base(Shape::map);
    const auto ops = map_ops(size.of(kFullCount));
    Report report("W5", ops.size());
    const auto both = [&](const std::string& label,
                          const std::vector<std::vector<Bytes>>& streams,
                          const Bytes& snapshot,
                          const Plain& end) {
        const auto from_snapshot = [&] { return load_snapshot(snapshot); };
        loads(report, label + ".current", from_snapshot, end);
        const auto replay = [&] {
            auto document = std::make_unique<crdt::Document>("bench");
            std::vector<std::vector<Bytes>> all{{base.changes}};
            all.insert(all.end(), streams.begin(), streams.end());
            for (const auto& stream : all) {
                crdt::DecoderDictionary dictionary;
                for (const Bytes& bytes : stream) {
                    crdt::Batch batch;
                    const auto decoded =
                        crdt::decode_changes(bytes, document->names(), dictionary, batch);
                    check(decoded.has_value(), "decoding");
                    check(document->apply(batch, *document->check(batch)).has_value(), "replay");
                }
            }
            return document;
        };
        loads(report, label + ".history", replay, end);
    };
    Replica w1(Shape::map, base, 2);
    w1.write(ops, ops.size(), 1, Sends::later);
    both("w1", {w1.since()}, crdt::encode_snapshot(w1.document()), w1.all());
    const Offline offline = make_offline(base, size);
    Replica w3(Shape::map, base, 2);
    w3.apply_streams(offline.updates);
    both("w3", offline.updates, crdt::encode_snapshot(w3.document()), w3.all());
    return report.take();
}

std::vector<Metric> run_w6(const Size& size) {
    const auto ops = map_ops(size.of(kFullCount));
    const Base base = make_base(Shape::map);
    Report report("W6", ops.size());
    {
        Replica warm(Shape::map, base, 2);  // What the first document of a process brings.
    }
    malloc_trim(0);
    const double before = resident_size();
    Replica live(Shape::map, base, 2);
    live.write(ops, ops.size(), 1, Sends::nothing);
    malloc_trim(0);
    report.add("live.rss", "MB", (resident_size() - before) / kMegabyte);
    const Bytes snapshot = crdt::encode_snapshot(live.document());
    std::vector<std::unique_ptr<crdt::Document>> held;
    malloc_trim(0);
    const double none = resident_size();
    held.push_back(load_snapshot(snapshot));
    malloc_trim(0);
    const double one = resident_size();
    for (int i = 0; i < 8; ++i)
        held.push_back(load_snapshot(snapshot));
    malloc_trim(0);
    report.add("current.first.rss", "MB", (one - none) / kMegabyte);
    report.add("current.further.rss", "MB", (resident_size() - one) / 8 / kMegabyte);
    // Overwriting must cost no memory: the first writes reach nearly every field.
    const auto overwrite = [&](std::size_t count) {
        const auto few = map_ops(count);
        Replica replica(Shape::map, base, 2);
        for (std::uint32_t w = 0; w < kWidgetCount; ++w) {
            std::vector<MapOp> each;
            for (std::uint32_t f = 0; f < kFieldCount; ++f)
                each.push_back({w, f, Value(std::int64_t{w})});
            replica.write(each, each.size(), 1, Sends::nothing);
        }
        replica.write(few, few.size(), 1, Sends::nothing);
        return static_cast<double>(replica.document().memory_size());
    };
    report.add("state after 8000 writes", "bytes", overwrite(0));
    report.add("state after 100000 more", "bytes", overwrite(ops.size()));
    return report.take();
}

}  // namespace

double resident_size() {
    std::ifstream statm("/proc/self/statm");
    double total = 0, resident = 0;
    statm >> total >> resident;
    return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

std::vector<Metric> run_maps(std::string_view name, const Size& size) {
    if (name == "W1") return run_w1(size);
    if (name == "W2") return run_w2(size);
    if (name == "W3") return run_w3(size);
    if (name == "W4") return run_w4(size);
    if (name == "W5") return run_w5(size);
    return run_w6(size);
}

}  // namespace joinery::bench
