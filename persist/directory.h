/// @file
/// The directory of a store, and the locks that order its openers: the gate, held by who opens or
/// closes, and the users' lock, shared by all who have the store open.
#pragma once

#include "base/result.h"
#include "persist/files.h"
#include "persist/page_check.h"
#include "persist/page_file.h"
#include "persist/registry.h"

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>

namespace joinery::persist::detail {

/// What check() looks for.
struct CheckPolicy {
    std::uint64_t whole_size_max = 0;  ///< Longest data.mdb that is checked whole, in bytes.
    bool accept_damaged_records = false;
};

/// A store's directory, claimed for this process, with the gate held until open_gate(). Destruction
/// gives everything back.
class StoreDirectory {
  public:
    /// Waits for the gate. With @p create the directory is made if its parent is there.
    static Result<StoreDirectory> enter(const std::filesystem::path& directory, bool create);

    /// For a directory without locks, a backup: claims it and makes no file there. open_gate() is
    /// not for it. `not_found` without a database.
    static Result<StoreDirectory> enter_unlocked(const std::filesystem::path& directory);
    /// Whether @p directory has a database and no locks: what a backup is.
    static bool is_unlocked(const std::filesystem::path& directory);

    /// Absolute and without symbolic links.
    const std::filesystem::path& root() const noexcept { return root_; }
    /// Whether nobody else has the store open.
    bool is_sole() const noexcept { return sole_; }
    bool has_database() const;

    /// Makes sure that LMDB can be let loose on the files. Where others have the store open that
    /// was done already. @return The head of the file, if it was read.
    Result<std::optional<std::array<MetaPage, 2>>> check(const CheckPolicy& policy) const;
    /// Becomes a user and lets the next one through the gate.
    Result<void> open_gate();
    /// For closing, after the environment is closed: takes the gate again if that needs no wait.
    /// @return Whether nobody else has the store open or is about to.
    bool try_close_gate();

  private:
    StoreDirectory(std::filesystem::path root, DirectoryClaim claim)
        : root_(std::move(root)), claim_(std::move(claim)) {}
    Result<void> prepare_lock_file() const;

    std::filesystem::path root_;
    DirectoryClaim claim_;
    File users_;
    File gate_;
    bool sole_ = false;
};

}  // namespace joinery::persist::detail
