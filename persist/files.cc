#include "persist/files.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <system_error>
#include <unistd.h>

namespace joinery::persist::detail {
namespace {

int open_flags(OpenMode mode) noexcept {
    switch (mode) {
        case OpenMode::read: return O_RDONLY;
        case OpenMode::read_write: return O_RDWR;
        case OpenMode::create: return O_RDWR | O_CREAT;
        case OpenMode::create_new: return O_RDWR | O_CREAT | O_EXCL;
    }
    return O_RDONLY;
}

int lock_flags(LockKind kind) noexcept { return kind == LockKind::shared ? LOCK_SH : LOCK_EX; }

}  // namespace

File::~File() {
    // Nothing to do about an error: what must be durable was synced before.
    if (descriptor_ >= 0) ::close(descriptor_);
}

Error system_error(int code) noexcept {
    switch (code) {
        case ENOSPC:
        case EDQUOT: return fail(Errc::io, "the disk is full");
        case EFBIG: return fail(Errc::io, "the file is larger than the system allows");
        case EACCES:
        case EPERM: return fail(Errc::io, "permission denied");
        case EROFS: return fail(Errc::io, "the file system is read-only");
        case ENOENT: return fail(Errc::not_found, "no such file or directory");
        case ENOTDIR: return fail(Errc::malformed, "a part of the path is not a directory");
        case EISDIR: return fail(Errc::malformed, "a directory stands where a file should be");
        case EEXIST: return fail(Errc::conflict, "the file exists already");
        case ENAMETOOLONG: return fail(Errc::malformed, "the path is too long");
        case ELOOP: return fail(Errc::malformed, "too many symbolic links in the path");
        case ENOMEM: return fail(Errc::io, "out of memory or address space");
        case EMFILE:
        case ENFILE: return fail(Errc::io, "too many open files");
        case EIO: return fail(Errc::io, "the disk failed to read or write");
        default:
            return fail(Errc::io,
                        "the system refused; the number is its errno",
                        static_cast<std::uint64_t>(code));
    }
}

Result<File> open_file(const std::filesystem::path& path, OpenMode mode) {
    const int descriptor = ::open(path.c_str(), open_flags(mode) | O_CLOEXEC, 0600);
    if (descriptor < 0) return system_error(errno);
    return File(descriptor);
}

Result<std::uint64_t> file_size(const File& file) {
    struct ::stat status{};
    if (::fstat(file.descriptor(), &status) != 0) return system_error(errno);
    if (!S_ISREG(status.st_mode)) return fail(Errc::malformed, "not a regular file");
    return static_cast<std::uint64_t>(status.st_size);
}

Result<std::size_t> read_at(const File& file, std::span<std::uint8_t> out, std::uint64_t offset) {
    std::size_t done = 0;
    while (done < out.size()) {
        const auto got = ::pread(file.descriptor(),
                                 out.data() + done,
                                 out.size() - done,
                                 static_cast<::off_t>(offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return system_error(errno);
        if (got == 0) break;
        done += static_cast<std::size_t>(got);
    }
    return done;
}

Result<void> write_at(const File& file, ByteView bytes, std::uint64_t offset) {
    std::size_t done = 0;
    while (done < bytes.size()) {
        const auto put = ::pwrite(file.descriptor(),
                                  bytes.data() + done,
                                  bytes.size() - done,
                                  static_cast<::off_t>(offset + done));
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return system_error(errno);
        if (put == 0) return system_error(ENOSPC);
        done += static_cast<std::size_t>(put);
    }
    return {};
}

Result<void> sync_file(const File& file) {
    if (::fsync(file.descriptor()) != 0) return system_error(errno);
    return {};
}

Result<void> sync_directory(const std::filesystem::path& directory) {
    JOINERY_TRY(const File file, open_file(directory, OpenMode::read));
    return sync_file(file);
}

Result<Bytes> read_file(const std::filesystem::path& path, std::size_t size_max) {
    JOINERY_TRY(const File file, open_file(path, OpenMode::read));
    Bytes out(size_max);
    JOINERY_TRY(const std::size_t size, read_at(file, out, 0));
    out.resize(size);
    return out;
}

Result<bool> try_lock(const File& file, LockKind kind) {
    while (::flock(file.descriptor(), lock_flags(kind) | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) return false;
        if (errno != EINTR) return system_error(errno);
    }
    return true;
}

Result<void> lock(const File& file, LockKind kind) {
    while (::flock(file.descriptor(), lock_flags(kind)) != 0) {
        if (errno != EINTR) return system_error(errno);
    }
    return {};
}

bool is_remote_file_system(std::uint64_t magic) noexcept {
    // From linux/magic.h and statfs(2); several are in no header.
    constexpr std::array<std::uint32_t, 13> kRemote = {
        0x6969,      // NFS
        0x517b,      // SMB
        0xff534d42,  // CIFS
        0xfe534d42,  // SMB 2
        0x01021997,  // 9p
        0x65735546,  // FUSE
        0x5346414f,  // AFS
        0x73757245,  // Coda
        0x00c36400,  // Ceph
        0x0bd00bd0,  // Lustre
        0x01161970,  // GFS2
        0x7461636f,  // OCFS2
        0x786f4256,  // VirtualBox shared folders
    };
    const auto low = static_cast<std::uint32_t>(magic);
    return std::find(kRemote.begin(), kRemote.end(), low) != kRemote.end();
}

Result<void> refuse_remote(const std::filesystem::path& directory) {
    struct ::statfs status{};
    if (::statfs(directory.c_str(), &status) != 0) return system_error(errno);
    if (is_remote_file_system(static_cast<std::uint64_t>(status.f_type))) {
        return fail(Errc::unsupported,
                    "the directory is on a network or user-space file system: use a local disk");
    }
    return {};
}

Result<std::uint64_t> free_size(const std::filesystem::path& directory) {
    struct ::statvfs status{};
    if (::statvfs(directory.c_str(), &status) != 0) return system_error(errno);
    return static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
}

Result<void> make_empty_directory(const std::filesystem::path& directory) {
    if (::mkdir(directory.c_str(), 0700) == 0) return {};
    if (errno != EEXIST) return system_error(errno);
    std::error_code error;
    if (!std::filesystem::is_directory(directory, error)) {
        return fail(Errc::conflict, "the target exists and is not a directory");
    }
    const bool empty = std::filesystem::is_empty(directory, error);
    if (error) return system_error(error.value());
    if (!empty) return fail(Errc::conflict, "the target directory is not empty");
    return {};
}

}  // namespace joinery::persist::detail
