/// @file
/// libFuzzer target for framing: a stream gives the same messages however it is cut, and its
/// memory stays in step with what arrived.
#include "base/assert.h"
#include "transport/frame.h"

#include <algorithm>
#include <cstring>
#include <vector>

using namespace joinery;
using namespace joinery::transport;

namespace {

struct Outcome {
    std::vector<Bytes> messages;
    bool failed = false;
    friend bool operator==(const Outcome&, const Outcome&) = default;
};

/// Feeds @p stream in parts of at most @p part bytes.
Outcome feed(ByteView stream, std::size_t part) {
    FrameDecoder decoder;
    Outcome outcome;
    std::size_t done = 0;
    while (done < stream.size()) {
        const auto room = decoder.prepare();
        const std::size_t count = std::min({part, room.size(), stream.size() - done});
        JOINERY_ASSERT(count != 0);
        std::memcpy(room.data(), stream.data() + done, count);
        decoder.commit(count);
        done += count;
        JOINERY_ASSERT(decoder.capacity() <= std::max(kReceiveKeepMax, 2 * done + kReceiveStep));
        for (;;) {
            const auto next = decoder.next();
            if (!next) {
                outcome.failed = true;
                return outcome;
            }
            if (!*next) break;
            outcome.messages.emplace_back((*next)->begin(), (*next)->end());
        }
    }
    return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const ByteView stream(data + 1, size - 1);
    const Outcome whole = feed(stream, SIZE_MAX);
    JOINERY_ASSERT(feed(stream, std::size_t{data[0]} + 1) == whole);
    FrameQueue queue;
    for (const Bytes& message : whole.messages)
        queue.push(message);
    std::size_t at = 0;
    while (!queue.is_empty()) {
        ByteView views[3];
        const std::size_t count = queue.gather(views);
        JOINERY_ASSERT(count != 0 && !views[0].empty());
        for (const ByteView view : std::span(views).first(count)) {
            JOINERY_ASSERT(as_text(view) == as_text(stream.subspan(at, view.size())));
            at += view.size();
            queue.consume(view.size());
        }
    }
    return 0;
}
