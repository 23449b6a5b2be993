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
#include <vector>

namespace joinery::crdt {

/// Branches of one actor in one document, trunks counted: more are not taken.
inline constexpr std::size_t kBranchCountMax = 64;

class ForkedDocument {
  public:
    explicit ForkedDocument(std::string id);
    ForkedDocument(const ForkedDocument&) = delete;
    ForkedDocument& operator=(const ForkedDocument&) = delete;
    ~ForkedDocument();

    /// Those of the changes, as their authors gave them: not the ones of document().
    Names& names() noexcept { return names_; }

    /// What a change follows, by hash.
    struct Links {
        ChangeHash previous;  ///< The chain's origin for an actor's first change.
        std::span<const ChangeHash> dependencies;
    };
    /// Takes change @p index of @p batch, which names() names; false if it is here already. The
    /// caller has verified the seal over the hash.
    ///
    /// @return `not_found` if what it follows is missing; `malformed` for numbers that do not
    ///         follow, a fork that its author knew of, names that mean nothing or two things, and
    ///         as apply_op(); `over_limit` for more than kBranchCountMax branches. After an Error
    ///         it is as it was.
    /// @par Cost
    /// Some microseconds an operation; where it opens a branch, the whole history once more.
    Result<bool> add(const Batch& batch, std::size_t index, const Links& links);

    /// The hash that the change would have; there must be as many dependencies as it says.
    ChangeHash hash_of(const Batch& batch, std::size_t index, const Links& links);
    bool has(const ChangeHash& hash) const { return by_hash_.contains(hash); }

    /// What it shows. Behind a fork its actors are branches: names of their first change's hash.
    const Document& document() const noexcept { return *document_; }
    Digest digest() { return document_->digest(); }

    /// The ends of all chains that nothing of their actor follows: what a frontier says.
    struct Tip {
        ActorId actor;
        std::uint64_t seq = 0;
        ChangeHash hash;
    };
    std::vector<Tip> tips() const;

  private:
    using NodeIndex = std::uint32_t;
    /// One change, in order of arrival.
    struct Node {
        ChangeHash hash;
        std::size_t change = 0;  ///< In history_.
        ChainIndex actor = kNone;
        std::uint64_t seq = 0, counter = 0, op_count = 0;
        NodeIndex previous = kNone;
        std::vector<NodeIndex> dependencies;
        std::vector<NodeIndex> followers;  ///< Of its actor, ascending by hash.
    };
    struct Chain {
        ChainIndex actor = kNone;
        NodeIndex first = kNone;
        bool is_branch = false;
        std::uint32_t parent = kNone;  ///< The chain that it branches from.
        ChainIndex inner = kNone;      ///< In document().
    };
    struct View;
    class Translator;

    Result<Node> check(const Batch& batch, std::size_t index, const Links& links) const;
    void attach(NodeIndex node);
    void detach(NodeIndex node);
    std::span<const NodeIndex> siblings_of(NodeIndex node) const;
    Result<void> find_chains(View& view, ChainIndex actor) const;
    Result<std::unique_ptr<View>> build() const;
    Result<void> extend();

    std::string id_;
    Names names_;
    Batch history_;  ///< All changes, in order of arrival.
    std::vector<Node> nodes_;
    std::map<ChangeHash, NodeIndex> by_hash_;
    std::map<ChainIndex, std::vector<NodeIndex>> roots_;  ///< By actor: its first changes, by hash.
    std::unique_ptr<View> view_;
    Document* document_ = nullptr;  ///< Of view_.
    ChangeHasher hasher_;
};

}  // namespace joinery::crdt
