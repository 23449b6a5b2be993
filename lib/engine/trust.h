/// @file
/// Whom a store's owner lets in: a list of device keys in the store, which every process of the
/// store sees at once. Beside it the keys that answered where this store dialled.
#pragma once

#include "base/store.h"
#include "joinery/peer.h"

#include <optional>
#include <string_view>
#include <vector>

namespace joinery::detail {

/// The list, by key. Errors as Store::read(), `damaged`.
Result<std::vector<TrustedPeer>> trusted_peers(Store& store);
/// What the list says of one device; none where it is not on it. At one moment, whatever the list's
/// length. Errors as above.
Result<std::optional<Access>> access_of(Store& store, const DeviceKey& device);
/// Puts @p peer on the list, or gives it another name or access; durable on return. `over_limit`
/// for a name longer than kTrustedNameSizeMax, patterns that are too long, or a list of
/// kTrustedPeersMax, `malformed` for what is not UTF-8, and as Store::write().
Result<void> trust_peer(Store& store, const TrustedPeer& peer);
/// Takes @p device off the list, and forgets where it answered; `not_found` if neither was known.
Result<void> distrust_peer(Store& store, const DeviceKey& device);

/// The key that answered at @p url when it was dialled first; none if it never was. Errors as
/// trusted_peers().
Result<std::optional<DeviceKey>> key_at(Store& store, std::string_view url);
/// Remembers it, unless a key is known there already. `over_limit` for kTrustedPeersMax of them;
/// as Store::write().
Result<void> note_key_at(Store& store, std::string_view url, const DeviceKey& device);

/// Whether @p key, of the table meta, is that of a record of the list.
bool is_trust_key(ByteView key) noexcept;
/// `unsupported` for a newer version, `malformed`.
Result<TrustedPeer> decode_trusted(ByteView key, ByteView value);
/// The same for the keys that answered.
bool is_answer_key(ByteView key) noexcept;
struct KnownAnswer {
    std::string url;
    DeviceKey device;
};
Result<KnownAnswer> decode_answer(ByteView value);

}  // namespace joinery::detail
