#include "engine/tx_core.h"

#include "crdt/patch.h"
#include "engine/reconcile.h"

#include <algorithm>
#include <charconv>

namespace joinery::detail {
namespace {

/// The key or element of @p container that @p token names, if there is one.
std::optional<std::uint32_t> slot_key(const crdt::Document& document,
                                      crdt::ContainerIndex container,
                                      const std::string& token) {
    if (!crdt::has_elements(document.names().container(container).kind)) {
        const crdt::KeyIndex key = document.names().find_key(token);
        return key == crdt::kNone ? std::nullopt : std::optional<std::uint32_t>(key);
    }
    const auto index = parse_index(token);
    const crdt::State::List* list = document.state().list(container);
    if (!index || list == nullptr || *index >= list->places.visible_count()) return std::nullopt;
    return list->element_of[list->places.item_at(static_cast<std::uint32_t>(*index))];
}

/// What a slot of @p container that a token names shows; nothing if there is no such slot.
crdt::Shown step(const crdt::Document& document,
                 crdt::ContainerIndex container,
                 const std::string& token,
                 Lanes lanes) {
    if (document.names().container(container).kind == crdt::Kind::map) {
        return document.shown_at(container, token, lanes);
    }
    const auto key = slot_key(document, container, token);
    return key ? document.state().shown(container, *key) : crdt::Shown{};
}

bool has_slots(const crdt::Shown& shown) {
    return shown.kind == crdt::Kind::map || shown.kind == crdt::Kind::list;
}

/// Follows the first @p count tokens from the root.
Result<crdt::Shown> follow(const crdt::Document& document,
                           const std::vector<std::string>& tokens,
                           std::size_t count,
                           Lanes lanes = Lanes::all) {
    crdt::Shown shown{crdt::Kind::map, nullptr, crdt::kRoot};
    for (std::size_t i = 0; i < count; ++i) {
        if (!has_slots(shown)) return fail(Errc::not_found, "path leads through a scalar", i);
        shown = step(document, shown.container, tokens[i], lanes);
        if (!shown.nothing()) continue;
        const bool is_last = i + 1 == tokens.size();
        return fail(Errc::not_found,
                    is_last ? "nothing is there"
                            : "nothing is there, nor an object or list above it to hold it",
                    i);
    }
    return shown;
}

}  // namespace

Result<std::vector<std::string>> parse_path(std::string_view path) {
    std::vector<std::string> tokens;
    if (path.empty()) return tokens;
    if (path.front() != '/') return fail(Errc::malformed, "a path is empty or starts with '/'");
    for (std::size_t i = 0; i < path.size(); ++i) {
        if (path[i] == '/') {
            tokens.emplace_back();
        } else if (path[i] != '~') {
            tokens.back().push_back(path[i]);
        } else if (i + 1 < path.size() && (path[i + 1] == '0' || path[i + 1] == '1')) {
            tokens.back().push_back(path[++i] == '0' ? '~' : '/');
        } else {
            return fail(Errc::malformed, "in a path '~' is written ~0 and '/' within a key ~1", i);
        }
    }
    return tokens;
}

void append_token(std::string& path, std::string_view token) {
    crdt::append_path_token(path, token);
}

std::optional<std::size_t> parse_index(std::string_view token) {
    if (token.empty() || (token.size() > 1 && token.front() == '0')) return std::nullopt;
    std::size_t index = 0;
    const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), index);
    if (error != std::errc() || end != token.data() + token.size()) return std::nullopt;
    return index;
}

Result<Plain> read_path(const crdt::Document& document, std::string_view path, Lanes lanes) {
    JOINERY_TRY(const auto tokens, parse_path(path));
    JOINERY_TRY(const crdt::Shown shown, follow(document, tokens, tokens.size(), lanes));
    return document.read(shown, lanes);
}

Result<crdt::ContainerIndex> path_parent(const crdt::Document& document,
                                         const std::vector<std::string>& tokens) {
    JOINERY_TRY(const crdt::Shown shown, follow(document, tokens, tokens.size() - 1));
    if (!has_slots(shown)) return fail(Errc::not_found, "path leads through a scalar");
    return shown.container;
}

