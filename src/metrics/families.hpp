// Metric families as plain values, before prometheus-cpp writes them. Private to metrics/*.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace fastlogd::metrics {

using Labels = std::vector<std::pair<std::string, std::string>>;

enum class FamilyType : std::uint8_t { counter, gauge, histogram };

/// Observations by upper bound, cumulative as Prometheus wants them; the last bound is +Inf and holds all of them.
struct Buckets {
  std::vector<std::pair<double, std::uint64_t>> cumulative;
  double sum = 0;
};

/// A double is exact up to 2^53, which is more records than a machine stores in its life.
struct Sample {
  Labels labels;
  double value = 0;
  Buckets buckets = {};  ///< of a histogram, instead of the value
};

/// One metric name with its help text and samples.
struct Family {
  FamilyType type = FamilyType::counter;
  std::string name;
  std::string help;
  std::vector<Sample> samples;

  static Family counter(std::string name, std::string help) {
    return {FamilyType::counter, std::move(name), std::move(help), {}};
  }
  static Family gauge(std::string name, std::string help) {
    return {FamilyType::gauge, std::move(name), std::move(help), {}};
  }
  static Family histogram(std::string name, std::string help) {
    return {FamilyType::histogram, std::move(name), std::move(help), {}};
  }

  Family& observed(Labels labels, Buckets buckets) {
    samples.push_back({.labels = std::move(labels), .buckets = std::move(buckets)});
    return *this;
  }
  template <class Value>
  Family& sample(Labels labels, Value value) {
    samples.push_back({.labels = std::move(labels), .value = static_cast<double>(value)});
    return *this;
  }

  /// A family without samples is left out: a scrape would show a name that means nothing.
  void append_to(std::vector<Family>& families) && {
    if (!samples.empty()) families.push_back(std::move(*this));
  }
};

using Families = std::vector<Family>;

}  // namespace fastlogd::metrics
