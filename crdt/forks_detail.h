/// @file
/// The state behind a ForkedDocument, and the translation of one change into it.
#pragma once

#include "crdt/forks.h"

#include <map>
#include <set>
#include <utility>
#include <vector>

namespace joinery::crdt {

/// Changes as a set names them (F2, F3): its chains, and the Document in which each is an actor.
/// Made anew when a branch opens.
struct ForkedDocument::View {
    explicit View(const std::string& id) : document(id) {}

    Document document;
    std::vector<Chain> chains;
    std::vector<std::uint32_t> chain_of;        ///< By node.
    std::map<ActorId, std::uint32_t> branches;  ///< By name.
    std::set<ChainIndex> forked;                ///< Actors.
    std::vector<std::vector<NodeIndex>>
        contexts;  ///< By node: the ends, with it, of forked actors.

    /// A run that began before the chain did: what of it counts there.
    struct Crossing {
        std::uint64_t origin = 0;    ///< On the chain, as the document numbers.
        std::uint64_t previous = 0;  ///< The last increment before the chain.
        Int128 before = 0;           ///< The run's total then.
    };
    std::map<std::pair<ContainerIndex, std::uint32_t>, Crossing> crossings;

    /// Whether @p b is @p a or follows it, of one actor; both must have their chains.
    bool is_ancestor(const ForkedDocument& self, NodeIndex a, NodeIndex b) const;
};

/// Puts one change of @p self into the words of @p view.
class ForkedDocument::Translator {
  public:
    Translator(View& view, const ForkedDocument& self, NodeIndex node);

    /// Translates, applies, and notes what later changes need.
    Result<void> run();
    /// Where the operations of a change that was run stand.
    std::vector<Slot> slots();

  private:
    const Node& node(NodeIndex index) const { return self_.nodes_[index]; }
    const Chain& chain_of(NodeIndex index) const { return view_.chains[view_.chain_of[index]]; }
    /// The counter before the chain's first.
    std::uint64_t base_of(std::uint32_t chain) const {
        return node(view_.chains[chain].first).counter - 1;
    }
    std::uint64_t base_seq_of(std::uint32_t chain) const {
        return node(view_.chains[chain].first).seq - 1;
    }
    bool is_ancestor(NodeIndex a, NodeIndex b) const { return view_.is_ancestor(self_, a, b); }
    void find_context();
    Result<void> check_context() const;

    /// The chain of an operation, and its counter there.
    struct Place {
        std::uint32_t chain = kNone;
        std::uint64_t counter = 0;
    };
    std::optional<Place> place_on_path(NodeIndex tip, std::uint64_t counter) const;
    std::optional<ActorId> branch_in_context(NodeIndex tip, std::uint32_t chain) const;
    /// None where the actor has not forked: then names are as they are.
    Result<std::optional<Place>> find(ChainIndex named, std::uint64_t counter) const;
    Result<Dot> dot(Dot named);
    Result<ContainerIndex> container(ContainerIndex named);
    Result<ElementIndex> element(ElementIndex named);
    Result<std::uint32_t> key(ContainerIndex named_container, std::uint32_t named);

    Result<void> translate(const Op& named);
    Result<void> translate_place(const Op& named, Op& op);
    Result<void> translate_increment(const Op& named, Op& op, std::uint64_t counter);
    Result<void> translate_cells(const Op& named, Op& op);
    /// What the run of @p cell, named by somebody who had seen a fork in it, had before the fork:
    /// to him it begins there.
    Int128 before(const SeenCell& cell, std::uint32_t chain) const;
    /// The run at @p counter, as document() names it, that came over the beginning of @p chain;
    /// nullptr if none did.
    const View::Crossing* crossing_of(ContainerIndex counter, std::uint32_t chain) const;
    void note_dependencies();

    View& view_;
    const ForkedDocument& self_;
    NodeIndex index_;
    Names& inner_;
    Batch out_;
    std::vector<NodeIndex> seen_;  ///< Ends of forked actors in the context.
    std::vector<std::pair<ContainerIndex, View::Crossing>> crossed_;  ///< By this change.
};

}  // namespace joinery::crdt
