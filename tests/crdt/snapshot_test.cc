// Attacks docs/semantics.md C6 and docs/snapshot-format.md: a snapshot is a function of the set of
// changes, a document read from one goes on as if it had applied them, and no bytes but the
// encoder's are accepted.
#include "crdt/snapshot.h"

#include "crdt/actors.h"
#include "crdt/random_history.h"
#include "model/from_crdt.h"

#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace joinery::crdt::test {
namespace {

/// Demands that @p bytes are a document's snapshot and no other bytes are.
std::unique_ptr<Document> load(const Bytes& bytes) {
    auto document = decode_snapshot(bytes);
    EXPECT_TRUE(document) << document.error().what << " at " << document.error().at;
    if (!document) return nullptr;
    EXPECT_EQ(to_hex(encode_snapshot(**document)), to_hex(bytes));
    return *std::move(document);
}

void expect_same_state(Document& a, Document& b) {
    EXPECT_EQ(model::detail_of(a), model::detail_of(b));
    EXPECT_EQ(a.read_root(), b.read_root());
    EXPECT_EQ(a.digest(), b.digest());
}

void expect_same(Document& a, Document& b) {
    expect_same_state(a, b);
    EXPECT_EQ(to_hex(encode_snapshot(a)), to_hex(encode_snapshot(b)));
}

/// The snapshot with zeros for the hashes of the last changes.
std::string without_hashes(const Document& document) {
    Bytes bytes = encode_snapshot(document);
    std::size_t actor_count = 0;
    for (ChainIndex chain = 0; chain < document.names().actor_count(); ++chain) {
        if (document.graph().last_seq(chain) != 0) ++actor_count;
    }
    const std::size_t at = 3 + document.id().size() + ActorId::kSize * actor_count;
    std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                ChangeHash::kSize * actor_count,
                std::uint8_t{0});
    return to_hex(bytes);
}

/// Applies changes [@p begin, @p end) of the history's log.
void apply_log(const RandomHistory& history,
               Document& document,
               std::size_t begin,
               std::size_t end) {
    if (begin == end) return;
    EncoderDictionary writer;
    DecoderDictionary reader;
    Bytes bytes;
    Batch batch;
    encode_changes(history.log_names(), history.log_batch(), begin, end, writer, bytes);
    ASSERT_TRUE(decode_changes(bytes, document.names(), reader, batch));
    const auto hashes = document.check(batch);
    ASSERT_TRUE(hashes) << hashes.error().what;
    for (std::size_t i = 0; i < hashes->size(); ++i) {
        ASSERT_EQ((*hashes)[i], history.log()[begin + i].hash);
    }
    ASSERT_TRUE(document.apply(batch, *hashes));
}

void set_hash_source(const RandomHistory& history, Document& document) {
    document.set_hash_source(
        [&history](const ActorId& actor, std::uint64_t seq) -> Result<ChangeHash> {
            for (const Logged& logged : history.log()) {
                if (logged.actor == actor && logged.seq == seq) return logged.hash;
            }
            return fail(Errc::not_found, "no such change", seq);
        });
}

/// Random edits that are found by what a document shows alone, so that documents that show the same
/// get the same edits, whatever their indices are.
class EditByView {
  public:
    EditByView(Document& document, std::uint64_t seed) : document_(document), source_(seed) {}

    void commit(const ActorId& actor, std::int64_t time_ms) {
        Transaction transaction(document_, actor, WallTime(time_ms));
        for (std::size_t verbs = 1 + source_.below(5); verbs != 0; --verbs) {
            edit(transaction, kRoot, Kind::map);
        }
        ASSERT_TRUE(transaction.commit());
        document_.clear_outgoing();
    }

  private:
    void edit(Transaction& transaction, ContainerIndex container, Kind kind) {
        if (kind == Kind::counter) return void(transaction.increment(container, change_of_count()));
        const bool is_list = kind == Kind::list;
        std::uint32_t key = 0;
        if (is_list) {
            if (!edit_places(transaction, container)) return;
            const auto* list = document_.state().list(container);
            const std::size_t index = source_.below(list->places.visible_count());
            key = *transaction.element_at(container, index);
        } else {
            key = *transaction.key(std::string(1, static_cast<char>('a' + source_.below(6))));
        }
        const Shown shown = document_.state().shown(container, key);
        if (shown.container != kNone && source_.chance(70)) {
            return edit(transaction, shown.container, shown.kind);
        }
        const std::size_t what = source_.below(10);
        if (what < 5) {
            (void)transaction.put(
                container, key, Value(static_cast<std::int64_t>(source_.below(9))));
        } else if (what < 8) {
            const auto made = source_.pick(std::vector{Kind::map, Kind::list, Kind::counter});
            (void)transaction.make(container, key, made);
        } else {
            (void)transaction.erase(container, key);
        }
    }

