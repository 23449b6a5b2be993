#include "engine/rate_limit.h"

#include <chrono>

namespace joinery::detail {

bool RateLimit::admits(MonotonicTime now, std::string_view host) {
    forget_before(now - std::chrono::seconds(1));
    if (admitted_.size() >= options_.in_all) return false;
    if (!host.empty()) {
        const auto known = of_host_.find(host);
        const std::size_t count = known == of_host_.end() ? 0 : known->second;
        if (count >= options_.of_host) return false;
        ++of_host_[std::string(host)];
    }
    admitted_.push_back({now, std::string(host)});
    return true;
}

void RateLimit::forget_before(MonotonicTime then) {
    for (; !admitted_.empty() && admitted_.front().at <= then; admitted_.pop_front()) {
        const auto known = of_host_.find(admitted_.front().host);
        if (known != of_host_.end() && --known->second == 0) of_host_.erase(known);
    }
}

}  // namespace joinery::detail
