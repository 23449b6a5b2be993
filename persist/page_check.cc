#include "persist/page_check.h"

#include "persist/format.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace joinery::persist::detail {
namespace {

/// Deepest tree that LMDB's own cursors follow.
constexpr std::size_t kDepthMax = 32;

// A node: size or child page low 4, flags or child page high 2, key size 2, key, content.
constexpr std::size_t kNodeHeaderSize = 8;
constexpr std::uint16_t kContentElsewhere = 0x01;
constexpr std::uint16_t kSubTable = 0x02;
constexpr std::size_t kPageNumberSize = 8;

struct Node {
    std::uint64_t low = 0;    ///< Size of the content, or number of the child page.
    std::uint16_t flags = 0;  ///< Of a leaf's.
    ByteView key;
    ByteView content;  ///< Of a leaf's: the content, or the page where it is.
    std::size_t size = 0;
};

Error broken() noexcept {
    return fail(Errc::damaged, "the database's pages are damaged: restore a backup");
}

template <class T>
T read_native(ByteView in) {
    T value{};
    std::memcpy(&value, in.data(), sizeof value);
    return value;
}

bool bytes_less(ByteView a, ByteView b) {
    return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end());
}

bool numbers_less(ByteView a, ByteView b) {
    return read_native<std::uint64_t>(a) < read_native<std::uint64_t>(b);
}

/// Which pages are spoken for. Each may be so once.
class PageClaims {
  public:
    /// @p file_page_count is how many pages the file has. There may be more up to @p last: pages
    /// that were allocated and given up within one transaction were never written.
    PageClaims(PageNumber last, std::uint64_t file_page_count)
        : last_(last), in_file_(static_cast<std::size_t>(file_page_count), false) {}

    Result<void> claim(PageNumber first, std::uint64_t count) {
        if (first < 2 || first > last_ || count > last_ - first + 1) return broken();
        for (PageNumber page = first; page < first + count; ++page) {
            if (page >= in_file_.size()) {
                if (!beyond_.insert(page).second) return broken();
                continue;
            }
            if (in_file_[page]) return broken();
            in_file_[page] = true;
        }
        count_ += count;
        return {};
    }

    std::uint64_t count() const noexcept { return count_; }

  private:
    PageNumber last_;
    std::vector<bool> in_file_;
    std::set<PageNumber> beyond_;
    std::uint64_t count_ = 0;
};

/// The keys that a page may hold: not below first, and below end.
struct Bounds {
    std::optional<ByteView> first;
    std::optional<ByteView> end;
};

/// Called with each record of a tree in order; the views live for the call.
using OnRecord = std::function<Result<void>(ByteView key, std::uint16_t flags, ByteView content)>;

class Walk {
  public:
    Walk(const PageFile& file, PageClaims& claims, const TreeRoot& root, bool numeric)
        : file_(file), claims_(claims), root_(root), numeric_(numeric), pages_(kDepthMax) {}

    Result<void> run(const OnRecord& on_record) {
        if (root_.page == kNoPage) {
            return root_.depth == 0 && root_.entry_count == 0 ? Result<void>() : broken();
        }
        if (root_.depth == 0 || root_.depth > kDepthMax) return broken();
        JOINERY_TRY_VOID(visit(root_.page, 1, {}, on_record));
        return entry_count_ == root_.entry_count ? Result<void>() : broken();
    }

  private:
    /// Where there is damage, the Error says in which page; the first one stays.
    Result<void> visit(PageNumber number,
                       std::size_t level,
                       const Bounds& bounds,
                       const OnRecord& on_record) {
        const auto done = look_at(number, level, bounds, on_record);
        if (done || done.error().code != Errc::damaged || done.error().at != 0) return done;
        return fail(Errc::damaged, done.error().what, number);
    }

    Result<void> look_at(PageNumber number,
                         std::size_t level,
                         const Bounds& bounds,
                         const OnRecord& on_record) {
        Bytes& page = pages_[level - 1];
        JOINERY_TRY_VOID(claims_.claim(number, 1));
        JOINERY_TRY_VOID(file_.read(number, 1, page));
        const bool leaf = level == root_.depth;
        JOINERY_TRY(const std::vector<Node> nodes, decode_page(page, number, leaf));
        JOINERY_TRY_VOID(check_order(nodes, leaf, bounds));
        return leaf ? visit_records(nodes, on_record)
                    : visit_children(nodes, level, bounds, on_record);
    }

