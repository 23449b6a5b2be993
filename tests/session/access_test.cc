// What a side lets the other read and write (docs/wire-format.md 4.10): who is not shown a document
// cannot tell that it is there, and who may not write it changes nothing.

#include "session/victim.h"

#include <random>
#include <set>

namespace joinery::test {
namespace {

using namespace joinery::session;  // NOLINT(google-build-using-namespace): every message is named.
using Kind = Event::Kind;
using Names = std::vector<std::string>;

session::Options limited(const Peer& peer, Names reads, Names writes) {
    session::Options options = options_of(peer);
    options.access = Access{std::move(reads), std::move(writes)};
    return options;
}

TEST(Access, EverythingUnlessLimited) {
    const Access all;
    EXPECT_TRUE(is_everything(all));
    EXPECT_TRUE(shows(all, "any/thing"));
    EXPECT_TRUE(takes(all, "any/thing"));
    const Access some{{"ops/*"}, {"ops/main", "private"}};
    EXPECT_TRUE(shows(some, "ops/a"));
    EXPECT_FALSE(takes(some, "ops/a"));
    EXPECT_TRUE(takes(some, "ops/main"));
    // What is not shown cannot be written.
    EXPECT_FALSE(takes(some, "private"));
    const Access none{{}, {"*"}};
    EXPECT_FALSE(shows(none, "ops/a"));
    EXPECT_FALSE(takes(none, "ops/a"));
}

TEST(Access, AReaderHasAllAndItsOwnStaysWithIt) {
    for (const bool crossing : {false, true}) {
        Peer hub(1), reader(2);
        hub.host.put("d", "x", "hub");
        reader.host.put("d", "y", "reader");
        reader.host.put("mine", "y", "reader");
        Wire wire(hub, limited(hub, {"*"}, {}), reader, options_of(reader));
        crossing ? wire.run_crossing() : wire.run();
        EXPECT_TRUE(wire.is_in_step());
        EXPECT_TRUE(wire.left.session->is_acknowledged());
        EXPECT_EQ(hub.host.change_count(), 1U);
        EXPECT_EQ(reader.host.change_count(), 3U);
        EXPECT_TRUE(wire.right.session->documents()[0].has_untaken);
        EXPECT_FALSE(wire.left.session->documents()[0].has_untaken);
        // Later changes go the one way, and not the other.
        hub.host.put("d", "x", "again");
        reader.host.put("d", "y", "again");
        crossing ? wire.run_crossing() : wire.run();
        EXPECT_TRUE(wire.is_in_step());
        EXPECT_TRUE(wire.left.session->is_acknowledged());
        EXPECT_EQ(hub.host.change_count(), 2U);
        EXPECT_EQ(reader.host.change_count(), 5U);
        EXPECT_EQ(wire.left.session->counters().changes_applied, 0U);
    }
}

TEST(Access, AReaderWithoutChangesOfItsOwnCostsNoMoreThanAnyPeer) {
    std::vector<std::size_t> sizes;
    for (const bool is_limited : {false, true}) {
        Peer hub(1), reader(2);
        hub.host.put("d", "x", "1");
        Wire wire(hub,
                  is_limited ? limited(hub, {"*"}, {}) : options_of(hub),
                  reader,
                  options_of(reader));
        wire.run();
        wire.sizes.clear();
        hub.host.put("d", "x", "2");
        wire.run();
        EXPECT_TRUE(wire.is_in_step());
        EXPECT_FALSE(wire.right.session->documents()[0].has_untaken);
        std::size_t total = 0;
        for (const std::size_t size : wire.sizes)
            total += size;
        sizes.push_back(total);
    }
    EXPECT_EQ(sizes[0], sizes[1]);
}

TEST(Access, WhatIsNotShownIsNotThereForTheOtherSide) {
    // Whether the hub has the document or not, the stranger hears the same bytes.
    std::vector<std::vector<Bytes>> heard;
    for (const bool has_secret : {false, true}) {
        Peer hub(1), stranger(2);
        hub.host.put("open/a", "x", "1");
        if (has_secret) hub.host.put("secret", "x", "1");
        Wire wire(hub, limited(hub, {"open/*"}, {"open/*"}), stranger, options_of(stranger));
        std::vector<Bytes>& bytes = heard.emplace_back();
        wire.on_message = [&](const End& from, const Bytes& message) {
            if (&from == &wire.left) bytes.push_back(message);
        };
        wire.run();
        // It may ask for it and make one of its name.
        stranger.host.put("secret", "y", "mine");
        if (has_secret) hub.host.put("secret", "x", "2");
        wire.run();
        EXPECT_TRUE(wire.is_in_step());
        EXPECT_EQ(stranger.host.documents(), (Names{"open/a", "secret"}));
        EXPECT_EQ(stranger.host.at("secret").change_count(), 1U);
    }
    EXPECT_EQ(heard[0], heard[1]);
}

TEST(Access, NeitherTakesTheOthersChangesSoNothingIsSaid) {
    Peer a(1), b(2);
    a.host.put("d", "x", "1");
    b.host.put("d", "y", "1");
    Wire wire(a, limited(a, {"*"}, {}), b, limited(b, {"*"}, {}));
    wire.run();
    EXPECT_TRUE(wire.is_in_step());
    EXPECT_TRUE(wire.left.session->documents().empty());
}

TEST(Access, LiveValuesGoTheWayThatChangesGo) {
    Peer hub(1), reader(2);
    hub.host.write_live("d", 3, "hub", 1);
    reader.host.write_live("d", 3, "reader", 1);
    Wire wire(hub, limited(hub, {"*"}, {}), reader, options_of(reader));
    wire.run();
    EXPECT_TRUE(wire.is_in_step());
    hub.host.write_live("d", 1, "hub", 2);
    reader.host.write_live("d", 1, "reader", 2);
    wire.run();
    EXPECT_TRUE(wire.is_in_step());
    EXPECT_EQ(wire.left.session->counters().live_received, 0U);
    EXPECT_EQ(wire.right.session->counters().live_received, 4U);
}

TEST(Access, ASessionEndsWhereLimitsAreNotKnown) {
    Peer hub(1);
    session::Options options = limited(hub, {"open/*"}, {});
    options.features = kLiveFeature;
    End end(hub, std::move(options));
    EXPECT_TRUE(end.session->is_closed());
    end.take_events();
    EXPECT_EQ(end.last(Kind::closed)->error->code, Errc::unsupported);
}

/// A session that lets the other side read `d` alone, and an other side made of bytes.
struct Liar : Victim {
    Liar() : Victim(limited(Peer(1), {"d"}, {})) {
        peer.host.put("d", "x", "1");
        peer.host.put("secret", "x", "1");
        Hello hello;
        hello.document_max = 10;
        say(hello);
    }
    void expect_closed(Errc code) {
        expect_ended(code);
        EXPECT_EQ(peer.host.change_count(), 2U);
    }
};

TEST(Access, ChangesOfAReaderEndTheSession) {
    Liar liar;
    liar.say_have();
    const Bytes batch{1, 2, 3};
    liar.say(Changes{0, {}, batch});
    liar.expect_closed(Errc::untrusted);
}

TEST(Access, LiveValuesOfAReaderEndTheSession) {
    Liar liar;
    liar.say_have();
    liar.say(LiveValues{0, true, {}});
    liar.expect_closed(Errc::untrusted);
}

TEST(Access, ToAnnounceWhatIsNotShownEndsTheSessionWhetherItIsThereOrNot) {
    for (const std::string_view id : {"secret", "no such thing"}) {
        Liar liar;
        liar.say_have(0x77, id);
        liar.expect_closed(Errc::malformed);
    }
}

/// Peers in a random mesh whose links let some documents through, one way or both.
class LimitedMesh {
  public:
    explicit LimitedMesh(std::uint32_t seed) : random_(seed) {
        for (std::size_t i = 0; i < 2 + draw(3); ++i)
            peers_.push_back(std::make_unique<Peer>(static_cast<std::uint8_t>(i + 1)));
        lags_ = draw(2) == 0;
        for (const auto& peer : peers_)
            peer->host.stores_at_once = !lags_;
        made_.resize(peers_.size());
        for (std::size_t a = 0; a < peers_.size(); ++a) {
            for (std::size_t b = a + 1; b < peers_.size(); ++b) {
                if (b == a + 1 || draw(2) == 0) join(a, b);
            }
        }
    }

