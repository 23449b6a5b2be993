#include "base/assert.h"
#include "base/result.h"

#include <atomic>
#include <cstdlib>
#include <string_view>
#include <unistd.h>

namespace joinery {
namespace {

std::atomic<AssertHandler> assert_handler{nullptr};

void write_stderr(std::string_view text) noexcept {
    // A failing write leaves nothing better to do just before abort().
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
}

}  // namespace

void set_assert_handler(AssertHandler handler) noexcept { assert_handler.store(handler); }

void detail::assert_failed(const char* condition, const char* file, int line) noexcept {
    if (const AssertHandler handler = assert_handler.load()) handler(condition, file, line);
    write_stderr("joinery: invariant broken: ");
    write_stderr(condition);
    write_stderr(" in ");
    write_stderr(file);
    write_stderr("\n");
    std::abort();
}

std::string_view errc_name(Errc code) noexcept {
    switch (code) {
        case Errc::malformed: return "malformed";
        case Errc::unsupported: return "unsupported";
        case Errc::over_limit: return "over limit";
        case Errc::not_found: return "not found";
        case Errc::conflict: return "conflict";
        case Errc::disconnected: return "disconnected";
        case Errc::io: return "io";
        case Errc::busy: return "busy";
        case Errc::damaged: return "damaged";
        case Errc::untrusted: return "untrusted";
    }
    return "unknown";
}

}  // namespace joinery
