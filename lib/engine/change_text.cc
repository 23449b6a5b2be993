#include "engine/change_text.h"

#include "engine/tx_core.h"

namespace joinery::detail {
namespace {

std::string_view op_name(crdt::OpKind kind) {
    switch (kind) {
        case crdt::OpKind::put: return "put";
        case crdt::OpKind::make: return "make";
        case crdt::OpKind::increment: return "increment";
        case crdt::OpKind::erase: return "erase";
        case crdt::OpKind::insert: return "insert";
        case crdt::OpKind::move: return "move";
    }
    return "unknown";
}

}  // namespace

std::string PathPrinter::slot(crdt::ContainerIndex container, std::uint32_t key) const {
    std::string path = this->container(container);
    if (!crdt::has_elements(names_.container(container).kind)) {
        append_token(path, names_.key(key));
        return path;
    }
    const crdt::State::Element& element = state_.element(key);
    const crdt::State::List* list = state_.list(container);
    if (list != nullptr && element.item != crdt::kNone && list->places.is_visible(element.item)) {
        append_token(path, std::to_string(list->places.visible_index_of(element.item)));
    } else {
        append_token(path, "~" + to_hex(names_.element_id(key).view()).substr(0, 12));
    }
    return path;
}

std::string PathPrinter::container(crdt::ContainerIndex container) const {
    if (container == crdt::kRoot) return "";
    const auto& name = names_.container(container);
    return slot(name.parent, name.key);
}

ChangeInfo::Op describe(const crdt::Batch& batch,
                        const crdt::Op& op,
                        const PathPrinter& paths,
                        const crdt::ForkedDocument::Slot& slot) {
    ChangeInfo::Op out;
    out.kind = op_name(op.kind);
    if (op.kind == crdt::OpKind::increment) {
        out.path = paths.container(slot.container);
        out.value = Plain{Value(batch.increments[op.extra].delta)};
        return out;
    }
    out.path = paths.slot(slot.container, slot.key);
    if (op.made != crdt::Kind::none) {
        if (op.made == crdt::Kind::map) out.value = Plain{PlainObject{}};
        if (op.made == crdt::Kind::list) out.value = Plain{PlainArray{}};
        if (op.made == crdt::Kind::counter) out.value = Plain{Value(std::int64_t{0})};
    } else if (op.kind == crdt::OpKind::put || op.kind == crdt::OpKind::insert) {
        out.value = Plain{op.value};
    }
    return out;
}

}  // namespace joinery::detail
