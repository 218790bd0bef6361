// Metric families as plain values, before prometheus-cpp writes them. Private to metrics/*.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace fastlogd::metrics {

using Labels = std::vector<std::pair<std::string, std::string>>;

enum class FamilyType : std::uint8_t { counter, gauge };

/// A double is exact up to 2^53, which is more records than a machine stores in its life.
struct Sample {
  Labels labels;
  double value = 0;
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

  template <class Value>
  Family& sample(Labels labels, Value value) {
    samples.push_back({std::move(labels), static_cast<double>(value)});
    return *this;
  }

  /// A family without samples is left out: a scrape would show a name that means nothing.
  void append_to(std::vector<Family>& families) && {
    if (!samples.empty()) families.push_back(std::move(*this));
  }
};

using Families = std::vector<Family>;

}  // namespace fastlogd::metrics
