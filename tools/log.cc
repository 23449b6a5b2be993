#include "joinery/json.h"
#include "tools/common.h"

namespace joinery::tools {
namespace {

std::string value_text(const std::optional<Plain>& value) {
    if (!value) return "null";
    const auto text = print_json(*value);
    return text ? *text : json_string("no JSON form");
}

std::string json_of(const ChangeInfo& change) {
    std::vector<std::string> deps;
    for (const Version::Head& dep : change.dependencies) {
        deps.push_back(json_string(change_name(dep.actor, dep.seq)));
    }
    std::vector<std::string> ops;
    for (const ChangeInfo::Op& op : change.ops) {
        JsonObject out;
        out.text("op", op.kind).text("path", op.path);
        if (op.value) out.raw("value", value_text(op.value));
        ops.push_back(out.str());
    }
    JsonObject out;
    out.number("n", change.arrival).text("actor", to_hex(change.actor.view()));
    if (change.branch) out.text("branch", to_hex(change.branch->view()));
    out.number("seq", change.seq)
        .signed_number("time_ms", change.time.count())
        .raw("deps", json_array(deps));
    if (change.refused)
        out.text("refuses", change_name(change.refused->actor, change.refused->seq));
    return out.text("message", change.message).raw("ops", json_array(ops)).str();
}

void print_change(const ChangeInfo& change) {
    std::string head = "#" + std::to_string(change.arrival) + "  " + format_time(change.time) +
                       "  " + to_hex(change.actor.view()).substr(0, 12) + "@" +
                       std::to_string(change.seq);
    if (change.branch) head += " on branch " + to_hex(change.branch->view()).substr(0, 12);
    if (change.refused) {
        head += "  refuses " + to_hex(change.refused->actor.view()).substr(0, 12) + "@" +
                std::to_string(change.refused->seq) + ":";
    }
    if (!change.message.empty()) {
        head += (change.refused ? " " : "  ") + one_line(change.message);
    }
    print_line(head);
    constexpr std::size_t kOpsShown = 8;
    for (std::size_t i = 0; i < change.ops.size() && i < kOpsShown; ++i) {
        const ChangeInfo::Op& op = change.ops[i];
        std::string line = "    " + op.kind + " " + op.path;
        if (op.value) line += " = " + value_text(op.value);
        if (line.size() > 100) line = line.substr(0, 97) + "...";
        print_line(line);
    }
    if (change.ops.size() > kOpsShown) {
        print_line("    ... and " + std::to_string(change.ops.size() - kOpsShown) + " more");
    }
}

bool touches(const ChangeInfo& change, std::string_view path) {
    for (const ChangeInfo::Op& op : change.ops) {
        if (op.path.starts_with(path) &&
            (op.path.size() == path.size() || op.path[path.size()] == '/')) {
            return true;
        }
        if (path.starts_with(op.path) && path[op.path.size()] == '/') return true;
    }
    return false;
}

}  // namespace

int run_log(const Common& common, const LogArguments& arguments) {
    const auto since = read_version(arguments.since.empty() ? "#0" : arguments.since);
    if (!since) return kFailed;
    return with_document(common,
                         {arguments.document, arguments.path},
                         false,
                         [&](Peer&, Document& document) -> Result<void> {
                             // With a path, what is beneath it is counted, not what is read.
                             const std::size_t limit = arguments.limit.value_or(SIZE_MAX);
                             const std::size_t read_limit =
                                 arguments.path.empty() ? limit : SIZE_MAX;
                             JOINERY_TRY(const auto changes, document.log(read_limit, *since));
                             std::size_t count = 0;
                             for (const ChangeInfo& change : changes) {
                                 if (count == limit) break;
                                 if (!arguments.path.empty() && !touches(change, arguments.path))
                                     continue;
                                 ++count;
                                 if (common.json) {
                                     print_line(json_of(change));
                                 } else {
                                     print_change(change);
                                 }
                             }
                             return {};
                         });
}

}  // namespace joinery::tools
