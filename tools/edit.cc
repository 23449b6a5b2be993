// set, erase, inc, insert, move: one change each.

#include "joinery/json.h"
#include "tools/common.h"

#include <optional>

namespace joinery::tools {
namespace {

/// Makes one change and waits until it is durable.
int edit(const Common& common,
         const EditArguments& arguments,
         bool create,
         const std::function<Result<void>(Tx&)>& body) {
    const Subject subject{arguments.document, arguments.path};
    return with_document(
        common, subject, create, [&](Peer& peer, Document& document) -> Result<void> {
            JOINERY_TRY(const Receipt receipt, document.transact(body, arguments.message));
            JOINERY_TRY_VOID(peer.flush());
            if (common.json) {
                JsonObject out;
                out.raw("changed", receipt.changed ? "true" : "false");
                if (receipt.changed) {
                    out.text("actor", to_hex(receipt.actor.view())).number("seq", receipt.seq);
                }
                print_line(out.str());
            } else if (!receipt.changed) {
                print_line("nothing to change: it is so already");
            } else {
                print_line("change " + change_name(receipt.actor, receipt.seq));
            }
            return {};
        });
}

/// Writes one live value, or nothing; waits until it is durable.
int edit_live(const Common& common,
              const EditArguments& arguments,
              const std::optional<Value>& value) {
    const Subject subject{arguments.document, arguments.path};
    return with_document(
        common, subject, true, [&](Peer& peer, Document& document) -> Result<void> {
            if (!arguments.message.empty()) {
                return fail(Errc::malformed, "a live value is no change and takes no message");
            }
            JOINERY_TRY(const LiveRegister live, document.live(arguments.path));
            JOINERY_TRY_VOID(value ? live.set(*value) : live.clear());
            JOINERY_TRY_VOID(peer.flush());
            print_line(common.json ? R"({"live":true})" : "live value written");
            return {};
        });
}

/// Enough of what was given to know it again.
std::string shortened(const std::string& text) {
    constexpr std::size_t kSizeMax = 40;
    return text.size() <= kSizeMax ? text : text.substr(0, kSizeMax) + "...";
}

int edit_value(const Common& common,
               const EditArguments& arguments,
               const std::function<Result<void>(Tx&, const Plain&)>& body) {
    const auto value = parse_json(arguments.value);
    if (!value) {
        return report("value " + shortened(arguments.value),
                      std::string(value.error().what) + "; a string needs its quotes: '\"text\"'");
    }
    return edit(common, arguments, true, [&](Tx& tx) { return body(tx, *value); });
}

}  // namespace

int run_set(const Common& common, const EditArguments& arguments) {
    if (arguments.live) {
        const auto value = parse_json(arguments.value);
        if (!value) return report("value is not JSON (a string needs its quotes)", value.error());
        if (!value->is_scalar()) {
            return report("value", "a live value is one number, string, boolean or null");
        }
        return edit_live(common, arguments, value->scalar());
    }
    return edit_value(common, arguments, [&](Tx& tx, const Plain& value) {
        return tx.set(arguments.path, value);
    });
}

int run_insert(const Common& common, const EditArguments& arguments) {
    return edit_value(common, arguments, [&](Tx& tx, const Plain& value) {
        return tx.insert(arguments.path, value);
    });
}

int run_erase(const Common& common, const EditArguments& arguments) {
    if (arguments.live) return edit_live(common, arguments, std::nullopt);
    return edit(common, arguments, false, [&](Tx& tx) { return tx.erase(arguments.path); });
}

int run_inc(const Common& common, const EditArguments& arguments) {
    return edit(common, arguments, true, [&](Tx& tx) {
        return tx.increment(arguments.path, arguments.delta);
    });
}

int run_move(const Common& common, const EditArguments& arguments) {
    return edit(
        common, arguments, false, [&](Tx& tx) { return tx.move(arguments.path, arguments.to); });
}

}  // namespace joinery::tools
