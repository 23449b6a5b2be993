/// @file
/// The names of one document, interned to dense indices: actors, map keys, containers, elements.
/// A name once interned keeps its index while the Names live, whether or not the thing it names is
/// visible; so an index held by a handle, a dictionary or an operation never goes stale.
#pragma once

#include "base/bytes.h"
#include "base/value.h"
#include "crdt/flat_index.h"
#include "crdt/limits.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace joinery::crdt {

using ChainIndex = std::uint32_t;      ///< A chain: the linear changes of one actor.
using KeyIndex = std::uint32_t;        ///< A map key, or the field name of an element's key.
using ContainerIndex = std::uint32_t;  ///< A container; kRoot is the root map.
using ElementIndex = std::uint32_t;    ///< An element of a list.

inline constexpr ContainerIndex kRoot = 0;

/// What a container is. The numbers are written on disk and on the wire: never change them. Their
/// order is the order of rule M4.
enum class Kind : std::uint8_t { none = 0, map = 1, list = 2, counter = 3, text = 4, tree = 5 };
inline constexpr std::uint8_t kKindMax = 5;

/// The lower-case name of @p kind.
std::string_view kind_name(Kind kind) noexcept;

/// Whether slots of a container of @p kind are elements (else: map keys).
inline bool has_elements(Kind kind) noexcept { return kind == Kind::list; }

/// An operation's name (rule C2); chain kNone means "none".
struct Dot {
    ChainIndex chain = kNone;
    std::uint64_t counter = 0;
    friend bool operator==(const Dot&, const Dot&) = default;
};

/// 16 bytes that name a container or an element on every peer: BLAKE2b-128 of its path.
using PathId = FixedBytes<16, struct PathIdTag>;

class Names {
  public:
    struct Container {
        ContainerIndex parent = kNone;
        std::uint32_t key = 0;  ///< KeyIndex, or ElementIndex where the parent has elements.
        Kind kind = Kind::map;
        std::uint32_t depth = 0;  ///< 0 for the root.
        /// The deepest of this container and those above it whose slot is an element; kNone if
        /// none.
        ContainerIndex in_element = kNone;
    };
    /// An element's identity (rule L6): by dot, or by key where chain == kNone.
    struct Element {
        ContainerIndex list = kNone;
        ChainIndex chain = kNone;
        std::uint64_t counter = 0;  ///< The dot's counter; by key, an index for element_key().
    };
    struct ElementKey {
        KeyIndex field = 0;
        std::uint32_t occurrence = 0;
        Value value;
    };
    /// How many of each there are: what truncate() goes back to.
    struct Mark {
        std::size_t actors, keys, containers, elements, element_keys;
    };

    Names();

    ChainIndex intern_actor(const ActorId& actor);
    /// A chain behind a fork of @p actor, which goes by @p name and stands in the order of @p
    /// actor's chains at @p rank, from 1 (rule F4).
    ChainIndex intern_branch(const ActorId& name, const ActorId& actor, std::uint32_t rank);
    KeyIndex intern_key(std::string_view key);
    ContainerIndex intern_container(ContainerIndex parent, std::uint32_t key, Kind kind);
    ElementIndex intern_element(ContainerIndex list, Dot dot);
    ElementIndex intern_element(ContainerIndex list, const ElementKey& key);

    ChainIndex find_actor(const ActorId& actor) const;
    KeyIndex find_key(std::string_view key) const;
    ContainerIndex find_container(ContainerIndex parent, std::uint32_t key, Kind kind) const;
    ElementIndex find_element(ContainerIndex list, Dot dot) const;
    ElementIndex find_element(ContainerIndex list, const ElementKey& key) const;

    const ActorId& actor(ChainIndex chain) const { return actors_[chain]; }
    std::string_view key(KeyIndex key) const { return keys_[key]; }
    const Container& container(ContainerIndex container) const { return containers_[container]; }
    /// The container's name on every peer. A hash, made when it is first asked for and then kept:
    /// who opens a document to read it need not wait for those of all its containers.
    PathId container_id(ContainerIndex container) const {
        if (container < ids_.size() && !ids_[container].is_zero()) return ids_[container];
        return container == kRoot ? PathId{} : make_container_id(container);
    }
    const Element& element(ElementIndex element) const { return elements_[element]; }
    const ElementKey& element_key(ElementIndex element) const {
        return element_keys_[elements_[element].counter];
    }
    bool is_by_key(ElementIndex element) const { return elements_[element].chain == kNone; }
    /// The element's name on every peer; computed at each call.
    PathId element_id(ElementIndex element) const;

    /// Whether @p a comes before @p b among actors (rule R2's tie-break).
    bool actor_less(ChainIndex a, ChainIndex b) const {
        return branches_.empty() ? actors_[a] < actors_[b] : branch_less(a, b);
    }

    std::size_t actor_count() const noexcept { return actors_.size(); }
    std::size_t key_count() const noexcept { return keys_.size(); }
    std::size_t container_count() const noexcept { return containers_.size(); }
    std::size_t element_count() const noexcept { return elements_.size(); }

    Mark mark() const noexcept;
    /// Forgets all that was interned after @p mark; nothing may refer to it any more.
    void truncate(const Mark& mark);
    /// How often truncate() was called: what was found by walking the names may be gone since.
    std::uint64_t truncation_count() const noexcept { return truncation_count_; }

    std::size_t memory_size() const noexcept;

  private:
    /// Where a branch stands: beside its actor.
    struct Branch {
        ChainIndex chain = kNone;
        ActorId actor;
        std::uint32_t rank = 0;
    };
    bool branch_less(ChainIndex a, ChainIndex b) const;

    std::uint64_t hash_container(ContainerIndex parent, std::uint32_t key, Kind kind) const;
    std::uint64_t hash_element(ElementIndex element) const;
    std::uint64_t hash_element_key(ContainerIndex list, const ElementKey& key) const;
    PathId make_container_id(ContainerIndex container) const;

    std::vector<ActorId> actors_;
    std::vector<Branch> branches_;  // By chain, ascending; none without a fork.
    std::vector<std::string> keys_;
    std::vector<Container> containers_;
    mutable std::vector<PathId> ids_;  // By container; zero where nobody asked. May be shorter.
    std::vector<Element> elements_;
    std::vector<ElementKey> element_keys_;
    FlatIndex actor_index_, key_index_, container_index_, element_index_;
    std::uint64_t truncation_count_ = 0;
};

}  // namespace joinery::crdt