    std::int64_t change_of_count() { return static_cast<std::int64_t>(source_.below(19)) - 9; }

    /// False if that was all, or there is no element.
    bool edit_places(Transaction& transaction, ContainerIndex list) {
        const auto* state = document_.state().list(list);
        const std::size_t count = state != nullptr ? state->places.visible_count() : 0;
        if (count == 0 || source_.chance(40)) {
            (void)transaction.insert(
                list,
                source_.below(count + 1),
                {Kind::none, Value(static_cast<std::int64_t>(source_.below(9)))});
            return false;
        }
        if (source_.chance(30)) {
            (void)transaction.move(list, source_.below(count), source_.below(count));
            return false;
        }
        return true;
    }

    Document& document_;
    SeededSource source_;
};

class Snapshot : public testing::TestWithParam<Theme> {
  protected:
    template <class Body>
    void for_each_history(std::size_t count, Body&& body) {
        for (const std::uint64_t seed : seeds_for(GetParam(), count)) {
            SCOPED_TRACE("JOINERY_SEED=" + std::to_string(seed));
            SeededSource source(seed);
            RandomHistory history(source, GetParam());
            history.run(20 + source.below(40));
            ASSERT_TRUE(history.fault().empty()) << history.fault();
            body(history, source);
            if (HasFailure()) return;
        }
    }
};

TEST_P(Snapshot, ComesBackAsTheDocumentThatItIsOf) {
    for_each_history(60, [](RandomHistory& history, Source&) {
        for (const Replica& replica : history.replicas()) {
            const auto loaded = load(encode_snapshot(*replica.document));
            ASSERT_NE(loaded, nullptr);
            expect_same(*loaded, *replica.document);
        }
    });
}

TEST_P(Snapshot, DependsOnTheSetOfChangesAlone) {
    for_each_history(60, [](RandomHistory& history, Source&) {
        history.finish();
        const std::string first = to_hex(encode_snapshot(*history.replicas()[0].document));
        for (const Replica& replica : history.replicas()) {
            EXPECT_EQ(to_hex(encode_snapshot(*replica.document)), first);
        }
        const auto fresh = history.make_document(history.log().size());
        EXPECT_EQ(to_hex(encode_snapshot(*fresh)), first);
    });
}

TEST_P(Snapshot, GoesOnWithRemoteChangesAsIfNeverSaved) {
    for_each_history(60, [](RandomHistory& history, Source& source) {
        const std::size_t count = history.log().size();
        const std::size_t cut = source.below(count + 1);
        auto loaded = load(encode_snapshot(*history.make_document(cut)));
        ASSERT_NE(loaded, nullptr);
        set_hash_source(history, *loaded);
        const std::size_t second_cut = cut + source.below(count - cut + 1);
        apply_log(history, *loaded, cut, second_cut);
        loaded = load(encode_snapshot(*loaded));
        ASSERT_NE(loaded, nullptr);
        set_hash_source(history, *loaded);
        apply_log(history, *loaded, second_cut, count);
        const auto whole = history.make_document(count);
        expect_same(*loaded, *whole);
    });
}

TEST_P(Snapshot, GoesOnWithLocalChangesAsIfNeverSaved) {
    for_each_history(60, [](RandomHistory& history, Source& source) {
        history.finish();
        const Replica& replica = history.replicas()[0];
        Document& saved = *replica.document;
        const auto loaded = load(encode_snapshot(saved));
        ASSERT_NE(loaded, nullptr);
        const std::uint64_t seed = source.below(SIZE_MAX);
        EditByView on_saved(saved, seed);
        EditByView on_loaded(*loaded, seed);
        for (int i = 0; i < 10; ++i) {
            const ActorId actor = i % 3 == 0 ? actor_of(200) : replica.actors[0];
            on_saved.commit(actor, 1'000'000 + i);
            on_loaded.commit(actor, 1'000'000 + i);
            expect_same_state(*loaded, saved);
            // An erase names the cells that it saw in the order in which they are held, so hashes
            // differ.
            EXPECT_EQ(without_hashes(*loaded), without_hashes(saved));
        }
    });
}

