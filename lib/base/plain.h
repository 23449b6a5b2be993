/// @file
/// Plain data: what a document shows, as a value without identity or history.
#pragma once

#include "base/value.h"

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace joinery {

struct Plain;
struct PlainMember;
/// Of which lanes a read of what is shown tells.
enum class Lanes : std::uint8_t {
    all,     ///< Changes, and live values where no change hides them.
    logged,  ///< Changes alone: what versions, digests and imports are made of.
};

/// Elements in order.
using PlainArray = std::vector<Plain>;
/// Members sorted by the UTF-8 bytes of their keys, each key once.
using PlainObject = std::vector<PlainMember>;

/// A scalar, an array or an object. Compared by type and bits, as Value is.
struct Plain {
    std::variant<Value, PlainArray, PlainObject> data;

    bool is_scalar() const noexcept { return data.index() == 0; }
    bool is_array() const noexcept { return data.index() == 1; }
    bool is_object() const noexcept { return data.index() == 2; }
    const Value& scalar() const { return std::get<Value>(data); }
    const PlainArray& array() const { return std::get<PlainArray>(data); }
    const PlainObject& object() const { return std::get<PlainObject>(data); }

    friend bool operator==(const Plain& a, const Plain& b);
};

/// A key and its value. Not a std::pair, which may not be named while Plain is incomplete.
struct PlainMember {
    std::string first;
    Plain second;
    friend bool operator==(const PlainMember&, const PlainMember&) = default;
};

inline bool operator==(const Plain& a, const Plain& b) { return a.data == b.data; }

/// The member of @p object at @p key, by binary search; nullptr if there is none.
const Plain* find_member(const PlainObject& object, std::string_view key) noexcept;

}  // namespace joinery
