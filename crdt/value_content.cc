#include "crdt/value_content.h"

namespace joinery::crdt {

void write_content(const Value& value, ByteWriter& out) {
    switch (value.type()) {
        case ValueType::null: return;
        case ValueType::boolean: return out.u8(value.as_bool() ? 1 : 0);
        case ValueType::integer:
        case ValueType::timestamp: return out.zigzag(static_cast<std::int64_t>(value.payload()));
        case ValueType::real: return out.u64(value.payload());
        case ValueType::string:
        case ValueType::bytes: return out.sized(value.content());
    }
}

Value read_content(ValueType type,
                   ByteReader& in,
                   std::size_t size_max,
                   std::string_view too_long) {
    switch (type) {
        case ValueType::null: return Value();
        case ValueType::boolean: {
            const std::uint8_t bit = in.u8();
            if (bit > 1) in.refuse(Errc::malformed, "impossible boolean");
            return Value(bit == 1);
        }
        case ValueType::integer:
        case ValueType::timestamp:
            return Value::of_payload(type, static_cast<std::uint64_t>(in.zigzag()));
        case ValueType::real: return Value::of_payload(type, in.u64());
        case ValueType::string:
        case ValueType::bytes: break;
    }
    const ByteView content = in.sized(size_max, too_long);
    if (type == ValueType::string && in.ok() && !is_utf8(content)) {
        in.refuse(Errc::malformed, "string that is not UTF-8");
    }
    return in.ok() ? Value(type, content) : Value();
}

}  // namespace joinery::crdt
