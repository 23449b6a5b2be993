/// @file
/// The edits that the demo makes: the same for the same dashboard and seed.
#pragma once

#include "base/plain.h"

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace joinery::tools {

/// A field and what to put there, as JSON.
struct FieldEdit {
    std::string path;
    std::string value;
};

class Edits {
  public:
    /// Finds what of @p dashboard people edit: titles, sizes, positions, units.
    Edits(const Plain& dashboard, std::uint64_t seed);

    /// Forgets the fields and finds those of @p dashboard: elements have other indices now.
    void look_at(const Plain& dashboard);
    /// Another edit of some field, with a value that none before it had.
    FieldEdit next();
    /// The first list of objects at the root, as a path, and how many it has; empty if there is
    /// none.
    const std::string& widgets() const noexcept { return widgets_; }
    std::size_t widget_count() const noexcept { return widget_count_; }
    const std::string& title() const noexcept { return title_; }

  private:
    struct Field {
        std::string path;
        std::string text;  ///< Of a string; numbers start from nothing.
        bool is_text = false;
    };
    void collect(const Plain& value, const std::string& path, const std::string& key);

    std::vector<Field> fields_;
    std::string widgets_, title_;
    std::size_t widget_count_ = 0;
    std::mt19937_64 random_;
    std::uint64_t count_ = 0;
};

}  // namespace joinery::tools
