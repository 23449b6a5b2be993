/// @file
/// Changes of one document in order of arrival, with the places at which they may be parted.
#pragma once

#include "base/bytes.h"
#include "crdt/batch.h"
#include "crdt/codec.h"
#include "crdt/seal.h"

#include <cstddef>
#include <span>
#include <vector>

namespace joinery::detail {

/// Bytes that @p change takes in a message or on disk, about.
std::size_t encoded_size_of(const crdt::Batch& batch, const crdt::ChangeHeader& change);

/// What a group of changes may have, so that it can be sent as one batch; one change alone may have
/// more, since it cannot be parted.
inline constexpr std::size_t kFlushSizeMax = std::size_t{1} << 20U;  ///< Bytes, about.

/// Changes of one segment of the log.
inline constexpr std::size_t kSegmentMax = 4096;

class ChangeQueue {
  public:
    /// Changes that are not parted: one that was made here, or those of one message, whose seals
    /// vouch for its chains at its end alone.
    struct Span {
        std::size_t end = 0;  ///< Index of the change after it.
        std::size_t op_count = 0;
        std::size_t size = 0;  ///< Bytes, about.
        /// Of chains that end in it. Of what was made here: where it was sealed at the end of a
        /// flush.
        std::vector<crdt::Seal> seals;
        bool starts_flush = false;  ///< All before it, and it with what follows, is sealed.

        /// The seal of @p actor over @p seq; nullptr if there is none.
        const crdt::Seal* find_seal(const ActorId& actor, std::uint64_t seq) const;
    };

    bool empty() const noexcept { return batch_.empty(); }
    const crdt::Batch& batch() const noexcept { return batch_; }
    const std::vector<ChangeHash>& hashes() const noexcept { return hashes_; }
    /// In order; they cover all changes.
    const std::vector<Span>& spans() const noexcept { return spans_; }
    std::size_t change_count() const noexcept { return batch_.changes.size(); }
    /// Bytes, about.
    std::size_t size() const noexcept { return size_; }
    void clear();

    /// Appends change @p index of @p other, which has the same Names, to the span that is open.
    void append(const crdt::Batch& other, std::size_t index, const ChangeHash& hash);
    /// Ends the span; does nothing, and answers false, if it has no change.
    bool end_span(std::span<const crdt::Seal> seals, bool starts_flush = false);
    /// Adds a seal to span @p number, over its last change of the seal's chain.
    void add_seal(std::size_t number, const crdt::Seal& seal) {
        spans_[number].seals.push_back(seal);
    }
    void start_flush(std::size_t number) { spans_[number].starts_flush = true; }

    /// The number of the span after the longest row of spans from @p first on that one batch can
    /// hold: at least one.
    std::size_t flush_end(std::size_t first) const;
    /// The same for a row of whole flushes; @p first starts one.
    std::size_t whole_flush_end(std::size_t first) const;
    /// The seal of @p actor over @p seq in one of the spans; nullptr if there is none.
    const crdt::Seal* find_seal(const ActorId& actor, std::uint64_t seq) const;
    /// Index of the first change of span @p number.
    std::size_t begin_of(std::size_t number) const {
        return number == 0 ? 0 : spans_[number - 1].end;
    }

  private:
    crdt::Batch batch_;
    std::vector<ChangeHash> hashes_;
    std::vector<Span> spans_;
    std::size_t open_op_count_ = 0, open_size_ = 0;  // Of the span that is not ended yet.
    std::size_t size_ = 0;
};

}  // namespace joinery::detail
