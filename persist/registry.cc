#include "persist/registry.h"

#include <mutex>
#include <set>
#include <unistd.h>
#include <utility>

namespace joinery::persist::detail {
namespace {

// The one mutable global of this layer, because LMDB's limit is the process's.
struct Registry {
    std::mutex mutex;
    std::set<std::tuple<std::uint64_t, std::uint64_t, int>> entries;
};

Registry& registry() {
    static Registry instance;
    return instance;
}

}  // namespace

Result<DirectoryClaim> DirectoryClaim::take(DirectoryId id) {
    const Entry entry{id.device, id.inode, static_cast<int>(::getpid())};
    Registry& all = registry();
    const std::lock_guard guard(all.mutex);
    if (!all.entries.insert(entry).second) {
        return fail(Errc::busy, "this process has the store open already");
    }
    return DirectoryClaim(entry);
}

DirectoryClaim::DirectoryClaim(DirectoryClaim&& other) noexcept
    : entry_(std::move(other.entry_)), held_(std::exchange(other.held_, false)) {}

DirectoryClaim::~DirectoryClaim() {
    if (!held_) return;
    Registry& all = registry();
    const std::lock_guard guard(all.mutex);
    all.entries.erase(entry_);
}

}  // namespace joinery::persist::detail
