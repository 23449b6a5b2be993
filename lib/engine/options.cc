#include "engine/options.h"

#include "transport/multicast.h"

#include <algorithm>
#include <chrono>

namespace joinery {

std::optional<Access> let_everybody_in(const LinkRequest& request) {
    return request.granted.value_or(Access());
}

namespace detail {
namespace {

using std::chrono::milliseconds;

bool is_patience(milliseconds time) {
    return time >= LinkOptions::kTimeMin && time <= LinkOptions::kTimeMax;
}

bool is_rate(std::uint32_t rate) { return rate >= 1 && rate <= LinkOptions::kRateMax; }

Result<void> check_rates(const LinkOptions& links) {
    const auto refuse = [](std::string_view what) { return fail(Errc::over_limit, what); };
    if (!is_rate(links.dials_per_second)) return refuse("dials_per_second is from 1 to 10000");
    if (!is_rate(links.handshakes_per_second)) {
        return refuse("handshakes_per_second is from 1 to 10000");
    }
    if (!is_rate(links.handshakes_of_host_per_second)) {
        return refuse("handshakes_of_host_per_second is from 1 to 10000");
    }
    return {};
}

Result<void> check_discover(const DiscoverOptions& discover) {
    if (discover.interval < DiscoverOptions::kIntervalMin ||
        discover.interval > DiscoverOptions::kIntervalMax) {
        return fail(Errc::over_limit, "discover.interval is from 100 to 600000 ms");
    }
    return transport::check_multicast({discover.group, discover.port, discover.interface_address});
}

bool is_token_char(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_' || c == '.';
}

Result<void> check_websocket(const WebSocketOptions& websocket) {
    for (const auto* list : {&websocket.hosts, &websocket.origins}) {
        if (list->size() > WebSocketOptions::kEntriesMax) {
            return fail(Errc::over_limit, "websocket.hosts and .origins have at most 64 entries");
        }
        for (const std::string& entry : *list) {
            if (entry.empty() || entry.size() > WebSocketOptions::kEntrySizeMax) {
                return fail(Errc::over_limit, "a name or origin of websocket has 1 to 256 bytes");
            }
        }
    }
    if (websocket.token.size() > WebSocketOptions::kTokenSizeMax) {
        return fail(Errc::over_limit, "websocket.token has at most 128 bytes");
    }
    if (!std::ranges::all_of(websocket.token, is_token_char)) {
        return fail(Errc::malformed, "websocket.token has letters, digits, '-', '_' and '.' alone");
    }
    return {};
}

}  // namespace

Result<void> check_options(const Options& options) {
    const auto refuse = [](std::string_view what) { return fail(Errc::over_limit, what); };
    if (options.name.size() > Options::kNameSizeMax) {
        return refuse("name: a peer's name has at most 64 bytes");
    }
    if (options.flush_interval < milliseconds(0) ||
        options.flush_interval > Options::kIntervalMax) {
        return refuse("flush_interval is from 0 to 60000 ms");
    }
    if (options.snapshot_interval == 0) return refuse("snapshot_interval is 1 or more");
    if (options.poll_interval < milliseconds(1) || options.poll_interval > Options::kIntervalMax) {
        return refuse("poll_interval is from 1 to 60000 ms");
    }
    if (options.callback_interval < milliseconds(0) ||
        options.callback_interval > Options::kIntervalMax) {
        return refuse("callback_interval is from 0 to 60000 ms");
    }
    const LinkOptions& links = options.links;
    if (!is_patience(links.handshake_time)) {
        return refuse("handshake_time is from 10 to 86400000 ms");
    }
    if (!is_patience(links.heartbeat_idle)) {
        return refuse("heartbeat_idle is from 10 to 86400000 ms");
    }
    if (!is_patience(links.answer_time)) return refuse("answer_time is from 10 to 86400000 ms");
    if (!is_patience(links.retry_delay_max)) {
        return refuse("retry_delay_max is from 10 to 86400000 ms");
    }
    if (!is_patience(links.retry_delay_min) || links.retry_delay_min > links.retry_delay_max) {
        return refuse("retry_delay_min is from 10 ms to retry_delay_max");
    }
    JOINERY_TRY_VOID(check_rates(links));
    JOINERY_TRY_VOID(check_websocket(options.websocket));
    return check_discover(options.discover);
}

}  // namespace detail
}  // namespace joinery
