// outbox: which of the changes made here nobody else is known to have, and which were refused.

#include "joinery/authority.h"
#include "tools/common.h"

#include <algorithm>

namespace joinery::tools {
namespace {

std::string json_of(const std::string& id,
                    const OutboxStatus& status,
                    const std::vector<Rejection>& rejections) {
    std::vector<std::string> devices;
    for (const OutboxStatus::Device& device : status.devices) {
        devices.push_back(JsonObject()
                              .text("key", to_hex(device.device.view()))
                              .number("lacking", device.lacking_count)
                              .text("acknowledged", format_time(device.acknowledged_at))
                              .str());
    }
    std::vector<std::string> rejected;
    for (const Rejection& rejection : rejections) {
        std::vector<std::string> paths;
        for (const ChangeInfo::Op& op : rejection.change.ops)
            paths.push_back(json_string(op.path));
        rejected.push_back(
            JsonObject()
                .text("change", change_name(rejection.change.actor, rejection.change.seq))
                .text("reason", rejection.reason)
                .text("by", to_hex(rejection.by.view()))
                .text("at", format_time(rejection.at))
                .raw("paths", json_array(paths))
                .str());
    }
    return JsonObject()
        .text("id", id)
        .number("changes", status.change_count)
        .number("unacknowledged", status.unacknowledged_count())
        .raw("devices", json_array(devices))
        .raw("rejected", json_array(rejected))
        .str();
}

void print(const std::string& id,
           const OutboxStatus& status,
           const std::vector<Rejection>& rejections,
           const std::vector<TrustedPeer>& trusted) {
    print_line(id + "  " + std::to_string(status.unacknowledged_count()) + " of " +
               count_of(status.change_count, "change") + " made here on no other device");
    for (const OutboxStatus::Device& device : status.devices) {
        std::string name = to_hex(device.device.view()).substr(0, 16);
        const auto known = std::ranges::find(trusted, device.device, &TrustedPeer::device);
        if (known != trusted.end() && !known->name.empty()) name += " " + one_line(known->name);
        print_line("  " + name + " lacks " + std::to_string(device.lacking_count) +
                   ", last heard " + format_time(device.acknowledged_at));
    }
    for (const Rejection& rejection : rejections) {
        print_line("  rejected " + change_name(rejection.change.actor, rejection.change.seq) +
                   ": " + one_line(rejection.reason));
    }
}

}  // namespace

int run_outbox(const Common& common, const ShowArguments& arguments) {
    const auto peer = open_peer(common, false);
    if (!peer) return kFailed;
    const auto ids = peer->documents();
    if (!ids) return report(common.store, ids.error());
    const auto trusted = peer->trusted();
    if (!trusted) return report(common.store, trusted.error());
    if (!arguments.document.empty() && std::ranges::count(*ids, arguments.document) == 0) {
        return report(arguments.document, "no such document; `ls` lists them");
    }
    std::vector<std::string> items;
    for (const std::string& id : *ids) {
        if (!arguments.document.empty() && id != arguments.document) continue;
        const auto document = peer->document(id, false);
        if (!document) return report(id, document.error());
        const OutboxStatus status = document->outbox();
        if (status.change_count == 0) continue;
        const std::vector<Rejection> rejections = document->rejections();
        if (common.json) {
            items.push_back(json_of(id, status, rejections));
        } else {
            print(id, status, rejections, *trusted);
        }
    }
    if (common.json) print_line(json_array(items));
    return kDone;
}

}  // namespace joinery::tools
