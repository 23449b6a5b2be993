// A document's authority refuses changes: docs/semantics.md U, docs/authority.md.
#include "joinery/authority.h"

#include "crdt/codec.h"
#include "crdt/transaction.h"
#include "joinery/json.h"
#include "joinery/verify.h"
#include "tests/engine/core_rig.h"

#include <array>
#include <gtest/gtest.h>
#include <memory>

namespace joinery::detail {
namespace {

// Rule U1.
TEST(AuthorityId, NamesADeviceOrNobody) {
    DeviceKey key;
    key.bytes.fill(0xab);
    const std::string id = authority_id("orders", key);
    EXPECT_EQ(id.substr(0, 9), "orders@ab");
    EXPECT_EQ(authority_of(id), key);
    EXPECT_EQ(authority_of("a@b@" + to_hex(key.view())), key);
    for (const std::string& other : {std::string("orders"),
                                     std::string(),
                                     "orders" + to_hex(key.view()),
                                     "@" + to_hex(key.view()),
                                     "orders@" + to_hex(key.view()).substr(1),
                                     "orders@A" + to_hex(key.view()).substr(1),
                                     "orders@g" + to_hex(key.view()).substr(1),
                                     id + "0"}) {
        EXPECT_EQ(authority_of(other), std::nullopt) << other;
    }
}

/// Whoever signs changes as it likes.
class Stranger {
  public:
    Stranger(std::string id, std::uint8_t secret) : key_(secret_of(secret)), document_(id) {
        proof_.device = key_.public_key();
        actor_ = crdt::actor_of(proof_);
    }

    const DeviceKey& device() const { return proof_.device; }
    const ActorId& actor() const { return actor_; }
    crdt::Document& document() { return document_; }
    /// One change of @p verbs with a transaction.
    template <class Verbs>
    void change(std::int64_t time_ms, Verbs&& verbs, std::string_view message = {}) {
        crdt::Transaction transaction(document_, actor_, WallTime(time_ms));
        verbs(transaction);
        ASSERT_TRUE(*transaction.commit(message));
    }
    void put(std::string_view key, std::int64_t value, std::int64_t time_ms = 1) {
        change(time_ms, [&](crdt::Transaction& t) {
            EXPECT_TRUE(t.put(crdt::kRoot, *t.key(key), Value(value)));
        });
    }
    /// All that was made, in one message; @p spoil changes it before it is sealed, for @p seals of
    /// others.
    template <class Spoil>
    Result<session::DocumentPort::Received> tell(DocumentCore& to,
                                                 Spoil&& spoil,
                                                 std::vector<crdt::Seal> seals = {}) {
        crdt::Batch batch = document_.outgoing().batch;
        spoil(batch);
        Bytes bytes;
        crdt::EncoderDictionary encoder;
        crdt::encode_changes(document_.names(), batch, 0, batch.changes.size(), encoder, bytes);
        seals.push_back(crdt::make_seal(key_,
                                        proof_,
                                        document_.id(),
                                        batch.changes.back().seq,
                                        document_.outgoing().hashes.back()));
        crdt::DecoderDictionary decoder;
        return to.receive(bytes, decoder, seals);
    }
    Result<session::DocumentPort::Received> tell(DocumentCore& to) {
        return tell(to, [](crdt::Batch&) {});
    }
    /// With what tells one history from another.
    Result<session::DocumentPort::Received> tell_linked(DocumentCore& to) {
        return tell(to, [&](crdt::Batch& batch) {
            batch.links.push_back(
                {0, crdt::prefix_of(crdt::chain_origin(document_.id(), actor_)), {}});
        });
    }

  private:
    static std::array<std::uint8_t, 32> secret_of(std::uint8_t fill) {
        std::array<std::uint8_t, 32> secret{};
        secret.fill(fill);
        return secret;
    }

