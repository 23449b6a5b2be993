/// @file
/// libFuzzer target for JSON: what parses prints, and what is printed parses to the same.
#include "base/assert.h"
#include "joinery/json.h"

using namespace joinery;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto value = parse_json(as_text(ByteView(data, size)));
    if (!value) return 0;
    for (const std::size_t indent : {0U, 2U}) {
        JsonStyle style;
        style.indent = indent;
        const auto text = print_json(*value, style);
        JOINERY_ASSERT(text.has_value());
        const auto again = parse_json(*text);
        JOINERY_ASSERT(again.has_value());
        JOINERY_ASSERT(*again == *value);
    }
    return 0;
}