    void act() {
        if (draw(3) != 0) {
            wires_[draw(wires_.size())]->run(1 + draw(5));
            return;
        }
        if (lags_ && draw(3) == 0) peers_[draw(peers_.size())]->host.store();
        const std::size_t who = draw(peers_.size());
        const std::string id = kIds[draw(std::size(kIds))];
        ++made_[who][id];
        // To put what is there already would be no change.
        peers_[who]->host.put(id, "k" + std::to_string(draw(4)), std::to_string(++put_count_));
    }

    void finish() {
        std::vector<Wire*> wires;
        for (const auto& wire : wires_)
            wires.push_back(wire.get());
        // A change is stored once on each peer of its way.
        for (std::size_t i = 0; i <= peers_.size(); ++i) {
            run_all(wires);
            for (const auto& peer : peers_)
                peer->host.store();
        }
        run_all(wires);
    }

    /// Each has what those made from whom a way of open links leads to it, and nothing else.
    void expect_right() {
        for (const char* id : kIds) {
            for (std::size_t to = 0; to < peers_.size(); ++to) {
                std::map<ActorId, std::uint64_t> wanted;
                for (const std::size_t from : sources_of(to, id)) {
                    if (made_[from].contains(id))
                        wanted[peers_[from]->host.actor()] = made_[from][id];
                }
                std::map<ActorId, std::uint64_t> there;
                for (const FrontierEntry& entry : peers_[to]->host.at(id).frontier())
                    there[entry.actor] = entry.seq;
                EXPECT_EQ(there, wanted) << id << " at " << to;
            }
        }
        for (const auto& wire : wires_) {
            for (End* end : {&wire->left, &wire->right}) {
                EXPECT_TRUE(end->session->is_in_step());
                EXPECT_TRUE(end->session->is_acknowledged());
                EXPECT_FALSE(end->session->is_closed());
                const Counters& counters = end->session->counters();
                EXPECT_EQ(counters.divergences + counters.stalls + counters.refusals, 0U);
            }
        }
    }

