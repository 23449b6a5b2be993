#include "bench/streams.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace joinery::bench {
namespace {

constexpr std::array<std::string_view, kFieldCount> kFields{
    "x", "y", "value", "rate", "title", "unit", "on", "pinned"};
constexpr std::array<std::string_view, kFieldCount> kKinds{
    "int", "int", "double", "double", "string", "string", "bool", "bool"};
constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz0123456789";
constexpr std::size_t kFullCount = 100'000;

std::int64_t draw_integer(Generator& random) {
    return static_cast<std::int64_t>(random.below(2'000'000)) - 1'000'000;
}

Value draw_value(Generator& random, std::uint32_t field, bool flag) {
    if (field < 2) return Value(draw_integer(random));
    if (field < 4) {
        const std::int64_t whole = draw_integer(random);
        const std::int64_t thousandths = whole * 1000 + 1 + random.below(999);
        return Value(static_cast<double>(thousandths) / 1000.0);
    }
    if (field >= 6) return Value(flag);
    std::string text(4 + random.below(9), ' ');
    for (char& c : text)
        c = kAlphabet[random.below(36)];
    return Value(std::string_view(text));
}

Plain* find(PlainObject& object, std::string_view key) {
    const auto at = std::ranges::lower_bound(object, key, {}, &PlainMember::first);
    return at != object.end() && at->first == key ? &at->second : nullptr;
}

void set(PlainObject& object, std::string_view key, Plain value) {
    const auto at = std::ranges::lower_bound(object, key, {}, &PlainMember::first);
    if (at != object.end() && at->first == key) {
        at->second = std::move(value);
    } else {
        object.insert(at, {std::string(key), std::move(value)});
    }
}

/// FNV-1a of lines.
class LineHash {
  public:
    void line(std::string_view text) {
        for (const char c : text)
            add(static_cast<std::uint8_t>(c));
        add('\n');
        ++count_;
    }
    StreamHash done(std::string name) const { return {std::move(name), count_, hash_}; }

  private:
    void add(std::uint8_t byte) { hash_ = (hash_ ^ byte) * 0x01000193U; }
    std::uint32_t hash_ = 0x811c9dc5U;
    std::size_t count_ = 0;
};

std::string text_of(const Value& value) {
    switch (value.type()) {
        case ValueType::boolean: return value.as_bool() ? "1" : "0";
        case ValueType::real: return std::to_string(std::llround(value.as_real() * 1000.0));
        case ValueType::string: return std::string(value.as_string());
        default: return std::to_string(value.as_integer());
    }
}

void hash_map_ops(LineHash& hash, const std::vector<MapOp>& ops) {
    for (const MapOp& op : ops) {
        hash.line(std::to_string(op.widget) + " " + std::to_string(op.field) + " " +
                  text_of(op.value));
    }
}

}  // namespace

std::uint32_t Generator::next() noexcept {
    state_ += 0x9e3779b9U;
    std::uint32_t z = state_;
    z = (z ^ (z >> 16U)) * 0x21f0aaadU;
    z = (z ^ (z >> 15U)) * 0x735a2d97U;
    return z ^ (z >> 15U);
}

std::string_view field_name(std::uint32_t field) noexcept { return kFields[field]; }
std::string_view field_kind(std::uint32_t field) noexcept { return kKinds[field]; }

std::vector<MapOp> map_ops(std::size_t count, std::uint32_t seed) {
    Generator random(seed);
    std::vector<bool> flags(std::size_t{kWidgetCount} * kFieldCount);
    std::vector<MapOp> ops(count);
    for (MapOp& op : ops) {
        op.widget = random.below(kWidgetCount);
        op.field = random.below(kFieldCount);
        const std::size_t at = std::size_t{op.widget} * kFieldCount + op.field;
        if (op.field >= 6) flags[at] = !flags[at];
        op.value = draw_value(random, op.field, flags[at]);
    }
    return ops;
}

