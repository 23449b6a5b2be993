// Random verbs and raw changes of a RandomHistory, and where its randomness comes from.
#include "crdt/random_history.h"
#include "tests/support/shared_data.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <sstream>

namespace joinery::crdt::test {

// --- Sources -------------------------------------------------------------------------------------

std::size_t SeededSource::below(std::size_t limit) {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
    return static_cast<std::size_t>((z ^ (z >> 31U)) % limit);
}

std::size_t BytesSource::below(std::size_t limit) {
    std::size_t number = 0;
    for (std::size_t reach = 1; reach < limit && !bytes_.empty(); reach *= 256) {
        number = number * 256 + bytes_.front();
        bytes_ = bytes_.subspan(1);
    }
    return number % limit;
}

std::string_view theme_name(Theme theme) {
    static constexpr std::string_view kNames[] = {
        "registers", "maps", "counters", "lists", "nested"};
    return kNames[static_cast<std::size_t>(theme)];
}

std::size_t iterations(std::size_t count) {
    const char* factor = std::getenv("JOINERY_ITERATIONS");
    if (factor == nullptr) return count;
    return std::max<std::size_t>(
        1, static_cast<std::size_t>(static_cast<double>(count) * std::strtod(factor, nullptr)));
}

std::vector<std::uint64_t> seeds_for(Theme theme, std::size_t count) {
    if (const char* seed = std::getenv("JOINERY_SEED")) return {std::strtoull(seed, nullptr, 0)};
    std::vector<std::uint64_t> seeds;
    std::ifstream file(testing::source_path("tests/regress/crdt_seeds.txt"));
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::string name;
        std::uint64_t seed = 0;
        if (words >> name >> seed && name == theme_name(theme)) seeds.push_back(seed);
    }
    for (std::uint64_t seed = 1; seed <= iterations(count); ++seed)
        seeds.push_back(seed);
    return seeds;
}

// --- Choices -------------------------------------------------------------------------------------

Value RandomEdit::pick_value() {
    using Limits = std::numeric_limits<std::int64_t>;
    static const Bytes kBytes{0, 255, 10};
    static const std::vector<Value> kValues{
        Value(),
        Value(false),
        Value(true),
        Value(std::int64_t{1}),
        Value(1.0),
        Value(0.0),
        Value(-0.0),
        Value(0.1),
        Value(std::numeric_limits<double>::quiet_NaN()),
        Value(std::numeric_limits<double>::infinity()),
        Value(Limits::min()),
        Value(Limits::max()),
        Value("1"),
        Value(""),
        Value("a string that is longer than a value holds inline"),
        Value(ByteView(kBytes)),
        Value(ByteView()),
        Value(WallTime(1)),
        Value(WallTime(-1)),
    };
    if (source_.chance(40)) return source_.pick(kValues);
    return Value(static_cast<std::int64_t>(source_.below(8)));
}

Kind RandomEdit::pick_kind() {
    const std::size_t what = source_.below(100);
    if (theme_ == Theme::lists) return what < 70 ? Kind::list : Kind::map;
    if (theme_ == Theme::counters) return what < 60 ? Kind::counter : Kind::map;
    if (theme_ == Theme::maps) return what < 85 ? Kind::map : Kind::list;
    if (what < 40) return Kind::map;
    return what < 75 ? Kind::list : Kind::counter;
}

/// Whether one may write there: all elements on the way were inserted, and it is not too deep.
bool RandomEdit::is_usable(ContainerIndex container) const {
    const Names& names = document_.names();
    if (names.container(container).depth > 4) return false;
    for (auto at = container; at != kRoot; at = names.container(at).parent) {
        const Names::Container& name = names.container(at);
        const bool in_list = has_elements(names.container(name.parent).kind);
        if (in_list && document_.state().element(name.key).item == kNone) return false;
    }
    return true;
}

/// From the root through children that are there, hidden ones included.
ContainerIndex RandomEdit::walk_to(Kind kind) {
    const State& state = document_.state();
    ContainerIndex found = kNone;
    for (ContainerIndex at = kRoot;;) {
        if (document_.names().container(at).kind == kind && is_usable(at)) {
            found = at;
            if (source_.chance(40)) return found;
        }
        std::vector<ContainerIndex> children;
        for (auto slot = state.container(at).first_slot; slot != kNone;
             slot = state.slot(slot).next) {
            const Shown shown = state.shown(state.slot(slot));
            if (shown.container != kNone) children.push_back(shown.container);
            for (auto child = state.slot(slot).first_child; child != kNone;
                 child = state.container(child).next_sibling) {
                children.push_back(child);
            }
        }
        if (children.empty()) return found;
        at = source_.pick(children);
    }
}

