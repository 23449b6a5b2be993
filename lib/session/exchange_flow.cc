// The part of Exchange that is about changes that go one way alone.

#include "session/exchange.h"

namespace joinery::session {

/// Where changes go one way alone: whether all of the source's, this one or the other, is there.
bool Exchange::take_one_way(const FrontierNote& message, const Own& own) {
    if (!flow_.gives && covers(own.frontier, message.frontier)) {
        cover(own);
        return true;
    }
    if (!flow_.takes && covers(message.frontier, own.frontier)) {
        agree(own);
        if (message.is_durable) mark_acked(own.frontier);
        return true;
    }
    return false;
}

/// Where nothing of ours is taken: all that they had is here, and perhaps more.
void Exchange::cover(const Own& own) {
    own_hash_ = own.hash;
    settle();
}

bool Exchange::has_untaken() const {
    return !flow_.gives && port_ != nullptr && !lacks_nothing(port_->frontier());
}

}  // namespace joinery::session