std::vector<CounterOp> counter_ops(std::size_t count) {
    Generator random(0x5eed0007);
    std::vector<CounterOp> ops(count);
    for (CounterOp& op : ops) {
        op.counter = random.below(kCounterCount);
        op.delta = 1 + static_cast<std::int64_t>(random.below(9));
    }
    return ops;
}

std::vector<ListOp> list_ops(std::size_t count) {
    Generator random(0x5eed0009);
    std::uint32_t size = 0;
    std::vector<ListOp> ops(count);
    for (ListOp& op : ops) {
        op.is_insert = random.below(100) < 60 || size == 0;
        op.position = random.below(op.is_insert ? size + 1 : size);
        if (op.is_insert) op.value = random.below(1'000'000);
        size += op.is_insert ? 1U : UINT32_MAX;
    }
    return ops;
}

std::vector<MapOp> sync_ops(std::size_t count) {
    Generator random(0x5eed000a);
    std::vector<MapOp> ops(count);
    for (MapOp& op : ops) {
        op.widget = random.below(kWidgetCount);
        op.field = random.below(2);
        op.value = Value(draw_integer(random));
    }
    return ops;
}

Plain map_state(const std::vector<MapOp>& ops, std::size_t count) {
    PlainObject widgets;
    for (std::uint32_t i = 0; i < kWidgetCount; ++i)
        set(widgets, "w" + std::to_string(i), {PlainObject{}});
    for (std::size_t i = 0; i < count; ++i) {
        Plain* widget = find(widgets, "w" + std::to_string(ops[i].widget));
        set(std::get<PlainObject>(widget->data), field_name(ops[i].field), {ops[i].value});
    }
    return {PlainObject{{"widgets", {std::move(widgets)}}}};
}

Plain counter_state(const std::vector<CounterOp>& ops, std::size_t count) {
    std::vector<std::int64_t> sums(kCounterCount);
    for (std::size_t i = 0; i < count; ++i)
        sums[ops[i].counter] += ops[i].delta;
    PlainObject counters;
    for (std::uint32_t i = 0; i < kCounterCount; ++i)
        set(counters, "c" + std::to_string(i), {Value(sums[i])});
    return {PlainObject{{"counters", {std::move(counters)}}}};
}

Plain list_state(const std::vector<ListOp>& ops, std::size_t count) {
    std::vector<std::int64_t> values;
    for (std::size_t i = 0; i < count; ++i) {
        const auto at = values.begin() + ops[i].position;
        if (ops[i].is_insert) {
            values.insert(at, ops[i].value);
        } else {
            values.erase(at);
        }
    }
    PlainArray list;
    for (const std::int64_t value : values)
        list.push_back({Value(value)});
    return {PlainObject{{"list", {std::move(list)}}}};
}

std::vector<StreamHash> describe_streams() {
    std::vector<StreamHash> all;
    LineHash numbers, map, merge, counter, list, sync;
    Generator random(1);
    for (int i = 0; i < 1000; ++i)
        numbers.line(std::to_string(random.next()));
    all.push_back(numbers.done("splitmix32(seed 1)"));
    hash_map_ops(map, map_ops(kFullCount));
    all.push_back(map.done("W1 map"));
    for (std::uint32_t i = 0; i < kReplicaCount; ++i)
        hash_map_ops(merge, map_ops(kFullCount / kReplicaCount, kMergeSeed + i));
    all.push_back(merge.done("W3 merge"));
    for (const CounterOp& op : counter_ops(kFullCount))
        counter.line(std::to_string(op.counter) + " " + std::to_string(op.delta));
    all.push_back(counter.done("W7 counter"));
    for (const ListOp& op : list_ops(kFullCount)) {
        const std::string position = std::to_string(op.position);
        list.line(op.is_insert ? "i " + position + " " + std::to_string(op.value)
                               : "d " + position);
    }
    all.push_back(list.done("W9 list"));
    hash_map_ops(sync, sync_ops(100));
    all.push_back(sync.done("W10 sync"));
    return all;
}

}  // namespace joinery::bench
