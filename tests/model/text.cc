// The texts of the model, for dumps and for reports of failures.
#include "model/model.h"

#include <algorithm>
#include <cstdio>

namespace joinery::model {
namespace {

std::string actor_text(const ActorId& actor) {
    // Without the zeros at the end: test actors differ in their first bytes.
    std::size_t size = ActorId::kSize;
    while (size > 1 && actor.bytes[size - 1] == 0)
        --size;
    return to_hex(actor.view().first(size));
}

std::string token_text(const std::string& token) {
    const bool is_plain = !token.empty() && std::ranges::all_of(token, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == ':';
    });
    return is_plain ? token : "0x" + to_hex(as_bytes(token));
}

std::string path_text(const Path& path) {
    std::string text;
    for (const Step& step : path) {
        text += "/" + token_text(step.key) + "/" + std::string(crdt::kind_name(step.kind));
    }
    return text.empty() ? "/" : text;
}

std::string op_text(const Op& op) {
    static constexpr const char* kNames[] = {
        "?", "put", "make", "increment", "erase", "insert", "move"};
    std::string text = kNames[static_cast<std::size_t>(op.kind)];
    text += " " + path_text(op.container);
    if (op.kind == OpKind::increment) return text + " " + std::to_string(op.delta);
    text += " " + token_text(op.key);
    if (op.made != Kind::none) text += " =" + std::string(crdt::kind_name(op.made));
    const bool may_have_value = op.kind == OpKind::put || op.kind == OpKind::insert;
    if (may_have_value && op.made == Kind::none) text += " =" + to_text(op.value);
    if (op.kind == OpKind::insert || op.kind == OpKind::move) {
        text += " between " + to_text(op.left) + " " + to_text(op.right);
    }
    if (op.stamp) text += " @" + std::to_string(*op.stamp);
    return text;
}

}  // namespace

std::string to_text(const Dot& dot) {
    return dot.counter == 0 ? "edge" : actor_text(dot.actor) + ":" + std::to_string(dot.counter);
}

std::string to_text(Int128 number) {
    if (number < 0) return "-" + to_text(-number);
    std::string digits;
    do {
        digits.insert(digits.begin(), static_cast<char>('0' + static_cast<int>(number % 10)));
        number /= 10;
    } while (number != 0);
    return digits;
}

std::string to_text(const Value& value) {
    switch (value.type()) {
        case ValueType::null: return "null";
        case ValueType::boolean: return value.as_bool() ? "true" : "false";
        case ValueType::integer: return std::to_string(value.as_integer());
        case ValueType::real: {
            char buffer[64];
            std::snprintf(buffer, sizeof buffer, "%.17g", value.as_real());
            return "real(" + std::string(buffer) + "," + std::to_string(value.payload()) + ")";
        }
        case ValueType::string: return "'" + std::string(value.as_string()) + "'";
        case ValueType::bytes: return "bytes(" + to_hex(value.content()) + ")";
        case ValueType::timestamp:
            return "time(" + std::to_string(value.as_timestamp().count()) + ")";
    }
    return "?";
}

std::string to_text(const PlainObject& object) {
    std::string text = "{";
    for (const auto& [key, member] : object) {
        if (text.size() > 1) text += ", ";
        text += key + ":" + to_text(member);
    }
    return text + "}";
}

std::string to_text(const Plain& plain) {
    if (plain.is_scalar()) return to_text(plain.scalar());
    if (plain.is_object()) return to_text(plain.object());
    std::string text = "[";
    for (const Plain& element : plain.array()) {
        if (text.size() > 1) text += ", ";
        text += to_text(element);
    }
    return text + "]";
}

std::string to_text(const Change& change) {
    std::string text = actor_text(change.actor) + "#" + std::to_string(change.seq) +
                       " from :" + std::to_string(change.counter) + " at " +
                       std::to_string(change.time_ms);
    for (const auto& [actor, seq] : change.dependencies) {
        text += " after " + actor_text(actor) + "#" + std::to_string(seq);
    }
    for (const Op& op : change.ops)
        text += "; " + op_text(op);
    return text;
}

std::string address_text(const std::vector<std::string>& address) {
    std::string text;
    for (const std::string& token : address)
        text += "/" + token_text(token);
    return text.empty() ? "/" : text;
}

}  // namespace joinery::model