Result<std::vector<Alternative>> path_alternatives(const crdt::Document& document,
                                                   std::string_view path) {
    JOINERY_TRY(const auto tokens, parse_path(path));
    std::vector<Alternative> out;
    JOINERY_TRY(const crdt::Shown there, follow(document, tokens, tokens.size()));
    if (tokens.empty()) return out;  // The root is no register.
    JOINERY_TRY(const crdt::Shown parent, follow(document, tokens, tokens.size() - 1));
    const crdt::State& state = document.state();
    const crdt::Names& names = document.names();
    const auto key = slot_key(document, parent.container, tokens.back());
    const crdt::SlotIndex index = key ? state.find_slot(parent.container, *key) : crdt::kNone;
    if (index == crdt::kNone) return out;  // A live value stands alone.
    const crdt::State::Slot& slot = state.slot(index);
    std::vector<crdt::Entry> entries(state.alternatives(slot).begin(),
                                     state.alternatives(slot).end());
    if (slot.has_entry() && there.value != &slot.entry.value) entries.push_back(slot.entry);
    std::ranges::sort(
        entries, [&](const crdt::Entry& a, const crdt::Entry& b) { return state.greater(a, b); });
    for (const crdt::Entry& entry : entries) {
        if (entry.made != crdt::Kind::none) continue;
        out.push_back({entry.value, names.actor(entry.chain), WallTime(entry.stamp)});
    }
    return out;
}

namespace {

/// Walks what is shown and notes which change wrote it.
class WriterFinder {
  public:
    explicit WriterFinder(const crdt::Document& document)
        : state_(document.state()), graph_(document.graph()), names_(document.names()) {}

    void visit(const crdt::State::Slot& slot) {
        if (slot.has_entry()) note(slot.entry.chain, slot.entry.counter);
        for (crdt::ContainerIndex child = slot.first_child; child != crdt::kNone;
             child = state_.container(child).next_sibling) {
            visit(child);
        }
    }
    void visit(crdt::ContainerIndex container) {
        if (names_.container(container).kind == crdt::Kind::counter) {
            for (const crdt::Cell& cell : state_.cells(container))
                note(cell.chain, cell.last);
            return;
        }
        for (crdt::SlotIndex slot = state_.container(container).first_slot; slot != crdt::kNone;
             slot = state_.slot(slot).next) {
            visit(state_.slot(slot));
        }
    }
    std::vector<crdt::Dependency> take() {
        std::ranges::sort(found_, {}, [](const crdt::Dependency& change) {
            return std::pair(change.chain, change.seq);
        });
        const auto twice = std::ranges::unique(found_);
        found_.erase(twice.begin(), twice.end());
        return std::move(found_);
    }

  private:
    void note(crdt::ChainIndex chain, std::uint64_t counter) {
        found_.push_back({chain, graph_.seq_of_counter(chain, counter)});
    }

    const crdt::State& state_;
    const crdt::Graph& graph_;
    const crdt::Names& names_;
    std::vector<crdt::Dependency> found_;
};

}  // namespace

Result<std::vector<crdt::Dependency>> path_writers(const crdt::Document& document,
                                                   std::string_view path) {
    JOINERY_TRY(const auto tokens, parse_path(path));
    JOINERY_TRY(const crdt::Shown there, follow(document, tokens, tokens.size()));
    WriterFinder finder(document);
    if (tokens.empty()) {
        finder.visit(there.container);
        return finder.take();
    }
    JOINERY_TRY(const crdt::Shown parent, follow(document, tokens, tokens.size() - 1));
    const auto key = slot_key(document, parent.container, tokens.back());
    const crdt::SlotIndex index =
        key ? document.state().find_slot(parent.container, *key) : crdt::kNone;
    if (index != crdt::kNone) finder.visit(document.state().slot(index));
    return finder.take();
}

Result<crdt::ContainerIndex> TxCore::parent_of(const std::vector<std::string>& tokens) const {
    if (tokens.empty()) return fail(Errc::malformed, "the whole document is no slot");
    return path_parent(transaction_.document(), tokens);
}

Result<SlotRef> TxCore::resolve(std::string_view path) {
    JOINERY_TRY(const auto tokens, parse_path(path));
    JOINERY_TRY(const crdt::ContainerIndex container, parent_of(tokens));
    if (!crdt::has_elements(transaction_.document().names().container(container).kind)) {
        JOINERY_TRY(const crdt::KeyIndex key, transaction_.key(tokens.back()));
        return SlotRef{container, key};
    }
    const auto index = parse_index(tokens.back());
    if (!index) return fail(Errc::malformed, "the elements of a list are numbered 0, 1, 2...");
    JOINERY_TRY(const crdt::ElementIndex element, transaction_.element_at(container, *index));
    return SlotRef{container, element};
}

