#include "tests/crdt/fork_sites.h"

#include "model/from_crdt.h"

#include <algorithm>

namespace joinery::crdt::test {
namespace {

/// Whose branches go by which names.
using Branches = std::map<ActorId, std::pair<ActorId, ChangeHash>>;

model::Name name_of(const Names& names, const Branches& branches, Dot dot) {
    if (dot.chain == kNone) return {};
    const ActorId& name = names.actor(dot.chain);
    const auto branch = branches.find(name);
    if (branch == branches.end()) return {name, "", dot.counter};
    return {branch->second.first, text_of(branch->second.second), dot.counter};
}

/// Change @p index with its elements by name.
model::SignedChange sign(const Names& names,
                         const Branches& branches,
                         const Batch& batch,
                         std::size_t index,
                         const Made& made) {
    const model::Change plain = model::change_of(names, batch, index);
    const auto ops = batch.ops_of(batch.changes[index]);
    model::SignedChange out;
    out.hash = text_of(made.hash);
    const bool is_first = plain.seq == 1;
    if (!is_first) out.previous = text_of(made.previous);
    out.actor = plain.actor;
    out.seq = plain.seq;
    out.counter = plain.counter;
    out.time_ms = plain.time_ms;
    for (const ChangeHash& hash : made.dependencies)
        out.dependencies.push_back(text_of(hash));
    for (std::size_t i = 0; i < plain.ops.size(); ++i) {
        const Op& op = ops[i];
        model::NamedOp named{plain.ops[i], {}, {}, {}};
        if (op.kind == OpKind::insert || op.kind == OpKind::move) {
            named.left = name_of(names, branches, batch.places[op.extra].left);
            named.right = name_of(names, branches, batch.places[op.extra].right);
        }
        const auto note = [&](std::size_t at, ContainerIndex container, std::uint32_t key) {
            if (!has_elements(names.container(container).kind) || names.is_by_key(key)) return;
            const Names::Element& element = names.element(key);
            named.elements.emplace_back(at,
                                        name_of(names, branches, {element.chain, element.counter}));
        };
        std::size_t depth = named.op.container.size();
        if (op.kind != OpKind::increment) note(depth, op.container, op.key);
        for (ContainerIndex at = op.container; at != kRoot; at = names.container(at).parent) {
            note(--depth, names.container(at).parent, names.container(at).key);
        }
        out.ops.push_back(std::move(named));
    }
    return out;
}

/// Change @p index as bytes, with links and without.
void encode(const Names& names, Batch batch, std::size_t index, Made& made) {
    EncoderDictionary plain, linked;
    encode_changes(names, batch, index, index + 1, plain, made.bytes);
    ChangeLinks links;
    links.change = index;
    links.after = prefix_of(made.previous);
    for (const ChangeHash& hash : made.dependencies)
        links.dependencies.push_back(prefix_of(hash));
    batch.links.push_back(links);
    encode_changes(names, batch, index, index + 1, linked, made.linked);
}

void count_at(Transaction& t, ContainerIndex map, KeyIndex key, Dice& dice) {
    const ContainerIndex counter = t.document().names().intern_container(map, key, Kind::counter);
    EXPECT_TRUE(t.increment(counter, 1 + static_cast<std::int64_t>(dice.below(9))));
}

void do_deed(Transaction& t, Dice& dice) {
    Names& names = t.document().names();
    const Value value(static_cast<std::int64_t>(dice.below(1000)));
    const KeyIndex key = *t.key(dice.chance(60) ? "x" : "y");
    const ContainerIndex list = names.intern_container(kRoot, *t.key("l"), Kind::list);
    const State::List* held = t.document().state().list(list);
    const std::size_t count = held == nullptr ? 0 : held->places.visible_count();
    const auto at = [&](std::size_t index) { return *t.element_at(list, index); };
    switch (dice.below(count == 0 ? 6 : 11)) {
        case 0: EXPECT_TRUE(t.put(kRoot, key, value)); break;
        case 1: EXPECT_TRUE(t.make(kRoot, key, Kind::map)); break;
        case 2: static_cast<void>(t.erase(kRoot, key)); break;
        case 3: count_at(t, kRoot, key, dice); break;
        case 4:
        case 5: {
            const bool is_map = dice.chance(40);
            const Transaction::Content content{is_map ? Kind::map : Kind::none, value};
            EXPECT_TRUE(t.insert(list, dice.below(count + 1), content));
            break;
        }
        case 6: EXPECT_TRUE(t.put(list, at(dice.below(count)), value)); break;
        case 7: EXPECT_TRUE(t.erase(list, at(dice.below(count)))); break;
        case 8: EXPECT_TRUE(t.move(list, dice.below(count), dice.below(count))); break;
        default: {
            const ContainerIndex map =
                names.intern_container(list, at(dice.below(count)), Kind::map);
            if (dice.chance(50)) {
                EXPECT_TRUE(t.put(map, key, value));
            } else {
                count_at(t, map, key, dice);
            }
        }
    }
}

}  // namespace

ActorId actor_of(char letter) {
    ActorId actor;
    actor.bytes[0] = static_cast<std::uint8_t>(letter);
    return actor;
}

std::string text_of(const ChangeHash& hash) { return to_hex(hash.view()); }

void do_deeds(Transaction& transaction, Dice& dice) {
    for (std::size_t i = 0; i <= dice.below(3); ++i)
        do_deed(transaction, dice);
}

bool Site::take(const Made& made) {
    if (knows(made.hash)) return false;
    const ChainIndex chain = document_.names().intern_actor(made.actor);
    const bool is_first = document_.graph().last_seq(chain) == 0;
    const ChangeHash tip =
        is_first ? chain_origin("doc", made.actor) : document_.graph().tip_hash(chain);
    const auto is_known = [&](const ChangeHash& hash) { return knows(hash); };
    if (made.previous != tip || !std::ranges::all_of(made.dependencies, is_known)) return false;
    DecoderDictionary dictionary;
    Batch batch;
    EXPECT_TRUE(decode_changes(made.bytes, document_.names(), dictionary, batch));
    const auto hashes = document_.check(batch);
    EXPECT_TRUE(hashes && (*hashes)[0] == made.hash);
    EXPECT_TRUE(document_.apply(batch, *hashes));
    known_.insert(made.hash);
    return true;
}

Made Site::take_outgoing() {
    const Batch& batch = document_.outgoing().batch;
    Made made;
    made.actor = actor_;
    made.hash = document_.outgoing().hashes[0];
    const ChangeHeader& change = batch.changes[0];
    made.previous = change.seq == 1 ? chain_origin("doc", actor_)
                                    : *document_.hash_of(change.chain, change.seq - 1);
    for (const Dependency& dependency : batch.dependencies_of(change)) {
        made.dependencies.push_back(*document_.hash_of(dependency.chain, dependency.seq));
    }
    encode(document_.names(), batch, 0, made);
    made.signed_change = sign(document_.names(), {}, batch, 0, made);
    document_.clear_outgoing();
    known_.insert(made.hash);
    return made;
}

bool Knower::take(const Made& made) {
    const auto is_here = [&](const ChangeHash& hash) {
        return hash == chain_origin("doc", made.actor) || document_.has(hash);
    };
    if (document_.has(made.hash) || !is_here(made.previous)) return false;
    if (!std::ranges::all_of(made.dependencies, is_here)) return false;
    DecoderDictionary dictionary;
    Batch batch;
    EXPECT_TRUE(decode_changes(made.linked, document_.names(), dictionary, batch));
    const auto resolved = document_.resolve(batch);
    EXPECT_TRUE(resolved.has_value()) << resolved.error().what;
    if (!resolved) return false;
    EXPECT_EQ((*resolved)[0].hash, made.hash);
    const auto report = document_.add_all(batch, *resolved);
    EXPECT_TRUE(report.has_value()) << report.error().what;
    return report.has_value();
}

Made Knower::last_made() {
    const ForkedDocument::Node& node = document_.nodes().back();
    Made made;
    made.actor = actor_;
    made.hash = node.hash;
    made.previous = node.previous == kNone ? chain_origin("doc", actor_)
                                           : document_.nodes()[node.previous].hash;
    for (const auto dependency : node.dependencies)
        made.dependencies.push_back(document_.nodes()[dependency].hash);
    Branches branches;
    for (const ForkedDocument::Node& other : document_.nodes()) {
        ActorId name;
        name.bytes = prefix_of(other.hash).bytes;
        branches[name] = {document_.names().actor(other.actor), other.hash};
    }
    encode(document_.names(), document_.history(), node.change, made);
    made.signed_change = sign(document_.names(), branches, document_.history(), node.change, made);
    return made;
}

}  // namespace joinery::crdt::test
