#include "tools/demo/screen.h"

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <unistd.h>

namespace joinery::tools {
namespace {

constexpr std::size_t kTitleWidth = 10;

std::string padded(std::string_view text, std::size_t width) {
    std::string out(text);
    out.resize(std::max(width, text.size()), ' ');
    return out;
}

}  // namespace

Screen::Screen(bool on_stderr) : on_stderr_(on_stderr) {
    const bool is_terminal = isatty(on_stderr ? STDERR_FILENO : STDOUT_FILENO) == 1;
    // One thread runs when this is read.
    const char* plain = std::getenv("NO_COLOR");  // NOLINT(concurrency-mt-unsafe): as above.
    colours_ = is_terminal && (plain == nullptr || *plain == '\0');
}

std::string Screen::styled(std::string_view code, std::string_view text) const {
    if (!colours_) return std::string(text);
    return "\033[" + std::string(code) + "m" + std::string(text) + "\033[0m";
}

void Screen::line(std::string_view text) {
    (on_stderr_ ? std::cerr : std::cout) << text << '\n' << std::flush;
}

void Screen::step(std::string_view title, std::string_view text) {
    const std::string head = std::to_string(++step_) + "  " + padded(title, kTitleWidth);
    line(styled("1", head) + std::string(text));
}

void Screen::fact(std::string_view text) {
    line(std::string(3 + kTitleWidth, ' ') + std::string(text));
}

void Screen::table(const std::vector<std::vector<std::string>>& rows) {
    std::vector<std::size_t> widths;
    for (const auto& row : rows) {
        widths.resize(std::max(widths.size(), row.size()));
        for (std::size_t i = 0; i < row.size(); ++i)
            widths[i] = std::max(widths[i], row[i].size());
    }
    for (std::size_t r = 0; r < rows.size(); ++r) {
        std::string text;
        for (std::size_t i = 0; i < rows[r].size(); ++i) {
            // Names and digests stand left, numbers right.
            const std::string gap(widths[i] - rows[r][i].size(), ' ');
            if (i != 0) text += "  ";
            text += i < 2 ? rows[r][i] + gap : gap + rows[r][i];
        }
        line(r == 0 ? styled("1", text) : text);
    }
}

void Screen::verdict(bool good, std::string_view text) {
    line(styled(good ? "1;32" : "1;31", text));
}

}  // namespace joinery::tools
