/// @file
/// The limits that decide whether a change is valid. They are constants of the protocol: every peer
/// must answer alike, so none may become an option (docs/semantics.md C7, C8).
#pragma once

#include <cstddef>
#include <cstdint>

namespace joinery::crdt {

/// Operations of one change.
inline constexpr std::uint64_t kOpCountMax = 1U << 20U;
/// Bytes of a change's canonical operations.
inline constexpr std::size_t kChangeSizeMax = 8U << 20U;
/// Dependencies of one change beside its own predecessor.
inline constexpr std::size_t kDepCountMax = 4096;
/// Containers from the root to the deepest one, the root not counted.
inline constexpr std::uint32_t kDepthMax = 128;
/// Bytes of a map key, or of the name of an element's key field.
inline constexpr std::size_t kKeySizeMax = 1024;
/// Bytes of a string or byte string.
inline constexpr std::size_t kStringSizeMax = 1U << 20U;
/// Bytes of a change's message.
inline constexpr std::size_t kMessageTextSizeMax = 4096;
/// Greatest seq and counter: room to add without overflow in 64 bits.
inline constexpr std::uint64_t kCounterMax = std::uint64_t{1} << 53U;
/// Distinct actors, keys, containers or elements that one document names.
inline constexpr std::uint32_t kNameCountMax = 1U << 26U;

}  // namespace joinery::crdt
