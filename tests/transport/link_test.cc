// One suite for every transport: what a user of Link may rely on, whatever carries it.
#include "tests/transport/link_rig.h"

#include <algorithm>
#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace joinery::transport::test {
namespace {

using RigMaker = std::function<std::unique_ptr<Rig>(std::size_t queue_size_max)>;

constexpr std::size_t kSmallQueue = 64U << 10U;

class LinkTest : public testing::TestWithParam<std::pair<const char*, RigMaker>> {
  protected:
    void set_up(std::size_t queue_size_max) {
        // Links go before the context that they run on.
        couple = Couple{};
        rig = GetParam().second(queue_size_max);
    }
    void SetUp() override { set_up(kQueueSizeMaxDefault); }
    bool run_until(const std::function<bool()>& is_done) { return rig->run_until(is_done); }

    User& dialled() { return couple.dialled; }
    User& accepted() { return couple.accepted; }

    // Sends numbered messages of @p size until the queue is full; returns how many it took.
    std::size_t fill(User& user, std::size_t size) {
        for (std::size_t count = 0;; ++count) {
            const Result<void> sent = user.link->send(make_message(size, count));
            if (!sent) {
                EXPECT_EQ(sent.error().code, Errc::busy);
                return count;
            }
        }
    }
    // The same, until the system's own buffers are full as well.
    std::size_t fill_all(User& user, std::size_t size) {
        std::size_t count = 0;
        bool is_busy = false;
        while (!is_busy) {
            const Result<void> sent = user.link->send(make_message(size, count));
            if (sent) {
                ++count;
                continue;
            }
            // A probe through another Link: by the time that it is through, the system has taken
            // what it takes.
            const std::size_t before = user.link->queued_size();
            Couple probe;
            EXPECT_TRUE(probe_once(probe));
            is_busy = user.link->queued_size() == before;
        }
        return count;
    }
    bool probe_once(Couple& probe) {
        couple.listener.reset();
        if (!probe.connect_and_start(*rig)) return false;
        if (!probe.dialled.send("probe")) return false;
        return run_until([&] { return probe.accepted.received.size() == 1; });
    }

    std::unique_ptr<Rig> rig;
    Couple couple;
};

TEST_P(LinkTest, KnowsItsScheme) {
    EXPECT_TRUE(rig->transport().accepts(rig->listen_url()));
    EXPECT_FALSE(rig->transport().accepts("other://host/"));
    EXPECT_FALSE(rig->transport().accepts(""));
}

TEST_P(LinkTest, NamesTheOtherEnd) {
    ASSERT_TRUE(couple.connect(*rig));
    EXPECT_EQ(dialled().link->remote(), couple.listener->url());
    EXPECT_TRUE(rig->transport().accepts(accepted().link->remote()));
}

TEST_P(LinkTest, MessagesArriveInOrder) {
    ASSERT_TRUE(couple.connect_and_start(*rig));
    constexpr std::size_t kCount = 5000;
    for (std::size_t i = 0; i < kCount; ++i) {
        ASSERT_TRUE(dialled().link->send(make_message(i % 200, i)));
    }
    ASSERT_TRUE(run_until([&] { return accepted().received.size() == kCount; }));
    for (std::size_t i = 0; i < kCount; ++i) {
        ASSERT_EQ(accepted().received[i], make_message(i % 200, i)) << i;
    }
    EXPECT_EQ(dialled().link->queued_size(), 0U);
}

TEST_P(LinkTest, EverySizeUpToTheLimitArrives) {
    ASSERT_TRUE(couple.connect_and_start(*rig));
    const std::vector<std::size_t> sizes = {
        0, 1, 3, 4, 65532, 65536, kMessageSizeMax - 1, kMessageSizeMax};
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        const Bytes message = make_message(sizes[i], i);
        ASSERT_TRUE(run_until([&] { return dialled().link->queued_size() == 0; }));
        ASSERT_TRUE(dialled().link->send(message)) << sizes[i];
        ASSERT_TRUE(run_until([&] { return accepted().received.size() == i + 1; })) << sizes[i];
        ASSERT_TRUE(accepted().received[i] == message) << sizes[i];
    }
}

