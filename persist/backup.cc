#include "persist/backup.h"

#include "persist/directory.h"
#include "persist/files.h"
#include "persist/format.h"
#include "persist/lmdb_store.h"
#include "persist/page_check.h"
#include "persist/page_file.h"

#include <cstdint>
#include <functional>
#include <span>
#include <system_error>

namespace joinery::persist {
namespace {

constexpr std::size_t kCopyBufferSize = 1U << 20U;
constexpr const char* kPartFile = "data.mdb.part";
/// Fills an open, empty file.
using Fill = std::function<Result<void>(const detail::File&)>;

Result<void> write_checked(const std::filesystem::path& target, const Fill& fill) {
    const auto part = target / kPartFile;
    {
        JOINERY_TRY(const detail::File file, open_file(part, detail::OpenMode::create_new));
        JOINERY_TRY_VOID(fill(file));
        JOINERY_TRY_VOID(sync_file(file));
    }
    JOINERY_TRY(const auto pages, detail::PageFile::open(part));
    JOINERY_TRY(const auto found, detail::check_pages(pages));
    if (found.damaged_record_count > 0) {
        return fail(Errc::damaged, "the copy holds damaged records", found.damaged_record_count);
    }
    std::error_code error;
    std::filesystem::rename(part, target / detail::kDataFile, error);
    if (error) return detail::system_error(error.value());
    return detail::sync_directory(target);
}

Result<void> make_copy(const std::filesystem::path& target, const Fill& fill) {
    JOINERY_TRY_VOID(detail::make_empty_directory(target));
    auto done = write_checked(target, fill);
    std::error_code error;
    if (!done) std::filesystem::remove(target / kPartFile, error);
    return done;
}

Result<void> copy_bytes(const detail::File& from, const detail::File& to) {
    Bytes buffer(kCopyBufferSize);
    for (std::uint64_t offset = 0;;) {
        JOINERY_TRY(const std::size_t size, detail::read_at(from, buffer, offset));
        if (size == 0) return {};
        JOINERY_TRY_VOID(detail::write_at(to, ByteView(buffer).first(size), offset));
        offset += size;
    }
}

}  // namespace

Result<void> detail::backup_env(LmdbEnv& env, const std::filesystem::path& target) {
    return make_copy(target, [&env](const File& file) { return env.copy_to(file.descriptor()); });
}

Result<void> backup_lmdb_store(const std::filesystem::path& directory,
                               const std::filesystem::path& target) {
    JOINERY_TRY(auto entered, detail::StoreDirectory::enter(directory, false));
    JOINERY_TRY([[maybe_unused]] const auto metas, entered.check({~std::uint64_t{0}, true}));
    JOINERY_TRY(const auto env,
                detail::LmdbEnv::open(entered.root(), {.map_size = 0, .read_only = true}));
    JOINERY_TRY_VOID(entered.open_gate());
    return detail::backup_env(*env, target);
}

Result<void> restore_lmdb_store(const std::filesystem::path& backup,
                                const std::filesystem::path& target) {
    std::error_code error;
    if (std::filesystem::exists(backup / detail::kUsersFile, error)) {
        return fail(Errc::conflict, "this is a store and no backup: make a backup of it first");
    }
    auto source = open_file(backup / detail::kDataFile, detail::OpenMode::read);
    if (!source && source.error().code == Errc::not_found) {
        return fail(Errc::not_found, "no backup in this directory");
    }
    if (!source) return source.error();
    return make_copy(target,
                     [&source](const detail::File& file) { return copy_bytes(*source, file); });
}

Result<StoreCheck> check_lmdb_store(const std::filesystem::path& directory) {
    JOINERY_TRY(const auto entered, detail::StoreDirectory::enter(directory, false));
    if (!entered.is_sole()) return fail(Errc::busy, "another process has the store open");
    JOINERY_TRY(const auto file, detail::PageFile::open(entered.root() / detail::kDataFile));
    JOINERY_TRY(const auto found, detail::check_pages(file));
    return StoreCheck{found.record_count, found.damaged_record_count, found.page_count};
}

}  // namespace joinery::persist
