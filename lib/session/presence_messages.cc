// The message of presence, both ways.

#include "crdt/value_content.h"
#include "session/messages.h"

namespace joinery::session {
namespace {

void write_value(const Value& value, crdt::ByteWriter& out) {
    out.u8(static_cast<std::uint8_t>(value.type()));
    crdt::write_content(value, out);
}

Value read_value(crdt::ByteReader& in) {
    const std::uint8_t number = in.u8();
    if (number > static_cast<std::uint8_t>(ValueType::timestamp)) {
        in.refuse(Errc::malformed, "presence of an unknown type");
        return Value();
    }
    return crdt::read_content(
        static_cast<ValueType>(number), in, kPresenceValueSizeMax, "presence longer than 4 KiB");
}

}  // namespace

void MessageWriter::write(const PresenceNote& message, Bytes& out) {
    body_.clear();
    crdt::ByteWriter body(body_);
    for (const PresenceItem& item : message.items) {
        if (const auto* known = runs_.find(item.id.run)) {
            body.varint(1 + known->place);
        } else {
            runs_.add(item.id.run);
            body.varint(0);
            body.raw(item.id.run.device.view());
            body.raw(item.id.run.instance.view());
        }
        body.sized(as_bytes(item.id.key));
        body.varint(item.counter);
        const auto time_ms = static_cast<std::uint64_t>(item.time_left.count());
        body.varint(2 * time_ms + (item.is_gone ? 1 : 0));
        if (!item.is_gone) write_value(item.value, body);
    }
    EnvelopeWriter writer(out);
    writer.array(3);
    writer.integer(static_cast<std::uint64_t>(MessageType::presence));
    writer.integer(message.document);
    writer.bytes(body_);
}

Message MessageReader::read_presence(EnvelopeReader& in) {
    PresenceNote note;
    note.document = in.integer_at_most(kNumberMax);
    crdt::ByteReader body(in.bytes(kPresenceSizeMax));
    while (body.ok() && body.remaining() > 0)
        note.items.push_back(read_presence_item(body));
    if (!body.ok()) in.refuse(body.error().code, body.error().what);
    if (in.ok() && note.items.empty()) in.refuse(Errc::malformed, "presence of nobody");
    return note;
}

PresenceItem MessageReader::read_presence_item(crdt::ByteReader& in) {
    PresenceItem item;
    const std::uint64_t name = in.varint();
    if (name == 0) {
        item.id.run.device = in.fixed<DeviceKey>();
        item.id.run.instance = in.fixed<PeerInstance>();
        if (in.ok()) runs_.add(item.id.run);
    } else if (const PeerRun* run = runs_.at(name - 1)) {
        item.id.run = *run;
    } else {
        in.refuse(Errc::malformed, "presence of a run that was not named");
    }
    const ByteView key = in.sized(kPresenceKeySizeMax, "key of presence longer than 256 bytes");
    if (in.ok() && !is_utf8(key)) in.refuse(Errc::malformed, "key of presence that is not UTF-8");
    item.id.key = as_text(key);
    item.counter = in.varint();
    const std::uint64_t time = in.varint();
    item.is_gone = (time & 1U) != 0;
    const auto time_ms_max = (item.is_gone ? kPresenceTimeLeftMax : kPresenceTimeMax).count();
    if (item.counter == 0 || item.counter > kPresenceCounterMax || time / 2 == 0 ||
        time / 2 > static_cast<std::uint64_t>(time_ms_max)) {
        in.refuse(Errc::malformed, "impossible presence");
        return item;
    }
    item.time_left = std::chrono::milliseconds(time / 2);
    if (!item.is_gone) item.value = read_value(in);
    return item;
}

}  // namespace joinery::session
