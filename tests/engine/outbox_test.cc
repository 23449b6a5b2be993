// Outbox against a naive model, and its records' bytes.

#include "engine/outbox.h"

#include <gtest/gtest.h>
#include <random>

namespace joinery::detail {
namespace {

DeviceKey device(std::uint8_t fill) {
    DeviceKey key;
    key.bytes.fill(fill);
    return key;
}
ActorId actor(std::uint8_t fill) {
    ActorId id;
    id.bytes.fill(fill);
    return id;
}

TEST(Outbox, IsWhatANaiveModelSays) {
    for (std::uint32_t seed = 0; seed < 200; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        std::mt19937 random(seed);
        const auto draw = [&](std::uint32_t below) {
            return static_cast<std::uint8_t>(random() % below);
        };
        // By (device, actor): every seq that was said, as a set.
        std::map<std::pair<std::uint8_t, std::uint8_t>, std::set<std::uint64_t>> said;
        std::map<std::uint8_t, std::uint64_t> sent;
        Outbox outbox;
        for (int i = 0; i < 40; ++i) {
            const std::uint8_t who = draw(3), of = draw(3);
            const std::uint64_t seq = 1U + draw(20);
            if (draw(4) == 0) {
                outbox.note_sent(actor(of), seq);
                sent[of] = std::max(sent[of], seq);
                continue;
            }
            const ChainMark mark{actor(of), seq};
            const bool is_new = !said[{who, of}].contains(seq) &&
                                (said[{who, of}].empty() || *said[{who, of}].rbegin() < seq);
            EXPECT_EQ(outbox.note_acknowledged(device(who), std::span(&mark, 1), WallTime(i)),
                      is_new);
            for (std::uint64_t each = 1; each <= seq; ++each)
                said[{who, of}].insert(each);
        }
        std::uint64_t pending = 0, in_flight = 0;
        std::vector<ChainMark> ends;
        for (std::uint8_t of = 0; of < 3; ++of) {
            ends.push_back({actor(of), 20});
            for (std::uint64_t seq = 1; seq <= 20; ++seq) {
                std::vector<DeviceKey> by;
                for (std::uint8_t who = 0; who < 3; ++who)
                    if (said[{who, of}].contains(seq)) by.push_back(device(who));
                const ChangeStatus status = outbox.status_of({actor(of), seq});
                EXPECT_EQ(status.acknowledged_by, by);
                const ChangeState unsaid =
                    seq <= sent[of] ? ChangeState::sent : ChangeState::pending;
                EXPECT_EQ(status.state, by.empty() ? unsaid : ChangeState::acknowledged);
                if (by.empty()) ++(unsaid == ChangeState::pending ? pending : in_flight);
            }
        }
        const OutboxStatus status = outbox.status(ends);
        EXPECT_EQ(status.change_count, 60U);
        EXPECT_EQ(status.pending_count, pending);
        EXPECT_EQ(status.sent_count, in_flight);
        if (testing::Test::HasFailure()) return;
    }
}

TEST(Outbox, ItsRecordsAreTheBytesOfTheFormat) {
    Outbox::Acknowledged acknowledged;
    acknowledged.at = WallTime(300);
    acknowledged.seq = {{actor(0x0a), 5}, {actor(0x0b), 300}};
    const Bytes bytes = encode_acknowledged(acknowledged);
    EXPECT_EQ(to_hex(bytes),
              "01d804" + to_hex(actor(0x0a).view()) + "05" + to_hex(actor(0x0b).view()) + "ac02");
    const auto again = decode_acknowledged(bytes);
    ASSERT_TRUE(again.has_value());
    EXPECT_EQ(again->seq, acknowledged.seq);
    EXPECT_EQ(again->at, acknowledged.at);
    EXPECT_TRUE(is_outbox_key(outbox_key(7, device(3))));
    EXPECT_EQ(outbox_device(outbox_key(7, device(3))), device(3));
    EXPECT_FALSE(is_outbox_key(outbox_prefix(7)));
}

TEST(Outbox, ARejectionStandsWhateverElseIsKnown) {  // U7
    Outbox outbox(device(9));
    const ChainMark change{actor(1), 3};
    const ChainMark end{actor(1), 4};
    EXPECT_TRUE(outbox.note_rejected(change, {{actor(9), 1}, WallTime(5), "no"}, false));
    EXPECT_FALSE(outbox.note_rejected(change, {{actor(9), 2}, WallTime(6), "again"}, false));
    outbox.note_acknowledged(device(2), std::span(&end, 1), WallTime(7));
    const ChangeStatus status = outbox.status_of(change);
    EXPECT_EQ(status.state, ChangeState::rejected);
    EXPECT_EQ(status.reason, "no");
    EXPECT_EQ(status.rejected_by, device(9));
    EXPECT_EQ(status.acknowledged_by, std::vector<DeviceKey>{device(2)});
    EXPECT_EQ(outbox.status_of(end).state, ChangeState::acknowledged);
    EXPECT_EQ(outbox.status(std::span(&end, 1)).rejected_count, 1U);
    EXPECT_EQ(outbox.wait(change, 1, std::chrono::milliseconds(0)).error().code, Errc::conflict);
    // Until it is stored it is to be stored.
    const auto unstored = outbox.unstored_rejected();
    EXPECT_EQ(unstored.size(), 1U);
    outbox.keep_rejected(unstored);
    EXPECT_EQ(outbox.unstored_rejected().size(), 0U);
    EXPECT_EQ(outbox.rejected().size(), 1U);
}

TEST(Outbox, ARejectionsRecordIsTheBytesOfTheFormat) {
    const Rejected rejected{{actor(0x0a), 300}, WallTime(300), "no"};
    const Bytes bytes = encode_rejected(rejected);
    EXPECT_EQ(to_hex(bytes), "01" + to_hex(actor(0x0a).view()) + "ac02" + "d804" + "6e6f");
    EXPECT_EQ(*decode_rejected(bytes), rejected);
    const ChainMark change{actor(0x0b), 258};
    const Bytes key = rejected_key(7, change);
    EXPECT_EQ(to_hex(key),
              to_hex(as_bytes("rejected/")) + "00000007" + to_hex(actor(0x0b).view()) +
                  "0000000000000102");
    EXPECT_TRUE(is_rejected_key(key));
    EXPECT_EQ(rejected_change(key), change);
    EXPECT_FALSE(is_rejected_key(rejected_prefix(7)));
    for (std::size_t size = 0; size < 21; ++size)
        EXPECT_FALSE(decode_rejected(ByteView(bytes).first(size)).has_value()) << size;
    Bytes other = bytes;
    other[0] = 2;
    EXPECT_EQ(decode_rejected(other).error().code, Errc::unsupported);
    other = bytes;
    other.back() = 0xff;
    EXPECT_EQ(decode_rejected(other).error().code, Errc::malformed) << "not UTF-8";
    EXPECT_EQ(decode_rejected(encode_rejected({{actor(1), 0}, WallTime(0), ""})).error().code,
              Errc::malformed);
    EXPECT_EQ(decode_rejected(encode_rejected({{actor(1), 1}, WallTime(0), std::string(4097, 'a')}))
                  .error()
                  .code,
              Errc::over_limit);
}

TEST(Outbox, WhatIsNoRecordIsRefused) {
    Bytes bytes = encode_acknowledged({{{actor(1), 5}, {actor(2), 6}}, WallTime(0)});
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        if (size == 2 || size == 19) continue;  // Between two entries.
        EXPECT_FALSE(decode_acknowledged(ByteView(bytes).first(size)).has_value()) << size;
    }
    bytes[0] = 2;
    EXPECT_EQ(decode_acknowledged(bytes).error().code, Errc::unsupported);
    bytes[0] = 1;
    std::swap_ranges(bytes.begin() + 2, bytes.begin() + 18, bytes.begin() + 19);
    EXPECT_EQ(decode_acknowledged(bytes).error().code, Errc::malformed) << "not ascending";
    Bytes none = encode_acknowledged({{{actor(1), 1}}, WallTime(0)});
    none.back() = 0;
    EXPECT_EQ(decode_acknowledged(none).error().code, Errc::malformed) << "a seq of 0";
}

}  // namespace
}  // namespace joinery::detail
