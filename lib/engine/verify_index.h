/// @file
/// The check of a document's records in the index, whether an actor of it has forked or not, and
/// the keys that index and seals share.
#pragma once

#include "engine/verify_scope.h"

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>

namespace joinery::detail {

/// A key of the index or of the seals, taken apart.
struct ChainKey {
    ActorId chain;  ///< Its actor, or a branch's name.
    std::uint64_t seq = 0;
    friend auto operator<=>(const ChainKey&, const ChainKey&) = default;
};
/// None where @p key is not of that form.
std::optional<ChainKey> chain_key(ByteView key, DocumentNumber document);

/// What the index has of a segment: the change that it goes on with, and its arrival.
using IndexEntry = std::pair<ChainKey, std::uint64_t>;

/// Compares the index of a document with @p wanted, ascending. A record that is not wanted is
/// damage unless @p is_excused says otherwise of its arrival. An Error where the store cannot be
/// read at all.
Result<void> check_index(CheckScope& scope,
                         const std::string& id,
                         DocumentNumber number,
                         std::span<const IndexEntry> wanted,
                         const std::function<bool(std::uint64_t)>& is_excused);

}  // namespace joinery::detail
