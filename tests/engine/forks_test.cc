// One actor, two histories: peers that each got one of them have both in the end, whatever the
// order, and after a restart (semantics F1 to F7, wire-format.md 4.4).

#include "joinery/verify.h"
#include "session/session.h"
#include "tests/engine/core_rig.h"
#include "tests/engine/passing_store.h"

#include <array>
#include <deque>
#include <gtest/gtest.h>
#include <memory>

namespace joinery::detail {
namespace {

/// A store that writes as another's actor: a device that was copied in a way nobody could notice.
class TwinStore final : public PassingStore {
  public:
    TwinStore(std::unique_ptr<Store> store, const Author& author)
        : PassingStore(std::move(store)), author_(author) {}
    Incarnation incarnation() const override {
        return is_renewed_ ? PassingStore::incarnation() : author_.proof.incarnation;
    }
    Result<void> renew_incarnation(IncarnationReason reason, WallTime now) override {
        is_renewed_ = true;
        return PassingStore::renew_incarnation(reason, now);
    }
    std::uint32_t writer_slot() const override { return author_.proof.writer_slot; }
    std::uint32_t writer_generation() const override { return author_.proof.writer_generation; }

  private:
    Author author_;
    bool is_renewed_ = false;
};

/// Counts the bytes of the log that are read.
class CountingStore final : public PassingStore {
  public:
    CountingStore(std::unique_ptr<Store> store, std::size_t& log_bytes)
        : PassingStore(std::move(store)), log_bytes_(log_bytes) {}
    Result<std::unique_ptr<StoreReader>> read() override {
        JOINERY_TRY(auto reader, PassingStore::read());
        return std::unique_ptr<StoreReader>(new Reader(std::move(reader), log_bytes_));
    }

  private:
    class Reader final : public PassingReader<StoreReader> {
      public:
        Reader(std::unique_ptr<StoreReader> reader, std::size_t& log_bytes)
            : PassingReader(std::move(reader)), log_bytes_(log_bytes) {}
        Result<std::optional<Record>> first_at_or_after(Table table, ByteView key) override {
            return counted(table, PassingReader::first_at_or_after(table, key));
        }
        Result<std::optional<Record>> last_before(Table table, ByteView key) override {
            return counted(table, PassingReader::last_before(table, key));
        }

      private:
        Result<std::optional<Record>> counted(Table table, Result<std::optional<Record>> record) {
            if (table == Table::log && record && *record) log_bytes_ += (*record)->value.size();
            return record;
        }

        std::size_t& log_bytes_;
    };

    std::size_t& log_bytes_;
};

class ForksTest : public CoreTest {
  protected:
    /// A peer on a disk of its own.
    struct Peer {
        std::unique_ptr<persist::MemoryDisk> disk = std::make_unique<persist::MemoryDisk>();
        std::unique_ptr<Core> core;
    };
    Peer make_peer() {
        Peer peer;
        peer.core = open(*peer.disk);
        return peer;
    }
    /// A copy of @p peer as it stands, which goes on writing as the same actor.
    Peer make_twin(const Peer& peer) {
        const Author author = peer.core->author();
        Peer twin;
        twin.disk = peer.disk->clone();
        twin.core = open_on(
            std::make_unique<TwinStore>(*persist::open_memory_store(*twin.disk, random_), author));
        EXPECT_EQ(twin.core->author().actor, author.actor);
        return twin;
    }
    /// Two peers of one actor, which after a first put of /x in common put 1 and 2 there.
    std::pair<Peer, Peer> make_forked() {
        Peer m = make_peer();
        put(m, "/x", 0);
        Peer twin = make_twin(m);
        put(m, "/x", 1);
        put(twin, "/x", 2);
        return {std::move(m), std::move(twin)};
    }
    void reopen(Peer& peer) {
        peer.core.reset();
        peer.core = open(*peer.disk);
    }
    static void put(Peer& peer, const std::string& path, std::int64_t value) {
        set(*peer.core, path, value);
        ASSERT_TRUE(peer.core->commit().has_value());
    }
    static void put_text(Peer& peer, std::string text) {
        const auto done =
            document(*peer.core)
                .transact([&](Tx& tx) { return tx.set("/text", Value(std::move(text))); }, "");
        ASSERT_TRUE(done.has_value()) << done.error().what;
        ASSERT_TRUE(peer.core->commit().has_value());
    }
    static void append(Peer& peer, std::int64_t value) {
        const auto done = document(*peer.core)
                              .transact(
                                  [&](Tx& tx) -> Result<void> {
                                      if (!tx.read("/l"))
                                          JOINERY_TRY_VOID(tx.set("/l", Plain{PlainArray{}}));
                                      return tx.insert("/l/-", Plain{Value(value)});
                                  },
                                  "");
        ASSERT_TRUE(done.has_value()) << done.error().what;
        ASSERT_TRUE(peer.core->commit().has_value());
    }
    static void count(Peer& peer, std::int64_t delta) {
        const auto done =
            document(*peer.core).transact([&](Tx& tx) { return tx.increment("/n", delta); }, "");
        ASSERT_TRUE(done.has_value()) << done.error().what;
        ASSERT_TRUE(peer.core->commit().has_value());
    }