TEST_P(Snapshot, RefusesDamageOrIsTheSnapshotOfWhatItBecame) {
    for_each_history(20, [](RandomHistory& history, Source& source) {
        const Bytes bytes = encode_snapshot(*history.make_document(history.log().size()));
        for (std::size_t i = 0; i < 300; ++i) {
            Bytes damaged = bytes;
            for (std::size_t n = 1 + source.below(3); n != 0; --n) {
                damaged[source.below(damaged.size())] =
                    static_cast<std::uint8_t>(source.below(256));
            }
            if (source.chance(20)) damaged.insert(damaged.begin(), 1 + source.below(9), 0);
            if (source.chance(20)) damaged.resize(1 + source.below(damaged.size()));
            const auto document = decode_snapshot(damaged, {1U << 16U, 1U << 20U});
            if (document) {
                EXPECT_EQ(to_hex(encode_snapshot(**document)), to_hex(damaged));
                (*document)->digest();
                (*document)->read_root();
            }
        }
    });
}

INSTANTIATE_TEST_SUITE_P(
    Themes,
    Snapshot,
    testing::Values(Theme::registers, Theme::maps, Theme::counters, Theme::lists, Theme::nested),
    [](const auto& named) { return std::string(theme_name(named.param)); });

// --- By hand -------------------------------------------------------------------------------------

/// Sends what @p from made since the last time to @p to.
void tell(Document& from, Document& to) {
    EncoderDictionary writer;
    DecoderDictionary reader;
    Bytes bytes;
    Batch batch;
    const Batch& outgoing = from.outgoing().batch;
    encode_changes(from.names(), outgoing, 0, outgoing.changes.size(), writer, bytes);
    ASSERT_TRUE(decode_changes(bytes, to.names(), reader, batch));
    const auto hashes = to.check(batch);
    ASSERT_TRUE(hashes);
    ASSERT_TRUE(to.apply(batch, *hashes));
}

template <class Edit>
void change(Document& document, std::uint8_t actor, std::int64_t time_ms, Edit&& edit) {
    Transaction transaction(document, actor_of(actor), WallTime(time_ms));
    edit(transaction);
    ASSERT_TRUE(transaction.commit());
}

/// Two peers that clash in every way: alternatives, two kinds in one slot, counters, moves,
/// elements by key.
std::unique_ptr<Document> clashing_document() {
    auto first = std::make_unique<Document>("doc");
    Document second("doc");
    change(*first, 1, 1000, [](Transaction& t) {
        const auto list = *t.make(kRoot, *t.key("list"), Kind::list);
        for (int i = 0; i < 4; ++i)
            ASSERT_TRUE(t.insert(list, 0, {Kind::none, Value(1.5 * i)}));
        const auto count = *t.counter_at(kRoot, *t.key("count"));
        ASSERT_TRUE(t.increment(count, 5));
    });
    tell(*first, second);
    first->clear_outgoing();
    const auto clash = [](Document& document, std::uint8_t actor, bool is_map) {
        change(document, actor, 2000, [&](Transaction& t) {
            const auto list = document.state().shown(kRoot, *t.key("list")).container;
            const auto count = document.state().shown(kRoot, *t.key("count")).container;
            const Names::ElementKey by_key{*t.key("id"), 0, Value("seven")};
            const auto at = *t.insert(list, 1, {Kind::map, {}}, by_key);
            const auto item = document.names().find_container(list, at, Kind::map);
            ASSERT_TRUE(t.put(item, *t.key("name"), Value(is_map ? "north" : "south")));
            ASSERT_TRUE(t.move(list, 3, is_map ? 0 : 4));
            if (is_map) {
                ASSERT_TRUE(t.erase(list, *t.element_at(list, 2)));
            }
            ASSERT_TRUE(t.put(kRoot, *t.key("x"), Value(std::int64_t{actor})));
            ASSERT_TRUE(t.make(kRoot, *t.key("y"), is_map ? Kind::map : Kind::counter));
            ASSERT_TRUE(t.increment(count, is_map ? -7 : 1));
            if (is_map) {
                ASSERT_TRUE(t.erase(kRoot, *t.key("count")));
            }
        });
    };
    clash(*first, 1, true);
    clash(second, 2, false);
    tell(second, *first);
    first->clear_outgoing();
    return first;
}

