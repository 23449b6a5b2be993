#include "model/forks.h"

#include "base/assert.h"

#include <algorithm>

namespace joinery::model {
namespace {

bool has_counter(const SignedChange& change, std::uint64_t counter) {
    return counter >= change.counter && counter - change.counter < change.ops.size();
}

/// Every name that @p op gives.
std::vector<Name> names_in(const NamedOp& op) {
    std::vector<Name> names{op.left, op.right};
    for (const auto& [index, name] : op.elements)
        names.push_back(name);
    std::erase_if(names, [](const Name& name) { return name.counter == 0; });
    return names;
}

}  // namespace

History::History(const std::vector<SignedChange>& changes) {
    for (const SignedChange& change : changes)
        changes_.emplace(change.hash, change);
    find_chains();
}

// --- Sets ----------------------------------------------------------------------------------------

History::Hashes History::context_of(const SignedChange& change) const {
    Hashes seen;
    std::vector<std::string> open = change.dependencies;
    open.push_back(change.previous);
    while (!open.empty()) {
        const std::string hash = open.back();
        open.pop_back();
        if (hash.empty() || !seen.insert(hash).second) continue;
        const SignedChange& found = changes_.at(hash);
        open.insert(open.end(), found.dependencies.begin(), found.dependencies.end());
        open.push_back(found.previous);
    }
    return seen;
}

History History::part(const Hashes& hashes) const {
    std::vector<SignedChange> members;
    for (const std::string& hash : hashes)
        members.push_back(changes_.at(hash));
    return History(members);
}

History::Hashes History::hashes() const {
    Hashes all;
    for (const auto& [hash, change] : changes_)
        all.insert(hash);
    return all;
}

std::vector<History::Hashes> History::closed_subsets() const {
    std::set<Hashes> found{{}};
    std::vector<Hashes> open{{}};
    while (!open.empty()) {
        const Hashes at = open.back();
        open.pop_back();
        for (const auto& [hash, change] : changes_) {
            if (at.contains(hash) || !std::ranges::includes(at, context_of(change))) continue;
            Hashes larger = at;
            larger.insert(hash);
            if (found.insert(larger).second) open.push_back(larger);
        }
    }
    return {found.begin(), found.end()};
}

// --- Chains (F2, F4) -----------------------------------------------------------------------------

std::vector<const SignedChange*> History::followers_of(const ActorId& actor,
                                                       const std::string& previous) const {
    std::vector<const SignedChange*> out;  // Ascending by hash.
    for (const auto& [hash, change] : changes_) {
        if (change.actor == actor && change.previous == previous) out.push_back(&change);
    }
    return out;
}

/// Places the changes after @p previous, which stands at @p at; @p last is the rank given last.
void History::walk(const ActorId& actor,
                   const std::string& previous,
                   Place at,
                   std::uint16_t& last) {
    const auto followers = followers_of(actor, previous);
    for (const SignedChange* change : followers) {
        Place place = at;
        ++place.seq;
        if (followers.size() > 1) place = {change->hash, ++last, 1};
        places_[change->hash] = place;
        walk(actor, change->hash, place, last);
    }
}

void History::find_chains() {
    std::set<ActorId> actors;
    for (const auto& [hash, change] : changes_)
        actors.insert(change.actor);
    for (const ActorId& actor : actors) {
        std::uint16_t last = 0;
        walk(actor, "", {}, last);
    }
}

std::size_t History::chain_count(const ActorId& actor) const {
    std::set<std::uint16_t> ranks;
    for (const auto& [hash, change] : changes_) {
        if (change.actor == actor) ranks.insert(places_.at(hash).rank);
    }
    return ranks.size();
}

/// Test actors end in zeros: there the rank goes, so that actors compare as (actor, rank).
ActorId History::actor_of(const SignedChange& change) const {
    ActorId actor = change.actor;
    const std::uint16_t rank = places_.at(change.hash).rank;
    JOINERY_ASSERT(actor.bytes[ActorId::kSize - 2] == 0);
    JOINERY_ASSERT(actor.bytes[ActorId::kSize - 1] == 0);
    actor.bytes[ActorId::kSize - 2] = static_cast<std::uint8_t>(rank >> 8U);
    actor.bytes[ActorId::kSize - 1] = static_cast<std::uint8_t>(rank & 0xffU);
    return actor;
}

Dot History::dot_of(const std::string& hash, std::uint64_t counter) const {
    return {actor_of(changes_.at(hash)), counter};
}

// --- Names (F3) ----------------------------------------------------------------------------------

Name History::name_of(const SignedChange& change, std::uint64_t counter) const {
    return {change.actor, places_.at(change.hash).branch, counter};
}

Name History::name_by(const SignedChange& author,
                      const SignedChange& change,
                      std::uint64_t counter) const {
    if (is_own(author, change)) return {author.actor, "", counter};
    return name_of(change, counter);
}

bool History::is_own(const SignedChange& author, const SignedChange& change) const {
    for (const SignedChange* at = &author;; at = &changes_.at(at->previous)) {
        if (at->hash == change.hash) return true;
        if (at->previous.empty()) return false;
    }
}

const SignedChange* History::find(const SignedChange& author, const Name& name) const {
    const SignedChange* found = nullptr;
    for (const auto& [hash, change] : changes_) {
        if (change.actor != name.actor || !has_counter(change, name.counter)) continue;
        if (name_by(author, change, name.counter) != name) continue;
        if (found != nullptr) return nullptr;
        found = &change;
    }
    return found;
}

bool History::accepts(const SignedChange& change) const {
    if (!followers_of(change.actor, change.previous).empty()) return false;
    for (std::size_t i = 0; i < change.ops.size(); ++i) {
        for (const Name& name : names_in(change.ops[i])) {
            const bool is_in_it = name.counter >= change.counter &&
                                  name.counter <= change.counter + i &&
                                  name == Name{change.actor, "", name.counter};
            if (!is_in_it && find(change, name) == nullptr) return false;
        }
    }
    return true;
}

Dot History::resolve(const History& context, const SignedChange& author, const Name& name) const {
    if (name.counter == 0) return {};
    const SignedChange* seen = context.find(author, name);
    return dot_of(seen != nullptr ? seen->hash : author.hash, name.counter);
}

std::vector<Change> History::unfolded() const {
    std::vector<Change> out;
    for (const auto& [hash, change] : changes_) {
        const History context = part(context_of(change));
        JOINERY_ASSERT(context.accepts(change));
        Change made{actor_of(change), places_.at(hash).seq, change.counter, change.time_ms, {}, {}};
        std::vector<std::string> dependencies = change.dependencies;
        // Where a branch begins, the trunk's end is a dependency like any other.
        if (made.seq == 1 && !change.previous.empty()) dependencies.push_back(change.previous);
        for (const std::string& dependency : dependencies) {
            made.dependencies.emplace_back(actor_of(changes_.at(dependency)),
                                           places_.at(dependency).seq);
        }
        for (const NamedOp& named : change.ops) {
            Op op = named.op;
            op.left = resolve(context, change, named.left);
            op.right = resolve(context, change, named.right);
            for (const auto& [index, name] : named.elements) {
                const std::string key = to_text(resolve(context, change, name));
                (index < op.container.size() ? op.container[index].key : op.key) = key;
            }
            made.ops.push_back(std::move(op));
        }
        out.push_back(std::move(made));
    }
    return out;
}

}  // namespace joinery::model
