#include "joinery/metrics.h"

#include <limits>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

namespace joinery {

namespace {

prometheus::MetricType type_of(Metric::Kind kind) {
    switch (kind) {
        case Metric::Kind::counter: return prometheus::MetricType::Counter;
        case Metric::Kind::gauge: return prometheus::MetricType::Gauge;
        case Metric::Kind::histogram: break;
    }
    return prometheus::MetricType::Histogram;
}

prometheus::ClientMetric entry_of(const Metric& metric) {
    prometheus::ClientMetric entry;
    if (!metric.label_name.empty()) {
        entry.label.push_back({std::string(metric.label_name), metric.label});
    }
    entry.counter.value = entry.gauge.value = metric.value;
    entry.histogram.sample_count = metric.count;
    entry.histogram.sample_sum = metric.sum;
    for (const Metric::Bucket& bucket : metric.buckets)
        entry.histogram.bucket.push_back({bucket.count, bucket.upper_bound});
    entry.histogram.bucket.push_back({metric.count, std::numeric_limits<double>::infinity()});
    return entry;
}

}  // namespace

std::string metrics_text(const std::vector<Metric>& metrics) {
    std::vector<prometheus::MetricFamily> families;
    for (const Metric& metric : metrics) {
        if (families.empty() || families.back().name != metric.name) {
            families.push_back(
                {std::string(metric.name), std::string(metric.help), type_of(metric.kind), {}});
        }
        families.back().metric.push_back(entry_of(metric));
    }
    return prometheus::TextSerializer().Serialize(families);
}

}  // namespace joinery
