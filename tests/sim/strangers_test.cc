// Who comes over the network and is not let in, or is nobody that can be let in. Numbers of bad
// input are those of the field's list.

#include "engine/trust.h"
#include "sim/links_rig.h"

#include <string>
#include <utility>
#include <vector>

namespace joinery::sim {
namespace {

using std::chrono_literals::operator""s;

/// A link that a stranger dialled.
struct Strange {
    std::unique_ptr<Link> link;
    std::vector<Bytes> heard;
    std::optional<Result<void>> closed;
};

class StrangersTest : public LinksTest {
  protected:
    StrangersTest() : LinksTest({}) {}
    void trust_a(Access access = {}) {
        ASSERT_TRUE(
            detail::trust_peer(store_of_b(), {a().core().device(), "a", access}).has_value());
    }
    /// One change of @p id at @p process.
    void change(Process& process, const std::string& id, std::int64_t value) {
        ASSERT_NE(process.open(id, true), nullptr);
        ASSERT_TRUE(process.documents()
                        .at(id)
                        .core->transact([&](Tx& tx) { return tx.set("/x", Value(value)); }, "")
                        .has_value());
        settle();
        pass(std::chrono::milliseconds(20), std::chrono::milliseconds(1));
    }
    Strange& dial_b() {
        Strange& strange = *strangers_.emplace_back(std::make_unique<Strange>());
        stranger_->connect("mem://b", [&](Result<std::unique_ptr<Link>> link) {
            ASSERT_TRUE(link.has_value());
            strange.link = *std::move(link);
            Link::Events events;
            events.on_message = [&](ByteView message) {
                strange.heard.emplace_back(message.begin(), message.end());
            };
            events.on_closed = [&](Result<void> how) { strange.closed = how; };
            strange.link->start(std::move(events));
        });
        settle();
        return strange;
    }
    static std::optional<Digest> digest_of(Process& process, const std::string& id) {
        return process.core().open_document(id, false).value()->digest();
    }
    std::size_t links_of_b() { return b().engine().links().status().size(); }
    Store& store_of_b() { return b().core().store(); }
    std::unique_ptr<Transport> stranger_ = network_.make_transport("stranger");
    std::vector<std::unique_ptr<Strange>> strangers_;
};

// Bad input 2 and 3.
TEST_F(StrangersTest, WhoSaysNothingIsCutOffInTime) {
    const Strange& strange = dial_b();
    EXPECT_EQ(links_of_b(), 1U);
    EXPECT_TRUE(strange.heard.empty());
    pass(4s);
    EXPECT_FALSE(strange.closed.has_value());
    pass(2s);
    ASSERT_TRUE(strange.closed.has_value());
    ASSERT_EQ(strange.heard.size(), 1U);
    EXPECT_EQ(strange.heard[0].at(0), 0) << "a refusal";
    EXPECT_EQ(links_of_b(), 0U);
}

// Bad input 1.
TEST_F(StrangersTest, WhatIsNoHandshakeIsRefusedInWordsAndHearsOfNothing) {
    Strange& strange = dial_b();
    ASSERT_TRUE(strange.link->send(as_bytes("GET / HTTP/1.1")).has_value());
    settle();
    ASSERT_TRUE(strange.closed.has_value());
    ASSERT_EQ(strange.heard.size(), 1U);
    EXPECT_NE(as_text(strange.heard[0]).find("joinery: expected the secure channel"),
              std::string_view::npos);
    EXPECT_EQ(links_of_b(), 0U);
}

// Bad input 3.
TEST_F(StrangersTest, OneAddressCannotTakeAllHandshakes) {
    for (int i = 0; i < 20; ++i)
        dial_b();
    EXPECT_EQ(links_of_b(), 16U);
    for (std::size_t i = 0; i < strangers_.size(); ++i)
        EXPECT_EQ(strangers_[i]->closed.has_value(), i >= 16) << i;
    trust_a();
    EXPECT_TRUE(can_sync()) << "others are served meanwhile";
    pass(6s);
    EXPECT_EQ(links_of_b(), 0U);
}

TEST_F(StrangersTest, WhoIsNotTrustedHearsOfNoDocumentAndIsToldWhy) {
    change(b(), "d", 1);
    EXPECT_FALSE(can_sync());
    ASSERT_TRUE(answer_.has_value());
    EXPECT_EQ(answer_->error().code, Errc::untrusted);
    EXPECT_TRUE(a().core().documents().empty());
    trust_a();
    EXPECT_TRUE(can_sync());
    EXPECT_EQ(a().core().documents(), std::vector<std::string>{"d"});
}

TEST_F(StrangersTest, AKeyReadsAndWritesWhatTheListSays) {
    change(b(), "open/d", 1);
    change(b(), "secret", 1);
    trust_a({{"open/*"}, {}});
    EXPECT_TRUE(can_sync());
    EXPECT_EQ(a().core().documents(), std::vector<std::string>{"open/d"});
    EXPECT_TRUE((*answer_)->untaken.empty());
    change(a(), "open/d", 2);
    EXPECT_TRUE(can_sync());
    EXPECT_EQ((*answer_)->untaken, std::vector<std::string>{"open/d"});
    EXPECT_NE(digest_of(a(), "open/d"), digest_of(b(), "open/d"));
    // A link that stands begins anew where the list says something else.
    ASSERT_TRUE(a().engine().links().keep_connected("mem://b").has_value());
    pass(3s);
    trust_a({{"open/*"}, {"open/d"}});
    pass(10s);
    EXPECT_EQ(digest_of(a(), "open/d"), digest_of(b(), "open/d"));
    EXPECT_EQ(a().engine().links().status()[0].state, LinkState::online);
}

TEST_F(StrangersTest, WhereThisPeerDialsTheKeyThatAnsweredFirstIsTheOnlyOne) {
    trust_a();
    EXPECT_TRUE(can_sync());
    Store& store = a().core().store();
    EXPECT_EQ(detail::key_at(store, "mem://b").value(), b().core().device());
    DeviceKey other;
    other.bytes.fill(7);
    // As if somebody else had answered at first.
    ASSERT_TRUE(detail::distrust_peer(store, b().core().device()).has_value());
    ASSERT_TRUE(detail::note_key_at(store, "mem://b", other).has_value());
    EXPECT_FALSE(can_sync());
    EXPECT_EQ(answer_->error().code, Errc::untrusted);
    EXPECT_NE(answer_->error().what.find("another key"), std::string_view::npos);
    // Trust says more than where a key was met.
    ASSERT_TRUE(detail::trust_peer(store, {b().core().device()}).has_value());
    EXPECT_TRUE(can_sync());
    ASSERT_TRUE(detail::distrust_peer(store, b().core().device()).has_value());
    EXPECT_FALSE(can_sync());
    ASSERT_TRUE(detail::distrust_peer(store, other).has_value());
    EXPECT_TRUE(can_sync());
    EXPECT_EQ(detail::distrust_peer(store, other).error().code, Errc::not_found);
}

// Bad input 11.
TEST_F(StrangersTest, AKeyThatWasGivenWithTheUrlIsTheOnlyOne) {
    trust_a();
    const std::string key = to_hex(b().core().device().view());
    EXPECT_TRUE(can_sync("mem://b#" + key));
    EXPECT_FALSE(can_sync("mem://b#" + std::string(64, '7')));
    EXPECT_EQ(answer_->error().code, Errc::untrusted);
    EXPECT_FALSE(can_sync("mem://b#7"));
    EXPECT_EQ(answer_->error().code, Errc::malformed);
    EXPECT_EQ(a().engine().links().keep_connected("mem://b#zz").error().code, Errc::malformed);
}

TEST_F(StrangersTest, WhoIsNoLongerTrustedIsTurnedOut) {
    trust_a();
    ASSERT_TRUE(a().engine().links().keep_connected("mem://b").has_value());
    settle();
    pass(2s);
    ASSERT_EQ(links_of_b(), 1U);
    EXPECT_EQ(b().engine().links().status()[0].state, LinkState::online);
    EXPECT_EQ(b().engine().links().status()[0].device, a().core().device());
    DeviceKey other;
    other.bytes.fill(7);
    ASSERT_TRUE(detail::trust_peer(store_of_b(), {other, ""}).has_value());
    pass(2s);
    EXPECT_EQ(b().engine().links().status()[0].state, LinkState::online);
    ASSERT_TRUE(detail::distrust_peer(store_of_b(), a().core().device()).has_value());
    pass(2s);
    for (const LinkStatus& link : b().engine().links().status())
        EXPECT_NE(link.state, LinkState::online);
    ASSERT_EQ(a().engine().links().status().size(), 1U);
    EXPECT_EQ(a().engine().links().status()[0].state, LinkState::refused);
    EXPECT_NE(a().engine().links().status()[0].error.find("let this peer's key in"),
              std::string::npos);
}

}  // namespace
}  // namespace joinery::sim
