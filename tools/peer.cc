#include "tools/common.h"
#include "tools/config.h"
#include "tools/schema.h"

#include <algorithm>
#include <csignal>
#include <ctime>
#include <iostream>
#include <set>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

namespace joinery::tools {
namespace {

std::string status_line(const PeerStatus& status) {
    std::size_t online = 0;
    std::size_t in_step = 0;
    for (const LinkStatus& link : status.links) {
        online += link.state == LinkState::online ? 1 : 0;
        in_step += link.in_step ? 1 : 0;
    }
    return std::to_string(online) + " of " + std::to_string(status.links.size()) +
           " links online, " + std::to_string(in_step) + " in step, " +
           count_of(status.unacknowledged_count, "change") + " on no other device, " +
           std::to_string(status.divergence_count) + " divergence alarms";
}

/// A line of its own; with --json an object of its own.
void say(const Common& common, const std::string& what, const std::string& value) {
    print_line(common.json ? JsonObject().text(what, value).str() : what + " " + value);
}

/// Prints a line for each peer that comes to be nearby.
class NearbyLines {
  public:
    explicit NearbyLines(const Common& common) : common_(common) {}

    void print(const std::vector<NearbyPeer>& nearby) {
        std::set<Name> present;
        std::size_t count = 0;
        for (const NearbyPeer& peer : nearby) {
            const Name name(peer.device, peer.url);
            const bool is_new = !printed_.contains(name);
            // Anybody may say as much as he likes on the network; the rest has its turn later.
            if (is_new && ++count > kLinesMax) continue;
            if (is_new) print(peer);
            present.insert(name);
        }
        printed_ = std::move(present);
        std::cout.flush();
    }

  private:
    using Name = std::pair<DeviceKey, std::string>;
    /// New lines in one call.
    static constexpr std::size_t kLinesMax = 16;

    void print(const NearbyPeer& peer) const {
        const std::string key = to_hex(peer.device.view());
        if (!common_.json) return print_line("nearby " + key + " " + peer.url);
        print_line(JsonObject()
                       .text("nearby", key)
                       .text("url", peer.url)
                       .text("name", peer.name)
                       .raw("trusted", peer.is_trusted ? "true" : "false")
                       .str());
    }

    const Common& common_;
    std::set<Name> printed_;
};

/// Who may connect; none where the store's own list says it all. What the list says of a key
/// stands.
std::function<std::optional<Access>(const LinkRequest&)> admission(const PeerArguments& arguments) {
    if (!arguments.is_open && arguments.allow.empty()) return {};
    return [arguments](const LinkRequest& request) -> std::optional<Access> {
        if (request.granted) return request.granted;
        const bool is_allowed =
            arguments.is_open || std::ranges::count(arguments.allow, request.device) != 0;
        return is_allowed ? std::optional(Access()) : std::nullopt;
    };
}

bool options_are_tls(const PeerArguments& arguments) {
    return !arguments.websocket.options.certificate_file.empty();
}

/// Says so where nobody can connect.
void warn_if_closed(Peer& peer, const PeerArguments& arguments) {
    if (arguments.listen.empty() || arguments.is_open || !arguments.allow.empty()) return;
    const auto list = peer.trusted();
    if (!list || !list->empty()) return;
    std::cerr << "joinery: nobody is let in yet: `joinery trust add KEY` lets one in, --open "
                 "everybody\n";
}

}  // namespace

int run_peer(const Common& common, const PeerArguments& given) {
    // Blocked before any thread starts, so that only sigtimedwait() below sees them.
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &stop, nullptr);

    Common at_once = common;
    at_once.log = nullptr;
    PeerArguments arguments = given;
    Options options;
    if (!given.config.empty() && !read_config(given.config, arguments, options)) return kFailed;
    options.name = arguments.name;
    options.websocket = arguments.websocket.options;
    if (!read_token(arguments.websocket.token_file, options.websocket.token)) return kFailed;
    options.authorize = admission(arguments);
    if (!judge_by(arguments.schema, options)) return kFailed;
    if (arguments.discovers) options.discover.is_enabled = true;
    const auto peer = open_peer(at_once, true, std::move(options));
    if (!peer) return kFailed;
    for (const std::string& url : arguments.listen) {
        const auto bound = peer->listen(url);
        if (!bound) return report(url, bound.error());
        say(common, "listening", *bound);
    }
    if (!arguments.http.empty()) {
        const std::string scheme = options_are_tls(arguments) ? "wss://" : "ws://";
        const auto bound = peer->listen(scheme + arguments.http);
        if (!bound) return report("--http " + arguments.http, bound.error());
        say(common, "listening", *bound);
        say(common, "http", "http" + bound->substr(2));
    }
    if (!arguments.metrics.empty()) {
        const auto bound = peer->serve_metrics(arguments.metrics);
        if (!bound) return report("--metrics " + arguments.metrics, bound.error());
        say(common, "metrics", *bound);
    }
    for (const std::vector<std::string>& urls : arguments.connect) {
        const auto done = peer->connect(urls);
        if (!done) return report(urls.empty() ? "connect" : urls.front(), done.error());
    }
    warn_if_closed(*peer, arguments);
    say(common, "key", to_hex(peer->status().device.view()));
    std::cout.flush();
    const bool is_terminal = isatty(STDERR_FILENO) == 1;
    timespec second{};
    second.tv_sec = 1;
    NearbyLines nearby(common);
    while (sigtimedwait(&stop, nullptr, &second) < 0) {
        const PeerStatus status = peer->status();
        if (is_terminal) std::cerr << "\r\033[K" << std::flush;
        nearby.print(status.nearby);
        if (is_terminal) std::cerr << status_line(status) << std::flush;
    }
    if (is_terminal) std::cerr << '\n';
    return kDone;
}

}  // namespace joinery::tools