TEST_P(LinkTest, AMessageAboveTheLimitIsRefusedAndTheLinkLivesOn) {
    ASSERT_TRUE(couple.connect_and_start(*rig));
    const Bytes too_long(kMessageSizeMax + 1);
    const Result<void> sent = dialled().link->send(too_long);
    ASSERT_FALSE(sent);
    EXPECT_EQ(sent.error().code, Errc::over_limit);
    ASSERT_TRUE(dialled().send("after"));
    ASSERT_TRUE(run_until([&] { return accepted().received.size() == 1; }));
    EXPECT_TRUE(accepted().closed.empty());
}

TEST_P(LinkTest, AMessageLongerThanTheReceiverTakesBreaksTheLink) {
    ASSERT_TRUE(couple.connect_and_start(*rig));
    accepted().link->limit_received(10);
    ASSERT_TRUE(dialled().link->send(make_message(10, 1)));
    ASSERT_TRUE(dialled().link->send(make_message(11, 2)));
    ASSERT_TRUE(run_until([&] { return !dialled().closed.empty() && !accepted().closed.empty(); }));
    EXPECT_EQ(accepted().received.size(), 1U);
    EXPECT_TRUE(accepted().is_ended_as(Errc::over_limit));
    EXPECT_TRUE(dialled().is_ended_as(Errc::disconnected));
}

TEST_P(LinkTest, BothDirectionsAtOnceWithAnswersInsideTheCallback) {
    ASSERT_TRUE(couple.connect_and_start(*rig));
    constexpr std::size_t kRounds = 300;
    const auto answer = [](User& user) {
        return [&user] {
            if (user.received.size() >= kRounds) return;
            EXPECT_TRUE(user.link->send(user.received.back()));
        };
    };
    dialled().on_message = answer(dialled());
    accepted().on_message = answer(accepted());
    ASSERT_TRUE(dialled().send("from the dialled side"));
    ASSERT_TRUE(accepted().send("from the accepted side"));
    ASSERT_TRUE(run_until([&] {
        return dialled().received.size() >= kRounds && accepted().received.size() >= kRounds;
    }));
}

TEST_P(LinkTest, SendSaysBusyWhileTheReaderHasNotStarted) {
    set_up(kSmallQueue);
    ASSERT_TRUE(couple.connect(*rig));
    dialled().start();
    const std::size_t count = fill_all(dialled(), 1000);
    EXPECT_LE(dialled().link->queued_size(), kSmallQueue);
    EXPECT_GT(dialled().link->queued_size(), kSmallQueue - 2008);
    const int told_before = dialled().writable_count;
    accepted().start();
    ASSERT_TRUE(run_until([&] { return dialled().writable_count > told_before; }));
    EXPECT_LE(dialled().link->queued_size(), kSmallQueue / 2);
    ASSERT_TRUE(dialled().link->send(make_message(1000, count)));
    ASSERT_TRUE(run_until([&] { return accepted().received.size() == count + 1; }));
    for (std::size_t i = 0; i <= count; ++i) {
        ASSERT_EQ(accepted().received[i], make_message(1000, i)) << i;
    }
    EXPECT_EQ(dialled().writable_count, told_before + 1);
}

TEST_P(LinkTest, WritableComesOnlyWhenTheRefusedMessageFits) {
    set_up(kSmallQueue);
    ASSERT_TRUE(couple.connect_and_start(*rig));
    static_cast<void>(fill(dialled(), 1000));
    const Bytes large = make_message(kSmallQueue - 3000, 7);
    const Result<void> refused = dialled().link->send(large);
    ASSERT_FALSE(refused);
    ASSERT_TRUE(run_until([&] { return dialled().writable_count == 1; }));
    EXPECT_TRUE(dialled().link->send(large));
}

TEST_P(LinkTest, EmptyMessagesFillTheQueueToo) {
    set_up(kSmallQueue);
    ASSERT_TRUE(couple.connect_and_start(*rig));
    EXPECT_LE(fill(dialled(), 0), kSmallQueue / 4);
}

TEST_P(LinkTest, AMessageLongerThanTheQueueIsAdmittedAlone) {
    set_up(kSmallQueue);
    ASSERT_TRUE(couple.connect_and_start(*rig));
    const Bytes large = make_message(3 * kSmallQueue, 1);
    ASSERT_TRUE(dialled().link->send(large));
    const Result<void> second = dialled().send("x");
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Errc::busy);
    ASSERT_TRUE(run_until([&] { return dialled().writable_count == 1; }));
    ASSERT_TRUE(dialled().send("x"));
    ASSERT_TRUE(run_until([&] { return accepted().received.size() == 2; }));
    EXPECT_TRUE(accepted().received[0] == large);
}

