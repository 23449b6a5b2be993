// The command line of `joinery`: which arguments there are, and which function runs them.

#include "tools/common.h"
#include "tools/config.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <functional>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

namespace joinery::tools {
namespace {

constexpr const char* kBegin =
    "Begin with:\n"
    "  export JOINERY_STORE=ops.joinery\n"
    "  joinery set ops/main '' '{\"panels\":[{\"title\":\"CPU\"}]}'\n"
    "  joinery show ops/main\n"
    "`joinery COMMAND --help` has an example of each command.";

/// @p text as a number of 64 bits; CLI11 would take the nearest one.
std::int64_t whole_number(const std::string& name, const std::string& text) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size()) {
        throw CLI::ValidationError(name, "'" + text + "' is not a whole number of 64 bits");
    }
    return number;
}

/// Empty, or what is wrong with @p text; also "nan" is.
std::string seconds_error(const std::string& text) {
    double seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    const bool is_number = error == std::errc() && end == text.data() + text.size();
    if (is_number && seconds >= 0.001 && seconds <= 1e6) return {};
    return "'" + text + "' is no number of seconds from 0.001 to 1000000";
}

/// What stands between the spaces of @p text: a URL holds none.
std::vector<std::string> words(const std::string& text) {
    std::vector<std::string> out;
    std::istringstream in(text);
    for (std::string word; in >> word;)
        out.push_back(word);
    return out;
}

DeviceKey device_key(const std::string& name, const std::string& text) {
    DeviceKey key;
    if (const auto wrong = read_key(text, key)) throw CLI::ValidationError(name, *wrong);
    return key;
}

/// Prints the one line that says what is wrong with the arguments.
int wrong_usage(const CLI::App& app, const CLI::ParseError& error) {
    const auto chosen = app.get_subcommands();
    const auto rest = app.remaining(true);
    std::string why = error.what();
    std::string help = "joinery --help";
    if (!chosen.empty()) {
        help = "joinery " + chosen.front()->get_name() + " --help";
    } else if (!rest.empty() && !rest.front().starts_with('-')) {
        why = "there is no subcommand '" + rest.front() + "'";
    }
    report("wrong usage", why + "; `" + help + "` says how");
    return kWrongUsage;
}

/// Declares the subcommands and remembers the one that was asked for.
class CommandLine {
  public:
    int run(int argc, char** argv) {
        app_.require_subcommand(1);
        app_.set_version_flag("--version", "joinery " JOINERY_VERSION);
        app_.footer(kBegin);
        app_.fallthrough();
        app_.add_option("--store", common_.store, "The store's directory")
            ->envname("JOINERY_STORE")
            ->type_name("DIR");
        app_.add_flag("--json", common_.json, "Machine-readable output on standard output");
        playing();
        reading();
        editing();
        storing();
        linking();
        try {
            app_.parse(argc, argv);
        } catch (const CLI::ParseError& error) {
            // CLI11 reports by exceptions, a call for help too; they end here.
            if (error.get_exit_code() != 0) return wrong_usage(app_, error);
            app_.exit(error);
            return ended_with(kDone);
        }
        return ended_with(chosen_());
    }

  private:
    /// Where the output is a file on a full disk, say, the output is lost and the status says so.
    int ended_with(int status) const {
        std::cout.flush();
        if (status != kDone) return status;
        for (const std::string& line : common_.log->lines)
            std::cerr << "joinery: " << line << '\n';
        if (std::cout) return status;
        return report("standard output", "what was printed could not be written");
    }

    CLI::App* add(const std::string& name,
                  const std::string& summary,
                  const std::string& example,
                  const std::function<int()>& body) {
        CLI::App* command = app_.add_subcommand(name, summary);
        command->footer("Example, where $JOINERY_STORE names the store:\n  joinery " + name +
                        (example.empty() ? "" : " " + example));
        command->final_callback([this, body] { chosen_ = body; });
        return command;
    }

