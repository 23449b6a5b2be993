#include "session/access.h"

#include "session/pattern.h"

namespace joinery::session {

bool is_everything(const Access& access) { return access == Access(); }

bool shows(const Access& access, std::string_view id) noexcept {
    return matches_any(access.reads, id);
}

bool takes(const Access& access, std::string_view id) noexcept {
    return shows(access, id) && matches_any(access.writes, id);
}

Result<void> check_access(const Access& access) {
    JOINERY_TRY_VOID(Patterns::of(access.reads));
    JOINERY_TRY_VOID(Patterns::of(access.writes));
    return {};
}

}  // namespace joinery::session
