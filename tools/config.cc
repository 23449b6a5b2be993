#include "tools/config.h"

#include "tools/common.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string_view>

// The packaged library throws; its headers alone need not.
#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

namespace joinery::tools {

const char* const kConfigHelp =
    "A configuration is TOML; every key may be left out:\n"
    "  name = \"\"                       # as --name\n"
    "  listen = []                     # as --listen, each\n"
    "  connect = []                    # as --connect, each; an array for one of several URLs\n"
    "  allow = []                      # as --allow, each\n"
    "  open = false                    # as --open\n"
    "  callback_interval_ms = 0        # between two reports of what changed, at least\n"
    "  http = \"\"                       # as --http\n"
    "  metrics = \"\"                    # as --metrics\n"
    "  schema = \"\"                     # as --schema\n"
    "  [storage]\n"
    "  flush_interval_ms = 4           # a change waits so long for its group commit\n"
    "  durable_first = false           # whether changes leave only once they are durable here\n"
    "  snapshot_interval = 2048        # changes between two snapshots of a document\n"
    "  poll_interval_ms = 200          # between looks for what other processes wrote\n"
    "  [links]\n"
    "  handshake_time_ms = 5000        # for both ends to prove who they are\n"
    "  heartbeat_idle_ms = 5000        # without a sign the other side is asked for one\n"
    "  answer_time_ms = 5000           # without an answer the link is cut\n"
    "  retry_delay_min_ms = 200        # before dialling again, at most, at first\n"
    "  retry_delay_max_ms = 30000      # and in the end\n"
    "  dials_per_second = 50           # over all kept links; others wait for their turn\n"
    "  handshakes_per_second = 200     # links that arrive beyond are cut\n"
    "  handshakes_of_host_per_second = 20  # of these, from one host\n"
    "  [discover]\n"
    "  enabled = false                 # as --discover\n"
    "  group = \"239.255.77.77\"         # an IPv4 multicast address\n"
    "  port = 7717\n"
    "  interface = \"\"                  # the address of the one to use; without it, all\n"
    "  interval_ms = 5000              # between two beacons at most\n"
    "  [websocket]\n"
    "  certificate_file = \"\"           # as --tls-cert\n"
    "  key_file = \"\"                   # as --tls-key\n"
    "  authorities_file = \"\"           # as --tls-ca\n"
    "  hosts = []                      # as --host, each\n"
    "  origins = []                    # as --origin, each\n"
    "  token_file = \"\"                 # as --token-file\n"
    "  files = \"\"                      # as --files";

namespace {

/// Sets one key's value; answers what is wrong with it.
using Set = std::function<std::optional<std::string>(const toml::node&)>;
using Keys = std::map<std::string, Set, std::less<>>;

Set name(std::string& to) {
    return [&to](const toml::node& node) -> std::optional<std::string> {
        const auto value = node.value_exact<std::string>();
        if (!value || value->size() > Options::kNameSizeMax) {
            return "a text of at most " + std::to_string(Options::kNameSizeMax) +
                   " bytes is wanted";
        }
        if (to.empty()) to = *value;
        return std::nullopt;
    };
}

Set text(std::string& to) {
    return [&to](const toml::node& node) -> std::optional<std::string> {
        const auto value = node.value_exact<std::string>();
        if (!value) return "a text is wanted";
        to = *value;
        return std::nullopt;
    };
}

/// What the command line says stands.
Set given_text(std::string& to) {
    return [&to, is_given = !to.empty()](const toml::node& node) -> std::optional<std::string> {
        std::string value;
        if (auto wrong = text(value)(node)) return wrong;
        if (!is_given) to = value;
        return std::nullopt;
    };
}

Set texts(const std::function<std::optional<std::string>(const std::string&)>& add) {
    return [add](const toml::node& node) -> std::optional<std::string> {
        const toml::array* array = node.as_array();
        if (array == nullptr) return "an array of texts is wanted";
        for (const toml::node& item : *array) {
            const auto value = item.value_exact<std::string>();
            if (!value) return "an array of texts is wanted";
            if (auto wrong = add(*value)) return wrong;
        }
        return std::nullopt;
    };
}

Set list(std::vector<std::string>& to) {
    return texts([&to](const std::string& value) -> std::optional<std::string> {
        to.push_back(value);
        return std::nullopt;
    });
}

/// An array of which each item is a text, or an array of texts.
Set lists(std::vector<std::vector<std::string>>& to) {
    return [&to](const toml::node& node) -> std::optional<std::string> {
        const toml::array* array = node.as_array();
        const auto is_read = [&to](const toml::node& item) {
            const auto one = item.value_exact<std::string>();
            to.push_back(one ? std::vector{*one} : std::vector<std::string>());
            return one || !list(to.back())(item);
        };
        if (array != nullptr && std::ranges::all_of(*array, is_read)) return std::nullopt;
        return "an array of texts, or of arrays of texts, is wanted";
    };
}

Set keys(std::vector<DeviceKey>& to) {
    return texts([&to](const std::string& value) -> std::optional<std::string> {
        return read_key(value, to.emplace_back());
    });
}

Set flag(bool& to) {
    return [&to](const toml::node& node) -> std::optional<std::string> {
        const auto value = node.value_exact<bool>();
        if (!value) return "true or false is wanted";
        to = to || *value;
        return std::nullopt;
    };
}

struct Range {
    std::int64_t least;
    std::int64_t most;
};

Set number(Range range, const std::function<void(std::int64_t)>& set) {
    return [range, set](const toml::node& node) -> std::optional<std::string> {
        const auto value = node.value_exact<std::int64_t>();
        if (!value || *value < range.least || *value > range.most) {
            return "a whole number from " + std::to_string(range.least) + " to " +
                   std::to_string(range.most) + " is wanted";
        }
        set(*value);
        return std::nullopt;
    };
}

Set time(Range range, std::chrono::milliseconds& to) {
    return number(range, [&to](std::int64_t value) { to = std::chrono::milliseconds(value); });
}

Set rate(std::uint32_t& to) {
    return number({1, LinkOptions::kRateMax},
                  [&to](std::int64_t value) { to = static_cast<std::uint32_t>(value); });
}

class ConfigReader {
  public:
    ConfigReader(const std::string& file, PeerArguments& arguments, Options& options)
        : file_(file) {
        tables_[""] = {{"name", name(arguments.name)},
                       {"listen", list(arguments.listen)},
                       {"connect", lists(arguments.connect)},
                       {"allow", keys(arguments.allow)},
                       {"open", flag(arguments.is_open)},
                       {"http", given_text(arguments.http)},
                       {"metrics", given_text(arguments.metrics)},
                       {"schema", given_text(arguments.schema)},
                       {"callback_interval_ms",
                        time({0, Options::kIntervalMax.count()}, options.callback_interval)}};
        tables_["storage"] = {
            {"durable_first", flag(options.durable_first)},
            {"flush_interval_ms", time({0, Options::kIntervalMax.count()}, options.flush_interval)},
            {"snapshot_interval",
             number({1, INT64_MAX},
                    [&options](std::int64_t value) {
                        options.snapshot_interval = static_cast<std::uint64_t>(value);
                    })},
            {"poll_interval_ms", time({1, Options::kIntervalMax.count()}, options.poll_interval)}};
        LinkOptions& links = options.links;
        DiscoverOptions& discover = options.discover;
        tables_["discover"] = {
            {"enabled", flag(discover.is_enabled)},
            {"group", text(discover.group)},
            {"port",
             number({1, UINT16_MAX},
                    [&discover](std::int64_t value) {
                        discover.port = static_cast<std::uint16_t>(value);
                    })},
            {"interface", text(discover.interface_address)},
            {"interval_ms",
             time({DiscoverOptions::kIntervalMin.count(), DiscoverOptions::kIntervalMax.count()},
                  discover.interval)}};
        WebSocketOptions& websocket = arguments.websocket.options;
        tables_["websocket"] = {{"certificate_file", given_text(websocket.certificate_file)},
                                {"key_file", given_text(websocket.key_file)},
                                {"authorities_file", given_text(websocket.authorities_file)},
                                {"hosts", list(websocket.hosts)},
                                {"origins", list(websocket.origins)},
                                {"token_file", given_text(arguments.websocket.token_file)},
                                {"files", given_text(websocket.files)}};
        const Range patience{LinkOptions::kTimeMin.count(), LinkOptions::kTimeMax.count()};
        tables_["links"] = {
            {"handshake_time_ms", time(patience, links.handshake_time)},
            {"heartbeat_idle_ms", time(patience, links.heartbeat_idle)},
            {"answer_time_ms", time(patience, links.answer_time)},
            {"retry_delay_min_ms", time(patience, links.retry_delay_min)},
            {"retry_delay_max_ms", time(patience, links.retry_delay_max)},
            {"dials_per_second", rate(links.dials_per_second)},
            {"handshakes_per_second", rate(links.handshakes_per_second)},
            {"handshakes_of_host_per_second", rate(links.handshakes_of_host_per_second)}};
    }

