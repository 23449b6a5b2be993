/// @file
/// The check of a document in which an actor has forked: its log from the first change on, then
/// what was made from the log. Stricter than DocumentCheck in one way: the log is looked at up to
/// its first fault, for behind one nobody knows which branch a number means.
#pragma once

#include "engine/forked_log.h"
#include "engine/verify_index.h"

#include <cstdint>
#include <map>
#include <string>

namespace joinery::detail {

class ForkedCheck {
  public:
    /// @p scope Must outlive this.
    ForkedCheck(CheckScope& scope, std::string id, const DocumentRecord& record);

    /// Adds what it finds to the scope. An Error where the store cannot be read at all.
    Result<void> run();

  private:
    Result<void> walk_log();
    /// False where the log cannot be followed any further.
    bool check_item(const TableScan::Item& item);
    bool take_segment(const DecodedSegment& segment);
    void close_flush();
    void check_counters();
    Result<void> check_index();
    Result<void> check_seals();
    void check_seal(const ChainKey& at, const TableScan::Item& item, bool is_newest);
    void add_forks();
    Result<void> check_snapshots();
    void add(const char* where, std::string change, std::string what, const char* remedy);

    CheckScope& scope_;
    std::string id_;
    DocumentRecord record_;
    ForkedLog log_;
    bool is_whole_ = true;  ///< Nothing of the log was left out.
    std::uint64_t size_ = 0;
    std::map<ChainKey, std::uint64_t> starts_;                ///< Arrival of the segment.
    std::map<ChainKey, ForkedLog::NodeIndex> sealed_;         ///< Ends of flushes.
    std::map<ActorId, ForkedLog::NodeIndex> in_flush_;        ///< The last of each chain.
    std::map<ForkedLog::NodeIndex, crdt::Seal> sound_seals_;  ///< Whose signature holds.
};

}  // namespace joinery::detail
