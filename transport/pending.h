/// @file
/// Attempts that are on their way and belong to nobody else. Private to transport/.
#pragma once

#include <memory>
#include <utility>
#include <vector>

namespace joinery::transport::detail {

/// Gives up what is still on its way when it is destroyed.
///
/// @tparam T  Has abandon(), after which no callback comes.
template <class T>
class Pending {
  public:
    Pending() = default;
    Pending(const Pending&) = delete;
    Pending& operator=(const Pending&) = delete;
    ~Pending() {
        for (const auto& weak : std::exchange(attempts_, {})) {
            if (const auto attempt = weak.lock()) attempt->abandon();
        }
    }

    void add(const std::shared_ptr<T>& attempt) {
        std::erase_if(attempts_, [](const auto& weak) { return weak.expired(); });
        attempts_.push_back(attempt);
    }

  private:
    std::vector<std::weak_ptr<T>> attempts_;
};

}  // namespace joinery::transport::detail