    bool read(const toml::table& file) const { return read_table(file, ""); }

  private:
    bool read_table(const toml::table& table, const std::string& title) const {
        for (const auto& [key, node] : table) {
            const std::string own(key.str());
            const toml::table* const inner = node.as_table();
            if (title.empty() && inner != nullptr && tables_.contains(own)) {
                if (!read_table(*inner, own)) return false;
                continue;
            }
            const Keys& known = tables_.at(title);
            const auto found = known.find(own);
            const std::string full = title.empty() ? own : title + "." + own;
            if (found == known.end()) {
                return wrong(key.source(), full + ": there is no such key; --help has all");
            }
            if (const auto what = found->second(node))
                return wrong(node.source(), full + ": " + *what);
        }
        return true;
    }
    bool wrong(const toml::source_region& at, const std::string& what) const {
        report(file_ + " line " + std::to_string(at.begin.line), what);
        return false;
    }

    const std::string& file_;
    std::map<std::string, Keys, std::less<>> tables_;
};

}  // namespace

bool read_config(const std::string& name, PeerArguments& arguments, Options& options) {
    const auto text = read_file(name);
    if (!text) {
        report(name, text.error());
        return false;
    }
    const toml::parse_result parsed = toml::parse(*text);
    if (!parsed) {
        const toml::parse_error& error = parsed.error();
        report(name + " line " + std::to_string(error.source().begin.line), error.description());
        return false;
    }
    if (!ConfigReader(name, arguments, options).read(parsed.table())) return false;
    if (options.links.retry_delay_min <= options.links.retry_delay_max) return true;
    report(name, "links.retry_delay_min_ms: it is above retry_delay_max_ms");
    return false;
}

}  // namespace joinery::tools
