/// @file
/// The dumbest evaluation of docs/semantics.md: a set of changes in, what the document shows out.
/// Everything is computed from scratch over all operations and named by plain bytes, in quadratic
/// time or worse. It is the oracle for crdt/, so it shares nothing with it but the enumerations of
/// kinds.
#pragma once

#include "base/bytes.h"
#include "base/int128.h"
#include "base/plain.h"
#include "crdt/batch.h"

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace joinery::model {

using crdt::Kind;
using crdt::OpKind;

/// An operation's name (rule C2); counter 0 is the edge of a list.
struct Dot {
    ActorId actor;
    std::uint64_t counter = 0;
    friend auto operator<=>(const Dot&, const Dot&) = default;
};

/// A slot, then what is used in it. The key is a map's key, or an element's name (rule L6) as any
/// text that is equal for equal elements.
struct Step {
    std::string key;
    Kind kind = Kind::map;
};
using Path = std::vector<Step>;  // The root map's is empty.

struct Op {
    OpKind kind = OpKind::put;
    Kind made = Kind::none;  // make and insert: the container made; none for a value.
    Path container;          // An increment's is the counter.
    std::string key;         // Of the slot; an increment has none.
    std::optional<std::int64_t> stamp;
    Value value;
    Dot left, right;         // insert and move.
    std::int64_t delta = 0;  // increment; the totals it carries are of no interest.
};

struct Change {
    ActorId actor;
    std::uint64_t seq = 0;
    std::uint64_t counter = 0;  // Of the first operation.
    std::int64_t time_ms = 0;
    std::vector<std::pair<ActorId, std::uint64_t>> dependencies;  // (actor, seq)
    std::vector<Op> ops;
};

/// One change in a line, for the report of a failure.
std::string to_text(const Change& change);
std::string to_text(const Value& value);
std::string to_text(const Plain& plain);
std::string to_text(const PlainObject& object);
std::string to_text(const Dot& dot);
/// The decimal digits of @p number.
std::string to_text(Int128 number);

class Model {
  public:
    /// @p changes  A set: in any order, duplicates allowed, with all that its members depend on.
    explicit Model(const std::vector<Change>& changes);

    /// What the document shows.
    PlainObject root() const;
    /// All visible operations with their values, and the order of all present elements: two
    /// documents have equal digests exactly if these texts are equal (rule D1).
    std::string dump() const;
    /// What the state holds: each slot's winner and alternatives with their stamps, each element's
    /// winning place and the others, each list's places in order, each counter's sums by actor. See
    /// detail_of().
    std::string detail() const;

    /// Whether the operation @p observer had seen @p other (rule C4); both must exist.
    bool saw(const Dot& observer, const Dot& other) const;

  private:
    // A slot's or container's place in the tree: keys and names of kinds in turn. A slot's ends
    // with a key, a container's with a kind; what is beneath either begins with it.
    using Address = std::vector<std::string>;

    struct Event {
        Dot dot;
        Op op;
        std::int64_t stamp = 0;
        Address address;  // Of the slot; an increment's, of the counter.
        std::size_t change = 0;
        bool is_visible = false;   // V1, of puts, makes and increments.
        bool is_standing = false;  // L3, of places.
    };

    void order_changes(std::vector<Change> changes);
    void find_contexts();
    void find_events();
    void find_visible();
    bool event_saw(const Event& observer, const Event& other) const;
    static bool overwrites(const Event& later, const Event& earlier);
    static bool clears(const Event& erase, const Event& event);
    static bool is_greater(const Event* a, const Event* b);

    bool is_present(const Address& address) const;
    std::vector<const Event*> entries_of(const Address& slot) const;
    std::vector<std::string> keys_of(const Address& container) const;
    std::vector<const Event*> places_of(const Address& list) const;
    std::vector<std::string> elements_of(const Address& list) const;
    std::vector<Address> lists() const;
    Int128 sum_of(const Address& counter) const;
    Plain read_slot(const Address& slot) const;
    PlainObject read_map(const Address& map) const;

    std::vector<Change> changes_;              // In the canonical causal order.
    std::vector<std::vector<bool>> contexts_;  // By change: the changes that it had seen.
    std::vector<Event> events_;                // In the order of changes_.
};

/// The text of an address, for details and dumps: keys of letters and digits as they are, others in
/// hex.
std::string address_text(const std::vector<std::string>& address);

}  // namespace joinery::model
