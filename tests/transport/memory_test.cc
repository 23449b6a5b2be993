#include "tests/transport/link_rig.h"
#include "transport/memory_transport.h"

#include <gtest/gtest.h>
#include <memory>
#include <random>
#include <string>

namespace joinery::transport::test {
namespace {

constexpr std::size_t kStepsMax = 100000;

class FakeClock final : public Clock {
  public:
    WallTime wall_now() override { return {}; }
    MonotonicTime monotonic_now() override { return now; }
    MonotonicTime now{};
};

// Two hosts with one link.
struct World {
    explicit World(const MemoryOptions& options = {}) : network(options) {
        listener = *a->listen("mem://a", [this](auto link) {
            if (link) at_a.link = *std::move(link);
        });
    }
    void dial() {
        b->connect("mem://a", [this](auto link) {
            if (link)
                at_b.link = *std::move(link);
            else
                error = link.error();
        });
    }
    void connect() {
        dial();
        network.run(kStepsMax);
        at_a.start();
        at_b.start();
    }
    // The index of the pending item of @p kind that goes to @p host.
    std::size_t index_of(DeliveryKind kind, std::string_view host) {
        const auto pending = network.pending();
        for (std::size_t i = 0; i < pending.size(); ++i) {
            if (pending[i].kind == kind && pending[i].to == host) return i;
        }
        ADD_FAILURE() << "nothing of this kind is pending";
        return 0;
    }

