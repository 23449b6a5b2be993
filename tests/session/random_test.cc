// Random meshes: edits, cuts, storing that lags, messages that cross. Whatever happened, once it
// stops all get in step, and nothing was asked anew without need.

#include "session/rig.h"

#include <random>

namespace joinery::test {
namespace {

class Mesh {
  public:
    explicit Mesh(std::uint32_t seed) : random_(seed) {
        const std::size_t count = 2 + draw(3);
        lags_ = draw(2) == 0;
        for (std::size_t i = 0; i < count; ++i) {
            peers_.push_back(std::make_unique<Peer>(static_cast<std::uint8_t>(i + 1)));
            peers_[i]->host.stores_at_once = !lags_;
            peers_[i]->host.is_durable_at_once = draw(2) == 0;
        }
        // A line that joins all, and now and then another link.
        for (std::size_t i = 0; i + 1 < count; ++i)
            links_.push_back({i, i + 1, nullptr});
        for (std::size_t i = 0; i + 2 < count; ++i) {
            if (draw(2) == 0) links_.push_back({i, i + 2, nullptr});
        }
    }

    void act() {
        Link& link = links_[draw(links_.size())];
        switch (draw(12)) {
            case 0: cut(link); break;
            case 1:
            case 2: join(link); break;
            case 3:
            case 4: edit(); break;
            case 5: peers_[draw(peers_.size())]->host.store(); break;
            case 6: peers_[draw(peers_.size())]->host.make_durable(); break;
            default: move(link, 1 + draw(4)); break;
        }
    }

    /// Joins what is cut and lets everything happen.
    void finish() {
        for (Link& link : links_)
            join(link);
        for (bool moved = true; moved;) {
            moved = false;
            for (Link& link : links_) {
                while (move(link, 1))
                    moved = true;
            }
            for (const auto& peer : peers_) {
                const std::size_t before = stored(*peer);
                peer->host.store();
                peer->host.make_durable();
                moved = moved || before != stored(*peer);
            }
        }
        for (Link& link : links_) {
            while (move(link, 1)) {
            }
        }
    }

    void expect_in_step() {
        for (const auto& peer : peers_) {
            EXPECT_EQ(peer->host.digests(), peers_[0]->host.digests());
            EXPECT_EQ(peer->host.change_count(), edits_);
            for (const std::string& id : peers_[0]->host.documents()) {
                EXPECT_EQ(peer->host.at(id).document().live().hash(),
                          peers_[0]->host.at(id).document().live().hash());
            }
        }
        for (Link& link : links_) {
            for (End* end : {&link.wire->left, &link.wire->right}) {
                EXPECT_TRUE(end->session->is_in_step());
                EXPECT_TRUE(end->session->is_acknowledged());
                EXPECT_FALSE(end->session->is_closed());
                const Counters& counters = end->session->counters();
                EXPECT_EQ(counters.resyncs + counters.divergences + counters.forks, 0U);
                EXPECT_EQ(counters.stalls + counters.refusals, 0U);
            }
        }
    }

  private:
    using Counters = session::Counters;
    struct Link {
        std::size_t a, b;
        std::unique_ptr<Wire> wire;
    };

    std::size_t draw(std::size_t below) { return random_() % below; }

    static std::size_t stored(Peer& peer) {
        std::size_t total = 0;
        for (const std::string& id : peer.host.documents()) {
            for (const auto& entry : peer.host.at(id).durable_frontier())
                total += entry.seq;
        }
        return total;
    }

    void join(Link& link) {
        if (link.wire) return;
        auto a = options_of(*peers_[link.a]);
        a.changes_size_target = 64;
        link.wire = std::make_unique<Wire>(
            *peers_[link.a], a, *peers_[link.b], options_of(*peers_[link.b]));
    }
    static void cut(Link& link) { link.wire.reset(); }

    void edit() {
        test::FakeHost& host = peers_[draw(peers_.size())]->host;
        const std::string id = "d" + std::to_string(draw(3));
        if (draw(3) == 0) {
            host.write_live(id, 1 + draw(3), "m", static_cast<std::int64_t>(draw(100)));
            return;
        }
        ++edits_;
        if (draw(3) == 0) {
            host.increment(id, "n", static_cast<std::int64_t>(draw(9)) - 4);
        } else {
            host.put(id, "k" + std::to_string(draw(4)), std::to_string(edits_));
        }
        if (draw(20) == 0 && !lags_) host.renew_actor();
    }

    /// One end writes into its queue, or reads from it.
    bool move(Link& link, std::size_t count) {
        if (!link.wire) return false;
        bool moved = false;
        for (std::size_t i = 0; i < count; ++i) {
            const bool leftward = draw(2) == 0;
            for (const bool flip : {false, true}) {
                End& from = leftward != flip ? link.wire->right : link.wire->left;
                End& to = leftward != flip ? link.wire->left : link.wire->right;
                Bytes out;
                if (draw(2) == 0 && from.session->next_message(out)) {
                    to.inbox.push_back(out);
                    moved = true;
                }
                if (draw(2) == 0 && !to.inbox.empty()) {
                    to.session->on_message(to.inbox.front(), link.wire->now);
                    to.inbox.pop_front();
                    moved = true;
                }
                moved = moved || !to.inbox.empty();
                if (from.session->next_message(out)) {
                    to.inbox.push_back(out);
                    moved = true;
                }
            }
        }
        return moved;
    }

    std::mt19937 random_;
    bool lags_ = false;
    std::size_t edits_ = 0;
    std::vector<std::unique_ptr<Peer>> peers_;
    std::vector<Link> links_;
};

TEST(RandomMesh, GetsInStepWhateverHappened) {
    for (std::uint32_t seed = 0; seed < 300; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Mesh mesh(seed);
        for (int i = 0; i < 150; ++i)
            mesh.act();
        mesh.finish();
        mesh.expect_in_step();
        if (testing::Test::HasFailure()) return;
    }
}

}  // namespace
}  // namespace joinery::test
