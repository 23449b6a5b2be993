#include "engine/static_files.h"

#include "base/bytes.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <optional>
#include <string>
#include <utility>

namespace joinery::detail {
namespace {

namespace fs = std::filesystem;

transport::HttpReply nothing() { return {404, "text/plain; charset=utf-8", "nothing is here\n"}; }

/// A step of a path without its escapes; none for one that names no file of a folder.
std::optional<std::string> decode_step(std::string_view step) {
    std::string out;
    for (std::size_t i = 0; i < step.size(); ++i) {
        if (step[i] != '%') {
            out.push_back(step[i]);
            continue;
        }
        std::array<std::uint8_t, 1> byte{};
        if (!parse_hex(step.substr(i + 1, 2), byte)) return std::nullopt;
        out.push_back(static_cast<char>(byte[0]));
        i += 2;
    }
    const bool is_name = !out.empty() && out.front() != '.' &&
                         out.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
    return is_name ? std::optional(out) : std::nullopt;
}

/// The steps of @p target below a folder.
std::optional<fs::path> path_of(std::string_view target) {
    target = target.substr(0, target.find('?'));
    if (!target.starts_with('/')) return std::nullopt;
    target.remove_prefix(1);
    fs::path path;
    while (!target.empty()) {
        const std::size_t end = std::min(target.find('/'), target.size());
        const auto step = decode_step(target.substr(0, end));
        if (!step) return std::nullopt;
        path /= *step;
        target.remove_prefix(std::min(end + 1, target.size()));
    }
    return path;
}

std::string_view content_type_of(const fs::path& file) {
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 15> kTypes{
        {{".html", "text/html; charset=utf-8"},
         {".js", "text/javascript; charset=utf-8"},
         {".mjs", "text/javascript; charset=utf-8"},
         {".css", "text/css; charset=utf-8"},
         {".json", "application/json"},
         {".map", "application/json"},
         {".wasm", "application/wasm"},
         {".svg", "image/svg+xml"},
         {".png", "image/png"},
         {".jpg", "image/jpeg"},
         {".webp", "image/webp"},
         {".ico", "image/x-icon"},
         {".woff2", "font/woff2"},
         {".webmanifest", "application/manifest+json"},
         {".txt", "text/plain; charset=utf-8"}}};
    const std::string ending = file.extension().string();
    const auto known = std::ranges::find(
        kTypes, std::string_view(ending), [](const auto& type) { return type.first; });
    return known == kTypes.end() ? "application/octet-stream" : known->second;
}

bool is_within(const fs::path& folder, const fs::path& file) {
    return std::ranges::mismatch(folder, file).in1 == folder.end();
}

}  // namespace

transport::HttpReply serve_file(const fs::path& folder, std::string_view target) {
    const auto path = path_of(target);
    if (!path) return nothing();
    std::error_code error;
    const fs::path root = fs::canonical(folder, error);
    if (error) return nothing();
    fs::path file = fs::canonical(root / *path, error);
    if (!error && fs::is_directory(file, error)) file = fs::canonical(file / "index.html", error);
    if (error || !is_within(root, file) || !fs::is_regular_file(file, error)) return nothing();
    const auto size = fs::file_size(file, error);
    if (error || size > kServedFileMax) return nothing();
    transport::HttpReply reply{200, std::string(content_type_of(file)), {}};
    std::ifstream in(file, std::ios::binary);
    reply.body.resize(static_cast<std::size_t>(size));
    if (!in.read(reply.body.data(), static_cast<std::streamsize>(size))) return nothing();
    return reply;
}

}  // namespace joinery::detail