    MemoryNetwork network;
    std::unique_ptr<Transport> a = network.make_transport("a");
    std::unique_ptr<Transport> b = network.make_transport("b");
    std::unique_ptr<Listener> listener{};
    User at_a{};
    User at_b{};
    std::optional<Error> error{};
};

TEST(MemoryNetwork, NothingHappensByItself) {
    World world;
    world.dial();
    EXPECT_FALSE(world.at_a.link);
    ASSERT_EQ(world.network.pending().size(), 1U);
    const Delivery dial = world.network.pending()[0];
    EXPECT_EQ(dial.kind, DeliveryKind::dial);
    EXPECT_EQ(dial.from, "b");
    EXPECT_EQ(dial.to, "a");
    EXPECT_EQ(dial.link, LinkNumber{1});
    world.network.deliver(0);
    EXPECT_TRUE(world.at_a.link);
    EXPECT_FALSE(world.at_b.link);
    world.network.deliver(world.index_of(DeliveryKind::answer, "b"));
    EXPECT_TRUE(world.at_b.link);
    EXPECT_FALSE(world.network.step());
}

TEST(MemoryNetwork, OnlyTheFirstOfEachDirectionIsPending) {
    World world;
    world.connect();
    for (const char* text : {"1", "22", "333"}) {
        ASSERT_TRUE(world.at_a.send(text));
        ASSERT_TRUE(world.at_b.send(text));
    }
    ASSERT_EQ(world.network.pending().size(), 2U);
    EXPECT_EQ(world.network.pending()[0].to, "b");
    EXPECT_EQ(world.network.pending()[0].size, 1U);
    world.network.deliver(1);
    world.network.deliver(1);
    EXPECT_EQ(world.at_a.received.size(), 2U);
    EXPECT_TRUE(world.at_b.received.empty());
    world.network.run(kStepsMax);
    EXPECT_EQ(as_text(world.at_b.received[2]), "333");
}

TEST(MemoryNetwork, AnyOrderOfDeliveryKeepsEachStreamInOrder) {
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        std::mt19937_64 random(seed);
        World world;
        world.connect();
        for (int i = 0; i < 20; ++i) {
            const std::string text = std::to_string(i);
            ASSERT_TRUE(world.at_a.send(text));
            ASSERT_TRUE(world.at_b.send(text));
        }
        world.at_a.link->close();
        while (!world.network.pending().empty()) {
            world.network.deliver(random() % world.network.pending().size());
        }
        ASSERT_EQ(world.at_b.received.size(), 20U) << "seed " << seed;
        for (std::size_t i = 0; i < 20; ++i) {
            EXPECT_EQ(as_text(world.at_b.received[i]), std::to_string(i));
        }
        EXPECT_TRUE(world.at_a.is_ended_well());
        EXPECT_TRUE(world.at_b.is_ended_well());
    }
}

TEST(MemoryNetwork, ItemsCarryTheTimeOfTheirCause) {
    FakeClock clock;
    MemoryOptions options;
    options.clock = &clock;
    World world(options);
    world.connect();
    clock.now = std::chrono::milliseconds(5);
    ASSERT_TRUE(world.at_a.send("early"));
    clock.now = std::chrono::milliseconds(9);
    ASSERT_TRUE(world.at_a.send("late"));
    clock.now = std::chrono::milliseconds(20);
    EXPECT_EQ(world.network.pending()[0].queued_at, std::chrono::milliseconds(5));
    world.network.deliver(0);
    EXPECT_EQ(world.network.pending()[0].queued_at, std::chrono::milliseconds(9));
}

TEST(MemoryNetwork, ACutLosesWhatWasOnItsWayAndBothSidesHear) {
    World world;
    world.connect();
    ASSERT_TRUE(world.at_a.send("lost"));
    ASSERT_TRUE(world.at_b.send("lost"));
    world.network.cut(LinkNumber{1});
    EXPECT_FALSE(world.at_a.send("late"));
    EXPECT_TRUE(world.at_a.closed.empty()) << "a callback inside cut()";
    world.network.run(kStepsMax);
    for (const User* user : {&world.at_a, &world.at_b}) {
        EXPECT_TRUE(user->is_ended_as(Errc::disconnected));
        EXPECT_TRUE(user->received.empty());
    }
    world.network.cut(LinkNumber{1});
    EXPECT_FALSE(world.network.step());
}

TEST(MemoryNetwork, CutBetweenFindsLinksOfBothDirectionsAndNoOthers) {
    World world;
    world.connect();
    const auto c = world.network.make_transport("c");
    User at_c;
    c->connect("mem://a", [&](auto link) { at_c.link = *std::move(link); });
    User kept = std::move(world.at_a);
    world.network.run(kStepsMax);
    EXPECT_EQ(world.network.cut_between("a", "b"), 1U);
    EXPECT_EQ(world.network.cut_between("a", "b"), 0U);
    at_c.start();
    world.at_a.start();
    ASSERT_TRUE(at_c.send("through"));
    world.network.run(kStepsMax);
    EXPECT_EQ(world.at_a.received.size(), 1U);
    EXPECT_TRUE(world.at_b.is_ended_as(Errc::disconnected));
    EXPECT_EQ(world.network.cut_between("a", "c"), 1U);
}

TEST(MemoryNetwork, ADroppedMessageCutsItsStream) {
    World world;
    world.connect();
    ASSERT_TRUE(world.at_a.send("dropped"));
    ASSERT_TRUE(world.network.drop(0));
    world.network.run(kStepsMax);
    EXPECT_TRUE(world.at_b.received.empty());
    EXPECT_TRUE(world.at_a.is_ended_as(Errc::disconnected));
    EXPECT_TRUE(world.at_b.is_ended_as(Errc::disconnected));
}

TEST(MemoryNetwork, ADroppedDialFailsInTheEnd) {
    World world;
    world.dial();
    ASSERT_TRUE(world.network.drop(0));
    EXPECT_FALSE(world.error);
    EXPECT_FALSE(world.network.drop(0)) << "a host cannot lose what it tells itself";
    world.network.run(kStepsMax);
    ASSERT_TRUE(world.error);
    EXPECT_EQ(world.error->code, Errc::disconnected);
    EXPECT_FALSE(world.at_a.link);
}

TEST(MemoryNetwork, ADroppedAnswerFailsTheDialAndCutsTheAcceptedSide) {
    World world;
    world.dial();
    world.network.deliver(0);
    world.at_a.start();
    ASSERT_TRUE(world.network.drop(world.index_of(DeliveryKind::answer, "b")));
    world.network.run(kStepsMax);
    ASSERT_TRUE(world.error);
    EXPECT_EQ(world.error->code, Errc::disconnected);
    EXPECT_TRUE(world.at_a.is_ended_as(Errc::disconnected));
}

TEST(MemoryNetwork, ADialThatIsCutOnItsWayFails) {
    World world;
    world.dial();
    EXPECT_EQ(world.network.cut_between("b", "a"), 1U);
    world.network.run(kStepsMax);
    ASSERT_TRUE(world.error);
    EXPECT_EQ(world.error->code, Errc::disconnected);
}

TEST(MemoryNetwork, AHostListensOnItsOwnNameOnly) {
    World world;
    EXPECT_EQ(world.b->listen("mem://a", [](auto) {}).error().code, Errc::io);
    EXPECT_EQ(world.b->listen("mem://b:1", [](auto) {}).error().code, Errc::malformed);
    EXPECT_TRUE(world.b->listen("mem://B", [](auto) {}));
}

TEST(MemoryNetwork, WhatItMadeMayOutliveIt) {
    auto world = std::make_unique<World>();
    world->connect();
    ASSERT_TRUE(world->at_a.send("never arrives"));
    world->b->connect("mem://a", [](auto) { ADD_FAILURE(); });
    auto a = std::move(world->a);
    auto listener = std::move(world->listener);
    User at_a = std::move(world->at_a);
    world.reset();
    EXPECT_FALSE(at_a.send("late"));
    at_a.link->close();
    EXPECT_EQ(at_a.link->queued_size(), 0U);
    a->connect("mem://b", [](auto) { ADD_FAILURE(); });
}

TEST(MemoryNetwork, TheSameCallsGiveTheSameItems) {
    const auto run = [](std::uint64_t seed) {
        std::mt19937_64 random(seed);
        World world;
        world.connect();
        std::string trace;
        for (int i = 0; i < 500; ++i) {
            static_cast<void>(world.at_a.send("a"));
            static_cast<void>(world.at_b.send("b"));
            const auto pending = world.network.pending();
            const std::size_t index = random() % pending.size();
            trace += std::to_string(pending[index].sequence) + ' ';
            world.network.deliver(index);
        }
        return trace;
    };
    EXPECT_EQ(run(1), run(1));
    EXPECT_NE(run(1), run(2));
}

}  // namespace
}  // namespace joinery::transport::test
