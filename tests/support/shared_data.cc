#include "tests/support/shared_data.h"

#include <sodium.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <zlib.h>

namespace joinery::testing {

std::filesystem::path source_path(std::string_view relative) {
    return std::filesystem::path(JOINERY_SOURCE_ROOT) / relative;
}

std::filesystem::path shared_folder() {
    // Tests set no environment variables, so nothing races with this.
    const char* chosen = std::getenv("JOINERY_SHARED");  // NOLINT(concurrency-mt-unsafe): as above.
    if (chosen != nullptr && *chosen != '\0') return chosen;
    return source_path("../shared");
}

std::filesystem::path shared_path(std::string_view relative) { return shared_folder() / relative; }

std::string read_file(const std::filesystem::path& path) {
    // zlib hands a file that is not in gzip format through as it is.
    const std::unique_ptr<gzFile_s, decltype(&::gzclose)> file(::gzopen(path.c_str(), "rb"),
                                                               &::gzclose);
    if (!file) throw std::runtime_error("cannot open " + path.string());
    std::string content;
    std::array<char, 65536> block{};
    for (;;) {
        const int size = ::gzread(file.get(), block.data(), unsigned{block.size()});
        if (size < 0) throw std::runtime_error("cannot read " + path.string());
        if (size == 0) return content;
        content.append(block.data(), static_cast<std::size_t>(size));
    }
}

std::vector<std::string> read_lines(const std::filesystem::path& path) {
    const std::string content = read_file(path);
    std::vector<std::string> lines;
    for (std::size_t begin = 0; begin < content.size();) {
        const std::size_t end = std::min(content.find('\n', begin), content.size());
        lines.push_back(content.substr(begin, end - begin));
        begin = end + 1;
    }
    return lines;
}

std::vector<std::filesystem::path> list_files(const std::filesystem::path& folder,
                                              std::string_view ending) {
    std::vector<std::filesystem::path> paths;
    if (!std::filesystem::is_directory(folder)) return paths;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        if (entry.path().filename().string().ends_with(ending)) paths.push_back(entry.path());
    }
    std::ranges::sort(paths);
    return paths;
}

Bytes decode_base64(std::string_view text) {
    Bytes bytes(text.size() + 1);  // Not empty, since libsodium wants a place to write to.
    std::size_t size = 0;
    const char* end = nullptr;
    const int status = ::sodium_base642bin(bytes.data(),
                                           bytes.size(),
                                           text.data(),
                                           text.size(),
                                           nullptr,
                                           &size,
                                           &end,
                                           sodium_base64_VARIANT_ORIGINAL);
    if (status != 0 || end != text.data() + text.size()) throw std::runtime_error("not base64");
    bytes.resize(size);
    return bytes;
}

}  // namespace joinery::testing
