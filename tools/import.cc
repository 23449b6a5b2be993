#include "joinery/json.h"
#include "tools/common.h"

namespace joinery::tools {

int run_import(const Common& common, const ImportArguments& arguments) {
    const auto text = read_file(arguments.file);
    if (!text) return report(arguments.file, text.error());
    const auto value = parse_json(*text);
    if (!value) {
        return report(arguments.file + " at byte " + std::to_string(value.error().at),
                      value.error());
    }
    if (!value->is_object()) return report(arguments.file, "a document is a JSON object: {...}");
    SetOptions options;
    if (!arguments.array_keys.empty()) options.array_keys = arguments.array_keys;
    return with_document(
        common,
        {arguments.document, {}},
        true,
        [&](Peer& peer, Document& document) -> Result<void> {
            JOINERY_TRY(const Receipt receipt,
                        document.transact([&](Tx& tx) { return tx.set("", *value, options); },
                                          arguments.message));
            JOINERY_TRY_VOID(peer.flush());
            JOINERY_TRY(const DocumentStatus status, document.status());
            if (common.json) {
                print_line(JsonObject()
                               .raw("changed", receipt.changed ? "true" : "false")
                               .text("digest", to_hex(status.digest.view()))
                               .str());
            } else {
                print_line(receipt.changed ? "imported as one change"
                                           : "nothing to import: the document is equal already");
            }
            return {};
        });
}

}  // namespace joinery::tools
