#include "tools/demo/story.h"

#include "tools/common.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <thread>

namespace joinery::tools {
namespace {

constexpr int kLiveEditsPerPeer = 60;
constexpr int kOfflineEdits = 25;
constexpr int kEditsWhileDead = 10;
constexpr std::int64_t kDurableBeforeKill = 100;
constexpr std::chrono::seconds kPatience{20};
constexpr std::array<std::string_view, 6> kNames{
    "wall", "laptop", "kiosk", "phone", "desk", "lobby"};

std::string name_of(std::size_t index) {
    if (index < kNames.size()) return std::string(kNames[index]);
    return "peer" + std::to_string(index + 1);
}

std::string milliseconds(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f ms", value);
    return text;
}

std::string short_digest(std::string_view digest) { return std::string(digest.substr(0, 16)); }

/// "12.3 kB".
std::string size_text(std::int64_t size) {
    if (size < 1000) return std::to_string(size) + " B";
    char text[32];
    std::snprintf(text, sizeof text, "%.1f kB", static_cast<double>(size) / 1000.0);
    return text;
}

double ms_between(SharedTime from, SharedTime to) {
    return std::chrono::duration<double, std::milli>(to - from).count();
}

std::string text_of(const Plain& object, std::string_view key) {
    const Plain* member = find_member(object.object(), key);
    return member == nullptr ? "" : std::string(member->scalar().as_string());
}

std::int64_t number_of(const Plain& object, std::string_view key) {
    const Plain* member = find_member(object.object(), key);
    return member == nullptr ? 0 : member->scalar().as_integer();
}

std::string set_command(std::string_view path, std::string_view json) {
    return "set " + std::string(path) + "\t" + std::string(json);
}

}  // namespace

Story::Story(const DemoArguments& arguments, Plain dashboard, std::string folder, Screen& screen)
    : dashboard_(std::move(dashboard)), screen_(screen), edits_(dashboard_, arguments.seed) {
    for (std::size_t i = 0; i < arguments.peer_count; ++i) {
        const std::string name = name_of(i);
        peers_.push_back(std::make_unique<Peer>(name, folder + "/" + name));
    }
}

std::string Story::subject(std::string_view source) const {
    std::string text = "Their shared document is ";
    text += edits_.title().empty() ? "a dashboard" : '"' + edits_.title() + '"';
    text += " (" + std::string(source) + ")";
    if (edits_.widget_count() != 0) {
        text += ", " + std::to_string(edits_.widget_count()) + " widgets";
    }
    return text + ".";
}

std::string Story::complaint() const {
    for (const auto& peer : peers_) {
        if (!peer->process.complaint().empty()) {
            return peer->process.name() + ": " + peer->process.complaint();
        }
    }
    return "";
}

Result<void> Story::tell() {
    JOINERY_TRY_VOID(import_and_sync());
    JOINERY_TRY_VOID(edit_live());
    JOINERY_TRY_VOID(part());
    JOINERY_TRY_VOID(heal());
    JOINERY_TRY_VOID(clash());
    JOINERY_TRY_VOID(kill_one());
    return end();
}

Result<void> Story::import_and_sync() {
    for (const auto& peer : peers_)
        JOINERY_TRY_VOID(peer->process.start());
    Peer& wall = *peers_.front();
    JOINERY_TRY(const std::string json, print_json(dashboard_));
    const SharedTime start = shared_now();
    JOINERY_TRY_VOID(wall.process.ask(set_command("", json)));
    JOINERY_TRY_VOID(wall.process.ask("flush"));
    JOINERY_TRY_VOID(read_status(wall));
    screen_.step("Import",
                 wall.process.name() + " imports the dashboard: one change, " +
                     size_text(wall.stored) + " on disk, durable in " +
                     milliseconds(ms_between(start, shared_now())));
    std::string others;
    for (std::size_t i = 1; i < peers_.size(); ++i) {
        JOINERY_TRY_VOID(peers_[i]->process.ask("connect " + url_for(*peers_[i])));
        others += (i == 1 ? "" : ", ") + peers_[i]->process.name();
    }
    JOINERY_TRY(const double took, wait_until_equal());
    screen_.step("Sync", others + " connect and have it " + milliseconds(took) + " later");
    JOINERY_TRY(const std::string digest, digest_of(wall));
    screen_.fact("digest " + short_digest(digest) + " everywhere");
    return {};
}

Result<void> Story::edit_live() {
    std::vector<double> all;
    int count = 0;
    for (int round = 0; round < kLiveEditsPerPeer; ++round) {
        for (const auto& author : peers_) {
            const FieldEdit edit = edits_.next();
            JOINERY_TRY(const std::string answer,
                        author->process.ask(set_command(edit.path, edit.value)));
            if (answer.ends_with(" same")) continue;
            ++count;
            const SharedTime start(std::stoll(answer));
            for (const auto& peer : peers_) {
                if (peer == author) continue;
                JOINERY_TRY(const SharedTime seen, peer->process.wait_for(edit.path, edit.value));
                peer->latencies_ms.push_back(ms_between(start, seen));
                all.push_back(peer->latencies_ms.back());
            }
        }
    }
    screen_.step("Live",
                 std::to_string(count) + " edits, by everybody in turn; from the write to the" +
                     " others' callback:");
    screen_.fact("p50 " + milliseconds(percentile(all, 0.5)) + ", p99 " +
                 milliseconds(percentile(all, 0.99)));
    return {};
}

Result<void> Story::edit_fields(Peer& peer, int count) {
    for (int i = 0; i < count; ++i) {
        const FieldEdit edit = edits_.next();
        JOINERY_TRY_VOID(peer.process.ask(set_command(edit.path, edit.value)));
    }
    return {};
}

Result<void> Story::edit_structure(Peer& wall, Peer& laptop) {
    const std::string& widgets = edits_.widgets();
    if (edits_.widget_count() < 2) return {};
    const std::string last = std::to_string(edits_.widget_count() - 1);
    JOINERY_TRY_VOID(wall.process.ask("move " + widgets + "/" + last + "\t" + widgets + "/0"));
    JOINERY_TRY_VOID(laptop.process.ask(
        "insert " + widgets + "/1\t{\"title\":\"Added on the train\",\"type\":\"text\"}"));
    screen_.fact(wall.process.name() + " moves its last widget to the front, " +
                 laptop.process.name() + " inserts a new one");
    return {};
}

Result<void> Story::part() {
    Peer& wall = *peers_[0];
    Peer& laptop = *peers_[1];
    JOINERY_TRY_VOID(laptop.process.ask("disconnect " + url_for(laptop)));
    screen_.step("Partition", laptop.process.name() + " loses its network; both sides go on:");
    JOINERY_TRY_VOID(edit_fields(wall, kOfflineEdits));
    JOINERY_TRY_VOID(edit_fields(laptop, kOfflineEdits));
    screen_.fact(std::to_string(kOfflineEdits) +
                 " field edits on each side, and 3 + 4 visits counted");
    JOINERY_TRY_VOID(edit_structure(wall, laptop));
    JOINERY_TRY_VOID(wall.process.ask("inc /visits\t3"));
    JOINERY_TRY_VOID(laptop.process.ask("inc /visits\t4"));
    // The clash: one field, two values, neither knows of the other. A flush between the two keeps
    // their times apart, so that the later one is later.
    JOINERY_TRY_VOID(laptop.process.ask(set_command("/title", R"("Laptop's title")")));
    JOINERY_TRY_VOID(laptop.process.ask("flush"));
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    JOINERY_TRY_VOID(wall.process.ask(set_command("/title", R"("Wall's title")")));
    JOINERY_TRY(const std::string on_wall, digest_of(wall));
    JOINERY_TRY(const std::string on_laptop, digest_of(laptop));
    screen_.fact("digests now differ: " + wall.process.name() + " " + short_digest(on_wall) + ", " +
                 laptop.process.name() + " " + short_digest(on_laptop));
    if (on_wall == on_laptop) return fail(Errc::conflict, "the two sides did not part");
    return {};
}

Result<void> Story::heal() {
    Peer& wall = *peers_[0];
    Peer& laptop = *peers_[1];
    JOINERY_TRY_VOID(laptop.process.ask("connect " + url_for(laptop)));
    JOINERY_TRY(const double took, wait_until_equal());
    JOINERY_TRY(const std::string digest, digest_of(wall));
    JOINERY_TRY(const std::string now, wall.process.ask("show "));
    JOINERY_TRY(const Plain dashboard, parse_json(now));
    edits_.look_at(dashboard);
    JOINERY_TRY(const std::string visits, laptop.process.ask("show /visits"));
    screen_.step("Heal",
                 laptop.process.name() + " is back; all equal after " + milliseconds(took) +
                     ", digest " + short_digest(digest));
    screen_.fact("visits: 3 + 4 = " + visits + "; nobody's edit is lost");
    return {};
}

Result<void> Story::clash() {
    Peer& wall = *peers_[0];
    Peer& laptop = *peers_[1];
    screen_.step("Clash", "both sides wrote /title while apart:");
    for (Peer* peer : {&wall, &laptop}) {
        JOINERY_TRY(const std::string shown, peer->process.ask("show /title"));
        JOINERY_TRY(const std::string lost, peer->process.ask("lost /title"));
        screen_.fact(peer->process.name() + " shows " + shown + " and keeps " + lost +
                     " beside it");
    }
    JOINERY_TRY_VOID(laptop.process.ask(set_command("/title", R"("A title we agreed on")")));
    JOINERY_TRY_VOID(wait_until_equal());
    JOINERY_TRY(const std::string shown, wall.process.ask("show /title"));
    JOINERY_TRY(const std::string lost, wall.process.ask("lost /title"));
    screen_.fact(laptop.process.name() + " decides; " + wall.process.name() + " shows " + shown +
                 (lost == "[]" ? ", and nothing beside it" : ", beside it " + lost));
    return {};
}

Result<void> Story::kill_one() {
    Peer& wall = *peers_.front();
    Peer& victim = *peers_.back();
    const std::string path = "/heartbeat";
    JOINERY_TRY_VOID(read_status(victim));
    const std::int64_t received = victim.received;
    const std::int64_t sent = victim.sent;
    JOINERY_TRY_VOID(victim.process.tell("hammer " + path));
    std::int64_t durable = 0;
    while (durable < kDurableBeforeKill) {
        const auto line = victim.process.next_line();
        if (!line) return line.error();
        if (!line->starts_with("durable ")) return fail(Errc::conflict, "a peer cannot write");
        durable = std::stoll(line->substr(8));
    }
    victim.process.kill();
    screen_.step("Kill -9",
                 victim.process.name() + " is killed in the middle of writing; it had been told" +
                     " that write " + std::to_string(durable) + " is durable");
    JOINERY_TRY_VOID(edit_fields(wall, kEditsWhileDead));
    const SharedTime start = shared_now();
    JOINERY_TRY_VOID(victim.process.start());
    const double opened = ms_between(start, shared_now());
    JOINERY_TRY(const std::string survived, victim.process.ask("show " + path));
    // These it writes as a new actor: what the old one had sent and not stored can never clash.
    JOINERY_TRY_VOID(edit_fields(victim, kEditsWhileDead));
    JOINERY_TRY_VOID(victim.process.ask("connect " + url_for(victim)));
    JOINERY_TRY(const double took, wait_until_equal());
    screen_.fact("started again in " + milliseconds(opened) + ": it has write " + survived +
                 "; equal with the others " + milliseconds(took) + " later");
    if (std::stoll(survived) < durable) return fail(Errc::damaged, "a durable write was lost");
    JOINERY_TRY_VOID(read_status(victim));
    victim.received += received;
    victim.sent += sent;
    return {};
}

Result<void> Story::end() {
    for (const auto& peer : peers_) {
        const std::int64_t received = peer == peers_.back() ? peer->received : 0;
        const std::int64_t sent = peer == peers_.back() ? peer->sent : 0;
        JOINERY_TRY_VOID(read_status(*peer));
        // The one that was killed lost what it counted before; nothing moved since it was asked.
        peer->received = std::max(peer->received, received);
        peer->sent = std::max(peer->sent, sent);
    }
    equal_ = true;
    for (const auto& peer : peers_) {
        JOINERY_TRY_VOID(peer->process.stop());
        // What a process said is one thing; what its store holds is another.
        auto store = open_store(peer->process.store(), false);
        if (!store) return store.error();
        JOINERY_TRY(const auto reopened, joinery::Peer::open(*std::move(store)));
        JOINERY_TRY(const Document document, reopened->document("demo/dashboard", false));
        JOINERY_TRY(const DocumentStatus status, document.status());
        const Peer& first = *peers_.front();
        equal_ = equal_ && to_hex(status.digest.view()) == first.digest &&
                 peer->digest == first.digest && peer->changes == first.changes &&
                 peer->alarms == 0;
    }
    print_table();
    return {};
}

const std::string& Story::url_for(const Peer& peer) const {
    const CrewMember& first = peers_.front()->process;
    for (std::size_t i = 2; i < peers_.size(); i += 2) {
        if (peers_[i].get() == &peer) return first.websocket_url();
    }
    return first.url();
}

void Story::print_table() {
    std::vector<std::vector<std::string>> rows{{"peer",
                                                "digest",
                                                "links",
                                                "changes",
                                                "unacked",
                                                "received",
                                                "sent",
                                                "p50",
                                                "p99",
                                                "acked"}};
    for (const auto& peer : peers_) {
        rows.push_back({peer->process.name(),
                        short_digest(peer->digest),
                        peer->links,
                        std::to_string(peer->changes),
                        std::to_string(peer->unacknowledged),
                        size_text(peer->received),
                        size_text(peer->sent),
                        milliseconds(percentile(peer->latencies_ms, 0.5)),
                        milliseconds(percentile(peer->latencies_ms, 0.99)),
                        milliseconds(static_cast<double>(peer->acknowledged_us) / 1000)});
    }
    screen_.line();
    screen_.table(rows);
    screen_.line();
    screen_.line(
        "p50, p99: from an edit elsewhere to the callback here. acked: until an edit here was");
    screen_.line("durable on another device, p50. unacked: edits here that no other device has.");
    screen_.line();
    screen_.verdict(equal_,
                    equal_ ? "All digests are equal, also after opening each store again."
                           : "THE PEERS DIFFER.");
}

std::string Story::json() const {
    std::vector<std::string> items;
    for (const auto& peer : peers_) {
        char latency[96];
        std::snprintf(latency,
                      sizeof latency,
                      "{\"p50_ms\":%.3f,\"p99_ms\":%.3f}",
                      percentile(peer->latencies_ms, 0.5),
                      percentile(peer->latencies_ms, 0.99));
        items.push_back(JsonObject()
                            .text("name", peer->process.name())
                            .text("digest", peer->digest)
                            .signed_number("changes", peer->changes)
                            .signed_number("actors", peer->actors)
                            .signed_number("bytes_stored", peer->stored)
                            .signed_number("bytes_received", peer->received)
                            .signed_number("bytes_sent", peer->sent)
                            .text("links", peer->links)
                            .signed_number("unacknowledged", peer->unacknowledged)
                            .signed_number("acknowledged_us", peer->acknowledged_us)
                            .raw("latency", latency)
                            .str());
    }
    return json_array(items);
}

Result<std::string> Story::digest_of(Peer& peer) {
    JOINERY_TRY_VOID(read_status(peer));
    return peer.digest;
}

Result<void> Story::read_status(Peer& peer) {
    JOINERY_TRY(const std::string answer, peer.process.ask("status"));
    JOINERY_TRY(const Plain status, parse_json(answer));
    peer.digest = text_of(status, "digest");
    peer.changes = number_of(status, "changes");
    peer.actors = number_of(status, "actors");
    peer.stored = number_of(status, "stored");
    peer.received = number_of(status, "received");
    peer.sent = number_of(status, "sent");
    peer.alarms = number_of(status, "alarms");
    peer.unacknowledged = number_of(status, "unacknowledged");
    peer.acknowledged_us = number_of(status, "acknowledged_us");
    peer.links = text_of(status, "links");
    return {};
}

Result<double> Story::wait_until_equal() {
    const SharedTime start = shared_now();
    while (shared_now() - start < kPatience) {
        bool equal = true;
        for (const auto& peer : peers_) {
            JOINERY_TRY(const std::string digest, digest_of(*peer));
            equal = equal && digest == peers_.front()->digest &&
                    peer->changes == peers_.front()->changes;
        }
        if (equal) return ms_between(start, shared_now());
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return fail(Errc::busy, "the peers did not become equal in time");
}

}  // namespace joinery::tools
