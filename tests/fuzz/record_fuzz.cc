/// @file
/// libFuzzer target for the records of a store: whatever decodes, encodes to the very same bytes.
#include "base/assert.h"
#include "engine/outbox.h"
#include "engine/records.h"

using namespace joinery;
using namespace joinery::detail;

namespace {

template <class Decode, class Encode>
void round_trip(ByteView input, Decode decode, Encode encode) {
    const auto record = decode(input);
    if (!record) return;
    const Bytes encoded = encode(*record);
    JOINERY_ASSERT(as_text(encoded) == as_text(input));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const ByteView input(data + 1, size - 1);
    const auto encode_document = [](const DocumentRecord& record) { return encode_record(record); };
    switch (data[0] % 5) {
        case 0: round_trip(input, decode_document_record, encode_document); break;
        case 1: round_trip(input, decode_arrival, encode_arrival); break;
        case 2: round_trip(input, decode_seal, encode_seal); break;
        case 3: round_trip(input, decode_rejected, encode_rejected); break;
        default: round_trip(input, decode_segment, encode_segment);
    }
    return 0;
}
