/// @file
/// A document in which an actor has forked, with what of it is stored: all changes in memory, in
/// the order in which the log has them, and under which names the tables hold their chains.
#pragma once

#include "crdt/forks.h"
#include "engine/history.h"
#include "engine/records.h"
#include "joinery/document.h"
#include "session/host.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace joinery::detail {

/// What stands in a session's frontier of the other side for an actor of which that side has
/// another branch: what it has before it, nobody knows. It is of one session alone, for nobody
/// signed it.
inline session::FrontierEntry doubt_of(const ActorId& actor) { return {actor, 0, {1}}; }
inline bool is_doubt(const session::FrontierEntry& entry) { return entry.seq == 0; }
/// The actors of which @p theirs has doubts.
std::set<ActorId> suspects_in(const session::Frontier& theirs);

class ForkedLog {
  public:
    using NodeIndex = crdt::ForkedDocument::NodeIndex;

    /// @param names  Of the document as it was before the fork was known.
    ForkedLog(std::string id, crdt::Names names);

    crdt::ForkedDocument& document() noexcept { return document_; }
    const crdt::ForkedDocument& document() const noexcept { return document_; }
    const crdt::ForkedDocument::Node& node(NodeIndex index) const {
        return document_.nodes()[index];
    }
    /// What the change holds; chain_origin() where there is none before it.
    ChangeHash previous_hash(NodeIndex index) const;

    // --- Reading the store ---------------------------------------------------------------------
    /// Takes in the log's changes up to @p end, which the document shows after show() only:
    /// `damaged`.
    Result<void> load(StoreReader& reader, DocumentNumber number, std::uint64_t end);
    /// Takes in what others stored since, up to @p end. On an Error it may have come half the way.
    Result<void> absorb(StoreReader& reader, DocumentNumber number, std::uint64_t end);

    /// Takes the next segment of the log, whose changes are @p changes; shown after show() only.
    Result<void> take(const DecodedSegment& segment,
                      std::span<const crdt::ForkedDocument::Resolved> changes);

    // --- What is stored ------------------------------------------------------------------------
    /// Changes that are durable.
    std::uint64_t stored_count() const noexcept { return stored_count_; }
    /// The change that came as `#N`, from 1.
    NodeIndex stored_at(std::uint64_t arrival) const { return order_[arrival - 1].node; }
    bool is_stored(NodeIndex index) const;
    /// The number of the flush that stored `#N`: it rises.
    std::uint64_t flush_of(std::uint64_t arrival) const { return order_[arrival - 1].flush; }
    /// The name that takes the actor's place in keys of the tables. The first changes to be stored
    /// after each other bear the actor's; whichever is stored beside one that follows the same
    /// change opens a branch, whose name is that of its first change's hash.
    const ActorId& key_of(NodeIndex index) const { return keys_[index]; }
    /// Of the changes stored or put behind them: how many open a branch so.
    std::uint64_t branch_count() const noexcept { return branch_count_; }

    /// Puts a change behind those that are stored; it is one of them after keep_stored().
    void store(NodeIndex index, bool starts_flush);
    void keep_stored();
    /// Forgets what was put behind since the last keep_stored().
    void drop_unkept();

    /// All forks among the stored changes, by actor and seq.
    /// @param seal_of  The seal of a change, if it has one.
    std::vector<Fork> forks(
        const std::function<std::optional<crdt::Seal>(NodeIndex)>& seal_of) const;

    // --- For sessions --------------------------------------------------------------------------
    /// The ends of what is stored.
    session::Frontier frontier() const;
    /// The ends of all that is here.
    session::Frontier known_frontier() const;
    /// The change that an entry tells of; kNone if it is not here.
    NodeIndex find(const session::FrontierEntry& entry) const;
    session::FrontierEntry entry_of(NodeIndex index) const;
    /// Stored changes that whoever has @p theirs lacks, in the order of the log.
    std::vector<std::uint64_t> missing(const session::Frontier& theirs) const;
    /// Puts doubts in place of entries that cannot be true of what is here; @p in_doubt  also of
    /// those that may be.
    void doubt(session::Frontier& theirs, bool in_doubt) const;
    void advance(session::Frontier& theirs, const session::Frontier& more) const;
    bool is_covered(const session::Frontier& ours, const session::Frontier& theirs) const;

    /// What has to be said, in a batch of @p nodes, of the hashes that its changes build on.
    /// @param suspects  Actors of which the receiver may have branches that are not here; nullptr
    /// for
    ///                  a segment, which says by itself what its chains follow.
    std::vector<crdt::ChangeLinks> links_of(std::span<const NodeIndex> nodes,
                                            const std::set<ActorId>* suspects) const;

  private:
    struct Stored {
        NodeIndex node;
        std::uint64_t flush;
    };

    using Ends = std::span<const session::FrontierEntry>;  ///< Of one actor.

    using Resolved = crdt::ForkedDocument::Resolved;

    Result<void> store_segment(const DecodedSegment& segment, std::span<const Resolved> changes);
    std::vector<NodeIndex> find_all(Ends ends) const;
    bool has(Ends theirs, std::span<const NodeIndex> found, NodeIndex index) const;
    bool opens_branch(NodeIndex index) const;
    Fork::Branch branch_from(NodeIndex first,
                             const std::function<std::optional<crdt::Seal>(NodeIndex)>& seal_of,
                             DeviceKey& device) const;

    crdt::ForkedDocument document_;
    std::string id_;
    std::vector<Stored> order_;  ///< By arrival.
    std::uint64_t stored_count_ = 0, branch_count_ = 0;
    std::vector<ActorId> keys_;            ///< By node; zero for those not put into order_.
    std::vector<std::uint64_t> arrivals_;  ///< By node, from 1; 0 for those.
    std::set<NodeIndex> ends_;             ///< Of what is kept.
};

}  // namespace joinery::detail
