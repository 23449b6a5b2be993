// What a peer counts of itself (docs/metrics.md).

#include "sim/links_rig.h"

#include <fstream>
#include <set>
#include <sstream>

namespace joinery::sim {
namespace {

using std::chrono_literals::operator""s;

class MetricsTest : public LinksTest {
  protected:
    double value(Process& process, std::string_view name, std::string_view label = {}) {
        for (const Metric& metric : process.engine().metrics()) {
            if (metric.name == name && metric.label == label)
                return metric.kind == Metric::Kind::histogram ? static_cast<double>(metric.count)
                                                              : metric.value;
        }
        return -1;
    }
    void change(Process& process, std::int64_t to) {
        ASSERT_NE(process.open("d", true), nullptr);
        ASSERT_TRUE(process.documents()
                        .at("d")
                        .core->transact([&](Tx& tx) { return tx.set("/x", Value(to)); }, "")
                        .has_value());
        settle();
        pass(std::chrono::milliseconds(20), std::chrono::milliseconds(1));
    }
};

TEST_F(MetricsTest, TheyGrowWithWhatHappens) {
    change(a(), 1);
    ASSERT_TRUE(a().engine().links().keep_connected("mem://b").has_value());
    pass(1s);
    change(a(), 2);
    change(b(), 3);
    pass(20s);
    EXPECT_EQ(value(a(), "joinery_links", "online"), 1);
    EXPECT_EQ(value(b(), "joinery_links_arrived_total"), 1);
    EXPECT_EQ(value(a(), "joinery_changes_sent_total"), 2);
    EXPECT_EQ(value(a(), "joinery_changes_received_total"), 1);
    EXPECT_EQ(value(b(), "joinery_changes_received_total"), 2);
    EXPECT_EQ(value(a(), "joinery_documents_open"), 1);
    EXPECT_GE(value(a(), "joinery_commit_seconds"), 3);
    EXPECT_GE(value(a(), "joinery_round_trip_seconds"), 1);
    const double sent = value(a(), "joinery_bytes_sent_total");
    EXPECT_EQ(value(b(), "joinery_bytes_received_total"), sent);
    // What an ended link counted stays.
    ASSERT_TRUE(a().engine().links().drop("mem://b").has_value());
    pass(1s);
    EXPECT_EQ(value(a(), "joinery_links", "online"), 0);
    EXPECT_EQ(value(a(), "joinery_changes_sent_total"), 2);
    EXPECT_GE(value(a(), "joinery_bytes_sent_total"), sent);
}

TEST_F(MetricsTest, WhatIsWrongOnALinkIsCountedByItsError) {
    const auto stranger = network_.make_transport("stranger");
    std::unique_ptr<Link> link;
    stranger->connect("mem://b", [&](Result<std::unique_ptr<Link>> made) {
        ASSERT_TRUE(made.has_value());
        link = *std::move(made);
        link->start({[](ByteView) {}, [](Result<void>) {}, [] {}});
    });
    settle();
    ASSERT_TRUE(link->send(as_bytes("GET / HTTP/1.1")).has_value());
    settle();
    EXPECT_EQ(value(b(), "joinery_links_ended_total", "malformed"), 1);
}

TEST_F(MetricsTest, DurationsAreCountedInBucketsThatDouble) {
    detail::Durations durations;
    for (const std::int64_t us : {0, 62, 63, 125, 8'192'000, 8'192'001})
        durations.note(std::chrono::microseconds(us));
    durations.note(std::chrono::nanoseconds(-1));
    const Metric metric = durations.metric("m", "help");
    EXPECT_EQ(metric.count, 7U);
    EXPECT_EQ(metric.buckets.front().count, 3U) << "up to 62.5 us";
    EXPECT_EQ(metric.buckets[1].count, 5U) << "up to 125 us";
    EXPECT_EQ(metric.buckets.back().count, 6U) << "up to 8.192 s";
    EXPECT_DOUBLE_EQ(metric.buckets.back().upper_bound, 8.192);
}

TEST_F(MetricsTest, TheDocumentListsThem) {
    std::ifstream file(JOINERY_DOCS "/metrics.md");
    std::stringstream text;
    text << file.rdbuf();
    std::set<std::string_view> names{"joinery_links_ended_total", "joinery_commit_failures_total"};
    for (const Metric& metric : a().engine().metrics())
        names.insert(metric.name);
    for (const std::string_view name : names)
        EXPECT_NE(text.str().find("`" + std::string(name) + "`"), std::string::npos) << name;
}

}  // namespace
}  // namespace joinery::sim
