// trust: whom this store lets in.

#include "tools/common.h"

namespace joinery::tools {

namespace {

std::string joined(const std::vector<std::string>& patterns) {
    std::string out;
    for (const std::string& pattern : patterns)
        out += (out.empty() ? "" : " ") + one_line(pattern);
    return out.empty() ? "nothing" : out;
}

std::string json_of(const std::vector<std::string>& patterns) {
    std::vector<std::string> items;
    for (const std::string& pattern : patterns)
        items.push_back(json_string(pattern));
    return json_array(items);
}

/// "reads ops/*, writes nothing"; empty where it may do everything.
std::string text_of(const Access& access) {
    if (access == Access()) return {};
    return "reads " + joined(access.reads) + ", writes " + joined(access.writes);
}

Access access_of(const TrustArguments& arguments) {
    Access access;
    if (!arguments.reads.empty()) access.reads = arguments.reads;
    if (!arguments.writes.empty()) access.writes = arguments.writes;
    if (arguments.is_reader) access.writes.clear();
    return access;
}

int run_list(const Common& common, Peer& peer) {
    const auto list = peer.trusted();
    if (!list) return report(common.store, list.error());
    std::vector<std::string> items;
    for (const TrustedPeer& trusted : *list) {
        const std::string key = to_hex(trusted.device.view());
        if (common.json) {
            items.push_back(JsonObject()
                                .text("key", key)
                                .text("name", trusted.name)
                                .raw("reads", json_of(trusted.access.reads))
                                .raw("writes", json_of(trusted.access.writes))
                                .str());
            continue;
        }
        std::string line = key;
        if (!trusted.name.empty()) line += " " + one_line(trusted.name);
        const std::string access = text_of(trusted.access);
        if (!access.empty()) line += " (" + access + ")";
        print_line(line);
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
    const Access access = access_of(arguments);
    const auto done = is_adding ? peer->trust({arguments.key, arguments.name, access})
                                : peer->distrust(arguments.key);
    const std::string key = to_hex(arguments.key.view());
    if (!done) return report(key, done.error());
    if (common.json) {
        print_line(JsonObject().text(is_adding ? "trusted" : "removed", key).str());
    } else {
        const std::string limits = text_of(access);
        print_line(key + (is_adding ? " may connect" : " may connect no more") +
                   (is_adding && !limits.empty() ? ": " + limits : ""));
    }
    return kDone;
}

}  // namespace joinery::tools
