#include "engine/discovery.h"

#include "transport/url.h"

#include <algorithm>

namespace joinery::detail {

namespace {

/// Adds those of @p urls to @p to that are not there, while there is room.
void add_new(const std::vector<std::string>& urls, std::vector<std::string>& to) {
    for (const std::string& url : urls) {
        if (to.size() < kUrlsMax && std::ranges::find(to, url) == to.end()) to.push_back(url);
    }
}

}  // namespace

// What costs least is looked at first: whoever is on the network may send as much as he likes.
void Discovery::take(std::string_view host, ByteView datagram, MonotonicTime now) {
    const auto beacon = session::decode_beacon(datagram);
    if (!beacon) {
        ++counters_.no_beacon;
        return;
    }
    if (!is_worth_a_look(host, *beacon, now)) return;
    if (!session::is_signed(datagram, *beacon)) {
        ++counters_.forged;
        return;
    }
    Entry entry;
    entry.counter = beacon->counter;
    entry.expires = now + beacon->lifetime;
    entry.name = beacon->name;
    entry.urls = urls_of(*beacon, host);
    entry.is_admitted = is_admitted(beacon->device, entry);
    const PeerRun run{beacon->device, beacon->instance};
    if (!entries_.contains(run) && !has_room(beacon->device, entry.is_admitted)) {
        ++counters_.too_many;
        return;
    }
    ++counters_.taken;
    may_wish_ = true;
    if (entry.is_admitted) note_heard(run, entry.counter);
    entries_[run] = std::move(entry);
}

bool Discovery::is_worth_a_look(std::string_view host,
                                const session::Beacon& beacon,
                                MonotonicTime now) {
    if (beacon.device == options_.device) {
        ++counters_.own;
        return false;
    }
    if (!is_news(beacon)) {
        ++counters_.repeated;
        return false;
    }
    // Programs of this machine are all of one host.
    const bool is_here = transport::is_loopback(host);
    if (!limit_.admits(now, is_here ? std::string_view() : host)) {
        ++counters_.too_many;
        return false;
    }
    return true;
}

bool Discovery::is_news(const session::Beacon& beacon) const {
    const PeerRun run{beacon.device, beacon.instance};
    const auto heard = heard_.find(run);
    if (heard != heard_.end() && beacon.counter <= heard->second) return false;
    const auto known = entries_.find(run);
    return known == entries_.end() || beacon.counter > known->second.counter;
}

void Discovery::note_heard(const PeerRun& run, std::uint64_t counter) {
    heard_[run] = counter;
    // Only devices that are let in get here: it takes them many restarts.
    if (heard_.size() > kHeardMax) {
        std::erase_if(heard_, [&](const auto& it) { return !entries_.contains(it.first); });
    }
}

std::vector<std::string> Discovery::urls_of(const session::Beacon& beacon,
                                            std::string_view host) const {
    std::vector<std::string> urls;
    for (const session::Endpoint& endpoint : beacon.endpoints) {
        transport::Url url;
        url.scheme = endpoint.scheme;
        url.host = host;
        if (endpoint.port != 0) url.port = endpoint.port;
        url.path = endpoint.path;
        std::string text = transport::format_url(url);
        if (options_.can_dial(text)) urls.push_back(std::move(text));
    }
    return urls;
}

bool Discovery::is_admitted(const DeviceKey& device, const Entry& entry) const {
    return !entry.urls.empty() && options_.admits(device, entry.urls.front());
}

bool Discovery::has_room(const DeviceKey& device, bool is_admitted) {
    const auto is_sooner = [](const Entries::value_type& a, const Entries::value_type& b) {
        return a.second.expires < b.second.expires;
    };
    const auto first = entries_.lower_bound(PeerRun{device, {}});
    const auto last = std::find_if(first, entries_.end(), [&](const Entries::value_type& it) {
        return it.first.device != device;
    });
    // Its earlier runs make room for a later one.
    if (static_cast<std::size_t>(std::distance(first, last)) >= kNearbyOfDeviceMax) {
        entries_.erase(std::min_element(first, last, is_sooner));
    }
    if (entries_.size() < kNearbyMax) return true;
    if (!is_admitted) return false;
    // Strangers may be as many as they like, and keep no friend out.
    const auto stranger = std::ranges::find_if(
        entries_, [](const Entries::value_type& it) { return !it.second.is_admitted; });
    if (stranger == entries_.end()) return false;
    entries_.erase(stranger);
    return true;
}

void Discovery::on_time(MonotonicTime now) {
    may_wish_ = true;
    std::erase_if(entries_, [now](const auto& it) { return it.second.expires <= now; });
    for (auto& [run, entry] : entries_)
        entry.is_admitted = is_admitted(run.device, entry);
}

std::vector<Discovery::Wish> Discovery::take_wishes() {
    // What is passed over is to cost nothing more.
    if (!std::exchange(may_wish_, false)) return {};
    std::map<DeviceKey, std::vector<std::string>> wanted;
    for (const auto& [run, entry] : entries_) {
        if (entry.is_admitted) add_new(entry.urls, wanted[run.device]);
    }
    std::vector<Wish> wishes;
    for (const auto& [device, urls] : wished_) {
        if (!wanted.contains(device)) wishes.push_back({device, {}});
    }
    for (const auto& [device, urls] : wanted) {
        const auto before = wished_.find(device);
        if (before == wished_.end() || before->second != urls) wishes.push_back({device, urls});
    }
    wished_ = std::move(wanted);
    return wishes;
}

std::vector<NearbyPeer> Discovery::nearby() const {
    std::vector<NearbyPeer> out;
    for (const auto& [run, entry] : entries_) {
        if (entry.urls.empty()) continue;
        out.push_back({run.device, entry.name, entry.urls.front(), entry.is_admitted});
    }
    return out;
}

}  // namespace joinery::detail