TEST_P(LinkTest, WritableComesForEachRunOfRefusals) {
    set_up(kSmallQueue);
    ASSERT_TRUE(couple.connect_and_start(*rig));
    for (int round = 1; round <= 3; ++round) {
        static_cast<void>(fill(dialled(), 5000));
        ASSERT_TRUE(run_until([&] { return dialled().writable_count == round; }));
    }
}

TEST_P(LinkTest, PauseHoldsMessagesBackAndResumeGivesThemInOrder) {
    ASSERT_TRUE(couple.connect_and_start(*rig));
    // Pauses inside the callback of every third message, while more are already read.
    accepted().on_message = [&] {
        if (accepted().received.size() % 3 == 0) accepted().link->pause();
    };
    constexpr std::size_t kCount = 9;
    for (std::size_t i = 0; i < kCount; ++i) {
        ASSERT_TRUE(dialled().link->send(make_message(10, i)));
    }
    for (std::size_t paused_at = 3; paused_at <= kCount; paused_at += 3) {
        ASSERT_TRUE(run_until([&] { return accepted().received.size() == paused_at; }));
        Couple probe;
        ASSERT_TRUE(probe_once(probe));
        ASSERT_EQ(accepted().received.size(), paused_at);
        accepted().link->resume();
        ASSERT_EQ(accepted().received.size(), paused_at) << "a callback inside resume()";
    }
    for (std::size_t i = 0; i < kCount; ++i) {
        ASSERT_EQ(accepted().received[i], make_message(10, i));
    }
}

TEST_P(LinkTest, ResumeInsideTheCallbackGoesOn) {
    ASSERT_TRUE(couple.connect_and_start(*rig));
    accepted().on_message = [&] {
        accepted().link->pause();
        accepted().link->resume();
    };
    for (int i = 0; i < 100; ++i)
        ASSERT_TRUE(dialled().send("message"));
    ASSERT_TRUE(run_until([&] { return accepted().received.size() == 100; }));
}

TEST_P(LinkTest, APausedReaderMakesTheSenderBusy) {
    set_up(kSmallQueue);
    ASSERT_TRUE(couple.connect_and_start(*rig));
    accepted().link->pause();
    const std::size_t count = fill_all(dialled(), 1000);
    EXPECT_TRUE(accepted().received.empty());
    const int told_before = dialled().writable_count;
    accepted().link->resume();
    ASSERT_TRUE(run_until([&] {
        return accepted().received.size() == count && dialled().writable_count > told_before;
    }));
    EXPECT_EQ(dialled().writable_count, told_before + 1);
}

TEST_P(LinkTest, CloseSendsWhatIsQueuedThenBothSidesEndWell) {
    ASSERT_TRUE(couple.connect_and_start(*rig));
    for (std::size_t i = 0; i < 100; ++i) {
        ASSERT_TRUE(dialled().link->send(make_message(20000, i)));
    }
    dialled().link->close();
    EXPECT_TRUE(dialled().closed.empty()) << "a callback inside close()";
    ASSERT_TRUE(run_until([&] { return !dialled().closed.empty() && !accepted().closed.empty(); }));
    EXPECT_TRUE(dialled().is_ended_well());
    EXPECT_TRUE(accepted().is_ended_well());
    ASSERT_EQ(accepted().received.size(), 100U);
    EXPECT_EQ(accepted().received[99], make_message(20000, 99));
}

TEST_P(LinkTest, CloseOnBothSidesAtOnceEndsWell) {
    ASSERT_TRUE(couple.connect_and_start(*rig));
    ASSERT_TRUE(dialled().link->send(make_message(100000, 1)));
    ASSERT_TRUE(accepted().link->send(make_message(100000, 2)));
    dialled().link->close();
    accepted().link->close();
    dialled().link->close();
    ASSERT_TRUE(run_until([&] { return !dialled().closed.empty() && !accepted().closed.empty(); }));
    EXPECT_TRUE(dialled().is_ended_well());
    EXPECT_TRUE(accepted().is_ended_well());
    EXPECT_TRUE(dialled().received.empty());
    EXPECT_TRUE(accepted().received.empty());
}

