/// @file
/// libFuzzer target for a session whose other side sends what it likes: it never fails an
/// assertion, answers in bounded numbers, and what its host has stays a document that can be read.
#include "base/assert.h"
#include "fuzz/pieces.h"
#include "session/session.h"
#include "support/fake_host.h"

#include <chrono>

using namespace joinery;

namespace {

/// More than all that one message can call for.
constexpr std::size_t kAnswersMax = 4096;

void pull(session::Session& session) {
    Bytes out;
    std::size_t count = 0;
    while (session.next_message(out)) {
        JOINERY_ASSERT(++count < kAnswersMax);
    }
    session.take_events();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    test::FakeHost host(1);
    host.put("d", "x", "1");
    host.at("d").presence()->set("k", Value("shown"));
    session::Options options;
    options.other_side.emplace();
    session::Session session(host, options);
    host.on_changed = [&](const std::string& id) { session.document_changed(id); };
    host.on_presence = [&](const std::string& id) { session.presence_changed(id); };
    MonotonicTime now{std::chrono::seconds(1)};
    pull(session);
    for (fuzz::Pieces pieces(data, size); !pieces.is_empty() && !session.is_closed();) {
        session.on_message(pieces.next(), now);
        pull(session);
        now += std::chrono::seconds(1);
        session.on_time(now);
        host.now = now;
        host.tend_presence();
        pull(session);
    }
    host.on_presence = {};  // The session's end is news, too.
    host.digests();
    for (const std::string& id : host.documents()) {
        JOINERY_ASSERT(host.at(id).presence()->board.entry_count() <=
                       session::kPresenceEntriesMax + kPresenceKeysMax);
    }
    return 0;
}
