#include "tools/common.h"

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>

namespace joinery::tools {

int run_sync(const Common& common, const SyncArguments& arguments) {
    // Of the other side, where this store has a list of keys and that is not on it.
    const auto refused = std::make_shared<std::optional<DeviceKey>>();
    const auto has_list = std::make_shared<std::atomic<bool>>(true);
    Options options;
    options.authorize = [refused, has_list](const LinkRequest& request) {
        if (request.is_trusted || !*has_list) return true;
        *refused = request.device;
        return false;
    };
    const auto peer = open_peer(common, true, std::move(options));
    if (!peer) return kFailed;
    const auto list = peer->trusted();
    if (!list) return report(common.store, list.error());
    *has_list = !list->empty();
    const auto timeout = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::duration<double>(arguments.timeout_s));
    const auto report_of = peer->sync(arguments.url, arguments.patterns, timeout);
    if (!report_of && *refused) {
        const std::string key = to_hex((*refused)->view());
        return report(arguments.url,
                      "the peer there has the key " + key +
                          ", which this store does not trust; to trust it: joinery trust add " +
                          key);
    }
    if (!report_of) return report(arguments.url, report_of.error());
    if (common.json) {
        print_line(JsonObject()
                       .number("documents", report_of->document_count)
                       .number("changes_received", report_of->received_count)
                       .number("changes_sent", report_of->sent_count)
                       .number("bytes_received", report_of->received_size)
                       .number("bytes_sent", report_of->sent_size)
                       .str());
        return kDone;
    }
    print_line(count_of(report_of->document_count, "document") + " in step; received " +
               count_of(report_of->received_count, "change") + " in " +
               count_of(report_of->received_size, "byte") + ", sent " +
               count_of(report_of->sent_count, "change") + " in " +
               count_of(report_of->sent_size, "byte"));
    return kDone;
}

}  // namespace joinery::tools
