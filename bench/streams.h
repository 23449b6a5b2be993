/// @file
/// The operation streams of the benchmark workloads, operation for operation those of the peers'
/// harness; describe_streams() gives the hashes that prove it.
#pragma once

#include "base/plain.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace joinery::bench {

inline constexpr std::uint32_t kWidgetCount = 1000;
inline constexpr std::uint32_t kCounterCount = 100;
inline constexpr std::uint32_t kReplicaCount = 100;
inline constexpr std::uint32_t kMapSeed = 0x5eed0001;
inline constexpr std::uint32_t kMergeSeed = 0x5eed0300;  ///< Plus the replica's index.

/// splitmix32.
class Generator {
  public:
    explicit Generator(std::uint32_t seed) noexcept : state_(seed) {}
    std::uint32_t next() noexcept;
    std::uint32_t below(std::uint32_t limit) noexcept {
        return static_cast<std::uint32_t>((std::uint64_t{next()} * limit) >> 32U);
    }

  private:
    std::uint32_t state_;
};

/// Fields of a widget: x, y (integers), value, rate (reals), title, unit (strings), on, pinned.
inline constexpr std::uint32_t kFieldCount = 8;
std::string_view field_name(std::uint32_t field) noexcept;
/// int, double, string or bool.
std::string_view field_kind(std::uint32_t field) noexcept;

struct MapOp {
    std::uint32_t widget = 0;
    std::uint32_t field = 0;
    Value value;
};
struct CounterOp {
    std::uint32_t counter = 0;
    std::int64_t delta = 0;
};
struct ListOp {
    bool is_insert = false;
    std::uint32_t position = 0;
    std::int64_t value = 0;
};

std::vector<MapOp> map_ops(std::size_t count, std::uint32_t seed = kMapSeed);
std::vector<CounterOp> counter_ops(std::size_t count);
std::vector<ListOp> list_ops(std::size_t count);
std::vector<MapOp> sync_ops(std::size_t count);

/// What the first @p count operations come to, in an empty list or a document of empty widgets.
Plain map_state(const std::vector<MapOp>& ops, std::size_t count);
Plain counter_state(const std::vector<CounterOp>& ops, std::size_t count);
Plain list_state(const std::vector<ListOp>& ops, std::size_t count);

struct StreamHash {
    std::string name;
    std::size_t line_count = 0;
    std::uint32_t fnv1a = 0;
};
std::vector<StreamHash> describe_streams();

}  // namespace joinery::bench
