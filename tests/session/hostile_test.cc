// What a session makes of an other side that does not keep to the protocol.

#include "session/victim.h"

#include <random>

namespace joinery::test {
namespace {

using namespace joinery::session;  // NOLINT(google-build-using-namespace): every message is named.
using Kind = Event::Kind;

/// One that has a change of "d".
struct DocumentVictim : Victim {
    DocumentVictim() {
        peer.host.put("d", "x", "1");
        pull();
    }
    void say_hello(std::vector<std::string> patterns = {}) {
        Hello hello;
        hello.name = "mallory";
        hello.patterns = std::move(patterns);
        hello.document_max = 1000;
        say(hello);
    }
    /// Expects that the session has ended with @p code and told so, its host unchanged.
    void expect_closed(Errc code) {
        expect_ended(code);
        EXPECT_EQ(peer.host.change_count(), 1U);
        EXPECT_EQ(peer.host.documents().size(), 1U);
    }
};

const Bytes kBatch{1, 2, 3};

TEST(Hostile, NothingGoesBeforeTheHello) {
    const auto refuses = [](const auto& message) {
        DocumentVictim victim;
        victim.say(message);
        victim.expect_closed(Errc::malformed);
    };
    refuses(Have{{{"d", 0, {}}}});
    refuses(Listed{});
    refuses(Changes{0, {}, kBatch});
    refuses(FrontierNote{});
    refuses(Check{});
    refuses(Answer{});
    refuses(Ack{});
    refuses(Resync{0, 1, {}});
    refuses(Restart{});
    refuses(Refuse{0, Errc::io});
    DocumentVictim victim;
    victim.say(Bye{Errc::busy, "later"});
    EXPECT_TRUE(victim.end.session->is_closed());
    EXPECT_EQ(victim.end.last(Kind::closed)->error->code, Errc::busy);
    EXPECT_EQ(victim.end.last(Kind::closed)->text, "later");
}

TEST(Hostile, MessagesOutOfTurnEndTheSession) {
    const auto refuses = [](auto... messages) {
        DocumentVictim victim;
        victim.say_hello();
        victim.say_have();
        ASSERT_FALSE(victim.end.session->is_closed());
        (victim.say(messages), ...);
        victim.expect_closed(Errc::malformed);
    };
    refuses(Hello{});
    refuses(Listed{}, Listed{});
    refuses(Have{{{"d", 0, {}}}});    // Announced already.
    refuses(Have{{{"", 0, {}}}});     // The same by number.
    refuses(Have{{{"", 9, {}}}});     // No such number.
    refuses(Changes{1, {}, kBatch});  // No such document.
    refuses(Check{9, 0, {}});
    refuses(Answer{0, Verdict::same});  // Not asked.
    refuses(Check{0, 5, {}});           // More than was sent.
    refuses(FrontierNote{0, false, false, {}, {}}, FrontierNote{0, false, false, {}, {}});
    refuses(Restart{0, 1});  // No resync was asked for.
    refuses(Resync{0, 1, {}}, Resync{0, 1, {}});
    refuses(Resync{0, 0, {}});
}

TEST(Hostile, AnUnwantedDocumentIsNotTaken) {
    Peer peer(1);
    End end(peer, options_of(peer, {"ops/*"}));
    MessageWriter writer;
    for (const Message& message : {Message(Hello{}), Message(Have{{{"lab/x", 0, {}}}})}) {
        Bytes bytes;
        std::visit([&](const auto& m) { writer.write(m, bytes); }, message);
        end.session->on_message(bytes, MonotonicTime(1));
    }
    EXPECT_TRUE(end.session->is_closed());
    EXPECT_TRUE(peer.host.documents().empty());
}

TEST(Hostile, AnnouncementsMakeNoDocumentsAndAreBounded) {
    Peer peer(1);
    auto options = options_of(peer);
    options.document_max = 100;
    End end(peer, options);
    MessageWriter writer;
    Bytes bytes;
    writer.write(Hello{}, bytes);
    end.session->on_message(bytes, MonotonicTime(1));
    for (int i = 0; i < 101; ++i) {
        ASSERT_FALSE(end.session->is_closed());
        State state;
        state.frontier.bytes.fill(1);
        const std::string id = "d" + std::to_string(i);
        bytes.clear();
        writer.write(Have{{{id, 0, state}}}, bytes);
        end.session->on_message(bytes, MonotonicTime(1));
    }
    EXPECT_TRUE(end.session->is_closed());
    end.take_events();
    EXPECT_EQ(end.last(Kind::closed)->error->code, Errc::over_limit);
    EXPECT_TRUE(peer.host.documents().empty());
}

TEST(Hostile, FrontiersOfActorsFromNowhereAreBounded) {
    Peer peer(1);
    peer.host.put("d", "x", "1");
    auto options = options_of(peer);
    options.stated_entry_max = 1000;
    End end(peer, options);
    MessageWriter writer;
    const auto say = [&](const auto& message) {
        Bytes bytes;
        writer.write(message, bytes);
        end.session->on_message(bytes, MonotonicTime(1));
        while (end.session->next_message(bytes)) {
        }
    };
    Hello hello;
    hello.document_max = 10;
    say(hello);
    State state;
    state.frontier.bytes.fill(1);
    say(Have{{{"d", 0, state}}});
    FrontierNote note;
    note.asks = true;
    for (std::uint32_t i = 0; i < 600; ++i) {
        FrontierEntry entry;
        entry.actor.bytes[0] = static_cast<std::uint8_t>(i >> 8U);
        entry.actor.bytes[1] = static_cast<std::uint8_t>(i);
        entry.seq = 1;
        note.frontier.push_back(entry);
    }
    say(note);
    say(note);  // In place of the first.
    EXPECT_FALSE(end.session->is_closed());
    say(Have{{{"e", 0, state}}});
    note.document = 1;
    say(note);
    EXPECT_TRUE(end.session->is_closed());
    end.take_events();
    EXPECT_EQ(end.last(Kind::closed)->error->code, Errc::over_limit);
}

TEST(Hostile, NamesOfActorsDoNotPileUp) {
    // Each round is in order by itself: a frontier of strangers, acknowledgements, an agreement.
    DocumentVictim victim;
    victim.say_hello();
    victim.say_have();
    State state;
    const FakeDocument& document = victim.peer.host.at("d");
    state.frontier = hash_of(document.frontier());
    std::size_t before = 0;
    for (std::uint32_t round = 0; round < 200; ++round) {
        FrontierNote note;
        note.asks = true;
        Ack ack;
        for (std::uint32_t i = 0; i < 50; ++i) {
            FrontierEntry entry;
            entry.actor.bytes[0] = static_cast<std::uint8_t>(i + 1);
            entry.actor.bytes[1] = static_cast<std::uint8_t>(round);
            entry.seq = 9;
            note.frontier.push_back(entry);
            ack.entries.push_back({entry.actor, 9});
        }
        victim.say(note);
        victim.say(ack);
        const auto& last = victim.said.back();
        const bool has_sent = last[1] == static_cast<std::uint8_t>(MessageType::check) ||
                              last[1] == static_cast<std::uint8_t>(MessageType::changes);
        if (has_sent) victim.say(Answer{0, Verdict::same});
        victim.say(Check{0, 0, state});
        ASSERT_FALSE(victim.end.session->is_closed());
        if (round == 10) before = victim.end.session->memory_size();
    }
    EXPECT_LE(victim.end.session->memory_size(), before + 100);
    EXPECT_GT(victim.end.count(Kind::in_step), 100U);
    // Nor where nothing is agreed between.
    before = victim.end.session->memory_size();
    for (std::uint8_t round = 1; round < 200; ++round) {
        Ack ack;
        ack.entries.resize(50);
        for (std::uint8_t i = 0; i < 50; ++i)
            ack.entries[i] = {ActorId{{round, i, 77}}, 9};
        victim.say(ack);
    }
    EXPECT_LE(victim.end.session->memory_size(), before);
}

TEST(Hostile, ABatchThatIsNoneIsRefusedForItsDocumentAlone) {
    DocumentVictim victim;
    victim.say_hello();
    victim.say_have();
    victim.say(Changes{0, {}, kBatch});
    EXPECT_EQ(victim.end.count(Kind::refused), 1U);
    EXPECT_FALSE(victim.end.session->is_closed());
    EXPECT_EQ(victim.peer.host.change_count(), 1U);
    const std::size_t count = victim.said.size();
    for (int i = 0; i < 100; ++i)
        victim.say(Changes{0, {}, kBatch});
    EXPECT_EQ(victim.said.size(), count);
}

TEST(Hostile, AForgedSealChangesNothing) {
    Peer a(1), b(2);
    a.host.put("d", "x", "1");
    Wire wire(a, b);
    wire.run();
    wire.on_message = [](const End&, const Bytes& bytes) {
        const bool is_change = bytes.size() > 70 && bytes[1] == 3;
        if (is_change) const_cast<Bytes&>(bytes)[20] ^= 1U;  // In the signature.
    };
    a.host.put("d", "x", "2");
    wire.run();
    // The first time it may be that the chains have parted; the second time it is a lie.
    EXPECT_EQ(wire.right.session->counters().resyncs, 1U);
    EXPECT_EQ(wire.right.count(Kind::refused), 1U);
    EXPECT_EQ(wire.right.last(Kind::refused)->error->code, Errc::untrusted);
    EXPECT_EQ(b.host.change_count(), 1U);
}

TEST(Hostile, EndlessQuestionsAreNotAnswered) {
    DocumentVictim victim;
    victim.say_hello();
    victim.say_have();
    for (int i = 0; i < 100; ++i) {
        FrontierNote note;
        note.asks = true;
        victim.say(note);
        victim.say(Resync{0, static_cast<std::uint64_t>(i) + 1, {}});
    }
    EXPECT_EQ(victim.end.count(Kind::refused), 1U);
    EXPECT_LT(victim.said.size(), 100U);
}

TEST(Hostile, ADictionaryThatGrowsWithoutEndIsRefused) {
    Peer a(1), b(2);
    // A sender that never begins anew: its Restarts are lost.
    Wire wire(a, b);
    wire.run();
    for (int i = 0; i < 8 && !wire.right.session->is_closed(); ++i) {
        a.host.put_many("d", 20000, "k" + std::to_string(i) + "-");
        Bytes out;
        while (wire.left.session->next_message(out)) {
            if (out[1] == static_cast<std::uint8_t>(MessageType::restart)) continue;
            wire.right.session->on_message(out, wire.now);
        }
        while (wire.right.session->next_message(out))
            wire.left.session->on_message(out, wire.now);
    }
    EXPECT_TRUE(wire.right.session->is_closed());
}

/// Runs a session of all message types between a and b, and hands the @p number-th message for b to
/// @p mangle first. False if there was no such message.
bool run_mangled(std::size_t number,
                 const std::function<void(Bytes&)>& mangle,
                 const std::function<void(Peer&, End&)>& judge) {
    Peer a(1), b(2);
    b.host.is_durable_at_once = false;
    a.host.put("d", "x", "1");
    b.host.put("d", "y", "1");
    Wire wire(a, b);
    std::size_t at = 0;
    for (int phase = 0; phase < 3; ++phase) {
        if (phase == 1) a.host.put("d", "x", "2");
        if (phase == 1) b.host.at("d").next_failure = fail(Errc::not_found, "gap");
        if (phase == 2) b.host.make_durable();
        for (bool moved = true; moved;) {
            moved = wire.step(wire.right, wire.left);
            Bytes out;
            if (!wire.left.session->next_message(out)) continue;
            moved = true;
            if (at++ != number) {
                wire.right.session->on_message(out, wire.now);
                continue;
            }
            mangle(out);
            wire.right.take_events();
            wire.right.events.clear();
            wire.right.session->on_message(out, wire.now);
            wire.right.take_events();
            judge(b, wire.right);
            wire.run();  // Whatever comes of it: no crash.
            return true;
        }
    }
    return false;
}

TEST(Hostile, EveryTruncatedMessageEndsTheSessionAndChangesNothing) {
    std::size_t number = 0;
    std::set<std::uint8_t> types;
    for (bool more = true; more; ++number) {
        for (std::size_t size = 0; more; ++size) {
            bool is_whole = false;
            std::size_t changes = 0;
            more = run_mangled(
                number,
                [&](Bytes& bytes) {
                    is_whole = size >= bytes.size();
                    if (is_whole) types.insert(bytes[1]);
                    bytes.resize(std::min(size, bytes.size()));
                },
                [&](Peer& b, End& end) {
                    changes = b.host.change_count();
                    if (is_whole) return;
                    ASSERT_TRUE(end.session->is_closed()) << number << " at " << size;
                    ASSERT_EQ(end.count(Kind::closed), 1U);
                    ASSERT_EQ(end.count(Kind::received), 0U);
                });
            if (is_whole) break;
        }
    }
    EXPECT_GT(number, 8U);
    EXPECT_GE(types.size(), 7U);
}

TEST(Hostile, AFlippedBitNeverChangesWhatADocumentSays) {
    std::set<Digest> honest;
    for (std::size_t number = 0;; ++number) {
        const bool is_there = run_mangled(
            number,
            [](Bytes&) {},
            [&](Peer& b, End&) { honest.insert(b.host.at("d").document().digest()); });
        if (!is_there) break;
    }
    for (std::size_t number = 0, more = 1; more != 0; ++number) {
        std::size_t bits = 1;
        // All bits of short messages; of long ones, those of a byte in five.
        for (std::size_t bit = 0; bit < bits; bit += bits > 400 && bit % 8 == 7 ? 33U : 1U) {
            more = run_mangled(
                       number,
                       [&](Bytes& bytes) {
                           bits = 8 * bytes.size();
                           bytes[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
                       },
                       [&](Peer& b, End&) {
                           if (b.host.documents().size() == 1) {
                               EXPECT_TRUE(honest.contains(b.host.at("d").document().digest()))
                                   << number << " bit " << bit;
                           }
                       })
                       ? 1
                       : 0;
            if (more == 0) break;
        }
    }
}

TEST(Hostile, RandomBytesDoNoHarm) {
    std::mt19937 random(11);
    for (int round = 0; round < 300; ++round) {
        DocumentVictim victim;
        victim.say_hello();
        victim.say_have();
        while (!victim.end.session->is_closed()) {
            Bytes bytes(2 + random() % 40);
            for (std::uint8_t& byte : bytes)
                byte = static_cast<std::uint8_t>(random());
            // Near enough to a message to get somewhere.
            bytes[0] = static_cast<std::uint8_t>(0x90 + random() % 6);
            bytes[1] = static_cast<std::uint8_t>(random() % 12);
            if (random() % 2 == 0 && bytes.size() > 2) bytes[2] = 0;
            victim.say_bytes(bytes);
        }
        EXPECT_EQ(victim.peer.host.change_count(), 1U);
    }
}

}  // namespace
}  // namespace joinery::test
