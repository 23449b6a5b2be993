// Links on which nothing comes any more, and machines that were away.

#include "sim/links_rig.h"

#include <string>

namespace joinery::sim {
namespace {

using std::chrono_literals::operator""min;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

class HeartbeatTest : public LinksTest {
  protected:
    void connect() {
        ASSERT_TRUE(a().engine().links().keep_connected("mem://b").has_value());
        settle();
        ASSERT_EQ(link_of(a()).state, LinkState::online);
        ASSERT_EQ(link_of(b()).state, LinkState::online);
    }
    static LinkStatus link_of(Process& process) {
        const auto links = process.engine().links().status();
        EXPECT_EQ(links.size(), 1U);
        return links.empty() ? LinkStatus() : links.front();
    }
    /// A text that does not pack.
    void write(const std::string& path, std::size_t size) {
        std::string text(size, ' ');
        for (char& letter : text)
            letter = static_cast<char>('!' + dice_.below(90));
        const auto done = a().open("d", true)->core->transact(
            [&](Tx& tx) { return tx.set(path, Value(text)); }, "");
        ASSERT_TRUE(done.has_value());
    }
    /// Time goes on, and nothing comes through.
    void pass_in_silence(Now time) {
        for (Now gone{0}; gone < time; gone += 100ms) {
            now_ += 100ms;
            run_tasks(a());
            run_tasks(b());
        }
    }

    test::Dice dice_{1};
};

TEST_F(HeartbeatTest, AnIdleLinkStaysUpAndIsTimed) {
    connect();
    pass(60s);
    for (Process* process : {&a(), &b()}) {
        EXPECT_EQ(link_of(*process).state, LinkState::online);
        EXPECT_TRUE(link_of(*process).round_trip.has_value());
    }
}

TEST_F(HeartbeatTest, ALinkOnWhichNothingComesIsSuspectedThenBrokenAndDialledAgain) {
    connect();
    pass(1s);
    pass_in_silence(8s);
    EXPECT_EQ(link_of(a()).state, LinkState::degraded);
    EXPECT_FALSE(link_of(a()).error.empty());
    pass_in_silence(4s);
    EXPECT_NE(link_of(a()).state, LinkState::online);
    EXPECT_NE(link_of(a()).error.find("does not answer"), std::string::npos);
    pass(3s);
    EXPECT_EQ(link_of(a()).state, LinkState::online);
    EXPECT_EQ(link_of(a()).error, "");
}

TEST_F(HeartbeatTest, WhoTakesWhatIsSentHoweverSlowlyIsThere) {
    connect();
    write("/first", 1);
    pass(1s);
    for (int i = 0; i < 200; ++i)
        write("/k" + std::to_string(i), 10000);
    // One record in two seconds, of some 30, and no answer.
    for (int i = 0; i < 15; ++i) {
        pass_in_silence(2s);
        std::size_t index = 0;
        for (const transport::Delivery& delivery : network_.pending()) {
            if (delivery.from == "a" && delivery.kind == transport::DeliveryKind::message) {
                network_.deliver(index);
                break;
            }
            ++index;
        }
        run_tasks(b());
        ASSERT_NE(link_of(a()).state, LinkState::offline) << i;
        ASSERT_NE(link_of(a()).state, LinkState::connecting) << i;
    }
}

TEST_F(HeartbeatTest, AnEndDoesNotWaitForeverForWhoTakesNothing) {
    connect();
    write("/first", 1);
    pass(1s);
    // More than the link's queue takes.
    for (int i = 0; i < 600; ++i)
        write("/k" + std::to_string(i), 10000);
    pass_in_silence(1s);
    ASSERT_TRUE(a().engine().links().drop("mem://b").has_value());
    pass_in_silence(2s);
    EXPECT_EQ(a().engine().links().status().size(), 1U);
    pass_in_silence(6s);
    EXPECT_TRUE(a().engine().links().status().empty());
}

// A laptop's lid is closed for ten minutes; nobody tells it that its links are gone.
TEST_F(HeartbeatTest, WhoWasAwayFindsOutAtOnceWhichLinksAreGone) {
    connect();
    pass(1s);
    now_ += 10min;
    run_tasks(a());
    pass_in_silence(3s);
    EXPECT_NE(link_of(a()).state, LinkState::online);
    settle();
    pass(1s);
    EXPECT_EQ(link_of(a()).state, LinkState::online);
}

TEST_F(HeartbeatTest, WhoWasAwayKeepsTheLinksThatAreStillThere) {
    connect();
    pass(1s);
    now_ += 10min;
    settle();
    pass(3s);
    EXPECT_EQ(link_of(a()).state, LinkState::online);
    EXPECT_EQ(link_of(b()).state, LinkState::online);
    // The clock of a machine that slept may stand still while its wall clock does not.
    a().clock().set_skew(WallTime(std::chrono::minutes(10)));
    pass(3s);
    EXPECT_EQ(link_of(a()).state, LinkState::online);
}

TEST_F(HeartbeatTest, WhoWasAwayDialsAtOnceInsteadOfWaiting) {
    ASSERT_TRUE(a().engine().links().keep_connected("mem://nobody").has_value());
    pass(3min);
    ASSERT_EQ(a().engine().links().status().size(), 1U);
    const auto transport = network_.make_transport("nobody");
    bool is_dialled = false;
    const auto listener = *transport->listen("mem://nobody", [&](auto) { is_dialled = true; });
    now_ += 10min;
    pass(1s);
    EXPECT_TRUE(is_dialled);
}

}  // namespace
}  // namespace joinery::sim