  private:
    static constexpr const char* kIds[] = {"a", "b"};
    struct Way {
        std::size_t from, to;
        std::string id;
        auto operator<=>(const Way&) const = default;
    };

    std::size_t draw(std::size_t below) { return random_() % below; }

    Access draw_access() {
        Access access{{}, {}};
        for (const char* id : kIds) {
            if (draw(4) != 0) access.reads.emplace_back(id);
            if (draw(2) != 0) access.writes.emplace_back(id);
        }
        return access;
    }

    void join(std::size_t a, std::size_t b) {
        const Access of_a = draw_access(), of_b = draw_access();
        for (const char* id : kIds) {
            if (!shows(of_a, id) || !shows(of_b, id)) continue;
            if (takes(of_a, id)) ways_.insert({b, a, id});
            if (takes(of_b, id)) ways_.insert({a, b, id});
        }
        wires_.push_back(std::make_unique<Wire>(*peers_[a],
                                                limited(*peers_[a], of_a.reads, of_a.writes),
                                                *peers_[b],
                                                limited(*peers_[b], of_b.reads, of_b.writes)));
    }

    std::set<std::size_t> sources_of(std::size_t to, const std::string& id) const {
        std::set<std::size_t> sources{to};
        for (std::size_t before = 0; before != sources.size();) {
            before = sources.size();
            for (const Way& way : ways_) {
                if (way.id == id && sources.contains(way.to)) sources.insert(way.from);
            }
        }
        return sources;
    }

    std::mt19937 random_;
    bool lags_ = false;
    std::size_t put_count_ = 0;
    std::vector<std::unique_ptr<Peer>> peers_;
    std::vector<std::unique_ptr<Wire>> wires_;
    std::set<Way> ways_;
    std::vector<std::map<std::string, std::uint64_t>> made_;
};

TEST(Access, InAnyMeshChangesGoWhereOpenLinksLeadAndNowhereElse) {
    for (std::uint32_t seed = 0; seed < 400; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        LimitedMesh mesh(seed);
        for (int i = 0; i < 100; ++i)
            mesh.act();
        mesh.finish();
        mesh.expect_right();
        if (testing::Test::HasFailure()) return;
    }
}

}  // namespace
}  // namespace joinery::test