    /// A session between two peers until nothing more goes; the messages that went.
    std::size_t sync(Peer& left, Peer& right, bool is_to_agree = true) {
        std::array<Peer*, 2> peers{&left, &right};
        std::array<std::unique_ptr<session::Session>, 2> sessions;
        for (std::size_t i = 0; i < 2; ++i)
            sessions[i] = std::make_unique<session::Session>(*peers[i]->core, session::Options());
        std::size_t count = 0;
        Bytes message;
        for (bool is_busy = true; is_busy && count < 1000;) {
            is_busy = false;
            for (std::size_t i = 0; i < 2; ++i) {
                while (sessions[i]->next_message(message)) {
                    is_busy = true;
                    ++count;
                    sessions[1 - i]->on_message(message, {});
                }
                for (Peer* peer : peers) {
                    const auto changed = peer->core->commit();
                    EXPECT_TRUE(changed.has_value()) << changed.error().what;
                    for (const auto& changed_document : *changed)
                        sessions[peer == &left ? 0 : 1]->document_changed(changed_document->id());
                    is_busy = is_busy || !changed->empty();
                }
            }
        }
        for (std::size_t i = 0; i < 2; ++i) {
            for (const session::Event& event : sessions[i]->take_events()) {
                EXPECT_FALSE(is_to_agree && event.kind == session::Event::Kind::refused)
                    << (event.error ? event.error->what : "");
                EXPECT_NE(event.kind, session::Event::Kind::diverged);
                EXPECT_NE(event.kind, session::Event::Kind::stalled);
            }
            if (is_to_agree) {
                EXPECT_TRUE(sessions[i]->is_in_step());
                EXPECT_TRUE(sessions[i]->is_acknowledged());
            }
        }
        EXPECT_LT(count, 100U);
        return count;
    }
    static std::string shown(Peer& peer) { return to_json(*document(*peer.core).read("")); }
    static std::string to_json(const Plain& plain) {
        if (plain.is_scalar()) return std::to_string(plain.scalar().as_integer());
        std::string text;
        if (plain.is_array()) {
            for (const Plain& element : plain.array())
                text += (text.empty() ? "" : ",") + to_json(element);
            return "[" + text + "]";
        }
        for (const PlainMember& member : plain.object())
            text += (text.empty() ? "" : ",") + member.first + ":" + to_json(member.second);
        return "{" + text + "}";
    }
    static void expect_equal(std::initializer_list<Peer*> peers) {
        const Digest digest_of_first = digest(*(*peers.begin())->core);
        for (Peer* peer : peers) {
            EXPECT_EQ(to_hex(digest(*peer->core).view()), to_hex(digest_of_first.view()));
            EXPECT_EQ(document(*peer->core).frontier(),
                      document(*(*peers.begin())->core).frontier());
        }
    }
    void reopen_and_expect_equal(Peer& a, Peer& b) {
        reopen(a);
        expect_equal({&a, &b});
        reopen(b);
        expect_equal({&a, &b});
        expect_sound(a);
        expect_sound(b);
    }
    static VerifyReport verify(Peer& peer) {
        VerifyOptions options;
        options.deep = true;
        const auto report = verify_store(peer.core->store(), options);
        EXPECT_TRUE(report.has_value());
        return *report;
    }
    static void expect_sound(Peer& peer) {
        const VerifyReport report = verify(peer);
        for (const Damage& damage : report.damages)
            ADD_FAILURE() << describe(damage);
        const auto status = document(*peer.core).status();
        EXPECT_EQ(report.forks.size(), status->forks.size());
        EXPECT_EQ(report.change_count, status->change_count);
        EXPECT_EQ(report.replayed_count, status->change_count);
        EXPECT_EQ(report.seal_count, report.verified_seal_count);
    }
};

TEST_F(ForksTest, TwoPeersWithABranchEachHaveBothInTheEnd) {  // F1, F5
    Peer m = make_peer();
    put(m, "/x", 0);
    append(m, 0);
    Peer twin = make_twin(m);
    Peer b = make_peer();
    Peer c = make_peer();
    append(m, 1);
    append(twin, 2);
    sync(m, b);
    sync(twin, c);
    EXPECT_EQ(shown(b), "{l:[0,1],x:0}");
    EXPECT_EQ(shown(c), "{l:[0,2],x:0}");
    sync(b, c);
    expect_equal({&b, &c});
    EXPECT_EQ(document(*b.core).read("/l")->array().size(), 3U);
    EXPECT_EQ(document(*b.core).status()->change_count, 4U);
    EXPECT_EQ(document(*b.core).frontier().size(), 2U);
    reopen_and_expect_equal(b, c);
    // Nothing is left to say.
    sync(b, c);
}

TEST_F(ForksTest, OfBranchesOfUnequalLengthBothArrive) {
    for (const int longer : {1, 2, 70, 200}) {
        Peer m = make_peer();
        for (int i = 0; i < 3; ++i)
            put(m, "/x", i);
        Peer twin = make_twin(m);
        Peer b = make_peer();
        Peer c = make_peer();
        put(twin, "/y", 7);
        for (int i = 0; i < longer; ++i)
            put(m, "/x", 10 + i);
        sync(m, b);
        sync(twin, c);
        sync(b, c);
        expect_equal({&b, &c});
        reopen_and_expect_equal(b, c);
        EXPECT_EQ(document(*b.core).status()->change_count, 4U + static_cast<unsigned>(longer));
    }
}

TEST_F(ForksTest, AChainThatComesInManyMessagesMakesNobodyReadHisLogForEach) {
    constexpr std::size_t kCommon = 700;
    constexpr std::size_t kTextSize = 8192;
    Peer m = make_peer();
    for (std::size_t i = 0; i < kCommon; ++i)
        put_text(m, std::to_string(i) + std::string(kTextSize, '.'));
    Peer twin = make_twin(m);
    std::size_t log_bytes = 0;
    const auto make_counted = [&] {
        Peer peer;
        peer.core = open_on(std::make_unique<CountingStore>(
            *persist::open_memory_store(*peer.disk, random_), log_bytes));
        return peer;
    };
    Peer b = make_counted();
    Peer c = make_counted();
    put(m, "/x", 1);
    put(twin, "/x", 2);
    sync(m, b);
    sync(twin, c);
    log_bytes = 0;
    EXPECT_GT(sync(b, c), 20U) << "the chain is to come in several messages";
    // One of them looks through its log once for what came, and both read what they send. For each
    // message anew it was 2.2 times.
    const std::uint64_t size = document(*b.core).status()->stored_size;
    EXPECT_GE(log_bytes, size);
    EXPECT_LE(log_bytes, size + size / 2);
    expect_equal({&b, &c});
    reopen_and_expect_equal(b, c);
    EXPECT_EQ(document(*c.core).status()->change_count, kCommon + 2);
}

TEST_F(ForksTest, WhoHasBothWritesOnAndOthersFollow) {  // F3, F6, F7
    Peer m = make_peer();
    append(m, 0);
    count(m, 1);
    Peer twin = make_twin(m);
    append(m, 1);
    count(m, 2);
    append(twin, 2);
    count(twin, 5);
    Peer b = make_peer();
    Peer c = make_peer();
    Peer d = make_peer();
    sync(m, b);
    sync(twin, c);
    sync(b, c);
    EXPECT_EQ(document(*b.core).read("/n")->scalar().as_integer(), 8);
    put(b, "/l/1", 11);
    put(c, "/l/2", 12);
    put(b, "/z", 1);
    ASSERT_TRUE(document(*c.core).transact([](Tx& tx) { return tx.erase("/n"); }, "").has_value());
    ASSERT_TRUE(c.core->commit().has_value());
    sync(b, c);
    expect_equal({&b, &c});
    EXPECT_EQ(shown(b), "{l:[0,11,12],z:1}");
    // To who has nothing, and in a session that goes on.
    sync(c, d);
    expect_equal({&c, &d});
    reopen_and_expect_equal(b, d);
    put(d, "/w", 3);
    sync(d, b);
    expect_equal({&b, &d});
}

TEST_F(ForksTest, TheTwinsThemselvesLearnOfEachOtherAndGoOnAsOthers) {
    auto [m, twin] = make_forked();
    const ActorId actor = m.core->author().actor;
    sync(m, twin);
    expect_equal({&m, &twin});
    EXPECT_NE(m.core->author().actor, actor);
    EXPECT_NE(twin.core->author().actor, actor);
    EXPECT_EQ(document(*m.core).alternatives("/x")->size(), 1U);
    put(m, "/x", 3);
    put(twin, "/y", 4);
    sync(m, twin);
    expect_equal({&m, &twin});
    EXPECT_EQ(shown(m), "{x:3,y:4}");
    EXPECT_TRUE(document(*m.core).alternatives("/x")->empty());
    reopen_and_expect_equal(m, twin);
}

TEST_F(ForksTest, WhatWaitsToBeStoredIsNotDurableYet) {  // A2
    auto [m, twin] = make_forked();
    Peer b = make_peer();
    sync(m, b);
    sync(twin, b);
    for (const std::int64_t value : {3, 4}) {
        set(*b.core, "/b", value);
        const ChainMark change{b.core->author().actor, static_cast<std::uint64_t>(value - 2)};
        EXPECT_FALSE(document(*b.core).change_status(change)->is_durable);
        ASSERT_TRUE(b.core->commit().has_value());
        EXPECT_TRUE(document(*b.core).change_status(change)->is_durable);
    }
}

TEST_F(ForksTest, ABranchThatGrowsBeforeThePeersMeetIsFoundByItsSeal) {
    // b and c meet while they have equal numbers, and each goes on by one that the other lacks.
    Peer m = make_peer();
    put(m, "/x", 0);
    Peer twin = make_twin(m);
    for (int i = 1; i <= 80; ++i)
        put(m, "/x", i);
    for (int i = 1; i <= 70; ++i)
        put(twin, "/y", i);
    Peer b = make_peer();
    Peer c = make_peer();
    sync(m, b);
    sync(twin, c);
    sync(b, c);
    expect_equal({&b, &c});
    EXPECT_EQ(document(*c.core).status()->change_count, 151U);
    reopen_and_expect_equal(b, c);
}

TEST_F(ForksTest, ThreeBranchesAndAForkOfAFork) {  // F2
    Peer m = make_peer();
    append(m, 0);
    Peer second = make_twin(m);
    Peer third = make_twin(m);
    append(m, 1);
    Peer fourth = make_twin(m);
    append(m, 2);
    append(second, 3);
    append(third, 4);
    append(fourth, 5);
    std::array<Peer, 4> readers{make_peer(), make_peer(), make_peer(), make_peer()};
    std::array<Peer*, 4> writers{&m, &second, &third, &fourth};
    for (std::size_t i = 0; i < 4; ++i)
        sync(*writers[i], readers[i]);
    sync(readers[0], readers[1]);
    put(readers[1], "/x", 1);
    sync(readers[2], readers[3]);
    put(readers[2], "/y", 1);
    sync(readers[1], readers[2]);
    sync(readers[0], readers[2]);
    sync(readers[2], readers[1]);
    sync(readers[0], readers[3]);
    sync(readers[1], readers[3]);
    expect_equal({&readers[0], &readers[1], &readers[2], &readers[3]});
    EXPECT_EQ(document(*readers[0].core).read("/l")->array().size(), 6U);
    for (Peer& reader : readers)
        reopen(reader);
    expect_equal({&readers[0], &readers[1], &readers[2], &readers[3]});
}

TEST_F(ForksTest, ASnapshotGoesWithTheFirstBranchAndNoneIsMade) {
    auto [m, twin] = make_forked();
    Peer b = make_peer();
    sync(m, b);
    ASSERT_EQ(*b.core->make_snapshots(1), 1U);
    reopen(b);
    sync(twin, b);
    EXPECT_EQ(*b.core->make_snapshots(1), 0U);
    Peer c = make_peer();
    sync(b, c);
    expect_equal({&b, &c});
    reopen_and_expect_equal(b, c);
    EXPECT_EQ(*b.core->make_snapshots(1), 0U);
}

TEST_F(ForksTest, AnotherProcessOfTheStoreFollows) {
    Peer m = make_peer();
    append(m, 0);
    Peer twin = make_twin(m);
    append(m, 1);
    append(twin, 2);
    Peer b = make_peer();
    const auto beside = open(*b.disk);
    sync(m, b);
    ASSERT_TRUE(beside->commit().has_value());
    EXPECT_EQ(digest(*beside), digest(*b.core));
    sync(twin, b);
    ASSERT_TRUE(beside->commit().has_value());
    EXPECT_EQ(digest(*beside), digest(*b.core));
    set(*beside, "/x", 5);
    put(b, "/y", 6);
    ASSERT_TRUE(beside->commit().has_value());
    ASSERT_TRUE(b.core->commit().has_value());
    EXPECT_EQ(digest(*beside), digest(*b.core));
    EXPECT_EQ(digest(*open(*b.disk)), digest(*b.core));
}

TEST_F(ForksTest, WhoWatchesGetsTheDifferenceOfTheTwoViews) {
    Peer m = make_peer();
    append(m, 0);
    put(m, "/x", 1);
    Peer twin = make_twin(m);
    append(m, 1);
    append(twin, 2);
    Peer b = make_peer();
    sync(m, b);
    std::vector<Patch> patches;
    const auto watch = document(*b.core).observe("", [&](const Event& event) {
        EXPECT_FALSE(event.local);
        patches.insert(patches.end(), event.patches.begin(), event.patches.end());
    });
    sync(twin, b);
    ASSERT_FALSE(patches.empty());
    for (const Patch& patch : patches)
        EXPECT_TRUE(patch.path.starts_with("/l/")) << patch.path;
    const Plain last = patches.back().value;
    patches.clear();
    put(twin, "/x", 2);
    // The twin goes on where both are known.
    sync(twin, b);
    ASSERT_EQ(patches.size(), 1U);
    EXPECT_EQ(patches[0].path, "/x");
}

TEST_F(ForksTest, ALiveRegisterStaysWithItsObject) {  // I2
    Peer m = make_peer();
    ASSERT_TRUE(document(*m.core)
                    .transact([](Tx& tx) { return tx.set("/w", Plain{PlainObject{}}); }, "")
                    .has_value());
    ASSERT_TRUE(m.core->commit().has_value());
    Peer twin = make_twin(m);
    put(m, "/x", 1);
    put(twin, "/x", 2);
    Peer b = make_peer();
    sync(m, b);
    DocumentCore& core = document(*b.core);
    const auto slot = core.live_slot("/w/cpu");
    ASSERT_TRUE(slot.has_value());
    const Value five(std::int64_t{5});
    const Value six(std::int64_t{6});
    ASSERT_TRUE(core.write_live(slot->map, slot->key, &five).has_value());
    sync(twin, b);
    EXPECT_EQ(core.read("/w/cpu")->scalar(), five);
    ASSERT_TRUE(core.write_live(slot->map, slot->key, &six).has_value());
    ASSERT_TRUE(b.core->commit().has_value());
    EXPECT_EQ(core.read("/w/cpu")->scalar(), six);
    reopen(b);
    EXPECT_EQ(document(*b.core).read("/w/cpu")->scalar(), six);
}

TEST_F(ForksTest, VersionsNameBranches) {
    auto [m, twin] = make_forked();
    const ActorId actor = m.core->author().actor;
    Peer b = make_peer();
    sync(m, b);
    sync(twin, b);
    const auto log = document(*b.core).log(SIZE_MAX, Version::none());
    ASSERT_TRUE(log.has_value());
    ASSERT_EQ(log->size(), 3U);
    std::vector<std::int64_t> values;
    for (const ChangeInfo& info : *log) {
        EXPECT_EQ(info.actor, actor);
        EXPECT_EQ(info.branch.has_value(), info.seq == 2);
        ASSERT_EQ(info.ops.size(), 1U);
        EXPECT_EQ(info.ops[0].path, "/x");
        Version version;
        version.form = Version::Form::heads;
        version.heads = {{info.branch.value_or(info.actor), info.seq}};
        const auto then = document(*b.core).read_at(version, "/x");
        ASSERT_TRUE(then.has_value()) << then.error().what;
        EXPECT_EQ(*then, *info.ops[0].value);
        values.push_back(then->scalar().as_integer());
        version.heads[0].actor = info.actor;
        EXPECT_EQ(document(*b.core).read_at(version, "/x").has_value(), info.seq == 1);
        version.form = Version::Form::arrival;
        version.arrival = info.arrival;
        EXPECT_TRUE(document(*b.core).read_at(version, "/x").has_value());
    }
    std::ranges::sort(values);
    EXPECT_EQ(values, (std::vector<std::int64_t>{0, 1, 2}));
    Version since;
    since.form = Version::Form::arrival;
    since.arrival = 2;
    EXPECT_EQ(document(*b.core).log(SIZE_MAX, since)->size(), 1U);
}

TEST_F(ForksTest, TheSealsOfBothBranchesProveIt) {
    Peer m = make_peer();
    put(m, "/x", 0);
    Peer twin = make_twin(m);
    const Author author = m.core->author();
    put(m, "/x", 1);
    for (int i = 2; i < 5; ++i) {
        set(*twin.core, "/x", i);  // Of these the last alone is sealed.
    }
    ASSERT_TRUE(twin.core->commit().has_value());
    Peer b = make_peer();
    sync(m, b);
    EXPECT_TRUE(document(*b.core).status()->forks.empty());
    EXPECT_TRUE(verify(b).forks.empty());
    sync(twin, b);
    const auto status = document(*b.core).status();
    ASSERT_TRUE(status.has_value());
    const VerifyReport report = verify(b);
    ASSERT_EQ(report.forks.size(), 1U);
    EXPECT_EQ(report.forks[0].document, "d");
    EXPECT_TRUE(report.is_sound());
    ASSERT_EQ(status->forks.size(), 1U);
    for (const Fork* fork : {&status->forks[0], &report.forks[0].fork}) {
        EXPECT_EQ(fork->actor, author.actor);
        EXPECT_EQ(fork->device, author.proof.device);
        EXPECT_EQ(fork->seq, 2U);
        ASSERT_EQ(fork->branches.size(), 2U);
        std::vector<std::uint64_t> seqs;
        for (const Fork::Branch& branch : fork->branches) {
            const crdt::Seal seal{author.proof, branch.sealed_seq, branch.signature};
            EXPECT_TRUE(crdt::check_seal(seal, "d", branch.sealed_hash).has_value());
            seqs.push_back(branch.sealed_seq);
        }
        std::ranges::sort(seqs);
        EXPECT_EQ(seqs, (std::vector<std::uint64_t>{2, 4}));
    }
}

TEST_F(ForksTest, DamageInAForkedDocumentIsFound) {
    auto [m, twin] = make_forked();
    Peer b = make_peer();
    sync(m, b);
    sync(twin, b);
    ASSERT_TRUE(verify(b).is_sound());
    for (const Table table : {Table::log, Table::index, Table::seals, Table::documents}) {
        const auto reader = *b.core->store().read();
        std::vector<std::pair<Bytes, Bytes>> records;
        Bytes key;
        while (true) {
            const auto found = reader->first_at_or_after(table, key);
            ASSERT_TRUE(found.has_value());
            if (!*found) break;
            key.assign((*found)->key.begin(), (*found)->key.end());
            records.emplace_back(key, Bytes((*found)->value.begin(), (*found)->value.end()));
            key.push_back(0);
        }
        for (const auto& [at, value] : records) {
            const auto write = [&](const Bytes& bytes) {
                const auto writer = *b.core->store().write();
                ASSERT_TRUE(writer->put(table, at, bytes).has_value());
                ASSERT_TRUE(writer->commit().has_value());
            };
            for (std::size_t i = 0; i < value.size(); ++i) {
                Bytes changed = value;
                changed[i] = static_cast<std::uint8_t>(changed[i] ^ (1U << (i * 5 % 8)));
                write(changed);
                ASSERT_FALSE(verify(b).is_sound())
                    << static_cast<int>(table) << " " << to_hex(at) << " byte " << i;
            }
            write(value);
            {
                const auto writer = *b.core->store().write();
                ASSERT_TRUE(writer->erase(table, at).has_value());
                ASSERT_TRUE(writer->commit().has_value());
            }
            EXPECT_FALSE(verify(b).is_sound()) << static_cast<int>(table);
            write(value);
        }
        EXPECT_TRUE(verify(b).is_sound());
    }
}

TEST_F(ForksTest, MoreBranchesThanAPeerTakesAreRefused) {
    Peer m = make_peer();
    put(m, "/x", 0);
    Peer b = make_peer();
    sync(m, b);
    for (std::size_t i = 0; i <= crdt::kBranchCountMax; ++i) {
        Peer twin = make_twin(m);
        put(twin, "/x", static_cast<std::int64_t>(i) + 1);
        sync(twin, b, i < crdt::kBranchCountMax);
    }
    EXPECT_EQ(document(*b.core).frontier().size(), crdt::kBranchCountMax);
    const Digest before = digest(*b.core);
    reopen(b);
    EXPECT_EQ(digest(*b.core), before);
}

}  // namespace
}  // namespace joinery::detail