/// A container of the kind, shown, hidden or a mere name; kNone if there is none.
ContainerIndex RandomEdit::pick_container(Kind kind) {
    if (kind == Kind::map && theme_ == Theme::registers && source_.chance(90)) return kRoot;
    if (source_.chance(70)) {
        const ContainerIndex found = walk_to(kind);
        if (found != kNone) return found;
    }
    std::vector<ContainerIndex> named;
    for (ContainerIndex c = 0; c < document_.names().container_count(); ++c) {
        if (document_.names().container(c).kind == kind && is_usable(c)) named.push_back(c);
    }
    if (!named.empty()) return source_.pick(named);
    const auto made = transaction_.make(kRoot, *transaction_.key("l"), kind);
    return made ? *made : kNone;
}

/// A slot of the container: any key; an element that shows, or any that was ever inserted.
std::uint32_t RandomEdit::pick_slot(ContainerIndex container) {
    if (container == kNone) return kNone;
    const Names& names = document_.names();
    if (!has_elements(names.container(container).kind)) {
        static const std::vector<std::string> kOdd{
            "", "\xd0\xba\xd0\xbb", std::string("a\0b", 3), std::string(100, 'k')};
        if (source_.chance(4)) return *transaction_.key(source_.pick(kOdd));
        static const std::vector<std::string> kKeys{"a", "b", "c", "d"};
        const std::size_t reach = theme_ == Theme::registers || theme_ == Theme::counters ? 2 : 4;
        return *transaction_.key(kKeys[source_.below(reach)]);
    }
    std::vector<ElementIndex> elements;
    const State::List* list = document_.state().list(container);
    if (list == nullptr) return kNone;
    if (source_.chance(75)) {
        list->places.for_each_visible(
            [&](std::uint32_t item) { elements.push_back(list->element_of[item]); });
    }
    if (elements.empty()) elements = list->element_of;
    return elements.empty() ? kNone : source_.pick(elements);
}

// --- Verbs ---------------------------------------------------------------------------------------

void RandomEdit::verb() {
    const std::size_t what = source_.below(100);
    if (what < 4) return invalid();
    switch (theme_) {
        case Theme::registers:
        case Theme::maps: return edit_map();
        case Theme::counters: return what < 60 ? edit_counter() : edit_map();
        case Theme::lists: return what < 80 ? edit_list() : edit_map();
        case Theme::nested:
            if (what < 40) return edit_map();
            return what < 80 ? edit_list() : edit_counter();
    }
}

void RandomEdit::edit_map() {
    const ContainerIndex map = pick_container(Kind::map);
    edit_slot(map, pick_slot(map));
}

void RandomEdit::edit_slot(ContainerIndex container, std::uint32_t key) {
    if (container == kNone || key == kNone) return;
    // put, make, erase; else an increment.
    static constexpr std::size_t kShares[kThemeCount][3] = {
        {75, 80, 98}, {45, 75, 97}, {10, 20, 50}, {30, 60, 90}, {35, 65, 90}};
    const auto& shares = kShares[static_cast<std::size_t>(theme_)];
    const std::size_t what = source_.below(100);
    if (what < shares[0]) {
        (void)transaction_.put(container, key, pick_value());
    } else if (what < shares[1]) {
        (void)transaction_.make(container, key, pick_kind());
    } else if (what < shares[2]) {
        (void)transaction_.erase(container, key);
    } else if (const auto counter = transaction_.counter_at(container, key)) {
        (void)transaction_.increment(*counter, 1);
    }
}

void RandomEdit::edit_counter() {
    const ContainerIndex counter = pick_container(Kind::counter);
    if (counter == kNone) return;
    using Limits = std::numeric_limits<std::int64_t>;
    static const std::vector<std::int64_t> kGreat{
        Limits::max(), Limits::min(), Limits::max() / 2, Limits::min() / 2, 0};
    const auto small = static_cast<std::int64_t>(source_.below(20)) - 8;
    (void)transaction_.increment(counter, source_.chance(8) ? source_.pick(kGreat) : small);
}

void RandomEdit::insert(ContainerIndex list) {
    const State::List* held = document_.state().list(list);
    const std::size_t count = held == nullptr ? 0 : held->places.visible_count();
    // Often at the end or beside the last one, as people type.
    const std::size_t index = source_.chance(40) ? count : source_.below(count + 1);
    Transaction::Content content;
    if (source_.chance(theme_ == Theme::nested ? 35 : 10)) {
        content.made = pick_kind();
    } else {
        content.value = pick_value();
    }
    std::optional<Names::ElementKey> by_key;
    if (source_.chance(30)) {
        by_key.emplace();
        by_key->field = *transaction_.key(source_.chance(90) ? "id" : "name");
        by_key->occurrence = source_.chance(90) ? 0 : 1;
        by_key->value =
            source_.chance(90) ? Value(static_cast<std::int64_t>(source_.below(4))) : pick_value();
    }
    const auto inserted = transaction_.insert(list, index, content, by_key);
    if (!inserted || source_.chance(60)) return;
    // A run, as pasted.
    for (std::size_t i = 1; i <= source_.below(4); ++i) {
        (void)transaction_.insert(
            list, index + i, {Kind::none, Value(static_cast<std::int64_t>(i))});
    }
}

