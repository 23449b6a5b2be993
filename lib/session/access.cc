#include "session/access.h"

#include "session/pattern.h"

namespace joinery::session {

bool Access::shows(std::string_view id) const noexcept { return matches_any(reads, id); }

bool Access::takes(std::string_view id) const noexcept {
    return shows(id) && matches_any(writes, id);
}

Result<void> check_access(const Access& access) {
    JOINERY_TRY_VOID(Patterns::of(access.reads));
    JOINERY_TRY_VOID(Patterns::of(access.writes));
    return {};
}

}  // namespace joinery::session