TEST(SnapshotByHand, AnEmptyDocument) {
    Document document("doc");
    const auto loaded = load(encode_snapshot(document));
    ASSERT_NE(loaded, nullptr);
    EXPECT_EQ(loaded->id(), "doc");
    expect_same(*loaded, document);
}

TEST(SnapshotByHand, EveryClash) {
    const auto document = clashing_document();
    const auto loaded = load(encode_snapshot(*document));
    ASSERT_NE(loaded, nullptr);
    expect_same(*loaded, *document);
}

TEST(SnapshotByHand, EveryTypeOfValue) {
    Document document("doc");
    change(document, 1, 1000, [](Transaction& t) {
        const std::vector<Value> values{Value(),
                                        Value(true),
                                        Value(false),
                                        Value(INT64_MIN),
                                        Value(INT64_MAX),
                                        Value(-0.0),
                                        Value(0.1),
                                        Value(""),
                                        Value("\xF0\x9F\x94\xA7 a string longer than fourteen"),
                                        Value(ByteView()),
                                        Value(WallTime(INT64_MIN)),
                                        Value(Value::of_payload(ValueType::real, ~0ULL))};
        for (std::size_t i = 0; i < values.size(); ++i) {
            ASSERT_TRUE(t.put(kRoot, *t.key("v" + std::to_string(i)), values[i]));
        }
        ASSERT_TRUE(t.put(kRoot, *t.key(""), Value("the empty key")));
    });
    const auto loaded = load(encode_snapshot(document));
    ASSERT_NE(loaded, nullptr);
    expect_same(*loaded, document);
}

TEST(SnapshotByHand, TheHashesOfTheLastChangesAreRemembered) {
    const auto document = clashing_document();
    auto loaded = load(encode_snapshot(*document));
    const ChainIndex chain = loaded->names().find_actor(actor_of(1));
    ASSERT_EQ(loaded->graph().last_seq(chain), 2U);
    const ChainIndex same = document->names().find_actor(actor_of(1));
    EXPECT_EQ(*loaded->hash_of(chain, 2), *document->hash_of(same, 2));
    EXPECT_FALSE(loaded->hash_of(chain, 1));
    // Also when they are no longer the last.
    change(
        *loaded, 1, 3000, [](Transaction& t) { ASSERT_TRUE(t.put(kRoot, *t.key("z"), Value())); });
    EXPECT_EQ(*loaded->hash_of(chain, 2), *document->hash_of(same, 2));
}

TEST(SnapshotByHand, ALongHistoryOfTwoPeersInTurnsTakesAFewBytes) {
    Document first("doc");
    Document second("doc");
    const auto run = [&](int count) {
        for (int i = 0; i < count; ++i) {
            Document& author = i % 2 == 0 ? first : second;
            Document& other = i % 2 == 0 ? second : first;
            change(author, i % 2 == 0 ? 1 : 2, 1000, [&](Transaction& t) {
                ASSERT_TRUE(t.put(kRoot, *t.key("x"), Value(std::int64_t{i})));
            });
            tell(author, other);
            author.clear_outgoing();
        }
    };
    run(10);
    const std::size_t before = encode_snapshot(first).size();
    run(1000);
    EXPECT_LE(encode_snapshot(first).size(), before + 20);
    EXPECT_EQ(to_hex(encode_snapshot(first)), to_hex(encode_snapshot(second)));
}

