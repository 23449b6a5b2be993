/// @file
/// Reading a database file page by page with bounds checked, not through LMDB: LMDB trusts what is
/// in the file and dies of what is not.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "persist/files.h"

#include <array>
#include <cstdint>
#include <filesystem>

namespace joinery::persist::detail {

using PageNumber = std::uint64_t;
/// The root of a table without records.
inline constexpr PageNumber kNoPage = ~PageNumber{0};

/// What LMDB keeps about one table: struct MDB_db, 48 bytes.
struct TreeRoot {
    std::uint16_t flags = 0;
    std::uint16_t depth = 0;
    std::uint64_t entry_count = 0;
    PageNumber page = kNoPage;

    static constexpr std::size_t kSize = 48;
    /// @p in must be kSize long.
    static TreeRoot decode(ByteView in);
};

/// The header of any page, and of a run of pages.
struct PageHeader {
    PageNumber number = 0;
    std::uint16_t flags = 0;
    std::uint16_t lower = 0;       ///< End of the node pointers.
    std::uint16_t upper = 0;       ///< Start of the nodes.
    std::uint32_t page_count = 0;  ///< Of a run of pages, in place of lower and upper.

    static constexpr std::size_t kSize = 16;
    static constexpr std::uint16_t kBranch = 0x01;
    static constexpr std::uint16_t kLeaf = 0x02;
    static constexpr std::uint16_t kOverflow = 0x04;
    static constexpr std::uint16_t kMeta = 0x08;
    /// @p in must be at least kSize long.
    static PageHeader decode(ByteView in);
};

/// The start of a database file: one of two meta pages.
struct MetaPage {
    std::size_t page_size = 0;
    TreeRoot free_pages;
    TreeRoot main;
    PageNumber last_page = 0;
    std::uint64_t transaction = 0;
    /// file_checksum() of its bytes in use.
    std::uint64_t checksum = 0;
};

/// A database file opened for reading.
class PageFile {
  public:
    /// `not_found` without a file, `malformed` if it is no database, `damaged` if its meta pages
    /// contradict themselves or each other.
    static Result<PageFile> open(const std::filesystem::path& path);

    /// The state of the database: the newer meta page.
    const MetaPage& meta() const noexcept;
    const std::array<MetaPage, 2>& metas() const noexcept { return metas_; }
    std::size_t page_size() const noexcept { return metas_[0].page_size; }
    std::uint64_t size() const noexcept { return size_; }
    /// Replaces @p out with @p count pages. `damaged` if the file does not hold them.
    Result<void> read(PageNumber first, std::uint64_t count, Bytes& out) const;

  private:
    PageFile(File file, std::uint64_t size) : file_(std::move(file)), size_(size) {}
    Result<MetaPage> read_meta(std::uint64_t offset, PageNumber number) const;

    File file_;
    std::uint64_t size_;
    std::array<MetaPage, 2> metas_{};
};

}  // namespace joinery::persist::detail
