#include "session/host.h"

#include "session/frontier.h"

namespace joinery::session {

void DocumentPort::advance(Frontier& theirs, const Frontier& more) const { merge(theirs, more); }

bool DocumentPort::is_covered(const Frontier& ours, const Frontier& theirs) const {
    return covers(theirs, ours);
}

}  // namespace joinery::session
