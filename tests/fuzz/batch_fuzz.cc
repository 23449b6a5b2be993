/// @file
/// libFuzzer target for a stream of batches: whatever decodes, encodes to the very same bytes;
/// whatever applies leaves a document that has a snapshot, and whatever does not leaves no trace.
#include "base/assert.h"
#include "crdt/codec.h"
#include "crdt/document.h"
#include "crdt/snapshot.h"
#include "fuzz/pieces.h"

using namespace joinery;
using namespace joinery::crdt;

namespace {

void check_snapshot(Document& document) {
    const Bytes snapshot = encode_snapshot(document);
    const auto again = decode_snapshot(snapshot, {1U << 20U, 1U << 24U});
    JOINERY_ASSERT(again.has_value());
    JOINERY_ASSERT((*again)->digest() == document.digest());
    JOINERY_ASSERT((*again)->read_root() == document.read_root());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Document document("fuzz");
    DecoderDictionary decoder;
    EncoderDictionary encoder;
    for (fuzz::Pieces pieces(data, size); !pieces.is_empty();) {
        const ByteView input = pieces.next();
        Batch batch;
        if (!decode_changes(input, document.names(), decoder, batch)) return 0;
        Bytes encoded;
        encode_changes(document.names(), batch, 0, batch.changes.size(), encoder, encoded);
        JOINERY_ASSERT(as_text(encoded) == as_text(input));
        const auto hashes = document.check(batch);
        if (!hashes) continue;
        const Digest before = document.digest();
        const auto report = document.apply(batch, *hashes);
        if (!report) JOINERY_ASSERT(document.digest() == before);
        check_snapshot(document);
    }
    return 0;
}
