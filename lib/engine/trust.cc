#include "engine/trust.h"

#include "base/value.h"
#include "crdt/cursor.h"
#include "crdt/hash.h"
#include "session/access.h"
#include "session/pattern.h"
#include "transport/url.h"

#include <algorithm>
#include <functional>

namespace joinery::detail {
namespace {

/// What the keys begin with. The device's key follows, or the hash of the URL.
constexpr std::string_view kTrustPrefix = "trust/";
constexpr std::string_view kAnswerPrefix = "answer/";
/// Versions of a record of the list: without what the device may read and write, for that is
/// everything, and with it.
constexpr std::uint8_t kPlainVersion = 1;
constexpr std::uint8_t kLimitedVersion = 2;
constexpr std::uint8_t kAnswerVersion = 1;
using UrlHash = FixedBytes<16, struct UrlHashTag>;

Bytes key_of(std::string_view prefix, ByteView rest) {
    Bytes key(prefix.size() + rest.size());
    std::ranges::copy(prefix, key.begin());
    std::ranges::copy(rest, key.begin() + static_cast<std::ptrdiff_t>(prefix.size()));
    return key;
}

Bytes key_of(const DeviceKey& device) { return key_of(kTrustPrefix, device.view()); }

Bytes key_of_url(std::string_view url) {
    return key_of(kAnswerPrefix, crdt::hash_as<UrlHash>(as_bytes(url)).view());
}

bool has_key(ByteView key, std::string_view prefix, std::size_t rest) noexcept {
    return as_text(key).starts_with(prefix) && key.size() == prefix.size() + rest;
}

/// Calls @p take with every record whose key begins with @p prefix.
Result<void> each_record(StoreReader& reader,
                         std::string_view prefix,
                         const std::function<Result<void>(ByteView, ByteView)>& take) {
    Bytes from = key_of(prefix, {});
    while (true) {
        JOINERY_TRY(const auto record, reader.first_at_or_after(Table::meta, from));
        if (!record || !as_text(record->key).starts_with(prefix)) return {};
        JOINERY_TRY_VOID(take(record->key, record->value));
        from.assign(record->key.begin(), record->key.end());
        from.push_back(0);
    }
}

Error damaged_unless_newer(const Error& error) {
    if (error.code == Errc::unsupported) return error;
    return fail(Errc::damaged, "the list of trusted keys is damaged");
}

Result<std::vector<TrustedPeer>> read_list(StoreReader& reader) {
    std::vector<TrustedPeer> out;
    JOINERY_TRY_VOID(
        each_record(reader, kTrustPrefix, [&](ByteView key, ByteView value) -> Result<void> {
            const auto peer = decode_trusted(key, value);
            if (!peer) return damaged_unless_newer(peer.error());
            out.push_back(*peer);
            return {};
        }));
    return out;
}

void write_patterns(const std::vector<std::string>& patterns, crdt::ByteWriter& out) {
    out.varint(patterns.size());
    for (const std::string& pattern : patterns)
        out.sized(as_bytes(pattern));
}

std::vector<std::string> read_patterns(crdt::ByteReader& in) {
    std::vector<std::string> patterns;
    const std::size_t count = in.count(1);
    for (std::size_t i = 0; i < count && in.ok(); ++i)
        patterns.emplace_back(as_text(in.sized(session::kPatternSizeMax, "pattern too long")));
    return patterns;
}

Result<void> check_name(ByteView name) {
    if (name.size() > kTrustedNameSizeMax) {
        return fail(Errc::over_limit, "a trusted key's name has at most 64 bytes");
    }
    if (!is_utf8(name)) return fail(Errc::malformed, "a trusted key's name is not UTF-8");
    return {};
}

Bytes encode_trusted(const TrustedPeer& peer) {
    Bytes value;
    crdt::ByteWriter out(value);
    if (session::is_everything(peer.access)) {
        out.u8(kPlainVersion);
        out.raw(as_bytes(peer.name));
        return value;
    }
    out.u8(kLimitedVersion);
    out.sized(as_bytes(peer.name));
    write_patterns(peer.access.reads, out);
    write_patterns(peer.access.writes, out);
    return value;
}

}  // namespace

bool is_trust_key(ByteView key) noexcept { return has_key(key, kTrustPrefix, DeviceKey::kSize); }

bool is_answer_key(ByteView key) noexcept { return has_key(key, kAnswerPrefix, UrlHash::kSize); }

Result<TrustedPeer> decode_trusted(ByteView key, ByteView value) {
    crdt::ByteReader in(value);
    const std::uint8_t version = in.u8();
    if (!in.ok()) return fail(Errc::malformed, "a trusted key's record is empty");
    TrustedPeer peer;
    ByteView name = value.subspan(1);
    if (version == kLimitedVersion) {
        name = in.sized();
        peer.access.reads = read_patterns(in);
        peer.access.writes = read_patterns(in);
        JOINERY_TRY_VOID(in.finish());
        JOINERY_TRY_VOID(session::check_access(peer.access));
    } else if (version != kPlainVersion) {
        return fail(Errc::unsupported, "a trusted key's record is of a newer version");
    }
    JOINERY_TRY_VOID(check_name(name));
    std::ranges::copy(key.subspan(kTrustPrefix.size()), peer.device.bytes.begin());
    peer.name = as_text(name);
    return peer;
}

Result<KnownAnswer> decode_answer(ByteView value) {
    crdt::ByteReader in(value);
    const std::uint8_t version = in.u8();
    if (in.ok() && version != kAnswerVersion) {
        return fail(Errc::unsupported, "the record of a key that answered is of a newer version");
    }
    KnownAnswer answer;
    answer.device = in.fixed<DeviceKey>();
    answer.url = as_text(in.rest());
    if (!in.ok() || answer.url.size() > transport::kUrlSizeMax) {
        return fail(Errc::malformed, "the record of a key that answered is cut off or too long");
    }
    return answer;
}

Result<std::vector<TrustedPeer>> trusted_peers(Store& store) {
    JOINERY_TRY(const auto reader, store.read());
    return read_list(*reader);
}

Result<std::optional<Access>> access_of(Store& store, const DeviceKey& device) {
    JOINERY_TRY(const auto reader, store.read());
    const Bytes key = key_of(device);
    JOINERY_TRY(const auto value, reader->get(Table::meta, key));
    if (!value) return std::optional<Access>();
    const auto peer = decode_trusted(key, *value);
    if (!peer) return damaged_unless_newer(peer.error());
    return std::optional<Access>(peer->access);
}

Result<void> trust_peer(Store& store, const TrustedPeer& peer) {
    JOINERY_TRY_VOID(check_name(as_bytes(peer.name)));
    JOINERY_TRY_VOID(session::check_access(peer.access));
    JOINERY_TRY(const auto writer, store.write());
    JOINERY_TRY(const auto list, read_list(*writer));
    const bool is_there = std::ranges::count(list, peer.device, &TrustedPeer::device) != 0;
    if (!is_there && list.size() >= kTrustedPeersMax) {
        return fail(Errc::over_limit, "a store trusts at most 65,536 keys");
    }
    JOINERY_TRY_VOID(writer->put(Table::meta, key_of(peer.device), encode_trusted(peer)));
    return writer->commit();
}

Result<void> distrust_peer(Store& store, const DeviceKey& device) {
    JOINERY_TRY(const auto writer, store.write());
    std::vector<Bytes> keys;
    const Bytes own = key_of(device);
    JOINERY_TRY(const auto value, writer->get(Table::meta, own));
    if (value) keys.push_back(own);
    JOINERY_TRY_VOID(
        each_record(*writer, kAnswerPrefix, [&](ByteView key, ByteView record) -> Result<void> {
            const auto answer = decode_answer(record);
            if (answer && answer->device == device) keys.emplace_back(key.begin(), key.end());
            return {};
        }));
    if (keys.empty()) {
        return fail(Errc::not_found, "that key is not trusted; `trust list` shows them");
    }
    for (const Bytes& key : keys)
        JOINERY_TRY_VOID(writer->erase(Table::meta, key));
    return writer->commit();
}

Result<std::optional<DeviceKey>> key_at(Store& store, std::string_view url) {
    JOINERY_TRY(const auto reader, store.read());
    JOINERY_TRY(const auto value, reader->get(Table::meta, key_of_url(url)));
    if (!value) return std::optional<DeviceKey>();
    const auto answer = decode_answer(*value);
    if (!answer) return damaged_unless_newer(answer.error());
    return std::optional<DeviceKey>(answer->device);
}

Result<void> note_key_at(Store& store, std::string_view url, const DeviceKey& device) {
    JOINERY_TRY(const auto writer, store.write());
    const Bytes key = key_of_url(url);
    JOINERY_TRY(const auto value, writer->get(Table::meta, key));
    if (value) return {};
    std::size_t count = 0;
    JOINERY_TRY_VOID(each_record(*writer, kAnswerPrefix, [&](ByteView, ByteView) -> Result<void> {
        ++count;
        return {};
    }));
    if (count >= kTrustedPeersMax) {
        return fail(Errc::over_limit, "a store remembers the keys of at most 65,536 addresses");
    }
    Bytes record;
    crdt::ByteWriter out(record);
    out.u8(kAnswerVersion);
    out.raw(device.view());
    out.raw(as_bytes(url));
    JOINERY_TRY_VOID(writer->put(Table::meta, key, record));
    return writer->commit();
}

}  // namespace joinery::detail
