/// @file
/// Whom a store's owner lets in: a list of device keys in the store, which every process of the
/// store sees at once.
#pragma once

#include "base/store.h"
#include "joinery/peer.h"

#include <string_view>
#include <vector>

namespace joinery::detail {

/// The list, by key. Errors as Store::read(), `damaged`.
Result<std::vector<TrustedPeer>> trusted_peers(Store& store);
/// What the list says of one device.
struct Standing {
    bool is_trusted = false;
    bool is_list_empty = false;
};
/// At one moment, whatever the list's length. Errors as above.
Result<Standing> standing_of(Store& store, const DeviceKey& device);
/// Puts @p peer on the list, or gives it another name; durable on return. `over_limit` for a name
/// longer than kTrustedNameSizeMax or a list of kTrustedPeersMax, `malformed` for a name that is
/// not UTF-8, and as Store::write().
Result<void> trust_peer(Store& store, const TrustedPeer& peer);
/// Takes @p device off the list; `not_found` if it is not there.
Result<void> distrust_peer(Store& store, const DeviceKey& device);

/// Whether @p key, of the table meta, is that of a record of this list.
bool is_trust_key(ByteView key) noexcept;
/// `unsupported` for a newer version, `malformed`.
Result<TrustedPeer> decode_trusted(ByteView key, ByteView value);

}  // namespace joinery::detail
