// A process that writes through a Peer, for the tests to kill. Arguments: directory, document,
// how many changes (0: until killed). Each change increments /count and puts /made/ACTOR-N; after
// each flush it prints one line: ACTOR N. It keeps the store open until its input ends, so that its
// actor is not free for a process that starts later.

#include "joinery/peer.h"

#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

using namespace joinery;

Result<void> write_changes(Peer& peer, const std::string& id, std::uint64_t count) {
    JOINERY_TRY(Document document, peer.document(id));
    const std::string actor = to_hex(peer.status().actor.view());
    for (std::uint64_t i = 1; count == 0 || i <= count; ++i) {
        const auto body = [&](Tx& tx) -> Result<void> {
            if (!tx.read("/made")) JOINERY_TRY_VOID(tx.set("/made", Plain{PlainObject()}));
            JOINERY_TRY_VOID(tx.increment("/count", 1));
            return tx.set("/made/" + actor + "-" + std::to_string(i),
                          Value(static_cast<std::int64_t>(i)));
        };
        const auto receipt = document.transact(body);
        if (!receipt) return receipt.error();
        // Sometimes several changes share a flush, so that a kill finds some pending.
        if (i % 3 != 0 && i != count) continue;
        JOINERY_TRY_VOID(peer.flush());
        std::printf("%s %llu\n", actor.c_str(), static_cast<unsigned long long>(i));
        std::fflush(stdout);
    }
    return {};
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4) return 2;
    auto store = open_store(argv[1]);
    if (!store) {
        std::fprintf(stderr, "peer_writer: %s\n", std::string(store.error().what).c_str());
        return 3;
    }
    const auto peer = Peer::open(*std::move(store));
    if (!peer) return 4;
    const auto done = write_changes(**peer, argv[2], std::strtoull(argv[3], nullptr, 10));
    while (std::getchar() != EOF) {
    }
    if (!done) std::fprintf(stderr, "%s\n", std::string(done.error().what).c_str());
    return done ? 0 : 5;
}
