#include "crdt/name_reader.h"

#include "crdt/codec_fields.h"
#include "crdt/limits.h"

namespace joinery::crdt::detail {
namespace {

/// Reads the table of new names.
class NameReader {
  public:
    NameReader(ByteReader& in, Names& names, DecoderDictionary& dictionary)
        : in_(in), names_(names), dictionary_(dictionary) {}

    void read() {
        for (std::size_t n = in_.count(ActorId::kSize); n != 0 && in_.ok(); --n) {
            const auto actor = in_.fixed<ActorId>();
            if (!in_.ok()) return;
            dictionary_.actors.push_back(names_.intern_actor(actor));
            dictionary_.progress.actors.emplace_back();
        }
        for (std::size_t n = in_.count(1); n != 0 && in_.ok(); --n) {
            const ByteView key = in_.sized(kKeySizeMax, "key longer than 1 KiB");
            if (in_.ok() && !is_utf8(key)) in_.refuse(Errc::malformed, "key is not UTF-8");
            if (!in_.ok()) return;
            dictionary_.keys.push_back(names_.intern_key(as_text(key)));
        }
        for (std::size_t n = in_.count(3); n != 0 && in_.ok(); --n)
            path();
        if (names_.container_count() + names_.element_count() + names_.key_count() >
            kNameCountMax) {
            in_.refuse(Errc::over_limit, "document names too many things");
        }
    }

  private:
    /// The container that a reference stands for; kNone after refusing.
    ContainerIndex container() {
        const std::uint64_t ref = in_.varint();
        if (ref < dictionary_.paths.size() && !dictionary_.paths[ref].is_element) {
            return dictionary_.paths[ref].index;
        }
        in_.refuse(Errc::malformed, "no such container");
        return kNone;
    }

    void path() {
        const std::uint8_t what = in_.u8();
        const ContainerIndex parent = container();
        if (parent == kNone) return;
        if (what == kNameElementByDot) return element_by_dot(parent);
        if (what == kNameElementByKey) return element_by_key(parent);
        const Kind kind = static_cast<Kind>(what);
        if (kind != Kind::map && kind != Kind::list && kind != Kind::counter) {
            in_.refuse(Errc::unsupported, "unknown kind of container");
            return;
        }
        const Names::Container& outer = names_.container(parent);
        if (outer.kind != Kind::map && outer.kind != Kind::list) {
            in_.refuse(Errc::malformed, "child of a container that has no slots");
            return;
        }
        if (outer.depth + 1 > kDepthMax) {
            in_.refuse(Errc::over_limit, "container nested too deeply");
            return;
        }
        const std::uint64_t ref = in_.varint();
        std::uint32_t slot_key = kNone;
        if (has_elements(outer.kind)) {
            if (ref < dictionary_.paths.size() && dictionary_.paths[ref].is_element &&
                names_.element(dictionary_.paths[ref].index).list == parent) {
                slot_key = dictionary_.paths[ref].index;
            }
        } else if (ref < dictionary_.keys.size()) {
            slot_key = dictionary_.keys[ref];
        }
        if (slot_key == kNone) {
            in_.refuse(Errc::malformed, "no such slot");
            return;
        }
        dictionary_.paths.push_back({false, names_.intern_container(parent, slot_key, kind)});
    }

    bool is_list(ContainerIndex container) {
        if (names_.container(container).kind == Kind::list) return true;
        in_.refuse(Errc::malformed, "element of a container that is no list");
        return false;
    }

    void element_by_dot(ContainerIndex list) {
        const std::uint64_t actor = in_.varint();
        const std::uint64_t counter = in_.varint_at_most(kCounterMax, "counter too great");
        if (!is_list(list)) return;
        if (actor >= dictionary_.actors.size() || counter == 0) {
            in_.refuse(Errc::malformed, "element of no operation");
            return;
        }
        const Dot dot{dictionary_.actors[actor], counter};
        dictionary_.paths.push_back({true, names_.intern_element(list, dot)});
    }

    void element_by_key(ContainerIndex list) {
        const std::uint64_t field = in_.varint();
        const std::uint64_t occurrence = in_.varint_at_most(kNameCountMax, "occurrence too great");
        Names::ElementKey key;
        key.value = value();
        if (!in_.ok() || !is_list(list)) return;
        if (field >= dictionary_.keys.size()) {
            in_.refuse(Errc::malformed, "no such key field");
            return;
        }
        key.field = dictionary_.keys[field];
        key.occurrence = static_cast<std::uint32_t>(occurrence);
        dictionary_.paths.push_back({true, names_.intern_element(list, key)});
    }

    Value value() {
        const auto type = static_cast<ValueType>(in_.u8());
        if (type == ValueType::string || type == ValueType::bytes) {
            const ByteView content = in_.sized(kStringSizeMax, "string longer than 1 MiB");
            if (type == ValueType::string && in_.ok() && !is_utf8(content)) {
                in_.refuse(Errc::malformed, "string is not UTF-8");
            }
            return in_.ok() ? Value(type, content) : Value();
        }
        const std::uint64_t payload = in_.u64();
        const bool is_null_ok = type != ValueType::null || payload == 0;
        const bool is_boolean_ok = type != ValueType::boolean || payload <= 1;
        if (type > ValueType::timestamp || !is_null_ok || !is_boolean_ok) {
            in_.refuse(Errc::malformed, "no such value");
            return {};
        }
        return Value::of_payload(type, payload);
    }

    ByteReader& in_;
    Names& names_;
    DecoderDictionary& dictionary_;
};

}  // namespace

void read_names(ByteReader& in, Names& names, DecoderDictionary& dictionary) {
    NameReader(in, names, dictionary).read();
}

}  // namespace joinery::crdt::detail
