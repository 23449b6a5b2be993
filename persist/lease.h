/// @file
/// Writer slots: which process may write as which actor of this store. A lock that the system takes
/// back from a dead process says who has a slot; the bytes in the file say how the last holder
/// ended.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "persist/files.h"

#include <cstdint>
#include <filesystem>
#include <optional>

namespace joinery::persist::detail {

/// Most processes that write to one store at a time.
inline constexpr std::uint32_t kSlotCountMax = 1024;

/// What the file of a slot said when it was leased.
struct SlotRecord {
    bool clean = false;
    std::uint32_t generation = 0;
};

/// A leased slot. Destruction gives it up without a word, as an unclean end does; release() before
/// it says that all is well.
class SlotLease {
  public:
    /// Leases the lowest free slot under @p directory, which is made if it is not there. `busy` if
    /// all are taken, `io`.
    static Result<SlotLease> take(const std::filesystem::path& directory);

    std::uint32_t slot() const noexcept { return slot_; }
    /// What the file said; none if it was new or its checksum failed.
    const std::optional<SlotRecord>& found() const noexcept { return found_; }
    /// Writes, durably, that @p generation is in use: to be called before its actor writes
    /// anything.
    Result<void> mark_leased(std::uint32_t generation);
    /// Writes that the holder ended cleanly; if the write fails or is lost, the end is unclean.
    void release();

  private:
    SlotLease(File file, std::uint32_t slot, std::optional<SlotRecord> found)
        : file_(std::move(file)), slot_(slot), found_(found) {}

    File file_;
    std::uint32_t slot_;
    std::optional<SlotRecord> found_;
    std::uint32_t generation_ = 0;
};

/// Whether the content of a slot's file is one that this build writes; nothing at all is, too, for
/// a file that is new.
bool is_slot_content(ByteView content);

/// The generation to write under, from what the slot's file and the database remember. Equal to the
/// last one only if both agree and the last holder ended cleanly.
/// @param known  What the database says, if it ever saw the slot leased.
std::uint32_t next_generation(const std::optional<SlotRecord>& found,
                              std::optional<std::uint32_t> known) noexcept;

}  // namespace joinery::persist::detail
