// trust: whom this store lets in.

#include "tools/common.h"

namespace joinery::tools {

namespace {

int run_list(const Common& common, Peer& peer) {
    const auto list = peer.trusted();
    if (!list) return report(common.store, list.error());
    std::vector<std::string> items;
    for (const TrustedPeer& trusted : *list) {
        const std::string key = to_hex(trusted.device.view());
        if (common.json) {
            items.push_back(JsonObject().text("key", key).text("name", trusted.name).str());
        } else {
            print_line(trusted.name.empty() ? key : key + " " + one_line(trusted.name));
        }
    }
    if (common.json) print_line(json_array(items));
    return kDone;
}

}  // namespace

int run_trust(const Common& common, const TrustArguments& arguments) {
    const auto peer = open_peer(common, true);
    if (!peer) return kFailed;
    if (arguments.verb == TrustArguments::Verb::list) return run_list(common, *peer);
    const bool is_adding = arguments.verb == TrustArguments::Verb::add;
    const auto done =
        is_adding ? peer->trust({arguments.key, arguments.name}) : peer->distrust(arguments.key);
    const std::string key = to_hex(arguments.key.view());
    if (!done) return report(key, done.error());
    if (common.json) {
        print_line(JsonObject().text(is_adding ? "trusted" : "removed", key).str());
    } else {
        print_line(key + (is_adding ? " may connect" : " may connect no more"));
    }
    return kDone;
}

}  // namespace joinery::tools