    void playing() {
        CLI::App* demo = add("demo",
                             "Show all of it on this machine: sync, partition, clash, kill -9",
                             "--peers 4 --seed 2",
                             [this] { return run_demo(common_, demo_); });
        demo->add_option("--peers", demo_.peer_count, "How many")
            ->check(CLI::Range(2, 16))
            ->default_val(3);
        demo->add_option("--dashboard", demo_.dashboard, "A JSON file in place of the bundled one")
            ->type_name("FILE");
        demo->add_option("--keep", demo_.keep, "Keep the stores here: an empty or new directory")
            ->type_name("DIR");
        demo->add_option("--seed", demo_.seed, "Other edits")->default_val(1);
        // One of the demo's processes; not for people, so that no group lists it.
        CLI::App* one = add("demo-peer", "", "", [this] { return run_demo_peer(common_, peer_); });
        one->group("");
        one->add_option("--name", peer_.name);
    }

    void reading() {
        add("ls", "List the documents", "", [this] { return run_ls(common_); });
        CLI::App* outbox =
            add("outbox",
                "List what was made here and is on no other device yet, or was refused",
                "ops/main",
                [this] { return run_outbox(common_, show_); });
        outbox->add_option("DOC", show_.document, "A document's id; none: all");
        CLI::App* show = add("show",
                             "Print a value of a document as JSON, live values too",
                             "ops/main /panels --at '#1'",
                             [this] { return run_show(common_, show_); });
        document(show, show_.document);
        show->add_option("PATH", show_.path, "JSON Pointer; none: the whole document");
        version(show);
        CLI::App* exporting = add("export",
                                  "Print what a document's changes made as canonical JSON",
                                  "ops/main > ops.json",
                                  [this] { return run_export(common_, show_); });
        document(exporting, show_.document);
        version(exporting);
        exporting->add_flag("--live", show_.live, "With live values, which import would log");
        CLI::App* log =
            add("log", "List changes, newest first", "ops/main /panels --limit 10", [this] {
                return run_log(common_, log_);
            });
        document(log, log_.document);
        log->add_option("PATH", log_.path, "Only changes at or beneath this JSON Pointer");
        log->add_option_function<std::string>(
               "--limit",
               [this](const std::string& text) {
                   const std::int64_t limit = whole_number("--limit", text);
                   if (limit < 0) throw CLI::ValidationError("--limit", "it is below 0");
                   log_.limit = static_cast<std::uint64_t>(limit);
               },
               "At most so many")
            ->type_name("N");
        log->add_option("--since", log_.since, "Only changes after this version")
            ->type_name("VERSION");
    }

    void editing() {
        CLI::App* set = edit("set",
                             "Make a value equal to JSON by the smallest change",
                             "ops/main /panels '[{\"title\":\"CPU\"},{\"title\":\"Disk\"}]'",
                             run_set);
        set->add_option("JSON", edit_.value, "The value; a string needs its quotes")->required();
        set->add_flag(
            "--live", edit_.live, "Write a live value: the last one only, no change, no history");
        CLI::App* erase = edit("erase", "Erase a value", "ops/main /panels/0/title", run_erase);
        erase->add_flag("--live", edit_.live, "Empty the live register there; no change is made");
        CLI::App* inc = edit("inc", "Add to a counter", "ops/main /visits 5", run_inc);
        inc->add_option_function<std::string>(
               "N",
               [this](const std::string& text) { edit_.delta = whole_number("N", text); },
               "How much, 1 without it; may be negative")
            ->type_name("INT");
        CLI::App* insert = edit("insert",
                                "Insert into a list so that it stands at the index",
                                "ops/main /panels/0 '{\"title\":\"New\"}'",
                                run_insert);
        insert->add_option("JSON", edit_.value, "The value")->required();
        CLI::App* move = edit(
            "move", "Move an element within its list", "ops/main /panels/1 /panels/0", run_move);
        move->add_option("TO", edit_.to, "JSON Pointer with the final index")->required();
        CLI::App* import = add("import",
                               "Make a document equal to a JSON file by the smallest change",
                               "ops/main ops.json -m 'from a file'",
                               [this] { return run_import(common_, import_); });
        document(import, import_.document);
        import->add_option("FILE", import_.file, "JSON file; - for standard input")->required();
        import->add_option("-m", import_.message, "Labels the change")->type_name("MESSAGE");
        import->add_option("--array-key",
                           import_.array_keys,
                           "Field that names the elements of arrays (default: id, uid, name)");
    }

