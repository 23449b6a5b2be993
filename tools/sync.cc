#include "tools/common.h"

#include <chrono>
#include <optional>

namespace joinery::tools {

int run_sync(const Common& common, const SyncArguments& arguments) {
    // The other side's key, if this store's list says no to it.
    std::optional<DeviceKey> refused;
    Options options;
    options.authorize = [&refused](const LinkRequest& request) {
        if (!request.is_let_in) refused = request.device;
        return request.is_let_in;
    };
    auto peer = open_peer(common, true, std::move(options));
    if (!peer) return kFailed;
    const auto timeout = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::duration<double>(arguments.timeout_s));
    const auto report_of = peer->sync(arguments.url, arguments.patterns, timeout);
    peer.reset();  // Its threads write `refused`.
    if (!report_of && refused) {
        const std::string key = to_hex(refused->view());
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