TEST_P(LinkTest, NoMessageComesAfterCloseAndNoneIsTaken) {
    ASSERT_TRUE(couple.connect_and_start(*rig));
    accepted().on_message = [&] { accepted().link->close(); };
    for (int i = 0; i < 50; ++i)
        ASSERT_TRUE(dialled().send("message"));
    ASSERT_TRUE(run_until([&] { return !dialled().closed.empty() && !accepted().closed.empty(); }));
    EXPECT_EQ(accepted().received.size(), 1U);
    EXPECT_TRUE(dialled().is_ended_well());
    EXPECT_TRUE(accepted().is_ended_well());
    for (User* user : {&dialled(), &accepted()}) {
        const Result<void> sent = user->send("late");
        ASSERT_FALSE(sent);
        EXPECT_EQ(sent.error().code, Errc::disconnected);
        EXPECT_EQ(user->link->queued_size(), 0U);
        user->link->close();
    }
}

TEST_P(LinkTest, CloseWhileTheOtherSideSendsMuchEndsWell) {
    ASSERT_TRUE(couple.connect_and_start(*rig));
    // Far more than the system buffers: the closing side has to read and drop it.
    ASSERT_TRUE(accepted().link->send(make_message(kMessageSizeMax, 1)));
    ASSERT_TRUE(dialled().send("last words"));
    dialled().link->close();
    ASSERT_TRUE(run_until([&] { return !dialled().closed.empty() && !accepted().closed.empty(); }));
    EXPECT_TRUE(dialled().is_ended_well());
    EXPECT_TRUE(accepted().is_ended_well());
    EXPECT_EQ(accepted().received.size(), 1U);
}

TEST_P(LinkTest, ADestroyedLinkIsACutForTheOtherSide) {
    ASSERT_TRUE(couple.connect_and_start(*rig));
    ASSERT_TRUE(dialled().send("before"));
    ASSERT_TRUE(run_until([&] { return accepted().received.size() == 1; }));
    dialled().link.reset();
    ASSERT_TRUE(run_until([&] { return !accepted().closed.empty(); }));
    EXPECT_TRUE(accepted().is_ended_as(Errc::disconnected));
    EXPECT_TRUE(dialled().closed.empty());
    const Result<void> sent = accepted().send("late");
    ASSERT_FALSE(sent);
    EXPECT_EQ(sent.error().code, Errc::disconnected);
}

TEST_P(LinkTest, ALinkDestroyedBeforeItStartsIsACutToo) {
    ASSERT_TRUE(couple.connect(*rig));
    dialled().start();
    accepted().link.reset();
    ASSERT_TRUE(run_until([&] { return !dialled().closed.empty(); }));
    EXPECT_TRUE(dialled().is_ended_as(Errc::disconnected));
}

TEST_P(LinkTest, ACutBeforeStartIsToldAfterStart) {
    ASSERT_TRUE(couple.connect(*rig));
    dialled().link.reset();
    accepted().start();
    EXPECT_TRUE(accepted().closed.empty()) << "a callback inside start()";
    ASSERT_TRUE(run_until([&] { return !accepted().closed.empty(); }));
    EXPECT_TRUE(accepted().is_ended_as(Errc::disconnected));
}

TEST_P(LinkTest, DestructionInsideOnMessage) {
    ASSERT_TRUE(couple.connect_and_start(*rig));
    accepted().on_message = [&] { accepted().link.reset(); };
    for (int i = 0; i < 10; ++i)
        ASSERT_TRUE(dialled().send("message"));
    ASSERT_TRUE(run_until([&] { return !dialled().closed.empty(); }));
    EXPECT_EQ(accepted().received.size(), 1U);
    EXPECT_TRUE(accepted().closed.empty());
    EXPECT_TRUE(dialled().is_ended_as(Errc::disconnected));
}

TEST_P(LinkTest, DestructionInsideOnClosed) {
    ASSERT_TRUE(couple.connect_and_start(*rig));
    dialled().on_closed = [&] { dialled().link.reset(); };
    accepted().on_closed = [&] { accepted().link.reset(); };
    dialled().link->close();
    ASSERT_TRUE(run_until([&] { return !dialled().closed.empty() && !accepted().closed.empty(); }));
    EXPECT_TRUE(dialled().is_ended_well());
    EXPECT_TRUE(accepted().is_ended_well());
}

TEST_P(LinkTest, DestructionInsideOnWritable) {
    set_up(kSmallQueue);
    ASSERT_TRUE(couple.connect_and_start(*rig));
    dialled().on_writable = [&] { dialled().link.reset(); };
    static_cast<void>(fill(dialled(), 1000));
    ASSERT_TRUE(run_until([&] { return !accepted().closed.empty(); }));
    EXPECT_EQ(dialled().writable_count, 1);
    EXPECT_TRUE(accepted().is_ended_as(Errc::disconnected));
}

