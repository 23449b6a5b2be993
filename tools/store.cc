// id, backup, restore: the store as a whole.

#include "tools/common.h"

namespace joinery::tools {

namespace {

std::string_view reason_name(IncarnationReason reason) {
    switch (reason) {
        case IncarnationReason::created: return "created";
        case IncarnationReason::moved: return "moved";
        case IncarnationReason::unmarked: return "unmarked";
        case IncarnationReason::older: return "older";
        case IncarnationReason::overtaken: return "overtaken";
        case IncarnationReason::unspecified: break;
    }
    return "unspecified";
}

std::string as_json(const IncarnationChange& change) {
    return JsonObject()
        .signed_number("time_ms", change.time.count())
        .text("reason", reason_name(change.reason))
        .text("incarnation", to_hex(change.incarnation.view()))
        .str();
}

}  // namespace

int run_id(const Common& common) {
    const auto peer = open_peer(common, true);
    if (!peer) return kFailed;
    const PeerStatus status = peer->status();
    const auto incarnations = peer->incarnations();
    if (!incarnations) return report(common.store, incarnations.error());
    if (common.json) {
        std::vector<std::string> items;
        for (const IncarnationChange& change : *incarnations)
            items.push_back(as_json(change));
        print_line(JsonObject()
                       .text("key", to_hex(status.device.view()))
                       .text("actor", to_hex(status.actor.view()))
                       .raw("incarnations", json_array(items))
                       .str());
        return kDone;
    }
    print_line("key " + to_hex(status.device.view()));
    print_line("actor " + to_hex(status.actor.view()));
    for (const IncarnationChange& change : *incarnations) {
        print_line("incarnation " + to_hex(change.incarnation.view()) + " since " +
                   format_time(change.time) + ": " + std::string(reason_name(change.reason)));
    }
    return kDone;
}

int run_backup(const Common& common, const DirectoryArguments& arguments) {
    if (common.store.empty()) {
        return report("store", "none given; pass --store DIR or set JOINERY_STORE");
    }
    const auto done = backup_store(common.store, arguments.directory);
    if (!done)
        return report("backup of " + common.store + " to " + arguments.directory, done.error());
    if (common.json) {
        print_line(
            JsonObject().text("store", common.store).text("backup", arguments.directory).str());
    } else {
        print_line("backed up to " + arguments.directory);
    }
    return kDone;
}

int run_restore(const Common& common, const DirectoryArguments& arguments) {
    if (common.store.empty()) {
        return report("store", "none given; pass --store DIR or set JOINERY_STORE");
    }
    const auto done = restore_store(arguments.directory, common.store);
    if (!done) {
        return report("restore of " + arguments.directory + " to " + common.store, done.error());
    }
    if (common.json) {
        print_line(
            JsonObject().text("store", common.store).text("backup", arguments.directory).str());
    } else {
        print_line("restored to " + common.store + "; it writes as a new actor");
    }
    return kDone;
}

}  // namespace joinery::tools
