#include "tools/common.h"

#include <algorithm>

namespace joinery::tools {
namespace {

std::string json_of(const DocumentStatus& status) {
    std::vector<std::string> heads;
    for (const Version::Head& head : status.heads) {
        heads.push_back(json_string(change_name(head.actor, head.seq)));
    }
    JsonObject out;
    out.text("id", status.id)
        .number("changes", status.change_count)
        .number("actors", status.actor_count)
        .number("bytes", status.stored_size)
        .raw("heads", json_array(heads))
        .text("digest", to_hex(status.digest.view()));
    std::vector<std::string> forks;
    for (const Fork& fork : status.forks)
        forks.push_back(fork_json(fork));
    if (!forks.empty()) out.raw("forks", json_array(forks));
    return out.str();
}

}  // namespace

int run_ls(const Common& common) {
    const auto peer = open_peer(common, false);
    if (!peer) return kFailed;
    const auto ids = peer->documents();
    if (!ids) return report(common.store, ids.error());
    std::vector<std::string> items;
    std::size_t width = 0;
    for (const std::string& id : *ids)
        width = std::max(width, id.size());
    for (const std::string& id : *ids) {
        auto document = peer->document(id, false);
        if (!document) return report(id, document.error());
        const auto status = document->status();
        if (!status) return report(id, status.error());
        if (common.json) {
            items.push_back(json_of(*status));
            continue;
        }
        std::string line = id;
        line.resize(width, ' ');
        print_line(line + "  " + count_of(status->change_count, "change") + " by " +
                   count_of(status->actor_count, "actor") + ", " +
                   count_of(status->stored_size, "byte") + ", digest " +
                   to_hex(status->digest.view()).substr(0, 16));
        for (const Fork& fork : status->forks)
            print_line("  fork: " + fork_text(fork));
    }
    if (common.json) print_line(json_array(items));
    return kDone;
}

}  // namespace joinery::tools