TEST_P(LinkTest, DestructionOfBothEndsInsideOneCallback) {
    ASSERT_TRUE(couple.connect_and_start(*rig));
    accepted().on_message = [&] {
        dialled().link.reset();
        accepted().link.reset();
    };
    ASSERT_TRUE(dialled().send("message"));
    ASSERT_TRUE(dialled().send("message"));
    ASSERT_TRUE(run_until([&] { return accepted().received.size() == 1; }));
    Couple probe;
    ASSERT_TRUE(probe_once(probe));
    EXPECT_EQ(accepted().received.size(), 1U);
    EXPECT_TRUE(accepted().closed.empty());
    EXPECT_TRUE(dialled().closed.empty());
}

TEST_P(LinkTest, TheCallbacksMayOwnTheLink) {
    ASSERT_TRUE(couple.connect(*rig));
    dialled().start();
    // The classic cycle: a session that owns its Link and is owned by the Link's callbacks.
    auto session = std::make_shared<User>();
    const std::weak_ptr<User> watch = session;
    session->link = std::move(accepted().link);
    Link::Events events;
    events.on_message = [session](ByteView) { session->link.reset(); };
    session->link->start(std::move(events));
    session.reset();
    ASSERT_TRUE(dialled().send("message"));
    ASSERT_TRUE(run_until([&] { return !dialled().closed.empty(); }));
    EXPECT_TRUE(watch.expired());
}

TEST_P(LinkTest, TheEndBreaksTheCycleOfCallbacksThatOwnTheLink) {
    ASSERT_TRUE(couple.connect(*rig));
    dialled().start();
    auto session = std::make_shared<User>();
    const std::weak_ptr<User> watch = session;
    session->link = std::move(accepted().link);
    Link::Events events;
    events.on_closed = [session](Result<void>) {};
    session->link->start(std::move(events));
    session.reset();
    dialled().link.reset();
    ASSERT_TRUE(run_until([&] { return watch.expired(); }));
}

TEST_P(LinkTest, ListenerAndLinkMayDieInsideOnLink) {
    std::unique_ptr<Listener> listener;
    int count = 0;
    auto made = rig->transport().listen(rig->listen_url(), [&](auto link) {
        EXPECT_TRUE(link.has_value());
        ++count;
        listener.reset();
    });
    ASSERT_TRUE(made);
    listener = *std::move(made);
    rig->transport().connect(listener->url(), [&](auto link) {
        ASSERT_TRUE(link);
        dialled().link = *std::move(link);
        dialled().start();
    });
    ASSERT_TRUE(run_until([&] { return count == 1 && dialled().link; }));
    ASSERT_TRUE(run_until([&] { return !dialled().closed.empty(); }));
    EXPECT_TRUE(dialled().is_ended_as(Errc::disconnected));
}

TEST_P(LinkTest, LinksOutliveListenerAndTransport) {
    ASSERT_TRUE(couple.connect_and_start(*rig));
    couple.listener.reset();
    rig->destroy_transport();
    ASSERT_TRUE(dialled().send("still here"));
    ASSERT_TRUE(run_until([&] { return accepted().received.size() == 1; }));
    dialled().link->close();
    ASSERT_TRUE(run_until([&] { return !dialled().closed.empty(); }));
    EXPECT_TRUE(dialled().is_ended_well());
}

TEST_P(LinkTest, ManyLinksOfOneListenerKeepApart) {
    std::vector<std::unique_ptr<User>> users;
    std::vector<std::unique_ptr<User>> echoes;
    auto listener = rig->transport().listen(rig->listen_url(), [&](auto link) {
        ASSERT_TRUE(link);
        User& echo = *echoes.emplace_back(std::make_unique<User>());
        echo.link = *std::move(link);
        echo.on_message = [&echo] { ASSERT_TRUE(echo.link->send(echo.received.back())); };
        echo.start();
    });
    ASSERT_TRUE(listener);
    constexpr std::size_t kCount = 20;
    for (std::size_t i = 0; i < kCount; ++i) {
        User& user = *users.emplace_back(std::make_unique<User>());
        rig->transport().connect((*listener)->url(), [&user, i](auto link) {
            ASSERT_TRUE(link);
            user.link = *std::move(link);
            user.start();
            ASSERT_TRUE(user.link->send(make_message(100, i)));
        });
    }
    ASSERT_TRUE(run_until([&] {
        return std::ranges::all_of(users, [](auto& user) { return user->received.size() == 1; });
    }));
    for (std::size_t i = 0; i < kCount; ++i) {
        EXPECT_EQ(users[i]->received[0], make_message(100, i));
    }
}