    Result<void> visit_children(const std::vector<Node>& nodes,
                                std::size_t level,
                                const Bounds& bounds,
                                const OnRecord& on_record) {
        for (std::size_t i = 0; i < nodes.size(); ++i) {
            Bounds inner = bounds;
            if (i > 0) inner.first = nodes[i].key;
            if (i + 1 < nodes.size()) inner.end = nodes[i + 1].key;
            JOINERY_TRY_VOID(visit(nodes[i].low, level + 1, inner, on_record));
        }
        return {};
    }

    Result<void> visit_records(const std::vector<Node>& nodes, const OnRecord& on_record) {
        for (const Node& node : nodes)
            JOINERY_TRY_VOID(visit_record(node, on_record));
        return {};
    }

    Result<std::vector<Node>> decode_page(ByteView page, PageNumber number, bool leaf) const {
        const PageHeader header = PageHeader::decode(page);
        const std::uint16_t flags = leaf ? PageHeader::kLeaf : PageHeader::kBranch;
        const bool sound = header.number == number && header.flags == flags &&
                           header.lower >= PageHeader::kSize && header.lower % 2 == 0 &&
                           header.lower <= header.upper && header.upper <= page.size();
        if (!sound) return broken();
        const std::size_t count = (header.lower - PageHeader::kSize) / 2;
        // LMDB asserts two children, but for the tree of free pages while that is rebalanced.
        if (!numeric_ && count < (leaf ? 1U : 2U)) return broken();
        std::vector<Node> nodes;
        nodes.reserve(count);
        std::size_t used = 0;
        for (std::size_t i = 0; i < count; ++i) {
            const auto at = read_native<std::uint16_t>(page.subspan(PageHeader::kSize + 2 * i));
            if (at < header.upper) return broken();
            JOINERY_TRY(Node node, decode_node(page, at, leaf));
            used += (node.size + 1) & ~std::size_t{1};
            nodes.push_back(node);
        }
        // Nodes lie side by side: if their sizes do not add up, two overlap.
        if (used != page.size() - header.upper) return broken();
        return nodes;
    }

    static Result<Node> decode_node(ByteView page, std::size_t at, bool leaf) {
        if (at % 2 != 0 || at > page.size() - kNodeHeaderSize) return broken();
        const ByteView in = page.subspan(at);
        Node node;
        node.low = read_native<std::uint32_t>(in);
        node.flags = read_native<std::uint16_t>(in.subspan(4));
        const std::size_t key_size = read_native<std::uint16_t>(in.subspan(6));
        node.size = kNodeHeaderSize + key_size;
        if (node.size > in.size()) return broken();
        node.key = in.subspan(kNodeHeaderSize, key_size);
        if (!leaf) {
            node.low |= std::uint64_t{node.flags} << 32U;
            return node;
        }
        const std::uint64_t content_size =
            node.flags == kContentElsewhere ? kPageNumberSize : node.low;
        if (content_size > in.size() - node.size) return broken();
        node.content = in.subspan(node.size, static_cast<std::size_t>(content_size));
        node.size += static_cast<std::size_t>(content_size);
        return node;
    }

    bool less(ByteView a, ByteView b) const {
        return numeric_ ? numbers_less(a, b) : bytes_less(a, b);
    }

    Result<void> check_order(const std::vector<Node>& nodes,
                             bool leaf,
                             const Bounds& bounds) const {
        // A branch's first key is not looked at, by LMDB neither: it stands for "all below".
        const std::size_t start = leaf ? 0 : 1;
        for (std::size_t i = start; i < nodes.size(); ++i) {
            const ByteView key = nodes[i].key;
            if (numeric_ ? key.size() != sizeof(std::uint64_t) : key.empty()) return broken();
            if (i > start && !less(nodes[i - 1].key, key)) return broken();
            if (bounds.first && less(key, *bounds.first)) return broken();
            if (bounds.end && !less(key, *bounds.end)) return broken();
        }
        return {};
    }

    Result<void> visit_record(const Node& node, const OnRecord& on_record) {
        ++entry_count_;
        if (node.flags == 0 || node.flags == kSubTable) {
            return on_record(node.key, node.flags, node.content);
        }
        if (node.flags != kContentElsewhere) return broken();
        const auto first = read_native<PageNumber>(node.content);
        const std::uint64_t count = (PageHeader::kSize + node.low - 1) / file_.page_size() + 1;
        JOINERY_TRY_VOID(file_.read(first, count, run_));
        const PageHeader header = PageHeader::decode(run_);
        if (header.number != first || header.flags != PageHeader::kOverflow) return broken();
        if (header.page_count < count) return broken();
        JOINERY_TRY_VOID(claims_.claim(first, header.page_count));
        const auto size = static_cast<std::size_t>(node.low);
        return on_record(node.key, 0, ByteView(run_).subspan(PageHeader::kSize, size));
    }

