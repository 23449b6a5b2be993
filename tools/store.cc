// id, backup, restore: the store as a whole.

#include "tools/common.h"

namespace joinery::tools {

int run_id(const Common& common) {
    const auto peer = open_peer(common, true);
    if (!peer) return kFailed;
    const PeerStatus status = peer->status();
    if (common.json) {
        print_line(JsonObject()
                       .text("key", to_hex(status.device.view()))
                       .text("actor", to_hex(status.actor.view()))
                       .str());
    } else {
        print_line("key " + to_hex(status.device.view()));
        print_line("actor " + to_hex(status.actor.view()));
    }
    return kDone;
}

int run_backup(const Common& common, const DirectoryArguments& arguments) {
    if (common.store.empty()) {
        return report("store", "none given; pass --store DIR or set JOINERY_STORE");
    }
    const auto done = backup_store(common.store, arguments.directory);
    if (!done) return report(arguments.directory, done.error());
    print_line("backed up to " + arguments.directory);
    return kDone;
}

int run_restore(const Common& common, const DirectoryArguments& arguments) {
    if (common.store.empty()) {
        return report("store", "none given; pass --store DIR or set JOINERY_STORE");
    }
    const auto done = restore_store(arguments.directory, common.store);
    if (!done) return report(arguments.directory, done.error());
    print_line("restored to " + common.store + "; it writes as a new actor");
    return kDone;
}

}  // namespace joinery::tools
