#include "engine/trust.h"

#include "base/value.h"

#include <algorithm>

namespace joinery::detail {
namespace {

/// What the keys begin with; the device's key follows.
constexpr std::string_view kPrefix = "trust/";
constexpr std::uint8_t kVersion = 1;

Bytes key_of(const DeviceKey& device) {
    Bytes key(kPrefix.size() + DeviceKey::kSize);
    std::ranges::copy(kPrefix, key.begin());
    std::ranges::copy(device.bytes, key.begin() + kPrefix.size());
    return key;
}

Result<std::vector<TrustedPeer>> read_list(StoreReader& reader) {
    std::vector<TrustedPeer> out;
    const ByteView prefix = as_bytes(kPrefix);
    Bytes from(prefix.begin(), prefix.end());
    while (true) {
        JOINERY_TRY(const auto record, reader.first_at_or_after(Table::meta, from));
        if (!record || !is_trust_key(record->key)) return out;
        const auto peer = decode_trusted(record->key, record->value);
        if (!peer && peer.error().code == Errc::unsupported) return peer.error();
        if (!peer) return fail(Errc::damaged, "the list of trusted keys is damaged");
        out.push_back(*peer);
        from.assign(record->key.begin(), record->key.end());
        from.push_back(0);
    }
}

}  // namespace

bool is_trust_key(ByteView key) noexcept {
    return as_text(key).starts_with(kPrefix) && key.size() == kPrefix.size() + DeviceKey::kSize;
}

Result<TrustedPeer> decode_trusted(ByteView key, ByteView value) {
    if (value.empty()) return fail(Errc::malformed, "a trusted key's record is empty");
    if (value[0] != kVersion) {
        return fail(Errc::unsupported, "a trusted key's record is of a newer version");
    }
    const ByteView name = value.subspan(1);
    if (name.size() > kTrustedNameSizeMax || !is_utf8(name)) {
        return fail(Errc::malformed, "a trusted key's name is too long or not UTF-8");
    }
    TrustedPeer peer;
    std::ranges::copy(key.subspan(kPrefix.size()), peer.device.bytes.begin());
    peer.name = as_text(name);
    return peer;
}

Result<std::vector<TrustedPeer>> trusted_peers(Store& store) {
    JOINERY_TRY(const auto reader, store.read());
    return read_list(*reader);
}

Result<Standing> standing_of(Store& store, const DeviceKey& device) {
    JOINERY_TRY(const auto reader, store.read());
    JOINERY_TRY(const auto value, reader->get(Table::meta, key_of(device)));
    if (value) return Standing{true, false};
    JOINERY_TRY(const auto first, reader->first_at_or_after(Table::meta, as_bytes(kPrefix)));
    return Standing{false, !first || !is_trust_key(first->key)};
}

Result<void> trust_peer(Store& store, const TrustedPeer& peer) {
    if (peer.name.size() > kTrustedNameSizeMax) {
        return fail(Errc::over_limit, "a trusted key's name has at most 64 bytes");
    }
    if (!is_utf8(as_bytes(peer.name))) {
        return fail(Errc::malformed, "a trusted key's name is not UTF-8");
    }
    JOINERY_TRY(const auto writer, store.write());
    JOINERY_TRY(const auto list, read_list(*writer));
    const bool is_there = std::ranges::count(list, peer.device, &TrustedPeer::device) != 0;
    if (!is_there && list.size() >= kTrustedPeersMax) {
        return fail(Errc::over_limit, "a store trusts at most 65,536 keys");
    }
    Bytes value(1 + peer.name.size());
    value[0] = kVersion;
    std::ranges::copy(peer.name, value.begin() + 1);
    JOINERY_TRY_VOID(writer->put(Table::meta, key_of(peer.device), value));
    return writer->commit();
}

Result<void> distrust_peer(Store& store, const DeviceKey& device) {
    JOINERY_TRY(const auto writer, store.write());
    const Bytes key = key_of(device);
    JOINERY_TRY(const auto value, writer->get(Table::meta, key));
    if (!value) return fail(Errc::not_found, "that key is not trusted; `trust list` shows them");
    JOINERY_TRY_VOID(writer->erase(Table::meta, key));
    return writer->commit();
}

}  // namespace joinery::detail