    crdt::SigningKey key_;
    crdt::Document document_;
    crdt::ActorProof proof_;
    ActorId actor_;
};

class AuthorityTest : public CoreTest {
  protected:
    /// An authority that refuses what makes a number negative.
    void open_authority() {
        judge = [this](const Proposal& proposal) -> std::optional<std::string> {
            ++asked;
            for (const ChangeInfo::Op& op : proposal.change.ops) {
                if (op.kind != "put" || !op.value->is_scalar()) continue;
                const Value& value = op.value->scalar();
                if (value.type() == ValueType::integer && value.as_integer() < 0)
                    return "below zero at " + op.path;
            }
            return std::nullopt;
        };
        authority = open(disk_);
        judge = {};
        id = authority_id("d", authority->device());
    }
    DocumentCore& at(Core& core) { return document(core, id); }
    /// @p from stores what it has, @p to gets it.
    void pass(Core& from, Core& to) {
        ASSERT_TRUE(from.commit());
        send(from, to, id);
        ASSERT_TRUE(to.commit());
    }
    std::string shown(Core& core) { return json(*at(core).read("")); }
    static std::string json(const Plain& plain) {
        std::string text = *print_json(plain);
        std::erase(text, '"');
        return text;
    }
    static std::uint64_t damage_count(Core& core) {
        VerifyOptions options;
        options.deep = true;
        const auto report = verify_store(core.store(), options);
        return report ? report->damage_count : UINT64_MAX;
    }
    Digest digest_of(Core& core) { return at(core).status()->digest; }