// Dials @p url, checks that nothing is called inside connect(), and returns the Error.
std::optional<Error> connect_error(Rig& rig, std::string_view url) {
    std::optional<Error> error;
    int count = 0;
    rig.transport().connect(url, [&](auto link) {
        ++count;
        if (!link) error = link.error();
    });
    EXPECT_EQ(count, 0) << "a callback inside connect()";
    EXPECT_TRUE(rig.run_until([&] { return count != 0; }));
    EXPECT_EQ(count, 1);
    return error;
}

TEST_P(LinkTest, ConnectingToNobodyIsRefused) {
    const auto error = connect_error(*rig, rig->refused_url());
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code, Errc::disconnected);
    EXPECT_NE(error->what.find("refused"), std::string_view::npos) << error->what;
}

TEST_P(LinkTest, AGoneListenerRefuses) {
    ASSERT_TRUE(couple.connect(*rig));
    const std::string url = couple.listener->url();
    couple.listener.reset();
    const auto error = connect_error(*rig, url);
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code, Errc::disconnected);
}

TEST_P(LinkTest, ABadUrlIsAnErrorEitherWay) {
    for (const std::string_view url : {"", "host", "://host", "tcp://", "mem://"}) {
        const auto listener = rig->transport().listen(url, [](auto) {});
        ASSERT_FALSE(listener) << url;
        EXPECT_EQ(listener.error().code, Errc::malformed) << url;
        const auto error = connect_error(*rig, url);
        ASSERT_TRUE(error) << url;
        EXPECT_EQ(error->code, Errc::malformed) << url;
    }
    const auto other = connect_error(*rig, "gopher://127.0.0.1:70");
    ASSERT_TRUE(other);
    EXPECT_EQ(other->code, Errc::unsupported);
}

TEST_P(LinkTest, AnAddressCannotBeBoundTwiceButAgain) {
    auto made = rig->transport().listen(rig->listen_url(), [](auto) {});
    ASSERT_TRUE(made);
    std::unique_ptr<Listener> first = *std::move(made);
    const std::string url = first->url();
    const auto second = rig->transport().listen(url, [](auto) {});
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Errc::io);
    EXPECT_NE(second.error().what.find("in use"), std::string_view::npos) << second.error().what;
    first.reset();
    EXPECT_TRUE(rig->transport().listen(url, [](auto) {}));
}

TEST_P(LinkTest, ADestroyedTransportGivesUpWhatItDials) {
    auto made = rig->transport().listen(rig->listen_url(), [](auto) {});
    ASSERT_TRUE(made);
    std::unique_ptr<Listener> listener = *std::move(made);
    auto token = std::make_shared<int>();
    const std::weak_ptr<int> watch = token;
    rig->transport().connect(listener->url(), [token](auto) { ADD_FAILURE(); });
    token.reset();
    EXPECT_FALSE(watch.expired());
    rig->destroy_transport();
    EXPECT_TRUE(watch.expired());
    listener.reset();
    while (rig->step()) {
    }
}

std::unique_ptr<Rig> make_tcp_rig(std::size_t queue_size_max) {
    TcpOptions options;
    options.queue_size_max = queue_size_max;
    return std::make_unique<TcpRig>(options);
}

template <class R>
std::unique_ptr<Rig> make_websocket_rig(std::size_t queue_size_max) {
    WsOptions options;
    options.tcp.queue_size_max = queue_size_max;
    return std::make_unique<R>(std::move(options));
}

std::unique_ptr<Rig> make_memory_rig(std::size_t queue_size_max) {
    MemoryOptions options;
    options.queue_size_max = queue_size_max;
    return std::make_unique<MemoryRig>(options);
}

INSTANTIATE_TEST_SUITE_P(
    Over,
    LinkTest,
    testing::Values(std::pair<const char*, RigMaker>("Tcp", make_tcp_rig),
                    std::pair<const char*, RigMaker>("Memory", make_memory_rig),
                    std::pair<const char*, RigMaker>("Ws", make_websocket_rig<WsRig>),
                    std::pair<const char*, RigMaker>("Wss", make_websocket_rig<WssRig>)),
    [](const auto& made) { return std::string(made.param.first); });

}  // namespace
}  // namespace joinery::transport::test
