// Who else has what was made here (docs/semantics.md A): pending, sent, acknowledged, before and
// after a restart.

#include "engine/outbox.h"

#include "sim/links_rig.h"

namespace joinery::sim {
namespace {

using detail::ChainMark;
using std::chrono_literals::operator""s;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""us;

class OutboxTest : public LinksTest {
  protected:
    static Document document(Process& process, const std::string& id = "d") {
        return Document(process.core().open_document(id, true).value());
    }
    Receipt change(Process& process, std::string_view path, std::int64_t to) {
        auto receipt = document(process).transact([&](Tx& tx) { return tx.set(path, Value(to)); });
        EXPECT_TRUE(receipt.has_value());
        return receipt.value_or(Receipt());
    }
    void pass_briefly() { pass(30ms, 1ms); }
    const DeviceKey& device(Process& process) { return process.core().device(); }
};

// A1, A2.
TEST_F(OutboxTest, AChangeIsPendingUntilAnotherDeviceHasItDurable) {
    const Receipt first = change(a(), "/x", 1);
    pass_briefly();
    EXPECT_EQ(first.status()->state, ChangeState::pending);
    EXPECT_TRUE(first.status()->is_durable);
    EXPECT_EQ(document(a()).outbox().pending_count, 1U);
    EXPECT_TRUE(can_sync());
    const ChangeStatus status = first.status().value();
    EXPECT_EQ(status.state, ChangeState::acknowledged);
    EXPECT_EQ(status.acknowledged_by, std::vector<DeviceKey>{device(b())});
    EXPECT_TRUE(status.acknowledged_at.has_value());
    EXPECT_TRUE(first.wait(1, 0ms).has_value());
    EXPECT_EQ(first.wait(2, 0ms).error().code, Errc::busy);
    // The next one again.
    const Receipt second = change(a(), "/x", 2);
    pass_briefly();
    EXPECT_EQ(second.status()->state, ChangeState::pending);
    const OutboxStatus outbox = document(a()).outbox();
    EXPECT_EQ(outbox.change_count, 2U);
    EXPECT_EQ(outbox.unacknowledged_count(), 1U);
    ASSERT_EQ(outbox.devices.size(), 1U);
    EXPECT_EQ(outbox.devices[0].lacking_count, 1U);
    // What b has of others is nothing that it waits for.
    EXPECT_EQ(document(b()).outbox().change_count, 0U);
    EXPECT_EQ(Receipt(first).status()->state, ChangeState::acknowledged);
}

// A2.
TEST_F(OutboxTest, WhatALinkWasGivenIsSentAndNoMoreThanThat) {
    ASSERT_TRUE(a().engine().links().keep_connected("mem://b").has_value());
    change(a(), "/x", 0);
    pass(1s);
    const Receipt receipt = change(a(), "/x", 1);
    // The network carries nothing meanwhile.
    for (int i = 0; i < 200 && receipt.status()->state == ChangeState::pending; ++i) {
        now_ += 100us;
        run_tasks(a());
    }
    EXPECT_EQ(receipt.status()->state, ChangeState::sent);
    EXPECT_EQ(document(a()).outbox().sent_count, 1U);
    pass_briefly();
    EXPECT_EQ(receipt.status()->state, ChangeState::acknowledged);
}

// A4.
TEST_F(OutboxTest, WhatWasAcknowledgedIsKnownAfterAKill) {
    const Receipt receipt = change(a(), "/x", 1);
    const ChainMark first{receipt.actor, receipt.seq};
    pass_briefly();
    EXPECT_TRUE(can_sync());
    pass(2s);
    change(a(), "/x", 2);
    pass_briefly();
    a().kill();
    a().start();
    const auto core = a().core().open_document("d", false).value();
    EXPECT_EQ(core->change_status(first)->state, ChangeState::acknowledged);
    EXPECT_EQ(core->outbox_status().change_count, 2U);
    EXPECT_EQ(core->outbox_status().pending_count, 1U);
    // It goes on without another write.
    ASSERT_TRUE(a().engine().links().keep_connected("mem://b").has_value());
    pass(3s);
    EXPECT_EQ(core->outbox_status().unacknowledged_count(), 0U);
}

// A3.
TEST_F(OutboxTest, APathIsAsFarAsTheLeastOfWhatWroteIt) {
    const PlainObject panel{{"title", Plain(Value(std::int64_t{1}))}};
    ASSERT_TRUE(
        document(a()).transact([&](Tx& tx) { return tx.set("/panel", Plain(panel)); }).has_value());
    pass_briefly();
    EXPECT_TRUE(can_sync());
    change(a(), "/panel/width", 2);
    change(b(), "/other", 3);
    pass_briefly();
    EXPECT_EQ(document(a()).status_of("/panel/title")->state, ChangeState::acknowledged);
    EXPECT_EQ(document(a()).status_of("/panel/width")->state, ChangeState::pending);
    EXPECT_EQ(document(a()).status_of("/panel")->state, ChangeState::pending);
    EXPECT_TRUE(document(a()).status_of("/panel")->acknowledged_by.empty());
    EXPECT_EQ(document(a()).status_of("/nothing").error().code, Errc::not_found);
    EXPECT_TRUE(can_sync());
    EXPECT_EQ(document(a()).status_of("")->state, ChangeState::acknowledged);
    EXPECT_EQ(document(a()).status_of("/other")->state, ChangeState::acknowledged)
        << "others' changes are not waited for";
}

TEST_F(OutboxTest, TheOriginalIsWhatTheAuthorSaw) {
    change(a(), "/x", 1);
    const Receipt second = change(a(), "/x", 2);
    change(a(), "/x", 3);
    pass_briefly();
    EXPECT_EQ(second.original("/x").value(), Plain(Value(std::int64_t{1})));
    EXPECT_EQ(second.original("/y").error().code, Errc::not_found);
    EXPECT_EQ(Receipt().original("").error().code, Errc::not_found);
    EXPECT_EQ(Receipt().status().error().code, Errc::not_found);
}

TEST_F(OutboxTest, WhoWatchesIsToldOnceForAllThatCame) {
    std::vector<std::uint64_t> told;
    const Subscription watch = document(a()).observe_outbox(
        [&](const OutboxStatus& status) { told.push_back(status.unacknowledged_count()); });
    for (std::int64_t i = 0; i < 10; ++i)
        change(a(), "/x", i);
    pass_briefly();
    EXPECT_TRUE(told.empty());
    EXPECT_TRUE(can_sync());
    ASSERT_FALSE(told.empty());
    EXPECT_LE(told.size(), 3U);
    EXPECT_EQ(told.back(), 0U);
}

}  // namespace
}  // namespace joinery::sim
