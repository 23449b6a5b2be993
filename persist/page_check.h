/// @file
/// Checks a whole database file that nobody is writing: every page that is reachable or free, the
/// order of all keys, and the checksum of every record. After it LMDB can be let loose on the file.
#pragma once

#include "base/result.h"
#include "persist/page_file.h"

#include <cstdint>

namespace joinery::persist::detail {

struct PageCheck {
    std::uint64_t record_count = 0;          ///< In all tables of the store, its own included.
    std::uint64_t damaged_record_count = 0;  ///< Of these, those whose checksum fails.
    std::uint64_t page_count = 0;            ///< Reachable and free.
};

/// Walks @p file from its newer meta page.
///
/// @return `damaged` for any fault of structure (`at`: the page, if it is known), `malformed` if it
/// is a database but not a store,
///         `unsupported` if the store's format is newer than this build. Records whose checksum
///         fails are only counted.
/// @par Cost
/// Reads every reachable page once: O(file), and one bit of memory for each page.
Result<PageCheck> check_pages(const PageFile& file);
/// The same from @p meta: a state of a database that others go on writing, kept alive by a reader
/// that began before it.
Result<PageCheck> check_pages(const PageFile& file, const MetaPage& meta);

}  // namespace joinery::persist::detail
