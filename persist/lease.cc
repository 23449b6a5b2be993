#include "persist/lease.h"

#include "persist/format.h"

#include <algorithm>
#include <string>

namespace joinery::persist::detail {
namespace {

// A slot file: magic 8, version 4, state 4, generation 4, zero 4, checksum of all before it 8.
constexpr std::string_view kMagic = "JNRYSLOT";
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kSize = 32;
constexpr std::size_t kChecksumAt = kSize - 8;
enum class State : std::uint8_t { clean = 0, leased = 1 };

Bytes encode_slot(State state, std::uint32_t generation) {
    const ByteView magic = as_bytes(kMagic);
    Bytes out(magic.begin(), magic.end());
    append_u32(out, kVersion);
    append_u32(out, static_cast<std::uint32_t>(state));
    append_u32(out, generation);
    append_u32(out, 0);
    append_u64(out, file_checksum(out));
    return out;
}

std::optional<SlotRecord> decode_slot(ByteView in) {
    if (in.size() != kSize || as_text(in.first(kMagic.size())) != kMagic) return std::nullopt;
    if (read_u64(in.subspan(kChecksumAt)) != file_checksum(in.first(kChecksumAt))) {
        return std::nullopt;
    }
    if (read_u32(in.subspan(8)) != kVersion) return std::nullopt;
    return SlotRecord{.clean = read_u32(in.subspan(12)) == static_cast<std::uint32_t>(State::clean),
                      .generation = read_u32(in.subspan(16))};
}

}  // namespace

Result<SlotLease> SlotLease::take(const std::filesystem::path& directory) {
    std::error_code error;
    if (std::filesystem::create_directory(directory, error)) {
        std::filesystem::permissions(directory, std::filesystem::perms::owner_all, error);
    }
    if (error) return system_error(error.value());
    for (std::uint32_t slot = 0; slot < kSlotCountMax; ++slot) {
        const auto path = directory / (std::to_string(slot) + ".lock");
        JOINERY_TRY(File file, open_file(path, OpenMode::create));
        JOINERY_TRY(const bool ours, try_lock(file, LockKind::exclusive));
        if (!ours) continue;
        Bytes content(kSize);
        JOINERY_TRY(const std::size_t size, read_at(file, content, 0));
        content.resize(size);
        JOINERY_TRY_VOID(sync_directory(directory));
        return SlotLease(std::move(file), slot, decode_slot(content));
    }
    return fail(Errc::busy, "all writer slots of the store are taken", kSlotCountMax);
}

Result<void> SlotLease::mark_leased(std::uint32_t generation) {
    generation_ = generation;
    JOINERY_TRY_VOID(write_at(file_, encode_slot(State::leased, generation), 0));
    return sync_file(file_);
}

void SlotLease::release() {
    // Not synced: all that the actor wrote is durable by now, and if this line is lost with the
    // power, the actor is retired for nothing, which is safe.
    static_cast<void>(write_at(file_, encode_slot(State::clean, generation_), 0).has_value());
}

bool is_slot_content(ByteView content) {
    return content.empty() || decode_slot(content).has_value();
}

std::uint32_t next_generation(const std::optional<SlotRecord>& found,
                              std::optional<std::uint32_t> known) noexcept {
    if (!found && !known) return 0;
    if (found && found->clean && known && *known == found->generation) return *known;
    return std::max(found ? found->generation : 0, known.value_or(0)) + 1;
}

}  // namespace joinery::persist::detail
