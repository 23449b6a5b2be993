/// @file
/// A document in which an actor has forked: rules F of docs/semantics.md, docs/forks.md. Changes
/// come as their authors named things; behind it stands a Document in which every branch is an
/// actor of its own. Slow beside a Document, so only for documents that have a fork.
#pragma once

#include "base/result.h"
#include "crdt/document.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace joinery::crdt {

class Transaction;

/// Branches of one actor in one document, trunks counted: more are not taken.
inline constexpr std::size_t kBranchCountMax = 64;

class ForkedDocument {
  public:
    /// @param names  Of the document as it was before the fork was known: its indices stay good.
    explicit ForkedDocument(std::string id, Names names = Names());
    ForkedDocument(const ForkedDocument&) = delete;
    ForkedDocument& operator=(const ForkedDocument&) = delete;
    ~ForkedDocument();

    using NodeIndex = std::uint32_t;  ///< A change, in order of arrival.
    struct Node {
        ChangeHash hash;
        std::size_t change = 0;  ///< In history().
        ChainIndex actor = kNone;
        std::uint64_t seq = 0, counter = 0, op_count = 0;
        NodeIndex previous = kNone;
        std::vector<NodeIndex> dependencies;  ///< By actor, then by hash.
        std::vector<NodeIndex> followers;     ///< Of its actor, ascending by hash.
    };

    /// Those of the changes, as their authors gave them: not the ones of document().
    Names& names() noexcept { return names_; }
    const Names& names() const noexcept { return names_; }
    /// All changes, in order of arrival.
    const Batch& history() const noexcept { return history_; }
    const std::vector<Node>& nodes() const noexcept { return nodes_; }
    /// The change of that hash; kNone if it is not here.
    NodeIndex find(const ChangeHash& hash) const;
    /// The change of (actor, seq) whose hash begins so; kNone if it is not here.
    NodeIndex find(ChainIndex actor, std::uint64_t seq, const HashPrefix& prefix) const;
    /// The change of (actor, seq) if there is one and no other; else kNone.
    NodeIndex find_only(ChainIndex actor, std::uint64_t seq) const;
    /// Whether anything of (actor, seq) is here, on whatever branch.
    bool has(ChainIndex actor, std::uint64_t seq) const;
    bool has(const ChangeHash& hash) const { return find(hash) != kNone; }
    /// Whether @p b is @p a or follows it, however far.
    bool is_ancestor(NodeIndex a, NodeIndex b) const;
    /// The changes of its actor that follow the same change, with itself, ascending by hash.
    const std::vector<NodeIndex>& siblings_of(NodeIndex node) const;
    /// Whether the actor has more chains than one.
    bool is_forked(ChainIndex actor) const { return forks_.contains(actor); }
    /// Whether any has.
    bool is_forked() const noexcept { return !forks_.empty(); }

    // --- Taking changes ------------------------------------------------------------------------
    /// What a change follows, by hash.
    struct Links {
        ChangeHash previous;  ///< The chain's origin for an actor's first change.
        std::span<const ChangeHash> dependencies;
    };
    /// A change of a batch with what it follows.
    struct Resolved {
        ChangeHash previous;
        std::vector<ChangeHash> dependencies;
        ChangeHash hash;
        bool is_known = false;  ///< It is here already.
        Links links() const { return {previous, dependencies}; }
    };
    /// Finds what the changes of @p batch, which names() names, follow: in the batch or here. Where
    /// they have no links, it is what has the number.
    ///
    /// @return `not_found` (`at` = index) if it is not there, or more than one change has the
    ///         number; `over_limit` for a change too large.
    Result<std::vector<Resolved>> resolve(const Batch& batch);
    /// Whether the view would be made anew for them: one opens a branch.
    bool opens_branch(std::span<const Resolved> changes) const;
    /// Takes the changes that are new, all or none. The caller has verified the seals.
    ///
    /// @return `not_found` if what one follows is missing; `malformed` for numbers that do not
    ///         follow, a fork that its author knew of, names that mean nothing or two things, and
    ///         as apply_op(); `over_limit` for more than kBranchCountMax branches. After an Error
    ///         it is as it was.
    /// @par Cost
    /// Some microseconds an operation; where a branch opens, the whole history once more.
    Result<ApplyReport> add_all(const Batch& batch, std::span<const Resolved> changes);
    /// One change; false if it is here already.
    Result<bool> add(const Batch& batch, std::size_t index, const Links& links);
    /// As add(), but document() has it only after show(): for many changes at once.
    Result<bool> add_unshown(const Batch& batch, std::size_t index, const Links& links);
    /// Makes document() anew from all changes. After an Error only destruction is allowed, if
    /// changes were added unshown.
    Result<void> show();

