/// @file
/// Who in this process has which store open. LMDB keeps its locks by process, so that opening one
/// database twice in a process, and closing one of the two, silently drops the other's locks.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <tuple>

namespace joinery::persist::detail {

/// What identifies a directory, whatever path leads to it.
struct DirectoryId {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
};

/// The right of this process to open the store in one directory; given back by destruction.
/// @par Thread safety
/// take() and destruction are safe from any thread.
class DirectoryClaim {
  public:
    /// `busy` while another claim for @p id is alive in this process.
    static Result<DirectoryClaim> take(DirectoryId id);

    DirectoryClaim(DirectoryClaim&& other) noexcept;
    DirectoryClaim& operator=(DirectoryClaim&&) = delete;
    ~DirectoryClaim();

  private:
    // Device, inode and process: what a child inherits by fork claims nothing in the child.
    using Entry = std::tuple<std::uint64_t, std::uint64_t, int>;

    explicit DirectoryClaim(const Entry& entry) : entry_(entry) {}

    Entry entry_;
    bool held_ = true;
};

}  // namespace joinery::persist::detail
