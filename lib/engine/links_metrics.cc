#include "engine/links.h"

#include <algorithm>
#include <array>

namespace joinery::detail {
namespace {

struct Counted {
    std::string_view name, help;
    std::uint64_t session::Counters::* of;
};

constexpr std::array<Counted, 16> kCounted{
    {{"joinery_messages_received_total",
      "Messages of the sync protocol that came.",
      &session::Counters::messages_received},
     {"joinery_messages_sent_total",
      "Messages of the sync protocol that were sent.",
      &session::Counters::messages_sent},
     {"joinery_messages_skipped_total",
      "Messages of optional types that this build does not know.",
      &session::Counters::messages_skipped},
     {"joinery_changes_received_total",
      "Changes that came and were new.",
      &session::Counters::changes_applied},
     {"joinery_changes_duplicate_total",
      "Changes that came and were here already.",
      &session::Counters::changes_duplicate},
     {"joinery_changes_sent_total",
      "Changes that were sent, to each peer counted.",
      &session::Counters::changes_sent},
     {"joinery_live_values_received_total",
      "Live values that came and were new.",
      &session::Counters::live_received},
     {"joinery_live_values_sent_total",
      "Live values that were sent, to each peer counted.",
      &session::Counters::live_sent},
     {"joinery_presence_received_total",
      "Entries of presence that came and were new.",
      &session::Counters::presence_received},
     {"joinery_presence_sent_total",
      "Entries of presence that were sent, to each peer counted.",
      &session::Counters::presence_sent},
     {"joinery_presence_dropped_total",
      "Entries of presence that there was no room for.",
      &session::Counters::presence_dropped},
     {"joinery_divergences_total",
      "Alarms: equal changes and unequal digests.",
      &session::Counters::divergences},
     {"joinery_forks_total",
      "Documents in which an actor showed two histories.",
      &session::Counters::forks},
     {"joinery_resyncs_total",
      "Times that changes came without what they build on.",
      &session::Counters::resyncs},
     {"joinery_stalls_total",
      "Times that a document or a peer gave no answer for long.",
      &session::Counters::stalls},
     {"joinery_documents_refused_total",
      "Documents that a session left aside, by either side.",
      &session::Counters::refusals}}};

constexpr std::array<LinkState, 5> kStates{LinkState::offline,
                                           LinkState::connecting,
                                           LinkState::online,
                                           LinkState::degraded,
                                           LinkState::refused};

}  // namespace

void Links::add_metrics(std::vector<Metric>& out) const {
    const std::vector<LinkStatus> links = status();
    for (const LinkState state : kStates) {
        const auto count = std::ranges::count(links, state, &LinkStatus::state);
        Metric metric =
            gauge_metric("joinery_links", "Links by state.", static_cast<double>(count));
        metric.label_name = "state";
        metric.label = link_state_name(state);
        out.push_back(std::move(metric));
    }
    const auto add = [&out](std::string_view name, std::string_view help, std::uint64_t value) {
        out.push_back(counter_metric(name, help, value));
    };
    add("joinery_links_arrived_total", "Links that others dialled.", metrics_.arrived_count);
    add("joinery_links_overrun_total",
        "Links that were cut since too many came at once, or in a second.",
        cut_count_);
    add("joinery_links_turned_away_total",
        "Links whose key was not let in, or not any more.",
        metrics_.turned_away_count);
    metrics_.not_made.add_to(out,
                             "joinery_connections_refused_total",
                             "Connections that came and made no link, by error.");
    metrics_.ended.add_to(
        out, "joinery_links_ended_total", "Links that ended otherwise than cleanly, by error.");
    out.push_back(metrics_.round_trips.metric("joinery_round_trip_seconds",
                                              "How long answers to signs of life took."));
    add("joinery_bytes_received_total", "Bytes over all links, encrypted.", received_size());
    add("joinery_bytes_sent_total", "Bytes over all links, encrypted.", sent_size());
    session::Counters total = ended_counters_;
    for (const Handle& connection : connections_) {
        if (connection->session) total += connection->session->counters();
    }
    for (const Counted& counted : kCounted)
        add(counted.name, counted.help, total.*counted.of);
}

}  // namespace joinery::detail