void RandomEdit::edit_list() {
    const ContainerIndex list = pick_container(Kind::list);
    if (list == kNone) return;
    const State::List* held = document_.state().list(list);
    const std::size_t count = held == nullptr ? 0 : held->places.visible_count();
    const std::size_t what = source_.below(100);
    if (what < 45 || count == 0) return insert(list);
    if (what < 65) {
        (void)transaction_.move(list, source_.below(count), source_.below(count));
    } else if (what < 82) {
        const auto element = transaction_.element_at(list, source_.below(count));
        if (element) (void)transaction_.erase(list, *element);
    } else {
        edit_slot(list, pick_slot(list));
    }
}

/// What must be refused and do nothing.
void RandomEdit::invalid() {
    const std::size_t before = transaction_.op_count();
    const ContainerIndex list = pick_container(Kind::list);
    const std::size_t after_choice = transaction_.op_count();
    const KeyIndex key = *transaction_.key("a");
    const ContainerIndex counter = document_.names().find_container(kRoot, key, Kind::counter);
    bool refused = true;
    const auto expect = [&](const auto& result) { refused = refused && !result.has_value(); };
    expect(transaction_.insert(kRoot, 0, {}));
    expect(transaction_.increment(kRoot, 1));
    expect(transaction_.erase(kRoot, *transaction_.key("never written")));
    expect(transaction_.make(kRoot, key, Kind::none));
    if (counter != kNone) expect(transaction_.put(counter, key, Value()));
    if (list != kNone) {
        expect(transaction_.insert(list, 1000, {}));
        expect(transaction_.move(list, 1000, 0));
        expect(transaction_.element_at(list, 1000));
    }
    JOINERY_ASSERT(refused);
    JOINERY_ASSERT(transaction_.op_count() == after_choice && after_choice >= before);
}

// --- Raw changes ---------------------------------------------------------------------------------

Op raw_op(const Document& document,
          OpKind kind,
          ContainerIndex container,
          std::uint32_t key,
          std::int64_t time_ms,
          Kind made,
          const Value& value) {
    Op op;
    op.kind = kind;
    op.container = container;
    op.key = key;
    op.made = made;
    if (kind == OpKind::put) op.value = value;
    if (kind == OpKind::erase) return op;
    const SlotIndex slot = document.state().find_slot(container, key);
    if (slot == kNone || !document.state().slot(slot).has_entry()) return op;
    const std::int64_t greatest = document.state().slot(slot).entry.stamp;
    const bool is_last = greatest == std::numeric_limits<std::int64_t>::max();
    const std::int64_t stamp = is_last ? greatest : greatest + 1;
    if (stamp > time_ms) op.stamp = stamp;
    return op;
}

namespace {

/// N4, by looking at every counter there is.
void add_cells(const Document& document, const Op& erase, Batch& batch) {
    const Names& names = document.names();
    for (ContainerIndex c = 0; c < names.container_count(); ++c) {
        if (names.container(c).kind != Kind::counter) continue;
        bool is_beneath = false;
        for (auto at = c; at != kRoot; at = names.container(at).parent) {
            const Names::Container& name = names.container(at);
            is_beneath = is_beneath || (name.parent == erase.container && name.key == erase.key);
        }
        if (!is_beneath) continue;
        for (const Cell& cell : document.state().cells(c)) {
            batch.seen_cells.push_back({c, cell.chain, cell.origin, cell.last, cell.total});
        }
    }
    std::ranges::sort(
        std::span(batch.seen_cells).subspan(erase.extra), {}, [&](const SeenCell& cell) {
            return std::pair(names.container_id(cell.counter), names.actor(cell.chain));
        });
}

}  // namespace

Batch raw_change(Document& document,
                 const ActorId& actor,
                 std::int64_t time_ms,
                 const std::vector<Op>& ops) {
    Batch batch;
    ChangeHeader header;
    header.chain = document.names().intern_actor(actor);
    header.seq = document.graph().last_seq(header.chain) + 1;
    header.counter = document.graph().next_counter(header.chain);
    header.time_ms = time_ms;
    for (const Dependency& head : document.graph().heads()) {
        if (head.chain != header.chain) batch.dependencies.push_back(head);
    }
    std::ranges::sort(batch.dependencies, [&](const Dependency& a, const Dependency& b) {
        return document.names().actor_less(a.chain, b.chain);
    });
    header.dependency_count = static_cast<std::uint32_t>(batch.dependencies.size());
    for (Op op : ops) {
        op.extra = static_cast<std::uint32_t>(batch.seen_cells.size());
        if (op.kind == OpKind::erase) add_cells(document, op, batch);
        op.extra_count = static_cast<std::uint32_t>(batch.seen_cells.size()) - op.extra;
        batch.ops.push_back(std::move(op));
    }
    header.op_count = static_cast<std::uint32_t>(batch.ops.size());
    batch.changes.push_back(header);
    return batch;
}

}  // namespace joinery::crdt::test
