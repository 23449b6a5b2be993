/// @file
/// The check of one document of a store: its log from the first change on, then what was made from
/// the log: index, seals, snapshot, counters.
#pragma once

#include "crdt/document.h"
#include "engine/history.h"
#include "engine/verify_index.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace joinery::detail {

class DocumentCheck {
  public:
    /// @p scope Must outlive this.
    DocumentCheck(CheckScope& scope, std::string id, const DocumentRecord& record);
    DocumentCheck(const DocumentCheck&) = delete;
    DocumentCheck& operator=(const DocumentCheck&) = delete;

    /// Adds what it finds to the scope. An Error where the store cannot be read at all.
    Result<void> run();

  private:
    /// One actor's changes, as the readable segments have them.
    struct Chain {
        /// A segment in which the chain goes on at @p seq.
        struct Start {
            std::uint64_t seq, arrival;
        };
        /// Where a flush left the chain.
        struct End {
            std::uint64_t seq;
            ChangeHash hash;
            bool has_seal;
        };
        std::uint64_t last_seq = 0;
        ChangeHash last_hash;
        std::vector<Start> starts;
        std::vector<End> ends;
        bool is_in_flush = false;
        std::optional<Result<void>> seed;  ///< What was found where its seal says it is one.
    };

    // The log.
    Result<void> walk_log();
    Result<void> check_item(const TableScan::Item& item);
    void skip_segment(std::uint64_t arrival, const std::string& what, const char* remedy);
    void check_segment(DecodedSegment& segment);
    /// The true hashes of the segment's changes, applied if all before them were.
    std::vector<ChangeHash> replay(DecodedSegment& segment, std::vector<ChangeHash> stated);
    void apply(DecodedSegment& segment, const std::vector<ChangeHash>& hashes);
    bool apply_part(const DecodedSegment& segment,
                    std::span<const ChangeHash> hashes,
                    std::size_t begin,
                    std::size_t end);
    void stop_replay(const DecodedSegment& segment, const Error& error);
    void note_changes(const DecodedSegment& segment, std::span<const ChangeHash> hashes);
    void check_entry(const DecodedSegment& segment, const crdt::ChangeHeader& change);
    void check_seed_at(const DecodedSegment& segment, std::size_t index);
    void close_flush();
    void check_counters();

    // What was made from it.
    void compare_snapshot();
    std::string snapshot_fault(const Result<std::unique_ptr<crdt::Document>>& loaded) const;
    Result<void> check_snapshots();
    void check_opening();
    Result<void> check_index();
    Result<void> check_seals();
    std::optional<crdt::Seal> check_seal_record(const ChainKey& at, const TableScan::Item& item);
    /// Whether a flush left the chain there; it is then not missed.
    bool mark_sealed(const ChainKey& at);
    void verify_seal(const ChainKey& at, const crdt::Seal& seal);

    /// The hash of a change that the readable segments have; `not_found`.
    Result<ChangeHash> hash_at(const ActorId& actor, std::uint64_t seq) const;
    bool is_unreadable(std::uint64_t arrival) const;
    Chain& chain_of(crdt::ChainIndex index);
    const Chain* find_chain(const ActorId& actor) const;
    Bytes prefix() const;
    void add(const char* where, std::string change, std::string what, const char* remedy);
    std::string name_of(const crdt::ChangeHeader& change) const;

    CheckScope& scope_;
    std::string id_;
    DocumentRecord record_;
    std::unique_ptr<crdt::Document> document_;
    bool is_replaying_ = true;  ///< Every change so far was applied.
    bool is_compared_ = false;  ///< The snapshot, with what the replay gave there.
    bool is_snapshot_sound_ = false;
    std::uint64_t next_ = 0;                  ///< Changes that came before the next segment.
    std::uint64_t size_ = 0;                  ///< Bytes of the segments.
    std::optional<std::uint64_t> gap_begin_;  ///< Of a segment that cannot be read: who knows how
                                              ///< far it goes.
    std::vector<std::pair<std::uint64_t, std::uint64_t>> unreadable_;  ///< Arrivals: from, to.
    std::vector<Chain> chains_;                                        ///< By the document's names.
    std::vector<crdt::ChainIndex> in_flush_;
};

}  // namespace joinery::detail
