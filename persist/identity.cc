#include "persist/identity.h"

#include "persist/files.h"
#include "persist/format.h"
#include "persist/incarnation_log.h"

#include <sodium.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <sys/stat.h>
#include <sys/statfs.h>

namespace joinery::persist::detail {
namespace {

// The sidecar: magic 8, version 4, state 4, counter 8, transaction 8, checksums of the meta pages
// 8 + 8, zero 8, checksum of all before it 8. One disk sector, so that it is written whole or not.
constexpr std::string_view kSidecarMagic = "JNRYSIDE";
constexpr std::uint32_t kSidecarVersion = 1;
constexpr std::size_t kSidecarSize = 64;
constexpr std::size_t kSidecarChecksumAt = kSidecarSize - 8;
enum class SidecarState : std::uint8_t { open = 0, closed = 1 };

constexpr std::size_t kMachineIdSizeMax = 256;

using Hash = std::array<std::uint8_t, 16>;

Hash hash_of(std::string_view text) {
    Hash out{};
    const ByteView bytes = as_bytes(text);
    crypto_generichash(out.data(), out.size(), bytes.data(), bytes.size(), nullptr, 0);
    return out;
}

Bytes encode_place(const Place& place) {
    Bytes out;
    append_u64(out, place.device);
    append_u64(out, place.inode);
    out.insert(out.end(), place.path_hash.begin(), place.path_hash.end());
    out.insert(out.end(), place.machine_hash.begin(), place.machine_hash.end());
    return out;
}

Bytes encode_u32(std::uint32_t value) {
    Bytes out;
    append_u32(out, value);
    return out;
}

Bytes encode_u64(std::uint64_t value) {
    Bytes out;
    append_u64(out, value);
    return out;
}

Bytes slot_key(std::uint32_t slot) {
    const ByteView prefix = as_bytes(kSlotKeyPrefix);
    Bytes out(prefix.begin(), prefix.end());
    append_u32(out, slot);
    return out;
}

Result<std::uint64_t> device_of(const std::filesystem::path& file, std::uint64_t device_number) {
    struct ::statfs status{};
    if (::statfs(file.c_str(), &status) != 0) return system_error(errno);
    // The file system's own id stays the same over a reboot, where a device number need not.
    const auto low = static_cast<std::uint32_t>(status.f_fsid.__val[0]);
    const auto high = static_cast<std::uint32_t>(status.f_fsid.__val[1]);
    const std::uint64_t id = std::uint64_t{high} << 32U | low;
    return id != 0 ? id : device_number;
}

// Exactly one changed meta page in a file that nobody opened since is not another commit: that
// would have come with another counter. It is damage, and believing it could lose the last commit.
bool is_head_damaged(const Sidecar& sidecar, const std::array<MetaPage, 2>& metas) {
    return (sidecar.meta_checksums[0] == metas[0].checksum) !=
           (sidecar.meta_checksums[1] == metas[1].checksum);
}

struct Remembered {
    bool has_incarnation = false;
    Incarnation incarnation;
    bool same_place = false;
    std::uint64_t counter = 0;
    std::optional<std::uint32_t> generation;
};

Result<Remembered> read_remembered(LmdbTxn& txn,
                                   TableHandle own,
                                   const IdentityInput& input,
                                   std::uint32_t slot) {
    Remembered out;
    JOINERY_TRY(const auto incarnation, get_own(txn, own, as_bytes(kIncarnationKey)));
    if (incarnation && incarnation->size() == Incarnation::kSize) {
        out.has_incarnation = true;
        std::copy(incarnation->begin(), incarnation->end(), out.incarnation.bytes.begin());
    }
    JOINERY_TRY(const auto place, get_own(txn, own, as_bytes(kPlaceKey)));
    const Bytes here = encode_place(input.place);
    out.same_place = place && std::equal(place->begin(), place->end(), here.begin(), here.end());
    JOINERY_TRY(const auto counter, get_own(txn, own, as_bytes(kCounterKey)));
    if (counter && counter->size() == 8) out.counter = read_u64(*counter);
    JOINERY_TRY(const auto generation, get_own(txn, own, slot_key(slot)));
    if (generation && generation->size() == 4) out.generation = read_u32(*generation);
    return out;
}

/// Why the store is not the one it was; none if it is.
std::optional<IncarnationReason> judge_store(const Remembered& known,
                                             const std::optional<Sidecar>& sidecar,
                                             const IdentityInput& input) {
    if (!known.has_incarnation) return IncarnationReason::created;
    if (!known.same_place) return IncarnationReason::moved;
    if (!sidecar || sidecar->counter != known.counter) return IncarnationReason::unmarked;
    if (!sidecar->closed || !input.metas) return std::nullopt;
    const std::uint64_t newest =
        std::max((*input.metas)[0].transaction, (*input.metas)[1].transaction);
    if (newest < sidecar->transaction) return IncarnationReason::older;
    return std::nullopt;
}

}  // namespace

Result<Place> observe_place(const std::filesystem::path& directory,
                            const std::filesystem::path& machine_id_file) {
    const auto file = directory / kDataFile;
    struct ::stat status{};
    if (::stat(file.c_str(), &status) != 0) return system_error(errno);
    Place place;
    JOINERY_TRY(place.device, device_of(file, status.st_dev));
    place.inode = status.st_ino;
    place.path_hash = hash_of(directory.native());
    if (const auto id = read_file(machine_id_file, kMachineIdSizeMax); id && !id->empty()) {
        place.machine_hash = hash_of(as_text(*id));
    }
    return place;
}

Result<std::optional<Sidecar>> read_sidecar(const std::filesystem::path& directory) {
    const auto bytes = read_file(directory / kSidecarFile, kSidecarSize);
    if (!bytes && bytes.error().code == Errc::not_found) return std::optional<Sidecar>();
    if (!bytes) return bytes.error();
    const ByteView in(*bytes);
    if (in.size() != kSidecarSize || as_text(in.first(8)) != kSidecarMagic ||
        read_u64(in.subspan(kSidecarChecksumAt)) != file_checksum(in.first(kSidecarChecksumAt)) ||
        read_u32(in.subspan(8)) != kSidecarVersion) {
        return std::optional<Sidecar>();
    }
    const std::uint32_t state = read_u32(in.subspan(12));
    return std::optional<Sidecar>(
        Sidecar{.counter = read_u64(in.subspan(16)),
                .closed = state == static_cast<std::uint32_t>(SidecarState::closed),
                .transaction = read_u64(in.subspan(24)),
                .meta_checksums = {read_u64(in.subspan(32)), read_u64(in.subspan(40))}});
}

Result<void> write_sidecar(const std::filesystem::path& directory, const Sidecar& sidecar) {
    const ByteView magic = as_bytes(kSidecarMagic);
    Bytes out(magic.begin(), magic.end());
    append_u32(out, kSidecarVersion);
    const auto state = sidecar.closed ? SidecarState::closed : SidecarState::open;
    append_u32(out, static_cast<std::uint32_t>(state));
    append_u64(out, sidecar.counter);
    append_u64(out, sidecar.transaction);
    append_u64(out, sidecar.meta_checksums[0]);
    append_u64(out, sidecar.meta_checksums[1]);
    append_u64(out, 0);
    append_u64(out, file_checksum(out));
    JOINERY_TRY(const File file, open_file(directory / kSidecarFile, OpenMode::create));
    JOINERY_TRY(const std::uint64_t size, file_size(file));
    JOINERY_TRY_VOID(write_at(file, out, 0));
    JOINERY_TRY_VOID(sync_file(file));
    return size == 0 ? sync_directory(directory) : Result<void>();
}

Result<Identity> settle_identity(
    LmdbTxn& txn, TableHandle own, const IdentityInput& input, SlotLease& lease, Random& random) {
    JOINERY_TRY(const Remembered known, read_remembered(txn, own, input, lease.slot()));
    JOINERY_TRY(const auto sidecar, read_sidecar(input.directory));
    if (input.metas) JOINERY_TRY_VOID(check_head(txn, own, input.directory, *input.metas));
    Identity out{known.incarnation, next_generation(lease.found(), known.generation)};
    if (const auto reason = judge_store(known, sidecar, input)) {
        JOINERY_TRY(out.incarnation, put_new_incarnation(txn, own, {*reason, input.now}, random));
    }
    // First outside, then inside: a crash between leaves the counters apart, and that costs no more
    // than a new incarnation.
    const std::uint64_t counter = std::max(known.counter, sidecar ? sidecar->counter : 0) + 1;
    JOINERY_TRY_VOID(lease.mark_leased(out.generation));
    JOINERY_TRY_VOID(write_sidecar(input.directory, Sidecar{.counter = counter}));
    JOINERY_TRY_VOID(put_own(txn, own, as_bytes(kPlaceKey), encode_place(input.place)));
    JOINERY_TRY_VOID(put_own(txn, own, as_bytes(kCounterKey), encode_u64(counter)));
    JOINERY_TRY_VOID(put_own(txn, own, slot_key(lease.slot()), encode_u32(out.generation)));
    return out;
}

Result<void> check_head(LmdbTxn& txn,
                        TableHandle own,
                        const std::filesystem::path& directory,
                        const std::array<MetaPage, 2>& metas) {
    JOINERY_TRY(const auto sidecar, read_sidecar(directory));
    JOINERY_TRY(const auto counter, get_own(txn, own, as_bytes(kCounterKey)));
    const std::uint64_t known = counter && counter->size() == 8 ? read_u64(*counter) : 0;
    if (sidecar && sidecar->closed && sidecar->counter == known &&
        is_head_damaged(*sidecar, metas)) {
        return fail(Errc::damaged,
                    "the head of data.mdb changed while closed: restore a backup, or remove the "
                    "file named sidecar to take it as it is");
    }
    return {};
}

Result<std::optional<ByteView>> get_own(LmdbTxn& txn, TableHandle own, ByteView key) {
    JOINERY_TRY(const auto stored, txn.get(own, key));
    if (!stored) return std::optional<ByteView>();
    const auto value = decode_record(kOwnTable, key, *stored);
    if (!value) return fail(Errc::damaged, "the store's identity is damaged: restore a backup");
    return value;
}

Result<void> put_own(LmdbTxn& txn, TableHandle own, ByteView key, ByteView value) {
    Bytes stored;
    encode_record(kOwnTable, key, value, stored);
    return txn.put(own, key, stored);
}

Result<Incarnation> get_incarnation(LmdbTxn& txn, TableHandle own) {
    JOINERY_TRY(const auto bytes, get_own(txn, own, as_bytes(kIncarnationKey)));
    if (!bytes || bytes->size() != Incarnation::kSize) {
        return fail(Errc::damaged, "the store's identity is damaged: restore a backup");
    }
    Incarnation out;
    std::ranges::copy(*bytes, out.bytes.begin());
    return out;
}

}  // namespace joinery::persist::detail