    std::unique_ptr<Core> authority;
    std::string id;
    int asked = 0;
    persist::MemoryDisk third_disk_;
};

// Rules U2 to U5, U7: of a hundred changes made offline the third is refused.
TEST_F(AuthorityTest, OneRefusedChangeOfAHundredLeavesTheOthers) {
    open_authority();
    const auto author = open(other_disk_);
    DocumentCore& mine = at(*author);
    std::vector<Receipt> receipts;
    for (int i = 0; i < 100; ++i) {
        const std::string path = "/k" + std::to_string(i);
        receipts.push_back(*try_set(mine, path, i == 2 ? -1 : i));
        receipts.back().core = mine.shared_from_this();
    }
    std::vector<std::string> told;
    const auto watch = mine.observe_rejections([&](const Rejection& rejection) {
        told.push_back(rejection.reason + " " + std::to_string(rejection.receipt.seq) + " " +
                       rejection.change.ops.at(0).path + " " +
                       json(*rejection.change.ops[0].value));
        EXPECT_EQ(rejection.by, authority->device());
        EXPECT_EQ(rejection.receipt.original("/k2").error().code, Errc::not_found);
    });
    pass(*author, *authority);
    EXPECT_EQ(asked, 100);
    EXPECT_EQ(logged,
              std::vector<std::string>{"document " + id + ": change 3 of " +
                                       to_hex(receipts[2].actor.view()).substr(0, 8) +
                                       " was refused: below zero at /k2"});
    EXPECT_FALSE(at(*authority).read("/k2"));
    EXPECT_TRUE(mine.read("/k2"));
    pass(*authority, *author);
    EXPECT_FALSE(mine.read("/k2"));
    EXPECT_EQ(mine.read("")->object().size(), 99U);
    EXPECT_EQ(digest_of(*author), digest_of(*authority));
    EXPECT_EQ(told, std::vector<std::string>{"below zero at /k2 3 /k2 -1"});
    const ChangeStatus status = *receipts[2].status();
    EXPECT_EQ(status.state, ChangeState::rejected);
    EXPECT_EQ(status.reason, "below zero at /k2");
    EXPECT_EQ(status.rejected_by, authority->device());
    EXPECT_EQ(receipts[2].wait(1, std::chrono::milliseconds(0)).error().code, Errc::conflict);
    EXPECT_NE(receipts[3].status()->state, ChangeState::rejected);
    EXPECT_EQ(mine.outbox_status().rejected_count, 1U);
    // Nobody is asked about it again.
    pass(*authority, *author);
    pass(*author, *authority);
    EXPECT_EQ(asked, 100);
}

// Rule U7: known after a restart, and in another process of the store.
TEST_F(AuthorityTest, WhatWasRefusedIsKnownAfterARestart) {
    open_authority();
    const auto author = open(other_disk_);
    const auto sibling = open(other_disk_);
    const Receipt receipt = *try_set(at(*author), "/x", -1);
    pass(*author, *authority);
    ASSERT_TRUE(sibling->commit());
    EXPECT_TRUE(at(*sibling).read("/x"));
    int told = 0;
    const auto watch = at(*sibling).observe_rejections([&](const Rejection&) { ++told; });
    pass(*authority, *author);
    ASSERT_TRUE(sibling->commit());
    EXPECT_EQ(told, 1);
    const auto check = [&](Core& core) {
        EXPECT_EQ(at(core).change_status({receipt.actor, 1})->state, ChangeState::rejected);
        const auto rejections = at(core).rejections();
        ASSERT_EQ(rejections.size(), 1U);
        EXPECT_EQ(rejections[0].reason, "below zero at /x");
        EXPECT_EQ(rejections[0].change.ops.size(), 1U);
        EXPECT_EQ(rejections[0].at, clock_.wall_now());
    };
    check(*author);
    check(*sibling);
    const auto again = open(other_disk_);
    check(*again);
    EXPECT_EQ(damage_count(*again), 0U);
    EXPECT_EQ(damage_count(*authority), 0U);
    // The log says what was refused.
    const auto log = *at(*authority).log(1, Version::none());
    ASSERT_TRUE(log[0].refused.has_value());
    EXPECT_EQ(log[0].refused->actor, receipt.actor);
    EXPECT_EQ(log[0].message, "below zero at /x");
}

// Rule U6.
TEST_F(AuthorityTest, NobodyBehindItIsShownAViewInBetween) {
    open_authority();
    const auto author = open(other_disk_);
    const auto behind = open(third_disk_);
    ASSERT_TRUE(try_set(at(*author), "/x", 1));
    pass(*author, *authority);
    pass(*authority, *behind);
    std::vector<std::string> seen;
    const auto note = [&](const Event& event) {
        for (const Patch& patch : event.patches)
            seen.push_back(patch.path + "=" + json(patch.value));
    };
    const auto watch_here = at(*authority).observe("", note);
    const auto watch_behind = at(*behind).observe("", note);
    ASSERT_TRUE(try_set(at(*author), "/x", -1));
    ASSERT_TRUE(try_set(at(*author), "/y", 5));
    pass(*author, *authority);
    EXPECT_EQ(seen, std::vector<std::string>{"/y=5"});
    // One message has both.
    Stream stream;
    stream.theirs = at(*behind).frontier();
    ASSERT_TRUE(send(*authority, *behind, stream, id));
    EXPECT_EQ(shown(*behind), "{x:1,y:5}");
    EXPECT_FALSE(send(*authority, *behind, stream, id));
    EXPECT_EQ(seen, (std::vector<std::string>{"/y=5", "/y=5"}));
    EXPECT_EQ(digest_of(*behind), digest_of(*authority));
}

// Rules U1 and U2.
TEST_F(AuthorityTest, ItJudgesNeitherItsOwnChangesNorOtherDocuments) {
    open_authority();
    ASSERT_TRUE(try_set(at(*authority), "/x", -1));
    const auto author = open(other_disk_);
    set(*author, "/x", -1);  // In the document "d".
    ASSERT_TRUE(author->commit());
    send(*author, *authority);
    EXPECT_EQ(asked, 0);
    EXPECT_EQ(shown(*authority), "{x:-1}");
    EXPECT_EQ(json(*document(*authority).read("")), "{x:-1}");
}

// Rule U2: a later change is judged without what was refused before it.
TEST_F(AuthorityTest, EachChangeIsJudgedWithoutWhatWasRefused) {
    std::vector<std::string> saw;
    judge = [&](const Proposal& proposal) -> std::optional<std::string> {
        const std::optional<Plain>& was = proposal.before.front();
        saw.push_back((was ? json(*was) : "none") + ">" + json(*proposal.read("/stock")));
        const auto stock = proposal.read("/stock");
        if (stock->scalar().as_integer() < 0) return std::string("sold out");
        return std::nullopt;
    };
    authority = open(disk_);
    id = authority_id("d", authority->device());
    const auto author = open(other_disk_);
    const auto add = [&](std::int64_t delta) {
        const auto body = [&](Tx& tx) { return tx.increment("/stock", delta); };
        ASSERT_TRUE(at(*author).transact(body, ""));
    };
    for (const std::int64_t delta : {10, -7, -5, -3, -1})
        add(delta);
    pass(*author, *authority);
    EXPECT_EQ(saw, (std::vector<std::string>{"none>10", "10>3", "3>-2", "3>0", "0>-1"}));
    pass(*authority, *author);
    EXPECT_EQ(shown(*author), "{stock:0}");
}

// Rule U3.
TEST_F(AuthorityTest, ARefusalByAnybodyElseIsUntrusted) {
    open_authority();
    Stranger stranger(id, 7);
    stranger.put("x", 1);
    const auto refuse = [](crdt::Document& document, const ActorId& actor) {
        crdt::Transaction t(document, actor, WallTime(2));
        t.refuse(document.graph().heads().front());
        ASSERT_TRUE(*t.commit("so there"));
    };
    const auto victim = open(other_disk_);
    ASSERT_TRUE(stranger.tell(at(*victim)));
    Stranger other(id, 8);
    Bytes bytes;
    crdt::EncoderDictionary encoder;
    crdt::encode_changes(
        stranger.document().names(), stranger.document().outgoing().batch, 0, 1, encoder, bytes);
    crdt::DecoderDictionary decoder;
    crdt::Batch batch;
    ASSERT_TRUE(crdt::decode_changes(bytes, other.document().names(), decoder, batch));
    ASSERT_TRUE(other.document().apply(batch, *other.document().check(batch)));
    refuse(other.document(), other.actor());
    for (Core* core : {victim.get(), authority.get()}) {
        const auto taken = stranger.tell(at(*core));
        ASSERT_TRUE(taken);
        const auto refused = other.tell(at(*core));
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, Errc::untrusted);
        EXPECT_EQ(shown(*core), "{x:1}");
    }
}

// Rule U4: more than one change may hold is put back by several.
TEST_F(AuthorityTest, AGreatEraseIsPutBackWhole) {
    judge = [](const Proposal& proposal) -> std::optional<std::string> {
        if (proposal.change.ops.front().kind == "erase") return std::string("not that");
        return std::nullopt;
    };
    authority = open(disk_);
    id = authority_id("d", authority->device());
    const auto author = open(other_disk_);
    PlainArray rows(70'000);
    for (std::size_t i = 0; i < rows.size(); ++i)
        rows[i].data = Value(static_cast<std::int64_t>(i));
    const Plain all{PlainObject{{"rows", Plain{rows}}}};
    ASSERT_TRUE(at(*author).transact([&](Tx& tx) { return tx.set("", all); }, ""));
    pass(*author, *authority);
    const auto before = at(*authority).read("");
    ASSERT_TRUE(at(*author).transact([&](Tx& tx) { return tx.erase("/rows"); }, ""));
    pass(*author, *authority);
    EXPECT_TRUE(*at(*authority).read("") == *before);
    pass(*authority, *author);
    EXPECT_TRUE(*at(*author).read("") == *before);
    EXPECT_EQ(digest_of(*author), digest_of(*authority));
    EXPECT_EQ(at(*author).rejections().size(), 1U);
}

/// What a stranger makes as large as it may be has a refusal that is larger.
TEST_F(AuthorityTest, WhatIsLargestIsRefusedToo) {
    judge = [](const Proposal& proposal) -> std::optional<std::string> {
        return proposal.change.message.empty() ? std::nullopt : std::optional<std::string>("no");
    };
    authority = open(disk_);
    id = authority_id("d", authority->device());
    Stranger stranger(id, 7);
    crdt::Names& names = stranger.document().names();
    const auto map_at = [&](std::string_view key) {
        return names.intern_container(crdt::kRoot, names.intern_key(key), crdt::Kind::map);
    };
    const auto tell = [&] {
        const auto taken = stranger.tell(at(*authority));
        ASSERT_TRUE(taken) << taken.error().what;
        stranger.document().clear_outgoing();
        ASSERT_TRUE(authority->commit());
    };
    // Keys that make what an erase of all clears more than one change may hold.
    for (int part = 0; part < 2; ++part) {
        stranger.change(1, [&](crdt::Transaction& t) {
            for (int i = 0; i < 5000; ++i) {
                const std::string key = std::to_string(part * 5000 + i) + std::string(1000, 'k');
                EXPECT_TRUE(t.put(map_at("long"), *t.key(key), Value(std::int64_t{i})));
            }
        });
        tell();
    }
    const auto before = at(*authority).read("");
    stranger.change(
        2,
        [&](crdt::Transaction& t) { EXPECT_TRUE(t.erase(crdt::kRoot, *t.key("long"))); },
        "erase");
    tell();
    EXPECT_TRUE(*at(*authority).read("") == *before);
    // Counters, of which an erase carries more than their increments are.
    stranger.change(
        3,
        [&](crdt::Transaction& t) {
            for (int i = 0; i < 170'000; ++i) {
                const auto counter = t.counter_at(map_at("many"), *t.key(std::to_string(i)));
                EXPECT_TRUE(counter && t.increment(*counter, 1));
            }
        },
        "count");
    tell();
    EXPECT_TRUE(*at(*authority).read("") == *before);
    const auto behind = open(other_disk_);
    pass(*authority, *behind);
    EXPECT_EQ(digest_of(*behind), digest_of(*authority));
    EXPECT_TRUE(*at(*behind).read("") == *before);
}

/// What comes is taken whole or not at all, also where some of it was refused before the rest
/// proved to be invalid.
TEST_F(AuthorityTest, AMessageThatIsNotValidLeavesNoTrace) {
    open_authority();
    Stranger stranger(id, 7);
    stranger.put("x", 1);
    ASSERT_TRUE(stranger.tell(at(*authority)));
    const Digest digest = digest_of(*authority);
    const std::uint64_t count = at(*authority).status()->change_count;
    stranger.put("x", -1);
    // An element that nobody inserted.
    stranger.put("y", 1);
    const auto taken = stranger.tell(
        at(*authority), [&](crdt::Batch& batch) { batch.changes.back().counter += 5; });
    ASSERT_FALSE(taken);
    EXPECT_EQ(digest_of(*authority), digest);
    EXPECT_EQ(at(*authority).status()->change_count, count);
    EXPECT_EQ(logged.size(), 0U);
    ASSERT_TRUE(stranger.tell(at(*authority)));
    EXPECT_EQ(shown(*authority), "{x:1,y:1}");
}

/// Also where its author has forked, before or with the change that is refused.
TEST_F(AuthorityTest, WhoForksIsJudgedAllTheSame) {
    open_authority();
    ASSERT_TRUE(try_set(at(*authority), "/kept", 4));
    Stranger one(id, 7), two(id, 7);
    one.put("x", 1, 10);
    one.put("x", -1, 20);
    two.put("y", 2, 10);
    two.put("y", -2, 20);
    two.put("z", 3, 30);
    ASSERT_TRUE(one.tell(at(*authority)));
    EXPECT_EQ(shown(*authority), "{kept:4,x:1}");
    const auto forked = two.tell_linked(at(*authority));
    ASSERT_TRUE(forked) << forked.error().what;
    EXPECT_EQ(shown(*authority), "{kept:4,x:1,y:2,z:3}");
    EXPECT_EQ(asked, 5);
    ASSERT_TRUE(authority->commit());
    EXPECT_EQ(at(*authority).status()->forks.size(), 1U);
    // In a document that has forked already; what is not valid leaves no trace.
    one.put("x", -3, 40);
    one.put("w", 1, 50);
    const auto spoiled = one.tell(at(*authority), [&](crdt::Batch& batch) {
        batch.links.push_back({0, crdt::prefix_of(crdt::chain_origin(id, one.actor())), {}});
        batch.changes.back().counter += 5;
    });
    ASSERT_FALSE(spoiled);
    EXPECT_EQ(shown(*authority), "{kept:4,x:1,y:2,z:3}");
    ASSERT_TRUE(one.tell_linked(at(*authority)));
    EXPECT_EQ(shown(*authority), "{kept:4,w:1,x:1,y:2,z:3}");
    ASSERT_TRUE(authority->commit());
    EXPECT_EQ(damage_count(*authority), 0U);
    // And after a restart.
    const auto again = open(disk_);
    EXPECT_EQ(shown(*again), "{kept:4,w:1,x:1,y:2,z:3}");
    const auto log = *at(*again).log(SIZE_MAX, Version::none());
    EXPECT_EQ(std::ranges::count_if(log, [](const ChangeInfo& c) { return c.refused.has_value(); }),
              3);
}

/// A refusal settles the change that it refuses, and none beside it that has the same number.
TEST_F(AuthorityTest, NobodyHidesBehindARefusalOfAnotherBranch) {
    open_authority();
    Stranger one(id, 7), two(id, 7);
    one.put("x", -1, 10);
    two.put("y", -2, 10);
    ASSERT_TRUE(one.tell(at(*authority)));
    ASSERT_TRUE(authority->commit());
    Stream stream;
    const auto both = at(*authority).encode_missing(stream.theirs, stream.encoder, 1U << 16U);
    ASSERT_TRUE(both && both->change_count == 2);
    crdt::Batch known;
    ASSERT_TRUE(crdt::decode_changes(both->changes, two.document().names(), stream.decoder, known));
    const auto done = two.tell(
        at(*authority),
        [&](crdt::Batch& batch) {
            crdt::Batch all;
            for (std::size_t i = 0; i < 2; ++i)
                all.append(known, i);
            all.append(batch, 0);
            const auto origin = crdt::prefix_of(crdt::chain_origin(id, one.actor()));
            const auto refused = crdt::prefix_of(one.document().outgoing().hashes[0]);
            all.links.push_back({0, origin, {}});
            all.links.push_back({1, std::nullopt, {refused}});
            all.links.push_back({2, origin, {}});
            batch = all;
        },
        both->seals);
    ASSERT_TRUE(done) << done.error().what;
    EXPECT_EQ(done->report.applied, 1U);
    EXPECT_EQ(shown(*authority), "{}");
    EXPECT_EQ(asked, 2);
}

/// A store that was put back to an older state gets its refusals with what they refuse.
TEST_F(AuthorityTest, WhatComesWithItsRefusalIsNotJudgedAgain) {
    open_authority();
    const auto author = open(other_disk_);
    const auto image = [&] {
        authority.reset();
        return disk_.clone();
    }();
    open_authority();
    const auto add = [&](Tx& tx) { return tx.set("/x", Value(std::int64_t{-1})); };
    ASSERT_TRUE(at(*author).transact(add, ""));
    pass(*author, *authority);
    pass(*authority, *author);
    EXPECT_EQ(asked, 1);
    authority.reset();
    disk_.put_back(*image);
    open_authority();
    EXPECT_EQ(at(*authority).status()->change_count, 0U);
    // Its own refusal says that it goes on as a fresh actor first.
    Stream stream;
    const auto missing = at(*author).encode_missing(stream.theirs, stream.encoder, 1U << 16U);
    ASSERT_TRUE(missing && missing->change_count == 2);
    const auto first = at(*authority).receive(missing->changes, stream.decoder, missing->seals);
    ASSERT_FALSE(first);
    EXPECT_EQ(first.error().code, Errc::busy);
    pass(*author, *authority);
    EXPECT_EQ(asked, 1);
    EXPECT_EQ(at(*authority).status()->change_count, 2U);
    EXPECT_EQ(shown(*authority), "{}");
}

// Rule U2: who may say so is asked in the name of the device.
TEST_F(AuthorityTest, TheJudgeIsToldWhoseChangeItIs) {
    std::vector<DeviceKey> devices;
    judge = [&](const Proposal& proposal) -> std::optional<std::string> {
        devices.push_back(proposal.device);
        EXPECT_EQ(proposal.document, id);
        return std::string(5000, 'a') + "\xff";  // No message of a change.
    };
    authority = open(disk_);
    id = authority_id("d", authority->device());
    Stranger stranger(id, 7);
    stranger.put("x", 1);
    ASSERT_TRUE(stranger.tell(at(*authority)));
    EXPECT_EQ(devices, std::vector<DeviceKey>{stranger.device()});
    EXPECT_EQ(shown(*authority), "{}");
    ASSERT_TRUE(authority->commit());
    EXPECT_EQ(at(*authority).log(1, Version::none())->front().message.size(), 4096U);
}

}  // namespace
}  // namespace joinery::detail
