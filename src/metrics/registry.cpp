#include "metrics/registry.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include "metrics/collector.hpp"

namespace fastlogd::metrics {
namespace {

prometheus::MetricType type_of(FamilyType type) {
  switch (type) {
    case FamilyType::counter:
      return prometheus::MetricType::Counter;
    case FamilyType::histogram:
      return prometheus::MetricType::Histogram;
    case FamilyType::gauge:
      break;
  }
  return prometheus::MetricType::Gauge;
}

void write_buckets(const Buckets& buckets, prometheus::ClientMetric::Histogram& to) {
  for (const auto& [bound, count] : buckets.cumulative) {
    to.bucket.push_back({.cumulative_count = count, .upper_bound = bound});
    to.sample_count = count;
  }
  to.sample_sum = buckets.sum;
}

prometheus::MetricFamily convert(Family family) {
  prometheus::MetricFamily converted;
  converted.name = std::move(family.name);
  converted.help = std::move(family.help);
  converted.type = type_of(family.type);
  for (Sample& sample : family.samples) {
    prometheus::ClientMetric& metric = converted.metric.emplace_back();
    for (auto& [name, value] : sample.labels) metric.label.push_back({std::move(name), std::move(value)});
    if (family.type == FamilyType::histogram) {
      write_buckets(sample.buckets, metric.histogram);
    } else {
      (family.type == FamilyType::counter ? metric.counter.value : metric.gauge.value) = sample.value;
    }
  }
  return converted;
}

}  // namespace

Registry::Registry() : collector_(std::make_unique<Collector>()) {}
Registry::~Registry() = default;

void Registry::add_listener(ListenerLabels labels, std::shared_ptr<const ingest::ListenerCounters> counters) {
  const std::lock_guard lock(collector_->mutex);
  auto& listeners = collector_->listeners;
  const auto known = [&](const Collector::Listener& entry) { return entry.counters == counters; };
  if (std::any_of(listeners.begin(), listeners.end(), known)) return;
  listeners.push_back({std::move(labels), std::move(counters)});
}

void Registry::add_stream(std::string stream, std::function<StreamMode()> mode,
                          std::shared_ptr<const append::AppendCounters> counters, StartFindings found) {
  const std::lock_guard lock(collector_->mutex);
  collector_->streams.push_back({std::move(stream), std::move(mode), std::move(counters), found});
}

void Registry::add_text_file(std::string stream, std::shared_ptr<const follow::TextFileCounters> counters) {
  const std::lock_guard lock(collector_->mutex);
  auto& files = collector_->text_files;
  const auto known = [&](const Collector::TextFile& entry) { return entry.counters == counters; };
  if (std::any_of(files.begin(), files.end(), known)) return;
  files.push_back({std::move(stream), std::move(counters)});
}

void Registry::set_config(std::shared_ptr<const config::ConfigCounters> counters) {
  const std::lock_guard lock(collector_->mutex);
  collector_->config = std::move(counters);
}

std::string Registry::render() const {
  std::vector<prometheus::MetricFamily> converted;
  for (Family& family : collector_->collect()) converted.push_back(convert(std::move(family)));
  return prometheus::TextSerializer().Serialize(converted);
}

RecordBalance Registry::balance() const {
  return collector_->totals().balance();
}

}  // namespace fastlogd::metrics
