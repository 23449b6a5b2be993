#include "engine/transient.h"

#include <algorithm>

namespace joinery::detail {

bool TransientWrites::put_off(std::string_view path,
                              const Plain& value,
                              MonotonicTime now,
                              std::chrono::milliseconds window) {
    const auto known = windows_.find(path);
    if (known != windows_.end() && now < known->second.end) {
        known->second.waiting = value;
        return true;
    }
    if (known != windows_.end()) {
        // Its end was not seen to yet; what waited is older than this.
        known->second = {now + window, window, {}};
    } else if (windows_.size() < kPathsMax) {
        windows_.emplace(path, Window{now + window, window, {}});
    }
    return false;
}

void TransientWrites::forget(std::string_view path) {
    const auto known = windows_.find(path);
    if (known != windows_.end()) windows_.erase(known);
}

TransientWrites::Writes TransientWrites::take_all() {
    Writes out;
    for (auto& [path, window] : windows_) {
        if (auto value = std::exchange(window.waiting, {}))
            out.emplace_back(path, *std::move(value));
    }
    return out;
}

TransientWrites::Writes TransientWrites::take_due(MonotonicTime now) {
    Writes out;
    for (auto at = windows_.begin(); at != windows_.end();) {
        auto& [path, window] = *at;
        if (now < window.end) {
            ++at;
        } else if (auto value = std::exchange(window.waiting, {})) {
            out.emplace_back(path, *std::move(value));
            window.end = now + window.length;
            ++at;
        } else {
            at = windows_.erase(at);
        }
    }
    return out;
}

std::optional<MonotonicTime> TransientWrites::next_due() const {
    if (windows_.empty()) return std::nullopt;
    const auto end_of = [](const auto& entry) { return entry.second.end; };
    return end_of(*std::ranges::min_element(windows_, {}, end_of));
}

}  // namespace joinery::detail
