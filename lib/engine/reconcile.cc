#include "engine/reconcile.h"

#include "engine/match.h"

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <set>

namespace joinery::detail {
namespace {

using crdt::ContainerIndex;
using crdt::ElementIndex;
using crdt::Kind;
using crdt::Transaction;

Result<void> reconcile_list(Transaction& transaction,
                            ContainerIndex list,
                            const PlainArray& target,
                            const SetOptions& options);

/// Inserts @p value, with all that is in it, as the element that @p by_key names, or one of its
/// own.
Result<void> insert_value(Transaction& transaction,
                          ContainerIndex list,
                          std::size_t index,
                          const Plain& value,
                          const SetOptions& options,
                          const std::optional<crdt::Names::ElementKey>& by_key) {
    Transaction::Content content;
    if (value.is_scalar()) {
        content.value = value.scalar();
    } else {
        content.made = value.is_object() ? Kind::map : Kind::list;
    }
    JOINERY_TRY(const ElementIndex element, transaction.insert(list, index, content, by_key));
    if (value.is_scalar()) return {};
    JOINERY_TRY(const ContainerIndex child, transaction.make(list, element, content.made));
    if (value.is_object()) return reconcile_map(transaction, child, value.object(), options);
    return reconcile_list(transaction, child, value.array(), options);
}

/// Any order of values, for lookup.
struct ValueOrder {
    bool operator()(const Value& a, const Value& b) const noexcept {
        if (a.type() != b.type()) return a.type() < b.type();
        if (a.type() == ValueType::string || a.type() == ValueType::bytes) {
            return as_text(a.content()) < as_text(b.content());
        }
        return a.payload() < b.payload();
    }
};

/// Makes one list equal to its target: erases what has no match, then walks the target in order and
/// puts each element that does not stand right after the one before it there.
class ListReconciler {
  public:
    ListReconciler(Transaction& transaction,
                   ContainerIndex list,
                   const PlainArray& target,
                   const SetOptions& options)
        : transaction_(transaction),
          state_(transaction.document().state()),
          list_(list),
          target_(target),
          options_(options) {}

    Result<void> run() {
        read_current();
        const std::string_view field = key_field(target_, options_.array_keys);
        const ListMatch match = field.empty() ? match_by_content(current_, target_)
                                              : match_by_key(current_, target_, field);
        JOINERY_TRY_VOID(erase_unmatched(match));
        const std::set<std::size_t> staying = longest_increasing(match.current_of);
        std::optional<ElementIndex> previous;
        for (std::size_t i = 0; i < target_.size(); ++i) {
            const auto current = match.current_of[i];
            if (!current) {
                JOINERY_TRY(previous, insert(i, previous, field));
                continue;
            }
            const ElementIndex element = elements_[*current];
            if (!staying.contains(i)) JOINERY_TRY_VOID(move_behind(element, previous));
            if (current_[*current] != target_[i]) {
                JOINERY_TRY_VOID(
                    reconcile_slot(transaction_, list_, element, target_[i], options_));
            }
            previous = element;
        }
        return {};
    }

  private:
    void read_current() {
        const crdt::State::List* list = state_.list(list_);
        if (list == nullptr) return;
        list->places.for_each_visible([&](crdt::Item item) {
            const ElementIndex element = list->element_of[item];
            elements_.push_back(element);
            current_.push_back(transaction_.document().read(state_.shown(list_, element)));
        });
    }

    Result<void> erase_unmatched(const ListMatch& match) {
        std::vector<bool> matched(current_.size(), false);
        for (const auto& current : match.current_of) {
            if (current) matched[*current] = true;
        }
        for (std::size_t i = 0; i < current_.size(); ++i) {
            if (!matched[i]) JOINERY_TRY_VOID(transaction_.erase(list_, elements_[i]));
        }
        return {};
    }

    std::size_t index_of(ElementIndex element) const {
        return state_.list(list_)->places.visible_index_of(state_.element(element).item);
    }
    std::size_t index_behind(const std::optional<ElementIndex>& previous) const {
        return previous ? index_of(*previous) + 1 : 0;
    }

    Result<void> move_behind(ElementIndex element, const std::optional<ElementIndex>& previous) {
        const std::size_t from = index_of(element);
        std::size_t to = index_behind(previous);
        if (from < to) --to;
        return transaction_.move(list_, from, to);
    }

    /// The name of the element to insert: by its key field, else by its content, so that peers that
    /// import one array offline name its elements alike.
    Result<crdt::Names::ElementKey> name_of(const Plain& value, std::string_view field) {
        crdt::Names::ElementKey key;
        JOINERY_TRY(key.field, transaction_.key(field));
        key.value =
            field.empty() ? content_key(value) : find_member(value.object(), field)->scalar();
        // Elements only appear while the target is walked, so those tried before are not free.
        std::uint32_t& occurrence = occurrences_[key.value];
        for (key.occurrence = occurrence; is_taken(key);)
            ++key.occurrence;
        occurrence = key.occurrence + 1;
        return key;
    }

