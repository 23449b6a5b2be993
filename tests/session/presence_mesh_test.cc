// Random meshes of presence: cuts, restarts, messages that cross and wait, time that passes.
// The model is the plainest there is: what each run shows now, and who can reach whom.

#include "session/rig.h"

#include <map>
#include <random>
#include <set>

namespace joinery::test {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

constexpr std::chrono::milliseconds kTimesToLive[] = {1s, 5s, 30s};
/// Longer than all of them.
constexpr std::chrono::seconds kAllTime{40};

class PresenceMesh {
  public:
    explicit PresenceMesh(std::uint32_t seed) : random_(seed) {
        const std::size_t count = 2 + draw(4);
        for (std::size_t i = 0; i < count; ++i) {
            peers_.emplace_back();
            start(i);
        }
        // A line that joins all, and now and then another link.
        for (std::size_t i = 0; i + 1 < count; ++i)
            links_.push_back({i, i + 1, nullptr});
        for (std::size_t i = 0; i < count; ++i) {
            for (std::size_t j = i + 2; j < count; ++j) {
                if (draw(3) == 0) links_.push_back({i, j, nullptr});
            }
        }
    }

    void act() {
        const std::size_t who = draw(peers_.size());
        Link& link = links_[draw(links_.size())];
        switch (draw(16)) {
            case 0: link.wire.reset(); break;
            case 1:
            case 2: join(link); break;
            case 3: restart(who); break;
            case 4: pass(std::chrono::milliseconds(1 + draw(4000))); break;
            case 5: clear(who); break;
            case 6:
            case 7:
            case 8: set(who); break;
            default: move(link); break;
        }
    }

    /// Runs until nothing moves, without time going on.
    void settle() {
        for (bool moved = true; moved;) {
            moved = false;
            for (Link& link : links_) {
                while (move(link))
                    moved = true;
            }
        }
    }
    /// Whether each shows of those that it can reach what they show; and of others nothing that
    /// they never showed.
    void check() {
        for (std::size_t i = 0; i < peers_.size(); ++i) {
            const std::set<std::size_t> reached = reach(i);
            std::map<PresenceId, std::int64_t> expected, seen;
            for (const std::size_t other : reached) {
                for (const auto& [key, value] : peers_[other].shows)
                    expected[{run_of(other), key}] = value;
            }
            for (const PresenceEntry& entry : board(i).list()) {
                const std::int64_t value = entry.value.as_integer();
                ASSERT_TRUE(ever_.contains({entry.id, value}));
                if (is_reached(reached, entry.id.run)) seen[entry.id] = value;
            }
            ASSERT_EQ(seen, expected) << "at peer " << i;
        }
    }
    /// After all that was not said anew has expired.
    void check_strictly() {
        for (MonotonicTime gone{0}; gone < kAllTime; gone += 400ms) {
            pass(400ms);
            settle();
        }
        for (std::size_t i = 0; i < peers_.size(); ++i) {
            std::size_t count = 0;
            for (const std::size_t other : reach(i))
                count += peers_[other].shows.size();
            ASSERT_EQ(board(i).list().size(), count) << "at peer " << i;
        }
        check();
    }
    /// Nothing goes round that nobody caused.
    void check_rest() {
        settle();
        for (Link& link : links_) {
            Bytes out;
            if (!link.wire) continue;
            ASSERT_FALSE(link.wire->left.session->next_message(out));
            ASSERT_FALSE(link.wire->right.session->next_message(out));
            ASSERT_FALSE(link.wire->left.session->is_closed());
        }
    }

  private:
    struct Shower {
        std::unique_ptr<Peer> peer;
        std::map<std::string, std::int64_t> shows;
    };
    struct Link {
        std::size_t a, b;
        std::unique_ptr<Wire> wire;
    };

    std::size_t draw(std::size_t count) { return random_() % count; }
    session::PresenceBoard& board(std::size_t i) { return presence(i).board; }
    FakePresence& presence(std::size_t i) { return *peers_[i].peer->host.at("d").presence(); }
    PeerRun run_of(std::size_t i) const { return peers_[i].peer->host.run(); }

    void start(std::size_t i) {
        peers_[i].peer = std::make_unique<Peer>(++last_seed_);
        peers_[i].peer->host.now = now_;
        peers_[i].peer->host.at("d");
        peers_[i].shows.clear();
    }
    void restart(std::size_t i) {
        if (last_seed_ == 255) return;
        for (Link& link : links_) {
            if (link.a == i || link.b == i) link.wire.reset();
        }
        start(i);
    }
    void join(Link& link) {
        if (!link.wire)
            link.wire = std::make_unique<Wire>(*peers_[link.a].peer, *peers_[link.b].peer);
    }
    void set(std::size_t i) {
        const std::string key(1, static_cast<char>('k' + draw(3)));
        const auto value = static_cast<std::int64_t>(draw(1000));
        presence(i).set(key, Value(value), kTimesToLive[draw(3)]);
        peers_[i].shows[key] = value;
        ever_.insert({{run_of(i), key}, value});
    }
    void clear(std::size_t i) {
        const std::string key(1, static_cast<char>('k' + draw(3)));
        presence(i).clear(key);
        peers_[i].shows.erase(key);
    }
    void pass(MonotonicTime time) {
        now_ += time;
        for (Shower& each : peers_)
            each.peer->host.now = now_;
        for (Shower& each : peers_)
            each.peer->host.tend_presence();
    }
    /// One message is written, or comes: it may wait for long in between.
    bool move(Link& link) {
        if (!link.wire) return false;
        Wire& wire = *link.wire;
        End* ends[] = {&wire.left, &wire.right};
        const std::size_t first = draw(4);
        for (std::size_t i = 0; i < 4; ++i) {
            const std::size_t step = (first + i) % 4;
            End& from = *ends[step % 2];
            End& to = *ends[1 - step % 2];
            Bytes out;
            if (step < 2 && from.session->next_message(out)) {
                to.inbox.push_back(out);
                return true;
            }
            if (step >= 2 && !to.inbox.empty()) {
                to.session->on_message(to.inbox.front(), wire.now);
                to.inbox.pop_front();
                return true;
            }
        }
        return false;
    }
    std::set<std::size_t> reach(std::size_t from) const {
        std::set<std::size_t> reached{from};
        for (bool grew = true; grew;) {
            grew = false;
            for (const Link& link : links_) {
                if (!link.wire || reached.contains(link.a) == reached.contains(link.b)) continue;
                reached.insert({link.a, link.b});
                grew = true;
            }
        }
        return reached;
    }
    bool is_reached(const std::set<std::size_t>& reached, const PeerRun& run) const {
        return std::ranges::any_of(reached, [&](std::size_t i) { return run_of(i) == run; });
    }

    std::mt19937 random_;
    std::uint8_t last_seed_ = 0;
    MonotonicTime now_{0};
    std::vector<Shower> peers_;
    std::vector<Link> links_;
    std::set<std::pair<PresenceId, std::int64_t>> ever_;
};

TEST(PresenceMesh, ShowsWhatThoseShowWhomItReaches) {  // P2 to P6
    for (std::uint32_t seed = 1; seed <= 300; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        PresenceMesh mesh(seed);
        for (int round = 0; round < 6; ++round) {
            for (int i = 0; i < 60; ++i)
                mesh.act();
            mesh.check_rest();
            ASSERT_NO_FATAL_FAILURE(mesh.check());
        }
        ASSERT_NO_FATAL_FAILURE(mesh.check_strictly());
    }
}

}  // namespace
}  // namespace joinery::test
