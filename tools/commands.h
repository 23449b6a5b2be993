/// @file
/// The subcommands of `joinery`: their arguments, and the functions that run them. main.cc reads
/// the arguments.
#pragma once

#include "joinery/peer.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace joinery::tools {

/// What a peer had to say while a command ran.
struct HeldLog {
    std::mutex mutex;
    std::vector<std::string> lines;
};

/// What every subcommand takes.
struct Common {
    std::string store;  ///< --store or $JOINERY_STORE; empty: not given.
    bool json = false;
    /// Printed when the command is done; not when it failed, for then its error says it in one
    /// line. Null: printed at once.
    std::shared_ptr<HeldLog> log = std::make_shared<HeldLog>();
};

/// How a command that makes links speaks WebSocket.
struct WebSocketArguments {
    WebSocketOptions options;
    std::string token_file;
};

/// Exit statuses, as the contract says.
inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;
inline constexpr int kWrongUsage = 2;
inline constexpr int kFoundDamage = 3;

struct ShowArguments {
    std::string document, path, at;
    bool live = false;  ///< export: with live values.
};
struct EditArguments {
    std::string document, path, to, value, message;
    std::int64_t delta = 1;
    bool live = false;  ///< Of the live register, not a change.
};
struct ImportArguments {
    std::string document, file, message;
    std::vector<std::string> array_keys;
};
struct LogArguments {
    std::string document, path, since;
    std::optional<std::uint64_t> limit;
};
struct DirectoryArguments {
    std::string directory;
};
struct VerifyArguments {
    std::string document;
    bool deep = false;
};
struct SyncArguments {
    std::string url;
    std::vector<std::string> patterns;
    double timeout_s = 30;
    std::string schema;  ///< A file; empty: nothing is judged.
    WebSocketArguments websocket;
};
struct PeerArguments {
    std::vector<std::string> listen;
    std::vector<std::vector<std::string>> connect;  ///< The URLs of each peer.
    std::string name, config;
    std::vector<DeviceKey> allow;
    WebSocketArguments websocket;
    bool is_open = false;
    bool discovers = false;
    std::string http, metrics;  ///< ADDR:PORT each; empty: not served.
    std::string schema;         ///< A file; empty: nothing is judged.
};
struct TrustArguments {
    enum class Verb : std::uint8_t { add, remove, list };
    Verb verb = Verb::list;
    DeviceKey key;
    std::string name;
    std::vector<std::string> reads, writes;  ///< Empty: everything.
    bool is_reader = false;                  ///< Writes nothing.
};

struct DemoArguments {
    std::size_t peer_count = 3;
    std::string dashboard, keep;
    std::uint64_t seed = 1;
};

int run_ls(const Common& common);
int run_outbox(const Common& common, const ShowArguments& arguments);
int run_show(const Common& common, const ShowArguments& arguments);
int run_export(const Common& common, const ShowArguments& arguments);
int run_set(const Common& common, const EditArguments& arguments);
int run_erase(const Common& common, const EditArguments& arguments);
int run_inc(const Common& common, const EditArguments& arguments);
int run_insert(const Common& common, const EditArguments& arguments);
int run_move(const Common& common, const EditArguments& arguments);
int run_import(const Common& common, const ImportArguments& arguments);
int run_log(const Common& common, const LogArguments& arguments);
int run_id(const Common& common);
int run_backup(const Common& common, const DirectoryArguments& arguments);
int run_sync(const Common& common, const SyncArguments& arguments);
int run_peer(const Common& common, const PeerArguments& arguments);
int run_demo(const Common& common, const DemoArguments& arguments);
int run_demo_peer(const Common& common, const PeerArguments& arguments);
int run_trust(const Common& common, const TrustArguments& arguments);
int run_verify(const Common& common, const VerifyArguments& arguments);
int run_restore(const Common& common, const DirectoryArguments& arguments);

}  // namespace joinery::tools
