/// @file
/// libFuzzer target for WebSockets: a request and the frames behind it mean the same however the
/// stream is cut, and what is held is never more than what came.
#include "base/assert.h"
#include "support/dice.h"
#include "transport/ws_codec.h"
#include "transport/ws_upgrade.h"

#include <algorithm>
#include <optional>
#include <vector>

using namespace joinery;
using namespace joinery::transport;

namespace {

struct Outcome {
    std::vector<Bytes> messages;
    bool is_over = false;  ///< By an error or a close frame.
};

Outcome feed(ByteView stream, std::size_t part, WsCodec::Side side) {
    test::SeededRandom random{1};
    WsCodec codec(side, random);
    constexpr std::size_t kSizeMax = 4096;
    codec.set_size_max(kSizeMax);
    Outcome outcome;
    std::size_t size = 0;
    for (std::size_t done = 0; done < stream.size(); done += part) {
        codec.take(stream.subspan(done, std::min(part, stream.size() - done)));
        while (auto message = codec.next()) {
            JOINERY_ASSERT(message->size() <= kSizeMax);
            size += message->size();
            outcome.messages.push_back(*std::move(message));
        }
        // A ping of two bytes more than its payload is answered by as much, and by a mask.
        JOINERY_ASSERT(codec.out().size() <= 3 * stream.size() + 16);
        if (part == SIZE_MAX) break;
    }
    JOINERY_ASSERT(size <= stream.size());
    outcome.is_over = codec.error().has_value() || codec.is_end_seen();
    return outcome;
}

/// When libwslay sees what is wrong with a close frame hangs on the cuts: with both bytes of its
/// code at once, or not before its end, which may not come.
void check_cuts(ByteView frames, std::size_t part, WsCodec::Side side) {
    const Outcome whole = feed(frames, SIZE_MAX, side);
    const Outcome parts = feed(frames, part, side);
    JOINERY_ASSERT(whole.messages == parts.messages);
    JOINERY_ASSERT(whole.is_over || !parts.is_over);
}

struct Head {
    bool failed = false;
    std::optional<std::size_t> size;
    unsigned status = 0;
    friend bool operator==(const Head&, const Head&) = default;
};

Head read_head(ByteView stream, std::size_t part) {
    HttpHeadReader reader(HttpHeadReader::Kind::request);
    std::size_t done = 0;
    while (done < stream.size()) {
        const ByteView bytes = stream.subspan(done, std::min(part, stream.size() - done));
        const auto taken = reader.take(bytes);
        if (!taken) return {true, std::nullopt, 0};
        if (*taken) {
            JOINERY_ASSERT(**taken <= bytes.size() && done + **taken <= kHttpHeadMax);
            WsPolicy policy;
            policy.token = "5eed";
            const WsAnswer answer = answer_upgrade(reader.head(), policy, "127.0.0.1");
            JOINERY_ASSERT(answer.status == 101 || answer.status >= 400);
            JOINERY_ASSERT(!write_answer(answer).empty());
            return {false, done + **taken, answer.status};
        }
        done += bytes.size();
    }
    return {};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const ByteView stream(data + 1, size - 1);
    const std::size_t part = std::size_t{data[0]} + 1;
    const Head head = read_head(stream, SIZE_MAX);
    JOINERY_ASSERT(read_head(stream, part) == head);
    const ByteView frames = stream.subspan(head.size.value_or(0));
    for (const auto side : {WsCodec::Side::listener, WsCodec::Side::dialler})
        check_cuts(frames, part, side);
    return 0;
}
