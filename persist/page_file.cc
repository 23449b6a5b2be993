#include "persist/page_file.h"

#include "base/assert.h"
#include "persist/format.h"

#include <bit>
#include <cstring>
#include <utility>

namespace joinery::persist::detail {
namespace {

constexpr std::uint32_t kMagic = 0xbeefc0de;
constexpr std::uint32_t kDataVersion = 1;
constexpr std::size_t kPageSizeMin = 512;
constexpr std::size_t kPageSizeMax = 1U << 16U;
/// MDB_INTEGERKEY, the flags of the table of free pages, and 0, those of all others.
constexpr std::uint16_t kFreeTableFlags = 0x08;

// Meta page: header 16, magic 4, version 4, address 8, map size 8, two TreeRoots, last page 8,
// transaction 8. All in the byte order of the machine that made the file.
constexpr std::size_t kMagicAt = 16;
constexpr std::size_t kVersionAt = 20;
constexpr std::size_t kFreeAt = 40;
constexpr std::size_t kMainAt = kFreeAt + TreeRoot::kSize;
constexpr std::size_t kLastPageAt = kMainAt + TreeRoot::kSize;
constexpr std::size_t kTransactionAt = kLastPageAt + 8;
constexpr std::size_t kMetaSize = kTransactionAt + 8;

template <class T>
T read_native(ByteView in, std::size_t offset) {
    JOINERY_ASSERT(offset + sizeof(T) <= in.size());
    T value{};
    std::memcpy(&value, in.data() + offset, sizeof value);
    return value;
}

Error damaged_meta() noexcept {
    return fail(Errc::damaged, "the head of data.mdb is damaged: restore a backup");
}

// Commits take turns: an even transaction is written to page 0, an odd one to page 1.
bool take_turns(const MetaPage& even, const MetaPage& odd) noexcept {
    if (even.transaction == 0 && odd.transaction == 0) return true;
    const std::uint64_t distance = even.transaction > odd.transaction
                                       ? even.transaction - odd.transaction
                                       : odd.transaction - even.transaction;
    return distance == 1 && even.transaction % 2 == 0;
}

}  // namespace

TreeRoot TreeRoot::decode(ByteView in) {
    return {.flags = read_native<std::uint16_t>(in, 4),
            .depth = read_native<std::uint16_t>(in, 6),
            .entry_count = read_native<std::uint64_t>(in, 32),
            .page = read_native<std::uint64_t>(in, 40)};
}

PageHeader PageHeader::decode(ByteView in) {
    return {.number = read_native<std::uint64_t>(in, 0),
            .flags = read_native<std::uint16_t>(in, 10),
            .lower = read_native<std::uint16_t>(in, 12),
            .upper = read_native<std::uint16_t>(in, 14),
            .page_count = read_native<std::uint32_t>(in, 12)};
}

Result<PageFile> PageFile::open(const std::filesystem::path& path) {
    JOINERY_TRY(File file, open_file(path, OpenMode::read));
    JOINERY_TRY(const std::uint64_t size, file_size(file));
    if (size == 0) return fail(Errc::damaged, "data.mdb is empty: restore a backup");
    PageFile out(std::move(file), size);
    JOINERY_TRY(out.metas_[0], out.read_meta(0, 0));
    JOINERY_TRY(out.metas_[1], out.read_meta(out.metas_[0].page_size, 1));
    if (out.metas_[1].page_size != out.metas_[0].page_size) return damaged_meta();
    if (!take_turns(out.metas_[0], out.metas_[1])) return damaged_meta();
    return out;
}

const MetaPage& PageFile::meta() const noexcept {
    return metas_[metas_[0].transaction < metas_[1].transaction ? 1 : 0];
}

Result<void> PageFile::read(PageNumber first, std::uint64_t count, Bytes& out) const {
    const std::uint64_t page_count = size_ / page_size();
    if (first >= page_count || count > page_count - first) {
        return fail(Errc::damaged, "data.mdb is cut short: restore a backup");
    }
    out.resize(static_cast<std::size_t>(count) * page_size());
    JOINERY_TRY(const std::size_t got, read_at(file_, out, first * page_size()));
    if (got != out.size()) return fail(Errc::damaged, "data.mdb is cut short: restore a backup");
    return {};
}

Result<MetaPage> PageFile::read_meta(std::uint64_t offset, PageNumber number) const {
    Bytes bytes(kMetaSize);
    JOINERY_TRY(const std::size_t got, read_at(file_, bytes, offset));
    if (got != bytes.size()) {
        return number == 0 ? fail(Errc::malformed, "data.mdb is not a database") : damaged_meta();
    }
    if (read_native<std::uint32_t>(bytes, kMagicAt) != kMagic) {
        return number == 0 ? fail(Errc::malformed, "data.mdb is not a database") : damaged_meta();
    }
    if (read_native<std::uint32_t>(bytes, kVersionAt) != kDataVersion) {
        return fail(Errc::unsupported, "data.mdb is of another LMDB version");
    }
    const PageHeader header = PageHeader::decode(bytes);
    const MetaPage meta = {
        // The first word of the free pages' root holds the page size instead.
        .page_size = read_native<std::uint32_t>(bytes, kFreeAt),
        .free_pages = TreeRoot::decode(ByteView(bytes).subspan(kFreeAt, TreeRoot::kSize)),
        .main = TreeRoot::decode(ByteView(bytes).subspan(kMainAt, TreeRoot::kSize)),
        .last_page = read_native<std::uint64_t>(bytes, kLastPageAt),
        .transaction = read_native<std::uint64_t>(bytes, kTransactionAt),
        .checksum = file_checksum(bytes)};
    const bool sound = header.number == number && header.flags == PageHeader::kMeta &&
                       std::has_single_bit(meta.page_size) && meta.page_size >= kPageSizeMin &&
                       meta.page_size <= kPageSizeMax && meta.last_page >= 1 &&
                       meta.free_pages.flags == kFreeTableFlags && meta.main.flags == 0;
    if (!sound) return damaged_meta();
    return meta;
}

}  // namespace joinery::persist::detail
