/// @file
/// How the demo tells its story: steps with a number, facts beneath them, a table at the end.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace joinery::tools {

class Screen {
  public:
    /// @param on_stderr  Standard output is for JSON.
    explicit Screen(bool on_stderr);

    void line(std::string_view text = "");
    /// "1  TITLE   text"
    void step(std::string_view title, std::string_view text);
    /// Goes on with the step.
    void fact(std::string_view text);
    /// Columns as wide as they need; the first row is the heading.
    void table(const std::vector<std::vector<std::string>>& rows);
    void verdict(bool good, std::string_view text);

  private:
    std::string styled(std::string_view code, std::string_view text) const;

    bool on_stderr_;
    bool colours_;
    int step_ = 0;
};

}  // namespace joinery::tools
