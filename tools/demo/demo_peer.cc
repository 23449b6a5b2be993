// `joinery demo-peer`: one peer of the demo, in a process of its own. It does what standard input
// says, a command a line, and answers each with one line `ok ...` or `error WHY`; what others
// change it tells as `saw NANOS PATH<tab>JSON`. Not for people, so `--help` does not list it.

#include "joinery/json.h"
#include "tools/common.h"
#include "tools/demo/crew.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <iostream>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

namespace joinery::tools {
namespace {

constexpr std::string_view kDocument = "demo/dashboard";

class DemoPeer {
  public:
    explicit DemoPeer(Peer& peer, Document document)
        : peer_(peer), document_(std::move(document)) {}

    int run() {
        const auto url = peer_.listen("tcp://127.0.0.1:0");
        if (!url) return report("listen", url.error());
        const auto websocket = peer_.listen("ws://127.0.0.1:0");
        if (!websocket) return report("listen", websocket.error());
        watch_ = document_.observe("", [this](const Event& event) { tell(event); });
        outbox_watch_ =
            document_.observe_outbox([this](const OutboxStatus&) { note_acknowledged(); });
        say(*url + " " + *websocket);
        std::string line;
        while (std::getline(std::cin, line)) {
            const auto answer = obey(line);
            say(answer ? "ok " + *answer : "error " + std::string(answer.error().what));
        }
        return kDone;
    }

  private:
    void say(const std::string& line) {
        const std::lock_guard lock(mutex_);
        std::cout << line << '\n' << std::flush;
    }

    /// On the peer's callback thread.
    void tell(const Event& event) {
        const auto now = shared_now().count();
        if (event.local) return;
        for (const Patch& patch : event.patches) {
            if (patch.kind == Patch::Kind::remove || !patch.value.is_scalar()) continue;
            const auto value = print_json(patch.value);
            if (value) say("saw " + std::to_string(now) + " " + patch.path + "\t" + *value);
        }
    }

    /// "VERB ARGUMENT[<tab>JSON]".
    Result<std::string> obey(std::string_view line) {
        const std::size_t space = std::min(line.find(' '), line.size());
        const std::string_view verb = line.substr(0, space);
        std::string_view rest = line.substr(std::min(space + 1, line.size()));
        const std::size_t tab = std::min(rest.find('\t'), rest.size());
        const std::string_view argument = rest.substr(0, tab);
        const std::string_view text = rest.substr(std::min(tab + 1, rest.size()));
        if (verb == "flush") {
            JOINERY_TRY_VOID(peer_.flush());
            return std::string();
        }
        if (verb == "connect" || verb == "disconnect") {
            JOINERY_TRY_VOID(verb == "connect" ? peer_.connect(argument)
                                               : peer_.disconnect(argument));
            return std::string();
        }
        if (verb == "status") return status();
        if (verb == "show") {
            JOINERY_TRY(const Plain value, document_.read(argument));
            return print_json(value);
        }
        if (verb == "lost") return lost(argument);
        if (verb == "hammer") return hammer(argument);
        return edit(verb, argument, text);
    }

    Result<std::string> edit(std::string_view verb, std::string_view path, std::string_view text) {
        Plain value;
        if (verb != "move") {
            JOINERY_TRY(value, parse_json(text));
        }
        const SharedTime start = shared_now();
        const auto body = [&](Tx& tx) -> Result<void> {
            if (verb == "set") return tx.set(path, value);
            if (verb == "insert") return tx.insert(path, value);
            if (verb == "inc") return tx.increment(path, value.scalar().as_integer());
            if (verb == "move") return tx.move(path, text);
            return fail(Errc::malformed, "unknown command");
        };
        JOINERY_TRY(const Receipt receipt, document_.transact(body));
        if (receipt.changed) {
            const std::lock_guard lock(mutex_);
            awaited_.emplace_back(start, receipt);
        }
        return std::to_string(start.count()) + (receipt.changed ? " changed" : " same");
    }

    /// On the peer's callback thread: which edits another device has durable by now.
    void note_acknowledged() {
        const SharedTime now = shared_now();
        const std::lock_guard lock(mutex_);
        std::erase_if(awaited_, [&](const auto& edit) {
            const auto status = edit.second.status();
            if (!status || status->state != ChangeState::acknowledged) return false;
            acknowledged_ms_.push_back(
                std::chrono::duration<double, std::milli>(now - edit.first).count());
            return true;
        });
    }

    /// "2 online, 1 offline".
    static std::string states_of(const std::vector<LinkStatus>& links) {
        std::map<LinkState, std::size_t> counts;
        for (const LinkStatus& link : links)
            ++counts[link.state];
        std::string text;
        for (const auto& [state, count] : counts) {
            text += text.empty() ? "" : ", ";
            text += std::to_string(count) + " " + std::string(link_state_name(state));
        }
        return text.empty() ? "none" : text;
    }

    double acknowledged_p50() {
        const std::lock_guard lock(mutex_);
        return percentile(acknowledged_ms_, 0.5);
    }

    /// The values that a clash hides.
    Result<std::string> lost(std::string_view path) {
        JOINERY_TRY(const auto alternatives, document_.alternatives(path));
        PlainArray values;
        for (const Alternative& alternative : alternatives)
            values.push_back(Plain{alternative.value});
        return print_json(Plain{std::move(values)});
    }

    /// Writes 1, 2, 3... to @p path until the process is killed; says which are durable.
    Result<std::string> hammer(std::string_view path) {
        for (std::int64_t i = 1;; ++i) {
            JOINERY_TRY_VOID(document_.transact([&](Tx& tx) { return tx.set(path, Value(i)); }));
            if (i % 10 != 0) continue;
            JOINERY_TRY_VOID(peer_.flush());
            say("durable " + std::to_string(i));
        }
    }

    Result<std::string> status() {
        JOINERY_TRY_VOID(peer_.flush());
        JOINERY_TRY(const DocumentStatus document, document_.status());
        const PeerStatus peer = peer_.status();
        return JsonObject()
            .text("digest", to_hex(document.digest.view()))
            .number("changes", document.change_count)
            .number("actors", document.actor_count)
            .number("stored", document.stored_size)
            .number("received", peer.received_size)
            .number("sent", peer.sent_size)
            .number("alarms", peer.divergence_count)
            .number("unacknowledged", document_.outbox().unacknowledged_count())
            .number("acknowledged_us", static_cast<std::uint64_t>(1000 * acknowledged_p50()))
            .text("links", states_of(peer.links))
            .str();
    }

    Peer& peer_;
    Document document_;
    std::mutex mutex_;  // Guards standard output, and what follows.
    std::vector<std::pair<SharedTime, Receipt>> awaited_;  // Edits that nobody else has yet.
    std::vector<double> acknowledged_ms_;                  // How long the others took.
    Subscription watch_, outbox_watch_;
};

}  // namespace

int run_demo_peer(const Common& common, const PeerArguments& arguments) {
    Common at_once = common;
    at_once.log = nullptr;
    Options options;
    options.authorize = let_everybody_in;
    options.name = arguments.name;
    const auto peer = open_peer(at_once, true, std::move(options));
    if (!peer) return kFailed;
    auto document = peer->document(kDocument);
    if (!document) return report(kDocument, document.error());
    return DemoPeer(*peer, *std::move(document)).run();
}

}  // namespace joinery::tools
