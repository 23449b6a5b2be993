/// @file
/// What the subcommands share: opening the store, printing errors and JSON.
#pragma once

#include "joinery/peer.h"
#include "tools/commands.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace joinery::tools {

/// Prints `joinery: what: why` on standard error and answers kFailed.
int report(std::string_view what, const Error& error);
int report(std::string_view what, std::string_view why);

/// @p text with a space for each control character: what a user or another peer wrote may hold
/// anything, and a line stays one and moves no cursor.
std::string one_line(std::string text);

/// Prints @p text and a newline on standard output.
void print_line(std::string_view text);

/// "1 change", "12 changes".
std::string count_of(std::uint64_t count, std::string_view one);

/// Opens the store that @p common names, made if @p create; prints the error where there is one.
/// @param options  Their log is taken over.
std::unique_ptr<Peer> open_peer(const Common& common, bool create, Options options = {});

/// A document, and the place in it that a command is about: what its errors name.
struct Subject {
    std::string_view document, path;
};

/// Opens the store and a document in it, and calls @p body; prints its Error.
int with_document(const Common& common,
                  const Subject& subject,
                  bool create,
                  const std::function<Result<void>(Peer&, Document&)>& body);

/// Reads a VERSION; none where @p text is none of its forms, which has been printed then.
std::optional<Version> read_version(std::string_view text);

/// Reads a device's key into @p key; answers what is wrong with @p text where it is none.
std::optional<std::string> read_key(const std::string& text, DeviceKey& key);

/// Reads a whole file, or standard input for "-".
Result<std::string> read_file(const std::string& name);

/// Reads the one line of file @p name, which only its owner may read, into @p token; no name:
/// nothing to do. False where it cannot be had, which has been printed then.
bool read_token(const std::string& name, std::string& token);

/// "ACTOR@SEQ", as read_version() reads it.
std::string change_name(const ActorId& actor, std::uint64_t seq);

/// "2026-11-22T22:58:01.123Z".
std::string format_time(WallTime time);

/// A JSON object in the making, members in the order of the calls; the values are printed as given.
class JsonObject {
  public:
    JsonObject& text(std::string_view key, std::string_view value);
    JsonObject& number(std::string_view key, std::uint64_t value);
    JsonObject& signed_number(std::string_view key, std::int64_t value);
    JsonObject& raw(std::string_view key, std::string_view json);
    std::string str() const { return body_ + "}"; }

  private:
    void key(std::string_view key);
    std::string body_ = "{";
};

/// @p text as a JSON string.
std::string json_string(std::string_view text);
/// @p items, JSON already, as a JSON array.
std::string json_array(const std::vector<std::string>& items);

/// An actor's two histories, with the seals that prove them.
std::string fork_json(const Fork& fork);
/// The same for people: "actor ... signed 2 histories from change 3 on: ..."
std::string fork_text(const Fork& fork);

}  // namespace joinery::tools
