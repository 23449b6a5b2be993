#include "base/plain.h"

#include <algorithm>

namespace joinery {

const Plain* find_member(const PlainObject& object, std::string_view key) noexcept {
    const auto at = std::ranges::lower_bound(
        object, key, {}, [](const auto& member) { return std::string_view(member.first); });
    return at != object.end() && at->first == key ? &at->second : nullptr;
}

}  // namespace joinery
