#include "tools/common.h"

#include <chrono>

namespace joinery::tools {

int run_sync(const Common& common, const SyncArguments& arguments) {
    const auto peer = open_peer(common, true);
    if (!peer) return kFailed;
    const auto timeout = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::duration<double>(arguments.timeout_s));
    const auto report_of = peer->sync(arguments.url, arguments.patterns, timeout);
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
