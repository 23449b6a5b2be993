/// @file
/// Making a change: operations by container and key, applied as they are made and committed whole
/// or not at all.
#pragma once

#include "crdt/document.h"

#include <optional>
#include <string_view>

namespace joinery::crdt {

struct PutBackStep;

/// One atomic change in the making. Reads of the document see what was done so far.
///
/// Every verb answers `malformed` for a container of the wrong kind, `not_found` for a slot or
/// index that is not there, `over_limit` for a key, string or depth past crdt/limits.h. After an
/// Error the transaction can go on: the verb that failed did nothing.
class Transaction {
  public:
    /// Begins a change by @p actor. @p document Must outlive the transaction and have no other
    /// open.
    Transaction(Document& document, const ActorId& actor, WallTime time);
    /// The same by an actor that the names hold already: saves looking it up.
    Transaction(Document& document, ChainIndex chain, WallTime time);
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    /// Undoes everything, unless committed.
    ~Transaction();

    /// Makes the slot hold @p value and nothing else (rules R1, R4, M5).
    Result<void> put(ContainerIndex container, std::uint32_t key, const Value& value);
    /// Makes the slot show an empty container of @p kind, or the one that it shows already.
    Result<ContainerIndex> make(ContainerIndex container, std::uint32_t key, Kind kind);
    /// Clears the slot (rules E).
    Result<void> erase(ContainerIndex container, std::uint32_t key);
    /// Adds @p delta; `over_limit` if the sum would leave 64 bits (rule N2).
    Result<void> increment(ContainerIndex counter, std::int64_t delta);
    /// The counter at a slot, made by its first increment; clears what else is shown there.
    Result<ContainerIndex> counter_at(ContainerIndex container, std::uint32_t key);

    /// What an insert puts into the new element's slot.
    struct Content {
        Kind made = Kind::none;  ///< none: the value.
        Value value;
    };
    /// Inserts before the visible element @p index (its count appends). @p by_key names the element
    /// (rule L6); `conflict` if such an element shows already.
    Result<ElementIndex> insert(ContainerIndex list,
                                std::size_t index,
                                const Content& content,
                                const std::optional<Names::ElementKey>& by_key = std::nullopt);
    /// Moves the visible element at @p from so that it stands at @p to.
    Result<void> move(ContainerIndex list, std::size_t from, std::size_t to);

    // --- In a refusal (rules U3, U4) ---------------------------------------------------------
    /// Makes the change the refusal of @p change, which must be one of its dependencies: it is then
    /// made even if it does nothing.
    void refuse(const Dependency& change);
    /// Does a step that PutBack found. Outside a refusal stamps follow R3.
    Result<void> put_back(const PutBackStep& step);

    /// The index of map key @p key, interned.
    Result<KeyIndex> key(std::string_view key);
    /// The visible element at @p index of @p list; `not_found` past the end.
    Result<ElementIndex> element_at(ContainerIndex list, std::size_t index) const;

    /// Ends the change. False if there was nothing to commit: then nothing was made.
    Result<bool> commit(std::string_view message = {});
    /// Ends the change without making it: it is undone here and becomes all of @p out, which is
    /// empty, as the one change of a batch. False if there was nothing to commit.
    Result<bool> take(std::string_view message, Batch& out);
    /// Undoes everything; afterwards only destruction is allowed. Names stay interned: handles may
    /// hold them.
    void abort();

    std::size_t op_count() const noexcept;
    Document& document() noexcept { return document_; }
    const Document& document() const noexcept { return document_; }

  private:
    /// Completes the header; false, and undone, if the change has no operation.
    Result<bool> finish(std::string_view message);
    Result<void> run(Op op, std::optional<SlotIndex> slot = std::nullopt);
    Result<void> check_slot(ContainerIndex container, std::uint32_t key) const;
    Result<void> check_value(const Value& value) const;
    Result<void> clear_other_kinds(ContainerIndex container, std::uint32_t key, Kind kept);
    std::int64_t stamp_for(SlotIndex slot) const;
    /// The stamp to carry after @p greatest, or kNoStamp where the wall time does. The last stamp
    /// of all has none after it.
    std::int64_t stamp_after(std::int64_t greatest) const;
    Result<void> add_increment(ContainerIndex counter, std::int64_t delta);
    void collect_cells(ContainerIndex container, std::uint32_t key);
    PlaceExtra place_after(const Sequence& places, std::uint32_t left_item) const;

    Document& document_;
    ChangeHeader header_;
    Batch::Mark batch_before_;
    bool open_ = true;
};

}  // namespace joinery::crdt
