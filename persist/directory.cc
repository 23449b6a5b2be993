#include "persist/directory.h"

#include "persist/format.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <string_view>
#include <sys/stat.h>
#include <system_error>

namespace joinery::persist::detail {
namespace {

/// Size of a new lock.mdb, which decides how many readers there can be: 64 bytes each.
constexpr std::uint64_t kLockFileSize = 32U << 10U;

Result<void> refuse_foreign_files(const std::filesystem::path& root) {
    constexpr std::array<std::string_view, 4> kOurs = {
        kGateFile, kUsersFile, kCreatingDir, kLockFile};
    std::error_code error;
    for (auto entry = std::filesystem::directory_iterator(root, error);
         !error && entry != std::filesystem::directory_iterator();
         entry.increment(error)) {
        const std::string name = entry->path().filename().string();
        if (name == kSidecarFile || name == kSlotsDir) {
            return fail(Errc::damaged, "the store's data.mdb is missing: restore a backup");
        }
        if (std::find(kOurs.begin(), kOurs.end(), name) == kOurs.end()) {
            return fail(Errc::conflict, "the directory holds other files and no store");
        }
    }
    return error ? Result<void>(system_error(error.value())) : Result<void>();
}

Result<std::filesystem::path> find_directory(const std::filesystem::path& directory, bool create) {
    struct ::stat status{};
    if (::stat(directory.c_str(), &status) != 0) {
        if (errno != ENOENT) return system_error(errno);
        if (!create) return fail(Errc::not_found, "no such directory");
        const auto made = make_empty_directory(directory);
        if (!made && made.error().code == Errc::not_found) {
            return fail(Errc::not_found, "the parent of the store's directory does not exist");
        }
        // Another process may have made it since, and begun to make a store there.
        std::error_code unknown;
        const bool is_there = std::filesystem::is_directory(directory, unknown);
        if (!made && !is_there) return made.error();
    } else if (!S_ISDIR(status.st_mode)) {
        return fail(Errc::malformed, "the path is not a directory");
    }
    std::error_code error;
    auto root = std::filesystem::canonical(directory, error);
    if (error) return system_error(error.value());
    JOINERY_TRY_VOID(refuse_remote(root));
    return root;
}

Result<DirectoryClaim> claim_directory(const std::filesystem::path& root) {
    struct ::stat status{};
    if (::stat(root.c_str(), &status) != 0) return system_error(errno);
    return DirectoryClaim::take({.device = status.st_dev, .inode = status.st_ino});
}

bool exists_at(const std::filesystem::path& path) {
    struct ::stat status{};
    return ::lstat(path.c_str(), &status) == 0 || errno != ENOENT;
}

}  // namespace

Result<StoreDirectory> StoreDirectory::enter(const std::filesystem::path& directory, bool create) {
    JOINERY_TRY(std::filesystem::path root, find_directory(directory, create));
    JOINERY_TRY(DirectoryClaim claim, claim_directory(root));
    StoreDirectory out(std::move(root), std::move(claim));
    // Before the first file is made: a directory that is not ours stays untouched.
    if (!out.has_database()) {
        // Another process may be making the store: what it put there after we looked is not
        // foreign.
        const auto refused = refuse_foreign_files(out.root_);
        if (!refused && !out.has_database()) return refused.error();
        if (!create && !out.has_database())
            return fail(Errc::not_found, "no store in this directory");
    }
    JOINERY_TRY(out.gate_, open_file(out.root_ / kGateFile, OpenMode::create));
    JOINERY_TRY_VOID(lock(out.gate_, LockKind::exclusive));
    JOINERY_TRY(out.users_, open_file(out.root_ / kUsersFile, OpenMode::create));
    JOINERY_TRY(out.sole_, try_lock(out.users_, LockKind::exclusive));
    return out;
}

Result<StoreDirectory> StoreDirectory::enter_unlocked(const std::filesystem::path& directory) {
    JOINERY_TRY(std::filesystem::path root, find_directory(directory, false));
    JOINERY_TRY(DirectoryClaim claim, claim_directory(root));
    StoreDirectory out(std::move(root), std::move(claim));
    if (!out.has_database()) return fail(Errc::not_found, "no store in this directory");
    out.sole_ = true;
    return out;
}

bool StoreDirectory::is_unlocked(const std::filesystem::path& directory) {
    return exists_at(directory / kDataFile) && !exists_at(directory / kUsersFile);
}

bool StoreDirectory::has_database() const { return exists_at(root_ / kDataFile); }

Result<std::optional<std::array<MetaPage, 2>>> StoreDirectory::check(
    const CheckPolicy& policy) const {
    using Heads = std::optional<std::array<MetaPage, 2>>;
    if (!sole_) return Heads();
    JOINERY_TRY_VOID(prepare_lock_file());
    JOINERY_TRY(const PageFile file, PageFile::open(root_ / kDataFile));
    const std::uint64_t expected = (file.meta().last_page + 1) * file.page_size();
    if (file.size() <= policy.whole_size_max || file.size() < expected) {
        JOINERY_TRY(const PageCheck found, check_pages(file));
        if (found.damaged_record_count > 0 && !policy.accept_damaged_records) {
            return fail(Errc::damaged,
                        "records are damaged: restore a backup or accept damaged records",
                        found.damaged_record_count);
        }
    }
    return Heads(file.metas());
}

// LMDB maps its lock file. If the disk filled up before the file's blocks were there, the first
// touch would kill the process.
Result<void> StoreDirectory::prepare_lock_file() const {
    JOINERY_TRY(const File file, open_file(root_ / kLockFile, OpenMode::create));
    JOINERY_TRY(const std::uint64_t size, file_size(file));
    const auto wanted = static_cast<::off_t>(size == 0 ? kLockFileSize : size);
    const int code = ::posix_fallocate(file.descriptor(), 0, wanted);
    if (code != 0 && code != EOPNOTSUPP && code != EINVAL) return system_error(code);
    return {};
}

Result<void> StoreDirectory::open_gate() {
    JOINERY_TRY_VOID(lock(users_, LockKind::shared));
    gate_ = File();
    return {};
}

bool StoreDirectory::try_close_gate() {
    auto gate = open_file(root_ / kGateFile, OpenMode::read_write);
    if (!gate || !try_lock(*gate, LockKind::exclusive).value_or(false)) return false;
    gate_ = std::move(*gate);
    sole_ = try_lock(users_, LockKind::exclusive).value_or(false);
    return sole_;
}

}  // namespace joinery::persist::detail
