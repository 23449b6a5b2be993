/// @file
/// Actors by number, for tests in which they are many or have no letters.
#pragma once

#include "base/bytes.h"

#include <cstdint>

namespace joinery::crdt::test {

/// Actors are ordered as their numbers.
inline ActorId actor_of(std::uint8_t number) {
    ActorId actor;
    actor.bytes[0] = number;
    return actor;
}

}  // namespace joinery::crdt::test
