// Building prometheus::MetricFamily values without repeating oneself. Private to metrics/*.cpp.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <prometheus/metric_family.h>

namespace fastlogd::metrics {

using Labels = std::vector<prometheus::ClientMetric::Label>;

/// One metric name with its help text and samples.
class FamilyBuilder {
 public:
  static FamilyBuilder counter(std::string name, std::string help) {
    return {std::move(name), std::move(help), prometheus::MetricType::Counter};
  }
  static FamilyBuilder gauge(std::string name, std::string help) {
    return {std::move(name), std::move(help), prometheus::MetricType::Gauge};
  }

  /// A double is exact up to 2^53, which is more records than a machine stores in its life.
  template <class Value>
  FamilyBuilder& sample(Labels labels, Value value) {
    prometheus::ClientMetric metric;
    metric.label = std::move(labels);
    metric.counter.value = static_cast<double>(value);
    metric.gauge.value = static_cast<double>(value);
    family_.metric.push_back(std::move(metric));
    return *this;
  }

  /// A family without samples is left out: a scrape would show a name that means nothing.
  void append_to(std::vector<prometheus::MetricFamily>& families) && {
    if (!family_.metric.empty()) families.push_back(std::move(family_));
  }

 private:
  FamilyBuilder(std::string name, std::string help, prometheus::MetricType type) {
    family_.name = std::move(name);
    family_.help = std::move(help);
    family_.type = type;
  }

  prometheus::MetricFamily family_;
};

}  // namespace fastlogd::metrics
