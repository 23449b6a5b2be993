/// @file
/// What one peer lets another read and write.
#pragma once

#include <string>
#include <vector>

namespace joinery {

/// Patterns over document ids: `*` stands for any run of bytes, `/` too, `?` for any one byte.
/// "*" is everything, an empty list nothing; at most 1,024 bytes in all of a list.
struct Access {
    /// Documents whose existence the other side may learn of, and whose changes it is sent.
    std::vector<std::string> reads{"*"};
    /// Those of them of which changes are taken from it, whoever made them.
    std::vector<std::string> writes{"*"};
    friend bool operator==(const Access&, const Access&) = default;
};

}  // namespace joinery