    void storing() {
        add("id", "Print this store's key and actor", "", [this] { return run_id(common_); });
        CLI::App* backup =
            add("backup", "Copy the store, also while others use it", "ops.backup", [this] {
                return run_backup(common_, directory_);
            });
        backup->add_option("DIR", directory_.directory, "An empty or new directory")->required();
        CLI::App* restore = add("restore",
                                "Make a store from a backup, under a fresh actor",
                                "ops.backup --store restored.joinery",
                                [this] { return run_restore(common_, directory_); });
        restore->add_option("DIR", directory_.directory, "The backup")->required();
        CLI::App* verify = add("verify",
                               "Check that a store or backup is whole; exit status 3: it is not",
                               "ops/main --deep --store ops.joinery",
                               [this] { return run_verify(common_, verify_); });
        verify->add_option("DOC", verify_.document, "Only this document");
        verify->add_flag("--deep", verify_.deep, "Every seal, and open documents from snapshots");
    }

    void linking() {
        CLI::App* sync = add("sync",
                             "Exchange documents with a peer until both have the same",
                             "tcp://127.0.0.1:7701 'ops/*'",
                             [this] { return run_sync(common_, sync_); });
        sync->add_option(
                "URL",
                sync_.url,
                "tcp://HOST:PORT, ws:// or wss:// of a running peer; with #KEY no other may answer")
            ->required();
        sync->add_option("PATTERN", sync_.patterns, "Documents, such as 'ops/*'; none: all");
        sync->add_option("--timeout", sync_.timeout_s, "Seconds to wait at most")
            ->type_name("S")
            ->check(seconds_error)
            ->default_val(30);
        add_schema(sync, sync_.schema);
        add_websocket(sync, sync_.websocket);
        CLI::App* peer = add("peer",
                             "Run until stopped, in step with other peers",
                             "--open --listen tcp://127.0.0.1:7701",
                             [this] { return run_peer(common_, peer_); });
        peer->add_option("--listen", peer_.listen, "Accept links here; port 0 picks one")
            ->type_name("URL");
        peer->add_option_function<std::vector<std::string>>(
                "--connect",
                [this](const std::vector<std::string>& all) {
                    for (const std::string& urls : all)
                        peer_.connect.push_back(words(urls));
                },
                "Keep a link to this peer; URL#KEY: to no other; 'URL URL', with a space between, "
                "where it has several: the first that answers")
            ->type_name("URL");
        peer->add_option("--name", peer_.name, "What others call this peer");
        peer->add_option_function<std::vector<std::string>>(
                "--allow",
                [this](const std::vector<std::string>& keys) {
                    for (const std::string& key : keys)
                        peer_.allow.push_back(device_key("--allow", key));
                },
                "Let this key in, beside those that the store trusts")
            ->type_name("KEY");
        peer->add_flag("--open",
                       peer_.is_open,
                       "Let every key in; without it and --allow only those that the store "
                       "trusts: `joinery trust`");
        peer->add_flag("--discover",
                       peer_.discovers,
                       "Find peers on the local network, and be found: tells everybody there this "
                       "store's key");
        add_schema(peer, peer_.schema);
        listen_websocket(peer);
        peer->add_option("--config", peer_.config, "A TOML file with these and more, see below")
            ->type_name("FILE");
        peer->footer(peer->get_footer() + "\n\n" + kConfigHelp);
        trusting();
    }

    static void add_schema(CLI::App* command, std::string& to) {
        command
            ->add_option("--schema",
                         to,
                         "A JSON Schema; others' changes to documents NAME@KEY, KEY this store's "
                         "own, are refused where the document does not fit it any more")
            ->type_name("FILE");
    }

    /// What dialling needs.
    static void add_websocket(CLI::App* command, WebSocketArguments& to) {
        command
            ->add_option("--tls-ca",
                         to.options.authorities_file,
                         "For wss: whose certificates to believe, in PEM, instead of the system's")
            ->type_name("FILE");
        command
            ->add_option("--token-file",
                         to.token_file,
                         "A file whose one line pages have to show, and that is shown to others")
            ->type_name("FILE");
    }

