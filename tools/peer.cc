#include "tools/common.h"

#include <csignal>
#include <ctime>
#include <iostream>
#include <unistd.h>

namespace joinery::tools {
namespace {

std::string status_line(const PeerStatus& status) {
    std::size_t online = 0;
    std::size_t in_step = 0;
    for (const LinkStatus& link : status.links) {
        online += link.online ? 1 : 0;
        in_step += link.in_step ? 1 : 0;
    }
    return std::to_string(online) + " of " + std::to_string(status.links.size()) +
           " links online, " + std::to_string(in_step) + " in step, " +
           std::to_string(status.divergence_count) + " divergence alarms";
}

}  // namespace

int run_peer(const Common& common, const PeerArguments& arguments) {
    // Blocked before any thread starts, so that only sigtimedwait() below sees them.
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &stop, nullptr);

    const auto peer = open_peer(common, true, arguments.name);
    if (!peer) return kFailed;
    for (const std::string& url : arguments.listen) {
        const auto bound = peer->listen(url);
        if (!bound) return report(url, bound.error());
        print_line("listening " + *bound);
    }
    for (const std::string& url : arguments.connect) {
        const auto done = peer->connect(url);
        if (!done) return report(url, done.error());
    }
    print_line("key " + to_hex(peer->status().device.view()));
    std::cout.flush();
    const bool is_terminal = isatty(STDERR_FILENO) == 1;
    timespec second{};
    second.tv_sec = 1;
    while (sigtimedwait(&stop, nullptr, &second) < 0) {
        if (is_terminal) std::cerr << "\r\033[K" << status_line(peer->status()) << std::flush;
    }
    if (is_terminal) std::cerr << '\n';
    return kDone;
}

}  // namespace joinery::tools