TEST(SnapshotByHand, TypingTakesOneRun) {
    Document document("doc");
    change(document, 1, 1000, [](Transaction& t) {
        const auto list = *t.make(kRoot, *t.key("list"), Kind::list);
        for (std::size_t i = 0; i < 10'000; ++i)
            ASSERT_TRUE(t.insert(list, i, {Kind::none, Value(true)}));
    });
    const Bytes bytes = encode_snapshot(document);
    EXPECT_LE(bytes.size(), 250U);
    const auto loaded = load(bytes);
    expect_same(*loaded, document);
}

// --- Hostile bytes -------------------------------------------------------------------------------

TEST(SnapshotHostile, EveryTruncationIsRefused) {
    const Bytes bytes = encode_snapshot(*clashing_document());
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        const auto document = decode_snapshot(ByteView(bytes).first(size));
        ASSERT_FALSE(document) << size;
        EXPECT_EQ(document.error().code, Errc::malformed) << size;
    }
    Bytes longer = bytes;
    longer.push_back(0);
    EXPECT_FALSE(decode_snapshot(longer));
}

TEST(SnapshotHostile, EveryFlippedBitIsRefusedOrMakesAnotherSnapshot) {
    const Bytes bytes = encode_snapshot(*clashing_document());
    for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
        Bytes damaged = bytes;
        damaged[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
        const auto document = decode_snapshot(damaged, {1U << 16U, 1U << 20U});
        if (!document) continue;
        ASSERT_EQ(to_hex(encode_snapshot(**document)), to_hex(damaged)) << "bit " << bit;
        (*document)->digest();
        (*document)->read_root();
    }
}

TEST(SnapshotHostile, AnotherVersionIsUnsupported) {
    Bytes bytes = encode_snapshot(*clashing_document());
    bytes[0] = kSnapshotFormatVersion + 1;
    const auto document = decode_snapshot(bytes);
    ASSERT_FALSE(document);
    EXPECT_EQ(document.error().code, Errc::unsupported);
}

TEST(SnapshotHostile, FewBytesOfManyValuesMeetTheLimits) {
    Document document("doc");
    change(document, 1, 1000, [](Transaction& t) {
        const auto list = *t.make(kRoot, *t.key("list"), Kind::list);
        for (std::size_t i = 0; i < 10'000; ++i)
            ASSERT_TRUE(t.insert(list, i, {Kind::none, Value("x")}));
    });
    const Bytes bytes = encode_snapshot(document);
    EXPECT_TRUE(decode_snapshot(bytes));
    const auto too_many = decode_snapshot(bytes, {9'000, 1U << 20U});
    ASSERT_FALSE(too_many);
    EXPECT_EQ(too_many.error().code, Errc::over_limit);
    const auto too_long = decode_snapshot(bytes, {1U << 20U, 9'000});
    ASSERT_FALSE(too_long);
    EXPECT_EQ(too_long.error().code, Errc::over_limit);
}

// --- Golden bytes --------------------------------------------------------------------------------

// docs/snapshot-format.md explains the first.
TEST(SnapshotGolden, ASmallDocument) {
    Document document("doc");
    change(document, 1, 1000, [](Transaction& t) {
        const auto map = *t.make(kRoot, *t.key("cpu"), Kind::map);
        ASSERT_TRUE(t.put(map, *t.key("load"), Value(0.5)));
        ASSERT_TRUE(t.put(map, *t.key("name"), Value("north")));
    });
    EXPECT_EQ(to_hex(encode_snapshot(document)),
              "0103646f630101000000000000000000000000000000a8d851886b3b42bbf33ed5b8023552e3830f"
              "f0477fee85a259de88c66980241f0001000100030000030000000103066370756c6f61646e616d65"
              "13050200340003050514040300000300d00f0302000600000101000a010000056e6f727468000000");
}

TEST(SnapshotGolden, EveryClash) {
    EXPECT_EQ(to_hex(encode_snapshot(*clashing_document())),
              "0103646f630201000000000000000000000000000000020000000000000000000000000000005c68"
              "e850dac143289d5795ed96b6891f97c5ef935b20af7a8560a14f949681d90ba1da12cb7108cab096"
              "00eafef48cb94e2c5a077c30d0079a8901e4a2caf405010101010101020608000101000200010001"
              "00000002060000000301cc0600636f756e7469646c6973746e616d657879fffffff101070300a081"
              "060a47413303a03dae516920020000040303400f0701007401000708000008010088080401480623"
              "21080200800008000008020092800304010902010001010000010004010000010001010000010000"
              "0100020100000802df050105021d01000e84d00f05a01f090704012c11400300020102020401415a"
              "1d02000005736576656e736f757468000000");
}

}  // namespace
}  // namespace joinery::crdt::test
