#include "crdt/names.h"

#include "crdt/hash.h"

#include <algorithm>
#include <cstring>

namespace joinery::crdt {
namespace {

std::uint64_t hash_bytes(ByteView bytes) noexcept {
    std::uint64_t hash = bytes.size();
    std::size_t at = 0;
    for (; at + 8 <= bytes.size(); at += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, bytes.data() + at, 8);
        hash = mix_hash(hash, word);
    }
    std::uint64_t tail = 0;
    if (at < bytes.size()) std::memcpy(&tail, bytes.data() + at, bytes.size() - at);
    return mix_hash(hash, tail);
}

std::uint64_t hash_value(const Value& value) noexcept {
    const auto type = static_cast<std::uint64_t>(value.type());
    const bool has_content = value.type() == ValueType::string || value.type() == ValueType::bytes;
    return mix_hash(type, has_content ? hash_bytes(value.content()) : value.payload());
}

void append(Bytes& out, ByteView bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

void append_u64(Bytes& out, std::uint64_t value) {
    for (unsigned shift = 0; shift < 64; shift += 8) {
        out.push_back(static_cast<std::uint8_t>(value >> shift));
    }
}

PathId path_id(const Bytes& input) {
    PathId id;
    hash_into(input, id.bytes);
    return id;
}

}  // namespace

std::string_view kind_name(Kind kind) noexcept {
    switch (kind) {
        case Kind::none: return "none";
        case Kind::map: return "map";
        case Kind::list: return "list";
        case Kind::counter: return "counter";
        case Kind::text: return "text";
        case Kind::tree: return "tree";
    }
    return "unknown";
}

Names::Names() { containers_.emplace_back(); }

ChainIndex Names::find_actor(const ActorId& actor) const {
    return actor_index_.find(hash_bytes(actor.view()),
                             [&](std::uint32_t i) { return actors_[i] == actor; });
}

ChainIndex Names::intern_actor(const ActorId& actor) {
    if (const ChainIndex found = find_actor(actor); found != kNone) return found;
    const auto index = static_cast<ChainIndex>(actors_.size());
    actors_.push_back(actor);
    actor_index_.insert(index, [&](std::uint32_t i) { return hash_bytes(actors_[i].view()); });
    return index;
}

ChainIndex Names::intern_branch(const ActorId& name, const ActorId& actor, std::uint32_t rank) {
    const ChainIndex chain = intern_actor(name);
    const auto place = std::ranges::lower_bound(branches_, chain, {}, &Branch::chain);
    JOINERY_ASSERT(place == branches_.end() || place->chain != chain);
    branches_.insert(place, {chain, actor, rank});
    return chain;
}

bool Names::branch_less(ChainIndex a, ChainIndex b) const {
    const auto place_of = [&](ChainIndex chain) {
        const auto at = std::ranges::lower_bound(branches_, chain, {}, &Branch::chain);
        if (at != branches_.end() && at->chain == chain) return std::pair(at->actor, at->rank);
        return std::pair(actors_[chain], std::uint32_t{0});
    };
    return place_of(a) < place_of(b);
}

KeyIndex Names::find_key(std::string_view key) const {
    return key_index_.find(hash_bytes(as_bytes(key)),
                           [&](std::uint32_t i) { return keys_[i] == key; });
}

KeyIndex Names::intern_key(std::string_view key) {
    if (const KeyIndex found = find_key(key); found != kNone) return found;
    const auto index = static_cast<KeyIndex>(keys_.size());
    keys_.emplace_back(key);
    key_index_.insert(index, [&](std::uint32_t i) { return hash_bytes(as_bytes(keys_[i])); });
    return index;
}

std::uint64_t Names::hash_container(ContainerIndex parent, std::uint32_t key, Kind kind) const {
    return mix_hash((std::uint64_t{parent} << 32U) | key, static_cast<std::uint64_t>(kind));
}

ContainerIndex Names::find_container(ContainerIndex parent, std::uint32_t key, Kind kind) const {
    return container_index_.find(hash_container(parent, key, kind), [&](std::uint32_t i) {
        const Container& c = containers_[i];
        return c.parent == parent && c.key == key && c.kind == kind;
    });
}

ContainerIndex Names::intern_container(ContainerIndex parent, std::uint32_t key, Kind kind) {
    if (const auto found = find_container(parent, key, kind); found != kNone) return found;
    const auto index = static_cast<ContainerIndex>(containers_.size());
    const Container& outer = containers_[parent];
    const ContainerIndex in_element = has_elements(outer.kind) ? index : outer.in_element;
    containers_.push_back({parent, key, kind, outer.depth + 1, in_element});
    container_index_.insert(index, [&](std::uint32_t i) {
        const Container& c = containers_[i];
        return hash_container(c.parent, c.key, c.kind);
    });
    return index;
}

/// At most kDepthMax deep, as containers are.
PathId Names::make_container_id(ContainerIndex container) const {
    const Container& c = containers_[container];
    Bytes input;
    append(input, container_id(c.parent).view());
    input.push_back(static_cast<std::uint8_t>(c.kind));
    if (has_elements(containers_[c.parent].kind)) {
        append(input, element_id(c.key).view());
    } else {
        append(input, as_bytes(keys_[c.key]));
    }
    if (ids_.size() <= container) ids_.resize(containers_.size());
    ids_[container] = path_id(input);
    return ids_[container];
}

PathId Names::element_id(ElementIndex element) const {
    const Element& e = elements_[element];
    Bytes input;
    append(input, container_id(e.list).view());
    if (e.chain != kNone) {
        input.push_back('d');
        append(input, actors_[e.chain].view());
        append_u64(input, e.counter);
        return path_id(input);
    }
    const ElementKey& key = element_keys_[e.counter];
    const std::string_view field = keys_[key.field];
    input.push_back('k');
    append_u64(input, field.size());
    append(input, as_bytes(field));
    append_u64(input, key.occurrence);
    input.push_back(static_cast<std::uint8_t>(key.value.type()));
    if (key.value.type() == ValueType::string || key.value.type() == ValueType::bytes) {
        append(input, key.value.content());
    } else {
        append_u64(input, key.value.payload());
    }
    return path_id(input);
}

std::uint64_t Names::hash_element_key(ContainerIndex list, const ElementKey& key) const {
    return mix_hash(mix_hash((std::uint64_t{list} << 32U) | key.field, key.occurrence),
                    hash_value(key.value));
}

std::uint64_t Names::hash_element(ElementIndex element) const {
    const Element& e = elements_[element];
    if (e.chain == kNone) return hash_element_key(e.list, element_keys_[e.counter]);
    return mix_hash((std::uint64_t{e.list} << 32U) | e.chain, e.counter);
}

ElementIndex Names::find_element(ContainerIndex list, Dot dot) const {
    const std::uint64_t hash = mix_hash((std::uint64_t{list} << 32U) | dot.chain, dot.counter);
    return element_index_.find(hash, [&](std::uint32_t i) {
        const Element& e = elements_[i];
        return e.list == list && e.chain == dot.chain && e.counter == dot.counter;
    });
}

ElementIndex Names::find_element(ContainerIndex list, const ElementKey& key) const {
    return element_index_.find(hash_element_key(list, key), [&](std::uint32_t i) {
        const Element& e = elements_[i];
        if (e.list != list || e.chain != kNone) return false;
        const ElementKey& other = element_keys_[e.counter];
        return other.field == key.field && other.occurrence == key.occurrence &&
               other.value == key.value;
    });
}

ElementIndex Names::intern_element(ContainerIndex list, Dot dot) {
    if (const ElementIndex found = find_element(list, dot); found != kNone) return found;
    const auto index = static_cast<ElementIndex>(elements_.size());
    elements_.push_back({list, dot.chain, dot.counter});
    element_index_.insert(index, [&](std::uint32_t i) { return hash_element(i); });
    return index;
}

ElementIndex Names::intern_element(ContainerIndex list, const ElementKey& key) {
    if (const ElementIndex found = find_element(list, key); found != kNone) return found;
    const auto index = static_cast<ElementIndex>(elements_.size());
    elements_.push_back({list, kNone, element_keys_.size()});
    element_keys_.push_back(key);
    element_index_.insert(index, [&](std::uint32_t i) { return hash_element(i); });
    return index;
}

Names::Mark Names::mark() const noexcept {
    return {
        actors_.size(), keys_.size(), containers_.size(), elements_.size(), element_keys_.size()};
}

void Names::truncate(const Mark& mark) {
    ++truncation_count_;
    // Elements and containers hash by what they refer to, so they go before keys and actors.
    while (elements_.size() > mark.elements) {
        element_index_.erase(static_cast<std::uint32_t>(elements_.size() - 1),
                             [&](std::uint32_t i) { return hash_element(i); });
        elements_.pop_back();
    }
    element_keys_.resize(mark.element_keys);
    while (containers_.size() > mark.containers) {
        container_index_.erase(static_cast<std::uint32_t>(containers_.size() - 1),
                               [&](std::uint32_t i) {
                                   const Container& c = containers_[i];
                                   return hash_container(c.parent, c.key, c.kind);
                               });
        containers_.pop_back();
    }
    if (ids_.size() > mark.containers) ids_.resize(mark.containers);
    while (keys_.size() > mark.keys) {
        key_index_.erase(static_cast<std::uint32_t>(keys_.size() - 1),
                         [&](std::uint32_t i) { return hash_bytes(as_bytes(keys_[i])); });
        keys_.pop_back();
    }
    while (!branches_.empty() && branches_.back().chain >= mark.actors)
        branches_.pop_back();
    while (actors_.size() > mark.actors) {
        actor_index_.erase(static_cast<std::uint32_t>(actors_.size() - 1),
                           [&](std::uint32_t i) { return hash_bytes(actors_[i].view()); });
        actors_.pop_back();
    }
}

std::size_t Names::memory_size() const noexcept {
    std::size_t size =
        actors_.capacity() * sizeof(ActorId) + containers_.capacity() * sizeof(Container) +
        ids_.capacity() * sizeof(PathId) + elements_.capacity() * sizeof(Element) +
        element_keys_.capacity() * sizeof(ElementKey) + keys_.capacity() * sizeof(std::string);
    for (const std::string& key : keys_)
        size += key.capacity() > 15 ? key.capacity() + 1 : 0;
    return size + actor_index_.memory_size() + key_index_.memory_size() +
           container_index_.memory_size() + element_index_.memory_size();
}

}  // namespace joinery::crdt
