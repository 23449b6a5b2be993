#include "tools/common.h"

#include "joinery/json.h"

#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>

namespace joinery::tools {

int report(std::string_view what, std::string_view why) {
    std::cerr << "joinery: " << what << ": " << why << '\n';
    return kFailed;
}

int report(std::string_view what, const Error& error) { return report(what, error.what); }

void print_line(std::string_view text) { std::cout << text << '\n'; }

std::unique_ptr<Peer> open_peer(const Common& common, bool create, std::string name) {
    if (common.store.empty()) {
        report("store", "none given; pass --store DIR or set JOINERY_STORE");
        return nullptr;
    }
    auto store = open_store(common.store, create);
    if (!store) {
        report(common.store, store.error());
        return nullptr;
    }
    Options options;
    options.name = std::move(name);
    options.log = [](LogLevel level, std::string_view text) {
        if (level >= LogLevel::warning) std::cerr << "joinery: " << text << '\n';
    };
    auto peer = Peer::open(*std::move(store), std::move(options));
    if (!peer) {
        report(common.store, peer.error());
        return nullptr;
    }
    return *std::move(peer);
}

int with_document(const Common& common,
                  std::string_view id,
                  bool create,
                  const std::function<Result<void>(Peer&, Document&)>& body) {
    const auto peer = open_peer(common, create);
    if (!peer) return kFailed;
    auto document = peer->document(id, create);
    if (!document) return report(id, document.error());
    const auto done = body(*peer, *document);
    if (!done) return report(id, done.error());
    return kDone;
}

Result<std::string> read_file(const std::string& name) {
    if (name == "-") {
        return std::string(std::istreambuf_iterator<char>(std::cin), {});
    }
    std::ifstream in(name, std::ios::binary);
    if (!in) return fail(Errc::io, "the file cannot be read");
    std::string text(std::istreambuf_iterator<char>(in), {});
    if (in.bad()) return fail(Errc::io, "the file cannot be read");
    return text;
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

}  // namespace joinery::tools
