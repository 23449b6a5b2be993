#include "crdt/map_write.h"

#include "crdt/transaction.h"

#include <array>
#include <string>

namespace joinery::crdt::test {
namespace {

constexpr std::uint32_t kWidgetCount = 1000;
constexpr std::array<const char*, 8> kFields{
    "x", "y", "value", "rate", "title", "unit", "on", "pinned"};

ActorId actor_of(std::uint8_t number) {
    ActorId actor;
    actor.bytes.fill(number);
    return actor;
}

}  // namespace

MapWrite::MapWrite(Document& document)
    : document_(document), last_flags_(kWidgetCount * kFields.size()) {
    Transaction transaction(document_, actor_of(2), WallTime(time_ms_));
    const auto widgets = transaction.make(kRoot, *transaction.key("widgets"), Kind::map);
    for (std::uint32_t i = 0; i < kWidgetCount; ++i) {
        const auto key = transaction.key("w" + std::to_string(i));
        widgets_.push_back(*transaction.make(*widgets, *key, Kind::map));
    }
    JOINERY_ASSERT(transaction.commit().has_value());
    document_.clear_outgoing();
}

void MapWrite::write(std::size_t count) {
    for (; count != 0; --count) {
        const std::uint32_t widget = below(kWidgetCount);
        const std::uint32_t field = below(static_cast<std::uint32_t>(kFields.size()));
        put(widget, field);
    }
}

void MapWrite::write_each_field() {
    for (std::uint32_t widget = 0; widget < kWidgetCount; ++widget) {
        for (std::uint32_t field = 0; field < kFields.size(); ++field)
            put(widget, field);
    }
}

void MapWrite::put(std::uint32_t widget, std::uint32_t field) {
    const Value value = random_value(widget, field);
    Transaction transaction(document_, actor_of(1), WallTime(++time_ms_));
    JOINERY_ASSERT(transaction.put(widgets_[widget], *transaction.key(kFields[field]), value));
    JOINERY_ASSERT(transaction.commit().has_value());
    document_.clear_outgoing();
}

Value MapWrite::random_value(std::uint32_t widget, std::uint32_t field) {
    if (field < 2) return Value(std::int64_t{below(2'000'000)} - 1'000'000);
    if (field < 4) {
        const std::int64_t whole = std::int64_t{below(2'000'000)} - 1'000'000;
        const std::int64_t thousandths = 1 + std::int64_t{below(999)};
        return Value(static_cast<double>(whole * 1000 + thousandths) / 1000.0);
    }
    if (field < 6) {
        std::string text(4 + below(9), ' ');
        for (char& c : text)
            c = "abcdefghijklmnopqrstuvwxyz0123456789"[below(36)];
        return Value(std::string_view(text));
    }
    const std::size_t at = widget * kFields.size() + field;
    last_flags_[at] = !last_flags_[at];
    return Value(bool{last_flags_[at]});
}

std::uint32_t MapWrite::next() {
    state_ += 0x9e3779b9U;
    std::uint32_t z = state_;
    z ^= z >> 16U;
    z *= 0x21f0aaadU;
    z ^= z >> 15U;
    z *= 0x735a2d97U;
    return z ^ (z >> 15U);
}

std::uint32_t MapWrite::below(std::uint32_t limit) {
    return static_cast<std::uint32_t>((std::uint64_t{next()} * limit) >> 32U);
}

}  // namespace joinery::crdt::test
