/// @file
/// libFuzzer target for decode_snapshot(): whatever it accepts is what encode_snapshot() writes for
/// the document that it became, and that document can be read and hashed.
#include "base/assert.h"
#include "crdt/document.h"
#include "crdt/snapshot.h"

#include <cstddef>
#include <cstdint>

using namespace joinery;
using namespace joinery::crdt;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView input(data, size);
    const auto document = decode_snapshot(input, {1U << 14U, 1U << 18U});
    if (!document) return 0;
    const Bytes encoded = encode_snapshot(**document);
    JOINERY_ASSERT(as_text(encoded) == as_text(input));
    (*document)->digest();
    (*document)->read_root();
    return 0;
}
