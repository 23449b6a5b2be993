#include "tools/common.h"

#include "joinery/json.h"

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

namespace joinery::tools {

std::string one_line(std::string text) {
    for (char& byte : text) {
        if (static_cast<unsigned char>(byte) < 0x20 || byte == 0x7f) byte = ' ';
    }
    return text;
}

int report(std::string_view what, std::string_view why) {
    std::cerr << one_line("joinery: " + std::string(what) + ": " + std::string(why)) << '\n';
    return kFailed;
}

int report(std::string_view what, const Error& error) { return report(what, error.what); }

std::string count_of(std::uint64_t count, std::string_view one) {
    std::string text = std::to_string(count) + " " + std::string(one);
    if (count != 1) text += one.ends_with('x') ? "es" : "s";
    return text;
}

void print_line(std::string_view text) { std::cout << text << '\n'; }

std::unique_ptr<Peer> open_peer(const Common& common, bool create, Options options) {
    if (common.store.empty()) {
        report("store", "none given; pass --store DIR or set JOINERY_STORE");
        return nullptr;
    }
    auto store = open_store(common.store, create);
    if (!store && store.error().code == Errc::not_found && !create) {
        report(common.store, "no store is here; the commands that write, such as import, make one");
        return nullptr;
    }
    if (!store) {
        report(common.store, store.error());
        return nullptr;
    }
    options.log = [log = common.log](const LogEntry& entry) {
        if (entry.level < LogLevel::warning) return;
        if (!log) {
            std::cerr << "joinery: " << one_line(entry.text) << '\n';
            return;
        }
        const std::lock_guard lock(log->mutex);
        log->lines.push_back(one_line(entry.text));
    };
    auto peer = Peer::open(*std::move(store), std::move(options));
    if (!peer) {
        report(common.store, peer.error());
        return nullptr;
    }
    return *std::move(peer);
}

int with_document(const Common& common,
                  const Subject& subject,
                  bool create,
                  const std::function<Result<void>(Peer&, Document&)>& body) {
    const auto peer = open_peer(common, create);
    if (!peer) return kFailed;
    const std::string id(subject.document);
    auto document = peer->document(id, create);
    if (!document) return report(id.empty() ? "DOC" : id, document.error());
    const auto done = body(*peer, *document);
    if (done) return kDone;
    return report(subject.path.empty() ? id : id + " " + std::string(subject.path), done.error());
}

std::optional<Version> read_version(std::string_view text) {
    auto version = Version::parse(text);
    if (version) return *std::move(version);
    report("version " + std::string(text), version.error());
    return std::nullopt;
}

std::optional<std::string> read_key(const std::string& text, DeviceKey& key) {
    if (parse_hex(text, key.bytes)) return std::nullopt;
    return "'" + text + "' is no key: 64 hexadecimal digits, as `joinery id` prints them";
}

bool read_token(const std::string& name, std::string& token) {
    if (name.empty()) return true;
    const auto text = read_file(name);
    if (!text) {
        report(name, text.error());
        return false;
    }
    namespace fs = std::filesystem;
    std::error_code unknown;
    const fs::perms others = fs::perms::group_all | fs::perms::others_all;
    if ((fs::status(name, unknown).permissions() & others) != fs::perms::none && !unknown) {
        report(name, "others of this machine may read the token; `chmod 600` makes it yours alone");
        return false;
    }
    token = text->substr(0, text->find_last_not_of("\r\n") + 1);
    if (!token.empty()) return true;
    report(name, "there is no token in it");
    return false;
}

Result<std::string> read_file(const std::string& name) {
    if (name == "-") {
        return std::string(std::istreambuf_iterator<char>(std::cin), {});
    }
    std::error_code error;
    if (!std::filesystem::exists(name, error)) return fail(Errc::not_found, "no such file");
    if (std::filesystem::is_directory(name, error)) return fail(Errc::io, "this is a directory");
    std::ifstream in(name, std::ios::binary);
    if (!in) return fail(Errc::io, "the file cannot be read; is it yours to read?");
    std::string text(std::istreambuf_iterator<char>(in), {});
    if (in.bad()) return fail(Errc::io, "the file cannot be read to its end");
    return text;
}

std::string change_name(const ActorId& actor, std::uint64_t seq) {
    return to_hex(actor.view()) + "@" + std::to_string(seq);
}

std::string format_time(WallTime time) {
    const auto days = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date{std::chrono::sys_days(days)};
    const std::chrono::hh_mm_ss clock{time - days};
    char text[64];
    std::snprintf(text,
                  sizeof text,
                  "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ",
                  static_cast<int>(date.year()),
                  static_cast<unsigned>(date.month()),
                  static_cast<unsigned>(date.day()),
                  static_cast<int>(clock.hours().count()),
                  static_cast<int>(clock.minutes().count()),
                  static_cast<int>(clock.seconds().count()),
                  static_cast<int>(clock.subseconds().count()));
    return text;
}

std::string json_string(std::string_view text) {
    const auto printed = print_json(Plain{Value(text)});
    return printed ? *printed : "\"\"";
}

std::string json_array(const std::vector<std::string>& items) {
    std::string out = "[";
    for (const std::string& item : items) {
        if (out.size() > 1) out += ",";
        out += item;
    }
    return out + "]";
}

void JsonObject::key(std::string_view key) {
    if (body_.size() > 1) body_ += ",";
    body_ += json_string(key);
    body_ += ":";
}

JsonObject& JsonObject::text(std::string_view name, std::string_view value) {
    return raw(name, json_string(value));
}

JsonObject& JsonObject::number(std::string_view name, std::uint64_t value) {
    return raw(name, std::to_string(value));
}

JsonObject& JsonObject::signed_number(std::string_view name, std::int64_t value) {
    return raw(name, std::to_string(value));
}

JsonObject& JsonObject::raw(std::string_view name, std::string_view json) {
    key(name);
    body_ += json;
    return *this;
}

std::string fork_json(const Fork& fork) {
    std::vector<std::string> branches;
    for (const Fork::Branch& branch : fork.branches) {
        JsonObject out;
        out.text("branch", to_hex(branch.name.view()));
        if (branch.sealed_seq != 0) {
            out.number("sealed_seq", branch.sealed_seq)
                .text("sealed_hash", to_hex(branch.sealed_hash.view()))
                .text("signature", to_hex(branch.signature.view()));
        }
        branches.push_back(out.str());
    }
    return JsonObject()
        .text("actor", to_hex(fork.actor.view()))
        .text("device", to_hex(fork.device.view()))
        .number("seq", fork.seq)
        .raw("branches", json_array(branches))
        .str();
}

std::string fork_text(const Fork& fork) {
    std::string text = "actor " + to_hex(fork.actor.view()) + " signed " +
                       std::to_string(fork.branches.size()) + " histories from change " +
                       std::to_string(fork.seq) + " on:";
    for (const Fork::Branch& branch : fork.branches) {
        text += " branch " + to_hex(branch.name.view());
        if (branch.sealed_seq != 0) text += " sealed at " + std::to_string(branch.sealed_seq);
        text += &branch != &fork.branches.back() ? "," : "";
    }
    return text;
}

}  // namespace joinery::tools
