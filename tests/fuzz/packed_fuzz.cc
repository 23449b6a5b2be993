/// @file
/// libFuzzer target for the column decoders: whatever decodes, encodes to the very same bytes.
#include "base/assert.h"
#include "crdt/cursor.h"
#include "crdt/packed.h"

#include <cstddef>
#include <cstdint>

namespace {

using namespace joinery;
using namespace joinery::crdt;

constexpr ColumnLimits kLimits{4096, 1U << 20};

void check_same(const Bytes& encoded, const ByteReader& reader, ByteView input) {
    const ByteView taken = input.first(static_cast<std::size_t>(reader.offset()));
    JOINERY_ASSERT(as_text(encoded) == as_text(taken));
}

template <class Column, class Decode, class Encode>
void round_trip(ByteView input, std::size_t count, Column column, Decode decode, Encode encode) {
    ByteReader reader(input);
    const Result<void> decoded = decode(reader, count, kLimits, column);
    JOINERY_ASSERT(decoded.has_value() == reader.ok());
    if (!decoded) return;
    Bytes encoded;
    ByteWriter writer(encoded);
    encode(column, writer);
    check_same(encoded, reader, input);
}

void encode_views(const StringColumn& column, ByteWriter& out) {
    encode_strings(column.values, out);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 3) return 0;
    const std::size_t count = data[1] + std::size_t{data[2]} * 256 % 4352;
    const ByteView input(data + 3, size - 3);
    switch (data[0] % 5) {
        case 0:
            round_trip(
                input, count, std::vector<std::uint64_t>{}, decode_integers, encode_integers);
            break;
        case 1:
            round_trip(input, count, std::vector<std::int64_t>{}, decode_signed, encode_signed);
            break;
        case 2: round_trip(input, count, std::vector<double>{}, decode_reals, encode_reals); break;
        case 3: round_trip(input, count, StringColumn{}, decode_strings, encode_views); break;
        default:
            round_trip(input, count, std::vector<std::uint8_t>{}, decode_booleans, encode_booleans);
    }
    return 0;
}