    bool is_taken(const crdt::Names::ElementKey& key) const {
        const auto element = transaction_.document().names().find_element(list_, key);
        if (element == crdt::kNone) return false;
        const auto slot = state_.find_slot(list_, element);
        return slot != crdt::kNone && state_.slot(slot).is_present();
    }

    Result<std::optional<ElementIndex>> insert(std::size_t target_index,
                                               const std::optional<ElementIndex>& previous,
                                               std::string_view field) {
        JOINERY_TRY(const auto key, name_of(target_[target_index], field));
        const std::size_t index = index_behind(previous);
        JOINERY_TRY_VOID(
            insert_value(transaction_, list_, index, target_[target_index], options_, key));
        JOINERY_TRY(const ElementIndex element, transaction_.element_at(list_, index));
        return std::optional<ElementIndex>(element);
    }

    Transaction& transaction_;
    const crdt::State& state_;
    ContainerIndex list_;
    const PlainArray& target_;
    const SetOptions& options_;
    std::vector<ElementIndex> elements_;
    PlainArray current_;
    /// By the value that names an element: the first occurrence that may be free.
    std::map<Value, std::uint32_t, ValueOrder> occurrences_;
};

Result<void> reconcile_list(Transaction& transaction,
                            ContainerIndex list,
                            const PlainArray& target,
                            const SetOptions& options) {
    return ListReconciler(transaction, list, target, options).run();
}

/// Rule J3: whether @p target was met by counting.
Result<bool> reconcile_counter(Transaction& transaction,
                               ContainerIndex counter,
                               const Plain& target) {
    if (!target.is_scalar() || target.scalar().type() != ValueType::integer) return false;
    const Int128 difference =
        target.scalar().as_integer() - transaction.document().state().counter_sum(counter);
    if (difference > std::numeric_limits<std::int64_t>::max() ||
        difference < std::numeric_limits<std::int64_t>::min()) {
        return false;
    }
    if (difference != 0) {
        JOINERY_TRY_VOID(transaction.increment(counter, static_cast<std::int64_t>(difference)));
    }
    return true;
}

}  // namespace

Result<void> reconcile_map(Transaction& transaction,
                           ContainerIndex container,
                           const PlainObject& target,
                           const SetOptions& options) {
    const crdt::State& state = transaction.document().state();
    const crdt::Names& names = transaction.document().names();
    std::vector<crdt::KeyIndex> surplus;
    for (auto slot = state.container(container).first_slot; slot != crdt::kNone;
         slot = state.slot(slot).next) {
        const crdt::State::Slot& s = state.slot(slot);
        if (s.is_present() && find_member(target, names.key(s.key)) == nullptr) {
            surplus.push_back(s.key);
        }
    }
    // The order of slots is not one that other peers share; that of keys is.
    std::ranges::sort(surplus, {}, [&](crdt::KeyIndex key) { return names.key(key); });
    for (const crdt::KeyIndex key : surplus)
        JOINERY_TRY_VOID(transaction.erase(container, key));
    for (const auto& [name, value] : target) {
        JOINERY_TRY(const crdt::KeyIndex key, transaction.key(name));
        const Value* shown = state.shown(container, key).value;
        const bool is_shown = shown != nullptr && value.is_scalar() && *shown == value.scalar();
        if (!is_shown)
            JOINERY_TRY_VOID(reconcile_slot(transaction, container, key, value, options));
    }
    return {};
}

Result<void> reconcile_slot(Transaction& transaction,
                            ContainerIndex container,
                            std::uint32_t key,
                            const Plain& target,
                            const SetOptions& options) {
    const crdt::Shown shown = transaction.document().state().shown(container, key);
    if (shown.kind == Kind::counter) {
        JOINERY_TRY(const bool counted, reconcile_counter(transaction, shown.container, target));
        if (counted) return {};
    }
    if (target.is_scalar()) return transaction.put(container, key, target.scalar());
    const Kind kind = target.is_object() ? Kind::map : Kind::list;
    const bool is_empty = target.is_object() ? target.object().empty() : target.array().empty();
    ContainerIndex child = shown.container;
    // A container that nobody made shows only while something is in it (rule M6).
    if (shown.kind != kind || is_empty) {
        JOINERY_TRY(child, transaction.make(container, key, kind));
    }
    if (target.is_object()) return reconcile_map(transaction, child, target.object(), options);
    return reconcile_list(transaction, child, target.array(), options);
}

Result<void> insert_plain(Transaction& transaction,
                          ContainerIndex list,
                          std::size_t index,
                          const Plain& value,
                          const SetOptions& options) {
    return insert_value(transaction, list, index, value, options, std::nullopt);
}

}  // namespace joinery::detail