    const PageFile& file_;
    PageClaims& claims_;
    TreeRoot root_;
    bool numeric_;
    std::uint64_t entry_count_ = 0;
    std::vector<Bytes> pages_;  // One a level, so that the keys of those above stay valid.
    Bytes run_;
};

class Checker {
  public:
    Checker(const PageFile& file, const MetaPage& meta)
        : file_(file), meta_(meta), claims_(meta.last_page, file.size() / file.page_size()) {}

    Result<PageCheck> run() {
        JOINERY_TRY_VOID(find_tables());
        JOINERY_TRY_VOID(check_own_table());
        for (std::uint8_t table = 0; table < kTableCount; ++table) {
            const auto root = roots_.find(kTableNames[table]);
            if (root == roots_.end()) return broken();
            JOINERY_TRY_VOID(check_records(root->second, table));
        }
        JOINERY_TRY_VOID(check_free_pages());
        result_.page_count = claims_.count();
        return result_;
    }

  private:
    Result<void> find_tables() {
        Walk walk(file_, claims_, meta_.main, false);
        return walk.run([this](ByteView key, std::uint16_t flags, ByteView content) {
            // Anything else in the main table is another program's database.
            if (flags != kSubTable || content.size() != TreeRoot::kSize) return Result<void>();
            roots_[std::string(as_text(key))] = TreeRoot::decode(content);
            return Result<void>();
        });
    }

    Result<void> check_own_table() {
        const auto root = roots_.find(kOwnTableName);
        if (root == roots_.end()) return fail(Errc::malformed, "data.mdb is not a Joinery store");
        JOINERY_TRY_VOID(check_records(root->second, kOwnTable));
        if (format_ > kStoreFormat) {
            return fail(Errc::unsupported,
                        "the store was written by a newer Joinery: update this program",
                        format_);
        }
        // Without its own records whole, a store cannot say who it is.
        if (result_.damaged_record_count > 0 || format_ == 0) return broken();
        return {};
    }

    Result<void> check_records(const TreeRoot& root, std::uint8_t table) {
        if (root.flags != 0) return broken();
        Walk walk(file_, claims_, root, false);
        return walk.run([this, table](ByteView key, std::uint16_t flags, ByteView content) {
            if (flags != 0) return Result<void>(broken());
            const auto value = decode_record(table, key, content);
            ++result_.record_count;
            if (!value) ++result_.damaged_record_count;
            if (value && table == kOwnTable && as_text(key) == kFormatKey && value->size() == 4) {
                format_ = read_u32(*value);
            }
            return Result<void>();
        });
    }

    // A free page that is in use would be overwritten by the next commit.
    Result<void> check_free_pages() {
        Walk walk(file_, claims_, meta_.free_pages, true);
        return walk.run([this](ByteView key, std::uint16_t flags, ByteView content) {
            return flags == 0 && read_native<std::uint64_t>(key) <= meta_.transaction
                       ? claim_list(content)
                       : Result<void>(broken());
        });
    }

    // A list is its length and then page numbers, falling.
    Result<void> claim_list(ByteView list) {
        if (list.size() < kPageNumberSize) return broken();
        const auto count = read_native<std::uint64_t>(list);
        if (count > list.size() / kPageNumberSize - 1) return broken();
        PageNumber above = kNoPage;
        for (std::uint64_t i = 1; i <= count; ++i) {
            const auto at = static_cast<std::size_t>(i) * kPageNumberSize;
            const auto page = read_native<PageNumber>(list.subspan(at));
            if (page >= above) return broken();
            JOINERY_TRY_VOID(claims_.claim(page, 1));
            above = page;
        }
        return {};
    }

    const PageFile& file_;
    const MetaPage& meta_;
    PageClaims claims_;
    std::map<std::string, TreeRoot, std::less<>> roots_;
    std::uint32_t format_ = 0;
    PageCheck result_;
};

}  // namespace

Result<PageCheck> check_pages(const PageFile& file) { return check_pages(file, file.meta()); }

Result<PageCheck> check_pages(const PageFile& file, const MetaPage& meta) {
    return Checker(file, meta).run();
}

}  // namespace joinery::persist::detail