    /// The hash that the change would have; there must be as many dependencies as it says.
    ChangeHash hash_of(const Batch& batch, std::size_t index, const Links& links);

    /// Ends @p transaction, on document(), of an actor that has not forked: the change is named as
    /// its author, who knows all that is here, must name it, and taken like any other. False if
    /// there was nothing to commit. The new change is the last of nodes().
    Result<bool> commit(Transaction& transaction, std::string_view message = {});

    /// The name that the change, which is shown, has in document().
    Dependency shown_as(NodeIndex node) const;
    struct Mark {
        NodeIndex node_count;
        Batch::Mark history;
    };
    Mark mark() const noexcept { return {static_cast<NodeIndex>(nodes_.size()), history_.mark()}; }
    /// Goes back to how it was, at the cost of the whole history where what came since is shown.
    void drop_since(const Mark& mark);

    // --- What it shows -------------------------------------------------------------------------
    /// Behind a fork its actors are branches: names of their first change's hash. Another one after
    /// a branch opened.
    const Document& document() const noexcept { return *document_; }
    Document& document() noexcept { return *document_; }
    Digest digest() { return document_->digest(); }
    /// How often document() was made anew.
    std::uint64_t view_count() const noexcept { return view_count_; }
    /// The name that the change's chain has among all changes that are here (F2), shown or not.
    ActorId branch_of(NodeIndex node) const;
    /// The changes that no other depends on or follows.
    std::vector<NodeIndex> heads() const;
    /// Where an operation stands in document().
    struct Slot {
        ContainerIndex container = kRoot;
        std::uint32_t key = 0;  ///< Not of an increment.
    };
    /// Of each operation of a change that is here.
    std::vector<Slot> slots_of(NodeIndex node);

    /// The ends of all chains that nothing of their actor follows: what a frontier says.
    struct Tip {
        ActorId actor;
        std::uint64_t seq = 0;
        ChangeHash hash;
    };
    std::vector<Tip> tips() const;

  private:
    struct Chain {
        ChainIndex actor = kNone;
        NodeIndex first = kNone;
        bool is_branch = false;
        std::uint32_t parent = kNone;  ///< The chain that it branches from.
        ChainIndex inner = kNone;      ///< In document().
        NodeIndex last = kNone;
    };
    struct View;
    class Translator;
    class Namer;
    class Resolver;

    Result<Node> check(const Batch& batch, std::size_t index, const Links& links) const;
    void attach(NodeIndex node);
    void detach(NodeIndex node);
    /// Detaches all nodes from @p begin on, and cuts the history off at @p mark.
    void drop_from(NodeIndex begin, const Batch::Mark& mark);
    std::vector<NodeIndex>& siblings_of(NodeIndex node);
    Result<void> find_chains(View& view, ChainIndex actor) const;
    Result<std::unique_ptr<View>> build() const;
    void put_in_place(std::unique_ptr<View> view);
    Result<void> extend(NodeIndex node);
    Result<void> show_from(NodeIndex begin);
    void count_fork(ChainIndex actor, std::size_t siblings_before, std::size_t siblings_now);

    std::string id_;
    Names names_;
    Batch history_;
    std::vector<Node> nodes_;
    std::map<ChangeHash, NodeIndex> by_hash_;
    std::map<std::pair<ChainIndex, std::uint64_t>, std::vector<NodeIndex>> by_seq_;
    std::map<ChainIndex, std::vector<NodeIndex>> roots_;  ///< By actor: its first changes, by hash.
    std::map<ChainIndex, std::size_t> forks_;             ///< By actor that has any: how many.
    std::unique_ptr<View> view_;
    Document* document_ = nullptr;  ///< Of view_.
    std::uint64_t view_count_ = 0;
    ChangeHasher hasher_;
};

}  // namespace joinery::crdt
