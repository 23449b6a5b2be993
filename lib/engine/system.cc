// What the operating system gives: time, randomness, disks.

#include "joinery/peer.h"
#include "persist/lmdb_store.h"

#include <sodium.h>

#include <chrono>

namespace joinery {
namespace {

class SystemClock : public Clock {
  public:
    WallTime wall_now() override {
        return std::chrono::duration_cast<WallTime>(
            std::chrono::system_clock::now().time_since_epoch());
    }
    MonotonicTime monotonic_now() override {
        return std::chrono::steady_clock::now().time_since_epoch();
    }
};

class SystemRandom : public Random {
  public:
    void fill(std::span<std::uint8_t> out) override {
        static const bool ready = sodium_init() >= 0;
        JOINERY_ASSERT(ready);
        randombytes_buf(out.data(), out.size());
    }
};

}  // namespace

Clock& system_clock() {
    static SystemClock clock;
    return clock;
}

Random& system_random() {
    static SystemRandom random;
    return random;
}

Result<std::unique_ptr<Store>> open_store(const std::filesystem::path& directory, bool create) {
    persist::LmdbOptions options;
    options.create = create;
    options.now = system_clock().wall_now();
    return persist::open_lmdb_store(directory, options, system_random());
}

Result<void> backup_store(const std::filesystem::path& directory,
                          const std::filesystem::path& target) {
    return persist::backup_lmdb_store(directory, target);
}

Result<void> restore_store(const std::filesystem::path& backup,
                           const std::filesystem::path& target) {
    return persist::restore_lmdb_store(backup, target);
}

}  // namespace joinery
