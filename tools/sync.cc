#include "tools/common.h"
#include "tools/schema.h"

#include <chrono>

namespace joinery::tools {
namespace {

/// What is not equal on both sides because this store's key may not write it there.
int report_untaken(const std::string& url, const std::vector<std::string>& documents) {
    const std::size_t more = documents.size() - 1;
    return report(url,
                  "changes of " + one_line(documents.front()) +
                      (more == 0 ? "" : " and " + count_of(more, "other document")) +
                      " stay here: this store's key may read it there, but not write it");
}

/// Changes made here that authorities have refused.
std::uint64_t count_rejected(Peer& peer) {
    std::uint64_t count = 0;
    const auto ids = peer.documents();
    for (const std::string& id : ids ? *ids : std::vector<std::string>()) {
        // The others need not be opened for that.
        if (!authority_of(id)) continue;
        const auto document = peer.document(id, false);
        if (document) count += document->outbox().rejected_count;
    }
    return count;
}

}  // namespace

int run_sync(const Common& common, const SyncArguments& arguments) {
    Options options;
    options.websocket = arguments.websocket.options;
    if (!read_token(arguments.websocket.token_file, options.websocket.token)) return kFailed;
    if (!judge_by(arguments.schema, options)) return kFailed;
    auto peer = open_peer(common, true, std::move(options));
    if (!peer) return kFailed;
    const std::uint64_t rejected_before = count_rejected(*peer);
    const auto timeout = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::duration<double>(arguments.timeout_s));
    const auto report_of = peer->sync(arguments.url, arguments.patterns, timeout);
    if (!report_of) return report(arguments.url, report_of.error());
    if (!report_of->untaken.empty()) return report_untaken(arguments.url, report_of->untaken);
    const std::uint64_t rejected = count_rejected(*peer) - rejected_before;
    if (common.json) {
        print_line(JsonObject()
                       .number("documents", report_of->document_count)
                       .number("changes_received", report_of->received_count)
                       .number("changes_sent", report_of->sent_count)
                       .number("bytes_received", report_of->received_size)
                       .number("bytes_sent", report_of->sent_size)
                       .number("changes_rejected", rejected)
                       .str());
        return kDone;
    }
    print_line(count_of(report_of->document_count, "document") + " in step; received " +
               count_of(report_of->received_count, "change") + " in " +
               count_of(report_of->received_size, "byte") + ", sent " +
               count_of(report_of->sent_count, "change") + " in " +
               count_of(report_of->sent_size, "byte"));
    if (rejected != 0) {
        print_line(count_of(rejected, "change") +
                   " made here rejected by the authority; `joinery outbox` says why");
    }
    return kDone;
}

}  // namespace joinery::tools
