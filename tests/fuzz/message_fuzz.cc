/// @file
/// libFuzzer target for the messages of one direction: whatever reads, writes to the very same
/// bytes.
#include "base/assert.h"
#include "fuzz/pieces.h"
#include "session/messages.h"

using namespace joinery;
using namespace joinery::session;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    MessageReader reader;
    MessageWriter writer;
    for (fuzz::Pieces pieces(data, size); !pieces.is_empty();) {
        const ByteView input = pieces.next();
        const auto message = reader.read(input);
        if (!message) return 0;
        if (!*message) continue;
        Bytes written;
        std::visit([&](const auto& known) { writer.write(known, written); }, **message);
        // A hello of a later version may have more in it than we know.
        if (std::holds_alternative<Hello>(**message)) continue;
        JOINERY_ASSERT(as_text(written) == as_text(input));
    }
    return 0;
}
