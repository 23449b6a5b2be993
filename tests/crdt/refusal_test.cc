// Attacks docs/semantics.md C7: changes that no honest author makes are refused whole, and leave
// the document as it was. Then the good ones must still work.
#include "crdt/codec.h"
#include "crdt/random_history.h"
#include "crdt/snapshot.h"
#include "model/from_crdt.h"

#include <algorithm>
#include <array>
#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace joinery::crdt::test {
namespace {

/// All that must be as before after a failure.
struct Snapshot {
    explicit Snapshot(Document& document)
        : digest(document.digest()),
          detail(model::detail_of(document)),
          root(document.read_root()),
          change_count(document.graph().change_count()),
          heads(document.graph().heads()) {}
    friend bool operator==(const Snapshot&, const Snapshot&) = default;

    Digest digest;
    std::string detail;
    PlainObject root;
    std::uint64_t change_count;
    std::vector<Dependency> heads;
};

/// A document that knows a part of a history, and the rest of it, good, in the document's names.
struct Case {
    RandomHistory& history;
    std::unique_ptr<Document> document;
    Names::Mark names_before;
    std::size_t known = 0;
    Batch rest;

    Case(RandomHistory& from, std::size_t count)
        : history(from),
          document(from.make_document(count)),
          names_before(document->names().mark()),
          known(std::min(count, from.log().size())) {
        rest = decode_rest();
    }
    Bytes encode_rest() const {
        Bytes bytes;
        EncoderDictionary dictionary;
        const Batch& all = history.log_batch();
        encode_changes(history.log_names(), all, known, all.changes.size(), dictionary, bytes);
        return bytes;
    }
    Batch decode_rest() {
        Batch batch;
        DecoderDictionary dictionary;
        EXPECT_TRUE(decode_changes(encode_rest(), document->names(), dictionary, batch));
        return batch;
    }
    /// Forgets the names that came with a batch that failed, as a session does.
    void forget_names() {
        document->names().truncate(names_before);
        document->mutable_state().forget_truncated_names();
    }
    /// The good rest must still work.
    void expect_recovery(Source& source) {
        if (source.chance(50)) forget_names();
        const Batch good = decode_rest();
        const auto hashes = document->check(good);
        ASSERT_TRUE(hashes) << hashes.error().what;
        const auto report = document->apply(good, *hashes);
        ASSERT_TRUE(report) << report.error().what;
        Document& other = *history.replicas().front().document;
        EXPECT_TRUE(document->digest() == other.digest());
        EXPECT_EQ(model::detail_of(*document), model::detail_of(other));
    }
};

/// Damages one thing of @p batch; false if there is nothing of the kind.
using Damage = std::function<bool(Source&, Names&, Batch&)>;

/// A random operation of @p kind, or none.
Op* pick_op(Source& source, Batch& batch, const std::function<bool(const Op&)>& is_wanted) {
    std::vector<Op*> found;
    for (Op& op : batch.ops) {
        if (is_wanted(op)) found.push_back(&op);
    }
    return found.empty() ? nullptr : source.pick(found);
}

bool has_place(const Op& op) { return op.kind == OpKind::insert || op.kind == OpKind::move; }

bool use_element_never_inserted(Source& source, Names& names, Batch& batch) {
    Op* op = pick_op(source, batch, [&](const Op& candidate) {
        return candidate.kind != OpKind::insert && candidate.kind != OpKind::increment &&
               has_elements(names.container(candidate.container).kind);
    });
    if (op == nullptr) return false;
    const Dot never{batch.changes.front().chain, 1'000'000};
    if (source.chance(50)) {
        op->key = names.intern_element(op->container, never);
    } else {
        const KeyIndex field = names.intern_key("never");
        op->key = names.intern_element(op->container, Names::ElementKey{field, 0, Value(true)});
    }
    return true;
}

bool insert_another_operations_element(Source& source, Names& names, Batch& batch) {
    Op* op = pick_op(source, batch, [&](const Op& o) {
        return o.kind == OpKind::insert && !names.is_by_key(o.key);
    });
    if (op == nullptr) return false;
    const Names::Element& own = names.element(op->key);
    op->key = names.intern_element(op->container, Dot{own.chain, own.counter + 1});
    return true;
}

bool use_place_never_seen(Source& source, Names& /*names*/, Batch& batch) {
    const Op* op = pick_op(source, batch, has_place);
    if (op == nullptr) return false;
    PlaceExtra& place = batch.places[op->extra];
    (source.chance(50) ? place.left : place.right) = {batch.changes.front().chain, 1'000'000};
    return true;
}

bool swap_neighbours(Source& source, Names& /*names*/, Batch& batch) {
    const Op* op = pick_op(source, batch, [&](const Op& o) {
        return has_place(o) && batch.places[o.extra].left.chain != kNone &&
               batch.places[o.extra].right.chain != kNone;
    });
    if (op == nullptr) return false;
    std::swap(batch.places[op->extra].left, batch.places[op->extra].right);
    return true;
}

bool make_run_impossible(Source& source, Names& /*names*/, Batch& batch) {
    if (batch.increments.empty()) return false;
    IncrementExtra& extra = batch.increments[source.below(batch.increments.size())];
    switch (source.below(3)) {
        case 0: extra.origin = 1'000'000; break;
        case 1: extra.previous = 1'000'000; break;
        default: (extra.previous == 0 ? extra.previous : extra.origin) += 1'000'000; break;
    }
    return true;
}

bool make_total_impossible(Source& source, Names& /*names*/, Batch& batch) {
    if (batch.increments.empty()) return false;
    IncrementExtra& extra = batch.increments[source.below(batch.increments.size())];
    extra.total = (static_cast<Int128>(1) << 126) * (source.chance(50) ? 1 : -1);
    return true;
}

bool leave_out_a_seq(Source& source, Names& /*names*/, Batch& batch) {
    ++source.pick(std::vector<ChangeHeader*>{&batch.changes.front(), &batch.changes.back()})->seq;
    return true;
}

bool misnumber_operations(Source& source, Names& /*names*/, Batch& batch) {
    batch.changes[source.below(batch.changes.size())].counter += 1;
    return true;
}

bool depend_on_what_is_missing(Source& source, Names& names, Batch& batch) {
    if (batch.dependencies.empty()) return false;
    Dependency& dep = batch.dependencies[source.below(batch.dependencies.size())];
    if (source.chance(50)) {
        dep.seq += 1000;
    } else {
        ActorId stranger;
        stranger.bytes[15] = 1;
        dep.chain = names.intern_actor(stranger);
    }
    return true;
}

bool depend_on_itself(Source& source, Names& /*names*/, Batch& batch) {
    for (const ChangeHeader& change : batch.changes) {
        if (change.dependency_count == 0 || source.chance(50)) continue;
        batch.dependencies[change.dependency_begin] = {change.chain, change.seq};
        return true;
    }
    return false;
}

bool put_in_a_counter(Source& source, Names& names, Batch& batch) {
    Op* op = pick_op(source, batch, [](const Op& o) { return o.kind != OpKind::increment; });
    if (op == nullptr) return false;
    op->key = names.intern_key("a");
    op->container = names.intern_container(kRoot, op->key, Kind::counter);
    return true;
}

bool increment_a_map(Source& source, Names& /*names*/, Batch& batch) {
    Op* op = pick_op(source, batch, [](const Op& o) { return o.kind == OpKind::increment; });
    if (op == nullptr) return false;
    op->container = kRoot;
    return true;
}

bool insert_into_a_map(Source& source, Names& names, Batch& batch) {
    Op* op = pick_op(source, batch, has_place);
    if (op == nullptr) return false;
    op->key = names.intern_key("a");
    op->container = kRoot;
    return true;
}

bool write_beneath_element_never_inserted(Source& source, Names& names, Batch& batch) {
    Op* op = pick_op(source, batch, [](const Op& o) {
        return o.kind == OpKind::put || o.kind == OpKind::increment || o.kind == OpKind::make;
    });
    if (op == nullptr) return false;
    const KeyIndex key = names.intern_key("a");
    const Dot never{batch.changes.front().chain, 1'000'000};
    ContainerIndex list = names.intern_container(kRoot, key, Kind::list);
    // The element that is missing may be any number of containers above.
    ContainerIndex above =
        names.intern_container(list, names.intern_element(list, never), Kind::map);
    for (std::size_t depth = source.below(3); depth != 0; --depth)
        above = names.intern_container(above, key, Kind::map);
    const bool is_increment = op->kind == OpKind::increment;
    op->container = is_increment ? names.intern_container(above, key, Kind::counter) : above;
    op->key = is_increment ? 0 : key;
    return true;
}

/// A cell that one of the erases says it saw.
SeenCell* pick_cell(Source& source, Batch& batch) {
    if (batch.seen_cells.empty()) return nullptr;
    return &batch.seen_cells[source.below(batch.seen_cells.size())];
}

bool erase_increments_never_made(Source& source, Names& /*names*/, Batch& batch) {
    SeenCell* cell = pick_cell(source, batch);
    if (cell == nullptr) return false;
    cell->last += 1'000'000;
    return true;
}

bool erase_an_impossible_total(Source& source, Names& /*names*/, Batch& batch) {
    SeenCell* cell = pick_cell(source, batch);
    if (cell == nullptr) return false;
    cell->total = (static_cast<Int128>(cell->last - cell->origin + 1) << 63) + 1;
    return true;
}

bool erase_another_slots_counter(Source& source, Names& names, Batch& batch) {
    SeenCell* cell = pick_cell(source, batch);
    if (cell == nullptr) return false;
    cell->counter = names.intern_container(kRoot, names.intern_key("far"), Kind::counter);
    return true;
}

bool erase_one_cell_twice(Source& source, Names& /*names*/, Batch& batch) {
    Op* op = pick_op(
        source, batch, [](const Op& o) { return o.kind == OpKind::erase && o.extra_count != 0; });
    if (op == nullptr) return false;
    const std::vector<SeenCell> cells(batch.seen_cells_of(*op).begin(),
                                      batch.seen_cells_of(*op).end());
    op->extra = static_cast<std::uint32_t>(batch.seen_cells.size());
    batch.seen_cells.insert(batch.seen_cells.end(), cells.begin(), cells.end());
    batch.seen_cells.push_back(cells.back());
    ++op->extra_count;
    return true;
}

struct Attack {
    const char* name;
    Damage damage;
};

class Refusal : public testing::TestWithParam<Attack> {};

// Rule C7.
TEST_P(Refusal, LeavesTheDocumentAsItWasAndReadyForGoodChanges) {
    std::size_t attacks = 0;
    for (std::uint64_t seed = 1; seed <= iterations(120); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        SeededSource source(seed);
        RandomHistory history(source, static_cast<Theme>(source.below(kThemeCount)));
        history.run(20 + source.below(20));
        history.finish();
        ASSERT_TRUE(history.fault().empty()) << history.fault();
        if (history.log().empty()) continue;
        Case world(history, source.below(history.log().size()));
        const Snapshot before(*world.document);
        if (!GetParam().damage(source, world.document->names(), world.rest)) continue;
        ++attacks;
        const auto hashes = world.document->check(world.rest);
        if (hashes) {
            const auto report = world.document->apply(world.rest, *hashes);
            ASSERT_FALSE(report) << "was taken for good\n" << history.describe();
            EXPECT_LT(report.error().at, world.rest.changes.size());
        }
        EXPECT_TRUE(Snapshot(*world.document) == before);
        world.expect_recovery(source);
        ASSERT_FALSE(HasFailure()) << history.describe();
    }
    EXPECT_GT(attacks, 0U);
}

INSTANTIATE_TEST_SUITE_P(
    Attacks,
    Refusal,
    testing::Values(Attack{"ElementNeverInserted", use_element_never_inserted},
                    Attack{"AnotherOperationsElement", insert_another_operations_element},
                    Attack{"PlaceNeverSeen", use_place_never_seen},
                    Attack{"NeighboursSwapped", swap_neighbours},
                    Attack{"ImpossibleRun", make_run_impossible},
                    Attack{"ImpossibleTotal", make_total_impossible},
                    Attack{"BeneathAnElementNeverInserted", write_beneath_element_never_inserted},
                    Attack{"IncrementsNeverMadeErased", erase_increments_never_made},
                    Attack{"ImpossibleTotalErased", erase_an_impossible_total},
                    Attack{"AnotherSlotsCounterErased", erase_another_slots_counter},
                    Attack{"OneCellErasedTwice", erase_one_cell_twice},
                    Attack{"SeqLeftOut", leave_out_a_seq},
                    Attack{"OperationsMisnumbered", misnumber_operations},
                    Attack{"MissingDependency", depend_on_what_is_missing},
                    Attack{"DependencyOnItself", depend_on_itself},
                    Attack{"PutInACounter", put_in_a_counter},
                    Attack{"IncrementOfAMap", increment_a_map},
                    Attack{"InsertIntoAMap", insert_into_a_map}),
    [](const auto& named) { return std::string(named.param.name); });

// --- Totals past what increments can come to -----------------------------------------------------

/// Two changes of one increment each that go on with a run of total @p total, each encoded in one
/// stream.
std::vector<Bytes> run_that_goes_on(const Int128& total) {
    Names names;
    Batch batch;
    const ChainIndex chain = names.intern_actor(ActorId{});
    const ContainerIndex n = names.intern_container(kRoot, names.intern_key("n"), Kind::counter);
    for (std::uint32_t i = 0; i < 2; ++i) {
        Op op;
        op.kind = OpKind::increment;
        op.container = n;
        op.extra = i;
        batch.ops.push_back(op);
        batch.increments.push_back({1, 1, 1 + i, total + i});
        ChangeHeader header;
        header.chain = chain;
        header.seq = 2 + i;
        header.counter = 2 + i;
        header.op_begin = i;
        header.op_count = 1;
        batch.changes.push_back(header);
    }
    EncoderDictionary dictionary;
    std::vector<Bytes> stream(2);
    encode_changes(names, batch, 0, 1, dictionary, stream[0]);
    encode_changes(names, batch, 1, 2, dictionary, stream[1]);
    return stream;
}

// Rule N3: the second total follows from the first, and must not overflow on the way.
TEST(DamagedBytes, ATotalThatNoIncrementsCanComeToIsRefused) {
    constexpr auto kLowBits = static_cast<Int128>(~std::uint64_t{0});
    const Int128 greatest = (static_cast<Int128>(INT64_MAX) << 64) | kLowBits;
    const auto good = run_that_goes_on(5);
    const auto bad = run_that_goes_on(greatest - 1);
    Names names;
    DecoderDictionary dictionary;
    Batch batch;
    ASSERT_TRUE(decode_changes(good[0], names, dictionary, batch));
    ASSERT_TRUE(decode_changes(good[1], names, dictionary, batch));
    EXPECT_TRUE(batch.increments.back().total == 6);
    DecoderDictionary fresh;
    EXPECT_FALSE(decode_changes(bad[0], names, fresh, batch));
}

// --- Damaged bytes -------------------------------------------------------------------------------

Bytes damaged(Source& source, Bytes bytes) {
    for (std::size_t n = 1 + source.below(3); n != 0 && !bytes.empty(); --n) {
        const auto at = bytes.begin() + static_cast<std::ptrdiff_t>(source.below(bytes.size()));
        switch (source.below(5)) {
            case 0: *at = static_cast<std::uint8_t>(source.below(256)); break;
            case 1: *at ^= static_cast<std::uint8_t>(1U << source.below(8)); break;
            case 2: bytes.erase(at); break;
            case 3: bytes.insert(at, static_cast<std::uint8_t>(source.below(256))); break;
            default: *at = static_cast<std::uint8_t>(*at + (source.chance(50) ? 1 : -1)); break;
        }
    }
    return bytes;
}

/// What became of damaged bytes.
enum class Fate : std::uint8_t { not_decoded, not_checked, not_applied, applied };

Fate feed(Document& document, const Bytes& bytes) {
    Batch batch;
    DecoderDictionary dictionary;
    if (!decode_changes(bytes, document.names(), dictionary, batch)) {
        EXPECT_TRUE(batch.changes.empty());
        EXPECT_TRUE(batch.ops.empty());
        return Fate::not_decoded;
    }
    const auto hashes = document.check(batch);
    if (!hashes) return Fate::not_checked;
    return document.apply(batch, *hashes) ? Fate::applied : Fate::not_applied;
}

// Rule C7.
TEST(DamagedBytes, AreRefusedWithoutATraceOrTakenWhole) {
    std::array<std::size_t, 4> fates{};
    for (std::uint64_t seed = 1; seed <= iterations(150); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        SeededSource source(seed);
        RandomHistory history(source, static_cast<Theme>(source.below(kThemeCount)));
        history.run(10 + source.below(20));
        history.finish();
        ASSERT_TRUE(history.fault().empty()) << history.fault();
        if (history.log().empty()) continue;
        const std::size_t count = source.below(history.log().size());
        auto world = std::make_unique<Case>(history, count);
        const Bytes good = world->encode_rest();
        for (int i = 0; i < 60; ++i) {
            const Snapshot before(*world->document);
            const Fate fate = feed(*world->document, damaged(source, good));
            ++fates[static_cast<std::size_t>(fate)];
            if (fate != Fate::applied) {
                ASSERT_TRUE(Snapshot(*world->document) == before);
                continue;
            }
            // Another history than the true one, but one: its snapshot must be read.
            const auto loaded = decode_snapshot(encode_snapshot(*world->document));
            ASSERT_TRUE(loaded) << loaded.error().what;
            EXPECT_TRUE((*loaded)->digest() == world->document->digest());
            (void)model::detail_of(*world->document);
            world = std::make_unique<Case>(history, count);
        }
        world->expect_recovery(source);
        ASSERT_FALSE(HasFailure());
    }
    // The attack must get past each gate.
    for (const std::size_t fate : fates)
        EXPECT_GT(fate, 0U);
}

}  // namespace
}  // namespace joinery::crdt::test
