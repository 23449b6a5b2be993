/// @file
/// The few operations on files that persist/ needs, with errno turned into an Error.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <cstdint>
#include <filesystem>
#include <span>
#include <utility>

namespace joinery::persist::detail {

/// An open file descriptor; closing is destruction, and so is giving up its locks.
class File {
  public:
    File() = default;
    explicit File(int descriptor) noexcept : descriptor_(descriptor) {}
    File(File&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
    File& operator=(File&& other) noexcept {
        std::swap(descriptor_, other.descriptor_);
        return *this;
    }
    ~File();

    int descriptor() const noexcept { return descriptor_; }

  private:
    int descriptor_ = -1;
};

enum class OpenMode : std::uint8_t { read, read_write, create, create_new };

/// What errno value @p code means for the caller.
Error system_error(int code) noexcept;

/// Opens a file, made readable for its owner alone where @p mode creates it; never inherited by
/// exec.
Result<File> open_file(const std::filesystem::path& path, OpenMode mode);
Result<std::uint64_t> file_size(const File& file);
/// Reads up to @p out's size at @p offset. @return How many bytes there were.
Result<std::size_t> read_at(const File& file, std::span<std::uint8_t> out, std::uint64_t offset);
Result<void> write_at(const File& file, ByteView bytes, std::uint64_t offset);
/// Makes the content of @p file durable.
Result<void> sync_file(const File& file);
/// Makes the names in @p directory durable.
Result<void> sync_directory(const std::filesystem::path& directory);
/// The first @p size_max bytes of a file. `not_found` if there is none.
Result<Bytes> read_file(const std::filesystem::path& path, std::size_t size_max);

enum class LockKind : std::uint8_t { shared, exclusive };

// Locks are flock()s: they belong to the open file, end with the process however it ends, and do
// not end when somebody else in the process closes the same file, as fcntl() locks would.

/// Takes the lock if it is free. @return Whether it is ours now.
Result<bool> try_lock(const File& file, LockKind kind);
/// Waits for the lock.
Result<void> lock(const File& file, LockKind kind);

/// Whether statfs() type @p magic is of a file system on another machine or in a user process,
/// where neither mmap nor locks can be relied on.
bool is_remote_file_system(std::uint64_t magic) noexcept;
/// `unsupported` if @p directory lies on such a file system.
Result<void> refuse_remote(const std::filesystem::path& directory);
/// Bytes that this process may still write where @p directory lies.
Result<std::uint64_t> free_size(const std::filesystem::path& directory);

/// Makes @p directory unless it exists. `not_found` without its parent, `conflict` if it exists and
/// holds anything, or is no directory.
Result<void> make_empty_directory(const std::filesystem::path& directory);

}  // namespace joinery::persist::detail