Result<void> TxCore::set(std::string_view path, const Plain& value, const SetOptions& options) {
    if (path.empty()) {
        if (!value.is_object()) return fail(Errc::malformed, "a document is an object");
        return reconcile_map(transaction_, crdt::kRoot, value.object(), options);
    }
    if (path.ends_with("/-")) return insert(path, value);
    JOINERY_TRY(const SlotRef slot, resolve(path));
    return reconcile_slot(transaction_, slot.container, slot.key, value, options);
}

Result<void> TxCore::erase(std::string_view path) {
    JOINERY_TRY(const SlotRef slot, resolve(path));
    return transaction_.erase(slot.container, slot.key);
}

Result<void> TxCore::increment(std::string_view path, std::int64_t delta) {
    JOINERY_TRY(const SlotRef slot, resolve(path));
    const crdt::Shown shown = transaction_.document().state().shown(slot.container, slot.key);
    if (!shown.nothing() && shown.kind != crdt::Kind::counter) {
        return fail(Errc::conflict, "what is there is no counter; erase it first");
    }
    // A counter that is there already is not made by adding nothing.
    if (!shown.nothing() && delta == 0) return {};
    JOINERY_TRY(const auto counter, transaction_.counter_at(slot.container, slot.key));
    return transaction_.increment(counter, delta);
}

Result<void> TxCore::insert(std::string_view path, const Plain& value) {
    JOINERY_TRY(const auto tokens, parse_path(path));
    JOINERY_TRY(const crdt::ContainerIndex list, parent_of(tokens));
    const crdt::Document& document = transaction_.document();
    if (document.names().container(list).kind != crdt::Kind::list) {
        return fail(Errc::malformed, "only lists have places to insert at");
    }
    const crdt::State::List* state = document.state().list(list);
    const std::size_t count = state != nullptr ? state->places.visible_count() : 0;
    const auto index = tokens.back() == "-" ? count : parse_index(tokens.back());
    if (!index) return fail(Errc::malformed, "the elements of a list are numbered 0, 1, 2...");
    return insert_plain(transaction_, list, *index, value, {});
}

Result<void> TxCore::move(std::string_view from, std::string_view to) {
    JOINERY_TRY(const auto from_tokens, parse_path(from));
    JOINERY_TRY(const auto to_tokens, parse_path(to));
    JOINERY_TRY(const crdt::ContainerIndex list, parent_of(from_tokens));
    JOINERY_TRY(const crdt::ContainerIndex to_list, parent_of(to_tokens));
    if (list != to_list ||
        transaction_.document().names().container(list).kind != crdt::Kind::list) {
        return fail(Errc::malformed, "an element moves within its own list");
    }
    const auto from_index = parse_index(from_tokens.back());
    auto to_index = parse_index(to_tokens.back());
    const crdt::State::List* state = transaction_.document().state().list(list);
    if (to_tokens.back() == "-" && state != nullptr && state->places.visible_count() != 0) {
        to_index = state->places.visible_count() - 1;
    }
    if (!from_index || !to_index) {
        return fail(Errc::malformed, "the elements of a list are numbered 0, 1, 2...");
    }
    return transaction_.move(list, *from_index, *to_index);
}

Result<Plain> TxCore::read(std::string_view path) const {
    return read_path(transaction_.document(), path);
}

}  // namespace joinery::detail

namespace joinery {

Result<void> Tx::set(std::string_view path, const Plain& value, const SetOptions& options) {
    return core_.set(path, value, options);
}
Result<void> Tx::set(std::string_view path, Value value) {
    return core_.set(path, Plain{std::move(value)}, {});
}
Result<void> Tx::erase(std::string_view path) { return core_.erase(path); }
Result<void> Tx::increment(std::string_view path, std::int64_t delta) {
    return core_.increment(path, delta);
}
Result<void> Tx::insert(std::string_view path, const Plain& value) {
    return core_.insert(path, value);
}
Result<void> Tx::move(std::string_view from, std::string_view to) { return core_.move(from, to); }
Result<Plain> Tx::read(std::string_view path) const { return core_.read(path); }

}  // namespace joinery