    void listen_websocket(CLI::App* peer) {
        add_websocket(peer, peer_.websocket);
        WebSocketOptions& options = peer_.websocket.options;
        peer->add_option(
                "--tls-cert",
                options.certificate_file,
                "For wss: this peer's certificate, in PEM, with those that lead to its root")
            ->type_name("FILE");
        peer->add_option("--tls-key", options.key_file, "For wss: the certificate's private key")
            ->type_name("FILE");
        peer->add_option("--host",
                         options.hosts,
                         "Let browsers reach this peer under this name, beside loopback's")
            ->type_name("NAME");
        peer->add_option("--origin",
                         options.origins,
                         "Let pages of this origin link, such as https://app.example")
            ->type_name("ORIGIN");
        peer->add_option("--http",
                         peer_.http,
                         "Accept WebSocket links here, and serve --files on the same port")
            ->type_name("ADDR:PORT");
        peer->add_option("--files", options.files, "The folder to serve with --http")
            ->type_name("DIR");
        peer->add_option("--metrics",
                         peer_.metrics,
                         "Serve metrics for Prometheus here, to this machine alone")
            ->type_name("ADDR:PORT");
    }

    void trusting() {
        CLI::App* trust = app_.add_subcommand("trust", "Say whose keys may connect to this store");
        trust->require_subcommand(1);
        trust->footer("Example, where $JOINERY_STORE names the store:\n  joinery trust list");
        using Verb = TrustArguments::Verb;
        CLI::App* add = verb(trust, "add", "Let a key in; `joinery id` there prints it", Verb::add);
        add->add_option("--name", trust_.name, "What this store calls it")->type_name("NAME");
        add->add_option("--read",
                        trust_.reads,
                        "Documents that it may have, as `ops/*`; without it every one")
            ->type_name("PATTERN");
        CLI::Option* writes =
            add->add_option(
                   "--write", trust_.writes, "Those of them that it may change; without it all")
                ->type_name("PATTERN");
        add->add_flag("--read-only", trust_.is_reader, "It may change none")->excludes(writes);
        CLI::App* remove = verb(trust, "remove", "Let a key in no more", Verb::remove);
        for (CLI::App* command : {add, remove}) {
            command
                ->add_option_function<std::string>(
                    "KEY",
                    [this](const std::string& key) { trust_.key = device_key("KEY", key); },
                    "64 hexadecimal digits")
                ->required();
        }
        verb(trust, "list", "Print the keys that may connect", Verb::list);
    }

    CLI::App* verb(CLI::App* parent,
                   const std::string& name,
                   const std::string& summary,
                   TrustArguments::Verb verb) {
        CLI::App* command = parent->add_subcommand(name, summary);
        command->footer("Example, where $JOINERY_STORE names the store:\n  joinery trust " + name +
                        (verb == TrustArguments::Verb::list ? "" : " KEY"));
        command->final_callback([this, verb] {
            trust_.verb = verb;
            chosen_ = [this] { return run_trust(common_, trust_); };
        });
        return command;
    }

    CLI::App* edit(const std::string& name,
                   const std::string& summary,
                   const std::string& example,
                   int (*body)(const Common&, const EditArguments&)) {
        CLI::App* command =
            add(name, summary, example, [this, body] { return body(common_, edit_); });
        document(command, edit_.document);
        command->add_option("PATH", edit_.path, "JSON Pointer")->required();
        command->add_option("-m", edit_.message, "Labels the change")->type_name("MESSAGE");
        return command;
    }
    static void document(CLI::App* command, std::string& id) {
        command->add_option("DOC", id, "The document's id, such as ops/main")->required();
    }
    void version(CLI::App* command) {
        command->add_option("--at", show_.at, "#N, ACTOR@SEQ, an RFC 3339 time, or head")
            ->type_name("VERSION");
    }

    CLI::App app_{"joinery keeps shared documents the same on every peer", "joinery"};
    std::function<int()> chosen_;
    Common common_;
    ShowArguments show_;
    EditArguments edit_;
    ImportArguments import_;
    LogArguments log_;
    DirectoryArguments directory_;
    VerifyArguments verify_;
    SyncArguments sync_;
    PeerArguments peer_;
    TrustArguments trust_;
    DemoArguments demo_;
};

}  // namespace
}  // namespace joinery::tools

int main(int argc, char** argv) { return joinery::tools::CommandLine().run(argc, argv); }
