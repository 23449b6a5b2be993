/// @file
/// libFuzzer target for the laws: whatever history the bytes decide, all replicas come out alike
/// and like the model.
#include "base/assert.h"
#include "crdt/random_history.h"

#include <cstdio>

using namespace joinery;
using namespace joinery::crdt::test;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    BytesSource source(ByteView(data + 1, size - 1));
    RandomHistory history(source, static_cast<Theme>(data[0] % kThemeCount));
    while (!source.is_empty() && history.fault().empty())
        history.run(1);
    history.finish();
    history.replay();
    if (!history.fault().empty()) std::fprintf(stderr, "%s\n", history.fault().c_str());
    JOINERY_ASSERT(history.fault().empty());
    return 0;
}
